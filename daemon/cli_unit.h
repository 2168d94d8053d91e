/* SPDX-License-Identifier: MIT */
/* What systemd says of a unit, as `systemctl show` prints it; and the words in it. */
#ifndef DAEMON_CLI_UNIT_H
#define DAEMON_CLI_UNIT_H

#include <stdbool.h>
#include <stddef.h>

enum { UNIT_NAME_MAX = 256 }; /* systemd's own limit, with the final NUL */

/* --- cli_unit_name.c ---------------------------------------------------------------------------
 */

/* A service's name with ".service", as typed without. False with what is wrong with it, and what to
 * type instead, in error. */
bool unit_name(const char *typed, char out[UNIT_NAME_MAX], char *error, size_t size);

/* foo@.service, which systemd knows only by its instances */
bool unit_is_template(const char *name);
/* Is this unit the service, or an instance of the template? */
bool unit_is_of(const char *unit, const char *name);

/* --- cli_unit.c: asking ------------------------------------------------------------------------
 */

struct unit;

/* Of a text of NAME=VALUE lines; NULL: out of memory. */
struct unit *unit_parse(const char *text);
void unit_free(struct unit *unit);
/* The first value of a property, "" if there is none. */
const char *unit_get(const struct unit *unit, const char *property);
/* One after the other, with *at 0 at first; NULL at the end. */
const char *unit_each(const struct unit *unit, const char *property, size_t *at);

/* Runs systemctl with these arguments, NULL at the end. Its output, to be freed, or NULL with why
 * in error. */
char *systemctl(char *const argv[], char *error, size_t size);
/* NULL with why in error. A template is asked for by an instance of it. */
struct unit *unit_ask(const char *name, char *error, size_t size);

/* --- cli_unit_words.c: pure --------------------------------------------------------------------
 */

/* The next word of a list as systemctl prints it, quoted or not. False: there is none, or it is
 * longer. */
bool words_next(const char **at, char *out, size_t size);
/* In a list of NAME=VALUE: the last of this name. */
bool words_assigned(const char *list, const char *name, char *out, size_t size);
/* Is it in the list? */
bool words_have(const char *list, const char *word);
/* The last NAME=VALUE of a file of EnvironmentFile=. */
bool env_file_assigned(const char *text, const char *name, char *out, size_t size);

/* "..." for Environment= in a unit file, where % begins a specifier; for a file of
 * EnvironmentFile=. False: no room. */
bool quote_for_unit(const char *text, char *out, size_t size);
bool quote_for_env_file(const char *text, char *out, size_t size);

/* Is this library, or one of its file's name, in the value of LD_PRELOAD? */
bool preload_has(const char *list, const char *library);
/* The library before what is there, unless it is among it. False: no room. */
bool preload_add(const char *list, const char *library, char *out, size_t size);
/* What is there without it, by this very path. */
void preload_drop(const char *list, const char *library, char *out, size_t size);

#endif
