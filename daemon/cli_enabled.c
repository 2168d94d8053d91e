/* SPDX-License-Identifier: MIT */
#include "daemon/cli_enabled.h"

#include "daemon/cli_color.h"
#include "daemon/enabled.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word, *text;
} verdicts[] = {
	[ENABLED_FINE] = {"fine", ""},
	[ENABLED_NOT_RESTARTED] = {"not-restarted", "its shim is not loaded: not restarted since "
						    "it was enabled"},
	[ENABLED_KEPT_OUT] = {"kept-out", "its shim is not loaded: something keeps it out, as "
					  "`closeside enable` may say"},
	[ENABLED_UNKNOWN] = {"unknown", "only root may look at its processes"},
};

json_t *enabled_json(void)
{
	struct enabled *enabled = enabled_new();
	json_t *list = json_array();

	while (enabled && enabled_look(enabled, 1000))
		;
	for (unsigned int i = 0; enabled && i < enabled_count(enabled); i++) {
		const struct enabled_unit *unit = &enabled_units(enabled)[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i}", "unit", unit->unit,
						      "verdict", verdicts[enabled_judge(unit)].word,
						      "processes", (int)unit->processes, "loaded",
						      (int)unit->loaded));
	}
	enabled_free(enabled);
	return list;
}

static const char *text_of(const char *word)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (!strcmp(word, verdicts[i].word))
			return verdicts[i].text;
	return "";
}

void enabled_print(const json_t *units)
{
	const json_t *row;
	size_t i;

	json_array_foreach(units, i, row)
	{
		int processes = (int)json_integer_value(json_object_get(row, "processes"));
		const char *text = text_of(json_string_value(json_object_get(row, "verdict")));

		printf("  %-12s %s", i ? "" : "enabled",
		       json_string_value(json_object_get(row, "unit")));
		if (*text)
			printf(": %s%s%s", color_on(COLOR_BAD), text, color_off(COLOR_BAD));
		else if (processes)
			printf(": the shim is in %d of its %d process%s",
			       (int)json_integer_value(json_object_get(row, "loaded")), processes,
			       processes == 1 ? "" : "es");
		else
			printf(": not running");
		putchar('\n');
	}
}
