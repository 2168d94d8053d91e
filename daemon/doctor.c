/* SPDX-License-Identifier: MIT */
/* The judgements on piles of connections; those on what has a limit are in doctor_limits.c, on
 * listeners in doctor_queues.c, on enabled units in doctor_units.c. */
#include "daemon/doctor.h"

#include "daemon/doctor_words.h"

#include <stdio.h>

const struct doctor_thresholds doctor_usual = {
	.leak_least = 5,
	.vanished_least = 3,
	.vanished_percent = 1,
	.orphan_least = 100,
	.syn_least = 32,
	.cut_least = 3,
	.time_wait_percent = 70,
	.orphan_percent = 70,
	.ports_percent = 70,
	.ports_slow_percent = 50,
	.ports_soon_ms = 60000,
	.descriptors_percent = 80,
	.harmless_least = 1000,
};

static bool is_orphanage_full(const struct judging *judging)
{
	return judging->facts->orphans * 100 >=
	       judging->facts->orphans_max * judging->thresholds->orphan_percent;
}

static unsigned int least_of(const struct judging *judging, enum doctor_plight plight,
			     const struct doctor_process *process)
{
	const struct doctor_thresholds *thresholds = judging->thresholds;
	unsigned int least;

	switch (plight) {
	case PLIGHT_ORPHAN:
		return judging->facts->orphans_max && is_orphanage_full(judging)
			       ? thresholds->leak_least
			       : thresholds->orphan_least;
	case PLIGHT_VANISHED:
		least = process->conns / 100 * thresholds->vanished_percent;
		return least > thresholds->vanished_least ? least : thresholds->vanished_least;
	default:
		return thresholds->leak_least;
	}
}

static void say_age(struct verdict *verdict, const struct doctor_pile *pile, const char *what)
{
	char age[VERDICT_NUMBER_MAX], places[VERDICT_TEXT - 64];

	verdict_evidence(verdict, "%s %s; %s", what, verdict_age(pile->oldest_ms, age, sizeof(age)),
			 judging_places(pile, places, sizeof(places)));
}

static void say_share(struct judging *judging, const struct doctor_process *process, uint32_t count)
{
	char some[VERDICT_NUMBER_MAX], all[VERDICT_NUMBER_MAX];

	verdict_evidence(judging->verdict, "%s of its %s connections",
			 verdict_number(count, some, sizeof(some)),
			 verdict_number(process->conns, all, sizeof(all)));
}

static void say_bytes(struct judging *judging, uint64_t bytes, const char *what)
{
	char number[VERDICT_NUMBER_MAX];

	if (bytes)
		verdict_evidence(judging->verdict, "%s bytes %s",
				 verdict_number(bytes, number, sizeof(number)), what);
}

/* --- one for each plight ---------------------------------------------------------------------- */

static void say_close_wait(struct judging *judging, const struct doctor_process *process)
{
	const struct doctor_pile *pile = &process->pile[PLIGHT_CLOSE_WAIT];

	say_age(judging->verdict, pile, "the peer of the oldest closed it so long ago:");
	say_share(judging, process, pile->count);
	if (!judging_place(pile)->server)
		verdict_evidence(judging->verdict, "as their client: a pool that does not look "
						   "at what it keeps does this as well");
}

static void say_fin_wait2(struct judging *judging, const struct doctor_process *process)
{
	const struct doctor_pile *pile = &process->pile[PLIGHT_FIN_WAIT2];

	say_age(judging->verdict, pile, "the oldest has waited for its peer's FIN for");
	say_share(judging, process, pile->count);
	verdict_evidence(judging->verdict,
			 "the peers have acknowledged the FIN: if they live, theirs is in "
			 "CLOSE_WAIT, and it is they who forget to close");
}

static void say_orphans(struct judging *judging, const struct doctor_process *process)
{
	const struct doctor_pile *pile = &process->pile[PLIGHT_ORPHAN];
	const struct doctor_facts *facts = judging->facts;

	say_age(judging->verdict, pile, "the oldest has tried for");
	say_bytes(judging, pile->bytes, "have not been acknowledged");
	if (facts->orphans_max)
		verdict_evidence(
			judging->verdict, "%llu orphans on this machine, tcp_max_orphans is %llu",
			(unsigned long long)facts->orphans, (unsigned long long)facts->orphans_max);
	if (facts->orphans_max && is_orphanage_full(judging))
		verdict_word(&judging->words, WORD_TARGET, "%llu",
			     (unsigned long long)facts->orphans_max * 2);
	if (facts->destroys_orphans)
		verdict_word(&judging->words, WORD_DESTROY, "%s", "");
}

static void say_vanished(struct judging *judging, const struct doctor_process *process)
{
	const struct doctor_pile *pile = &process->pile[PLIGHT_VANISHED];

	say_age(judging->verdict, pile, "the longest silence:");
	say_share(judging, process, pile->count);
	say_bytes(judging, pile->bytes, "have not been acknowledged");
}

static const struct {
	enum doctor_plight plight;
	enum verdict_id id;
	void (*say)(struct judging *judging, const struct doctor_process *process);
} plights[] = {
	{PLIGHT_CLOSE_WAIT, VERDICT_CLOSE_WAIT_LEAK, say_close_wait},
	{PLIGHT_FIN_WAIT2, VERDICT_FIN_WAIT_2_STUCK, say_fin_wait2},
	{PLIGHT_ORPHAN, VERDICT_ORPHANS, say_orphans},
	{PLIGHT_VANISHED, VERDICT_PEER_VANISHED, say_vanished},
};

/* A policy for a peer's address alone would be one for each peer: the program's is meant. */
static void say_where(struct judging *judging, const struct doctor_process *process,
		      const struct doctor_pile *pile)
{
	const struct doctor_place *place = judging_place(pile);

	judging_select(judging, &process->who, place,
		       place->count == pile->count && place->at.port);
	judging_filter(judging, pile);
}

static void judge_plight(struct judging *judging, unsigned int row)
{
	const struct doctor_facts *facts = judging->facts;
	enum doctor_plight plight = plights[row].plight;
	struct worst worst = {0};

	for (size_t i = 0; i < facts->process_count; i++) {
		const struct doctor_process *process = &facts->processes[i];
		uint32_t count = process->pile[plight].count;

		if (count >= least_of(judging, plight, process))
			worst_add(&worst, i, count);
	}
	for (unsigned int i = 0; i < worst.count; i++) {
		const struct doctor_process *process = &facts->processes[worst.index[i]];
		const struct doctor_pile *pile = &process->pile[plight];

		if (!judging_begin(judging, plights[row].id, &process->who, pile->count,
				   (int64_t)pile->oldest_ms))
			return;
		plights[row].say(judging, process);
		say_where(judging, process, pile);
		judging_end(judging, i + 1 == worst.count ? worst.more : 0);
	}
}

/* --- closes with data unread ------------------------------------------------------------------ */

static void judge_cut(struct judging *judging, const struct doctor_process *process,
		      unsigned int more)
{
	const struct doctor_cuts *cuts = &process->cuts;
	char unread[VERDICT_NUMBER_MAX], last[VERDICT_NUMBER_MAX];

	if (!judging_begin(judging, VERDICT_ANSWER_CUT_SHORT, &process->who, cuts->count,
			   (int64_t)cuts->first_ms))
		return;
	verdict_evidence(judging->verdict, "%s bytes were not read; the last time %s ago, port %u",
			 verdict_number(cuts->unread, unread, sizeof(unread)),
			 verdict_age(cuts->last_ms, last, sizeof(last)),
			 (unsigned)cuts->place.at.port);
	if (cuts->unsent)
		verdict_evidence(judging->verdict, "%llu bytes of answers had not arrived yet",
				 (unsigned long long)cuts->unsent);
	judging_select(judging, &process->who, &cuts->place, true);
	judging_end(judging, more);
}

/* Whosever they are: what is named is not counted again. */
static void judge_unnamed(struct judging *judging, uint64_t named)
{
	uint64_t all = judging->facts->unread_closes;

	if (all < named + judging->thresholds->cut_least ||
	    !judging_begin(judging, VERDICT_ANSWERS_UNNAMED, NULL, all - named, -1))
		return;
	verdict_evidence(judging->verdict,
			 "the kernel's counter TCPAbortOnClose, which names nobody");
	judging_end(judging, 0);
}

static void judge_cuts(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	struct worst worst = {0};
	uint64_t named = 0;

	for (size_t i = 0; i < facts->process_count; i++) {
		const struct doctor_cuts *cuts = &facts->processes[i].cuts;

		named += cuts->count;
		if (cuts->count >= judging->thresholds->cut_least &&
		    cuts->last_ms <= judging->thresholds->patience_ms)
			worst_add(&worst, i, cuts->count);
	}
	for (unsigned int i = 0; i < worst.count; i++)
		judge_cut(judging, &facts->processes[worst.index[i]],
			  i + 1 == worst.count ? worst.more : 0);
	judging->named_cuts = named;
}

/* --- all -------------------------------------------------------------------------------------- */

void doctor_judge(const struct doctor_facts *facts, const struct doctor_thresholds *thresholds,
		  struct verdicts *verdicts)
{
	struct judging judging = {
		.facts = facts,
		.thresholds = thresholds,
		.verdicts = verdicts,
	};

	verdicts->count = 0;
	for (unsigned int i = 0; i < sizeof(plights) / sizeof(plights[0]); i++)
		judge_plight(&judging, i);
	judge_cuts(&judging);
	judge_queues(&judging);
	judge_time_wait(&judging);
	judge_ports(&judging);
	judge_descriptors(&judging);
	judge_units(&judging);
	judge_unnamed(&judging, judging.named_cuts);
	judge_harmless(&judging);
}
