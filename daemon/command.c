/* SPDX-License-Identifier: MIT */
#include "daemon/client.h"

#include "daemon/control.h"
#include "daemon/doctor_run.h"
#include "daemon/filter_conn.h"
#include "daemon/history_reply.h"
#include "daemon/limits.h"
#include "daemon/loop.h"
#include "daemon/metrics.h"
#include "daemon/reply.h"
#include "daemon/session.h"
#include "daemon/tally.h"
#include "daemon/tune.h"
#include "daemon/tune_command.h"
#include "daemon/user.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROTOCOL = 1, CONNS_AT_ONCE = 512, ROWS_AT_ONCE = 64, PROCS_AT_ONCE = 64 };

static void cmd_status(struct client *client, const json_t *request)
{
	(void)request;
	client_send(client, reply_status(client->loop));
	client_end(client, NULL);
}

/* --- conns ------------------------------------------------------------------------------------ */

static bool is_wanted(const struct client *client, const struct conn *conn)
{
	struct filter_subject subject = filter_subject_of(conn, client->loop->book, wire_now_ms());

	if (conn->state == STATE_LISTEN && !filter_asks_for_state(&client->filter))
		return false;
	return filter_matches(&client->filter, &subject);
}

static void leave_conns(struct client *client)
{
	conn_walk_end(client->loop->conns, &client->walk);
	client->leave = NULL;
}

static bool step_conns(struct client *client)
{
	struct loop *loop = client->loop;
	unsigned int rows = 0;

	for (int i = 0; i < CONNS_AT_ONCE && rows < ROWS_AT_ONCE; i++) {
		struct conn *conn = conn_walk_next(loop->conns, &client->walk);

		if (!conn) {
			leave_conns(client);
			client_end(client, NULL);
			return false;
		}
		if (!is_wanted(client, conn))
			continue;
		client_send(client, reply_conn(loop, conn));
		rows++;
	}
	return true;
}

static void begin_conns(struct client *client)
{
	conn_walk_begin(client->loop->conns, &client->walk);
	client->leave = leave_conns;
	client_begin(client, step_conns);
}

static void cmd_conns(struct client *client, const json_t *request)
{
	char error[256];

	if (filter_from_json(&client->filter, json_object_get(request, "filter"), error,
			     sizeof(error)))
		client_when_fresh(client, begin_conns);
	else
		client_end(client, error);
}

/* --- ps --------------------------------------------------------------------------------------- */

static void leave_procs(struct client *client)
{
	proc_walk_end(conns_procs(client->loop->conns), &client->procs);
	client->leave = NULL;
}

static bool step_procs(struct client *client)
{
	struct loop *loop = client->loop;

	for (int i = 0; i < PROCS_AT_ONCE; i++) {
		const struct proc *proc = proc_walk_next(&client->procs);

		if (!proc) {
			leave_procs(client);
			client_send(client, reply_unknown(loop));
			client_send(client, reply_total(loop));
			client_end(client, NULL);
			return false;
		}
		client_send(client, reply_proc(proc));
	}
	return true;
}

static void begin_procs(struct client *client)
{
	proc_walk_begin(conns_procs(client->loop->conns), &client->procs);
	client->leave = leave_procs;
	client_begin(client, step_procs);
}

static void cmd_ps(struct client *client, const json_t *request)
{
	(void)request;
	client_when_fresh(client, begin_procs);
}

/* --- watch ------------------------------------------------------------------------------------ */

struct transition {
	const struct loop *loop;
	const struct conn *conn;
	unsigned int from, to;
	uint64_t in_from_ms;
	char *text; /* NULL until somebody wants it */
};

/* Only what is of this command's; the processes may come after the request. */
static bool has_tag(const struct client *client, const struct conn *conn)
{
	return !client->tag[0] ||
	       !strcmp(client->tag, client->loop->book->tag[conn->account.tag].tag);
}

static void send_transition(struct client *client, void *arg)
{
	struct transition *what = arg;

	if (!client->watching || !has_tag(client, what->conn) || !is_wanted(client, what->conn))
		return;
	if (client_is_far_behind(client)) {
		client->lost++;
		return;
	}
	if (!what->text)
		what->text = reply_transition(what->loop, what->conn, what->from, what->to,
					      what->in_from_ms);
	if (what->text)
		client_send_text(client, what->text, strlen(what->text));
}

static void on_transition(void *arg, const struct conn *conn, unsigned int from, unsigned int to,
			  uint64_t in_from_ms)
{
	struct loop *loop = arg;
	struct transition what = {loop, conn, from, to, in_from_ms, NULL};

	if (!loop->watchers)
		return;
	control_each(loop->control, send_transition, &what);
	free(what.text);
}

static void leave_watch(struct client *client)
{
	client->watching = false;
	client->loop->watchers--;
	client->leave = NULL;
}

/* It reads again. */
void command_caught_up(struct client *client)
{
	if (!client->lost)
		return;
	client_send(client, reply_lost(client->lost));
	client->lost = 0;
}

static void cmd_watch(struct client *client, const json_t *request)
{
	const char *tag = json_string_value(json_object_get(request, "tag"));
	char error[256];

	if (client->watching)
		leave_watch(client);
	if (tag && strlen(tag) >= sizeof(client->tag)) {
		client_end(client, "watch: that is no tag");
		return;
	}
	snprintf(client->tag, sizeof(client->tag), "%s", tag ? tag : "");
	if (!filter_from_json(&client->filter, json_object_get(request, "filter"), error,
			      sizeof(error))) {
		client_end(client, error);
		return;
	}
	conns_set_watcher(client->loop->conns, on_transition, client->loop);
	client->watching = true;
	client->loop->watchers++;
	client->leave = leave_watch;
}

/* --- the others ------------------------------------------------------------------------------- */

static void cmd_doctor(struct client *client, const json_t *request)
{
	(void)request;
	doctor_begin(client);
}

static void cmd_policies(struct client *client, const json_t *request)
{
	const struct loop *loop = client->loop;

	(void)request;
	for (unsigned int i = 1; i < loop->book->policy_count; i++)
		if (loop->book->policy[i].name[0])
			client_send(client, reply_policy(loop, i));
	client_end(client, NULL);
}

static void cmd_report(struct client *client, const json_t *request)
{
	const struct book *book = client->loop->book;
	const char *tag = json_string_value(json_object_get(request, "tag"));
	uint16_t slot = tag ? book_find_tag(book, tag, strlen(tag)) : 0;

	if (!tag) {
		client_end(client, "report needs \"tag\"");
		return;
	}
	if (slot) /* none: no process with this tag has made a TCP call */
		client_send(client, reply_report(tag, &book->tag[slot].tally,
						 tune_worst(client->loop->tune, slot)));
	client_end(client, NULL);
}

static void cmd_reload(struct client *client, const json_t *request)
{
	char error[CONFIG_ERROR_MAX];

	(void)request;
	client_end(client, loop_reload(client->loop, error, sizeof(error)) ? NULL : error);
}

static void cmd_on(struct client *client, const json_t *request)
{
	(void)request;
	client_end(client, loop_switch(client->loop, true) ? NULL : strerror(errno));
}

static void cmd_off(struct client *client, const json_t *request)
{
	(void)request;
	client_end(client, loop_switch(client->loop, false) ? NULL : strerror(errno));
}

static const struct command {
	const char *name;
	bool changes;
	void (*run)(struct client *client, const json_t *request);
} commands[] = {
	{"status", false, cmd_status},
	{"conns", false, cmd_conns},
	{"ps", false, cmd_ps},
	{"watch", false, cmd_watch},
	{"doctor", false, cmd_doctor},
	{"policies", false, cmd_policies},
	{"report", false, cmd_report},
	{"history", false, history_begin},
	{"metrics", false, metrics_begin},
	{"reload", true, cmd_reload},
	{"on", true, cmd_on},
	{"off", true, cmd_off},
	{"tune", false, tune_show_begin},
	{"tune-apply", true, tune_apply_begin},
	{"tune-revert", true, tune_revert_begin},
	{"tune-ignore", true, tune_ignore_begin},
	{"tune-resume", true, tune_resume_begin},
};

static void answer(struct client *client, const json_t *request, const struct command *command)
{
	sessions_catch_up(client->loop->sessions);
	command->run(client, request);
}

static void run_command(struct client *client, const json_t *request, const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		if (commands[i].changes && client->user->uid != 0 && client->user->uid != geteuid())
			client_end(client,
				   "permission denied: only root and the daemon's own user may "
				   "change things");
		else
			answer(client, request, &commands[i]);
		return;
	}
	client->loop->book->bad_messages++;
	client_end(client, "unknown command");
}

void command_take(struct client *client, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "cmd"));
	const json_t *version = json_object_get(request, "v");

	if (!json_is_object(request) || !name) {
		client->loop->book->bad_messages++;
		client_end(client, "not a request: {\"v\":1,\"cmd\":\"...\"} is");
	} else if (json_integer_value(version) != PROTOCOL) {
		client->loop->book->bad_messages++;
		client_end(client, "unknown protocol version: this daemon speaks 1");
	} else {
		run_command(client, request, name);
	}
	json_decref(request);
}
