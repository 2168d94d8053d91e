/* SPDX-License-Identifier: MIT */
/* What happens on a connection of the soak: the client draws it from the seed and the connection's
 * number, and sends it ahead as an order. So both ends know every byte that must arrive, and how
 * the other is going to end. */
#ifndef SOAK_PLAN_H
#define SOAK_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a server is built: each kind listens on a port for each policy.
 * X(enum, word, weight of 100) */
#define MODELS(X)                                                                                 \
	X(MODEL_EPOLL, "epoll",                                                                   \
	  46) /* one thread, non-blocking; level, edge, one-shot, two sets */                     \
	X(MODEL_THREAD, "thread", 30) /* blocking threads; now and then the process forks */      \
	X(MODEL_FORK, "fork", 8)      /* a process for each connection, some go on to exec */     \
	X(MODEL_PASS, "pass", 10)     /* accepted here, served by another process (SCM_RIGHTS) */ \
	X(MODEL_EXIT, "exit", 6)      /* processes that exit with connections open */

enum model {
#define X(name, word, weight) name,
	MODELS(X)
#undef X
		MODEL_COUNT
};

enum {
	POLICY_STEERS = 1,     /* close-first = peer, and always waits: such closes are counted */
	POLICY_EOF_RESETS = 2, /* documented: ECONNRESET in place of EOF for who has half-closed */
	POLICY_LOSES = 4,      /* documented: throws away what has not arrived */
	POLICY_DEFERS =
		16, /* documented: a kill within the grace, and a wait for the peer is long */
	POLICY_DRAINS = 8, /* more answers before all has come */
};

/* The servers' policies. X(word, flags, keys) */
#define POLICIES(X)                                                                     \
	X("app", 0, "close-first = app")                                                \
	X("learning", 0, "close-first = peer  grace = 300ms")                           \
	X("peer", POLICY_STEERS, "close-first = peer  grace = 400ms  grace-learn = no") \
	X("self", 0, "close-first = self")                                              \
	X("defer", POLICY_STEERS | POLICY_DEFERS,                                       \
	  "close-first = peer  half-close = defer  grace = 400ms  grace-learn = no")    \
	X("none", 0, "time-wait = none")                                                \
	X("retire", 0, "time-wait = 1s")                                                \
	X("peer-none", POLICY_STEERS,                                                   \
	  "close-first = peer  time-wait = none  grace = 400ms  grace-learn = no")      \
	X("peer-retire", POLICY_DEFERS,                                                 \
	  "close-first = peer  half-close = defer  time-wait = 500ms")                  \
	X("reset-peer", POLICY_EOF_RESETS, "peer-time-wait = none")                     \
	X("all-none", POLICY_EOF_RESETS,                                                \
	  "close-first = peer  time-wait = none  peer-time-wait = none  grace = 200ms") \
	X("linger-off", 0, "linger = off")                                              \
	X("linger", 0, "linger = 5s")                                                   \
	X("abort", POLICY_LOSES, "linger = abort  allow-data-loss = yes")               \
	X("drain", POLICY_DRAINS, "close-first = peer  grace = 200ms  drain-max = 5s")  \
	X("options", POLICY_STEERS,                                                     \
	  "close-first = peer  grace = 400ms  grace-learn = no  reuse-address = yes  "  \
	  "reuse-port = yes  backlog = 2000  keepalive = \"60s/10s/5\"  user-timeout = 60s")

/* The clients', given to each by CLOSESIDE_SOCKET. X(word, flags, keys) */
enum { CLIENT_EOF_RESETS = 1, CLIENT_DEFERS = 2, CLIENT_BINDS = 4 };
#define CLIENT_POLICIES(X)                                                            \
	X("watched", 0, "")                                                           \
	X("peer", 0, "close-first=peer,grace=200ms")                                  \
	X("none", 0, "time-wait=none")                                                \
	X("ports", CLIENT_BINDS, "role=client,bind-late=yes,local-ports=16000-60000") \
	X("source", 0, "source=SOURCES,close-first=self")                             \
	X("retire", 0, "time-wait=500ms,keepalive=60s/10s/5")                         \
	X("reset-peer", CLIENT_EOF_RESETS, "peer-time-wait=none")                     \
	X("defer", CLIENT_DEFERS, "close-first=peer,half-close=defer,grace=200ms")

struct soak_policy {
	const char *word;
	unsigned int flags;
	const char *keys;
};
extern const struct soak_policy policies[], client_policies[];
extern const unsigned int policy_count, client_policy_count;
extern const char *const model_words[MODEL_COUNT];

enum { PORT_BASE = 10000, PORT_STEP = 100 };

static inline uint16_t plan_port(unsigned int model, unsigned int policy)
{
	return (uint16_t)(PORT_BASE + PORT_STEP * model + policy);
}

/* How the server ends a connection. X(enum, word, weight) */
#define ENDINGS(X)                                                                       \
	X(END_CLOSE, "close", 30)                                                        \
	X(END_WAIT, "wait", 10)		  /* until the client has closed */              \
	X(END_SHUT_WAIT, "shut-wait", 10) /* shutdown(SHUT_WR), and then until it has */ \
	X(END_SHUT_CLOSE, "shut-close", 6)                                               \
	X(END_SHUT_BOTH, "shut-both", 5)                                                 \
	X(END_DUP, "dup", 6)	     /* half of the answer through a duplicate */        \
	X(END_DUP2, "dup2", 6)	     /* another descriptor over it, as the JDK closes */ \
	X(END_STREAM, "fclose", 6)   /* the answer's end by stdio */                     \
	X(END_SYSCALL, "syscall", 5) /* as libuv closes */                               \
	X(END_RANGE, "close-range", 4)                                                   \
	X(END_THREAD, "thread", 6) /* another thread closes */                           \
	X(END_LINGER, "so-linger", 3)                                                    \
	X(END_ABORT, "abort", 2) /* SO_LINGER 0: what has not arrived may not */         \
	X(END_EARLY, "early", 1) /* answers and closes before all has come, as a 413 */

enum ending {
#define X(name, word, weight) name,
	ENDINGS(X)
#undef X
		ENDING_COUNT
};
extern const char *const ending_words[ENDING_COUNT];

/* ... and how the client does. X(enum, word, weight) */
#define CLIENT_ENDINGS(X)                                                  \
	X(CLIENT_CLOSE, "close", 50)  /* once the answer is whole */       \
	X(CLIENT_EOF, "eof", 22)      /* after the end of file */          \
	X(CLIENT_SHUT, "shut", 16)    /* half-closes before it reads */    \
	X(CLIENT_FORGET, "forget", 8) /* sends, closes, wants no answer */ \
	X(CLIENT_ABORT, "abort", 4)   /* SO_LINGER 0, anywhere on the way */

enum client_ending {
#define X(name, word, weight) name,
	CLIENT_ENDINGS(X)
#undef X
		CLIENT_ENDING_COUNT
};
extern const char *const client_ending_words[CLIENT_ENDING_COUNT];

enum { ORDER_MAGIC = 0x736f616b };

struct order {
	uint32_t magic;
	uint8_t model, policy, ending, client_ending;
	uint64_t id;	       /* of the connection, from 1 */
	uint64_t seed;	       /* of both payloads */
	uint32_t up, down;     /* bytes: the client's, the server's */
	uint32_t client_flags; /* of its policy */
	uint8_t pause_ms;      /* the server's before it ends */
	uint8_t client_pause_ms;
	uint8_t cut;	/* CLIENT_ABORT: where, of 256 */
	uint8_t turn;	/* further choices */
	uint64_t check; /* of all before */
};
_Static_assert(sizeof(struct order) == 48, "crosses the wire");

struct answer {
	uint32_t magic, bad; /* bad: what came up was not what was sent */
	uint64_t id;
};
_Static_assert(sizeof(struct answer) == 16, "crosses the wire");

uint64_t plan_mix(uint64_t value);
void plan_draw(struct order *order, uint64_t seed, uint64_t id, uint32_t client_flags);
bool plan_is_sound(const struct order *order);
uint64_t plan_check(const struct order *order);

/* Bytes [offset, offset + len) of a payload. */
void payload_fill(uint64_t seed, size_t offset, uint8_t *buf, size_t len);
bool payload_matches(uint64_t seed, size_t offset, const uint8_t *buf, size_t len);

/* Of the answer's payload; the client's is order->seed itself. */
static inline uint64_t plan_down_seed(const struct order *order)
{
	return plan_mix(order->seed);
}

/* May the answer be cut short, by what was ordered or by what its policy documents? */
bool plan_may_lose(const struct order *order);
/* May the client find ECONNRESET where the end of file should be; may the server? */
bool plan_client_may_reset(const struct order *order);
bool plan_server_may_reset(const struct order *order);
/* May the server wait for the client's end in vain, when the daemon is killed? */
bool plan_may_be_late(const struct order *order);

#endif
