/* SPDX-License-Identifier: MIT */
#include "daemon/gather_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct proc *ref(struct proc *proc)
{
	return proc ? proc_ref(proc) : NULL;
}

struct process_row *process_row(struct gather *gather, struct proc *proc)
{
	struct process_row *row;

	HASH_FIND_PTR(gather->processes, &proc, row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->proc = ref(proc);
	row->facts.descriptors.since_ms = -1;
	HASH_ADD_PTR(gather->processes, proc, row);
	return row;
}

/* A program that comes when there are too many makes few of them. */
struct maker_row *maker_row(struct gather *gather, struct proc *proc, uint8_t netns)
{
	struct maker_key key = {.netns = netns};
	struct maker_row *row;

	if (proc)
		snprintf(key.program, sizeof(key.program), "%s", process_name(&proc->process));
	HASH_FIND(hh, gather->makers, &key, sizeof(key), row);
	if (row || HASH_COUNT(gather->makers) >= ROWS_MAKERS)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->key = key;
	HASH_ADD(hh, gather->makers, key, sizeof(row->key), row);
	return row;
}

static uint32_t place_of(uint8_t netns, uint16_t port)
{
	return (uint32_t)netns << 16 | port;
}

struct port_row *port_row(struct gather *gather, const struct conn *conn)
{
	uint32_t key = place_of(conn->netns, conn->local.port);
	struct port_row *row;

	HASH_FIND(hh, gather->ports, &key, sizeof(key), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->place = key;
	HASH_ADD(hh, gather->ports, place, sizeof(row->place), row);
	return row;
}

static void destination_free(struct gather *gather, struct destination_row *row)
{
	HASH_DEL(gather->destinations, row);
	proc_put(gather->procs, row->proc);
	free(row);
}

void destinations_clean(struct gather *gather)
{
	unsigned int bucket = gather->walked / ROWS_BUCKET;
	struct destination_row *row, *next;

	HASH_ITER(hh, gather->destinations, row, next)
	{
		if (row->facts.used + row->missed < bucket)
			destination_free(gather, row);
	}
}

struct destination_row *destination_row(struct gather *gather, const struct conn *conn)
{
	struct route route = {conn->local, conn->remote, conn->netns};
	struct destination_row *row;

	route.local.port = 0;
	HASH_FIND(hh, gather->destinations, &route, sizeof(route), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->route = route;
	row->missed = gather->walked / ROWS_BUCKET;
	row->first_ms = gather->parts.now_ms;
	HASH_ADD(hh, gather->destinations, route, sizeof(row->route), row);
	return row;
}

struct listener_row *listener_row(struct gather *gather, struct proc *proc, uint8_t netns,
				  uint16_t port)
{
	struct listener_row *row;

	if (gather->listener_count == ROWS_LISTENERS)
		return NULL;
	row = &gather->listeners[gather->listener_count++];
	row->proc = ref(proc);
	row->place = place_of(netns, port);
	return row;
}

uint64_t rows_ago(const struct gather *gather, uint64_t then_ms)
{
	return then_ms < gather->parts.now_ms ? gather->parts.now_ms - then_ms : 0;
}

/* --- life ------------------------------------------------------------------------------------- */

struct gather *gather_new(const struct gather_parts *parts)
{
	struct gather *gather = calloc(1, sizeof(*gather));

	if (gather) {
		gather->parts = *parts;
		gather->procs = conns_procs(parts->conns);
	}
	return gather;
}

const struct gather_parts *gather_parts(const struct gather *gather)
{
	return &gather->parts;
}

static void free_processes(struct gather *gather)
{
	struct process_row *row, *next;

	HASH_ITER(hh, gather->processes, row, next)
	{
		HASH_DEL(gather->processes, row);
		proc_put(gather->procs, row->proc);
		free(row);
	}
}

static void free_makers(struct gather *gather)
{
	struct maker_row *row, *next;

	HASH_ITER(hh, gather->makers, row, next)
	{
		HASH_DEL(gather->makers, row);
		proc_put(gather->procs, row->proc);
		free(row);
	}
}

static void free_ports(struct gather *gather)
{
	struct port_row *row, *next;

	HASH_ITER(hh, gather->ports, row, next)
	{
		HASH_DEL(gather->ports, row);
		free(row);
	}
}

void gather_free(struct gather *gather)
{
	struct destination_row *row, *next;

	if (!gather)
		return;
	free_processes(gather);
	free_makers(gather);
	free_ports(gather);
	HASH_ITER(hh, gather->destinations, row, next)
	{
		destination_free(gather, row);
	}
	for (unsigned int i = 0; i < gather->listener_count; i++)
		proc_put(gather->procs, gather->listeners[i].proc);
	free(gather->process_facts);
	free(gather->maker_facts);
	free(gather->listener_facts);
	free(gather->destination_facts);
	free(gather);
}
