/* SPDX-License-Identifier: MIT */
#include "daemon/verdict.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RELOAD "{free}{closeside} policy reload"
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A remedy is what can be pasted into root's shell, the gentlest or surest first; what it costs, or
 * cannot do, is in the comment before it. */
const struct verdict_kind verdict_kinds[VERDICT_COUNT] = {
#define X(name, word, degree, text) \
	[VERDICT_##                 \
		name] = {.id = (word), .level = VERDICT_##degree, .summary = (text), TEXT_##name},

#define TEXT_CLOSE_WAIT_LEAK                                                                       \
	.title = "{program} leaks {count} connections: its peers have closed them, it never does", \
	.remedy = LINES(                                                                           \
		"# the program forgets to close: until it is mended, only its end frees them",     \
		"systemctl restart {service}", "kill {lone} # and start it again",                 \
		"# or these connections alone: a peer that still reads gets RST, and the program " \
		"keeps the descriptors",                                                           \
		"{ns}ss -K -t state close-wait {filter}")

#define TEXT_NEVER_ACCEPTED                                                                      \
	.title = "{count} connections to port {port} of {program} wait for an accept() in vain", \
	.remedy = LINES("kill -CONT {stopped} # it is stopped",                                  \
			"# it blocks elsewhere, or is out of descriptors; until it is mended:",  \
			"systemctl restart {service}", "kill {lone} # and start it again")

#define TEXT_FIN_WAIT_2_STUCK                                                                      \
	.title = "{count} connections of {program} are stuck in FIN_WAIT2: it has shut them "      \
		 "down, their peers never close",                                                  \
	.remedy = LINES(                                                                           \
		"# ends them: a peer that still sends gets RST (tcp_fin_timeout does not: the "    \
		"program still has the descriptors)",                                              \
		"{ns}ss -K -t state fin-wait-2 {filter}",                                          \
		"# from now on, those whose peer has vanished end after two minutes, for a probe " \
		"a minute",                                                                        \
		"{free}echo 'policy {name} { {selector}  keepalive = \"60s/10s/5\" }' >>{config}", \
		"# the policy {policy} has them: let it say keepalive = \"60s/10s/5\"", RELOAD,    \
		"{bare}# (of a program that `closeside run` starts)")

#define TEXT_TIME_WAIT_NEAR_LIMIT                                                                \
	.title = "{count} TIME_WAITs of at most {limit}: over that they end at once; {program} " \
		 "makes most",                                                                   \
	.remedy = LINES(                                                                         \
		"# room for more, {cost} when it is full (tcp_fin_timeout does not shorten "     \
		"TIME_WAIT)",                                                                    \
		"sysctl -w net.ipv4.tcp_max_tw_buckets={target}",                                \
		"{gentle}{free}# or let the clients close first, and have them: a close waits "  \
		"for at most `grace`",                                                           \
		"{gentle}{free}echo 'policy {name} { {selector}  close-first = peer }' "         \
		">>{config}",                                                                    \
		"{quiet}{free}# or leave none: nothing guards against old segments then",        \
		"{quiet}{free}echo 'policy {name} { {selector}  time-wait = none }' >>{config}", \
		"# or let the policy {policy} say close-first = peer, or time-wait = none",      \
		RELOAD)

#define TEXT_PORTS_RUNNING_OUT                                                                     \
	.title = "{program} runs out of ports to {remote}: {count} of {limit} are taken, {left}",  \
	.remedy = LINES(                                                                           \
		"{reuse}# connect() may take a port after a second of TIME_WAIT, if the peer has " \
		"timestamps",                                                                      \
		"{reuse}sysctl -w net.ipv4.tcp_tw_reuse=1",                                        \
		"# more ports: see that nobody is to listen there (ip_local_reserved_ports)",      \
		"sysctl -w net.ipv4.ip_local_port_range='{range}'",                                \
		"{quiet}{free}# or leave no TIME_WAIT: nothing guards against old segments then",  \
		"{quiet}{free}echo 'policy {name} { {selector}  time-wait = none }' >>{config}",   \
		"# or let the policy {policy} say time-wait = none", "{quiet}" RELOAD)

#define TEXT_ACCEPT_QUEUE_OVERFLOW                                                                 \
	.title = "the accept queue of {program}, port {port}, overflows: {count} times of late",   \
	.remedy =                                                                                  \
		LINES("# a longer queue, from the next listen() on; one that is always full is a " \
		      "program that is too slow",                                                  \
		      "sysctl -w net.core.somaxconn={somaxconn}",                                  \
		      "{free}echo 'policy {name} { {selector}  backlog = {target} }' >>{config}",  \
		      "# the policy {policy} has it: let it say backlog = {target}", RELOAD,       \
		      "{bare}# (of a program that `closeside run` starts; or in its own config)",  \
		      "systemctl restart {service}", "kill {lone} # and start it again")

#define TEXT_SYN_RECV_PILE_UP                                                                    \
	.title = "{count} handshakes with port {port} of {program} stand still in SYN_RECV",     \
	.remedy = LINES("{cookies}{ns}sysctl -w net.ipv4.tcp_syncookies=1",                      \
			"# gives up after 3 s instead of a minute: peers on a very lossy way "   \
			"connect again",                                                         \
			"{ns}sysctl -w net.ipv4.tcp_synack_retries=1",                           \
			"# ends those of now; if they are an attack, their sources are made up", \
			"{ns}ss -K -t state syn-recv {filter}")

#define TEXT_ORPHANS                                                                               \
	.title = "{count} orphans of {program}: it has closed them, their peers take no more",     \
	.remedy = LINES(                                                                           \
		"{destroy}# ends them: what was not delivered is lost; so it is for what is only " \
		"shut down",                                                                       \
		"{destroy}{ns}ss -K -t state fin-wait-1 state last-ack state closing {filter}",    \
		"# room for more, {target}, of 64 kB and more each",                               \
		"sysctl -w net.ipv4.tcp_max_orphans={target}",                                     \
		"# gives up on a silent peer after two retransmissions, not eight",                \
		"{ns}sysctl -w net.ipv4.tcp_orphan_retries=2",                                     \
		"# also on one that only pauses: what it has not read by then is lost",            \
		"{free}echo 'policy {name} { {selector}  user-timeout = 30s }' >>{config}",        \
		"# the policy {policy} has them: let it say user-timeout = 30s", RELOAD,           \
		"{bare}# (of a program that `closeside run` starts)")

#define TEXT_ANSWER_CUT_SHORT                                                                      \
	.title = "{program} cuts its answers short: {count} closes with data unread, so the "      \
		 "peer gets RST",                                                                  \
	.remedy = LINES(                                                                           \
		"# the daemon reads what still comes, and the peer its answer; one that reads "    \
		"until the end of file waits for `grace`",                                         \
		"{free}echo 'policy {name} { {selector}  close-first = peer  grace-learn = no }' " \
		">>{config}",                                                                      \
		"# the policy {policy} has them: let it say close-first = peer, grace-learn = "    \
		"no",                                                                              \
		RELOAD)

#define TEXT_DESCRIPTORS_RUNNING_OUT                                                             \
	.title = "{program} runs out of descriptors: {count} of {limit} are open",               \
	.remedy = LINES("prlimit --pid {pid} --nofile={target}:{hard}",                          \
			"# for good: systemctl edit {service}, and LimitNOFILE={target} in its " \
			"[Service]")

#define TEXT_SHIM_NOT_LOADED                                                                  \
	.title = "{unit} is enabled, but {count} of its processes run without the shim",      \
	.remedy = LINES("systemctl restart {restart} # it has not been since it was enabled", \
			"# something keeps the shim out; this says what, if it can be told",  \
			"{closeside} enable {enable}",                                        \
			"# or leave it without: {closeside} disable {enable}")

#define TEXT_PEER_VANISHED                                                                     \
	.title = "peers of {program} have vanished: {count} connections send again and again", \
	.remedy = LINES(                                                                       \
		"# ends all that it has with these peers: what they have not got is lost",     \
		"{ns}ss -K -t {filter}",                                                       \
		"# from now on after 30 s; a reader that only pauses so long loses data too",  \
		"{free}echo 'policy {name} { {selector}  user-timeout = 30s }' >>{config}",    \
		"# the policy {policy} has them: let it say user-timeout = 30s", RELOAD,       \
		"{bare}# (of a program that `closeside run` starts)")

#define TEXT_ANSWERS_UNNAMED                                                                      \
	.title = "{count} closes of late had data unread, so their peers got RST: a client that " \
		 "has enough, or a server's answer cut short",                                    \
	.remedy = LINES("# a server that `closeside run` starts is named")

#define TEXT_TIME_WAIT_HARMLESS                                                                    \
	.title = "{count} TIME_WAITs, most of them made by {program}: {cost}, far from any limit", \
	.remedy = LINES("# nothing needs to be done")

	VERDICTS(X)
#undef X
};

const struct verdict_kind *verdict_find(const char *id)
{
	for (int i = 0; i < VERDICT_COUNT; i++)
		if (!strcmp(verdict_kinds[i].id, id))
			return &verdict_kinds[i];
	return NULL;
}

/* --- words ------------------------------------------------------------------------------------ */

static const char *const word_names[VERDICT_WORDS_COUNT] = {
#define X(name, word) [WORD_##name] = word,
	VERDICT_WORDS(X)
#undef X
};

void verdict_word(struct verdict_words *words, enum verdict_word word, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(words->text[word], VERDICT_WORD_MAX, format, ap);
	va_end(ap);
	words->known[word] = n >= 0 && n < VERDICT_WORD_MAX; /* half a word is none */
}

static bool is_plain(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_@%+=:,./-";

	return *text && *text != '-' && strspn(text, allowed) == strlen(text);
}

char *verdict_quoted(const char *text, char *buf, size_t size)
{
	size_t len = 0;

	if (is_plain(text))
		return snprintf(buf, size, "%s", text) < (int)size ? buf : NULL;
	buf[len++] = '\'';
	for (; *text; text++) {
		/* A line to paste is one line. */
		if (len + 6 > size || !isprint((unsigned char)*text))
			return NULL;
		if (*text == '\'') {
			memcpy(buf + len, "'\\'", 3);
			len += 3;
		}
		buf[len++] = *text;
	}
	buf[len++] = '\'';
	buf[len] = '\0';
	return buf;
}

void verdict_shell_word(struct verdict_words *words, enum verdict_word word, const char *text)
{
	char quoted[VERDICT_WORD_MAX];

	words->known[word] = false;
	if (verdict_quoted(text, quoted, sizeof(quoted)))
		verdict_word(words, word, "%s", quoted);
}

static int find_word(const char *text, size_t len)
{
	for (int i = 0; i < VERDICT_WORDS_COUNT; i++)
		if (strlen(word_names[i]) == len && !strncmp(word_names[i], text, len))
			return i;
	return -1;
}

/* A brace that is around no word is a brace. */
bool verdict_expand(const char *template, const struct verdict_words *words, char *buf, size_t size)
{
	size_t len = 0;

	while (*template) {
		size_t inside = *template == '{' ? strcspn(template + 1, "{} ") : 0;
		int word = inside && template[1 + inside] == '}' ? find_word(template + 1, inside)
								 : -1;
		const char *piece = word < 0 ? template : words->text[word];
		size_t piece_len = word < 0 ? 1 : strlen(piece);

		if ((word >= 0 && !words->known[word]) || len + piece_len >= size)
			return false;
		memcpy(buf + len, piece, piece_len);
		len += piece_len;
		template += word < 0 ? 1 : inside + 2;
	}
	buf[len] = '\0';
	return true;
}

/* --- a verdict -------------------------------------------------------------------------------- */

void verdict_evidence(struct verdict *verdict, const char *format, ...)
{
	va_list ap;

	if (verdict->evidence_count == VERDICT_EVIDENCE)
		return;
	va_start(ap, format);
	vsnprintf(verdict->evidence[verdict->evidence_count++], VERDICT_TEXT, format, ap);
	va_end(ap);
}

void verdict_say(struct verdict *verdict, const struct verdict_words *words)
{
	const struct verdict_kind *kind = verdict->kind;

	if (!verdict_expand(kind->title, words, verdict->title, VERDICT_TEXT))
		snprintf(verdict->title, VERDICT_TEXT, "%s", kind->summary);
	for (int i = 0; kind->remedy[i] && verdict->remedy_count < VERDICT_REMEDY; i++)
		if (verdict_expand(kind->remedy[i], words, verdict->remedy[verdict->remedy_count],
				   VERDICT_TEXT))
			verdict->remedy_count++;
}

char *verdict_number(uint64_t number, char *buf, size_t size)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
	size_t len = 0;

	for (int i = 0; i < n && len + 2 < size; i++) {
		if (i && (n - i) % 3 == 0)
			buf[len++] = ',';
		buf[len++] = digits[i];
	}
	buf[len] = '\0';
	return buf;
}

char *verdict_age(uint64_t ms, char *buf, size_t size)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} steps[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t i = 0;

	while (i < 4 && ms < 2 * steps[i].ms)
		i++;
	if (i == 4 && ms >= 1000)
		i = 3;
	snprintf(buf, size, "%llu%s", (unsigned long long)(ms / steps[i].ms), steps[i].unit);
	return buf;
}
