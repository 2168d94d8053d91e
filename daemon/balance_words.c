/* SPDX-License-Identifier: MIT */
/* The words of the sheet: numbers, names, and lines that can be pasted. What came from elsewhere,
 * programs' names above all, is in a line only if it is plain. */
#include "daemon/balance_sheet.h"

#include "daemon/doctor.h"
#include "daemon/verdict.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { TEXTS = 12, TEXT = 96 };

/* --- numbers ---------------------------------------------------------------------------------- */

static char *next_text(void)
{
	static char texts[TEXTS][TEXT];
	static unsigned int at;

	at = (at + 1) % TEXTS;
	return texts[at];
}

const char *number_text(uint64_t number)
{
	return verdict_number(number, next_text(), VERDICT_NUMBER_MAX);
}

const char *bytes_text(uint64_t bytes)
{
	char *text = next_text();

	if (bytes < 10 * 1024 * 1024)
		snprintf(text, TEXT, "%llu kB", (unsigned long long)(bytes + 1023) / 1024);
	else
		snprintf(text, TEXT, "%llu MB", (unsigned long long)(bytes >> 20));
	return text;
}

const char *who_text(const struct balance_who *who)
{
	char *text = next_text();
	size_t len;

	if (!*who->program) {
		snprintf(text, TEXT, "an unknown program");
		return text;
	}
	for (len = 0; who->program[len]; len++)
		text[len] = who->program[len] < ' ' || who->program[len] > '~' ? '?'
									       : who->program[len];
	text[len] = '\0';
	if (who->pid)
		snprintf(text + len, TEXT - len, "[%d]", (int)who->pid);
	return text;
}

uint64_t times(uint64_t number, double factor)
{
	double product = (double)number * factor;
	uint64_t whole = (uint64_t)product;

	return whole + ((double)whole < product - 1e-6);
}

/* --- texts ------------------------------------------------------------------------------------ */

static void vsay(char *text, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

static void vsay(char *text, const char *format, va_list ap)
{
	vsnprintf(text, BALANCE_TEXT, format, ap);
}

#define SAY(where)                       \
	do {                             \
		va_list ap;              \
                                         \
		va_start(ap, format);    \
		vsay(where, format, ap); \
		va_end(ap);              \
	} while (0)

void entry_title(struct balance_entry *entry, const char *format, ...)
{
	SAY(entry->title);
}

void entry_evidence(struct balance_entry *entry, const char *format, ...)
{
	if (entry->evidence_count < BALANCE_EVIDENCE)
		SAY(entry->evidence[entry->evidence_count++]);
}

void advice_title(struct balance_advice *advice, const char *format, ...)
{
	SAY(advice->title);
}

void advice_effect(struct balance_advice *advice, const char *format, ...)
{
	SAY(advice->effect);
}

void advice_cost(struct balance_advice *advice, const char *format, ...)
{
	SAY(advice->cost);
}

void advice_line(struct balance_advice *advice, const char *format, ...)
{
	if (advice->line_count < BALANCE_LINES)
		SAY(advice->line[advice->line_count++]);
}

/* --- lines to paste --------------------------------------------------------------------------- */

const char *space_prefix(const struct assessing *a, unsigned int space, char *buf, size_t size)
{
	const struct balance_space *of = &a->inputs->spaces[space];

	if (of->netns && of->pid)
		snprintf(buf, size, "nsenter -t %d -n ", (int)of->pid);
	else
		buf[0] = '\0';
	return buf;
}

void advice_set(struct assessing *a, struct balance_advice *advice, enum sysctl key,
		struct sysctl_value best)
{
	unsigned int space = advice_entry(a, advice)->space;
	const struct balance_key *state = &a->inputs->spaces[space].key[key];
	char text[SYSCTL_TEXT], prefix[40];
	const char *quote = best.count > 1 ? "'" : "";

	advice->key = key;
	advice->best = best;
	sysctl_format(&best, text, sizeof(text));
	advice_line(advice, "%ssysctl -w %s=%s%s%s", space_prefix(a, space, prefix, sizeof(prefix)),
		    sysctls[key].name, quote, text, quote);
	if (state->yielded)
		snprintf(advice->why_not, BALANCE_TEXT,
			 "%s is somebody else's: it is named in sysctl.d, or was changed by "
			 "another hand (`closeside tune resume %s`)",
			 sysctls[key].name, sysctls[key].name);
	else if (state->max && best.number[best.count - 1] > state->max)
		snprintf(advice->why_not, BALANCE_TEXT,
			 "it is over the max of %lld that the "
			 "config has for %s",
			 (long long)state->max, sysctls[key].name);
	else if (state->max && best.number[0] < state->min)
		snprintf(advice->why_not, BALANCE_TEXT,
			 "it is under the min of %lld that the "
			 "config has for %s",
			 (long long)state->min, sysctls[key].name);
}

bool shell_text(const char *text, char *buf, size_t size)
{
	static struct verdict_words words;

	memset(&words, 0, sizeof(words));
	verdict_shell_word(&words, WORD_CONFIG, text);
	if (!words.known[WORD_CONFIG])
		return false;
	snprintf(buf, size, "%s", words.text[WORD_CONFIG]);
	return true;
}

static bool selector_text(const struct balance_who *who, bool server, const struct endpoint *place,
			  char *buf, size_t size)
{
	char address[ENDPOINT_TEXT_MAX];

	if (place && server && place->port)
		snprintf(buf, size, "role = server  local-port = %u", (unsigned)place->port);
	else if (place && place->port)
		snprintf(buf, size, "role = client  remote = \"%s\"  remote-port = %u",
			 endpoint_format_addr(place, address, sizeof(address)),
			 (unsigned)place->port);
	else if (doctor_name_is_plain(who->program))
		snprintf(buf, size, "role = %s  program = \"%s\"", server ? "server" : "client",
			 who->program);
	else
		return false;
	return true;
}

/* FNV-1a: two policies of one name are an error, and a name has no room for a whole selector. */
static const char *name_of(enum balance_lever lever, const struct endpoint *place,
			   const char *selector, char *buf, size_t size)
{
	uint32_t hash = 2166136261U;

	for (const char *c = selector; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619U;
	snprintf(buf, size, "%s-%u-%04x", balance_lever_word(lever),
		 place ? (unsigned)place->port : 0, (unsigned)((hash ^ hash >> 16) & 0xffff));
	return buf;
}

void advice_policy(struct assessing *a, struct balance_advice *advice,
		   const struct balance_who *who, bool server, const struct endpoint *place,
		   const char *keys)
{
	char config[VERDICT_WORD_MAX], socket[VERDICT_WORD_MAX] = "", selector[160], name[32];
	const struct balance_inputs *inputs = a->inputs;

	if (!inputs->config_path || !shell_text(inputs->config_path, config, sizeof(config)))
		return;
	if (*inputs->socket_path && !shell_text(inputs->socket_path, socket, sizeof(socket)))
		return;
	if (*who->policy)
		advice_line(advice, "# the policy %s has them: let it say %s", who->policy, keys);
	else if (selector_text(who, server, place, selector, sizeof(selector)))
		advice_line(advice, "echo 'policy %s { %s  %s }' >>%s",
			    name_of(advice->lever, place, selector, name, sizeof(name)), selector,
			    keys, config);
	else
		advice_line(advice, "# in a policy of %s that has them: %s", config, keys);
	advice_line(advice, "closeside%s%s policy reload", *socket ? " -s " : "", socket);
}
