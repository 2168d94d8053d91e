/* SPDX-License-Identifier: MIT */
#include "daemon/cli_control.h"

#include "common/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONTROL_VERSION = 1, ANSWER_SECONDS = 10 };

struct control {
	int fd;
	FILE *in;
	char *line;
	size_t size;
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
		if (connect(control->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			control->in = fdopen(control->fd, "r");
	}
	if (control->in) {
		*out = control;
		return 0;
	}
	error = errno;
	if (control->fd >= 0)
		close(control->fd);
	free(control);
	return error;
}

void control_close(struct control *control)
{
	fclose(control->in);
	free(control->line);
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

int control_next(struct control *control, json_t **row)
{
	ssize_t len = getline(&control->line, &control->size, control->in);
	const char *type;
	json_error_t error;

	if (len < 0 && !feof(control->in))
		return fail(control,
			    errno == EAGAIN ? "the daemon does not answer" : strerror(errno));
	if (len < 0)
		return fail(control, "the daemon's answer breaks off");
	*row = json_loadb(control->line, (size_t)len, 0, &error);
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

int control_run(const struct cli *cli, const char *command, json_t *more,
		void (*on_row)(void *arg, json_t *row), void *arg)
{
	struct control *control;
	json_t *row;
	int error = control_open(&control, cli->socket), more_rows;

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
	error = control_request(control, command, more);
	if (error) {
		control_close(control);
		return cli_fail(CLI_FAILED, "%s: %s", command, strerror(error));
	}
	while ((more_rows = control_next(control, &row)) == 1) {
		if (on_row)
			on_row(arg, row);
		json_decref(row);
	}
	if (more_rows < 0)
		cli_fail(CLI_FAILED, "%s: %s", command, control_error(control));
	control_close(control);
	return more_rows < 0 ? CLI_FAILED : CLI_FINE;
}
