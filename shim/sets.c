/* SPDX-License-Identifier: MIT */
#include "shim/sets.h"

#include "shim/process.h"
#include "shim/raw.h"

#include <stddef.h>
#include <sys/epoll.h>

struct sets_note sets_adding(int epfd, int fd)
{
	struct sets_note note = {.what = SETS_NOTHING};
	struct slot *slot = slot_at(fd);

	if (!slot || !process_enter())
		return note;
	note.cookie = atomic_load(&slot->cookie);
	if (slot_word(fd) & SLOT_INHERITED)
		slot_set_flag(fd, SLOT_ADDED_HERE);
	for (note.index = 0; note.index < SLOT_SETS; note.index++) {
		int32_t none = 0;

		if (atomic_compare_exchange_strong(&slot->set[note.index], &none, epfd + 1)) {
			note.what = SETS_ADDED;
			return note;
		}
	}
	if (!(slot_word(fd) & SLOT_EPOLL_LOST)) {
		slot_set_flag(fd, SLOT_EPOLL_LOST);
		note.what = SETS_LOST;
	}
	return note;
}

/* If the number is another connection's by now, the note has gone with the slot. */
void sets_not_added(int epfd, int fd, struct sets_note note)
{
	struct slot *slot = slot_at(fd);
	int32_t noted = epfd + 1;

	if (!slot || note.what == SETS_NOTHING || atomic_load(&slot->cookie) != note.cookie)
		return;
	if (note.what == SETS_LOST)
		slot_clear_flag(fd, SLOT_EPOLL_LOST);
	else
		atomic_compare_exchange_strong(&slot->set[note.index], &noted, 0);
}

void sets_removed(int epfd, int fd)
{
	struct slot *slot = slot_at(fd);

	if (!slot || !process_enter())
		return;
	for (int i = 0; i < SLOT_SETS; i++) {
		int32_t noted = epfd + 1;

		if (atomic_compare_exchange_strong(&slot->set[i], &noted, 0))
			return;
	}
}

bool sets_leave(const struct slot *slot, int fd)
{
	bool left = true;

	for (int i = 0; i < SLOT_SETS; i++) {
		int epfd = atomic_load(&slot->set[i]) - 1;

		if (epfd >= 0 && raw(SYS_epoll_ctl, epfd, EPOLL_CTL_DEL, fd, NULL) != 0)
			left = false;
	}
	return left;
}

bool sets_known_here(const struct slot *slot, uint32_t word)
{
	if (word & SLOT_INHERITED && !(word & SLOT_ADDED_HERE))
		return false;
	for (int i = 0; i < SLOT_SETS; i++)
		if (atomic_load(&slot->set[i]))
			return true;
	return false;
}
