/* SPDX-License-Identifier: MIT */
/* Order of a steered close: facts, decide, (slot is cleared), out of the epoll sets, push what is
 * corked, hand over; the wrapper then closes. What fails on the way ends as the policy's end of
 * grace would, and in any doubt as libc would have done. */
#include "shim/steer.h"

#include "common/close_decide.h"
#include "common/tcp_state.h"
#include "common/wire.h"
#include "shim/apply.h"
#include "shim/channel.h"
#include "shim/clock.h"
#include "shim/facts.h"
#include "shim/holders.h"
#include "shim/libc.h"
#include "shim/process.h"
#include "shim/publish.h"
#include "shim/raw.h"
#include "shim/sets.h"
#include "shim/share.h"
#include "shim/slots.h"
#include "shim/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

/* At exit: no more than so many hand-overs, and no longer than so long. */
enum { EXIT_MAX = 256, EXIT_MS = 50 };

/* --- opening ---------------------------------------------------------------------------------- */

void steer_opened(int fd, uint32_t flags, unsigned int state, const struct endpoint *local,
		  const struct endpoint *remote, struct fork_mark mark)
{
	struct slot_info info = {.remote = *remote};
	uint64_t cookie = sock_cookie(fd);
	struct policy_terms terms;
	uint32_t word = SLOT_CONN | flags;
	bool found;

	if (!cookie || !slot_ready(fd))
		return;
	if (local)
		info.local = *local;
	else
		sock_local(fd, &info.local);
	holder_create(cookie, flags & SLOT_SERVER);
	/* A client's socket may be in epoll sets already; an accepted one cannot. */
	slot_fill(fd, word, cookie, &info, !(flags & SLOT_SERVER));
	if (share_copied_since(fd, mark) || flags & SLOT_SHARED)
		holder_pin(cookie);
	found = publish_open(fd, word, cookie, state, &info, &terms);
	apply_opened(fd, word, found ? &terms : NULL);
}

static void fill_record(const struct closing *c, struct wire_record *record, enum wire_type type,
			enum close_action action)
{
	record_init(record, c->fd, c->word, c->cookie, &c->info);
	record_policy(record, c->policed, &c->terms, c->policy);
	record->type = (uint8_t)type;
	record->state = c->facts.state;
	record->action = (uint8_t)action;
	record->side = (uint8_t)facts_side(c, action);
	record->unread = c->facts.unread;
	record->unacked = c->facts.unacked;
	record->idle_ms = c->recv_idle_ms;
	record->late = c->late;
	record->patience = (uint8_t)c->patience;
	record->rtt_us = c->facts.rtt_us;
	record->why = (uint8_t)c->obstacle;
}

static void publish(const struct closing *c, enum wire_type type, enum close_action action)
{
	struct wire_record record;

	fill_record(c, &record, type, action);
	channel_publish(&record);
}

/* Why its FIN was or will be the first one, though the policy would have the peer's. */
static enum close_reason obstacle_of(const struct closing *c)
{
	enum close_reason why = close_obstacle(c->has_policy ? &c->terms : NULL, &c->facts);
	enum close_reason shut = (enum close_reason)(c->word >> SLOT_SHUT_WHY);

	if (why != WHY_SHUT)
		return why;
	if (facts_side(c, CLOSE_PASS) == SIDE_RESET)
		return WHY_STATE;
	return close_reason_missed(shut) ? shut : why;
}

/* --- doing it --------------------------------------------------------------------------------- */

/* It was to be a quiet close when it was opened; now it is to be the program's. It matters until
 * our FIN is acknowledged. */
static void unquiet(const struct closing *c)
{
	unsigned int state = c->facts.state;

	if (c->word & SLOT_QUIET && (state == STATE_ESTABLISHED || state == STATE_FIN_WAIT1 ||
				     state == STATE_FIN_WAIT2 || state == STATE_SYN_SENT))
		set_tcp_option(c->fd, TCP_LINGER2, 0);
}

static bool hand_over(const struct closing *c, enum wire_type type, enum close_action action,
		      int how)
{
	struct wire_record record;

	/* close() would push what TCP_CORK, MSG_MORE and Nagle hold back; held, it would sit. */
	if (c->unsent)
		set_tcp_option(c->fd, TCP_NODELAY, 1);
	unquiet(c);
	fill_record(c, &record, type, action);
	record.how = (uint8_t)how;
	return channel_send_fd(&record, c->fd);
}

/* What is left when it can't be handed over: as at the end of grace. */
static enum close_action ending_without_daemon(const struct closing *c)
{
	struct close_facts facts = c->facts;

	facts.daemon_ready = false;
	return close_decide(&c->terms, &facts, NULL);
}

static void do_local(const struct closing *c, enum close_action action)
{
	if (action != CLOSE_QUIET)
		unquiet(c);
	switch (action) {
	case CLOSE_QUIET:
		if (!(c->word & SLOT_QUIET))
			set_tcp_option(c->fd, TCP_LINGER2, -1);
		break;
	case CLOSE_RESET:
	case CLOSE_ABORT:
		set_linger(c->fd, 1, 0);
		break;
	case CLOSE_LINGER:
		set_linger(c->fd, 1, (int)c->terms.linger_s);
		break;
	default:
		break;
	}
}

/* The daemon has a duplicate, or, with close-first = self, may be taking one to shut it down. */
static bool has_duplicate(const struct closing *c)
{
	return c->facts.deferred || (c->has_policy && c->terms.close_first == FIRST_SELF);
}

/* The daemon's duplicate keeps the file alive: the program is to hear nothing more of it, neither
 * from an epoll set nor by SIGIO. */
static void silence(const struct closing *c)
{
	long flags = raw(SYS_fcntl, c->fd, F_GETFL);

	sets_leave(c->slot, c->fd);
	if (flags >= 0 && flags & O_ASYNC)
		raw(SYS_fcntl, c->fd, F_SETFL, flags & ~O_ASYNC);
}

/* True: it was handed over. */
static bool steer(struct closing *c)
{
	enum close_action action;

	if (c->has_policy && c->facts.sole_owner && c->terms.linger == LINGER_OFF &&
	    c->facts.app_linger)
		set_linger(c->fd, 0, 0);
	action = close_decide(c->has_policy ? &c->terms : NULL, &c->facts, NULL);
	c->obstacle = obstacle_of(c);
	if (action == CLOSE_HAND_OVER) {
		bool left = sets_leave(c->slot, c->fd);

		if (left && hand_over(c, WIRE_HAND_OVER, action, 0))
			return true;
		c->obstacle = left ? WHY_NO_DAEMON : WHY_UNSAFE;
		action = ending_without_daemon(c);
	}
	do_local(c, action);
	if (has_duplicate(c))
		silence(c);
	publish(c, WIRE_CLOSE, action);
	return false;
}

/* Of our own holders and those of a fork that is under way and did not see us. */
static bool let_go(const struct closing *c, struct fork_mark mark)
{
	if (share_copied_since(c->fd, mark))
		holder_pin(c->cookie);
	return holder_release(c->cookie);
}

/* The table of holders has lost it, but this number was never duplicated, passed on or forked. */
static bool is_own_number(const struct closing *c, struct fork_mark mark)
{
	return !(c->word & (SLOT_SHARED | SLOT_INHERITED)) && !share_copied_since(c->fd, mark);
}

/* A duplicate that is closed while in an epoll set can't be taken out of it any more. */
static void pin_if_in_sets(const struct closing *c)
{
	if (!holder_is_sole(c->cookie) && sets_known_here(c->slot, c->word))
		holder_pin(c->cookie);
}

/* brief: it was not asked yet whether it is the same. */
static bool gather(struct closing *c, bool brief)
{
	if (brief && c->facts.sole_owner && facts_brief(c))
		return true;
	return (!brief || facts_is_same(c)) && facts_gather(c);
}

void steer_closing(int fd)
{
	struct slot *slot = slot_at(fd);
	struct fork_mark mark;
	struct closing c;
	int saved = errno;
	bool brief, counted;

	if (!slot || !process_enter())
		return;
	fork_closing();
	mark = fork_mark();
	if (!facts_recall(&c, fd, slot, slot_claim(slot)))
		goto out;
	brief = facts_may_be_brief(&c);
	if (!brief && !facts_is_same(&c))
		goto out;
	pin_if_in_sets(&c);
	counted = holder_is_counted(c.cookie);
	c.facts.sole_owner = let_go(&c, mark);
	if (!gather(&c, brief))
		goto out;
	if (!c.facts.sole_owner) {
		/* While all holders are known, the last one's close is the one to speak of. */
		c.obstacle =
			counted || c.facts.state != STATE_ESTABLISHED ? WHY_STATE : obstacle_of(&c);
		if (!counted)
			unquiet(&c); /* the last close may be a stranger's */
		if (has_duplicate(&c) && is_own_number(&c, mark))
			silence(&c);
		publish(&c, WIRE_LET_GO, CLOSE_PASS);
	} else if (steer(&c)) {
		fork_closing_handed_over();
		errno = saved;
		return;
	}
out:
	fork_closing_done();
	errno = saved;
}

void steer_closed(void)
{
	fork_closed();
}

void steer_closing_range(unsigned int first, unsigned int last)
{
	unsigned int high = (unsigned int)slots_high();

	for (unsigned int fd = first; fd < high && fd <= last; fd++)
		if (slot_kind((int)fd) != SLOT_CHANNEL && slot_word((int)fd))
			steer_closing((int)fd);
}

/* --- shutdown --------------------------------------------------------------------------------- */

_Atomic bool steer_defers;

/* The program's own shutdown, and what it makes of the close side. */
static int pass_shutdown(int fd, int how, unsigned int state, enum close_reason why)
{
	int result = libc.shutdown(fd, how);

	if (result == 0 && state == STATE_ESTABLISHED)
		slot_set_flag(fd, SLOT_SHUT_FIRST | (uint32_t)why << SLOT_SHUT_WHY);
	else if (result == 0 && state == STATE_CLOSE_WAIT)
		slot_set_flag(fd, SLOT_SHUT_LATER);
	return result;
}

static bool defer(const struct closing *c, int how)
{
	if (!c->facts.deferred && !hand_over(c, WIRE_DEFER, CLOSE_DEFER, how))
		return false;
	slot_set_flag(c->fd, SLOT_DEFERRED);
	atomic_store(&steer_defers, true);
	/* Shutting the reading half sends nothing, and wakes who reads. */
	if (how == SHUT_RDWR)
		raw(SYS_shutdown, c->fd, SHUT_RD);
	return true;
}

int steer_shutdown(int fd, int how)
{
	struct slot *slot = slot_at(fd);
	enum close_reason why;
	struct closing c;
	int saved = errno;

	if (!slot || (how != SHUT_WR && how != SHUT_RDWR) || !process_enter() ||
	    !facts_init(&c, fd, slot, atomic_load(&slot->word)))
		goto pass;
	c.facts.sole_owner = holder_is_counted(c.cookie);
	if (!facts_gather(&c))
		goto pass;
	errno = saved;
	if (shutdown_decide(c.has_policy ? &c.terms : NULL, &c.facts, &why) == CLOSE_DEFER) {
		if (defer(&c, how))
			return 0;
		why = WHY_NO_DAEMON;
	}
	return pass_shutdown(fd, how, c.facts.state, why);
pass:
	errno = saved;
	return libc.shutdown(fd, how);
}

/* --- disconnecting -----------------------------------------------------------------------------
 */

/* Its holders stay counted as they were. */
int steer_disconnect(const struct libc_calls *next, int fd, const struct sockaddr *addr,
		     socklen_t len)
{
	struct slot *slot = slot_at(fd);
	struct wire_record record;
	struct closing c;
	int saved = errno, result;
	bool known = slot && facts_init(&c, fd, slot, atomic_load(&slot->word)) && facts_gather(&c);

	errno = saved;
	result = next->connect(fd, addr, len);
	/* Of a deferred shutdown the daemon sees the end itself. */
	if (result == 0 && known && !c.facts.deferred) {
		fill_record(&c, &record, WIRE_CLOSE, CLOSE_PASS);
		if (c.facts.state != STATE_CLOSE)
			record.side = SIDE_RESET;
		channel_publish(&record);
	}
	return result;
}

bool steer_is_shut(int fd)
{
	struct slot *slot = slot_at(fd);
	struct closing c;
	int saved = errno;
	bool shut;

	if (!slot || !(slot_word(fd) & SLOT_DEFERRED) || !process_is_on())
		return false;
	shut = facts_init(&c, fd, slot, atomic_load(&slot->word)) && facts_state(&c) &&
	       (c.facts.state == STATE_ESTABLISHED || c.facts.state == STATE_CLOSE_WAIT);
	errno = saved;
	return shut;
}

/* --- exit ------------------------------------------------------------------------------------- */

/* Nothing is closed here: stdio has yet to flush, and the kernel closes soon. The program's epoll
 * sets end with it, unless a fork may have shared them. */
static void exit_one(struct closing *c)
{
	enum close_action action = close_decide(c->has_policy ? &c->terms : NULL, &c->facts, NULL);
	bool left = true;

	if (action == CLOSE_HAND_OVER || c->facts.deferred)
		left = sets_leave(c->slot, c->fd) || !fork_seen();
	c->obstacle = obstacle_of(c);
	if (action == CLOSE_HAND_OVER) {
		if (left && hand_over(c, WIRE_AT_EXIT, action, 0))
			return;
		c->obstacle = left ? WHY_NO_DAEMON : WHY_UNSAFE;
		action = ending_without_daemon(c);
	}
	if (action == CLOSE_QUIET)
		do_local(c, action);
	else
		unquiet(c);
	if (action != CLOSE_QUIET && action != CLOSE_RETIRE)
		action = CLOSE_PASS; /* a reset would take along what stdio has yet to flush */
	publish(c, WIRE_CLOSE, action);
}

void steer_exiting(void)
{
	struct fork_mark mark = fork_mark();
	int high = slots_high(), done = 0;
	uint64_t start;

	if (!process_enter())
		return;
	start = clock_now_ms();
	for (int fd = 0; fd < high && done < EXIT_MAX; fd++) {
		struct slot *slot;
		struct closing c;

		if (slot_kind(fd) != SLOT_CONN)
			continue;
		slot = slot_at(fd);
		if (!facts_init(&c, fd, slot, slot_claim(slot)))
			continue;
		pin_if_in_sets(&c);
		c.facts.sole_owner = let_go(&c, mark);
		if (clock_now_ms() - start > EXIT_MS || !facts_gather(&c))
			continue;
		done++;
		if (c.facts.sole_owner)
			exit_one(&c);
		else
			publish(&c, WIRE_LET_GO, CLOSE_PASS);
	}
}
