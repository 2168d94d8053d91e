/* SPDX-License-Identifier: MIT */
#include "shim/apply.h"

#include "shim/libc.h"
#include "shim/raw.h"
#include "shim/rules.h"
#include "shim/slots.h"
#include "shim/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24 /* Linux 4.2 */
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

/* Raw, so that errno stays what it is. */
static bool set_option(int fd, int level, int name, int value)
{
	return raw(SYS_setsockopt, fd, level, name, &value, sizeof(value)) == 0;
}

void set_tcp_option(int fd, int name, int value)
{
	set_option(fd, IPPROTO_TCP, name, value);
}

void set_linger(int fd, int onoff, int seconds)
{
	struct linger linger = {.l_onoff = onoff, .l_linger = seconds};

	raw(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

bool apply_wants_quiet(const struct policy_terms *terms, uint32_t word)
{
	return terms && terms->time_wait_ms == TIME_WAIT_NONE && terms->close_first == FIRST_APP &&
	       terms->linger == LINGER_APP && !(word & SLOT_APP_LINGER);
}

static void apply_quiet(int fd, uint32_t word, const struct policy_terms *terms)
{
	bool wanted = apply_wants_quiet(terms, word);

	if (wanted == !!(word & SLOT_QUIET))
		return;
	set_tcp_option(fd, TCP_LINGER2, wanted ? -1 : 0);
	if (wanted)
		slot_set_flag(fd, SLOT_QUIET);
	else
		slot_clear_flag(fd, SLOT_QUIET);
}

static void apply_keepalive(int fd, const struct policy_terms *terms)
{
	if (terms->keepalive == KEEPALIVE_SET) {
		set_tcp_option(fd, TCP_KEEPIDLE, (int)terms->keepalive_idle_s);
		set_tcp_option(fd, TCP_KEEPINTVL, (int)terms->keepalive_interval_s);
		set_tcp_option(fd, TCP_KEEPCNT, (int)terms->keepalive_probes);
	}
	if (terms->keepalive != KEEPALIVE_APP)
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, terms->keepalive == KEEPALIVE_SET);
}

void apply_opened(int fd, uint32_t word, const struct policy_terms *terms)
{
	apply_quiet(fd, word, terms);
	if (!terms)
		return;
	apply_keepalive(fd, terms);
	if (terms->user_timeout_ms)
		set_tcp_option(fd, TCP_USER_TIMEOUT, (int)terms->user_timeout_ms);
}

/* Of a share, the cookie says whether it is steered. */
static bool steers(const struct policy_terms *terms, int fd)
{
	return !terms->control || policy_steers(terms, sock_cookie(fd));
}

/* A bind to a port is a server's; one that leaves the port to the kernel is a client's. */
bool apply_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct policy_subject subject = {.local = endpoint_from_sockaddr(addr, len)};
	struct policy_terms terms;
	uint32_t id;

	if (!subject.local.family)
		return false;
	subject.role = subject.local.port ? ROLE_SERVER : ROLE_CLIENT;
	if (!rules_find(&subject, &terms, &id))
		return false;
	if (subject.role == ROLE_CLIENT)
		return terms.bind_late == OPT_YES && steers(&terms, fd) &&
		       set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (terms.reuse_address == OPT_YES)
		set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (terms.reuse_port == OPT_YES)
		set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return false;
}

int apply_listen(const struct endpoint *local, int backlog)
{
	struct policy_subject subject = {.role = ROLE_SERVER, .local = *local};
	struct policy_terms terms;
	uint32_t id;

	if (rules_find(&subject, &terms, &id) && (int)terms.backlog > backlog && backlog >= 0)
		return (int)terms.backlog;
	return backlog;
}

/* --- connect ---------------------------------------------------------------------------------- */

/* An older kernel refuses the option (ENOPROTOOPT): `policy check` has said so. */
static void limit_ports(int fd, const struct policy_terms *terms)
{
	uint32_t range = (uint32_t)terms->local_ports.hi << 16 | terms->local_ports.lo;

	if (terms->local_ports.lo)
		raw(SYS_setsockopt, fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range));
}

/* The source as a socket of the given family wants it; 0 if it cannot have it. */
static socklen_t source_address(const struct endpoint *source, int family,
				struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (family == AF_INET && source->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, source->addr + 12, 4);
		return sizeof(*in);
	}
	if (family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, source->addr, 16);
		return sizeof(*in6);
	}
	return 0;
}

/* Without a port, so that connect() may still share one (Linux 4.2), and we may bind again. */
static bool bind_source(int fd, const struct endpoint *source, const struct endpoint *remote,
			int family)
{
	struct sockaddr_storage addr;
	socklen_t len;

	if (source->family != remote->family)
		return false;
	len = source_address(source, family, &addr);
	return len && set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) &&
	       raw(SYS_bind, fd, &addr, len) == 0;
}

static int connect_from(const struct libc_calls *next, int fd, const struct sockaddr *addr,
			socklen_t len, const struct endpoint *remote,
			const struct policy_terms *terms)
{
	static _Atomic uint32_t turn;
	unsigned int first = atomic_fetch_add(&turn, 1);
	bool tried = false;

	for (unsigned int i = 0; i < terms->source_count; i++) {
		const struct endpoint *source = &terms->source[(first + i) % terms->source_count];

		if (!bind_source(fd, source, remote, addr->sa_family))
			continue;
		tried = true;
		if (next->connect(fd, addr, len) == 0)
			return 0;
		if (errno != EADDRNOTAVAIL)
			return -1;
	}
	/* None of them is ours here: as the program would have done. */
	return tried ? -1 : next->connect(fd, addr, len);
}

int apply_connect(const struct libc_calls *next, int fd, const struct sockaddr *addr, socklen_t len,
		  bool bound)
{
	struct policy_subject subject = {.role = ROLE_CLIENT,
					 .remote = endpoint_from_sockaddr(addr, len)};
	struct policy_terms terms;
	uint32_t id;

	if (!subject.remote.family || !rules_find(&subject, &terms, &id) || !steers(&terms, fd))
		return next->connect(fd, addr, len);
	limit_ports(fd, &terms);
	if (bound || terms.source_count == 0)
		return next->connect(fd, addr, len);
	return connect_from(next, fd, addr, len, &subject.remote, &terms);
}
