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
#include "shim/libc.h"
#include "shim/process.h"
#include "shim/publish.h"
#include "shim/raw.h"
#include "shim/rules.h"
#include "shim/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* At exit: no more than so many hand-overs, and no longer than so long. */
enum { EXIT_MAX = 256, EXIT_MS = 50 };

/* A fork child tells the daemon of so many inherited connections at once. */
enum { TELL_AT_ONCE = 8 };

/* A connection that is being closed or shut down. */
struct closing {
	int fd;
	uint32_t word;
	uint64_t cookie;
	struct slot *slot;
	struct slot_info info;
	struct policy_terms terms;
	uint32_t policy;
	bool has_policy;
	struct close_facts facts;
	uint32_t recv_idle_ms;
	bool late;   /* see enum wire_hint */
	bool unsent; /* corked, or held back by Nagle or MSG_MORE */
	enum wire_patience patience;
};

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (raw(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) != 0)
		return 0;
	return cookie;
}

bool steer_local(int fd, struct endpoint *out)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (raw(SYS_getsockname, fd, &addr, &len) != 0)
		return false;
	*out = endpoint_from_sockaddr((struct sockaddr *)&addr, len);
	return true;
}

uint32_t steer_options(int fd)
{
	struct linger linger;
	char name[16] = "";
	socklen_t linger_len = sizeof(linger), name_len = sizeof(name);
	uint32_t flags = 0;

	if (raw(SYS_getsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, &linger_len) == 0 &&
	    linger.l_onoff)
		flags |= SLOT_APP_LINGER;
	if (raw(SYS_getsockopt, fd, IPPROTO_TCP, TCP_ULP, name, &name_len) == 0 && name_len > 0 &&
	    name[0])
		flags |= SLOT_ULP;
	return flags;
}

/* --- opening ---------------------------------------------------------------------------------- */

void steer_opened(int fd, uint32_t flags, const struct endpoint *local,
		  const struct endpoint *remote, struct fork_mark mark)
{
	struct slot_info info = {.remote = *remote};
	uint64_t cookie = cookie_of(fd);
	struct policy_terms terms;
	uint32_t policy, word = SLOT_CONN | flags;

	if (!cookie || !slot_at(fd))
		return;
	if (local)
		info.local = *local;
	else
		steer_local(fd, &info.local);
	holder_create(cookie, flags & SLOT_SERVER);
	/* A client's socket may be in epoll sets already; an accepted one cannot. */
	slot_fill(fd, word, cookie, &info, !(flags & SLOT_SERVER));
	if (fork_mark_passed(mark) || flags & SLOT_SHARED)
		holder_pin(cookie);
	if (publish_find(word, &info, &terms, &policy))
		apply_opened(fd, &terms);
	publish_open(fd, word, cookie, &info);
}

/* --- facts ------------------------------------------------------------------------------------ */

static uint32_t queue_bytes(int fd, unsigned long request)
{
	int bytes = 0;

	return raw(SYS_ioctl, fd, request, &bytes) == 0 && bytes > 0 ? (uint32_t)bytes : 0;
}

/* O_ASYNC: SIGIO would carry the dead number. A ULP (kTLS) has records of its own to send. */
static bool is_unsafe(const struct closing *c)
{
	long flags;

	if (c->word & (SLOT_EPOLL_LOST | SLOT_ULP))
		return true;
	flags = raw(SYS_fcntl, c->fd, F_GETFL);
	return flags < 0 || flags & O_ASYNC;
}

static bool read_tcp_info(struct closing *c)
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
	return atomic_fetch_add(&turn, 1) % WIRE_PROBE == WIRE_PROBE - 1 ? PATIENCE_PROBED
									 : PATIENCE_SPARED;
}

static bool may_have_unread(const struct closing *c)
{
	return c->facts.state == STATE_ESTABLISHED || c->facts.state == STATE_CLOSE_WAIT;
}

/* Asks the kernel only what this policy will want to know; and of the last holder's close, whether
 * it throws unread data away, for then the kernel sends RST. */
static bool gather(struct closing *c)
{
	const struct policy_terms *t = &c->terms;

	if (!read_tcp_info(c))
		return false;
	c->has_policy = publish_find(c->word, &c->info, &c->terms, &c->policy);
	/* What was set through another descriptor, this one's slot does not know. */
	if (c->facts.sole_owner && c->word & SLOT_SHARED)
		c->word =
			(c->word & ~(uint32_t)(SLOT_APP_LINGER | SLOT_ULP)) | steer_options(c->fd);
	c->facts.app_linger = c->word & SLOT_APP_LINGER;
	c->facts.deferred = c->word & SLOT_DEFERRED;
	if (c->facts.sole_owner && may_have_unread(c))
		c->facts.unread = queue_bytes(c->fd, SIOCINQ);
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
		c->facts.unacked = queue_bytes(c->fd, SIOCOUTQ);
	return true;
}

/* Which end closed first, as far as it can be known before our close. */
static enum close_side side_of(const struct closing *c, enum close_action action)
{
	switch (c->facts.state) {
	case STATE_ESTABLISHED:
		if (action == CLOSE_HAND_OVER || action == CLOSE_DEFER || c->facts.deferred)
			return SIDE_UNKNOWN;
		return action == CLOSE_ABORT || c->facts.unread ? SIDE_RESET : SIDE_US;
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

static void fill_record(const struct closing *c, struct wire_record *record, enum wire_type type,
			enum close_action action)
{
	record_init(record, c->fd, c->word, c->cookie, &c->info);
	if (c->has_policy)
		record_terms(record, &c->terms, c->policy);
	record->type = (uint8_t)type;
	record->state = c->facts.state;
	record->action = (uint8_t)action;
	record->side = (uint8_t)side_of(c, action);
	record->unread = c->facts.unread;
	record->unacked = c->facts.unacked;
	record->idle_ms = c->recv_idle_ms;
	record->late = c->late;
	record->patience = (uint8_t)c->patience;
	record->rtt_us = c->facts.rtt_us;
}

static void publish(const struct closing *c, enum wire_type type, enum close_action action)
{
	struct wire_record record;

	fill_record(c, &record, type, action);
	channel_publish(&record);
}

/* --- doing it --------------------------------------------------------------------------------- */

/* A held socket stays in its epoll sets and would go on firing with a stale pointer. A set that
 * does not know it any more means that we do not know where it is. */
static bool leave_epoll(const struct closing *c)
{
	bool left = true;

	for (int i = 0; i < SLOT_SETS; i++) {
		int epfd = atomic_load(&c->slot->set[i]) - 1;

		if (epfd >= 0 && raw(SYS_epoll_ctl, epfd, EPOLL_CTL_DEL, c->fd, NULL) != 0)
			left = false;
	}
	return left;
}

static bool in_epoll(const struct slot *slot)
{
	for (int i = 0; i < SLOT_SETS; i++)
		if (atomic_load(&slot->set[i]))
			return true;
	return false;
}

static bool hand_over(const struct closing *c, enum wire_type type, enum close_action action,
		      int how)
{
	struct wire_record record;

	/* close() would push what TCP_CORK, MSG_MORE and Nagle hold back; held, it would sit. */
	if (c->unsent)
		set_tcp_option(c->fd, TCP_NODELAY, 1);
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
	switch (action) {
	case CLOSE_QUIET:
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

static void steer(const struct closing *c)
{
	enum close_action action;

	if (c->has_policy && c->facts.sole_owner && c->terms.linger == LINGER_OFF &&
	    c->facts.app_linger)
		set_linger(c->fd, 0, 0);
	action = close_decide(c->has_policy ? &c->terms : NULL, &c->facts, NULL);
	if (action == CLOSE_HAND_OVER) {
		if (leave_epoll(c) && hand_over(c, WIRE_HAND_OVER, action, 0))
			return;
		action = ending_without_daemon(c);
	}
	do_local(c, action);
	if (c->facts.deferred)
		leave_epoll(c); /* the daemon's duplicate keeps the file alive */
	publish(c, WIRE_CLOSE, action);
}

/* Fills in what is known of a tracked connection; the slot may be claimed (cleared) or not. */
static bool closing_init(struct closing *c, int fd, struct slot *slot, uint32_t word)
{
	if ((word & SLOT_KIND) != SLOT_CONN)
		return false;
	memset(&c->facts, 0, sizeof(c->facts));
	c->patience = PATIENCE_ASKED;
	c->fd = fd;
	c->word = word;
	c->slot = slot;
	c->cookie = atomic_load(&slot->cookie);
	slot_load_info(slot, &c->info);
	return cookie_of(fd) == c->cookie;
}

void steer_closing(int fd)
{
	struct slot *slot = slot_at(fd);
	struct closing c;
	int saved = errno;

	if (!slot || !process_enter())
		return;
	if (!closing_init(&c, fd, slot, slot_claim(slot)))
		goto out;
	/* A duplicate that is closed while in an epoll set can't be taken out of it any more. */
	if (!holder_is_sole(c.cookie) && in_epoll(slot))
		holder_pin(c.cookie);
	c.facts.sole_owner = holder_release(c.cookie);
	if (!gather(&c))
		goto out;
	if (c.facts.sole_owner)
		steer(&c);
	else
		publish(&c, WIRE_LET_GO, CLOSE_PASS);
out:
	errno = saved;
}

void steer_closing_range(unsigned int first, unsigned int last)
{
	unsigned int high = (unsigned int)slots_high();

	for (unsigned int fd = first; fd < high && fd <= last; fd++)
		if (slot_kind((int)fd) != SLOT_CHANNEL && slot_word((int)fd))
			steer_closing((int)fd);
}

/* --- shutdown --------------------------------------------------------------------------------- */

/* The program's own shutdown, and what it makes of the close side. */
static int pass_shutdown(int fd, int how, unsigned int state)
{
	int result = libc.shutdown(fd, how);

	if (result == 0 && state == STATE_ESTABLISHED)
		slot_set_flag(fd, SLOT_SHUT_FIRST);
	else if (result == 0 && state == STATE_CLOSE_WAIT)
		slot_set_flag(fd, SLOT_SHUT_LATER);
	return result;
}

static bool defer(const struct closing *c, int how)
{
	if (!c->facts.deferred && !hand_over(c, WIRE_DEFER, CLOSE_DEFER, how))
		return false;
	slot_set_flag(c->fd, SLOT_DEFERRED);
	/* Shutting the reading half sends nothing, and wakes who reads. */
	if (how == SHUT_RDWR)
		raw(SYS_shutdown, c->fd, SHUT_RD);
	return true;
}

int steer_shutdown(int fd, int how)
{
	struct slot *slot = slot_at(fd);
	struct closing c;
	int saved = errno;

	if (!slot || (how != SHUT_WR && how != SHUT_RDWR) || !process_enter() ||
	    !closing_init(&c, fd, slot, atomic_load(&slot->word)))
		goto pass;
	c.facts.sole_owner = holder_is_counted(c.cookie);
	if (!gather(&c))
		goto pass;
	errno = saved;
	if (shutdown_decide(c.has_policy ? &c.terms : NULL, &c.facts, NULL) == CLOSE_DEFER &&
	    defer(&c, how))
		return 0;
	return pass_shutdown(fd, how, c.facts.state);
pass:
	errno = saved;
	return libc.shutdown(fd, how);
}

/* --- exit ------------------------------------------------------------------------------------- */

/* Nothing is closed here: stdio has yet to flush, and the kernel closes soon. */
static void exit_one(const struct closing *c)
{
	enum close_action action = close_decide(c->has_policy ? &c->terms : NULL, &c->facts, NULL);

	if (action == CLOSE_HAND_OVER) {
		if (hand_over(c, WIRE_AT_EXIT, action, 0))
			return;
		action = ending_without_daemon(c);
	}
	if (action == CLOSE_QUIET)
		do_local(c, action);
	else if (action != CLOSE_RETIRE)
		action = CLOSE_PASS; /* a reset would take along what stdio has yet to flush */
	publish(c, WIRE_CLOSE, action);
}

void steer_exiting(void)
{
	uint64_t start = wire_now_ms();
	int high = slots_high(), done = 0;

	if (!process_enter())
		return;
	for (int fd = 0; fd < high && done < EXIT_MAX; fd++) {
		struct slot *slot;
		struct closing c;

		if (slot_kind(fd) != SLOT_CONN)
			continue;
		slot = slot_at(fd);
		if (!closing_init(&c, fd, slot, slot_claim(slot)))
			continue;
		c.facts.sole_owner = holder_release(c.cookie);
		if (wire_now_ms() - start > EXIT_MS || !gather(&c))
			continue;
		done++;
		if (c.facts.sole_owner)
			exit_one(&c);
		else
			publish(&c, WIRE_LET_GO, CLOSE_PASS);
	}
}

/* --- sharing ---------------------------------------------------------------------------------- */

static uint64_t tracked_cookie(int fd)
{
	struct slot *slot = slot_at(fd);

	return slot && slot_kind(fd) == SLOT_CONN ? atomic_load(&slot->cookie) : 0;
}

/* A socket that is not connected yet is not counted: it is only known to be shared. */
struct fork_mark steer_duplicating(int from)
{
	struct fork_mark mark = fork_mark();
	uint64_t cookie = tracked_cookie(from);

	if (process_is_on()) {
		slot_set_flag(from, SLOT_SHARED);
		if (cookie)
			holder_share(cookie);
	}
	return mark;
}

void steer_duplicated(int from, int made, struct fork_mark mark)
{
	struct slot *slot = slot_at(from);
	uint64_t cookie = tracked_cookie(from);
	struct slot_info info;
	uint32_t word;
	int saved = errno;

	if (made < 0) {
		if (cookie)
			holder_unshare(cookie);
	} else if (slot && process_enter() && made != from) {
		word = slot_word(from) & ~(uint32_t)SLOT_EPOLL_LOST;
		slot_load_info(slot, &info);
		if (word)
			slot_fill(made, word, atomic_load(&slot->cookie), &info, false);
		if (cookie && fork_mark_passed(mark))
			holder_pin(cookie); /* the fork may have copied it before we filed it */
	}
	errno = saved;
}

void steer_epoll(int epfd, int op, int fd)
{
	struct slot *slot = slot_at(fd);
	int32_t wanted = op == EPOLL_CTL_ADD ? 0 : epfd + 1;
	int32_t value = op == EPOLL_CTL_ADD ? epfd + 1 : 0;

	if (!slot || op == EPOLL_CTL_MOD || !process_enter())
		return;
	for (int i = 0; i < SLOT_SETS; i++) {
		int32_t found = wanted;

		if (atomic_compare_exchange_strong(&slot->set[i], &found, value))
			return;
	}
	if (op == EPOLL_CTL_ADD)
		slot_set_flag(fd, SLOT_EPOLL_LOST);
}

void steer_passing(int fd)
{
	steer_duplicating(fd);
}

void steer_not_passed(int fd)
{
	uint64_t cookie = tracked_cookie(fd);

	if (cookie)
		holder_unshare(cookie);
}

static bool remote_of(int fd, struct endpoint *out)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (raw(SYS_getpeername, fd, &addr, &len) != 0)
		return false;
	*out = endpoint_from_sockaddr((struct sockaddr *)&addr, len);
	return out->family != 0;
}

/* The reference in flight was counted by the sender, if it is of our family; one that was peeked
 * at is a further one. */
void steer_received(int fd, bool peeked, struct fork_mark mark)
{
	struct slot_info info;
	uint64_t cookie;
	uint32_t word = SLOT_CONN | SLOT_SHARED;
	int saved = errno;
	bool server;

	if (!process_enter() || slot_word(fd))
		goto out;
	cookie = cookie_of(fd);
	if (!cookie || !holder_known(cookie, &server) || !remote_of(fd, &info.remote) ||
	    !steer_local(fd, &info.local))
		goto out;
	if (peeked)
		holder_share(cookie);
	word |= steer_options(fd);
	if (server)
		word |= SLOT_SERVER;
	slot_fill(fd, word, cookie, &info, false);
	if (fork_mark_passed(mark))
		holder_pin(cookie);
	publish_open(fd, word, cookie, &info);
out:
	errno = saved;
}

void steer_pin(int fd)
{
	uint64_t cookie = tracked_cookie(fd);

	if (cookie)
		holder_pin(cookie);
}

/* cookie: 0 if it is not connected yet. */
static void each_socket(void (*act)(int fd, uint64_t cookie))
{
	int high = slots_high();

	for (int fd = 0; fd < high; fd++) {
		uint32_t kind = slot_kind(fd);

		if (kind == SLOT_CONN || kind == SLOT_SOCKET)
			act(fd, tracked_cookie(fd));
	}
}

static void share_one(int fd, uint64_t cookie)
{
	slot_set_flag(fd, SLOT_SHARED);
	holder_share(cookie);
}

static void unshare_one(int fd, uint64_t cookie)
{
	(void)fd;
	holder_unshare(cookie);
}

static void pin_inherited(int fd, uint64_t cookie)
{
	long flags = raw(SYS_fcntl, fd, F_GETFD);

	if (flags >= 0 && flags & FD_CLOEXEC)
		return;
	slot_set_flag(fd, SLOT_SHARED);
	holder_pin(cookie);
}

void steer_forking(void)
{
	fork_begin();
	each_socket(share_one);
}

void steer_fork_failed(void)
{
	each_socket(unshare_one);
}

void steer_spawning(void)
{
	each_socket(pin_inherited);
}

static void leave_alone(int fd, uint64_t cookie)
{
	slot_set_flag(fd, SLOT_SHARED);
	holder_pin(cookie);
	if (cookie)
		slot_clear(fd);
}

void steer_uncounted(void)
{
	each_socket(leave_alone);
}

static void mark_inherited(int fd, uint64_t cookie)
{
	if (cookie)
		slot_set_flag(fd, SLOT_INHERITED);
}

void steer_inherited(void)
{
	each_socket(mark_inherited);
}

void steer_forked(void)
{
	int high = slots_high(), count = 0;

	/* While we had it too, the daemon would not see the parent end. */
	if (process_is_new())
		channel_forget();
	for (int fd = 0; fd < high && count <= TELL_AT_ONCE; fd++)
		count += slot_kind(fd) == SLOT_CONN;
	if (count > 0 && count <= TELL_AT_ONCE && process_enter())
		channel_open();
}
