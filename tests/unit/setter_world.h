/* SPDX-License-Identifier: MIT */
/* A network namespace whose sysctls may be written, an empty sysctl.d, a journal, and a setter that
 * is asked and answers in one process. tcp_max_orphans, which only the first namespace has, is
 * played. */
#ifndef TESTS_UNIT_SETTER_WORLD_H
#define TESTS_UNIT_SETTER_WORLD_H

#include "daemon/setter.h"
#include "daemon/setter_seam.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* A key that closeside writes: what it is at first, two values that it may go to, and an admin's
 * that is not between any of them. */
struct world_key {
	enum sysctl key;
	struct sysctl_value base, one, two, admins;
};

enum { WORLD_KEYS = 7 };
extern const struct world_key world_keys[WORLD_KEYS];

extern char world_folder[], world_journal[PATH_MAX];

/* Values of all SYSCTLS; count 0 where there is none. */
struct world_values {
	struct sysctl_value value[SYSCTL_COUNT];
};

/* false: nothing of it can be had here; then world_need() skips the test that calls it. */
bool world_open(void);
void world_need(void);
/* Returns status. */
int world_close(int status);
/* All keys are as at first, no journal is there, and the seam is as it should be. */
void world_reset(void);

void world_read_all(struct world_values *values);
struct sysctl_value world_value(enum sysctl key);
/* As an admin does. */
void world_set(enum sysctl key, const struct sysctl_value *value);
bool world_has_journal(void);

/* A setter on the journal, with its channel. */
struct world {
	struct setter *setter;
	int fd;
};

struct world world_start(void);
void world_stop(struct world *world, bool put_back);
struct setter_answer world_ask(struct world *world, const struct setter_request *request);
/* From what it is now. */
struct setter_answer world_write(struct world *world, enum sysctl key,
				 const struct sysctl_value *value);
struct setter_answer world_revert(struct world *world, enum sysctl key);
/* All of them; returns how many answers came before the last. */
unsigned int world_walk(struct world *world, enum setter_op op, struct setter_answer *answers,
			unsigned int max);

/* For tests with one setter. */
extern struct world here;
int world_begin(void **state);
int world_end(void **state);
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

struct setter_answer write_number(enum sysctl key, int64_t number);
void assert_number(struct sysctl_value value, int64_t number);
void world_put_text(const char *path, const char *text);

/* A process in a network namespace of its own. */
struct neighbour {
	pid_t pid;
	uint64_t netns;
	int folders[SYSCTL_FOLDERS];
};

struct neighbour neighbour_new(void);
/* And its namespace has gone when this returns. */
void neighbour_end(struct neighbour *neighbour);

#endif
