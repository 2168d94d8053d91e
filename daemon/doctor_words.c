/* SPDX-License-Identifier: MIT */
#include "daemon/doctor_words.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <stdio.h>
#include <string.h>

bool doctor_name_is_plain(const char *program)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";

	return *program && *program != '-' && strspn(program, allowed) == strlen(program);
}

void worst_add(struct worst *worst, size_t index, uint64_t weight)
{
	unsigned int at = worst->count;

	if (worst->count == VERDICTS_OF_A_KIND) {
		worst->more++;
		if (worst->weight[--at] >= weight)
			return;
	} else {
		worst->count++;
	}
	for (; at > 0 && worst->weight[at - 1] < weight; at--) {
		worst->index[at] = worst->index[at - 1];
		worst->weight[at] = worst->weight[at - 1];
	}
	worst->index[at] = index;
	worst->weight[at] = weight;
}

/* --- words ------------------------------------------------------------------------------------ */

/* Names are bytes of somebody's choice; a reply is UTF-8, and a terminal obeys some. */
static void copy_printable(char *out, size_t size, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++)
		out[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	out[i] = '\0';
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

void judging_word_number(struct judging *judging, enum verdict_word word, uint64_t number)
{
	char text[VERDICT_NUMBER_MAX];

	verdict_word(&judging->words, word, "%s", verdict_number(number, text, sizeof(text)));
}

static void say_who(struct judging *judging, const struct doctor_who *who)
{
	struct verdict *verdict = judging->verdict;
	struct verdict_words *words = &judging->words;
	bool is_service = ends_with(who->unit, ".service") && !who->by_user;

	verdict->pid = who->pid;
	copy_printable(verdict->program, sizeof(verdict->program), who->program);
	copy_printable(verdict->unit, sizeof(verdict->unit), who->unit);
	verdict_word(words, WORD_NS, "%s", "");
	if (who->pid)
		verdict_word(words, WORD_PROGRAM, "%s[%d]", verdict->program, (int)who->pid);
	else if (*who->program)
		verdict_word(words, WORD_PROGRAM, "%s", verdict->program);
	else
		verdict_word(words, WORD_PROGRAM, "an unknown program");
	if (!who->pid || !who->alive)
		return;
	verdict_word(words, WORD_PID, "%d", (int)who->pid);
	if (is_service)
		verdict_shell_word(words, WORD_SERVICE, who->unit);
	else
		verdict_word(words, WORD_LONE, "%d", (int)who->pid);
	if (who->stopped)
		verdict_word(words, WORD_STOPPED, "%d", (int)who->pid);
	if (who->foreign)
		verdict_word(words, WORD_NS, "nsenter -t %d -n ", (int)who->pid);
	if (!who->shim)
		verdict_word(words, WORD_BARE, "%s", "");
}

static void say_closeside(struct judging *judging)
{
	struct verdict_words *words = &judging->words;

	verdict_shell_word(words, WORD_CONFIG, judging->facts->config_path);
	verdict_word(words, WORD_CLOSESIDE, "closeside");
	if (!*judging->facts->socket_path)
		return;
	verdict_shell_word(words, WORD_CLOSESIDE, judging->facts->socket_path);
	if (words->known[WORD_CLOSESIDE]) {
		char path[VERDICT_WORD_MAX];

		memcpy(path, words->text[WORD_CLOSESIDE], sizeof(path));
		verdict_word(words, WORD_CLOSESIDE, "closeside -s %s", path);
	}
}

bool judging_begin(struct judging *judging, enum verdict_id id, const struct doctor_who *who,
		   uint64_t count, int64_t since_ms)
{
	static const struct doctor_who nobody;

	if (judging->verdicts->count == VERDICTS_MAX)
		return false;
	judging->verdict = &judging->verdicts->verdict[judging->verdicts->count++];
	*judging->verdict = (struct verdict){
		.kind = &verdict_kinds[id],
		.count = count,
		.since_ms = since_ms,
	};
	memset(&judging->words, 0, sizeof(judging->words));
	judging_word_number(judging, WORD_COUNT, count);
	say_who(judging, who ? who : &nobody);
	say_closeside(judging);
	return true;
}

void judging_end(struct judging *judging, unsigned int more)
{
	if (more)
		verdict_evidence(judging->verdict, "so it is with %u more, which are not listed",
				 more);
	verdict_say(judging->verdict, &judging->words);
}

/* --- places ----------------------------------------------------------------------------------- */

const struct doctor_place *judging_place(const struct doctor_pile *pile)
{
	const struct doctor_place *most = &pile->place[0];

	for (int i = 1; i < DOCTOR_PLACES; i++)
		if (pile->place[i].count > most->count)
			most = &pile->place[i];
	return most;
}

void doctor_pile_add(struct doctor_pile *pile, bool server, const struct endpoint *at,
		     uint64_t age_ms, uint64_t bytes)
{
	struct doctor_place *place = pile->place;

	pile->count++;
	pile->bytes += bytes;
	if (age_ms > pile->oldest_ms)
		pile->oldest_ms = age_ms;
	for (; place < pile->place + DOCTOR_PLACES; place++) {
		bool same = place->server == server && place->at.port == at->port &&
			    (server || endpoint_same_addr(&place->at, at));

		if (place->count && !same)
			continue;
		place->server = server;
		place->at = *at;
		place->count++;
		return;
	}
	pile->elsewhere++;
}

static const char *place_text(const struct doctor_place *place, char *buf, size_t size)
{
	if (place->server)
		snprintf(buf, size, "port %u", (unsigned)place->at.port);
	else if (place->at.port)
		endpoint_format(&place->at, buf, size);
	else
		endpoint_format_addr(&place->at, buf, size);
	return buf;
}

const char *judging_places(const struct doctor_pile *pile, char *buf, size_t size)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < DOCTOR_PLACES && pile->place[i].count; i++) {
		int n = snprintf(buf + len, size - len, "%s%s (%u)", len ? ", " : "",
				 place_text(&pile->place[i], text, sizeof(text)),
				 pile->place[i].count);

		if (n < 0 || (size_t)n >= size - len)
			return buf;
		len += (size_t)n;
	}
	if (pile->elsewhere)
		snprintf(buf + len, size - len, ", elsewhere (%u)", pile->elsewhere);
	return buf;
}

/* ss splits an address from its port at the last colon, unless it is in brackets. */
static int filter_of(const struct doctor_place *place, char *buf, size_t size)
{
	bool brackets = place->at.family == AF_INET6 && !place->at.port;
	char text[ENDPOINT_TEXT_MAX];

	if (place->server)
		return snprintf(buf, size, "sport = :%u", (unsigned)place->at.port);
	place_text(place, text, sizeof(text));
	return snprintf(buf, size, brackets ? "dst [%s]" : "dst %s", text);
}

void judging_filter(struct judging *judging, const struct doctor_pile *pile)
{
	char text[VERDICT_WORD_MAX] = "'( ";
	size_t len = 3;

	if (pile->elsewhere)
		return;
	for (int i = 0; i < DOCTOR_PLACES && pile->place[i].count; i++) {
		char one[ENDPOINT_TEXT_MAX + 16];
		int n;

		filter_of(&pile->place[i], one, sizeof(one));
		n = snprintf(text + len, sizeof(text) - len, "%s%s", i ? " or " : "", one);
		if (n < 0 || (size_t)n >= sizeof(text) - len)
			return;
		len += (size_t)n;
	}
	verdict_word(&judging->words, WORD_FILTER, "%s )'", text);
}

/* A name that policies of other faults do not have: two of one name are an error. */
static void name_policy(struct judging *judging, const struct doctor_place *place, bool only)
{
	verdict_word(&judging->words, WORD_NAME, "%s-%u", judging->verdict->kind->id,
		     only ? (unsigned)place->at.port : 0);
}

void judging_select(struct judging *judging, const struct doctor_who *who,
		    const struct doctor_place *place, bool only)
{
	const char *role = place->server ? "server" : "client";
	const char *policy = who->policy[place->server];
	char address[ENDPOINT_TEXT_MAX];

	if (!judging->facts->config_path || !*judging->facts->config_path)
		return;
	name_policy(judging, place, only);
	if (policy)
		verdict_word(&judging->words, WORD_POLICY, "%s", policy);
	else
		verdict_word(&judging->words, WORD_FREE, "%s", "");
	if (only && place->server)
		verdict_word(&judging->words, WORD_SELECTOR, "role = server  local-port = %u",
			     (unsigned)place->at.port);
	else if (only && place->at.port)
		verdict_word(&judging->words, WORD_SELECTOR,
			     "role = client  remote = \"%s\"  remote-port = %u",
			     endpoint_format_addr(&place->at, address, sizeof(address)),
			     (unsigned)place->at.port);
	else if (doctor_name_is_plain(who->program))
		verdict_word(&judging->words, WORD_SELECTOR, "role = %s  program = \"%s\"", role,
			     who->program);
}
