/* SPDX-License-Identifier: MIT */
/* A client of the control socket, between control.c, which reads requests and writes answers, and
 * the commands. */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include "daemon/conn.h"
#include "daemon/filter.h"
#include "daemon/follow.h"
#include "daemon/proc.h"
#include "daemon/tally.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

struct bufferevent;
struct control;
struct loop;
struct verdicts;

struct client {
	struct control *control;
	struct loop *loop;
	struct bufferevent *stream;
	struct user *user;
	/* Work that goes on while the answer is read: sends some rows, true: there are more. */
	bool (*step)(struct client *client);
	void (*leave)(struct client *client); /* it hangs up: undo what was begun; or NULL */
	void (*fresh)(struct client *client);
	struct follow_waiter waiter;
	bool waiting;
	struct filter filter;
	struct conn_walk walk;
	struct proc_walk procs;
	void *work; /* a command's own */
	void (*answer)(struct client *client, const struct verdicts *verdicts);
	unsigned int format; /* of `metrics` */
	bool watching;
	char tag[BOOK_TAG_MAX]; /* of those to be watched; "": all */
	uint64_t lost;		/* transitions, since it was told */
	struct client *prev, *next;
};

/* Takes the row; NULL sends nothing. */
void client_send(struct client *client, json_t *row);
void client_send_text(struct client *client, const char *text, size_t len);
/* The end of an answer; error NULL: it went well. */
void client_end(struct client *client, const char *error);
/* It does not read: make no more. */
bool client_is_behind(const struct client *client);
/* The same of what comes by itself, thousands at once where they have gathered. */
bool client_is_far_behind(const struct client *client);
/* Steps until it says that there is no more. */
void client_begin(struct client *client, bool (*step)(struct client *client));
/* Calls fresh() when the model is (follow_refresh). */
void client_when_fresh(struct client *client, void (*fresh)(struct client *client));

/* A request. */
void command_take(struct client *client, const char *line, size_t len);
/* A watcher has read what there was. */
void command_caught_up(struct client *client);

#endif
