/* SPDX-License-Identifier: MIT */
/* What mode apply writes now. Each sysctl, and each listener's backlog, goes towards what is best
 * for it by a quarter at most, and then rests for the cooldown, or a few seconds while drops go
 * on. A value within a quarter of its best is left alone, so that a load that comes and goes moves
 * nothing back and forth. What nobody has wanted more of for ten cooldowns goes back towards its
 * original, if its row says so; never beyond. */
#include "daemon/balance_sheet.h"

#include <stdio.h>

enum {
	DROPS_COOLDOWN_MS = 3000,
	CALM_COOLDOWNS = 10,
	PART = 4,	 /* of a value: the largest step, and how near is near enough */
	SHRINK_PART = 5, /* a quarter up, and a fifth down, are the same step */
};

/* What one sysctl is to become; several entries may want it. */
struct want {
	bool wanted, drops;
	struct sysctl_value best;
	const char *id;
};

/* --- steps ------------------------------------------------------------------------------------ */

static int64_t step_up(int64_t from, int64_t best)
{
	int64_t step = from / PART > 0 ? from / PART : 1;

	return best - from < step ? best : from + step;
}

static int64_t step_down(int64_t from, int64_t best)
{
	int64_t step = from / PART > 0 ? from / PART : 1;

	return from - best < step ? best : from - step;
}

static bool is_near_enough(int64_t from, int64_t best)
{
	int64_t apart = from < best ? best - from : from - best;

	return apart * PART <= best;
}

static bool has_rested(const struct balance_inputs *inputs, uint64_t changed_ms, bool drops)
{
	uint64_t rest = drops && inputs->cooldown_ms > DROPS_COOLDOWN_MS ? DROPS_COOLDOWN_MS
									 : inputs->cooldown_ms;

	return !changed_ms || inputs->now_ms - changed_ms >= rest;
}

static struct balance_move *move_new(struct balance_sheet *sheet, unsigned int space,
				     enum balance_kind kind, const char *id)
{
	struct balance_move *move;

	if (sheet->move_count == BALANCE_MOVES)
		return NULL;
	move = &sheet->move[sheet->move_count++];
	*move = (struct balance_move){.space = space, .kind = kind};
	snprintf(move->id, sizeof(move->id), "%s", id);
	return move;
}

/* --- sysctls ---------------------------------------------------------------------------------- */

/* The bounds of the config are for where it goes; from outside of them it comes by steps too. */
static int64_t clamp(const struct balance_key *state, int64_t value)
{
	if (state->max && value > state->max)
		return state->max;
	if (state->max && value < state->min)
		return state->min;
	return value;
}

static struct sysctl_value next_value(const struct balance_key *state, enum sysctl key,
				      const struct sysctl_value *best)
{
	int64_t from = state->now.number[0];

	switch (sysctls[key].lever) {
	case SYSCTL_RISE:
		return sysctl_number(step_up(from, clamp(state, best->number[0])));
	case SYSCTL_FALL:
		return sysctl_number(step_down(from, clamp(state, best->number[0])));
	default:
		return *best;
	}
}

static bool is_free(const struct balance_key *state, enum sysctl key)
{
	return state->now.count && !state->yielded && !state->refused &&
	       sysctls[key].lever != SYSCTL_READ;
}

/* tcp_fin_timeout is no matter of more or less: above its best nothing has changed. */
static bool is_left_alone(const struct balance_key *state, enum sysctl key, const struct want *want)
{
	return sysctls[key].lever == SYSCTL_RISE && !want->drops &&
	       is_near_enough(state->now.number[0], want->best.number[0]);
}

static void move_key(struct assessing *a, unsigned int space, enum sysctl key,
		     const struct want *want)
{
	struct balance_key *state = &a->inputs->spaces[space].key[key];
	struct sysctl_value to;
	struct balance_move *move;

	state->calm_ms = 0;
	if (!is_free(state, key) || is_left_alone(state, key, want) ||
	    !has_rested(a->inputs, state->changed_ms, want->drops))
		return;
	to = next_value(state, key, &want->best);
	if (!sysctl_may_go(key, &state->now, &to))
		return;
	move = move_new(a->sheet, space, KIND_SYSCTL, want->id);
	if (!move)
		return;
	move->key = key;
	move->from = state->now;
	move->to = to;
}

/* Would it be too little at once? What is used now must not fill more than half of its target. */
static bool is_spare(const struct assessing *a, unsigned int space, enum sysctl key, int64_t value)
{
	const struct balance_inputs *inputs = a->inputs;

	if (key == SYSCTL_ORPHANS_MAX)
		return inputs->orphans_peak * 3 < (uint64_t)value;
	if (key == SYSCTL_FIN_TIMEOUT_S) /* minisockets would be orphans again */
		return (inputs->orphans_peak + inputs->orphans_fin_wait2) * 3 <
		       space_number(&inputs->spaces[0], SYSCTL_ORPHANS_MAX);
	for (size_t i = 0; i < inputs->listener_count; i++) {
		const struct balance_listener *listener = &inputs->listeners[i];

		if (listener->space != space)
			continue;
		if (key == SYSCTL_SOMAXCONN && listener->original && listener->backlog > value)
			return false;
		if (key == SYSCTL_SYN_BACKLOG_MAX &&
		    listener->handshakes_peak * 3ULL >= (uint64_t)value)
			return false;
	}
	return true;
}

static int64_t towards(int64_t from, int64_t original)
{
	int64_t step = from / SHRINK_PART > 0 ? from / SHRINK_PART : 1;

	return from > original ? (from - original < step ? original : from - step)
			       : step_up(from, original);
}

/* Calm is a time in which a step less would have done at any moment: a load that comes and goes
 * more often than that moves nothing. */
static bool is_calm(const struct balance_inputs *inputs, bool spare, uint64_t *calm_ms,
		    uint64_t changed_ms)
{
	if (!spare)
		*calm_ms = 0;
	else if (!*calm_ms)
		*calm_ms = inputs->now_ms;
	if (!*calm_ms)
		return false;
	return inputs->now_ms - *calm_ms >= (uint64_t)inputs->cooldown_ms * CALM_COOLDOWNS &&
	       has_rested(inputs, changed_ms, false);
}

static void shrink_key(struct assessing *a, unsigned int space, enum sysctl key)
{
	struct balance_key *state = &a->inputs->spaces[space].key[key];
	struct balance_move *move;
	int64_t to;

	if (!sysctls[key].shrinks || !state->original.count || !is_free(state, key) ||
	    sysctl_same(&state->now, &state->original)) {
		state->calm_ms = 0;
		return;
	}
	to = towards(state->now.number[0], clamp(state, state->original.number[0]));
	if (!is_calm(a->inputs, is_spare(a, space, key, to), &state->calm_ms, state->changed_ms) ||
	    to == state->now.number[0] ||
	    (to > state->now.number[0]) != (sysctls[key].lever == SYSCTL_FALL))
		return;
	move = move_new(a->sheet, space, KIND_SYSCTL, "");
	if (!move)
		return;
	move->key = key;
	move->from = state->now;
	move->to = sysctl_number(to);
	move->shrinks = true;
}

/* --- listeners -------------------------------------------------------------------------------- */

static void move_listener(struct assessing *a, struct balance_listener *listener,
			  const struct balance_advice *advice)
{
	const struct balance_space *space = &a->inputs->spaces[listener->space];
	int64_t most = (int64_t)space_number(space, SYSCTL_SOMAXCONN),
		to = step_up(listener->backlog, advice->best.number[0]);
	/* its own drops alone may be SYNs that came again */
	bool drops = listener->drops_now && (space->listen_drops_now || space->syn_drops_now);
	struct balance_move *move;

	listener->calm_ms = 0;
	if (to > most)
		to = most;
	if (to <= listener->backlog || !has_rested(a->inputs, listener->changed_ms, drops) ||
	    (!drops && is_near_enough(listener->backlog, advice->best.number[0])))
		return;
	move = move_new(a->sheet, listener->space, KIND_RELISTEN, advice->id);
	if (!move)
		return;
	move->cookie = listener->cookie;
	move->from = sysctl_number(listener->backlog);
	move->to = sysctl_number(to);
}

static void shrink_listener(struct assessing *a, struct balance_listener *listener)
{
	struct balance_move *move;
	int64_t to;
	bool spare;

	if (!listener->original || listener->backlog <= listener->original) {
		listener->calm_ms = 0;
		return;
	}
	to = towards(listener->backlog, listener->original);
	spare = listener->queue_peak * 3LL < to && listener->handshakes_peak * 3LL < to;
	if (!is_calm(a->inputs, spare, &listener->calm_ms, listener->changed_ms))
		return;
	move = move_new(a->sheet, listener->space, KIND_RELISTEN, "");
	if (!move)
		return;
	move->cookie = listener->cookie;
	move->from = sysctl_number(listener->backlog);
	move->to = sysctl_number(to);
	move->shrinks = true;
}

/* --- all -------------------------------------------------------------------------------------- */

static bool drops_go_on(const struct assessing *a, const struct balance_entry *entry)
{
	const struct balance_space *space = &a->inputs->spaces[entry->space];

	switch (entry->resource) {
	case BALANCE_TIME_WAITS:
		return space->time_wait_drops_now != 0;
	case BALANCE_ORPHANS:
		return a->inputs->orphan_drops_now != 0;
	case BALANCE_ACCEPT_QUEUE:
		return space->listen_drops_now != 0;
	case BALANCE_SYN_QUEUE:
		return space->syn_drops_now != 0;
	default:
		return false;
	}
}

/* Of ports' levers one is enough, the first that can be moved; others work together. */
static bool is_spare_lever(const struct assessing *a, const struct balance_advice *advice)
{
	for (unsigned int i = 0; i < a->sheet->advice_count; i++) {
		const struct balance_advice *other = &a->sheet->advice[i];

		if (other == advice)
			return false;
		if (other->entry == advice->entry && other->kind == KIND_SYSCTL &&
		    advice_entry(a, advice)->resource == BALANCE_PORTS && !*other->why_not)
			return true;
	}
	return false;
}

/* With cookies a full SYN queue loses nothing, and what fills it may be an attack. */
static bool loses_nothing(const struct assessing *a, const struct balance_entry *entry)
{
	return entry->resource == BALANCE_SYN_QUEUE &&
	       space_number(&a->inputs->spaces[entry->space], SYSCTL_SYN_COOKIES);
}

/* A lever whose companion is a policy does not suffice by itself. One that a bound keeps from being
 * enough is moved as far as that goes: fewer are lost then. */
static bool can_move(const struct assessing *a, const struct balance_advice *advice)
{
	const struct balance_advice *with =
		advice->with >= 0 ? &a->sheet->advice[advice->with] : NULL;

	return advice_entry(a, advice)->level != BALANCE_FINE &&
	       (!with || with->kind == KIND_SYSCTL || with->kind == KIND_RELISTEN) &&
	       !is_spare_lever(a, advice) && !loses_nothing(a, advice_entry(a, advice));
}

static void want(const struct assessing *a, const struct balance_advice *advice, struct want *wants)
{
	struct want *want = &wants[advice->key];
	bool falls = sysctls[advice->key].lever == SYSCTL_FALL;

	if (!want->wanted || (falls ? advice->best.number[0] < want->best.number[0]
				    : advice->best.number[0] > want->best.number[0])) {
		want->best = advice->best;
		want->id = advice->id;
	}
	want->wanted = true;
	want->drops |= drops_go_on(a, advice_entry(a, advice));
}

static void move_keys(struct assessing *a, unsigned int space)
{
	struct want wants[SYSCTL_COUNT] = {{.wanted = false}};

	for (unsigned int i = 0; i < a->sheet->advice_count; i++) {
		const struct balance_advice *advice = &a->sheet->advice[i];

		if (advice->kind == KIND_SYSCTL && advice_entry(a, advice)->space == space &&
		    can_move(a, advice))
			want(a, advice, wants);
	}
	for (int key = 0; key < SYSCTL_COUNT; key++) {
		if (wants[key].wanted)
			move_key(a, space, (enum sysctl)key, &wants[key]);
		else
			shrink_key(a, space, (enum sysctl)key);
	}
}

static const struct balance_advice *advice_for(const struct assessing *a, uint64_t cookie)
{
	for (unsigned int i = 0; i < a->sheet->advice_count; i++) {
		const struct balance_advice *advice = &a->sheet->advice[i];

		if (advice->kind == KIND_RELISTEN && advice->cookie == cookie &&
		    !*advice->why_not && can_move(a, advice))
			return advice;
	}
	return NULL;
}

void assess_moves(struct assessing *a)
{
	if (!a->inputs->apply)
		return;
	for (unsigned int i = 0; i < a->inputs->space_count; i++)
		move_keys(a, i);
	for (size_t i = 0; i < a->inputs->listener_count; i++) {
		struct balance_listener *listener = &a->inputs->listeners[i];
		const struct balance_advice *advice = advice_for(a, listener->cookie);

		if (advice)
			move_listener(a, listener, advice);
		else
			shrink_listener(a, listener);
	}
}
