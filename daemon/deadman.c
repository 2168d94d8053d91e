/* SPDX-License-Identifier: MIT */
#include "daemon/deadman.h"

#include <signal.h>
#include <stdbool.h>
#include <time.h>

static timer_t timer;
static bool running;

static int set(unsigned int ms)
{
	struct itimerspec in = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
	};

	return timer_settime(timer, 0, &in, NULL);
}

/* CLOCK_MONOTONIC stands still while the machine is suspended. SIGKILL wakes a stopped process. */
int deadman_start(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
		return -1;
	running = true;
	return set(DEADMAN_MS);
}

void deadman_wind(void)
{
	if (running)
		set(DEADMAN_MS);
}

void deadman_stop(void)
{
	if (running)
		timer_delete(timer);
	running = false;
}
