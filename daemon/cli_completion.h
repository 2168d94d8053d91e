/* SPDX-License-Identifier: MIT */
/* What a shell does with the table of words that `completion` prints before it. */
#ifndef DAEMON_CLI_COMPLETION_H
#define DAEMON_CLI_COMPLETION_H

/* The table is a function, _closeside_table KEY, which prints lines: a word, or WORD:WHAT IT IS.
 *
 *   commands [FIRST-WORD]       subcommands, or the second words of those with a first word
 *   options [COMMAND]           of a subcommand, or before any
 *   takes COMMAND,OPTION        what an option's argument is, one line: a kind
 *   arguments COMMAND           what its arguments are: a kind
 *   filter                      the words of a filter
 *   filter KEY                  what follows one: a kind
 *   key [KEY]                   of a policy, and the words that a key may be
 *   explain                     what can be explained
 *
 * A kind is "words WORD...", or one word that a shell knows what to do with: file, policy, keys,
 * user, unit, program, pid, command, filter, explain, commands. */
extern const char completion_bash[], completion_zsh[];

#endif
