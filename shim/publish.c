/* SPDX-License-Identifier: MIT */
#include "shim/publish.h"

#include "shim/channel.h"
#include "shim/rules.h"

#include <string.h>

void record_init(struct wire_record *record, int fd, uint32_t word, uint64_t cookie,
		 const struct slot_info *info)
{
	memset(record, 0, sizeof(*record));
	channel_stamp(record);
	record->role = word & SLOT_SERVER ? ROLE_SERVER : ROLE_CLIENT;
	record->cookie = cookie;
	record->local = info->local;
	record->remote = info->remote;
	record->fd = fd;
	record->time_wait_ms = TIME_WAIT_KEEP;
}

void record_policy(struct wire_record *record, enum policed policed,
		   const struct policy_terms *terms, uint32_t policy)
{
	if (policed == POLICED_NOT)
		return;
	record->policy = policy;
	record->control = policed == POLICED_CONTROL;
	if (record->control)
		return;
	record->grace_ms = terms->grace_ms;
	record->time_wait_ms = terms->time_wait_ms;
	record->drain_max_ms = terms->drain_max_ms;
	record->grace_learn = terms->grace_learn;
	record->peer_time_wait = terms->peer_time_wait;
	record->close_first = terms->close_first;
}

enum policed publish_find(uint32_t word, uint64_t cookie, const struct slot_info *info,
			  struct policy_terms *terms, uint32_t *policy)
{
	struct policy_subject subject = {
		.role = word & SLOT_SERVER ? ROLE_SERVER : ROLE_CLIENT,
		.local = info->local,
		.remote = info->remote,
	};

	*policy = 0;
	if (!rules_find(&subject, terms, policy))
		return POLICED_NOT;
	return policy_steers(terms, cookie) ? POLICED_STEERED : POLICED_CONTROL;
}

bool publish_open(int fd, uint32_t word, uint64_t cookie, unsigned int state,
		  const struct slot_info *info, struct policy_terms *terms)
{
	struct wire_record record;
	uint32_t policy;
	enum policed policed = publish_find(word, cookie, info, terms, &policy);

	record_init(&record, fd, word, cookie, info);
	record.type = WIRE_OPEN;
	record.state = (uint8_t)state;
	record.how = word & SLOT_INHERITED ? 1 : 0;
	record_policy(&record, policed, terms, policy);
	channel_publish(&record);
	return policed == POLICED_STEERED;
}

/* Another thread may have closed it since its slot was read, and said so before we said that it is
 * open. The daemon then asks the kernel. */
static void take_back(int fd, uint32_t word, uint64_t cookie, const struct slot_info *info)
{
	struct slot *slot = slot_at(fd);
	struct wire_record record;

	if (slot_kind(fd) == SLOT_CONN && atomic_load(&slot->cookie) == cookie)
		return;
	record_init(&record, fd, word, cookie, info);
	record.type = WIRE_LET_GO;
	channel_publish(&record);
}

void publish_all(void)
{
	int high = slots_high();

	for (int fd = 0; fd < high; fd++) {
		uint32_t word = slot_word(fd);
		struct policy_terms terms;
		struct slot_info info;
		struct slot *slot;
		uint64_t cookie;

		if ((word & SLOT_KIND) != SLOT_CONN)
			continue;
		slot = slot_at(fd);
		slot_load_info(slot, &info);
		cookie = atomic_load(&slot->cookie);
		publish_open(fd, word, cookie, 0, &info, &terms);
		take_back(fd, word, cookie, &info);
	}
}
