/* SPDX-License-Identifier: MIT */
/* The judgement on units that are enabled, and whose processes run without the shim. */
#include "daemon/doctor_words.h"

#include "daemon/cli_unit.h"

#include <stdio.h>
#include <string.h>

/* For how long it has been so. */
static uint64_t lasted(const struct enabled_unit *unit)
{
	return unit->enabled_ms < unit->oldest_ms ? unit->enabled_ms : unit->oldest_ms;
}

/* For a shell; all instances of a template. */
static void say_restart(struct judging *judging, const char *name)
{
	char all[sizeof(((struct enabled_unit *)NULL)->unit) + 4];

	if (unit_is_template(name))
		snprintf(all, sizeof(all), "%.*s@*", (int)strcspn(name, "@"), name);
	else
		snprintf(all, sizeof(all), "%s", name);
	verdict_shell_word(&judging->words, WORD_RESTART, all);
}

static void judge_unit(struct judging *judging, const struct enabled_unit *unit, unsigned int more)
{
	char some[VERDICT_NUMBER_MAX], all[VERDICT_NUMBER_MAX], age[VERDICT_NUMBER_MAX];
	struct doctor_who who = {.pid = 0};

	snprintf(who.unit, sizeof(who.unit), "%.127s", unit->unit);
	if (!judging_begin(judging, VERDICT_SHIM_NOT_LOADED, &who, unit->processes - unit->loaded,
			   (int64_t)lasted(unit)))
		return;
	verdict_word(&judging->words, WORD_UNIT, "%s", judging->verdict->unit);
	if (enabled_judge(unit) == ENABLED_NOT_RESTARTED)
		say_restart(judging, unit->unit);
	else
		verdict_shell_word(&judging->words, WORD_ENABLE, unit->unit);
	verdict_evidence(judging->verdict, "%s of its %s processes are without it",
			 verdict_number(unit->processes - unit->loaded, some, sizeof(some)),
			 verdict_number(unit->processes, all, sizeof(all)));
	verdict_evidence(judging->verdict, "one is pid %d, the oldest has run for %s",
			 (int)unit->example, verdict_age(unit->oldest_ms, age, sizeof(age)));
	judging_end(judging, more);
}

void judge_units(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;
	struct worst worst = {0};

	for (size_t i = 0; i < facts->unit_count; i++) {
		enum enabled_verdict verdict = enabled_judge(&facts->units[i]);

		if ((verdict == ENABLED_NOT_RESTARTED || verdict == ENABLED_KEPT_OUT) &&
		    lasted(&facts->units[i]) >= judging->thresholds->patience_ms)
			worst_add(&worst, i, facts->units[i].processes);
	}
	for (unsigned int i = 0; i < worst.count; i++)
		judge_unit(judging, &facts->units[worst.index[i]],
			   i + 1 == worst.count ? worst.more : 0);
}
