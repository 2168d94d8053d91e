/* SPDX-License-Identifier: MIT */
/* Each resource makes its entries and the advice for them (balance_ports.c, balance_queues.c,
 * balance_buckets.c, balance_limits.c); then the worst come first, and balance_moves.c says what is
 * to be written now. */
#include "daemon/balance_sheet.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	double target;
} resources[BALANCE_RESOURCE_COUNT] = {
#define X(name, word, target) {word, (target) / 100.0},
	BALANCE_RESOURCES(X)
#undef X
};

static const struct {
	const char *word;
	enum balance_kind kind;
} levers[BALANCE_LEVER_COUNT] = {
#define X(name, word, kind) {word, KIND_##kind},
	BALANCE_LEVERS(X)
#undef X
};

const char *balance_resource_word(enum balance_resource resource)
{
	return resources[resource].word;
}

const char *balance_lever_word(enum balance_lever lever)
{
	return levers[lever].word;
}

/* --- entries ---------------------------------------------------------------------------------- */

enum { SOON_MS = 60000 };

static unsigned int count_of(const struct balance_sheet *sheet, const char *id)
{
	unsigned int count = 0;
	size_t len = strlen(id);

	for (unsigned int i = 0; i < sheet->entry_count; i++) {
		const char *other = sheet->entry[i].id;

		count += !strncmp(other, id, len) && (!other[len] || other[len] == ',');
	}
	return count;
}

/* An id is of one entry: listeners with SO_REUSEPORT are at the same place. */
static void name_entry(const struct balance_sheet *sheet, struct balance_entry *entry,
		       const char *at, const char *where)
{
	char id[BALANCE_ID];
	unsigned int count;

	snprintf(id, sizeof(id), "%s%s%s%s", resources[entry->resource].word, at, where ? "/" : "",
		 where ? where : "");
	count = count_of(sheet, id);
	if (count)
		snprintf(entry->id, sizeof(entry->id), "%.*s,%u", BALANCE_ID - 48, id, count + 1);
	else
		memcpy(entry->id, id, sizeof(id));
}

/* The next one; or one that is fine, and so has no advice. */
static struct balance_entry *entry_room(struct assessing *a)
{
	struct balance_sheet *sheet = a->sheet;

	a->last = sheet->entry_count;
	if (a->last < BALANCE_ENTRIES) {
		sheet->entry_count++;
		return &sheet->entry[a->last];
	}
	while (a->last-- > 0)
		if (sheet->entry[a->last].level == BALANCE_FINE)
			return &sheet->entry[a->last];
	return NULL;
}

/* A name is bytes of somebody's choice; what is shown of it is what can be printed. */
static void take_who(struct balance_who *to, const struct balance_who *who)
{
	*to = *who;
	for (char *c = to->program; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	for (char *c = to->unit; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
}

struct balance_entry *entry_new(struct assessing *a, enum balance_resource resource,
				unsigned int space, const struct balance_who *who,
				const char *where)
{
	uint64_t netns = a->inputs->spaces[space].netns;
	struct balance_entry *entry = entry_room(a);
	char at[24] = "";

	if (!entry)
		return NULL;
	memset(entry, 0, sizeof(*entry));
	if (netns)
		snprintf(at, sizeof(at), "@%llu", (unsigned long long)netns);
	entry->resource = resource;
	name_entry(a->sheet, entry, at, where);
	entry->space = space;
	entry->target = resources[resource].target;
	entry->slow_ms = entry->exhausted_ms = -1;
	if (who)
		take_who(&entry->who, who);
	return entry;
}

static bool is_soon(int64_t ms)
{
	return ms >= 0 && ms < SOON_MS;
}

void entry_judge(struct balance_entry *entry)
{
	double most = entry->target * (double)entry->capacity;

	if (entry->used >= entry->capacity)
		entry->exhausted_ms = 0;
	entry->level = BALANCE_FINE;
	if ((double)entry->peak >= most || (double)entry->need > most || is_soon(entry->slow_ms) ||
	    is_soon(entry->exhausted_ms))
		entry->level = BALANCE_NEAR;
	if (entry->drops || entry->used >= entry->capacity)
		entry->level = BALANCE_OVER;
}

int64_t ms_until_full(uint64_t capacity, uint64_t used, double growth_s)
{
	if (used >= capacity)
		return 0;
	return growth_s > 0 ? (int64_t)(1000 * (double)(capacity - used) / growth_s) : -1;
}

uint64_t entry_best(const struct balance_entry *entry)
{
	uint64_t most = entry->need > entry->peak ? entry->need : entry->peak;

	if (entry->drops && most < entry->capacity)
		most = entry->capacity;
	return times(most, 1 / entry->target);
}

bool entry_suffices(const struct balance_entry *entry, uint64_t capacity)
{
	uint64_t most = entry->need > entry->peak ? entry->need : entry->peak;

	return (double)most <= (double)capacity * entry->target + 1;
}

/* --- advice ----------------------------------------------------------------------------------- */

struct balance_advice *advice_new(struct assessing *a, enum balance_lever lever)
{
	struct balance_sheet *sheet = a->sheet;
	struct balance_advice *advice;
	char id[BALANCE_ID];

	if (sheet->advice_count == BALANCE_ADVICES || !sheet->entry_count)
		return NULL;
	advice = &sheet->advice[sheet->advice_count++];
	memset(advice, 0, sizeof(*advice));
	advice->entry = a->last;
	advice->lever = lever;
	advice->kind = levers[lever].kind;
	advice->with = -1;
	advice->enough = true;
	memcpy(id, sheet->entry[advice->entry].id, sizeof(id));
	snprintf(advice->id, sizeof(advice->id), "%.*s/%s", BALANCE_ID - 40, id,
		 levers[lever].word);
	return advice;
}

void advice_pair(const struct assessing *a, struct balance_advice *one,
		 struct balance_advice *other)
{
	if (!one || !other)
		return;
	one->with = advice_index(a, other);
	other->with = advice_index(a, one);
}

int advice_index(const struct assessing *a, const struct balance_advice *advice)
{
	return (int)(advice - a->sheet->advice);
}

const struct balance_entry *advice_entry(const struct assessing *a,
					 const struct balance_advice *advice)
{
	return &a->sheet->entry[advice->entry];
}

/* --- namespaces ------------------------------------------------------------------------------- */

uint64_t space_number(const struct balance_space *space, enum sysctl key)
{
	const struct sysctl_value *now = &space->key[key].now;

	return now->count && now->number[0] > 0 ? (uint64_t)now->number[0] : 0;
}

/* tcp_max_orphans is there in the first only. */
bool space_is_first(const struct balance_space *space)
{
	return space->key[SYSCTL_ORPHANS_MAX].now.count != 0;
}

/* --- all -------------------------------------------------------------------------------------- */

static double weight_of(const struct balance_entry *entry)
{
	double capacity = entry->capacity ? (double)entry->capacity : 1,
	       most = (double)(entry->peak > entry->need ? entry->peak : entry->need);

	return 1000 * (double)entry->level + most / capacity / entry->target;
}

/* Where each has come to is told to the advice. */
static void sort(struct balance_sheet *sheet)
{
	static unsigned int order[BALANCE_ENTRIES], place[BALANCE_ENTRIES];
	static struct balance_entry sorted[BALANCE_ENTRIES];

	for (unsigned int i = 0; i < sheet->entry_count; i++) {
		unsigned int at = i;

		for (; at && weight_of(&sheet->entry[order[at - 1]]) < weight_of(&sheet->entry[i]);
		     at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	for (unsigned int i = 0; i < sheet->entry_count; i++) {
		sorted[i] = sheet->entry[order[i]];
		place[order[i]] = i;
	}
	memcpy(sheet->entry, sorted, sheet->entry_count * sizeof(sorted[0]));
	for (unsigned int i = 0; i < sheet->advice_count; i++)
		sheet->advice[i].entry = place[sheet->advice[i].entry];
}

void balance_assess(const struct balance_inputs *inputs, struct balance_sheet *sheet)
{
	struct assessing a = {.inputs = inputs, .sheet = sheet};

	sheet->entry_count = sheet->advice_count = sheet->move_count = 0;
	if (!inputs->space_count)
		return;
	assess_ports(&a);
	assess_time_waits(&a);
	assess_queues(&a);
	assess_orphans(&a);
	assess_conntrack(&a);
	assess_descriptors(&a);
	assess_memory(&a);
	sort(sheet);
	assess_moves(&a);
}

const struct balance_entry *balance_worst(const struct balance_sheet *sheet)
{
	return sheet->entry_count && sheet->entry[0].level != BALANCE_FINE ? &sheet->entry[0]
									   : NULL;
}
