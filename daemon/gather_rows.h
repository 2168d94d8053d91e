/* SPDX-License-Identifier: MIT */
/* The rows of a round, which gather.c fills from connections; doctor_facts.c makes the doctor's
 * facts of them, tune_listeners.c the tuner's samples. */
#ifndef DAEMON_GATHER_ROWS_H
#define DAEMON_GATHER_ROWS_H

#include "daemon/gather.h"

#include <uthash.h>

enum {
	ROWS_BUCKET = 4096, /* connections between two cleanings of destinations */
	ROWS_MAKERS = 4096,
	ROWS_LISTENERS = 4096,
	ROWS_SLOT_MS = 5000,
	ROWS_SLOTS = 12, /* the life of a TIME_WAIT */
};

struct process_row {
	struct proc *proc; /* the key; NULL: nobody's */
	struct doctor_process facts;
	UT_hash_handle hh;
};

struct maker_key {
	char program[sizeof(((struct doctor_who *)0)->program)];
	uint64_t netns; /* struct conn.netns */
};

struct maker_row {
	struct maker_key key;
	struct proc *proc;
	struct doctor_maker facts;
	UT_hash_handle hh;
};

/* What waits at a port, whichever of its listeners has it. */
struct port_row {
	uint32_t place;		      /* the key: the network namespace, the port */
	uint32_t waiting, handshakes; /* for too long, */
	uint32_t syn_recv;	      /* and all */
	uint64_t oldest_ms, oldest_handshake_ms;
	UT_hash_handle hh;
};

struct route {
	struct endpoint local, remote;
	uint64_t netns; /* struct conn.netns */
};

struct destination_row {
	struct route route; /* the key */
	struct proc *proc;  /* who has most, if any has more than half: by votes */
	uint32_t votes, missed;
	const char *policy;
	uint64_t first_ms;
	uint32_t released[ROWS_SLOTS]; /* TIME_WAITs that end in each of the next slots */
	struct doctor_destination facts;
	UT_hash_handle hh;
};

struct listener_row {
	struct proc *proc;
	uint32_t place;
	struct doctor_listener facts;
};

struct gather {
	struct gather_parts parts;
	struct procs *procs;
	struct process_row *processes;
	struct maker_row *makers;
	struct port_row *ports;
	struct destination_row *destinations;
	struct listener_row listeners[ROWS_LISTENERS];
	unsigned int listener_count, walked;
	uint32_t orphans_fin_wait2;	  /* full sockets and minisockets */
	const struct process_row *looked; /* the last that was */
	bool looking;
	struct doctor_process *process_facts;
	struct doctor_maker *maker_facts;
	struct doctor_listener *listener_facts;
	struct doctor_destination *destination_facts;
};

/* Those that are there, or new ones; NULL: there is no room. */
struct process_row *process_row(struct gather *gather, struct proc *proc);
struct maker_row *maker_row(struct gather *gather, struct proc *proc, uint8_t netns);
struct port_row *port_row(struct gather *gather, const struct conn *conn);
struct destination_row *destination_row(struct gather *gather, const struct conn *conn);
struct listener_row *listener_row(struct gather *gather, struct proc *proc, uint8_t netns,
				  uint16_t port);

/* Lossy counting (Manku and Motwani, 2002): what is seldom is forgotten, with an error of at most
 * one for each bucket; so there are never many more rows than the size of a bucket. */
void destinations_clean(struct gather *gather);

/* How long before the round, ms. */
uint64_t rows_ago(const struct gather *gather, uint64_t then_ms);

#endif
