/* SPDX-License-Identifier: MIT */
/* Which connections: the filter of ss(8), and conditions of our own.
 *
 *   EXPRESSION  conditions, joined by `and` (also & && or nothing) and `or` (| ||), turned round by
 *               `not` (!), grouped by parentheses; not binds closest, then and
 *   condition   a key of filter_keys, an operator of its kind or none, a value; a value in quotes
 *               may hold anything
 *
 * As with ss, `state` words beside each other are any of them, and those that begin a filter are
 * asked of all of it: `state time-wait sport = :80 or sport = :443`. What is not known of a
 * connection is equal to nothing. Pure: a filter is made of text and asked about plain data; it
 * holds no pointer and may be copied. */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

#include "common/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	FILTER_TEXT_MAX = 4096,	 /* with the final NUL */
	FILTER_TYPED_MAX = 1024, /* what a person types; its canonical form may be longer */
	FILTER_NODES_MAX = 64,	 /* conditions and what joins them */
	FILTER_DEPTH_MAX = 32,	 /* parentheses and nots within each other */
};

#define FILTER_UNKNOWN UINT64_MAX /* of a time */

/* What is asked about. */
struct filter_subject {
	unsigned int state;
	struct endpoint local, remote;
	pid_t pid;			     /* 0: not known */
	const char *program, *unit, *policy; /* NULL: not known, or none */
	uid_t uid;			     /* (uid_t)-1: not known */
	uint64_t netns;			     /* inode; 0: the daemon's own */
	uint8_t role;			     /* enum role */
	uint8_t side;			     /* enum close_side */
	bool shim;
	uint64_t age_ms, state_ms; /* since it was opened, and since it entered its state */
};

/* What kind of value a key has. */
enum filter_value {
	VALUE_STATE,
	VALUE_PORT,
	VALUE_PLACE,	/* ADDRESS[/LEN][:PORT] */
	VALUE_NUMBER,	/* equal or not */
	VALUE_GLOB,	/* as fnmatch(3) without flags */
	VALUE_USER,	/* a name or a number */
	VALUE_DURATION, /* without operator: at least */
	VALUE_CHOICE,	/* one of a few words */
};

struct filter_key {
	const char *word, *argument;
	enum filter_value value;
	const char *expected;			 /* in words */
	const char *(*choice)(unsigned int nth); /* of VALUE_CHOICE; NULL: no more */
};

/* In the order of enum filter_kind. */
extern const struct filter_key filter_keys[];
extern const size_t filter_key_count;

/* ss's names of several states ("connected"), or NULL: no more. */
const char *filter_state_group(unsigned int nth);

struct filter_node {
	uint8_t kind, op;
	uint8_t left, right; /* of and, or; left: of not */
	int32_t port;	     /* of a place; -1: any */
	union {
		uint32_t number; /* pid, uid, port, ms, a choice */
		uint32_t states; /* bits 1 << state */
		uint64_t inode;
		uint16_t text;	 /* offset in filter.text */
		struct cidr net; /* bits over 128: any */
	};
};

struct filter {
	uint8_t count, root; /* count 0: all connections match */
	uint16_t text_len;
	struct filter_node node[FILTER_NODES_MAX];
	char text[FILTER_TEXT_MAX]; /* the globs */
};

struct filter_error {
	size_t at; /* where in the text */
	char text[200];
};

/* Says the number of a user's name. */
typedef bool filter_user_fn(const char *name, uid_t *uid);

/* user NULL: only numbers are understood. False with an error, and *filter is not to be used. */
bool filter_parse(struct filter *filter, const char *text, filter_user_fn *user,
		  struct filter_error *error);

/* Adds a word, as the shell separated them, to a text for filter_parse(). Where a glob is expected,
 * a word with blanks in it is one value. False: too long. */
bool filter_add_word(char *text, size_t size, const char *word);

/* As a person would see it: what filter_add_word() puts between is a blank. */
void filter_show(char *text);

/* Canonical: what it makes of what it has made is the same. Returns buf. FILTER_FORMAT_MAX is
 * enough for any filter. */
enum { FILTER_FORMAT_MAX = 4 * FILTER_TEXT_MAX };
char *filter_format(const struct filter *filter, char *buf, size_t size);

bool filter_matches(const struct filter *filter, const struct filter_subject *subject);

/* Does it say anything of states? If not, listeners are not meant. */
bool filter_asks_for_state(const struct filter *filter);

/* The process that all of them must belong to, or 0. */
pid_t filter_pid(const struct filter *filter);

#endif
