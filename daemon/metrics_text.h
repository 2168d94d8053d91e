/* SPDX-License-Identifier: MIT */
/* The families of metrics, one table, and their text: OpenMetrics 1.0, or the Prometheus format
 * 0.0.4 before it. Pure: what the numbers are is metrics.c's. */
#ifndef DAEMON_METRICS_TEXT_H
#define DAEMON_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;

/* X(enum, name of the samples, type, unit, help). A counter's name ends with _total, an info's with
 * _info, before that a unit's with the unit; closeside(1) has them all. No label is ever a process,
 * an address or anything else that there may be any number of. */
#define METRICS(X)                                                                                 \
	X(BUILD_INFO, "closeside_build_info", INFO, "", "The version of the daemon.")              \
	X(ON, "closeside_on", GAUGE, "", "1: it steers; 0: switched off, it only watches.")        \
	X(CONNECTIONS, "closeside_tcp_connections", GAUGE, "",                                     \
	  "TCP sockets by state, of all network namespaces that are followed.")                    \
	X(UNIT_CONNECTIONS, "closeside_unit_tcp_connections", GAUGE, "",                           \
	  "The same by systemd unit: those with the most, none, unknown, and other.")              \
	X(ATTRIBUTED, "closeside_attributed_ratio", GAUGE, "ratio",                                \
	  "The share of connections whose process is known.")                                      \
	X(MODEL_AGE, "closeside_model_age_seconds", GAUGE, "seconds",                              \
	  "How old what the kernel said of all live sockets is.")                                  \
	X(OPENS, "closeside_opens_total", COUNTER, "", "Connections that began to be followed.")   \
	X(CLOSES, "closeside_closes_total", COUNTER, "", "Connections closed, by who was first.")  \
	X(HELD, "closeside_held_sockets", GAUGE, "", "Sockets in custody now.")                    \
	X(HAND_OVERS, "closeside_hand_overs_total", COUNTER, "", "Sockets handed over.")           \
	X(CUSTODY_ENDED, "closeside_custody_ended_total", COUNTER, "",                             \
	  "Held sockets that have ended, by outcome.")                                             \
	X(CUSTODY_REFUSED, "closeside_custody_refused_total", COUNTER, "",                         \
	  "Sockets that were handed over and not taken.")                                          \
	X(DRAINED, "closeside_custody_drained_bytes_total", COUNTER, "bytes",                      \
	  "Read from held sockets and thrown away, so that the peer could read the answer.")       \
	X(NOT_HANDED_OVER, "closeside_not_handed_over_total", COUNTER, "",                         \
	  "Closes that a policy wanted handed over and that were not, by reason.")                 \
	X(SESSIONS, "closeside_sessions", GAUGE, "", "Processes under the shim now.")              \
	X(SESSIONS_BEGUN, "closeside_sessions_begun_total", COUNTER, "",                           \
	  "Processes that came under the shim.")                                                   \
	X(RECORDS, "closeside_records_total", COUNTER, "", "Records of shims, by type.")           \
	X(LOST, "closeside_records_lost_total", COUNTER, "", "Records that shims could not send.") \
	X(BAD_MESSAGES, "closeside_bad_messages_total", COUNTER, "",                               \
	  "Messages that were not understood.")                                                    \
	X(OVERRUNS, "closeside_multicast_overruns_total", COUNTER, "",                             \
	  "Times that the kernel's messages of sockets that ended were lost.")                     \
	X(RETIRED, "closeside_time_waits_retired_total", COUNTER, "",                              \
	  "TIME_WAITs ended before their time.")                                                   \
	X(RETIRE_LEFT, "closeside_time_waits_left_total", COUNTER, "",                             \
	  "TIME_WAITs that should have been and could not.")                                       \
	X(RETIRE_PENDING, "closeside_time_waits_pending", GAUGE, "",                               \
	  "TIME_WAITs that are to be ended.")                                                      \
	X(POLICY_CLOSES, "closeside_policy_closes_total", COUNTER, "",                             \
	  "Connections closed, by policy and by who was first.")                                   \
	X(SYSCTL, "closeside_sysctl", GAUGE, "",                                                   \
	  "Sysctls of the daemon's network namespace; index: which number of several.")            \
	X(RESOURCE_USED, "closeside_resource_used_ratio", GAUGE, "ratio",                          \
	  "Used of what there is, of the fullest of each resource.")                               \
	X(RESOURCE_NEED, "closeside_resource_need_ratio", GAUGE, "ratio",                          \
	  "What the present rate needs, of what there is.")                                        \
	X(FAULT_ACTIVE, "closeside_fault_active", GAUGE, "",                                       \
	  "Findings of the doctor, by verdict; 0: none.")                                          \
	X(DOCTOR_AGE, "closeside_doctor_age_seconds", GAUGE, "seconds",                            \
	  "How long ago the doctor looked.")                                                       \
	X(SCRAPES, "closeside_scrapes_total", COUNTER, "", "Times that these metrics were made.")  \
	X(SCRAPE_SECONDS, "closeside_scrape_seconds_total", COUNTER, "seconds",                    \
	  "What making them has taken.")                                                           \
	X(SCRAPERS, "closeside_scrapers", GAUGE, "", "Connections to the HTTP listener now.")      \
	X(SCRAPERS_ENDED, "closeside_scrapers_ended_total", COUNTER, "",                           \
	  "Connections to it that were ended: too slow, or too many.")                             \
	X(CPU, "process_cpu_seconds_total", COUNTER, "seconds",                                    \
	  "Processor time of the daemon's loop.")                                                  \
	X(RESIDENT, "process_resident_memory_bytes", GAUGE, "bytes",                               \
	  "Resident memory of the daemon's loop.")                                                 \
	X(OPEN_FDS, "process_open_fds", GAUGE, "", "Open descriptors of the daemon's loop.")       \
	X(MAX_FDS, "process_max_fds", GAUGE, "", "How many it may have.")                          \
	X(START, "process_start_time_seconds", GAUGE, "seconds",                                   \
	  "When the daemon's loop started, since the epoch.")

enum metric {
#define X(name, text, type, unit, help) METRIC_##name,
	METRICS(X)
#undef X
		METRIC_COUNT
};

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO };

struct metric_row {
	const char *name;
	enum metric_type type;
	const char *unit, *help;
};

extern const struct metric_row metric_rows[METRIC_COUNT];

enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

const char *metrics_content_type(enum metrics_format format);
/* Which of the two an Accept header wants; NULL: there is none. */
enum metrics_format metrics_negotiate(const char *accept);

struct metrics_text {
	struct evbuffer *out;
	enum metrics_format format;
	enum metric metric; /* whose samples are being written */
};

void metrics_text_begin(struct metrics_text *text, struct evbuffer *out,
			enum metrics_format format);
/* The lines before the samples of a family. */
void metrics_family(struct metrics_text *text, enum metric metric);
/* A sample of it; then pairs of label and value, and METRICS_END. A label whose value is NULL is
 * left out; one that is NULL itself is the end. */
#define METRICS_END ((const char *)NULL)
void metrics_count(struct metrics_text *text, uint64_t value, ...) __attribute__((sentinel));
void metrics_number(struct metrics_text *text, double value, ...) __attribute__((sentinel));
void metrics_text_end(struct metrics_text *text);

#endif
