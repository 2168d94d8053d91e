/* SPDX-License-Identifier: MIT */
#include "tests/unit/balance_kernel.h"

#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const struct endpoint client = {.addr = {[10] = 0xff, 0xff, 10, 77, 0, 2},
				       .family = AF_INET};
static const struct endpoint server = {
	.addr = {[10] = 0xff, 0xff, 10, 77, 0, 1}, .port = 80, .family = AF_INET};

void kernel_set(struct balance_kernel *kernel, enum sysctl key, int64_t number)
{
	kernel->space.key[key].now = sysctl_number(number);
}

int64_t kernel_get(const struct balance_kernel *kernel, enum sysctl key)
{
	return kernel->space.key[key].now.number[0];
}

void kernel_init(struct balance_kernel *kernel)
{
	memset(kernel, 0, sizeof(*kernel));
	kernel_set(kernel, SYSCTL_TIME_WAITS_MAX, 131072);
	kernel_set(kernel, SYSCTL_ORPHANS_MAX, 131072);
	kernel_set(kernel, SYSCTL_FIN_TIMEOUT_S, 60);
	kernel_set(kernel, SYSCTL_SOMAXCONN, 4096);
	kernel_set(kernel, SYSCTL_SYN_BACKLOG_MAX, 2048);
	kernel_set(kernel, SYSCTL_TIME_WAIT_REUSE, 2);
	kernel_set(kernel, SYSCTL_TIME_WAIT_REUSE_DELAY_MS, 1000);
	kernel_set(kernel, SYSCTL_TIMESTAMPS, 1);
	kernel_set(kernel, SYSCTL_SYN_COOKIES, 1);
	kernel->space.key[SYSCTL_PORT_RANGE].now = sysctl_range(32768, 60999);
	kernel->space.widest_lo = 1024;
	kernel->space.widest_hi = 65535;
	kernel->inputs = (struct balance_inputs){
		.now_ms = 1000000,
		.cooldown_ms = 60000,
		.memory_max = 64 << 20,
		.spaces = &kernel->space,
		.space_count = 1,
		.ports = &kernel->ports,
		.listeners = &kernel->listener,
		.processes = &kernel->process,
		.page_bytes = 4096,
		.ram_bytes = 8ULL << 30,
		.config_path = "/etc/closeside/closeside.conf",
		.socket_path = "",
	};
}

void kernel_connect(struct balance_kernel *kernel, uint32_t time_wait, double rate_s)
{
	struct balance_ports *ports = &kernel->ports;
	uint32_t left = time_wait, each = (uint32_t)(rate_s * BALANCE_SLOT_MS / 1000);

	*ports = (struct balance_ports){
		.who = {.pid = 42, .program = "wrk"},
		.local = client,
		.remote = server,
		.used = time_wait,
		.time_wait = time_wait,
		.time_wait_ms = -1,
		.rate_s = rate_s,
	};
	for (int i = BALANCE_SLOTS - 1; i >= 0 && left; i--) {
		ports->released[i] = left < each || !i ? left : each;
		left -= ports->released[i];
	}
	ports->reusable = time_wait > rate_s ? time_wait - (uint32_t)rate_s : 0;
	kernel->inputs.ports_count = 1;
}

void kernel_listen(struct balance_kernel *kernel, uint32_t backlog)
{
	kernel->listener = (struct balance_listener){
		.cookie = 7,
		.who = {.pid = 43, .program = "nginx", .unit = "nginx.service"},
		.at = server,
		.backlog = backlog,
		.can_relisten = true,
	};
	kernel->inputs.listener_count = 1;
}

/* --- what is never to be said ----------------------------------------------------------------- */

static void check_text(const char *text)
{
	const char *fin = strstr(text, "fin_timeout");

	assert_null(strstr(text, "rfc1337"));
	assert_null(strstr(text, "tcp_tw_recycle"));
	assert_null(strstr(text, "tcp_syncookies=0"));
	if (fin)
		assert_null(strstr(text, "shortens TIME_WAIT"));
	assert_true(strlen(text) < BALANCE_TEXT);
}

static void check_advice(const struct balance_kernel *kernel, const struct balance_advice *advice)
{
	const struct balance_entry *entry = &kernel->sheet.entry[advice->entry];

	assert_true(*advice->title && *advice->effect && *advice->cost && advice->line_count);
	assert_true(strlen(advice->id) > strlen(entry->id) &&
		    !strncmp(advice->id, entry->id, strlen(entry->id)));
	check_text(advice->title);
	check_text(advice->effect);
	check_text(advice->cost);
	for (unsigned int i = 0; i < advice->line_count; i++)
		check_text(advice->line[i]);
	if (advice->lever == LEVER_FIN_TIMEOUT)
		assert_non_null(strstr(advice->effect, "TIME_WAIT is not shortened"));
	if (advice->lever == LEVER_TW_REUSE)
		assert_true(entry->resource == BALANCE_PORTS &&
			    kernel_get(kernel, SYSCTL_TIMESTAMPS));
	if (advice->kind == KIND_SYSCTL)
		assert_true(sysctl_may_go(advice->key, &kernel->space.key[advice->key].now,
					  &advice->best));
	if (entry->resource == BALANCE_PORTS && advice->enough)
		assert_true(advice->sustains_s >= entry->rate_s);
}

void kernel_assess(struct balance_kernel *kernel)
{
	balance_assess(&kernel->inputs, &kernel->sheet);
	for (unsigned int i = 0; i < kernel->sheet.entry_count; i++) {
		assert_true(*kernel->sheet.entry[i].title);
		check_text(kernel->sheet.entry[i].title);
		for (unsigned int j = 0; j < kernel->sheet.entry[i].evidence_count; j++)
			check_text(kernel->sheet.entry[i].evidence[j]);
	}
	for (unsigned int i = 0; i < kernel->sheet.advice_count; i++)
		check_advice(kernel, &kernel->sheet.advice[i]);
}

const struct balance_entry *kernel_entry(const struct balance_kernel *kernel, const char *id)
{
	for (unsigned int i = 0; i < kernel->sheet.entry_count; i++)
		if (!strcmp(kernel->sheet.entry[i].id, id))
			return &kernel->sheet.entry[i];
	fail_msg("there is no entry %s", id);
	return NULL;
}

const struct balance_advice *kernel_advice(const struct balance_kernel *kernel, const char *id)
{
	for (unsigned int i = 0; i < kernel->sheet.advice_count; i++)
		if (!strcmp(kernel->sheet.advice[i].id, id))
			return &kernel->sheet.advice[i];
	return NULL;
}

unsigned int kernel_apply(struct balance_kernel *kernel)
{
	for (unsigned int i = 0; i < kernel->sheet.move_count; i++) {
		const struct balance_move *move = &kernel->sheet.move[i];
		struct balance_key *key = &kernel->space.key[move->key];

		if (move->kind == KIND_RELISTEN) {
			if (!kernel->listener.original)
				kernel->listener.original = (uint32_t)move->from.number[0];
			kernel->listener.backlog = (uint32_t)move->to.number[0];
			kernel->listener.changed_ms = kernel->inputs.now_ms;
			continue;
		}
		assert_true(sysctl_same(&key->now, &move->from));
		if (!key->original.count)
			key->original = key->now;
		key->now = move->to;
		key->changed_ms = kernel->inputs.now_ms;
	}
	return kernel->sheet.move_count;
}
