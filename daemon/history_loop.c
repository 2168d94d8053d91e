/* SPDX-License-Identifier: MIT */
#include <config.h> /* of configure, not daemon/config.h */

#include "daemon/history_loop.h"

#include "daemon/custody.h"
#include "daemon/history.h"
#include "daemon/loop.h"
#include "daemon/note.h"
#include "daemon/page.h"
#include "daemon/session.h"

#include "common/wire.h"

#include <stdio.h>

static void take(struct loop *loop, uint64_t now_ms)
{
	const struct history_now now = {
		.now_ms = now_ms,
		.wall_ms = history_wall_ms(),
		.lost = sessions_lost(loop->sessions),
		.on = page_is_on(loop->page),
	};

	history_take(loop->history, &now);
}

/* One of somebody's own keeps it for itself. */
bool history_loop_begin(struct loop *loop)
{
	const struct history_parts parts = {.conns = loop->conns, .book = loop->book};
	const struct history_now now = {.now_ms = wire_now_ms(), .wall_ms = history_wall_ms()};
	char path[WIRE_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s.history", loop->options->socket_path);
	loop->history = history_new(loop->options->private_pid ? NULL : path, &parts, &now);
	if (!loop->history)
		return false;
	note_set_sink(history_note, loop->history);
	return true;
}

void history_loop_started(const struct loop *loop)
{
	struct pulse *pulse = loop->options->pulse;
	int number = atomic_load(&pulse->signal);

	switch (atomic_load(&pulse->end)) {
	case PULSE_FIRST:
		note(NOTE_START, "closesided %s, steering is %s", VERSION,
		     page_is_on(loop->page) ? "on" : "off");
		break;
	case PULSE_STALLED:
		note(NOTE_KILLED, "the loop had not moved for a second and was killed");
		break;
	default:
		if (number)
			note(NOTE_KILLED, "the loop was ended by signal %d", number);
		else
			note(NOTE_KILLED, "the loop failed");
	}
}

void history_loop_tick(struct loop *loop, uint64_t now_ms)
{
	if (history_is_due(loop->history, now_ms))
		take(loop, now_ms);
}

void history_loop_stop(struct loop *loop, uint64_t now_ms)
{
	sessions_catch_up(loop->sessions);
	note(NOTE_STOP, "%u held sockets are ended", custody_count(loop->custody));
	take(loop, now_ms);
}

void history_loop_end(struct loop *loop)
{
	note_set_sink(NULL, NULL);
	history_free(loop->history);
	loop->history = NULL;
}
