/* SPDX-License-Identifier: MIT */
#ifndef SOAK_CLIENT_H
#define SOAK_CLIENT_H

/* client BOARD POLICY THREADS ADDRESS...: connections to these addresses by turns, until the board
 * says stop. */
int client_main(int argc, char **argv);

/* flood SOCKET SESSIONS SECONDS: sessions at a daemon that say much and mean nothing. */
int flood_main(int argc, char **argv);

#endif
