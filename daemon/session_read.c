/* SPDX-License-Identifier: MIT */
/* What a session says: its hello, and then records, by the ring of its page or by its socket. What
 * a thread of the program has put into the ring before it sent a message, the message's ring_head
 * says; so that of each connection the records are taken in their order. */
#include "daemon/session_private.h"

#include "daemon/closer.h"
#include "daemon/inbox.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/user.h"
#include "daemon/welcome.h"

#include <errno.h>
#include <event2/event.h>
#include <utlist.h>

#include <string.h>
#include <unistd.h>

enum {
	REST_MS = 20,
	REST_TIMES = 5, /* with nothing to read, and the shim is to call again */
};
_Static_assert((int)RING_SLOTS == (int)LIMIT_RING_RECORDS, "what README says");

static void on_readable(evutil_socket_t fd, short what, void *arg);

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

bool session_watch(struct session *session, const struct timeval *deadline)
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
	session_watch(session, NULL); /* from now on without the deadline */
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

/* What is wrong with it, or NULL; then the descriptor is taken. */
static const char *take_record(struct session *session, const struct wire_record *record, int fd,
			       bool fd_lost)
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

	session->steers |= record->close_first != FIRST_APP || fd >= 0;
	return record_take(&context, record, fd, fd_lost);
}

/* --- the ring --------------------------------------------------------------------------------- */

static void take_from_ring(void *arg, const void *bytes)
{
	struct session *session = arg;
	struct wire_record record;
	const char *problem;

	session->sessions->messages++;
	memcpy(&record, bytes, sizeof(record));
	problem = take_record(session, &record, -1, false);
	if (problem)
		bad_message(session, problem);
}

/* Up to this position. A writer that fills it as fast as it is read has had its turn when the whole
 * of it has been read once. */
static void read_ring(struct session *session, uint32_t until)
{
	if (session->ring_turn < RING_SLOTS)
		session->ring_turn += ring_read(&session->page->ring, &session->ring, until,
						wire_now_ms(), take_from_ring, session);
}

void session_read_last(struct session *session)
{
	session->ring_turn = 0;
	if (session->page)
		read_ring(session, ring_head(&session->page->ring));
}

/* --- the socket ------------------------------------------------------------------------------- */

static bool is_call(const struct inbox_message *message)
{
	struct wire_call call;

	if (message->len != sizeof(call) || message->fd >= 0)
		return false;
	memcpy(&call, message->data, sizeof(call));
	return call.magic == WIRE_MAGIC;
}

static void take_from_socket(struct session *session, const struct inbox_message *message)
{
	const char *problem = "a record has a wrong size";
	struct wire_record record;

	if (message->len == sizeof(record)) {
		memcpy(&record, message->data, sizeof(record));
		read_ring(session, record.ring_head); /* was said before */
		session->by_socket |= message->fd < 0;
		problem = take_record(session, &record, message->fd, message->fd_lost);
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
	if (!is_call(message))
		take_from_socket(session, message);
	return session->bad < LIMIT_BAD_MESSAGES;
}

enum reading { READ_NOTHING, READ_SOME, READ_MUCH, READ_ENDED };

/* The ring as far as it goes now, for what is put there from now on may be later than what is in
 * the socket; and that far only if the socket has been read empty. */
static enum reading read_messages(struct session *session)
{
	const struct session_parts *parts = &session->sessions->parts;
	uint32_t until = session->page ? ring_head(&session->page->ring) : 0;
	uint64_t before = session->sessions->messages;
	bool more = true;

	session->ring_turn = 0;
	session->by_socket = false;
	for (int i = 0; more && i < LIMIT_MESSAGES_TURN / INBOX_MESSAGES; i++) {
		if (!inbox_read(session->fd, parts->closer, session->owner.process.uid,
				take_message, session, &more)) {
			session_end(session);
			return READ_ENDED;
		}
	}
	if (more)
		return READ_MUCH;
	if (session->page)
		read_ring(session, until);
	if (session->bad >= LIMIT_BAD_MESSAGES) {
		session_end(session);
		return READ_ENDED;
	}
	return session->sessions->messages == before ? READ_NOTHING : READ_SOME;
}

/* --- rest ------------------------------------------------------------------------------------- */

static const struct timeval rest_time = {.tv_usec = REST_MS * 1000};

/* Records come one by one, and to wake up for each costs more than all the rest. Nobody waits for
 * what they say, so that they may gather for longer: such a session is read every so many
 * milliseconds while something comes, and before each answer to who asks; and its shim need not
 * call us. What is handed over does not rest, nor does what is said before it. */
static void rest(struct session *session, enum reading reading)
{
	struct sessions *sessions = session->sessions;

	if (reading == READ_SOME && session->by_socket && !session->steers)
		event_del(&session->readable);
	else
		event_add(&session->readable, NULL);
	session->rested = 0;
	if (session->resting)
		return;
	session->resting = true;
	ring_wake(&session->page->ring);
	if (!sessions->resting)
		evtimer_add(&sessions->rest, &rest_time);
	DL_APPEND2(sessions->resting, session, rest_prev, rest_next);
}

void session_stop_resting(struct session *session)
{
	if (session->resting)
		DL_DELETE2(session->sessions->resting, session, rest_prev, rest_next);
	session->resting = false;
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
	if (reading == READ_ENDED || session->steers || reading == READ_MUCH)
		sessions->have_read = true;
	if (reading != READ_ENDED && session->page)
		rest(session, reading);
}

void sessions_catch_up(struct sessions *sessions)
{
	struct session *session, *next;

	DL_FOREACH_SAFE2(sessions->resting, session, next, rest_next)
	{
		enum reading reading = read_messages(session);

		if (reading == READ_SOME || reading == READ_MUCH)
			rest(session, reading);
	}
}

static void end_rest(struct session *session)
{
	if (!ring_sleep(&session->page->ring, &session->ring))
		return;
	session_stop_resting(session);
	event_add(&session->readable, NULL);
}

static void on_rest_over(evutil_socket_t fd, short what, void *arg)
{
	struct sessions *sessions = arg;
	struct session *session, *next;

	(void)fd;
	(void)what;
	sessions_catch_up(sessions);
	DL_FOREACH_SAFE2(sessions->resting, session, next, rest_next)
	{
		if (session->rested++ >= REST_TIMES)
			end_rest(session);
	}
	if (sessions->resting)
		evtimer_add(&sessions->rest, &rest_time);
}

void sessions_read_init(struct sessions *sessions)
{
	evtimer_assign(&sessions->rest, sessions->parts.base, on_rest_over, sessions);
}

void sessions_read_stop(struct sessions *sessions)
{
	evtimer_del(&sessions->rest);
}
