/* SPDX-License-Identifier: MIT */
#include "tests/unit/history_world.h"

#include "daemon/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

void world_begin(struct world *world)
{
	const struct history_parts parts = {.conns = world->conns, .book = world->book};

	world->history = history_new(world->path, &parts, &world->now);
	assert_non_null(world->history);
	note_set_sink(history_note, world->history);
}

void world_end(struct world *world)
{
	note_set_sink(NULL, NULL);
	history_free(world->history);
	world->history = NULL;
}

static void new_model(struct world *world)
{
	world->conns = conns_new(300000, 300000, NULL);
	world->book = book_new();
	assert_non_null(world->conns);
	assert_non_null(world->book);
	conns_set_followed(world->conns, true);
}

static void free_model(struct world *world)
{
	conns_free(world->conns);
	book_free(world->book);
}

void world_new(struct world *world)
{
	*world = (struct world){
		.now = {.now_ms = 1000, .wall_ms = 1795357800000, .on = true},
		.folder = "/tmp/closeside-history-XXXXXX",
	};
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof(world->path), "%s/history", world->folder);
	snprintf(world->aside, sizeof(world->aside), "%s.damaged", world->path);
	new_model(world);
}

void world_free(struct world *world)
{
	world_end(world);
	free_model(world);
	rmdir(world->path);
	rmdir(world->aside);
	unlink(world->path);
	unlink(world->aside);
	rmdir(world->folder);
}

void world_restart(struct world *world)
{
	world_end(world);
	free_model(world);
	new_model(world);
	world_begin(world);
}

void world_sample(struct world *world)
{
	world->now.now_ms += HISTORY_INTERVAL_MS;
	world->now.wall_ms += HISTORY_INTERVAL_MS;
	history_take(world->history, &world->now);
}

struct process world_process(pid_t pid, const char *exe)
{
	struct process process = {.pid = pid, .start = 1};

	snprintf(process.exe, sizeof(process.exe), "%s", exe);
	return process;
}

struct conn *world_open(struct world *world, const struct process *process)
{
	struct kernel_socket socket = {
		.cookie = ++world->next_cookie,
		.state = STATE_ESTABLISHED,
		.inode = 1,
	};
	struct conn *conn;

	socket.local.family = socket.remote.family = AF_INET;
	conn = conn_discover(world->conns, &socket, CONN_NETNS_OWN, ROLE_SERVER, 1);
	assert_non_null(conn);
	if (process)
		conn_attribute(world->conns, conn, process);
	return conn;
}

void world_close(struct world *world, struct conn *conn, enum close_side side)
{
	conn_set_side(conn, side);
	conn_remove(world->conns, conn);
}

bool world_last(struct world *world, struct history_sample *sample)
{
	struct history_file *file = history_file_of(world->history);

	return history_file_read(file, history_file_next(file) - 1, sample);
}

bool world_row_id(const struct history_sample *sample, uint32_t id, struct history_row *row)
{
	for (uint32_t at = 0; history_next(sample, &at, row);)
		if (row->id == id)
			return true;
	return false;
}

bool world_row(struct world *world, const struct history_sample *sample, const char *name,
	       struct history_row *row)
{
	for (uint32_t at = 0; history_next(sample, &at, row);) {
		const char *of =
			history_file_name(history_file_of(world->history), row->id, sample->seq);

		if (of && !strcmp(of, name))
			return true;
	}
	return false;
}
