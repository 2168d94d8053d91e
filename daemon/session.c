/* SPDX-License-Identifier: MIT */
#include "daemon/session.h"

#include "daemon/log.h"
#include "daemon/record.h"

#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <uthash.h>
#include <utlist.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
	ACCEPTS_PER_WAKE = 64,
	MESSAGES = 32,	       /* in one recvmmsg() */
	BATCHES_PER_WAKE = 4,  /* then others have their turn */
	FDS_PER_MESSAGE = 4,   /* one is right; what is more we close ourselves */
	BAD_MESSAGES_MAX = 64, /* then the session ends */
	CREDITS_MAX = 256,
	ACCEPT_PAUSE_MS = 100, /* after EMFILE */
};

struct user {
	uid_t uid;
	unsigned int sessions;
	UT_hash_handle hh;
};

struct session {
	struct sessions *sessions;
	int fd; /* -1: at EOF, but its process lives */
	struct event readable;
	struct event death; /* of the process, when its duplicates hang on it */
	struct user *user;
	struct conn_owner owner;
	struct custody_client client;
	struct session_page *page; /* NULL: no hello yet */
	int32_t credits;	   /* what the page began with */
	uint16_t tag;
	unsigned int bad;
	struct session *prev, *next;
};

struct sessions {
	struct session_parts parts;
	unsigned int max, per_user, count;
	uint64_t total, lost;
	struct event listener, pause;
	struct user *users;
	struct session *all;
};

static void session_end(struct session *session);

/* Logged once for a session, counted always. */
static void bad_message(struct session *session, const char *what)
{
	const struct process *process = &session->owner.process;

	session->sessions->parts.book->bad_messages++;
	if (session->bad++ == 0)
		log_limited(LOG_WARNING, "%s[%d] (uid %u): %s", process_name(process),
			    (int)process->pid, (unsigned int)process->uid, what);
}

static struct user *user_get(struct sessions *sessions, uid_t uid)
{
	struct user *user;

	HASH_FIND(hh, sessions->users, &uid, sizeof(uid), user);
	if (user)
		return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	HASH_ADD(hh, sessions->users, uid, sizeof(user->uid), user);
	return user;
}

static void user_put(struct sessions *sessions, struct user *user)
{
	if (user->sessions)
		return;
	HASH_DEL(sessions->users, user);
	free(user);
}

/* A quarter of what the user may have in flight, shared among its sessions. */
static int32_t credits_for(const struct session *session, uint32_t nofile)
{
	uint32_t credits = nofile / 4 / session->user->sessions;

	if (credits < 1)
		credits = 1;
	return credits < CREDITS_MAX ? (int32_t)credits : CREDITS_MAX;
}

/* The memfd of a new session page, or -1. */
static int make_page(struct session *session, uint32_t nofile)
{
	struct session_page *page = MAP_FAILED;
	int fd = memfd_create("closeside-session", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, sizeof(*page)) == 0)
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		if (page != MAP_FAILED)
			munmap(page, sizeof(*page));
		close(fd);
		return -1;
	}
	page->magic = WIRE_MAGIC;
	page->version = WIRE_VERSION;
	page->size = sizeof(*page);
	session->credits = credits_for(session, nofile);
	atomic_store(&page->credits, session->credits);
	session->page = page;
	return fd;
}

static bool send_welcome(struct session *session, int page_fd)
{
	struct wire_welcome welcome = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.size = sizeof(welcome),
	};
	struct iovec iov = {.iov_base = &welcome, .iov_len = sizeof(welcome)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = {0}};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &page_fd, sizeof(int));
	return sendmsg(session->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(welcome);
}

/* "tag=WORD" among the comma-separated options. */
static uint16_t tag_of(struct book *book, const char *options)
{
	while (*options) {
		size_t len = strcspn(options, ",");

		if (len > 4 && !memcmp(options, "tag=", 4))
			return book_tag_slot(book, options + 4, len - 4);
		options += len;
		options += *options == ',';
	}
	return 0;
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
	session->tag = tag_of(book, hello.options);
	if (session->tag)
		book->tag[session->tag].sessions++;
	fd = make_page(session, hello.nofile);
	if (fd < 0) {
		log_limited(LOG_WARNING, "session page of %s[%d]: %m", process_name(process),
			    (int)process->pid);
		return false;
	}
	sent = send_welcome(session, fd);
	close(fd);
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

/* The descriptors of a message: the first in *fd, the others closed. Returns how many came. */
static unsigned int take_fds(struct msghdr *msg, int *fd)
{
	unsigned int count = 0;

	*fd = -1;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int one;

			memcpy(&one, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (count++ == 0)
				*fd = one;
			else
				close(one);
		}
	}
	return count;
}

static void take_record(struct session *session, const void *message, size_t len, int fd,
			bool fd_lost)
{
	const struct session_parts *parts = &session->sessions->parts;
	struct record_context context = {
		.book = parts->book,
		.conns = parts->conns,
		.custody = parts->custody,
		.retire = parts->retire,
		.owner = &session->owner,
		.client = &session->client,
		.tag = session->tag,
	};
	struct wire_record record;
	const char *problem = "a record has a wrong size";

	if (len == sizeof(record)) {
		memcpy(&record, message, sizeof(record));
		problem = record_take(&context, &record, fd, fd_lost);
		if (!problem)
			return;
	}
	if (fd >= 0)
		close(fd);
	bad_message(session, problem);
}

/* false: the session is to end. */
static bool take_message(struct session *session, struct mmsghdr *message)
{
	struct msghdr *msg = &message->msg_hdr;
	bool fd_lost = (msg->msg_flags & MSG_CTRUNC) != 0;
	int fd;
	unsigned int fds = take_fds(msg, &fd);

	if (message->msg_len == 0) { /* EOF */
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (!session->page) {
		if (fd >= 0)
			close(fd);
		return take_hello(session, msg->msg_iov->iov_base, message->msg_len);
	}
	if (fds || fd_lost)
		give_credit(session);
	if (fd_lost && !fds) {
		session->sessions->lost++;
		log_limited(LOG_WARNING, "descriptors handed over are lost: "
					 "the limit of open files is reached");
	}
	take_record(session, msg->msg_iov->iov_base, message->msg_len, fd, fd_lost && !fds);
	return session->bad < BAD_MESSAGES_MAX;
}

static struct batch {
	struct mmsghdr messages[MESSAGES];
	struct iovec iov[MESSAGES];
	char data[MESSAGES][sizeof(struct wire_hello) + 8]; /* more: oversized */
	union {
		char buf[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
		struct cmsghdr align;
	} control[MESSAGES];
} batch;

static void batch_prepare(void)
{
	for (int i = 0; i < MESSAGES; i++) {
		batch.iov[i].iov_base = batch.data[i];
		batch.iov[i].iov_len = sizeof(batch.data[i]);
		batch.messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &batch.iov[i],
			.msg_iovlen = 1,
			.msg_control = batch.control[i].buf,
			.msg_controllen = sizeof(batch.control[i].buf),
		};
	}
}

/* Reads what is there. false: the session is to end. */
static bool read_batch(struct session *session, bool *more)
{
	bool goes_on = true;
	int n;

	*more = false;
	batch_prepare();
	n = recvmmsg(session->fd, batch.messages, MESSAGES, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0) {
		/* A peer that ended without reading its welcome: its records are there still. */
		*more = errno == EINTR || errno == ECONNRESET;
		return *more || errno == EAGAIN;
	}
	for (int i = 0; i < n; i++) { /* to the end: each may hold a descriptor */
		int fd;

		if (goes_on)
			goes_on = take_message(session, &batch.messages[i]);
		else if (take_fds(&batch.messages[i].msg_hdr, &fd) && fd >= 0)
			close(fd);
	}
	*more = n == MESSAGES;
	return goes_on;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;
	bool more = true;

	(void)fd;
	(void)what;
	for (int i = 0; more && i < BATCHES_PER_WAKE; i++) {
		if (!read_batch(session, &more)) {
			session_end(session);
			return;
		}
	}
}

static bool is_dead(const struct session *session)
{
	struct pollfd pfd = {.fd = session->owner.pidfd, .events = POLLIN};

	return session->owner.pidfd < 0 || poll(&pfd, 1, 0) > 0;
}

static void session_free(struct session *session, bool dead)
{
	struct sessions *sessions = session->sessions;
	unsigned int forgotten;

	custody_client_gone(sessions->parts.custody, &session->client, dead);
	forgotten = conn_owner_gone(sessions->parts.conns, &session->owner);
	if (dead) { /* killed: the kernel closed them, we were not told how */
		struct account account = {.tag = session->tag};

		BOOK_ADD(sessions->parts.book, account, closes[SIDE_UNKNOWN], forgotten);
	}
	if (session->tag)
		sessions->parts.book->tag[session->tag].sessions--;
	if (session->page)
		munmap(session->page, sizeof(*session->page));
	if (session->owner.pidfd >= 0)
		close(session->owner.pidfd);
	session->user->sessions--;
	user_put(sessions, session->user);
	DL_DELETE(sessions->all, session);
	sessions->count--;
	free(session);
}

static void on_death(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	session_free(arg, true);
}

static void hang_up(struct session *session)
{
	event_del(&session->readable);
	close(session->fd);
	session->fd = -1;
	if (session->page)
		session->sessions->lost += atomic_load(&session->page->lost);
}

static void session_end(struct session *session)
{
	bool dead = is_dead(session);

	hang_up(session);
	if (dead || !custody_awaits_death(&session->client)) {
		session_free(session, dead);
		return;
	}
	event_assign(&session->death, session->sessions->parts.base, session->owner.pidfd, EV_READ,
		     on_death, session);
	if (event_add(&session->death, NULL) < 0)
		session_free(session, false);
}

/* Who is it? The pidfd is of that process for sure, if the kernel can (Linux 6.5). */
static void identify(struct session *session)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	int pidfd = -1;

	getsockopt(session->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	process_read(&session->owner.process, cred.pid, cred.uid);
	len = sizeof(pidfd);
	if (getsockopt(session->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		pidfd = errno == ENOPROTOOPT ? (int)syscall(SYS_pidfd_open, cred.pid, 0) : -1;
	session->owner.pidfd = pidfd;
	session->client.process = &session->owner.process;
}

static bool admit(struct sessions *sessions, const struct session *session)
{
	const struct process *process = &session->owner.process;

	if (sessions->count >= sessions->max) {
		log_limited(LOG_WARNING, "limit reached: sessions-max %u; %s[%d] is not served",
			    sessions->max, process_name(process), (int)process->pid);
		return false;
	}
	if (process->uid != 0 && session->user->sessions >= sessions->per_user) {
		log_limited(LOG_WARNING,
			    "limit reached: sessions-per-user %u of uid %u; %s[%d] is not served",
			    sessions->per_user, (unsigned int)process->uid, process_name(process),
			    (int)process->pid);
		return false;
	}
	return true;
}

static void session_start(struct sessions *sessions, int fd)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		close(fd);
		return;
	}
	session->sessions = sessions;
	session->fd = fd;
	identify(session);
	session->user = user_get(sessions, session->owner.process.uid);
	event_assign(&session->readable, sessions->parts.base, fd, EV_READ | EV_PERSIST,
		     on_readable, session);
	if (!session->user || !admit(sessions, session) ||
	    event_add(&session->readable, NULL) < 0) {
		if (session->user)
			user_put(sessions, session->user);
		if (session->owner.pidfd >= 0)
			close(session->owner.pidfd);
		close(fd);
		free(session);
		return;
	}
	session->user->sessions++;
	sessions->count++;
	sessions->total++;
	DL_APPEND(sessions->all, session);
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

struct sessions *sessions_new(const struct session_parts *parts, int listener, unsigned int max,
			      unsigned int per_user)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions)
		return NULL;
	sessions->parts = *parts;
	sessions_set_limits(sessions, max, per_user);
	event_assign(&sessions->listener, parts->base, listener, EV_READ | EV_PERSIST, on_accept,
		     sessions);
	evtimer_assign(&sessions->pause, parts->base, on_pause_over, sessions);
	event_add(&sessions->listener, NULL);
	return sessions;
}

void sessions_set_limits(struct sessions *sessions, unsigned int max, unsigned int per_user)
{
	sessions->max = max;
	sessions->per_user = per_user;
}

void sessions_free(struct sessions *sessions)
{
	struct session *session, *next;

	if (!sessions)
		return;
	event_del(&sessions->listener);
	evtimer_del(&sessions->pause);
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
