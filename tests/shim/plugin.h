/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SHIM_PLUGIN_H
#define TESTS_SHIM_PLUGIN_H

/* Connections and closes by calls of the library's own. */
int plugin_close(int fd);
void plugin_close_all(int first);
void plugin_round(void);
int plugin_client(int listener);

#endif
