/* SPDX-License-Identifier: MIT */
#include "daemon/setter.h"

#include "daemon/log.h"
#include "daemon/setter_seam.h"
#include "daemon/setter_state.h"

#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REQUESTS_AT_ONCE = 16,
	WALK_MS = 100, /* of a walk at once: to look for a process in a namespace takes time */
};

/* --- namespaces ------------------------------------------------------------------------------- */

/* Kept and alive, or entered. NULL: outcome and errno say why not. */
static struct space *reach(struct setter *setter, uint64_t netns, pid_t pid,
			   enum setter_outcome *outcome)
{
	struct space *space = spaces_find(&setter->spaces, netns);

	*outcome = SETTER_NO_NAMESPACE;
	if (space == &setter->spaces.own || (space && !space_has_gone(space)))
		return space;
	if (space) { /* the number may be another's now */
		*outcome = SETTER_GONE;
		setter_forget(setter, space);
		spaces_drop(&setter->spaces, space);
	}
	if (pid <= 0)
		pid = spaces_search(netns);
	errno = ESRCH;
	space = pid > 0 ? spaces_enter(&setter->spaces, netns, pid) : NULL;
	if (space)
		setter_settle(setter, space);
	return space;
}

/* --- all that is ours ------------------------------------------------------------------------- */

/* What this walk has not come to yet. To come to one may take others away. */
static struct journal_entry *next_entry(struct setter *setter)
{
	for (size_t i = 0; i < setter->journal.count; i++)
		if (setter->journal.entry[i].mark != setter->walk)
			return &setter->journal.entry[i];
	return NULL;
}

static void visit(struct setter *setter, struct journal_entry *entry, uint8_t op,
		  struct setter_answer *answer)
{
	struct journal_entry copy;
	enum setter_outcome outcome;
	const struct space *space;

	entry->mark = setter->walk;
	copy = *entry;
	answer->key = (uint8_t)copy.key;
	answer->netns = copy.netns == setter->spaces.own.netns ? 0 : copy.netns;
	space = reach(setter, copy.netns, 0, &outcome);
	if (!space) {
		answer->error = errno;
		answer->is_ours = outcome != SETTER_GONE;
		answer->original = copy.original;
	} else if (space->cookie != copy.cookie) {
		outcome = SETTER_GONE; /* settled */
	} else if (op == SETTER_REVERT) {
		outcome = setter_put_back(setter, space, copy.key, answer);
	} else {
		outcome = setter_look(setter, space, copy.key, answer);
	}
	answer->outcome = (uint8_t)outcome;
}

static void begin_walk(struct setter *setter)
{
	setter->walk++;
	setter->is_walking = true;
}

/* --- requests --------------------------------------------------------------------------------- */

/* false: there is no room; later. */
static bool say(struct setter *setter, const struct setter_answer *answer)
{
	setter->is_unsent =
		send(setter->fd, answer, sizeof(*answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		(errno == EAGAIN || errno == ENOBUFS);
	if (setter->is_unsent)
		setter->unsent = *answer;
	return !setter->is_unsent;
}

/* true: that was the last. */
static bool walk_on(struct setter *setter)
{
	const struct setter_request *request = &setter->walk_request;
	uint64_t began_ms = wire_now_ms();

	while (setter->is_walking && wire_now_ms() - began_ms < WALK_MS) {
		struct setter_answer answer = {
			.serial = request->serial, .op = request->op, .key = SETTER_ALL};
		struct journal_entry *entry = next_entry(setter);

		setter->is_walking = entry != NULL;
		if (entry)
			visit(setter, entry, request->op, &answer);
		if (!say(setter, &answer))
			return false;
	}
	return !setter->is_walking;
}

static void serve_one(struct setter *setter, const struct setter_request *request,
		      struct setter_answer *answer)
{
	enum setter_outcome outcome;
	const struct space *space;

	space = reach(setter, request->netns, (pid_t)request->pid, &outcome);
	if (!space)
		answer->error = errno;
	else if (request->op == SETTER_REVERT)
		outcome = setter_put_back(setter, space, request->key, answer);
	else
		outcome = setter_set(setter, space, request, answer);
	answer->outcome = (uint8_t)outcome;
}

static bool serve(struct setter *setter, const struct setter_request *request)
{
	struct setter_answer answer = {.serial = request->serial,
				       .op = request->op,
				       .key = request->key,
				       .netns = request->netns,
				       .outcome = SETTER_FORBIDDEN};

	setter_at(STEP_ASKED);
	if (request->op == SETTER_LIST ||
	    (request->op == SETTER_REVERT && request->key == SETTER_ALL)) {
		setter->walk_request = *request;
		begin_walk(setter);
		return walk_on(setter);
	}
	if (request->op <= SETTER_REVERT)
		serve_one(setter, request, &answer);
	return say(setter, &answer);
}

void setter_serve(struct setter *setter)
{
	struct setter_request request;

	if (!setter || setter->fd < 0)
		return;
	if (setter->behind)
		setter_keep(setter);
	if ((setter->is_unsent && !say(setter, &setter->unsent)) || !walk_on(setter))
		return;
	for (int i = 0; i < REQUESTS_AT_ONCE; i++)
		if (recv(setter->fd, &request, sizeof(request), MSG_DONTWAIT) != sizeof(request) ||
		    !serve(setter, &request))
			return;
}

/* SIGIO for each request: nobody waits for the guardian's next look, and it need not look more
 * often. */
static void wake_by(int fd)
{
	if (fcntl(fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) < 0)
		log_warning("sysctls are written a moment later than need be: %m");
}

static void disconnect(struct setter *setter)
{
	if (setter->fd >= 0)
		close(setter->fd);
	setter->fd = -1;
	setter->is_unsent = false;
	setter->is_walking = false;
}

int setter_connect(struct setter *setter)
{
	int ends[2];

	if (!setter)
		return -1;
	disconnect(setter);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		log_warning("socketpair: %m: no sysctl will be written");
		return -1;
	}
	wake_by(ends[0]);
	setter->fd = ends[0];
	return ends[1];
}

/* --- life ------------------------------------------------------------------------------------- */

static void load(struct setter *setter, const char *path)
{
	int n = snprintf(setter->path, sizeof(setter->path), "%s", path);

	if (n < 0 || n >= (int)sizeof(setter->path) || !journal_boot(setter->boot)) {
		log_warning("%s: which boot this is, is not known: no sysctl will be written",
			    path);
		return;
	}
	setter->usable =
		journal_load(setter->path, setter->boot, &setter->journal) != JOURNAL_UNUSABLE;
}

struct setter *setter_new(const char *journal_path)
{
	struct setter *setter = calloc(1, sizeof(*setter));

	if (!setter)
		return NULL;
	setter->fd = -1;
	spaces_init(&setter->spaces);
	load(setter, journal_path);
	setter_settle(setter, &setter->spaces.own);
	return setter;
}

static void log_left(const struct journal_entry *entry, const struct setter_answer *answer)
{
	char is[SYSCTL_TEXT], was[SYSCTL_TEXT];

	log_warning("%s: cannot be put back in network namespace %" PRIu64
		    " (%s): it stays %s, and was %s",
		    sysctls[entry->key].name, entry->netns,
		    setter_outcome_text((enum setter_outcome)answer->outcome),
		    sysctl_format(&entry->written, is, sizeof(is)),
		    sysctl_format(&entry->original, was, sizeof(was)));
}

void setter_free(struct setter *setter, bool put_back)
{
	struct journal_entry *entry;

	if (!setter)
		return;
	begin_walk(setter);
	while (put_back && (entry = next_entry(setter))) {
		struct setter_answer answer = {.serial = 0};
		struct journal_entry copy = *entry;

		visit(setter, entry, SETTER_REVERT, &answer);
		if (answer.is_ours)
			log_left(&copy, &answer);
	}
	if (put_back && setter->behind)
		setter_keep(setter);
	disconnect(setter);
	spaces_close(&setter->spaces);
	free(setter);
}
