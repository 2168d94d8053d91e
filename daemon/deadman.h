/* SPDX-License-Identifier: MIT */
/* A deadman's switch: a kernel timer that kills this process unless it is wound up again in time,
 * also when it is stopped, and when its guardian is stopped with it. What it held is then ended by
 * the kernel, and no peer waits for a FIN that a stopped process withholds. */
#ifndef DAEMON_DEADMAN_H
#define DAEMON_DEADMAN_H

/* Starts it. 0 or -1 with errno. */
int deadman_start(void);
/* To be called much more often than DEADMAN_MS. */
void deadman_wind(void);
void deadman_stop(void);

/* Later than the guardian, which says why. */
enum { DEADMAN_MS = 1500 };

#endif
