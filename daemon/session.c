/* SPDX-License-Identifier: MIT */
#include "daemon/session_private.h"

#include "daemon/closer.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/user.h"
#include "daemon/welcome.h"

#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <utlist.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
	ACCEPTS_PER_WAKE = 64,
	ACCEPT_PAUSE_MS = 100, /* after EMFILE */
	FORGET_AT_ONCE = 4096, /* connections */
};

/* --- the end ---------------------------------------------------------------------------------- */

static bool is_dead(const struct session *session)
{
	struct pollfd pfd = {.fd = session->owner.pidfd, .events = POLLIN};

	return session->owner.pidfd < 0 || poll(&pfd, 1, 0) > 0;
}

/* Forgets its connections, at most so many. false: there are more. */
static bool forget_conns(struct session *session, bool dead, unsigned int max)
{
	struct sessions *sessions = session->sessions;
	unsigned int forgotten = conn_owner_gone(sessions->parts.conns, &session->owner, max);

	if (dead) { /* killed: the kernel closed them, we were not told how */
		struct account account = {.tag = session->tag};

		BOOK_ADD(sessions->parts.book, account, closes[SIDE_UNKNOWN], forgotten);
	}
	return session->owner.conns == NULL;
}

static void session_free(struct session *session, bool dead)
{
	struct sessions *sessions = session->sessions;

	custody_client_gone(&session->client, dead);
	forget_conns(session, dead, UINT_MAX);
	if (session->tag)
		sessions->parts.book->tag[session->tag].sessions--;
	if (session->page)
		welcome_page_free(session->page);
	if (session->owner.pidfd >= 0)
		close(session->owner.pidfd);
	user_give_back(session->user, USER_SESSIONS);
	DL_DELETE(sessions->all, session);
	sessions->count--;
	free(session);
}

static void forget_more(evutil_socket_t fd, short what, void *arg);

/* A quarter of a million connections take a moment, and the others wait: some at a time. */
static void session_retire(struct session *session, bool dead)
{
	static const struct timeval soon = {.tv_usec = 1000};

	session->was_dead = dead;
	custody_client_gone(&session->client, dead);
	if (!forget_conns(session, dead, FORGET_AT_ONCE)) {
		evtimer_assign(&session->death, session->sessions->parts.base, forget_more,
			       session);
		if (evtimer_add(&session->death, &soon) == 0)
			return;
	}
	session_free(session, dead);
}

static void forget_more(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;

	(void)fd;
	(void)what;
	session_retire(session, session->was_dead);
}

static void on_death(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	session_retire(arg, true);
}

/* What is queued may hold descriptors, and the kernel closes them within our close(): where one of
 * them lingers, we would stand still, and received they would fill our table. */
static void close_socket(struct sessions *sessions, int fd, uid_t uid)
{
	shutdown(fd, SHUT_RDWR);
	closer_drop(sessions->parts.closer, fd, uid);
}

static uint64_t lost_of(const struct session *session)
{
	return session->page ? atomic_load(&session->page->lost) + session->ring.given_up : 0;
}

static void hang_up(struct session *session)
{
	session_stop_resting(session);
	event_del(&session->readable);
	session_read_last(session);
	close_socket(session->sessions, session->fd, session->owner.process.uid);
	session->fd = -1;
	session->sessions->lost += lost_of(session);
}

void session_end(struct session *session)
{
	bool dead = is_dead(session);

	hang_up(session);
	if (dead || !custody_awaits_death(&session->client)) {
		session_retire(session, dead);
		return;
	}
	event_assign(&session->death, session->sessions->parts.base, session->owner.pidfd, EV_READ,
		     on_death, session);
	if (event_add(&session->death, NULL) < 0)
		session_retire(session, false);
}

/* Who is it? The pidfd is of that process for sure, if the kernel can (Linux 6.5). */
static void identify(struct session *session, const struct ucred *cred)
{
	socklen_t len = sizeof(int);
	int pidfd = -1;

	process_read(&session->owner.process, cred->pid, cred->uid);
	if (getsockopt(session->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		pidfd = errno == ENOPROTOOPT ? (int)syscall(SYS_pidfd_open, cred->pid, 0) : -1;
	session->owner.pidfd = pidfd;
	session->client.process = &session->owner.process;
}

/* The youngest session of the user that has most makes room, if the newcomer's has fewer: it is
 * watched again when that user has fewer than others. */
static bool make_room(struct sessions *sessions, const struct user *user)
{
	struct user *most = users_most(sessions->parts.users, USER_SESSIONS);
	struct session *session = sessions->all ? sessions->all->prev : NULL;

	if (!most || most->has[USER_SESSIONS] <= user->has[USER_SESSIONS] + 1)
		return false;
	while (session->user != most || session->fd < 0) {
		if (session == sessions->all)
			return false;
		session = session->prev;
	}
	user_blame(most, FAULT_SESSIONS, &session->owner.process,
		   "limit reached: sessions %u; it has most of them: its latest is ended",
		   sessions->max);
	session_end(session);
	return sessions->count < sessions->max;
}

static bool admit(struct sessions *sessions, struct user *user, const struct ucred *cred)
{
	struct process process = {.pid = cred->pid, .uid = cred->uid};

	if (!user_is_full(user, USER_SESSIONS) &&
	    (sessions->count < sessions->max || make_room(sessions, user)))
		return true;
	if (!user->faults[FAULT_SESSIONS].count)
		process_read(&process, cred->pid, cred->uid);
	user_blame(user, FAULT_SESSIONS, &process,
		   "limit reached: %u of %u sessions are its own; not served",
		   user->has[USER_SESSIONS], sessions->max);
	return false;
}

static struct session *session_new(struct sessions *sessions, int fd, struct user *user,
				   const struct ucred *cred)
{
	static const struct timeval hello = {.tv_sec = LIMIT_HELLO_MS / 1000};
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->sessions = sessions;
	session->fd = fd;
	session->user = session->owner.user = session->client.user = user;
	if (!session_watch(session, &hello)) {
		free(session);
		return NULL;
	}
	identify(session, cred);
	return session;
}

static void session_start(struct sessions *sessions, int fd)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	struct session *session = NULL;
	struct user *user;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	user = user_get(sessions->parts.users, cred.uid);
	if (user && admit(sessions, user, &cred))
		session = session_new(sessions, fd, user, &cred);
	if (session) {
		user_take(user, USER_SESSIONS);
		sessions->count++;
		sessions->total++;
		DL_APPEND(sessions->all, session);
	} else {
		close_socket(sessions, fd, cred.uid);
	}
	user_put(user);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct sessions *sessions = arg;

	(void)fd;
	(void)what;
	event_add(&sessions->listener, NULL);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
	struct sessions *sessions = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_WAKE; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			session_start(sessions, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_limited(LOG_WARNING, "cannot accept a session: %m");
			event_del(&sessions->listener);
			evtimer_add(&sessions->pause, &pause);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

struct sessions *sessions_new(const struct session_parts *parts, int listener, unsigned int max)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions)
		return NULL;
	sessions->parts = *parts;
	sessions_set_limits(sessions, max);
	event_assign(&sessions->listener, parts->base, listener, EV_READ | EV_PERSIST, on_accept,
		     sessions);
	evtimer_assign(&sessions->pause, parts->base, on_pause_over, sessions);
	sessions_read_init(sessions);
	event_add(&sessions->listener, NULL);
	return sessions;
}

void sessions_set_limits(struct sessions *sessions, unsigned int max)
{
	sessions->max = max;
}

void sessions_free(struct sessions *sessions)
{
	struct session *session, *next;

	if (!sessions)
		return;
	event_del(&sessions->listener);
	evtimer_del(&sessions->pause);
	sessions_read_stop(sessions);
	DL_FOREACH_SAFE(sessions->all, session, next)
	{
		if (session->fd >= 0)
			hang_up(session);
		else
			event_del(&session->death);
		session_free(session, is_dead(session));
	}
	free(sessions);
}

bool sessions_have_read(struct sessions *sessions)
{
	bool have_read = sessions->have_read;

	sessions->have_read = false;
	return have_read;
}

unsigned int sessions_count(const struct sessions *sessions)
{
	return sessions->count;
}

uint64_t sessions_total(const struct sessions *sessions)
{
	return sessions->total;
}

uint64_t sessions_lost(const struct sessions *sessions)
{
	uint64_t lost = sessions->lost;
	const struct session *session;

	DL_FOREACH(sessions->all, session)
	{
		if (session->fd >= 0)
			lost += lost_of(session);
	}
	return lost;
}
