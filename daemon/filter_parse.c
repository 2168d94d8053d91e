/* SPDX-License-Identifier: MIT */
/* From text to a filter: one function for each rule of the grammar, each of which returns the
 * number of the node that it made, or -1 with the error noted.
 *
 *   whole     = {state} [or_rule]
 *   or_rule   = and_rule { "or" and_rule }
 *   and_rule  = not_rule { ["and"] not_rule }
 *   not_rule  = "not" not_rule | "(" or_rule ")" | condition
 *   condition = KEY [OPERATOR] VALUE */
#include "daemon/filter.h"

#include "daemon/filter_keys.h"

#include "common/near.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SEPARATOR '\x1f' /* between the words of filter_add_word() */
#define BLANKS " \t\r\n\x1f"
#define SIGNS "()!<>=&|" /* they end a word */

struct parser {
	const char *text, *at;
	struct filter *filter;
	struct filter_error *error;
	filter_user_fn *user;
	unsigned int depth;
	int states; /* the node of a `state` just read, which the next joins; -1: none */
};

/* --- errors ----------------------------------------------------------------------------------- */

static int fail(struct parser *parser, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct parser *parser, const char *at, const char *format, ...)
{
	va_list ap;

	parser->error->at = (size_t)(at - parser->text);
	va_start(ap, format);
	vsnprintf(parser->error->text, sizeof(parser->error->text), format, ap);
	va_end(ap);
	return -1;
}

static const char *near_key(const char *word, size_t len)
{
	unsigned int best = near_limit(len);
	const char *near = NULL;

	for (size_t i = 0; i < filter_key_count; i++)
		if (near_improves(&best, word, len, filter_keys[i].word))
			near = filter_keys[i].word;
	return near;
}

static int unknown_word(struct parser *parser, size_t len)
{
	const char *near = near_key(parser->at, len);
	int shown = len > 40 ? 40 : (int)len;

	if (near)
		return fail(parser, parser->at, "unknown word '%.*s': did you mean '%s'?", shown,
			    parser->at, near);
	return fail(
		parser, parser->at,
		"unknown word '%.*s': expected a condition, as `state time-wait`, `sport = :80`, "
		"`dst 10.0.0.0/8` or `program nginx`",
		shown, parser->at);
}

/* --- the next word ---------------------------------------------------------------------------- */

static size_t word_length(const struct parser *parser)
{
	return strcspn(parser->at, BLANKS SIGNS);
}

static void skip_blanks(struct parser *parser)
{
	parser->at += strspn(parser->at, BLANKS);
}

static bool is_word(const struct parser *parser, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(parser->at, word, len) && word_length(parser) == len;
}

/* Takes the word, or the sign once or twice ("&&"; 0: none). */
static bool take(struct parser *parser, const char *word, char sign)
{
	skip_blanks(parser);
	if (sign && *parser->at == sign)
		parser->at += parser->at[1] == sign ? 2 : 1;
	else if (is_word(parser, word))
		parser->at += strlen(word);
	else
		return false;
	return true;
}

/* "!" and "not", not "!=" and not "!!" as one. */
static bool take_not(struct parser *parser)
{
	skip_blanks(parser);
	if (*parser->at == '!')
		parser->at++;
	else if (is_word(parser, "not"))
		parser->at += 3;
	else
		return false;
	return true;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static int add_node(struct parser *parser, const char *at, const struct filter_node *node)
{
	struct filter *filter = parser->filter;

	if (filter->count == FILTER_NODES_MAX)
		return fail(parser, at, "too much: a filter has at most %d conditions and joints",
			    FILTER_NODES_MAX);
	filter->node[filter->count] = *node;
	return filter->count++;
}

static int join(struct parser *parser, const char *at, enum filter_kind kind, int left, int right)
{
	struct filter_node node = {.kind = (uint8_t)kind, .left = (uint8_t)left};

	if (left < 0 || right < 0)
		return -1;
	node.right = (uint8_t)right;
	return add_node(parser, at, &node);
}

/* --- values ----------------------------------------------------------------------------------- */

/* The text of the value at the parser's place, its length in *len, past which the parser goes on.
 */
static const char *value_text(struct parser *parser, bool glob, size_t *len)
{
	const char *at = parser->at, *end;
	bool begins_word = at > parser->text && at[-1] == SEPARATOR;

	if (*at == '"' || *at == '\'') {
		end = strchr(at + 1, *at);
		if (!end) {
			fail(parser, at, "this quote is not closed");
			return NULL;
		}
		*len = (size_t)(end - at - 1);
		parser->at = end + 1;
		return at + 1;
	}
	*len = strcspn(at, "\x1f");
	if (!glob || !begins_word || strcspn(at, " \t\r\n") >= *len)
		*len = strcspn(at, BLANKS "()&|");
	parser->at = at + *len;
	return at;
}

static int expected(struct parser *parser, const char *at, const struct filter_key *key)
{
	const char *after = *at ? "" : "after ";

	if (key->value == VALUE_USER && *at && parser->user)
		return fail(parser, at, "there is no such user; expected %s", key->expected);
	if (key->value == VALUE_USER && !parser->user)
		return fail(parser, at, "expected a user's number");
	return fail(parser, at, "%s%s%sexpected %s", after, *after ? key->word : "",
		    *after ? ": " : "", key->expected);
}

static int read_value(struct parser *parser, const struct filter_key *key, struct filter_node *node)
{
	char value[FILTER_TEXT_MAX];
	const char *at = parser->at, *text;
	size_t len;

	text = value_text(parser, key->value == VALUE_GLOB, &len);
	if (!text)
		return -1;
	memcpy(value, text, len);
	value[len] = '\0';
	if ((text == at && !len) ||
	    !filter_take_value(parser->filter, key, value, parser->user, node))
		return expected(parser, at, key);
	return 0;
}

/* --- conditions ------------------------------------------------------------------------------- */

/* The operator at the parser's place, or -1: none. The longest that fits: "<=" is no "<". */
static int read_op(struct parser *parser)
{
	size_t longest = 0;
	const char *word;
	int found = -1;

	skip_blanks(parser);
	for (unsigned int op = 0; op < OP_COUNT; op++) {
		for (unsigned int n = 0; (word = filter_op_spelling(op, n)); n++) {
			size_t len = strlen(word);
			bool letters = !strchr(SIGNS, *word);

			if (len <= longest || strncmp(parser->at, word, len) ||
			    (letters && word_length(parser) != len))
				continue;
			longest = len;
			found = (int)op;
		}
	}
	parser->at += longest;
	skip_blanks(parser);
	return found;
}

static bool allows(const struct filter_key *key, int op)
{
	if (key->value == VALUE_PORT)
		return true;
	return (op == OP_EQ || op == OP_NE) != (key->value == VALUE_DURATION);
}

static int read_key(struct parser *parser)
{
	for (size_t i = 0; i < filter_key_count; i++)
		if (is_word(parser, filter_keys[i].word))
			return (int)i;
	return -1;
}

static int condition(struct parser *parser)
{
	const char *at = parser->at, *op_at;
	int kind = read_key(parser), op;
	const struct filter_key *key = &filter_keys[kind < 0 ? 0 : kind];
	struct filter_node node = {.kind = (uint8_t)kind};

	if (kind < 0)
		return unknown_word(parser, word_length(parser));
	parser->at += strlen(key->word);
	skip_blanks(parser);
	op_at = parser->at;
	op = read_op(parser);
	if (op < 0)
		op = key->value == VALUE_DURATION ? OP_GE : OP_EQ;
	else if (!allows(key, op))
		return fail(parser, op_at, "%s takes %s", key->word,
			    key->value == VALUE_DURATION ? "<, <=, > or >=" : "= or != only");
	if (read_value(parser, key, &node) < 0)
		return -1;
	if (kind == FILTER_EXCLUDE)
		op = op == OP_EQ ? OP_NE : OP_EQ;
	node.kind = (uint8_t)(kind == FILTER_EXCLUDE ? FILTER_STATE : kind);
	node.op = (uint8_t)op;
	return add_node(parser, at, &node);
}

/* --- the rules -------------------------------------------------------------------------------- */

static int or_rule(struct parser *parser);

static int parentheses(struct parser *parser)
{
	const char *opened = parser->at++;
	int node = or_rule(parser);

	skip_blanks(parser);
	if (node < 0)
		return -1;
	if (!*parser->at)
		return fail(parser, parser->at, "expected ')' for the '(' at character %zu",
			    (size_t)(opened - parser->text) + 1);
	parser->at++; /* or_rule() stops at nothing else */
	return node;
}

static int not_rule(struct parser *parser)
{
	const char *at;
	int node;

	parser->states = -1;
	skip_blanks(parser);
	at = parser->at;
	if (++parser->depth > FILTER_DEPTH_MAX)
		return fail(parser, at, "too deep: at most %d of ( and not within each other",
			    FILTER_DEPTH_MAX);
	if (take_not(parser)) {
		node = not_rule(parser);
		node = join(parser, at, FILTER_NOT, node, node);
		parser->states = -1;
	} else if (*at == '(') {
		node = parentheses(parser);
		parser->states = -1;
	} else if (!*at || strchr(SIGNS, *at)) {
		return fail(parser, at, "expected a condition%s", *at ? "" : " after this");
	} else {
		node = condition(parser);
		if (node >= 0 && parser->filter->node[node].kind == FILTER_STATE &&
		    parser->filter->node[node].op == OP_EQ)
			parser->states = node;
	}
	parser->depth--;
	return node;
}

/* Nothing but blanks between two `state`s: any of both. False: they are joined as others are. */
static bool join_states(struct parser *parser, int before, int node)
{
	struct filter *filter = parser->filter;

	if (before < 0 || parser->states < 0)
		return false;
	filter->node[before].states |= filter->node[node].states;
	filter->count--; /* node was the last */
	parser->states = before;
	return true;
}

static bool at_end_of_and(struct parser *parser)
{
	skip_blanks(parser);
	return !*parser->at || *parser->at == ')' || *parser->at == '|' || is_word(parser, "or");
}

static int and_rule(struct parser *parser)
{
	int left = not_rule(parser);

	while (left >= 0 && !at_end_of_and(parser)) {
		const char *at = parser->at;
		int before = parser->states, right;
		bool said = take(parser, "and", '&');

		right = not_rule(parser);
		if (right < 0 || said || !join_states(parser, before, right))
			left = join(parser, at, FILTER_AND, left, right);
	}
	return left;
}

static int or_rule(struct parser *parser)
{
	int left = and_rule(parser);

	while (left >= 0) {
		const char *at = parser->at;

		if (!take(parser, "or", '|'))
			break;
		left = join(parser, at, FILTER_OR, left, and_rule(parser));
	}
	return left;
}

static bool at_state(struct parser *parser)
{
	skip_blanks(parser);
	return is_word(parser, filter_keys[FILTER_STATE].word) ||
	       is_word(parser, filter_keys[FILTER_EXCLUDE].word);
}

/* As ss has it: the states before an expression are asked of all of it, whatever joins its parts.
 */
static int whole(struct parser *parser)
{
	const char *begin = parser->at;
	int states = -1, right;

	while (at_state(parser)) {
		int before = parser->states;

		right = not_rule(parser);
		if (right < 0)
			return -1;
		if (states < 0 || !join_states(parser, before, right))
			states =
				states < 0 ? right : join(parser, begin, FILTER_AND, states, right);
	}
	if (states < 0 || (at_end_of_and(parser) && !*parser->at))
		return states < 0 ? or_rule(parser) : states;
	if (!at_end_of_and(parser) && *parser->at != '&' && !is_word(parser, "and"))
		return join(parser, parser->at, FILTER_AND, states, or_rule(parser));
	parser->at = begin; /* joined by a word, they are conditions like others */
	parser->filter->count = 0;
	return or_rule(parser);
}

bool filter_parse(struct filter *filter, const char *text, filter_user_fn *user,
		  struct filter_error *error)
{
	struct parser parser = {.text = text,
				.at = text,
				.filter = filter,
				.error = error,
				.user = user,
				.states = -1};
	int root;

	memset(filter, 0, sizeof(*filter));
	if (strlen(text) >= FILTER_TEXT_MAX)
		return fail(&parser, text + FILTER_TEXT_MAX - 1,
			    "too long: a filter has at most %d characters",
			    FILTER_TEXT_MAX - 1) == 0;
	skip_blanks(&parser);
	if (!*parser.at)
		return true;
	root = whole(&parser);
	if (root < 0)
		return false;
	skip_blanks(&parser);
	if (*parser.at)
		return fail(&parser, parser.at, "this ')' closes nothing") == 0;
	filter->root = (uint8_t)root;
	return true;
}

/* --- words as the shell separated them -------------------------------------------------------- */

bool filter_add_word(char *text, size_t size, const char *word)
{
	size_t used = strlen(text);

	return snprintf(text + used, size - used, "%s%s", used ? "\x1f" : "", word) <
	       (int)(size - used);
}

void filter_show(char *text)
{
	for (; *text; text++)
		if (*text == SEPARATOR)
			*text = ' ';
}
