/* SPDX-License-Identifier: MIT */
/* The programs of the soak, in one: soak.sh starts them.
 *
 *   plan.c             what a connection is to be, drawn from a seed; the policies
 *   board.c            what they all share: counters, and failures as they are reported
 *   serve*.c ending.c  servers of every kind, and every way to end a connection
 *   client.c           the clients, which judge
 *   flood.c            a nuisance for the daemon */
#include "tests/soak/board.h"
#include "tests/soak/client.h"
#include "tests/soak/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_policy(unsigned int policy)
{
	printf("policy %s {\n  role = server\n  local-port = {", policies[policy].word);
	for (unsigned int model = 0; model < MODEL_COUNT; model++)
		printf("%s%u", model ? ", " : "", plan_port(model, policy));
	printf("}\n  %s\n}\n", policies[policy].keys);
}

/* config [backwards]: the servers' policies, for closeside.conf; the same in another order. */
static int config_main(int argc, char **argv)
{
	(void)argv;
	for (unsigned int i = 0; i < policy_count; i++)
		print_policy(argc > 1 ? policy_count - 1 - i : i);
	return 0;
}

/* clients: the word of each of their policies, and its keys. */
static int clients_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < client_policy_count; i++)
		printf("%s %s\n", client_policies[i].word, client_policies[i].keys);
	return 0;
}

static int models_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < MODEL_COUNT; i++)
		printf("%s %u\n", model_words[i], plan_port(i, 0));
	return 0;
}

static const struct {
	const char *word;
	int (*main)(int argc, char **argv);
} commands[] = {
	{"board", board_main},	 {"looked", board_models_main}, {"clients", clients_main},
	{"client", client_main}, {"config", config_main},	{"flood", flood_main},
	{"models", models_main}, {"serve", serve_main},		{"serve-exec", serve_exec_main},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].word))
			return commands[i].main(argc - 1, argv + 1);
	fprintf(stderr, "usage: soak COMMAND ..., see main.c\n");
	return 2;
}
