/* SPDX-License-Identifier: MIT */
/* The control socket: requests whole, in parts, many at once and endless, of clients that read
 * their answers slowly or never. Every line that comes back is a row. */
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

#include "daemon/conn.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 3, OWNERS = 10, STEPS_MAX = 200, ANSWER_MAX = 1 << 20 };

struct client {
	int fd; /* -1: not connected */
	bool shut;
	size_t len;
	char answer[65536]; /* of a line that is not whole yet */
};

static struct loop *loop;
static struct client clients[CLIENTS];
static struct conn_owner owners[OWNERS];
static uint64_t next_cookie;
static unsigned int endless; /* floods in this input: each takes long */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_world();
	return 0;
}

/* --- what there is to be shown ---------------------------------------------------------------- */

static void open_conns(unsigned int count, unsigned int kind)
{
	struct conn_owner *owner = &owners[kind % OWNERS];

	while (count--) {
		struct wire_record record = {.cookie = ++next_cookie, .role = kind % 3};
		struct account account = {.policy = kind % 2};
		bool opened;

		record.local.family = record.remote.family = kind & 1 ? 2 : 10;
		record.local.port = 80;
		record.remote.port = (uint16_t)next_cookie;
		conn_open(loop->conns, owner, &record, account, next_cookie, &opened);
	}
}

static void close_conns(struct fuzz_input *input)
{
	uint64_t from = 1000 + fuzz_byte(input);

	for (int i = fuzz_byte(input); i > 0; i--) {
		struct conn *conn = conn_find(loop->conns, from++);

		if (conn)
			conn_remove(loop->conns, conn);
	}
}

static void make_owners(void)
{
	static const char *const names[] = {"/usr/sbin/nginx", "/a\xff\"\\\n/b\t\xc3", ""};

	memset(owners, 0, sizeof(owners));
	next_cookie = 1000;
	for (int i = 0; i < OWNERS; i++) {
		owners[i].process.pid = 40 + i;
		owners[i].pidfd = -1;
		strcpy(owners[i].process.exe, names[i % 3]);
		open_conns(8, (unsigned int)i); /* more than one batch of a walk */
	}
}

/* --- clients ---------------------------------------------------------------------------------- */

static void check_row(const char *line, size_t len)
{
	json_t *row = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	fuzz_check(json_is_object(row));
	fuzz_check(json_is_string(json_object_get(row, "type")));
	json_decref(row);
}

/* Returns whether there was anything. */
static bool read_rows(struct client *client, size_t most)
{
	size_t wanted = most;

	while (client->fd >= 0 && most) {
		size_t room = sizeof(client->answer) - client->len;
		ssize_t n = recv(client->fd, client->answer + client->len,
				 most < room ? most : room, MSG_DONTWAIT);
		char *newline;

		fuzz_check(room > 0); /* no row is that long */
		if (n <= 0)
			break;
		client->len += (size_t)n;
		most -= (size_t)n;
		while ((newline = memchr(client->answer, '\n', client->len))) {
			size_t line = (size_t)(newline - client->answer);

			check_row(client->answer, line);
			client->len -= line + 1;
			memmove(client->answer, newline + 1, client->len);
		}
	}
	return most < wanted;
}

static void hang_up(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	*client = (struct client){.fd = -1};
}

static void connect_client(struct client *client, uint8_t who)
{
	static const uid_t uids[] = {0, 1000, 1001};

	hang_up(client);
	fuzz_peer = (struct fuzz_peer){.pid = getpid(), .uid = uids[who % 3], .pidfd = -1};
	client->fd = fuzz_connect_control(loop);
}

static void say(struct client *client, const void *data, size_t len)
{
	if (client->fd >= 0)
		(void)!send(client->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_request(struct client *client, uint8_t which, uint8_t times)
{
	static const char *const requests[] = {
		"{\"v\":1,\"cmd\":\"status\"}\n",
		"{\"v\":1,\"cmd\":\"conns\"}\n",
		"{\"v\":1,\"cmd\":\"conns\",\"filter\":\"program nginx\"}\n",
		"{\"v\":1,\"cmd\":\"conns\",\"filter\":[\"pid\",\"41\"]}\n",
		"{\"v\":1,\"cmd\":\"policies\"}\n",
		"{\"v\":1,\"cmd\":\"report\",\"tag\":\"run-1\"}\n",
		"{\"v\":1,\"cmd\":\"off\"}\n",
		"{\"v\":1,\"cmd\":\"on\"}\n",
		"{\"v\":1,\"cmd\":\"reload\"}\n",
		"{\"v\":1,\"cmd\":\"doctor\"}\n",
		"{\"v\":1,\"cmd\":\"tune\"}\n",
		"{\"v\":1,\"cmd\":\"tune-apply\"}\n",
		"{\"v\":1,\"cmd\":\"tune-apply\",\"id\":\"orphans/max-orphans\"}\n",
		"{\"v\":1,\"cmd\":\"tune-ignore\",\"id\":\"orphans/max-orphans\"}\n",
		"{\"v\":1,\"cmd\":\"tune-resume\",\"key\":\"net.core.somaxconn\"}\n",
		"{\"v\":1,\"cmd\":\"tune-revert\"}\n",
		"{\"v\":1,\"cmd\":\"history\",\"programs\":true}\n",
		"{\"v\":1,\"cmd\":\"history\",\"program\":\"nginx\",\"rows\":3}\n",
	};
	const char *request = requests[which % (sizeof(requests) / sizeof(requests[0]))];

	for (int i = 0; i < 1 + times % 16; i++)
		say(client, request, strlen(request));
}

static void say_endlessly(struct client *client, uint8_t byte)
{
	char data[4096];

	memset(data, byte, sizeof(data));
	/* Each empty line is answered: those of two are enough. */
	for (int i = byte == '\n' ? 18 : 0; i < 20; i++) {
		say(client, data, sizeof(data));
		fuzz_turn(loop);
	}
}

static void step(struct fuzz_input *input)
{
	uint8_t what = fuzz_byte(input);
	struct client *client = &clients[what / 16 % CLIENTS];
	uint8_t data[256];
	size_t len;

	switch (what % 16) {
	case 0:
		connect_client(client, fuzz_byte(input));
		break;
	case 1:
		if (endless++ < 2)
			say_endlessly(client, fuzz_byte(input));
		break;
	case 2:
		read_rows(client, fuzz_byte(input) * 64u);
		break;
	case 3:
		hang_up(client);
		break;
	case 4:
		if (client->fd >= 0)
			shutdown(client->fd, SHUT_WR);
		break;
	case 5:
		open_conns(fuzz_byte(input) % 16, fuzz_byte(input));
		break;
	case 6:
		close_conns(input);
		break;
	case 7:
		len = fuzz_byte(input) % OWNERS;
		conn_owner_gone(loop->conns, &owners[len], UINT_MAX);
		break;
	case 8:
	case 9:
		say_request(client, fuzz_byte(input), fuzz_byte(input));
		break;
	case 10:
		fuzz_turn(loop);
		break;
	default:
		len = fuzz_byte(input);
		if (len > fuzz_left(input))
			len = fuzz_left(input);
		fuzz_bytes(input, data, len);
		say(client, data, len);
		if (what & 0x80)
			say(client, "\n", 1);
		fuzz_turn(loop);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};

	loop = fuzz_loop_new();
	endless = 0;
	for (int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	make_owners();
	for (int i = 0; i < STEPS_MAX && fuzz_left(&input); i++)
		step(&input);
	for (bool more = true; more;) { /* a walk goes on as its rows are read */
		fuzz_turn(loop);
		more = false;
		for (int c = 0; c < CLIENTS; c++)
			more |= read_rows(&clients[c], ANSWER_MAX);
	}
	for (int i = 0; i < CLIENTS; i++)
		hang_up(&clients[i]);
	fuzz_turn(loop);
	for (int i = 0; i < OWNERS; i++)
		conn_owner_gone(loop->conns, &owners[i], UINT_MAX);
	fuzz_loop_free(loop);
	return 0;
}
