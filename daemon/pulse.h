/* SPDX-License-Identifier: MIT */
/* What guardian and loop share: a page of memory that a restart of the loop does not lose. */
#ifndef DAEMON_PULSE_H
#define DAEMON_PULSE_H

#include <stdatomic.h>
#include <stdint.h>

/* How the loop before this one ended. */
enum pulse_end {
	PULSE_FIRST,   /* there was none */
	PULSE_STALLED, /* it did not move, and was killed */
	PULSE_DIED,    /* a signal, or it failed */
};

struct pulse {
	_Atomic uint64_t beats;	  /* one each WIRE_HEARTBEAT_MS */
	_Atomic uint32_t ready;	  /* this loop serves */
	_Atomic uint32_t reloads; /* finished, well or not */
	_Atomic uint32_t end;	  /* enum pulse_end */
	_Atomic int32_t signal;	  /* that ended it; 0: none */
};

#endif
