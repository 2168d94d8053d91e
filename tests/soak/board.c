/* SPDX-License-Identifier: MIT */
#include "tests/soak/board.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { REPORTS_MAX = 60 };

struct board *board;
const char *board_path;

bool board_map(const char *path, bool create)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);

	if (fd < 0)
		return false;
	if (create && ftruncate(fd, sizeof(*board)) != 0)
		return false;
	board_path = path;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return board != MAP_FAILED;
}

uint64_t board_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void print_order(const struct order *o)
{
	fprintf(stderr,
		" connection %llu (%s server, policy %s, %s; client %s, flags %u; %u up, %u down)",
		(unsigned long long)o->id, model_words[o->model], policies[o->policy].word,
		ending_words[o->ending], client_ending_words[o->client_ending], o->client_flags,
		o->up, o->down);
}

void board_report(const char *what, const struct order *order, const char *format, ...)
{
	va_list ap;

	if (atomic_fetch_add(&board->reports, 1) >= REPORTS_MAX)
		return;
	flockfile(stderr);
	fprintf(stderr, "%s:", what);
	if (order)
		print_order(order);
	fputs(": ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, " [pid %d, %s]\n", (int)getpid(),
		atomic_load(&board->calm) ? "calm" : "disturbed");
	funlockfile(stderr);
}

static _Atomic uint64_t *member_of(const char *name)
{
#define X(member)                   \
	if (!strcmp(name, #member)) \
		return &board->member;
	BOARD_ORDERS(X)
	BOARD_COUNTS(X)
#undef X
	return NULL;
}

static void print_all(void)
{
#define X(member) printf("%s %llu\n", #member, (unsigned long long)atomic_load(&board->member));
	BOARD_ORDERS(X)
	BOARD_COUNTS(X)
#undef X
}

/* looked FILE: of each kind of server, how many closes clients looked at, and how many of these
 * were steered. */
int board_models_main(int argc, char **argv)
{
	if (argc != 2 || !board_map(argv[1], false))
		return 2;
	for (int i = 0; i < MODEL_COUNT; i++)
		printf("%s %llu %llu\n", model_words[i],
		       (unsigned long long)atomic_load(&board->looked_at[i]),
		       (unsigned long long)atomic_load(&board->steered_at[i]));
	return 0;
}

/* board FILE [NAME [VALUE]]: prints all or one; sets one. */
int board_main(int argc, char **argv)
{
	_Atomic uint64_t *member;

	if (argc < 2 || !board_map(argv[1], true))
		return 2;
	if (argc == 2) {
		print_all();
		return 0;
	}
	member = member_of(argv[2]);
	if (!member)
		return 2;
	if (argc > 3)
		atomic_store(member, strtoull(argv[3], NULL, 10));
	else
		printf("%llu\n", (unsigned long long)atomic_load(member));
	return 0;
}
