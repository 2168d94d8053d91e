/* SPDX-License-Identifier: MIT */
/* What the parts of balance.c share: making entries and advice, and their words. */
#ifndef DAEMON_BALANCE_SHEET_H
#define DAEMON_BALANCE_SHEET_H

#include "daemon/balance.h"

struct assessing {
	const struct balance_inputs *inputs;
	struct balance_sheet *sheet;
	unsigned int last; /* the entry that was made last, which advice is for */
};

/* where: of several of this resource, which; NULL: there is one in a namespace. Where there is no
 * room one that is fine gives way; NULL: none is. */
struct balance_entry *entry_new(struct assessing *a, enum balance_resource resource,
				unsigned int space, const struct balance_who *who,
				const char *where);
/* Once capacity, used, peak, need, drops and the times are there. */
void entry_judge(struct balance_entry *entry);
/* What is needed, over its target; while drops go on nobody knows how much that is. */
uint64_t entry_best(const struct balance_entry *entry);
/* Would so much bring it under its target? */
bool entry_suffices(const struct balance_entry *entry, uint64_t capacity);
/* At this growth; -1: never. */
int64_t ms_until_full(uint64_t capacity, uint64_t used, double growth_s);
void entry_title(struct balance_entry *entry, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void entry_evidence(struct balance_entry *entry, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Of the entry that was made last. NULL: no room. */
struct balance_advice *advice_new(struct assessing *a, enum balance_lever lever);
void advice_title(struct balance_advice *advice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void advice_effect(struct balance_advice *advice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void advice_cost(struct balance_advice *advice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void advice_line(struct balance_advice *advice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A sysctl to set: value, line, and why it cannot be applied, if it cannot. */
void advice_set(struct assessing *a, struct balance_advice *advice, enum sysctl key,
		struct sysctl_value best);
/* The lines that let a policy say these keys: for connections to a place, or a server's port. */
void advice_policy(struct assessing *a, struct balance_advice *advice,
		   const struct balance_who *who, bool server, const struct endpoint *place,
		   const char *keys);
/* The two work together only; NULL: there was no room for one. */
void advice_pair(const struct assessing *a, struct balance_advice *one,
		 struct balance_advice *other);
/* For a shell, in quotes if need be. false: it can be in no line. */
bool shell_text(const char *text, char *buf, size_t size);
int advice_index(const struct assessing *a, const struct balance_advice *advice);
const struct balance_entry *advice_entry(const struct assessing *a,
					 const struct balance_advice *advice);

/* "nsenter -t PID -n " for another network namespace, or "". */
const char *space_prefix(const struct assessing *a, unsigned int space, char *buf, size_t size);
/* Is it the machine's first, where what is the machine's can be set? */
bool space_is_first(const struct balance_space *space);
/* The sysctl's first number; 0: not known. */
uint64_t space_number(const struct balance_space *space, enum sysctl key);
uint64_t times(uint64_t number, double factor);
/* Rows of text: "28,232", "1,000 a second". Each has a buffer of its own, for a few calls. */
const char *number_text(uint64_t number);
const char *bytes_text(uint64_t bytes);
const char *who_text(const struct balance_who *who);

void assess_ports(struct assessing *a);
void assess_time_waits(struct assessing *a);
void assess_orphans(struct assessing *a);
void assess_queues(struct assessing *a);
void assess_descriptors(struct assessing *a);
void assess_memory(struct assessing *a);
void assess_conntrack(struct assessing *a);
void assess_moves(struct assessing *a);

#endif
