/* SPDX-License-Identifier: MIT */
#include "daemon/setter.h"

#include <sys/socket.h>

const char *setter_outcome_text(enum setter_outcome outcome)
{
	static const char *const texts[SETTER_OUTCOME_COUNT] = {
#define X(name, text) [SETTER_##name] = text,
		SETTER_OUTCOMES(X)
#undef X
	};

	return (unsigned int)outcome < SETTER_OUTCOME_COUNT ? texts[outcome] : "not known";
}

bool setter_ask(int fd, const struct setter_request *request)
{
	return fd >= 0 &&
	       send(fd, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*request);
}

bool setter_take(int fd, struct setter_answer *answer)
{
	struct setter_answer taken;

	if (fd < 0 || recv(fd, &taken, sizeof(taken), MSG_DONTWAIT) != sizeof(taken))
		return false;
	*answer = taken;
	return true;
}
