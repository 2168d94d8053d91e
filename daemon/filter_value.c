/* SPDX-License-Identifier: MIT */
/* The values of a filter's conditions, a function for each kind. */
#include "daemon/filter.h"

#include "daemon/filter_keys.h"

#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

static bool take_state(const char *value, struct filter_node *node)
{
	node->states = filter_states(value);
	return node->states != 0;
}

static bool take_port(const char *value, struct filter_node *node)
{
	if (*value == ':')
		value++;
	return parse_u32(&value, &node->number) && parse_end(value) && node->number <= UINT16_MAX;
}

/* ":80", and not "::1" */
static bool is_port(const char *value)
{
	return value[0] == ':' && value[1] != ':';
}

static bool take_place(const char *value, struct filter_node *node)
{
	struct filter_node port = {.port = -1};

	node->net.bits = UINT8_MAX;
	node->port = -1;
	if (!is_port(value) && !parse_literal(&value, "*") && !parse_cidr(&value, &node->net))
		return false;
	if (parse_end(value) || !strcmp(value, ":*"))
		return true;
	if (*value != ':' || !take_port(value, &port))
		return false;
	node->port = (int32_t)port.number;
	return true;
}

static bool take_number(const char *value, struct filter_node *node)
{
	char *end;

	node->inode = strtoull(value, &end, 10);
	return *value >= '0' && *value <= '9' && !*end && end - value < 19;
}

static bool take_duration(const char *value, struct filter_node *node)
{
	return parse_duration(&value, &node->number) && parse_end(value);
}

static bool take_choice(const struct filter_key *key, const char *value, struct filter_node *node)
{
	const char *word;

	for (node->number = 0; (word = key->choice(node->number)); node->number++)
		if (!strcmp(word, value))
			return true;
	return false;
}

static bool take_user(filter_user_fn *user, const char *value, struct filter_node *node)
{
	const char *cursor = value;
	uid_t uid;

	if (parse_u32(&cursor, &node->number) && parse_end(cursor))
		return node->number != UINT32_MAX;
	if (!user || !user(value, &uid))
		return false;
	node->number = uid;
	return true;
}

static bool take_glob(struct filter *filter, const char *value, struct filter_node *node)
{
	size_t size = strlen(value) + 1;

	if (strchr(value, '"') && strchr(value, '\''))
		return false;
	/* The globs have room: each is a part of the text. */
	node->text = filter->text_len;
	memcpy(filter->text + filter->text_len, value, size);
	filter->text_len = (uint16_t)(filter->text_len + size);
	return true;
}

bool filter_take_value(struct filter *filter, const struct filter_key *key, const char *value,
		       filter_user_fn *user, struct filter_node *node)
{
	switch (key->value) {
	case VALUE_STATE:
		return take_state(value, node);
	case VALUE_PORT:
		return take_port(value, node);
	case VALUE_PLACE:
		return take_place(value, node);
	case VALUE_NUMBER:
		return take_number(value, node) &&
		       (node->kind != FILTER_PID || (node->inode > 0 && node->inode <= INT32_MAX));
	case VALUE_GLOB:
		return take_glob(filter, value, node);
	case VALUE_USER:
		return take_user(user, value, node);
	case VALUE_DURATION:
		return take_duration(value, node);
	default: /* VALUE_CHOICE */
		return take_choice(key, value, node);
	}
}
