/* SPDX-License-Identifier: MIT */
#include "daemon/cli_output.h"

#include "daemon/cli.h"
#include "daemon/cli_grid.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int failure; /* errno of the first */

static bool note(bool failed)
{
	if (failed && !failure)
		failure = errno ? errno : EIO;
	return failure;
}

bool output_failed(void)
{
	return note(ferror(stdout));
}

bool output_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return failure == EPIPE || (poll(&out, 1, 0) == 1 && out.revents & (POLLERR | POLLHUP));
}

int output_finish(int code)
{
	bool failed = output_failed();

	failed = note(fflush(stdout) == EOF) || failed;
	if (!failed)
		return code;
	return output_gone() ? CLI_FINE
			     : cli_fail(CLI_FAILED, "cannot write: %s", strerror(failure));
}

unsigned int output_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (columns && atoi(columns) > 0 && columns[strspn(columns, "0123456789")] == '\0')
		return (unsigned int)atoi(columns);
	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return GRID_UNLIMITED;
}
