/* SPDX-License-Identifier: MIT */
/* What guardian and loop share: a page of memory that a restart of the loop does not lose. */
#ifndef DAEMON_PULSE_H
#define DAEMON_PULSE_H

#include <stdatomic.h>
#include <stdint.h>

struct pulse {
	_Atomic uint64_t beats;	  /* one each WIRE_HEARTBEAT_MS */
	_Atomic uint32_t ready;	  /* this loop serves */
	_Atomic uint32_t reloads; /* finished, well or not */
};

#endif
