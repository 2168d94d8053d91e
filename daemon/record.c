/* SPDX-License-Identifier: MIT */
#include "daemon/record.h"

#include "daemon/cuts.h"
#include "daemon/retire.h"

#include "common/close_decide.h"
#include "common/tcp_state.h"

#include <string.h>
#include <sys/socket.h>

/* When to see whether a FIN crossed ours after TCP_LINGER2 = -1. */
enum { SIMULTANEOUS_MS = 100, TIME_WAIT_MAX_MS = 3600000 };

static bool carries_fd(uint8_t type)
{
	static const bool carries[WIRE_TYPE_COUNT] = {
#define X(name, word, fd) [name] = fd,
		WIRE_RECORDS(X)
#undef X
	};

	return carries[type];
}

static bool endpoint_sound(const struct endpoint *ep)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ep->family == AF_INET)
		return !memcmp(ep->addr, mapped, sizeof(mapped));
	return ep->family == AF_INET6 || ep->family == 0;
}

const char *record_problem(const struct wire_record *record)
{
	if (record->magic != WIRE_MAGIC)
		return "what it sent is no record";
	if (record->version != WIRE_VERSION)
		return "a record has a wrong version";
	if (record->type == WIRE_NONE || record->type >= WIRE_TYPE_COUNT)
		return "a record has an unknown type";
	if (record->role > ROLE_CLIENT || record->state >= STATE_COUNT ||
	    record->action >= CLOSE_ACTION_COUNT || record->side >= SIDE_COUNT ||
	    record->why >= CLOSE_REASON_COUNT || record->close_first > FIRST_SELF ||
	    record->control > 1 || !endpoint_sound(&record->local) ||
	    !endpoint_sound(&record->remote))
		return "a record has a value out of range";
	return NULL;
}

static void take_open(const struct record_context *context, const struct wire_record *record,
		      struct account account)
{
	bool opened;

	if (!conn_open(context->conns, context->owner, record, account, wire_now_ms(), &opened))
		return;
	if (opened)
		BOOK_ADD(context->book, account, opens, 1);
	if (record->close_first == FIRST_SELF)
		custody_other_end_opened(context->custody, &record->local, &record->remote);
}

/* How long a TIME_WAIT of ours may stay: TIME_WAIT_KEEP, or milliseconds. */
static int32_t time_wait_of(const struct wire_record *record, const struct conn *conn)
{
	switch (record->action) {
	case CLOSE_QUIET:
		return TIME_WAIT_NONE;
	case CLOSE_RETIRE:
		if (record->time_wait_ms < 0)
			return TIME_WAIT_NONE;
		return record->time_wait_ms < TIME_WAIT_MAX_MS ? record->time_wait_ms
							       : TIME_WAIT_MAX_MS;
	default:
		return conn && conn->retire ? conn->retire_ms : TIME_WAIT_KEEP;
	}
}

/* The record's word is enough here: the worst that a liar can do is end a TIME_WAIT, of a cookie
 * that it guessed, early. Live connections are never destroyed. */
static void book_time_wait(const struct record_context *context, const struct wire_record *record,
			   const struct conn *conn, struct account account, enum close_side side)
{
	int32_t time_wait_ms = time_wait_of(record, conn);
	bool quiet = record->action == CLOSE_QUIET;
	struct retire_item item = {
		.cookie = record->cookie,
		.local = record->local,
		.remote = record->remote,
		.account = account,
		.user = context->owner->user,
		.booked = quiet,
	};

	if (quiet || record->action == CLOSE_RESET || record->action == CLOSE_ABORT) {
		BOOK_ADD(context->book, account, time_wait_avoided, 1);
		if (!quiet || context->owner->process.other_netns)
			return;
	}
	if (time_wait_ms >= 0 && !context->owner->process.other_netns)
		retire_add(context->retire, &item,
			   quiet ? SIMULTANEOUS_MS : (uint32_t)time_wait_ms);
	else if (side == SIDE_US || side == SIDE_BOTH)
		BOOK_ADD(context->book, account, time_wait_left, 1);
}

/* Our FIN was the first, under a policy that would have the peer's. */
static void book_missed(const struct record_context *context, const struct wire_record *record,
			struct account account)
{
	if (record->close_first == FIRST_PEER && close_reason_missed(record->why))
		BOOK_ADD(context->book, account, missed[record->why], 1);
}

/* What an ordinary close() leaves, in the kernel's words (RFC 9293, 3.10.4); 0: nothing. */
static unsigned int state_after(const struct wire_record *record)
{
	if (record->action == CLOSE_RESET || record->action == CLOSE_ABORT || record->unread ||
	    (record->state == STATE_ESTABLISHED && record->side == SIDE_RESET))
		return 0;
	switch (record->state) {
	case STATE_ESTABLISHED:
	case STATE_SYN_RECV:
		return STATE_FIN_WAIT1;
	case STATE_CLOSE_WAIT:
		return STATE_LAST_ACK;
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
	case STATE_CLOSING:
	case STATE_LAST_ACK:
	case STATE_TIME_WAIT:
		return record->state;
	case STATE_CLOSE:
		/* Shut down before, and both FINs have passed: the TIME_WAIT is the kernel's
		 * already. */
		return record->side == SIDE_US ? STATE_TIME_WAIT : 0;
	default:
		return 0;
	}
}

/* From here on it is the kernel's. Of one that we did not hear of before, this process is the maker
 * all the same. */
static void closed(const struct record_context *context, const struct wire_record *record,
		   struct conn *conn, struct account account, enum close_side side)
{
	unsigned int state = state_after(record);
	bool opened;

	if (!conn && state && !conn_find(context->conns, record->cookie))
		conn = conn_open(context->conns, context->owner, record, account, wire_now_ms(),
				 &opened);
	if (!conn)
		return;
	conn->side = (uint8_t)side;
	conn->quiet = record->action == CLOSE_QUIET;
	conn->unread = record->unread;
	conn->unacked = record->unacked;
	if (record->rtt_us)
		conn->rtt_us = record->rtt_us;
	conn_end(context->conns, conn, state);
}

static void take_close(const struct record_context *context, const struct wire_record *record,
		       struct account account)
{
	struct conn *conn = conn_find(context->conns, record->cookie);
	enum close_side side = record->side;

	if (conn && !conn_speaks_for(conn, context->owner))
		conn = NULL; /* one of the two lies, maybe the other: it is booked, and no more */
	if (record->patience == PATIENCE_SPARED) {
		BOOK_ADD(context->book, account, outcomes[OUTCOME_NOT_WAITED], 1);
		if (conn)
			conn_count_outcome(context->conns, conn, OUTCOME_NOT_WAITED);
	}
	if (record->unread && record->action != CLOSE_HAND_OVER && context->cuts)
		cuts_note(context->cuts, &context->owner->process, record,
			  context->book->policy[account.policy].name, wire_now_ms());
	if (record->unread && record->action != CLOSE_HAND_OVER)
		BOOK_ADD(context->book, account, unread_bytes, record->unread);
	if (custody_program_closed(context->custody, context->client, record->cookie))
		return; /* it is booked when custody ends */
	book_missed(context, record, account);
	/* Custody of a deferred shutdown saw how it went; the program can't know. */
	if (conn && conn->side != SIDE_UNKNOWN)
		side = conn->side;
	BOOK_ADD(context->book, account, closes[side], 1);
	book_time_wait(context, record, conn, account, side);
	closed(context, record, conn, account, side);
}

/* It could not be received, so the kernel has closed it: our FIN was the first. */
static void book_lost(const struct record_context *context, const struct wire_record *record,
		      struct account account)
{
	struct conn *conn = conn_find(context->conns, record->cookie);

	if (record->type != WIRE_HAND_OVER)
		return;
	if (conn && !conn_speaks_for(conn, context->owner))
		conn = NULL;
	BOOK_ADD(context->book, account, closes[SIDE_US], 1);
	BOOK_ADD(context->book, account, time_wait_left, 1);
	if (conn)
		conn_end(context->conns, conn, STATE_FIN_WAIT1);
}

const char *record_take(const struct record_context *context, const struct wire_record *record,
			int fd, bool fd_lost)
{
	const char *problem = record_problem(record);
	struct account account;
	struct conn *conn;

	if (problem)
		return problem;
	if (carries_fd(record->type) != (fd >= 0 || fd_lost))
		return fd < 0 ? "a record lacks its descriptor" : "a record carries a descriptor";
	account = (struct account){
		.policy = book_policy_slot(context->book, record->policy),
		.control = record->control,
		.tag = context->tag,
	};
	context->book->records[record->type]++;
	switch (record->type) {
	case WIRE_OPEN:
		take_open(context, record, account);
		break;
	case WIRE_CLOSE:
		take_close(context, record, account);
		break;
	case WIRE_LET_GO:
		book_missed(context, record, account);
		conn = conn_find(context->conns, record->cookie);
		if (conn)
			conn_let_go(context->conns, conn, context->owner);
		break;
	default:
		if (fd < 0)
			book_lost(context, record, account);
		else
			custody_take(context->custody, context->client, record, account, fd);
	}
	return NULL;
}
