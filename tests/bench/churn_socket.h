/* SPDX-License-Identifier: MIT */
/* The socket of a connection that is begun, with what the options want of it. */
#ifndef CHURN_SOCKET_H
#define CHURN_SOCKET_H

#include "tests/bench/churn.h"

#include <stdint.h>

/* Of the connection with this number. A descriptor that does not block; -1 with errno. */
int churn_socket(const struct churn_options *options, uint64_t number);
/* SO_LINGER with no time: close() throws away what is unsent, and sends an RST. 0; -1 with errno.
 */
int churn_socket_linger0(int fd);

#endif
