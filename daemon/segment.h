/* SPDX-License-Identifier: MIT */
/* A TCP segment as it was on the wire: what of its headers tells how a connection went. */
#ifndef DAEMON_SEGMENT_H
#define DAEMON_SEGMENT_H

#include "common/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As they are in the header (RFC 9293, 3.1). */
enum { SEGMENT_FIN = 1, SEGMENT_SYN = 2, SEGMENT_RST = 4, SEGMENT_PSH = 8, SEGMENT_ACK = 16 };

struct segment {
	uint64_t time_ns; /* CLOCK_REALTIME */
	struct endpoint from, to;
	uint32_t seq, ack; /* ack: 0 without SEGMENT_ACK */
	uint32_t length;   /* of its data */
	uint32_t via;	   /* the interface, and whether it went in or out there */
	uint8_t flags;
};

/* Reads an IPv4 or IPv6 packet of which the first `len` bytes of `whole` are here; it may be
 * anything. Sets all but time_ns and via. False: no TCP segment, or not the first fragment of one,
 * or its TCP header is not here as a whole. */
bool segment_parse(const uint8_t *packet, size_t len, size_t whole, struct segment *out);

/* Where the next of the same sender begins: SYN and FIN take a sequence number each. */
uint32_t segment_end(const struct segment *segment);

/* a is before b, in the arithmetic of sequence numbers (RFC 9293, 3.4). */
bool segment_before(uint32_t a, uint32_t b);

#endif
