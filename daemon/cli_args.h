/* SPDX-License-Identifier: MIT */
/* The options of closeside: their rows, and how they are taken from the command line. */
#ifndef DAEMON_CLI_ARGS_H
#define DAEMON_CLI_ARGS_H

#include "daemon/cli.h"

#include <stdbool.h>
#include <stdio.h>

struct option_row {
	int letter; /* 0: none */
	const char *word, *argument, *text;
};

extern const struct option_row option_rows[OPT_COUNT];

/* Its argument, if it has one, is tied to it by '=': "[=ARGUMENT]" in the table. */
bool option_is_tied(const struct option_row *row);

/* One line of help. */
void option_print(FILE *out, const struct option_row *row);

/* Takes the options of mask, OPT() bits, into cli->value and leaves the rest in cli->argv; argv[0]
 * is skipped. The arguments of one given several times are joined by commas. False with everything
 * said. */
bool options_parse(struct cli *cli, unsigned int mask, int argc, char **argv);

/* -f and -s into cli->format and cli->socket. False with everything said. */
bool options_take_format(struct cli *cli);
bool options_take_socket(struct cli *cli);

/* Same letters but for one slip: dropped, added, changed or swapped. */
bool word_is_near(const char *a, const char *b);

#endif
