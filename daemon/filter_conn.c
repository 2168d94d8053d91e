/* SPDX-License-Identifier: MIT */
/* The filter on a connection of the model: the CLI, which only parses, does without. */
#include "daemon/filter.h"

#include "common/tcp_state.h"

#include <string.h>

bool filter_matches(const struct filter *filter, const struct book *book, const struct conn *conn)
{
	if (filter->state ? filter->state != conn->state : conn->state == STATE_LISTEN)
		return false;
	if (filter->pid && filter->pid != conn_process(conn)->pid)
		return false;
	if (*filter->program &&
	    (!conn->proc || strcmp(filter->program, process_name(conn_process(conn)))))
		return false;
	return !*filter->policy || !strcmp(filter->policy, book->policy[conn->account.policy].name);
}
