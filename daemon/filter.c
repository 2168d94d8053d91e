/* SPDX-License-Identifier: MIT */
#include "daemon/filter.h"

#include "daemon/filter_keys.h"

#include "common/close_decide.h"
#include "common/parse.h"
#include "common/policy.h"
#include "common/tcp_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- words ------------------------------------------------------------------------------------ */

static const char *filter_role(unsigned int nth)
{
	static const char *const words[] = {
		[ROLE_ANY] = "any", [ROLE_SERVER] = "server", [ROLE_CLIENT] = "client"};

	return nth < sizeof(words) / sizeof(words[0]) ? words[nth] : NULL;
}

static const char *filter_side(unsigned int nth)
{
	return nth < SIDE_COUNT ? close_side_word((enum close_side)nth) : NULL;
}

static const char *filter_yes(unsigned int nth)
{
	static const char *const words[] = {"no", "yes"};

	return nth < 2 ? words[nth] : NULL;
}

const struct filter_key filter_keys[] = {
#define X(name, word, argument, value, choice, expected) \
	[name] = {word, argument, value, expected, choice},
	FILTER_KEYS(X)
#undef X
};
const size_t filter_key_count = FILTER_KEY_COUNT;

static const char *const op_spellings[OP_COUNT][4] = {
	[OP_EQ] = {"=", "==", "eq"}, [OP_NE] = {"!=", "ne", "neq"}, [OP_LT] = {"<", "lt"},
	[OP_GT] = {">", "gt"},	     [OP_LE] = {"<=", "le", "leq"}, [OP_GE] = {">=", "ge", "geq"},
};

const char *filter_op_sign(unsigned int op)
{
	return op_spellings[op][0];
}

const char *filter_op_spelling(unsigned int op, unsigned int nth)
{
	return nth < 4 ? op_spellings[op][nth] : NULL;
}

/* --- states ----------------------------------------------------------------------------------- */

#define BIT(state) (1u << STATE_##state)
enum { ALL_STATES = (1 << STATE_COUNT) - 2 };

/* As ss(8) has them; a NEW_SYN_RECV is what it shows as SYN-RECV. */
static const struct {
	const char *name;
	uint32_t states;
} groups[] = {
	{"all", ALL_STATES},
	{"connected", ALL_STATES & ~(BIT(LISTEN) | BIT(CLOSE))},
	{"synchronized", ALL_STATES & ~(BIT(LISTEN) | BIT(CLOSE) | BIT(SYN_SENT))},
	{"bucket", BIT(TIME_WAIT) | BIT(SYN_RECV) | BIT(NEW_SYN_RECV)},
	{"big", ALL_STATES & ~(BIT(TIME_WAIT) | BIT(SYN_RECV) | BIT(NEW_SYN_RECV))},
};
enum { GROUP_COUNT = sizeof(groups) / sizeof(groups[0]) };

const char *filter_state_group(unsigned int nth)
{
	return nth < GROUP_COUNT ? groups[nth].name : NULL;
}

uint32_t filter_states(const char *name)
{
	unsigned int state = tcp_state_parse(name);

	for (unsigned int i = 0; i < GROUP_COUNT; i++)
		if (!strcmp(groups[i].name, name))
			return groups[i].states;
	if (state == STATE_SYN_RECV)
		return BIT(SYN_RECV) | BIT(NEW_SYN_RECV);
	return state ? 1u << state : 0;
}

const char *filter_group_of(uint32_t states)
{
	for (unsigned int i = 0; i < GROUP_COUNT; i++)
		if (groups[i].states == states)
			return groups[i].name;
	return NULL;
}

/* --- matching --------------------------------------------------------------------------------- */

static bool compare(unsigned int op, uint64_t a, uint64_t b)
{
	switch (op) {
	case OP_EQ:
		return a == b;
	case OP_NE:
		return a != b;
	case OP_LT:
		return a < b;
	case OP_GT:
		return a > b;
	case OP_LE:
		return a <= b;
	default:
		return a >= b;
	}
}

static bool in_place(const struct filter_node *node, const struct endpoint *ep)
{
	if (node->port >= 0 && node->port != ep->port)
		return false;
	return node->net.bits > 128 || cidr_contains(&node->net, ep);
}

static bool has_name(const struct filter *filter, const struct filter_node *node, const char *name)
{
	return name && glob_match(filter->text + node->text, name);
}

static bool compare_time(const struct filter_node *node, uint64_t ms)
{
	return ms != FILTER_UNKNOWN && compare(node->op, ms, node->number);
}

/* A condition that only `=` and `!=` are of: is it equal? */
static bool is_equal(const struct filter *filter, const struct filter_node *node,
		     const struct filter_subject *subject)
{
	switch (node->kind) {
	case FILTER_STATE:
		return node->states == ALL_STATES || (node->states >> subject->state & 1);
	case FILTER_SRC:
		return in_place(node, &subject->local);
	case FILTER_DST:
		return in_place(node, &subject->remote);
	case FILTER_PID:
		return subject->pid && node->inode == (uint64_t)subject->pid;
	case FILTER_PROGRAM:
		return has_name(filter, node, subject->program);
	case FILTER_UNIT:
		return has_name(filter, node, subject->unit);
	case FILTER_POLICY:
		return has_name(filter, node, subject->policy);
	case FILTER_USER:
		return subject->uid != (uid_t)-1 && node->number == subject->uid;
	case FILTER_NETNS:
		return node->inode == subject->netns;
	case FILTER_ROLE:
		return node->number == subject->role;
	case FILTER_SIDE:
		return node->number == subject->side;
	default:
		return node->number == subject->shim;
	}
}

static bool matches(const struct filter *filter, unsigned int at,
		    const struct filter_subject *subject)
{
	const struct filter_node *node = &filter->node[at];

	switch (node->kind) {
	case FILTER_NOT:
		return !matches(filter, node->left, subject);
	case FILTER_AND:
		return matches(filter, node->left, subject) &&
		       matches(filter, node->right, subject);
	case FILTER_OR:
		return matches(filter, node->left, subject) ||
		       matches(filter, node->right, subject);
	case FILTER_SPORT:
		return compare(node->op, subject->local.port, node->number);
	case FILTER_DPORT:
		return compare(node->op, subject->remote.port, node->number);
	case FILTER_AGE:
		return compare_time(node, subject->age_ms);
	case FILTER_TIME:
		return compare_time(node, subject->state_ms);
	default:
		return is_equal(filter, node, subject) == (node->op == OP_EQ);
	}
}

bool filter_matches(const struct filter *filter, const struct filter_subject *subject)
{
	return !filter->count || matches(filter, filter->root, subject);
}

/* Both sides of an `and` must hold. */
static pid_t pid_below(const struct filter *filter, unsigned int at)
{
	const struct filter_node *node = &filter->node[at];
	pid_t pid = 0;

	if (node->kind == FILTER_PID && node->op == OP_EQ)
		return (pid_t)node->inode;
	if (node->kind == FILTER_AND) {
		pid = pid_below(filter, node->left);
		pid = pid ? pid : pid_below(filter, node->right);
	}
	return pid;
}

pid_t filter_pid(const struct filter *filter)
{
	return filter->count ? pid_below(filter, filter->root) : 0;
}

bool filter_asks_for_state(const struct filter *filter)
{
	for (unsigned int i = 0; i < filter->count; i++)
		if (filter->node[i].kind == FILTER_STATE || filter->node[i].kind == FILTER_EXCLUDE)
			return true;
	return false;
}

/* --- formatting ------------------------------------------------------------------------------- */

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct out *out, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(out->buf + out->len, out->size - out->len, format, ap);
	va_end(ap);
	if (n > 0)
		out->len = out->len + (size_t)n < out->size ? out->len + (size_t)n : out->size - 1;
}

/* One name if there is one, else a `state` for each. */
static void put_states(struct out *out, const struct filter_node *node)
{
	const char *word = node->op == OP_EQ ? "state" : "exclude", *blank = "",
		   *group = filter_group_of(node->states);
	uint32_t left = node->states;

	if (group) {
		put(out, "%s %s", word, group);
		return;
	}
	for (unsigned int i = 1; i < STATE_COUNT; i++) {
		if (!(left >> i & 1))
			continue;
		put(out, "%s%s %s", blank, word, tcp_state_ss(i));
		left &= ~filter_states(tcp_state_ss(i));
		blank = " ";
	}
}

static void put_place(struct out *out, const struct filter_node *node)
{
	char net[64] = "*";
	size_t address;

	if (node->net.bits <= 128)
		cidr_format(&node->net, net, sizeof(net));
	address = strcspn(net, "/");
	if (node->port < 0)
		put(out, "%s", net);
	else if (strchr(net, ':'))
		put(out, "[%.*s]%s:%d", (int)address, net, net + address, (int)node->port);
	else
		put(out, "%s:%d", net, (int)node->port);
}

static bool is_operator(const char *text)
{
	const char *word;

	for (unsigned int op = 0; op < OP_COUNT; op++)
		for (unsigned int n = 0; (word = filter_op_spelling(op, n)); n++)
			if (!strcmp(word, text))
				return true;
	return false;
}

static void put_text(struct out *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_.,*?@/:+-[]\\";
	const char *quote = strchr(text, '"') ? "'" : "\"";

	if (*text && !text[strspn(text, plain)] && !is_operator(text))
		quote = "";
	put(out, "%s%s%s", quote, text, quote);
}

static void put_value(struct out *out, const struct filter *filter, const struct filter_node *node)
{
	const struct filter_key *key = &filter_keys[node->kind];
	char text[DURATION_TEXT_MAX];

	switch (key->value) {
	case VALUE_PORT:
		put(out, ":%u", node->number);
		break;
	case VALUE_PLACE:
		put_place(out, node);
		break;
	case VALUE_NUMBER:
		put(out, "%llu", (unsigned long long)node->inode);
		break;
	case VALUE_GLOB:
		put_text(out, filter->text + node->text);
		break;
	case VALUE_DURATION:
		put(out, "%s", format_duration(node->number, text, sizeof(text)));
		break;
	case VALUE_CHOICE:
		put(out, "%s", key->choice(node->number));
		break;
	default: /* VALUE_USER */
		put(out, "%u", node->number);
		break;
	}
}

static void put_condition(struct out *out, const struct filter *filter,
			  const struct filter_node *node)
{
	const struct filter_key *key = &filter_keys[node->kind];
	bool ordered = key->value == VALUE_PORT || key->value == VALUE_DURATION;

	if (node->kind == FILTER_STATE) {
		put_states(out, node);
		return;
	}
	put(out, "%s ", key->word);
	if (ordered || node->op != OP_EQ)
		put(out, "%s ", filter_op_sign(node->op));
	put_value(out, filter, node);
}

/* How closely it binds. Several `state`s beside each other bind as an `and` does. */
static int binding(const struct filter_node *node)
{
	bool several = node->kind == FILTER_STATE && !filter_group_of(node->states) &&
		       (node->states & (node->states - 1)) &&
		       node->states != filter_states("syn-recv");

	if (node->kind == FILTER_OR)
		return 0;
	return node->kind == FILTER_AND || several ? 1 : 2;
}

static void put_node(struct out *out, const struct filter *filter, unsigned int at, int least)
{
	const struct filter_node *node = &filter->node[at];
	bool group = binding(node) < least;

	put(out, "%s", group ? "(" : "");
	if (node->kind == FILTER_NOT) {
		put(out, "not ");
		put_node(out, filter, node->left, 2);
	} else if (node->kind == FILTER_AND || node->kind == FILTER_OR) {
		put_node(out, filter, node->left, binding(node));
		put(out, node->kind == FILTER_AND ? " and " : " or ");
		put_node(out, filter, node->right, binding(node));
	} else {
		put_condition(out, filter, node);
	}
	put(out, "%s", group ? ")" : "");
}

char *filter_format(const struct filter *filter, char *buf, size_t size)
{
	struct out out = {buf, size, 0};

	buf[0] = '\0';
	if (filter->count)
		put_node(&out, filter, filter->root, 0);
	return buf;
}
