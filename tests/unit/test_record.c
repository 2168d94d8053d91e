/* SPDX-License-Identifier: MIT */
#include "daemon/record.h"

#include "common/tcp_state.h"

#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

static struct wire_record sound(void)
{
	struct wire_record record = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.type = WIRE_OPEN,
		.role = ROLE_SERVER,
		.cookie = 1,
		.state = STATE_ESTABLISHED,
	};

	record.local.family = record.remote.family = AF_INET;
	memset(record.local.addr + 10, 0xff, 2);
	memset(record.remote.addr + 10, 0xff, 2);
	return record;
}

static void a_sound_record_passes(void **state)
{
	struct wire_record record = sound();

	(void)state;
	assert_null(record_problem(&record));
	record.remote.family = 0; /* not known */
	assert_null(record_problem(&record));
	record.local.family = AF_INET6;
	assert_null(record_problem(&record));
}

#define REFUSED(member, value)                            \
	do {                                              \
		struct wire_record record = sound();      \
		record.member = (value);                  \
		assert_non_null(record_problem(&record)); \
	} while (0)

static void what_is_out_of_range_is_refused(void **state)
{
	(void)state;
	REFUSED(magic, 0);
	REFUSED(version, WIRE_VERSION + 1);
	REFUSED(type, WIRE_NONE);
	REFUSED(type, WIRE_TYPE_COUNT);
	REFUSED(role, ROLE_CLIENT + 1);
	REFUSED(state, STATE_COUNT);
	REFUSED(action, CLOSE_ACTION_COUNT);
	REFUSED(side, SIDE_COUNT);
	REFUSED(why, CLOSE_REASON_COUNT);
	REFUSED(close_first, FIRST_SELF + 1);
	REFUSED(local.family, AF_UNIX);
	REFUSED(local.addr[0], 1); /* an IPv4 address that is not mapped */
	REFUSED(remote.family, UINT16_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_record_passes),
		cmocka_unit_test(what_is_out_of_range_is_refused),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
