/* SPDX-License-Identifier: MIT */
/* Our socket to the daemon: opened at the first TCP call, hidden from the program, never waited
 * for. If the daemon is away, slow or refusing, the program does not notice. */
#ifndef SHIM_CHANNEL_H
#define SHIM_CHANNEL_H

#include "common/wire.h"

#include <stdbool.h>

/* Opens the channel if there is none, at most once a second. */
void channel_open(void);

/* Fills in what every record has. */
void channel_stamp(struct wire_record *record);

/* Publishes a record without a descriptor; what can't go is counted as lost. */
void channel_publish(const struct wire_record *record);

/* Sends a record with a descriptor. False: it did not go, and the caller still has it alone. */
bool channel_send_fd(const struct wire_record *record, int fd);

/* The daemon is alive, the channel is up, and a credit is left. */
bool channel_ready(void);

/* From now on threads may have tables of descriptors of their own (unshare(CLONE_FILES)). */
void channel_tables_part(void);

/* In a fork child: what we inherited is the parent's. */
void channel_forget(void);

/* The number of our descriptor; -1 if there is none, or somebody has taken the number. */
int channel_guard(void);

/* It is one of these numbers. */
bool channel_within(long first, long last);

/* The program has tried to close our descriptor, and was told that there is none. Who tries again
 * does not believe it: it closes all that it finds until it finds nothing. It gets its way, and the
 * next TCP call opens another. */
void channel_refused(void);

/* The program wants our number (dup2): move away from it first. */
void channel_relocate(void);

#endif
