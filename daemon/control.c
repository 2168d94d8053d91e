/* SPDX-License-Identifier: MIT */
#include "daemon/control.h"

#include "daemon/conn.h"
#include "daemon/filter_conn.h"
#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/reply.h"
#include "daemon/tally.h"
#include "daemon/user.h"

#include "common/wire.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <jansson.h>
#include <utlist.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PROTOCOL = 1,
	BATCHES_AT_ONCE = 2,
	REQUESTS_AT_ONCE = 8, /* then others have their turn */
};

struct client {
	struct control *control;
	struct bufferevent *stream;
	struct user *user;
	bool walking; /* conns: rows go out as fast as they are read */
	struct conn_walk walk;
	struct filter filter;
	struct client *prev, *next;
};

struct control {
	struct loop *loop;
	struct evconnlistener *listener;
	struct client *clients;
	unsigned int count;
};

static void send_row(struct client *client, json_t *row)
{
	char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;

	if (text) {
		struct evbuffer *out = bufferevent_get_output(client->stream);

		evbuffer_add(out, text, strlen(text));
		evbuffer_add(out, "\n", 1);
		free(text);
	}
	json_decref(row);
}

static void end(struct client *client, const char *error)
{
	send_row(client, reply_end(error));
}

/* --- commands --------------------------------------------------------------------------------- */

static void cmd_status(struct client *client, const json_t *request)
{
	(void)request;
	send_row(client, reply_status(client->control->loop));
	end(client, NULL);
}

/* Found open once, ended since, and its process never said so. */
static bool is_left_over(const struct conn *conn, const struct kernel_query *query)
{
	return !conn->owner && conn->custody == CUSTODY_NONE && kernel_is_over(query);
}

/* What the kernel says of their states now; of what it does not find (another network namespace),
 * the last that was heard. */
static void refresh_states(const struct loop *loop, struct conn *conns[KERNEL_BATCH],
			   unsigned int count)
{
	struct kernel_query queries[KERNEL_BATCH];

	conn_lookup(loop->kernel, conns, queries, count);
	for (unsigned int i = 0; i < count; i++) {
		if (is_left_over(conns[i], &queries[i])) {
			conn_remove(loop->conns, conns[i]);
			conns[i] = NULL;
		} else if (!queries[i].error) {
			conns[i]->state = queries[i].state;
		}
	}
}

static bool is_wanted(const struct client *client, const struct conn *conn)
{
	struct filter_subject subject =
		filter_subject_of(conn, client->control->loop->book, wire_now_ms());

	return filter_matches(&client->filter, &subject);
}

/* Sends the rows of one batch. false: there are no more. */
static bool walk_batch(struct client *client)
{
	struct loop *loop = client->control->loop;
	struct conn *conns[KERNEL_BATCH];
	unsigned int count = 0;

	while (count < KERNEL_BATCH && (conns[count] = conn_walk_next(&client->walk)))
		count++;
	refresh_states(loop, conns, count);
	for (unsigned int i = 0; i < count; i++)
		if (conns[i] && is_wanted(client, conns[i]))
			send_row(client, reply_conn(loop, conns[i]));
	return count == KERNEL_BATCH;
}

static void walk_on(struct client *client)
{
	struct evbuffer *out = bufferevent_get_output(client->stream);
	struct loop *loop = client->control->loop;
	bool more = true;

	for (int i = 0;
	     more && i < BATCHES_AT_ONCE && evbuffer_get_length(out) < LIMIT_CONTROL_OUTPUT; i++)
		more = walk_batch(client);
	if (more) {
		if (evbuffer_get_length(out) == 0) /* nothing matched: come back all the same */
			bufferevent_trigger(client->stream, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
		return;
	}
	conn_walk_end(loop->conns, &client->walk);
	client->walking = false;
	end(client, NULL);
}

static void cmd_conns(struct client *client, const json_t *request)
{
	char error[256];

	if (!filter_from_json(&client->filter, json_object_get(request, "filter"), error,
			      sizeof(error))) {
		end(client, error);
		return;
	}
	conn_walk_begin(client->control->loop->conns, &client->walk);
	client->walking = true;
	walk_on(client);
}

static void cmd_policies(struct client *client, const json_t *request)
{
	const struct loop *loop = client->control->loop;

	(void)request;
	for (unsigned int i = 1; i < loop->book->policy_count; i++)
		if (loop->book->policy[i].name[0])
			send_row(client, reply_policy(loop, i));
	end(client, NULL);
}

static void cmd_report(struct client *client, const json_t *request)
{
	const struct book *book = client->control->loop->book;
	const char *tag = json_string_value(json_object_get(request, "tag"));
	uint16_t slot = tag ? book_find_tag(book, tag, strlen(tag)) : 0;

	if (!tag) {
		end(client, "report needs \"tag\"");
		return;
	}
	if (slot) /* none: no process with this tag has made a TCP call */
		send_row(client, reply_report(tag, &book->tag[slot].tally));
	end(client, NULL);
}

static void cmd_reload(struct client *client, const json_t *request)
{
	char error[CONFIG_ERROR_MAX];

	(void)request;
	end(client, loop_reload(client->control->loop, error, sizeof(error)) ? NULL : error);
}

static void cmd_on(struct client *client, const json_t *request)
{
	(void)request;
	end(client, loop_switch(client->control->loop, true) ? NULL : strerror(errno));
}

static void cmd_off(struct client *client, const json_t *request)
{
	(void)request;
	end(client, loop_switch(client->control->loop, false) ? NULL : strerror(errno));
}

static const struct command {
	const char *name;
	bool changes;
	void (*run)(struct client *client, const json_t *request);
} commands[] = {
	{"status", false, cmd_status},
	{"conns", false, cmd_conns},
	{"policies", false, cmd_policies},
	{"report", false, cmd_report},
	{"reload", true, cmd_reload},
	{"on", true, cmd_on},
	{"off", true, cmd_off},
};

static void run_command(struct client *client, const json_t *request, const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		if (commands[i].changes && client->user->uid != 0 && client->user->uid != geteuid())
			end(client, "permission denied: only root and the daemon's own user may "
				    "change things");
		else
			commands[i].run(client, request);
		return;
	}
	client->control->loop->book->bad_messages++;
	end(client, "unknown command");
}

static void take_line(struct client *client, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "cmd"));
	const json_t *version = json_object_get(request, "v");

	if (!json_is_object(request) || !name) {
		client->control->loop->book->bad_messages++;
		end(client, "not a request: {\"v\":1,\"cmd\":\"...\"} is");
	} else if (json_integer_value(version) != PROTOCOL) {
		client->control->loop->book->bad_messages++;
		end(client, "unknown protocol version: this daemon speaks 1");
	} else {
		run_command(client, request, name);
	}
	json_decref(request);
}

/* --- connections ------------------------------------------------------------------------------ */

static void client_free(struct client *client)
{
	struct control *control = client->control;
	int fd = bufferevent_getfd(client->stream);

	if (client->walking)
		conn_walk_end(control->loop->conns, &client->walk);
	bufferevent_setfd(client->stream, -1);
	close(fd); /* at once: libevent would later, and the next are accepted before */
	bufferevent_free(client->stream);
	DL_DELETE(control->clients, client);
	user_give_back(client->user, USER_CONTROL);
	control->count--;
	free(client);
}

static bool is_busy(const struct client *client)
{
	return client->walking ||
	       evbuffer_get_length(bufferevent_get_output(client->stream)) >= LIMIT_CONTROL_OUTPUT;
}

/* One request at a time: what follows a running walk, or answers that nobody reads, stays in the
 * buffer. */
static void on_read(struct bufferevent *stream, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(stream);
	struct client *client = arg;
	size_t len;
	char *line;

	for (int i = 0; !is_busy(client); i++) {
		if (i == REQUESTS_AT_ONCE) {
			bufferevent_trigger(stream, EV_READ, BEV_OPT_DEFER_CALLBACKS);
			return;
		}
		line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		if (!line)
			break;
		take_line(client, line, len);
		free(line);
	}
	/* libevent 2.1 calls back without end while as much as the high watermark is in the buffer.
	 */
	if (is_busy(client)) {
		bufferevent_disable(stream, EV_READ);
	} else if (evbuffer_get_length(in) >= LIMIT_CONTROL_LINE) {
		client->control->loop->book->bad_messages++;
		client_free(client);
	}
}

static void on_written(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;

	if (client->walking)
		walk_on(client);
	if (is_busy(client))
		return;
	bufferevent_enable(stream, EV_READ);
	on_read(stream, client);
}

static void on_end(struct bufferevent *stream, short what, void *arg)
{
	struct client *client = arg;

	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)))
		return;
	if (!is_busy(client) && evbuffer_get_length(bufferevent_get_input(stream)))
		client->control->loop->book->bad_messages++; /* half a request */
	client_free(client);
}

/* The oldest of a user may have forgotten us. */
static void end_oldest(struct control *control, struct user *user)
{
	struct client *client;

	DL_FOREACH(control->clients, client)
	{
		if (client->user == user)
			break;
	}
	user_blame(user, FAULT_CONTROL, NULL,
		   "limit reached: %u clients of the control socket; its oldest are ended",
		   user->has[USER_CONTROL]);
	client_free(client);
}

static void make_room(struct control *control, struct user *user)
{
	if (user_is_full(user, USER_CONTROL))
		end_oldest(control, user);
	else if (control->count >= LIMIT_CONTROL)
		end_oldest(control, users_most(control->loop->users, USER_CONTROL));
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
		      int sa_len, void *arg)
{
	struct control *control = arg;
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	static const struct timeval idle = {.tv_sec = LIMIT_CONTROL_IDLE_S};
	struct client *client;
	struct user *user;

	(void)listener;
	(void)sa;
	(void)sa_len;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	user = user_get(control->loop->users, cred.uid);
	if (!user) {
		close(fd);
		return;
	}
	make_room(control, user);
	user_take(user, USER_CONTROL);
	user_put(user);
	client = calloc(1, sizeof(*client));
	if (!client) {
		user_give_back(user, USER_CONTROL);
		close(fd);
		return;
	}
	client->user = user;
	client->stream = bufferevent_socket_new(control->loop->base, fd, 0);
	if (!client->stream) {
		user_give_back(user, USER_CONTROL);
		close(fd);
		free(client);
		return;
	}
	client->control = control;
	DL_APPEND(control->clients, client);
	control->count++;
	bufferevent_setwatermark(client->stream, EV_READ, 0, LIMIT_CONTROL_LINE);
	bufferevent_setwatermark(client->stream, EV_WRITE, LIMIT_CONTROL_OUTPUT / 4, 0);
	bufferevent_setcb(client->stream, on_read, on_written, on_end, client);
	bufferevent_set_timeouts(client->stream, NULL, &idle);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
}

struct control *control_new(struct loop *loop, int listener)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return NULL;
	control->loop = loop;
	control->listener = evconnlistener_new(loop->base, on_accept, control,
					       LEV_OPT_CLOSE_ON_EXEC, 0, listener);
	if (!control->listener) {
		free(control);
		return NULL;
	}
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	while (control->clients)
		client_free(control->clients);
	evconnlistener_free(control->listener);
	free(control);
}
