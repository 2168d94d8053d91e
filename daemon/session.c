/* SPDX-License-Identifier: MIT */
#include "daemon/session.h"

#include "daemon/closer.h"
#include "daemon/inbox.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/record.h"
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
	REST_MS = 20,
};

struct session {
	struct sessions *sessions;
	int fd; /* -1: at EOF, but its process lives */
	struct event readable;
	struct event death; /* of the process, when its duplicates hang on it; then the pause
			     * between forgetting and forgetting more */
	bool was_dead;
	struct user *user;
	struct conn_owner owner;
	struct custody_client client;
	struct session_page *page; /* NULL: no hello yet */
	int32_t credits;	   /* what the page began with */
	uint16_t tag;
	unsigned int bad;
	bool steers;  /* it has said that it may hand over: it never rests */
	bool resting; /* read by and by, not watched */
	struct session *prev, *next;
	struct session *rest_prev, *rest_next;
};

struct sessions {
	struct session_parts parts;
	unsigned int max, count;
	uint64_t total, lost;
	uint64_t messages; /* that were read */
	bool have_read;	   /* since sessions_have_read() */
	struct event listener, pause, rest;
	struct session *all, *resting;
};

static void session_end(struct session *session);
static void on_readable(evutil_socket_t fd, short what, void *arg);
static void rest(struct session *session);
static void stop_resting(struct session *session);

static void bad_message(struct session *session, const char *what)
{
	session->sessions->parts.book->bad_messages++;
	session->bad++;
	user_blame(session->user, FAULT_MESSAGE, &session->owner.process, "%s", what);
}

/* A quarter of what the user may have in flight, shared among its sessions. */
static int32_t credits_for(const struct session *session, uint32_t nofile)
{
	uint32_t credits = nofile / 4 / session->user->has[USER_SESSIONS];

	if (credits < 1)
		credits = 1;
	return credits < LIMIT_CREDITS ? (int32_t)credits : LIMIT_CREDITS;
}

/* "tag=WORD" among the comma-separated options. */
static uint16_t tag_of(struct book *book, const char *options, uid_t uid)
{
	while (*options) {
		size_t len = strcspn(options, ",");

		if (len > 4 && !memcmp(options, "tag=", 4))
			return book_tag_slot(book, options + 4, len - 4, uid);
		options += len;
		options += *options == ',';
	}
	return 0;
}

static bool watch(struct session *session, const struct timeval *deadline)
{
	event_assign(&session->readable, session->sessions->parts.base, session->fd,
		     EV_READ | EV_PERSIST, on_readable, session);
	return event_add(&session->readable, deadline) == 0;
}

/* false: the session is not to be served. */
static bool take_hello(struct session *session, const void *message, size_t len)
{
	const struct process *process = &session->owner.process;
	struct book *book = session->sessions->parts.book;
	struct wire_hello hello = {.magic = 0};
	bool sent;
	int fd;

	memcpy(&hello, message, len < sizeof(hello) ? len : sizeof(hello));
	hello.options[WIRE_OPTIONS_MAX - 1] = '\0';
	if (len < 8 || hello.magic != WIRE_MAGIC) {
		bad_message(session, "what it sent is no hello; not served");
		return false;
	}
	if (hello.version != WIRE_VERSION) {
		session->bad++;
		book->bad_messages++;
		log_limited(LOG_WARNING,
			    "%s[%d]: its shim speaks protocol version %u, this daemon %u: "
			    "it is not steered until it is restarted",
			    process_name(process), (int)process->pid, hello.version, WIRE_VERSION);
		return false;
	}
	if (len != sizeof(hello) || hello.size != sizeof(hello)) {
		bad_message(session, "its hello has a wrong size; not served");
		return false;
	}
	session->tag = tag_of(book, hello.options, process->uid);
	if (session->tag)
		book->tag[session->tag].sessions++;
	session->credits = credits_for(session, hello.nofile);
	session->page = welcome_page_new(session->credits, &fd);
	if (!session->page) {
		log_limited(LOG_WARNING, "session page of %s[%d]: %m", process_name(process),
			    (int)process->pid);
		return false;
	}
	session->owner.lost = &session->page->lost;
	sent = welcome_send(session->fd, fd);
	close(fd);
	event_del(&session->readable);
	watch(session, NULL); /* from now on without the deadline */
	conn_owner_here(session->sessions->parts.conns, &session->owner);
	/* A process that has ended already has left records all the same. */
	return sent || errno == EPIPE || errno == ECONNRESET;
}

/* For a descriptor that has left the queue. The page is the process' to write: never give more
 * than it began with. */
static void give_credit(struct session *session)
{
	if (atomic_load_explicit(&session->page->credits, memory_order_relaxed) < session->credits)
		atomic_fetch_add_explicit(&session->page->credits, 1, memory_order_release);
}

static void drop_fd(const struct session *session, const struct inbox_message *message)
{
	if (message->fd >= 0)
		closer_drop(session->sessions->parts.closer, message->fd,
			    session->owner.process.uid);
}

static void take_record(struct session *session, const struct inbox_message *message)
{
	const struct session_parts *parts = &session->sessions->parts;
	struct record_context context = {
		.book = parts->book,
		.conns = parts->conns,
		.custody = parts->custody,
		.retire = parts->retire,
		.cuts = parts->cuts,
		.owner = &session->owner,
		.client = &session->client,
		.tag = session->tag,
	};
	struct wire_record record;
	const char *problem = "a record has a wrong size";

	if (message->len == sizeof(record)) {
		memcpy(&record, message->data, sizeof(record));
		session->steers |= record.close_first != FIRST_APP || message->fd >= 0;
		problem = record_take(&context, &record, message->fd, message->fd_lost);
		if (!problem)
			return;
	}
	drop_fd(session, message);
	bad_message(session, problem);
}

/* false: the session is to end. */
static bool take_message(void *arg, const struct inbox_message *message)
{
	struct session *session = arg;

	session->sessions->messages++;
	if (message->several) { /* hundreds at once would be our limit of open files */
		drop_fd(session, message);
		bad_message(session, "a message carries several descriptors; not served");
		return false;
	}
	if (!session->page) {
		drop_fd(session, message);
		return take_hello(session, message->data, message->len);
	}
	if (message->fd >= 0 || message->fd_lost)
		give_credit(session);
	if (message->fd_lost) {
		session->sessions->lost++;
		log_limited(LOG_WARNING, "descriptors handed over are lost: "
					 "the limit of open files is reached");
	}
	take_record(session, message);
	return session->bad < LIMIT_BAD_MESSAGES;
}

enum reading { READ_NOTHING, READ_SOME, READ_MUCH, READ_ENDED };

static enum reading read_messages(struct session *session)
{
	const struct session_parts *parts = &session->sessions->parts;
	uint64_t before = session->sessions->messages;
	bool more = true;

	for (int i = 0; more && i < LIMIT_MESSAGES_TURN / INBOX_MESSAGES; i++) {
		if (!inbox_read(session->fd, parts->closer, session->owner.process.uid,
				take_message, session, &more)) {
			session_end(session);
			return READ_ENDED;
		}
	}
	if (more)
		return READ_MUCH;
	return session->sessions->messages == before ? READ_NOTHING : READ_SOME;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;
	struct sessions *sessions = session->sessions;
	enum reading reading;

	(void)fd;
	if (what & EV_TIMEOUT) {
		user_blame(session->user, FAULT_NO_HELLO, &session->owner.process,
			   "a session without a hello; not served");
		session_end(session);
		return;
	}
	reading = read_messages(session);
	if (reading == READ_SOME && session->page && !session->steers)
		rest(session);
	else
		sessions->have_read = true;
}

/* --- rest ------------------------------------------------------------------------------------- */

/* Records come one by one, and to wake up for each costs more than all the rest. Where nothing is
 * handed over nobody waits for what they say, so that they may gather for longer: such a session is
 * read every so many milliseconds while something comes, but before each answer to who asks. Not if
 * much comes, for its socket holds some hundreds. */
static void rest(struct session *session)
{
	static const struct timeval moment = {.tv_usec = REST_MS * 1000};
	struct sessions *sessions = session->sessions;

	event_del(&session->readable);
	session->resting = true;
	if (!sessions->resting)
		evtimer_add(&sessions->rest, &moment);
	DL_APPEND2(sessions->resting, session, rest_prev, rest_next);
}

static void stop_resting(struct session *session)
{
	if (session->resting)
		DL_DELETE2(session->sessions->resting, session, rest_prev, rest_next);
	session->resting = false;
}

static void read_resting(struct session *session)
{
	switch (read_messages(session)) {
	case READ_ENDED:
		return;
	case READ_SOME:
		if (!session->steers)
			return;
		break;
	default:
		break;
	}
	stop_resting(session);
	event_add(&session->readable, NULL);
}

void sessions_catch_up(struct sessions *sessions)
{
	struct session *session, *next;

	DL_FOREACH_SAFE2(sessions->resting, session, next, rest_next)
	{
		read_resting(session);
	}
}

static void on_rest_over(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval moment = {.tv_usec = REST_MS * 1000};
	struct sessions *sessions = arg;

	(void)fd;
	(void)what;
	sessions_catch_up(sessions);
	if (sessions->resting)
		evtimer_add(&sessions->rest, &moment);
}

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

static void hang_up(struct session *session)
{
	stop_resting(session);
	event_del(&session->readable);
	close_socket(session->sessions, session->fd, session->owner.process.uid);
	session->fd = -1;
	if (session->page)
		session->sessions->lost += atomic_load(&session->page->lost);
}

static void session_end(struct session *session)
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
	if (!watch(session, &hello)) {
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
	evtimer_assign(&sessions->rest, parts->base, on_rest_over, sessions);
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
	evtimer_del(&sessions->rest);
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
		if (session->page && session->fd >= 0)
			lost += atomic_load_explicit(&session->page->lost, memory_order_relaxed);
	}
	return lost;
}
