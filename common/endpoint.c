/* SPDX-License-Identifier: MIT */
#include "common/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const uint8_t addr[16])
{
	return !memcmp(addr, mapped_prefix, sizeof(mapped_prefix));
}

struct endpoint endpoint_from_sockaddr(const struct sockaddr *sa, size_t len)
{
	struct endpoint ep = {0};

	if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		memcpy(ep.addr, mapped_prefix, sizeof(mapped_prefix));
		memcpy(ep.addr + 12, &in.sin_addr, 4);
		ep.port = ntohs(in.sin_port);
		ep.family = AF_INET;
	} else if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(ep.addr, &in6.sin6_addr, 16);
		ep.port = ntohs(in6.sin6_port);
		ep.family = is_mapped(ep.addr) ? AF_INET : AF_INET6;
	}
	return ep;
}

bool endpoint_same_addr(const struct endpoint *a, const struct endpoint *b)
{
	return a->family && b->family && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && endpoint_same_addr(a, b);
}

bool endpoint_is_any(const struct endpoint *ep)
{
	static const uint8_t zero[16];

	if (ep->family == AF_INET)
		return !memcmp(ep->addr + 12, zero, 4);
	return !memcmp(ep->addr, zero, 16);
}

bool cidr_contains(const struct cidr *net, const struct endpoint *ep)
{
	unsigned int bytes = net->bits / 8, rest = net->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (!ep->family || net->bits > 128 || memcmp(net->addr, ep->addr, bytes))
		return false;
	return !rest || !((net->addr[bytes] ^ ep->addr[bytes]) & mask);
}

/* inet_ntop() is not on the list of async-signal-safe functions, but glibc's and musl's write to
 * the caller's buffer and nothing else. */
static const char *text_of(const uint8_t addr[16], char buf[INET6_ADDRSTRLEN])
{
	if (is_mapped(addr))
		return inet_ntop(AF_INET, addr + 12, buf, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, addr, buf, INET6_ADDRSTRLEN);
}

char *endpoint_format_addr(const struct endpoint *ep, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	snprintf(buf, size, "%s", ep->family ? text_of(ep->addr, text) : "*");
	return buf;
}

char *endpoint_format(const struct endpoint *ep, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (!ep->family)
		snprintf(buf, size, "*:%u", ep->port);
	else if (ep->family == AF_INET)
		snprintf(buf, size, "%s:%u", text_of(ep->addr, text), ep->port);
	else
		snprintf(buf, size, "[%s]:%u", text_of(ep->addr, text), ep->port);
	return buf;
}

char *cidr_format(const struct cidr *net, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (net->bits == 128)
		snprintf(buf, size, "%s", text_of(net->addr, text));
	else if (is_mapped(net->addr) && net->bits >= 96)
		snprintf(buf, size, "%s/%u", text_of(net->addr, text), net->bits - 96u);
	else /* ::ffff:10.0.0.0/40 is no 10.0.0.0/40 */
		snprintf(buf, size, "%s/%u", inet_ntop(AF_INET6, net->addr, text, sizeof(text)),
			 net->bits);
	return buf;
}
