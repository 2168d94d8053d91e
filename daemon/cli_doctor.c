/* SPDX-License-Identifier: MIT */
/* doctor: the daemon's verdicts, for people, who paste the remedies, or as JSON. */
#include "daemon/cli_color.h"
#include "daemon/cli_control.h"
#include "daemon/cli_table.h"

#include <stdio.h>
#include <string.h>

struct doctor {
	enum cli_format format;
	struct table *table; /* of JSON; NULL: plain */
	unsigned int rows, faults;
};

/* What came from elsewhere: a terminal obeys some bytes. */
static void put_text(const json_t *text)
{
	const char *p = json_string_value(text);

	for (; p && *p; p++)
		putchar((unsigned char)*p < ' ' || *p == 127 ? '?' : *p);
}

static void put_lines(const char *title, const json_t *lines)
{
	const json_t *line;
	size_t i;

	if (title && json_array_size(lines))
		printf("  %s\n", title);
	json_array_foreach(lines, i, line)
	{
		fputs(title ? "    " : "  ", stdout);
		put_text(line);
		putchar('\n');
	}
}

static void print_verdict(const struct doctor *doctor, const json_t *row, bool is_fault)
{
	const json_t *since = json_object_get(row, "since_ms");
	char age[32];

	if (doctor->rows)
		putchar('\n');
	fputs(color_on(is_fault ? COLOR_BAD : COLOR_NOTABLE), stdout);
	fputs(is_fault ? "FAULT " : "info ", stdout);
	put_text(json_object_get(row, "id"));
	fputs(color_off(is_fault ? COLOR_BAD : COLOR_NOTABLE), stdout);
	fputs(": ", stdout);
	put_text(json_object_get(row, "title"));
	putchar('\n');
	if (json_is_integer(since))
		printf("  for %s\n", table_age(since, age, sizeof(age)));
	put_lines(NULL, json_object_get(row, "evidence"));
	put_lines("remedy:", json_object_get(row, "remedy"));
}

static void on_row(void *arg, json_t *row)
{
	const char *level = json_string_value(json_object_get(row, "level"));
	bool is_fault = !level || strcmp(level, "info");
	struct doctor *doctor = arg;

	if (doctor->table)
		table_row(doctor->table, row);
	else
		print_verdict(doctor, row, is_fault);
	doctor->rows++;
	doctor->faults += is_fault;
}

int cli_doctor(struct cli *cli)
{
	struct doctor doctor = {.format = cli->format};
	int code;

	if (cli->format != FORMAT_PLAIN) {
		doctor.table = table_new(cli->format, "verdicts", NULL);
		if (!doctor.table)
			return cli_fail(CLI_FAILED, "out of memory");
	}
	code = control_run(cli, "doctor", NULL, on_row, &doctor);
	if (doctor.table && code == CLI_FINE)
		table_end(doctor.table);
	else if (doctor.table)
		table_drop(doctor.table);
	if (code != CLI_FINE)
		return code;
	if (!doctor.table && !doctor.rows)
		puts("nothing is wrong with the connections of this machine");
	return doctor.faults ? CLI_FINDING : CLI_FINE;
}
