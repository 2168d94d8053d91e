/* SPDX-License-Identifier: MIT */
/* What `closeside doctor` can find: one table of the verdicts, with the words of each. A template's
 * {word} is replaced; a line with a word that has no value here is left out. */
#ifndef DAEMON_VERDICT_H
#define DAEMON_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum verdict_level { VERDICT_INFO, VERDICT_FAULT };

/* X(enum, id, level, in short). The ids are for good: scripts and `explain` know them. Two may have
 * one: the first is what it means. */
#define VERDICTS(X)                                                                               \
	X(CLOSE_WAIT_LEAK, "close-wait-leak", FAULT, "a program never closes what its peer has")  \
	X(NEVER_ACCEPTED, "never-accepted", FAULT, "connections wait for an accept() in vain")    \
	X(FIN_WAIT_2_STUCK, "fin-wait-2-stuck", FAULT, "peers never close what a program has")    \
	X(TIME_WAIT_NEAR_LIMIT, "time-wait-near-limit", FAULT, "TIME_WAITs near their limit")     \
	X(PORTS_RUNNING_OUT, "ports-running-out", FAULT, "few ports are left to a destination")   \
	X(ACCEPT_QUEUE_OVERFLOW, "accept-queue-overflow", FAULT, "an accept queue overflows")     \
	X(SYN_RECV_PILE_UP, "syn-recv-pile-up", FAULT, "handshakes that nobody completes")        \
	X(ORPHANS, "orphans", FAULT, "closed connections that the kernel cannot end")             \
	X(ANSWER_CUT_SHORT, "answer-cut-short", FAULT, "closed with data unread: the peer's RST") \
	X(DESCRIPTORS_RUNNING_OUT, "descriptors-running-out", FAULT,                              \
	  "a program near its limit of open files")                                               \
	X(PEER_VANISHED, "peer-vanished", FAULT, "data is sent again and again, unanswered")      \
	X(SHIM_NOT_LOADED, "shim-not-loaded", FAULT, "an enabled unit runs without the shim")     \
	X(ANSWERS_UNNAMED, "answer-cut-short", INFO, "data was unread at close, whose?")          \
	X(TIME_WAIT_HARMLESS, "time-wait-harmless", INFO, "many TIME_WAITs, far from any limit")

enum verdict_id {
#define X(name, id, level, summary) VERDICT_##name,
	VERDICTS(X)
#undef X
		VERDICT_COUNT
};

struct verdict_kind {
	const char *id;
	enum verdict_level level;
	const char *summary;	   /* of no connection in particular */
	const char *title;	   /* template */
	const char *const *remedy; /* templates of the lines to paste, ends with NULL */
};

extern const struct verdict_kind verdict_kinds[VERDICT_COUNT];

/* The first of this id, or NULL. */
const struct verdict_kind *verdict_find(const char *id);

/* X(enum, the word in braces). */
#define VERDICT_WORDS(X)                                                                   \
	X(PROGRAM, "program") /* for people; may hold anything: not for a line to paste */ \
	X(PID, "pid")	      /* of a living process */                                    \
	X(SERVICE, "service") /* its systemd service, for a shell */                       \
	X(LONE, "lone")	      /* its pid, if it is no service */                           \
	X(STOPPED, "stopped") /* its pid, if it is stopped */                              \
	X(COUNT, "count")                                                                  \
	X(UNIT, "unit")	      /* enabled, for people */                                    \
	X(RESTART, "restart") /* the same for a shell, if it was not restarted */          \
	X(ENABLE, "enable")   /* the same, if something keeps the shim out */              \
	X(LIMIT, "limit")                                                                  \
	X(PORT, "port")                                                                    \
	X(REMOTE, "remote")                                                                \
	X(FILTER, "filter")	  /* ss's words for these connections */                   \
	X(NS, "ns")		  /* enters their network namespace; or nothing */         \
	X(CONFIG, "config")	  /* the config's path, for a shell */                     \
	X(CLOSESIDE, "closeside") /* the command, with this daemon's socket */             \
	X(NAME, "name")		  /* for a new policy */                                   \
	X(SELECTOR, "selector")	  /* of a policy for these connections */                  \
	X(POLICY, "policy")	  /* the one that matches them already */                  \
	X(FREE, "free")		  /* nothing: none matches them */                         \
	X(BARE, "bare")		  /* nothing: the program is not under the shim */         \
	X(TARGET, "target")	  /* a number to set */                                    \
	X(HARD, "hard")		  /* the hard limit beside it */                           \
	X(COST, "cost")		  /* what that costs */                                    \
	X(LEFT, "left")		  /* until there is none left */                           \
	X(REUSE, "reuse")	  /* nothing: tcp_tw_reuse would help */                   \
	X(RANGE, "range")	  /* a wider range of ports */                             \
	X(QUIET, "quiet")	  /* nothing: time-wait = none would help */               \
	X(GENTLE, "gentle")	  /* nothing: close-first = peer would */                  \
	X(SOMAXCONN, "somaxconn")                                                          \
	X(COOKIES, "cookies") /* nothing: SYN cookies are off */                           \
	X(WINDOW, "window")   /* how long ago is lately */                                 \
	X(DESTROY, "destroy") /* nothing: SOCK_DESTROY ends orphans here */

enum verdict_word {
#define X(name, word) WORD_##name,
	VERDICT_WORDS(X)
#undef X
		VERDICT_WORDS_COUNT
};

enum {
	VERDICT_TEXT = 256,
	VERDICT_EVIDENCE = 6,
	VERDICT_REMEDY = 14,
	VERDICT_WORD_MAX = 200,
};

struct verdict_words {
	bool known[VERDICT_WORDS_COUNT];
	char text[VERDICT_WORDS_COUNT][VERDICT_WORD_MAX];
};

void verdict_word(struct verdict_words *words, enum verdict_word word, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A text as one word of a shell, in quotes if it needs them. NULL: it does not fit, or is no text
 * of one line. size: more than 8. */
char *verdict_quoted(const char *text, char *buf, size_t size);
void verdict_shell_word(struct verdict_words *words, enum verdict_word word, const char *text);

struct verdict {
	const struct verdict_kind *kind;
	pid_t pid; /* 0: of no process that is known */
	char program[32], unit[128];
	uint64_t count;
	int64_t since_ms; /* ago; -1: not known */
	char title[VERDICT_TEXT];
	unsigned int evidence_count, remedy_count;
	char evidence[VERDICT_EVIDENCE][VERDICT_TEXT];
	char remedy[VERDICT_REMEDY][VERDICT_TEXT];
};

/* What does not fit is left out. */
void verdict_evidence(struct verdict *verdict, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Title and remedy, from the templates of its kind. */
void verdict_say(struct verdict *verdict, const struct verdict_words *words);

/* false: it does not fit, or lacks a word. */
bool verdict_expand(const char *template, const struct verdict_words *words, char *buf,
		    size_t size);

/* 28000 as "28,000"; 45000 ms as "45s". Both return buf. */
#define VERDICT_NUMBER_MAX 32
char *verdict_number(uint64_t number, char *buf, size_t size);
char *verdict_age(uint64_t ms, char *buf, size_t size);

#endif
