/* SPDX-License-Identifier: MIT */
/* Policies for connections of processes without the shim. Only time-wait can act on those: what is
 * in TIME_WAIT is ended from outside. Their FIN goes first as before. */
#ifndef DAEMON_ADOPT_H
#define DAEMON_ADOPT_H

#include "daemon/follow.h"

/* It is known whose it is, or it is new: what policy is it under? The first that matches. Where
 * nobody knows whose it is, one that asks for a program, unit or user may be the one or not: then
 * none is. */
void adopt(const struct follow_parts *parts, struct conn *conn);
/* Its TIME_WAIT has begun, or is seen for the first time. */
void adopt_time_wait(const struct follow_parts *parts, struct conn *conn);

#endif
