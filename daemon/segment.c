/* SPDX-License-Identifier: MIT */
#include "daemon/segment.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
	V4_HEADER = 20,
	V6_HEADER = 40,
	TCP_HEADER = 20,
	EXTENSIONS_MAX = 8, /* of IPv6; nobody sends more */
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

uint32_t segment_end(const struct segment *segment)
{
	return segment->seq + segment->length + !!(segment->flags & SEGMENT_SYN) +
	       !!(segment->flags & SEGMENT_FIN);
}

bool segment_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void set_v4(struct endpoint *out, const uint8_t *address)
{
	memset(out->addr, 0, 10);
	memset(out->addr + 10, 0xff, 2);
	memcpy(out->addr + 12, address, 4);
	out->family = AF_INET;
}

static void set_v6(struct endpoint *out, const uint8_t *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(out->addr, address, sizeof(out->addr));
	out->family = memcmp(address, mapped, sizeof(mapped)) ? AF_INET6 : AF_INET;
}

/* payload: of IP, by its own account; left: of that, what is here. */
static bool parse_tcp(const uint8_t *tcp, size_t left, size_t payload, struct segment *out)
{
	size_t header;

	if (left < TCP_HEADER || payload < TCP_HEADER)
		return false;
	header = (size_t)(tcp[12] >> 4) * 4;
	if (header < TCP_HEADER || header > payload)
		return false;
	out->from.port = (uint16_t)get16(tcp);
	out->to.port = (uint16_t)get16(tcp + 2);
	out->seq = get32(tcp + 4);
	out->flags = tcp[13];
	out->ack = out->flags & SEGMENT_ACK ? get32(tcp + 8) : 0;
	out->length = (uint32_t)(payload - header);
	return true;
}

static bool parse_v4(const uint8_t *packet, size_t len, size_t whole, struct segment *out)
{
	size_t header, total;

	if (len < V4_HEADER)
		return false;
	header = (size_t)(packet[0] & 15) * 4;
	total = get16(packet + 2);
	if (!total) /* larger than 16 bits can say: segments that are yet to be cut */
		total = whole;
	if (header < V4_HEADER || header > len || total < header || total > whole)
		return false;
	if (packet[9] != IPPROTO_TCP || get16(packet + 6) & 0x3fff) /* a fragment */
		return false;
	set_v4(&out->from, packet + 12);
	set_v4(&out->to, packet + 16);
	return parse_tcp(packet + header, len - header, total - header, out);
}

static bool parse_v6(const uint8_t *packet, size_t len, size_t whole, struct segment *out)
{
	size_t at = V6_HEADER, end;
	uint8_t next;

	if (len < V6_HEADER)
		return false;
	next = packet[6];
	end = get16(packet + 4) ? V6_HEADER + get16(packet + 4) : whole;
	if (end > whole)
		return false;
	for (int i = 0; next != IPPROTO_TCP; i++) {
		if (i == EXTENSIONS_MAX || at + 8 > len)
			return false;
		if (next == IPPROTO_FRAGMENT) {
			if (get16(packet + at + 2) & 0xfff9) /* an offset, or more to come */
				return false;
			next = packet[at];
			at += 8;
		} else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			   next == IPPROTO_DSTOPTS) {
			next = packet[at];
			at += ((size_t)packet[at + 1] + 1) * 8;
		} else {
			return false;
		}
	}
	if (at > len || at > end)
		return false;
	set_v6(&out->from, packet + 8);
	set_v6(&out->to, packet + 24);
	return parse_tcp(packet + at, len - at, end - at, out);
}

bool segment_parse(const uint8_t *packet, size_t len, size_t whole, struct segment *out)
{
	memset(out, 0, sizeof(*out));
	if (!len || whole < len)
		return false;
	switch (packet[0] >> 4) {
	case 4:
		return parse_v4(packet, len, whole, out);
	case 6:
		return parse_v6(packet, len, whole, out);
	default:
		return false;
	}
}
