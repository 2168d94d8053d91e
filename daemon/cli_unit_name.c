/* SPDX-License-Identifier: MIT */
#include "daemon/cli_unit.h"

#include <stdio.h>
#include <string.h>

static const char service[] = ".service";

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

/* "" or the suffix of a unit that is no service. */
static const char *other_kind(const char *name)
{
	static const char *const kinds[] = {".socket", ".timer", ".target", ".mount", ".automount",
					    ".path",   ".slice", ".scope",  ".swap",  ".device"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (ends_with(name, kinds[i]))
			return kinds[i];
	return "";
}

bool unit_name(const char *typed, char out[UNIT_NAME_MAX], char *error, size_t size)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789:-_.\\@";
	const char *kind = other_kind(typed);
	int stem = (int)(strlen(typed) - strlen(kind));

	if (strspn(typed, letters) != strlen(typed) || !*typed || *typed == '.' || *typed == '@' ||
	    *typed == '-') {
		snprintf(error, size, "'%s' is no name of a unit", typed);
		return false;
	}
	if (*kind) {
		snprintf(
			error, size,
			"%s is no service: what it starts is, by default %.*s%s: `closeside enable "
			"%.*s%s`",
			typed, stem, typed, service, stem, typed, service);
		return false;
	}
	if (snprintf(out, UNIT_NAME_MAX, "%s%s", typed, ends_with(typed, service) ? "" : service) <
	    UNIT_NAME_MAX)
		return true;
	snprintf(error, size, "the name of the unit is longer than %d characters",
		 UNIT_NAME_MAX - 1);
	return false;
}

bool unit_is_template(const char *name)
{
	const char *at = strchr(name, '@');

	return at && !strcmp(at + 1, service);
}

bool unit_is_of(const char *unit, const char *name)
{
	size_t stem = strcspn(name, "@") + 1;

	if (!unit_is_template(name))
		return !strcmp(unit, name);
	return !strncmp(unit, name, stem) && ends_with(unit, service) &&
	       strlen(unit) > stem + sizeof(service) - 1;
}
