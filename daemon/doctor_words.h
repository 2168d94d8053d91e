/* SPDX-License-Identifier: MIT */
/* What the judgements of doctor.c, doctor_limits.c and doctor_queues.c share: a verdict begun with
 * the words that every one has, and those of where its connections are. */
#ifndef DAEMON_DOCTOR_WORDS_H
#define DAEMON_DOCTOR_WORDS_H

#include "daemon/doctor.h"

/* What is being judged, and the verdict that is being made. */
struct judging {
	const struct doctor_facts *facts;
	const struct doctor_thresholds *thresholds;
	struct verdicts *verdicts;
	struct verdict *verdict;
	struct verdict_words words;
	uint64_t named_cuts;
};

/* The rows of a kind that are worst, the worst first. */
struct worst {
	unsigned int count, more; /* more: that found no room */
	size_t index[VERDICTS_OF_A_KIND];
	uint64_t weight[VERDICTS_OF_A_KIND];
};

void worst_add(struct worst *worst, size_t index, uint64_t weight);

/* false: no room for another. who may be NULL. since_ms -1: not known. */
bool judging_begin(struct judging *judging, enum verdict_id id, const struct doctor_who *who,
		   uint64_t count, int64_t since_ms);
/* Title and remedy; what is missing of the kind is said. */
void judging_end(struct judging *judging, unsigned int more);

void judging_word_number(struct judging *judging, enum verdict_word word, uint64_t number);
/* SELECTOR, NAME, and POLICY or FREE: of a policy for connections at these places. */
void judging_select(struct judging *judging, const struct doctor_who *who,
		    const struct doctor_place *place, bool only);
/* FILTER: ss's words for all that is in the pile, unless it is at too many places. */
void judging_filter(struct judging *judging, const struct doctor_pile *pile);
/* "port 8001 (20), port 8002 (3)" */
const char *judging_places(const struct doctor_pile *pile, char *buf, size_t size);
/* The place with most of the pile. */
const struct doctor_place *judging_place(const struct doctor_pile *pile);

void judge_queues(struct judging *judging);
void judge_time_wait(struct judging *judging);
void judge_ports(struct judging *judging);
void judge_descriptors(struct judging *judging);
void judge_units(struct judging *judging);
void judge_harmless(struct judging *judging);

#endif
