/* SPDX-License-Identifier: MIT */
#include "daemon/control.h"

#include "daemon/client.h"
#include "daemon/conn.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/reply.h"
#include "daemon/tally.h"
#include "daemon/user.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <utlist.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STEPS_AT_ONCE = 2,
	REQUESTS_AT_ONCE = 8, /* then others have their turn */
};

struct control {
	struct loop *loop;
	struct evconnlistener *listener;
	struct client *clients;
	unsigned int count;
};

/* --- answers ---------------------------------------------------------------------------------- */

static size_t unread_by(const struct client *client)
{
	return evbuffer_get_length(bufferevent_get_output(client->stream));
}

void client_send_text(struct client *client, const char *text, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(client->stream);

	evbuffer_add(out, text, len);
	evbuffer_add(out, "\n", 1);
}

void client_send(struct client *client, json_t *row)
{
	char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;

	if (text)
		client_send_text(client, text, strlen(text));
	free(text);
	json_decref(row);
}

void client_end(struct client *client, const char *error)
{
	client_send(client, reply_end(error));
}

bool client_is_behind(const struct client *client)
{
	return unread_by(client) >= LIMIT_CONTROL_OUTPUT;
}

bool client_is_far_behind(const struct client *client)
{
	return unread_by(client) >= LIMIT_WATCH_OUTPUT;
}

static void step(struct client *client)
{
	bool more = true;

	for (int i = 0; more && i < STEPS_AT_ONCE && !client_is_behind(client); i++)
		more = client->step(client);
	if (!more)
		client->step = NULL;
	else if (unread_by(client) == 0) /* nothing to show: come back all the same */
		bufferevent_trigger(client->stream, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
}

void client_begin(struct client *client, bool (*work)(struct client *client))
{
	client->step = work;
	step(client);
}

static void on_fresh(struct follow_waiter *waiter)
{
	struct client *client = (struct client *)((char *)waiter - offsetof(struct client, waiter));

	client->waiting = false;
	client->fresh(client);
	if (!client->step)
		bufferevent_trigger(client->stream, EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

void client_when_fresh(struct client *client, void (*fresh)(struct client *client))
{
	client->fresh = fresh;
	client->waiter.ready = on_fresh;
	client->waiting = true;
	if (client->loop->follow)
		follow_refresh(client->loop->follow, &client->waiter);
	else
		on_fresh(&client->waiter);
}

void control_each(struct control *control, void (*act)(struct client *client, void *arg), void *arg)
{
	struct client *client, *next;

	DL_FOREACH_SAFE(control->clients, client, next)
	{
		act(client, arg);
	}
}

/* --- connections ------------------------------------------------------------------------------ */

static void client_free(struct client *client)
{
	struct control *control = client->control;
	int fd = bufferevent_getfd(client->stream);

	if (client->leave)
		client->leave(client);
	if (client->waiting && client->loop->follow)
		follow_forget(client->loop->follow, &client->waiter);
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
	return client->step || client->waiting || client_is_behind(client);
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
		command_take(client, line, len);
		free(line);
	}
	/* libevent 2.1 calls back without end while as much as the high watermark is in the buffer.
	 */
	if (is_busy(client)) {
		bufferevent_disable(stream, EV_READ);
	} else if (evbuffer_get_length(in) >= LIMIT_CONTROL_LINE) {
		client->loop->book->bad_messages++;
		client_free(client);
	}
}

static void on_written(struct bufferevent *stream, void *arg)
{
	struct client *client = arg;

	if (client->step)
		step(client);
	if (client->watching)
		command_caught_up(client);
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
		client->loop->book->bad_messages++; /* half a request */
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
	client->loop = control->loop;
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
