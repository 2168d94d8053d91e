/* SPDX-License-Identifier: MIT */
#include "daemon/cli_control.h"

#include "daemon/cli_output.h"

#include "common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONTROL_VERSION = 1, ANSWER_SECONDS = 10, READ_LEAST = 16384 };

struct control {
	int fd;
	char *buf; /* what has come and is not yet taken: from start to end */
	size_t start, end, size;
	char error[256];
};

int control_open(struct control **out, const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return ENOMEM;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s" WIRE_CONTROL_SUFFIX, socket_path);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->fd >= 0) {
		setsockopt(control->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(control->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (connect(control->fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			*out = control;
			return 0;
		}
	}
	error = errno;
	if (control->fd >= 0)
		close(control->fd);
	free(control);
	return error;
}

void control_close(struct control *control)
{
	close(control->fd);
	free(control->buf);
	free(control);
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int control_request(struct control *control, const char *command, json_t *more)
{
	json_t *request = json_pack("{s:i, s:s}", "v", CONTROL_VERSION, "cmd", command);
	char *text = NULL;
	int error = ENOMEM;

	if (request && (!more || json_object_update(request, more) == 0))
		text = json_dumps(request, JSON_COMPACT);
	if (text)
		error = send_all(control->fd, text, strlen(text));
	if (!error)
		error = send_all(control->fd, "\n", 1);
	free(text);
	json_decref(request);
	json_decref(more);
	return error;
}

static int fail(struct control *control, const char *why)
{
	snprintf(control->error, sizeof(control->error), "%s", why);
	return -1;
}

static int take_end(struct control *control, json_t *end)
{
	const char *error = json_string_value(json_object_get(end, "error"));
	int result = json_is_true(json_object_get(end, "ok"))
			     ? 0
			     : fail(control, error ? error : "the daemon refused");

	json_decref(end);
	return result;
}

/* Room for more, after what is there. */
static bool make_room(struct control *control)
{
	size_t used = control->end - control->start;
	char *more;

	if (control->start) {
		memmove(control->buf, control->buf + control->start, used);
		control->start = 0;
		control->end = used;
	}
	if (control->size - control->end >= READ_LEAST)
		return true;
	more = realloc(control->buf, control->size ? 2 * control->size : 4 * READ_LEAST);
	if (!more)
		return false;
	control->size = control->size ? 2 * control->size : 4 * READ_LEAST;
	control->buf = more;
	return true;
}

int control_fd(const struct control *control)
{
	return control->fd;
}

bool control_has_row(const struct control *control)
{
	return control->end > control->start &&
	       memchr(control->buf + control->start, '\n', control->end - control->start);
}

int control_read(struct control *control)
{
	ssize_t n;

	if (!make_room(control))
		return fail(control, strerror(ENOMEM));
	do {
		n = recv(control->fd, control->buf + control->end, control->size - control->end, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(control,
			    errno == EAGAIN ? "the daemon does not answer" : strerror(errno));
	if (n == 0)
		return fail(control, "the daemon's answer breaks off");
	control->end += (size_t)n;
	return 0;
}

int control_next(struct control *control, json_t **row)
{
	const char *type, *line, *newline;

	while (!control_has_row(control))
		if (control_read(control) < 0)
			return -1;
	line = control->buf + control->start;
	newline = memchr(line, '\n', control->end - control->start);
	*row = json_loadb(line, (size_t)(newline - line), 0, NULL);
	control->start += (size_t)(newline - line) + 1;
	type = json_string_value(json_object_get(*row, "type"));
	if (!type) {
		json_decref(*row);
		return fail(control, "the daemon's answer is not understood");
	}
	return strcmp(type, "end") ? 1 : take_end(control, *row);
}

const char *control_error(const struct control *control)
{
	return control->error;
}

int control_begin(const struct cli *cli, struct control **out, const char *command, json_t *more)
{
	int error = control_open(out, cli->socket);

	if (error) {
		json_decref(more);
		if (error == EACCES || error == EPERM)
			return cli_fail(CLI_FAILED,
					"%s" WIRE_CONTROL_SUFFIX
					": %s: it is for root, the daemon's own "
					"user and the group that closeside.conf names",
					cli->socket, strerror(error));
		return cli_no_daemon(cli, error);
	}
	error = control_request(*out, command, more);
	if (!error)
		return CLI_FINE;
	control_close(*out);
	return cli_fail(CLI_FAILED, "%s: %s", command, strerror(error));
}

int control_run(const struct cli *cli, const char *command, json_t *more,
		void (*on_row)(void *arg, json_t *row), void *arg)
{
	struct control *control;
	json_t *row;
	int code = control_begin(cli, &control, command, more), more_rows = 0;

	if (code)
		return code;
	while (!output_failed() && (more_rows = control_next(control, &row)) == 1) {
		if (on_row)
			on_row(arg, row);
		json_decref(row);
	}
	if (more_rows < 0)
		cli_fail(CLI_FAILED, "%s: %s", command, control_error(control));
	control_close(control);
	return more_rows < 0 ? CLI_FAILED : CLI_FINE;
}
