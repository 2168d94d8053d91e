/* SPDX-License-Identifier: MIT */
#include "daemon/top_feed.h"

#include "common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A line that is longer is none of the daemon's. */
enum { FEED_LINE_MAX = 1 << 20, FEED_READ = 1 << 16 };

struct feed {
	const char *socket;
	int fd;
	unsigned int awaited; /* ends of answers */
	char *buffer;
	size_t used, size;
	char error[256]; /* of this round, "" if there is none */
};

struct feed *feed_new(const char *socket_path)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return NULL;
	feed->socket = socket_path;
	feed->fd = -1;
	return feed;
}

static void hang_up(struct feed *feed)
{
	if (feed->fd >= 0)
		close(feed->fd);
	feed->fd = -1;
	feed->awaited = 0;
	feed->used = 0;
}

void feed_free(struct feed *feed)
{
	if (!feed)
		return;
	hang_up(feed);
	free(feed->buffer);
	free(feed);
}

bool feed_is_waiting(const struct feed *feed)
{
	return feed->awaited > 0;
}

int feed_fd(const struct feed *feed)
{
	return feed->awaited ? feed->fd : -1;
}

const char *feed_error(const struct feed *feed)
{
	return feed->error;
}

static bool fail(struct feed *feed, const char *why)
{
	snprintf(feed->error, sizeof(feed->error), "%s", why);
	hang_up(feed);
	return false;
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool dial(struct feed *feed)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (feed->fd >= 0)
		return true;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s" WIRE_CONTROL_SUFFIX,
		 feed->socket);
	feed->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return (feed->fd >= 0 &&
		connect(feed->fd, (struct sockaddr *)&address, sizeof(address)) == 0) ||
	       fail(feed, strerror(errno));
}

bool feed_ask(struct feed *feed, const char *requests, unsigned int count)
{
	size_t len = strlen(requests);
	bool fresh = feed->fd < 0;

	feed->error[0] = '\0';
	if (!dial(feed))
		return false;
	if (send(feed->fd, requests, len, MSG_NOSIGNAL) != (ssize_t)len) {
		fail(feed, strerror(errno));
		/* the daemon may have been started anew, or has dropped one who paused for long */
		return !fresh && feed_ask(feed, requests, count);
	}
	feed->awaited = count;
	return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void take_end(struct feed *feed, json_t *end)
{
	const char *error = json_string_value(json_object_get(end, "error"));

	feed->awaited--;
	if (json_is_true(json_object_get(end, "ok")) || *feed->error)
		return;
	snprintf(feed->error, sizeof(feed->error), "the daemon says: %s",
		 error ? error : "no, without a reason");
}

/* One line. false: enough, or no line of the daemon's. */
static bool take_line(struct feed *feed, const char *line, size_t len,
		      bool (*on_row)(void *arg, json_t *row), void *arg)
{
	json_t *row = json_loadb(line, len, 0, NULL);
	const char *type = json_string_value(json_object_get(row, "type"));
	bool more = true;

	if (!type) {
		more = fail(feed, "the daemon's answer is not understood");
	} else if (!strcmp(type, "end")) {
		take_end(feed, row);
	} else if (!on_row(arg, row)) {
		hang_up(feed);
		more = false;
	}
	json_decref(row);
	return more;
}

/* All whole lines; false as take_line(). */
static bool take_lines(struct feed *feed, bool (*on_row)(void *arg, json_t *row), void *arg)
{
	char *line = feed->buffer, *end = feed->buffer + feed->used, *newline;

	while (feed->awaited && (newline = memchr(line, '\n', (size_t)(end - line)))) {
		if (!take_line(feed, line, (size_t)(newline - line), on_row, arg))
			return false;
		line = newline + 1;
	}
	feed->used = (size_t)(end - line);
	memmove(feed->buffer, line, feed->used);
	return true;
}

static bool make_room(struct feed *feed)
{
	size_t size = feed->used + FEED_READ;
	char *buffer;

	if (feed->used > FEED_LINE_MAX)
		return fail(feed, "the daemon's answer is not understood");
	if (feed->size >= size)
		return true;
	buffer = realloc(feed->buffer, size);
	if (!buffer)
		return fail(feed, "out of memory");
	feed->buffer = buffer;
	feed->size = size;
	return true;
}

enum feed_result feed_read(struct feed *feed, bool (*on_row)(void *arg, json_t *row), void *arg)
{
	ssize_t n;

	if (!make_room(feed))
		return FEED_FAILED;
	n = recv(feed->fd, feed->buffer + feed->used, FEED_READ, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return FEED_MORE;
	if (n <= 0) {
		fail(feed, n < 0 ? strerror(errno) : "the daemon has hung up");
		return FEED_FAILED;
	}
	feed->used += (size_t)n;
	if (take_lines(feed, on_row, arg) && feed->awaited)
		return FEED_MORE;
	return *feed->error ? FEED_FAILED : FEED_DONE;
}
