/* SPDX-License-Identifier: MIT */
/* The kernel writes into a ring of blocks (TPACKET_V3), which we give back one by one. A filter in
 * the kernel leaves out what is no TCP, so that a busy machine's data does not fill it. */
#include "daemon/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BLOCK = 1 << 18,
	BLOCKS = 64,
	FRAME = 2048,
	RETIRE_MS = 20, /* a block that is not full is ours after that */
	HEADERS = 192,	/* of a packet: the largest of IPv4 and of TCP, some extensions of IPv6 */
	CLOSING = 1 | 2 | 4, /* FIN, SYN, RST */
};

struct capture {
	int fd;
	uint8_t *ring;
	unsigned int next, blocks;
	uint64_t lost;
};

/* What TCP has, and in IPv4 no later fragment. Behind extensions of IPv6 all is let through: the
 * parser knows them. `all` decides what a TCP header without SYN, FIN and RST is worth. */
static int set_filter(int fd, bool all)
{
	struct sock_filter code[] = {
		/*  0 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS,
				  (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
		/*  1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 8, 0),
		/*  2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 13),
		/*  3 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		/*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 11),
		/*  5 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		/*  6 */ BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 9, 0),
		/*  7 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		/*  8 */ BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
		/*  9 */ BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0),
		/* 10 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		/* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0),
		/* 12 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 3, 2),
		/* 13 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40 + 13),
		/* 14 */ BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, all ? 0xff : CLOSING, 0, 1),
		/* 15 */ BPF_STMT(BPF_RET | BPF_K, HEADERS),
		/* 16 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int set_ring(struct capture *capture)
{
	struct tpacket_req3 request = {
		.tp_block_size = BLOCK,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME,
		.tp_frame_nr = BLOCK / FRAME * BLOCKS,
		.tp_retire_blk_tov = RETIRE_MS,
	};
	const char *tiny = getenv("CLOSESIDE_CAPTURE_BLOCKS"); /* for tests */
	int version = TPACKET_V3;
	void *ring;

	if (tiny && atoi(tiny) > 0 && atoi(tiny) < BLOCKS)
		request.tp_block_nr = (unsigned int)atoi(tiny);
	request.tp_frame_nr = BLOCK / FRAME * request.tp_block_nr;
	if (setsockopt(capture->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(capture->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return -1;
	ring = mmap(NULL, (size_t)BLOCK * request.tp_block_nr, PROT_READ | PROT_WRITE, MAP_SHARED,
		    capture->fd, 0);
	if (ring == MAP_FAILED)
		return -1;
	capture->ring = ring;
	capture->blocks = request.tp_block_nr;
	return 0;
}

/* Protocol 0 until the filter is there: nothing comes that it has not seen. */
struct capture *capture_open(bool all)
{
	struct sockaddr_ll every = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct capture *capture = calloc(1, sizeof(*capture));
	int saved;

	if (!capture)
		return NULL;
	capture->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (capture->fd >= 0 && set_filter(capture->fd, all) == 0 && set_ring(capture) == 0 &&
	    bind(capture->fd, (struct sockaddr *)&every, sizeof(every)) == 0)
		return capture;
	saved = errno;
	capture_close(capture);
	errno = saved;
	return NULL;
}

void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	if (capture->ring)
		munmap(capture->ring, (size_t)BLOCK * capture->blocks);
	if (capture->fd >= 0)
		close(capture->fd);
	free(capture);
}

int capture_fd(const struct capture *capture)
{
	return capture->fd;
}

static void read_packet(const struct tpacket3_hdr *packet,
			void (*take)(void *arg, const struct segment *segment), void *arg)
{
	const uint8_t *bytes = (const uint8_t *)packet;
	const struct sockaddr_ll *link =
		(const struct sockaddr_ll *)(bytes + TPACKET_ALIGN(sizeof(*packet)));
	struct segment segment;

	if (!segment_parse(bytes + packet->tp_net, packet->tp_snaplen, packet->tp_len, &segment))
		return;
	segment.time_ns = (uint64_t)packet->tp_sec * 1000000000 + packet->tp_nsec;
	segment.via = (uint32_t)link->sll_ifindex << 1 | (link->sll_pkttype == PACKET_OUTGOING);
	take(arg, &segment);
}

void capture_read(struct capture *capture, void (*take)(void *arg, const struct segment *segment),
		  void *arg)
{
	for (;;) {
		struct tpacket_block_desc *block =
			(struct tpacket_block_desc *)(capture->ring +
						      (size_t)BLOCK * capture->next);
		struct tpacket_hdr_v1 *header = &block->hdr.bh1;
		const uint8_t *packet = (const uint8_t *)block + header->offset_to_first_pkt;

		if (!(__atomic_load_n(&header->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		for (uint32_t i = 0; i < header->num_pkts; i++) {
			const struct tpacket3_hdr *at = (const struct tpacket3_hdr *)packet;

			read_packet(at, take, arg);
			packet += at->tp_next_offset;
		}
		__atomic_store_n(&header->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		capture->next = (capture->next + 1) % capture->blocks;
	}
}

uint64_t capture_lost(struct capture *capture)
{
	struct tpacket_stats_v3 stats = {0};
	socklen_t len = sizeof(stats);

	/* Reading clears them. */
	if (getsockopt(capture->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		capture->lost += stats.tp_drops;
	return capture->lost;
}
