/* SPDX-License-Identifier: MIT */
/* An address and a port. IPv4 is kept as an IPv4-mapped IPv6 address, so that
 * 10.0.0.1 and ::ffff:10.0.0.1 are the same endpoint wherever they are compared. */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

struct endpoint {
	uint8_t addr[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
	uint16_t port;	  /* host order */
	uint16_t family;  /* AF_INET (mapped too), AF_INET6, 0: not known */
};
_Static_assert(sizeof(struct endpoint) == 20, "crosses the wire");

/* Two side by side have no holes: local and remote together are a hash key. */
#define ENDPOINT_PAIR_SIZE (2 * sizeof(struct endpoint))

/* addr/bits; bits count from the front of the 16-byte form (IPv4: 96 + prefix). */
struct cidr {
	uint8_t addr[16];
	uint8_t bits;
	uint8_t pad[3];
};
_Static_assert(sizeof(struct cidr) == 20, "crosses the wire");

/* "[2001:db8::1]:80" or "10.0.0.1:80" */
#define ENDPOINT_TEXT_MAX 56

/* From a socket address of AF_INET or AF_INET6; anything else gives family 0. */
struct endpoint endpoint_from_sockaddr(const struct sockaddr *sa, size_t len);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool endpoint_same_addr(const struct endpoint *a, const struct endpoint *b);
bool endpoint_is_any(const struct endpoint *ep); /* 0.0.0.0 or :: */
bool cidr_contains(const struct cidr *net, const struct endpoint *ep);

/* Writes at most size bytes with the final NUL; async-signal-safe. Returns buf. */
char *endpoint_format(const struct endpoint *ep, char *buf, size_t size);
char *endpoint_format_addr(const struct endpoint *ep, char *buf, size_t size);
char *cidr_format(const struct cidr *net, char *buf, size_t size);

#endif
