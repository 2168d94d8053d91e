/* SPDX-License-Identifier: MIT */
/* The judgements on the queues of listeners. */
#include "daemon/doctor_words.h"

enum { BACKLOG_LEAST = 1024, BACKLOG_MOST = 65536 };

static bool overflows(const struct judging *judging, const struct doctor_listener *listener)
{
	return judging->facts->listen_overflows && listener->drops &&
	       listener->last_drop_ms <= judging->thresholds->patience_ms;
}

/* Where the accept queue is full the last ACK of a handshake is dropped, and that is why it stands
 * still. */
static bool piles_up(const struct judging *judging, const struct doctor_listener *listener)
{
	const struct doctor_facts *facts = judging->facts;
	bool is_full = facts->queue_full_drops || facts->queue_full_cookies;

	return listener->handshakes >= judging->thresholds->syn_least &&
	       (is_full || listener->handshakes >= listener->backlog / 2) &&
	       !overflows(judging, listener) && listener->queue < listener->backlog;
}

static void say_listener(struct judging *judging, const struct doctor_listener *listener)
{
	struct doctor_pile pile = {.count = 0};
	char address[ENDPOINT_TEXT_MAX];

	doctor_pile_add(&pile, true, &listener->at, 0, 0);
	verdict_word(&judging->words, WORD_PORT, "%u", (unsigned)listener->at.port);
	judging_select(judging, &listener->who, &pile.place[0], true);
	judging_filter(judging, &pile);
	verdict_evidence(judging->verdict, "%u in the queue of %s, which listen() bounds at %u",
			 listener->queue, endpoint_format(&listener->at, address, sizeof(address)),
			 listener->backlog);
}

static void judge_waiting(struct judging *judging, const struct doctor_listener *listener)
{
	char age[VERDICT_NUMBER_MAX];

	if (!judging_begin(judging, VERDICT_NEVER_ACCEPTED, &listener->who, listener->waiting,
			   (int64_t)listener->oldest_ms))
		return;
	say_listener(judging, listener);
	verdict_evidence(judging->verdict, "the oldest has waited for %s",
			 verdict_age(listener->oldest_ms, age, sizeof(age)));
	if (listener->who.stopped)
		verdict_evidence(judging->verdict, "the process is stopped by a signal");
	judging_end(judging, 0);
}

static uint32_t longer(uint32_t backlog)
{
	uint32_t target = BACKLOG_LEAST;

	while (target < BACKLOG_MOST && target < 2 * backlog)
		target *= 2;
	return target;
}

static void judge_overflow(struct judging *judging, const struct doctor_listener *listener)
{
	uint32_t target = longer(listener->backlog);
	char last[VERDICT_NUMBER_MAX];

	if (!judging_begin(judging, VERDICT_ACCEPT_QUEUE_OVERFLOW, &listener->who, listener->drops,
			   (int64_t)listener->first_drop_ms))
		return;
	say_listener(judging, listener);
	verdict_evidence(judging->verdict,
			 "%u connections or handshakes were dropped, the last %s "
			 "ago; their peers try again, or wait",
			 listener->drops, verdict_age(listener->last_drop_ms, last, sizeof(last)));
	verdict_word(&judging->words, WORD_TARGET, "%u", target);
	if (target > judging->facts->somaxconn)
		verdict_word(&judging->words, WORD_SOMAXCONN, "%u", target);
	judging_end(judging, 0);
}

static void judge_handshakes(struct judging *judging, const struct doctor_listener *listener)
{
	const struct doctor_facts *facts = judging->facts;
	char age[VERDICT_NUMBER_MAX];

	if (!judging_begin(judging, VERDICT_SYN_RECV_PILE_UP, &listener->who, listener->handshakes,
			   (int64_t)listener->oldest_handshake_ms))
		return;
	say_listener(judging, listener);
	verdict_evidence(judging->verdict,
			 "their SYN-ACK was sent again and not answered, the oldest for %s",
			 verdict_age(listener->oldest_handshake_ms, age, sizeof(age)));
	if (facts->queue_full_drops || facts->queue_full_cookies)
		verdict_evidence(judging->verdict,
				 "queues of handshakes were full: %llu SYNs were dropped, %llu "
				 "answered with a cookie",
				 (unsigned long long)facts->queue_full_drops,
				 (unsigned long long)facts->queue_full_cookies);
	if (!facts->syncookies)
		verdict_word(&judging->words, WORD_COOKIES, "%s", "");
	judging_end(judging, 0);
}

void judge_queues(struct judging *judging)
{
	const struct doctor_facts *facts = judging->facts;

	for (size_t i = 0; i < facts->listener_count; i++) {
		const struct doctor_listener *listener = &facts->listeners[i];

		if (listener->waiting)
			judge_waiting(judging, listener);
		if (overflows(judging, listener))
			judge_overflow(judging, listener);
		if (piles_up(judging, listener))
			judge_handshakes(judging, listener);
	}
}
