/* SPDX-License-Identifier: MIT */
/* sd_notify(3) by hand: a datagram to $NOTIFY_SOCKET, if there is one. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

void notify_send(const char *state);
/* "RELOADING=1", with the time that systemd wants beside it. */
void notify_reloading(void);
/* How often systemd wants to hear WATCHDOG=1, in milliseconds; 0: not at all. */
uint64_t notify_watchdog_ms(void);

#endif
