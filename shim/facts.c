/* SPDX-License-Identifier: MIT */
#include "shim/facts.h"

#include "common/tcp_state.h"
#include "shim/apply.h"
#include "shim/channel.h"
#include "shim/raw.h"
#include "shim/rules.h"
#include "shim/sock.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

/* O_ASYNC: SIGIO would carry the dead number. A ULP (kTLS) has records of its own to send, and
 * after TCP_REPAIR nothing is to be sent. */
static bool is_unsafe(const struct closing *c)
{
	long flags;

	if (c->word & (SLOT_EPOLL_LOST | SLOT_ULP))
		return true;
	flags = raw(SYS_fcntl, c->fd, F_GETFL);
	return flags < 0 || flags & O_ASYNC;
}

bool facts_state(struct closing *c)
{
	struct tcp_info info = {0};
	/* Up to what we look at. A kernel that knows less (before Linux 4.6) leaves the rest. */
	socklen_t len = offsetof(struct tcp_info, tcpi_data_segs_out);
	uint32_t idle;

	if (raw(SYS_getsockopt, c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return false;
	idle = info.tcpi_last_data_sent < info.tcpi_last_data_recv ? info.tcpi_last_data_sent
								   : info.tcpi_last_data_recv;
	c->facts.state = info.tcpi_state;
	c->facts.idle_ms = idle;
	c->facts.rtt_us = info.tcpi_rtt;
	c->recv_idle_ms = info.tcpi_last_data_recv;
	c->late = idle >= WIRE_LATE_MS || info.tcpi_data_segs_in > WIRE_LATE_SEGS;
	c->unsent = len < offsetof(struct tcp_info, tcpi_data_segs_out) || info.tcpi_notsent_bytes;
	return true;
}

/* Does the daemon know that nobody is worth waiting for here? Then only every so often. */
static enum wire_patience patience_of(const struct closing *c)
{
	static _Atomic uint32_t turn;
	bool server = c->word & SLOT_SERVER;
	uint16_t port = server ? c->info.local.port : c->info.remote.port;
	unsigned int hint;

	if (!c->terms.grace_learn)
		return PATIENCE_ASKED;
	hint = rules_hint(c->policy, server ? ROLE_SERVER : ROLE_CLIENT, port);
	if (c->late ? hint & HINT_LATE_PAYS : !(hint & HINT_PROMPT_VAIN))
		return PATIENCE_ASKED;
	if (hint & (c->late ? HINT_LATE_RESTS : HINT_PROMPT_RESTS))
		return PATIENCE_SPARED;
	return atomic_fetch_add(&turn, 1) % WIRE_PROBE == WIRE_PROBE - 1 ? PATIENCE_PROBED
									 : PATIENCE_SPARED;
}

static bool may_have_unread(const struct closing *c)
{
	return c->facts.state == STATE_ESTABLISHED || c->facts.state == STATE_CLOSE_WAIT;
}

static void find_policy(struct closing *c)
{
	if (c->policy_known)
		return;
	c->policed = publish_find(c->word, c->cookie, &c->info, &c->terms, &c->policy);
	c->has_policy = c->policed == POLICED_STEERED;
	c->policy_known = true;
}

/* As apply_opened() did: nothing is left to be set, and nothing to be taken back. */
static bool is_quiet_as_wanted(const struct closing *c)
{
	return apply_wants_quiet(c->has_policy ? &c->terms : NULL, c->word) ==
	       !!(c->word & SLOT_QUIET);
}

bool facts_may_be_brief(struct closing *c)
{
	const uint32_t elaborate = SLOT_DEFERRED | SLOT_SHUT_FIRST | SLOT_SHUT_LATER |
				   SLOT_INHERITED | SLOT_SHARED | SLOT_ULP | SLOT_LOWAT;

	if (c->word & elaborate)
		return false;
	find_policy(c);
	return is_quiet_as_wanted(c) && (!c->has_policy || (c->terms.close_first == FIRST_APP &&
							    c->terms.linger == LINGER_APP));
}

/* As libc's poll() has it, for that is what filters know. */
static long poll_now(struct pollfd *pfd)
{
#ifdef SYS_poll
	return raw(SYS_poll, pfd, 1, 0);
#else
	static const struct timespec at_once;

	return raw(SYS_ppoll, pfd, 1, &at_once, NULL, 0);
#endif
}

/* In SYN_SENT, with a full queue, or when anything came that was not read, its answer is another
 * (tcp_poll() in net/ipv4/tcp.c). */
bool facts_brief(struct closing *c)
{
	struct pollfd pfd = {.fd = c->fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP};

	if (poll_now(&pfd) != 1 || pfd.revents != POLLOUT)
		return false;
	c->facts.state = STATE_ESTABLISHED;
	c->facts.app_linger = c->word & SLOT_APP_LINGER;
	return true;
}

/* Asks the kernel only what this policy will want to know; and of the last holder's close, whether
 * it throws unread data away, for then the kernel sends RST. */
bool facts_gather(struct closing *c)
{
	const struct policy_terms *t = &c->terms;

	if (!facts_state(c))
		return false;
	find_policy(c);
	/* What was set through another descriptor, this one's slot does not know. */
	if (c->facts.sole_owner && c->word & SLOT_SHARED)
		c->word = (c->word & ~(uint32_t)(SLOT_APP_LINGER | SLOT_ULP)) | sock_options(c->fd);
	c->facts.app_linger = c->word & SLOT_APP_LINGER;
	c->facts.deferred = c->word & SLOT_DEFERRED;
	c->facts.ended = c->facts.state == STATE_CLOSE &&
			 !(c->word & (SLOT_SHUT_FIRST | SLOT_SHARED | SLOT_INHERITED));
	if (c->facts.sole_owner && may_have_unread(c))
		c->facts.unread = sock_queued(c->fd, SIOCINQ);
	if (!c->has_policy || !c->facts.sole_owner)
		return true;
	if (c->facts.state == STATE_ESTABLISHED && t->close_first == FIRST_PEER) {
		c->patience = patience_of(c);
		c->facts.vain = c->patience == PATIENCE_SPARED;
		if (!c->facts.vain) {
			c->facts.unsafe = is_unsafe(c);
			c->facts.daemon_ready = channel_ready();
		}
	}
	if (c->facts.state == STATE_CLOSE_WAIT && t->peer_time_wait == PEER_TW_NONE)
		c->facts.unacked = sock_queued(c->fd, SIOCOUTQ);
	return true;
}

/* The program's own SO_LINGER {1,0}: its close() sends RST. */
static bool aborts(const struct closing *c)
{
	struct linger linger;
	socklen_t len = sizeof(linger);

	return c->facts.app_linger && !(c->has_policy && c->terms.linger != LINGER_APP) &&
	       raw(SYS_getsockopt, c->fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
	       linger.l_onoff && linger.l_linger == 0;
}

enum close_side facts_side(const struct closing *c, enum close_action action)
{
	switch (c->facts.state) {
	case STATE_ESTABLISHED:
		if (action == CLOSE_HAND_OVER || action == CLOSE_DEFER || c->facts.deferred)
			return SIDE_UNKNOWN;
		return action == CLOSE_ABORT || c->facts.unread || aborts(c) ? SIDE_RESET : SIDE_US;
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
		return SIDE_US;
	case STATE_CLOSING:
		return SIDE_BOTH;
	case STATE_CLOSE_WAIT:
	case STATE_LAST_ACK:
		return SIDE_PEER;
	case STATE_CLOSE:
		if (c->word & SLOT_SHUT_FIRST)
			return SIDE_US;
		return c->word & SLOT_SHUT_LATER ? SIDE_PEER : SIDE_RESET;
	default:
		return SIDE_UNKNOWN;
	}
}

bool facts_recall(struct closing *c, int fd, struct slot *slot, uint32_t word)
{
	if ((word & SLOT_KIND) != SLOT_CONN)
		return false;
	memset(&c->facts, 0, sizeof(c->facts));
	c->patience = PATIENCE_ASKED;
	c->obstacle = WHY_STATE;
	c->fd = fd;
	c->word = word;
	c->slot = slot;
	c->cookie = atomic_load(&slot->cookie);
	slot_load_info(slot, &c->info);
	c->policy_known = false;
	c->recv_idle_ms = 0;
	c->late = c->unsent = false;
	return true;
}

bool facts_is_same(const struct closing *c)
{
	return sock_cookie(c->fd) == c->cookie;
}

bool facts_init(struct closing *c, int fd, struct slot *slot, uint32_t word)
{
	return facts_recall(c, fd, slot, word) && facts_is_same(c);
}
