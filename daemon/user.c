/* SPDX-License-Identifier: MIT */
#include "daemon/user.h"

#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/note.h"

#include "common/wire.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct users {
	struct user *by_uid;
	unsigned int limit[USER_SHARES];
};

static const char *const fault_words[] = {
#define X(name, words) [name] = words,
	USER_FAULTS(X)
#undef X
};

struct users *users_new(void)
{
	return calloc(1, sizeof(struct users));
}

/* "uid 1000 (alice)". From the file itself: getpwuid() may ask a server, and wait for it. */
static const char *name_of(uid_t uid, char *text, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) && entry->pw_uid != uid)
		;
	if (entry)
		snprintf(text, size, "uid %u (%s)", (unsigned int)uid, entry->pw_name);
	else
		snprintf(text, size, "uid %u", (unsigned int)uid);
	if (file)
		fclose(file);
	return text;
}

static void sum_up(struct user *user, enum user_fault fault)
{
	struct fault *done = &user->faults[fault];
	char name[80];

	if (done->count > 1)
		log_limited(LOG_NOTICE, "%s: %s: %llu in %llu s",
			    name_of(user->uid, name, sizeof(name)), fault_words[fault],
			    (unsigned long long)done->count,
			    (unsigned long long)(done->last_ms - done->first_ms + 999) / 1000);
	done->count = 0;
}

static bool is_faultless(const struct user *user)
{
	for (int i = 0; i < FAULT_COUNT; i++)
		if (user->faults[i].count)
			return false;
	return true;
}

static void forget(struct user *user)
{
	HASH_DEL(user->users->by_uid, user);
	free(user);
}

void users_free(struct users *users)
{
	struct user *user, *next;

	if (!users)
		return;
	HASH_ITER(hh, users->by_uid, user, next)
	{
		for (int i = 0; i < FAULT_COUNT; i++)
			sum_up(user, (enum user_fault)i);
		forget(user);
	}
	free(users);
}

void users_set_limit(struct users *users, enum user_share share, unsigned int limit)
{
	users->limit[share] = limit;
}

void users_tick(struct users *users, uint64_t now_ms)
{
	struct user *user, *next;

	HASH_ITER(hh, users->by_uid, user, next)
	{
		for (int i = 0; i < FAULT_COUNT; i++)
			if (now_ms - user->faults[i].last_ms >= LIMIT_FAULT_QUIET_S * 1000)
				sum_up(user, (enum user_fault)i);
		if (!user->references && is_faultless(user))
			forget(user);
	}
}

struct user *users_most(const struct users *users, enum user_share share)
{
	struct user *user, *next, *most = NULL;

	HASH_ITER(hh, users->by_uid, user, next)
	{
		if (user->has[share] && (!most || user->has[share] > most->has[share]))
			most = user;
	}
	return most;
}

struct user *user_get(struct users *users, uid_t uid)
{
	struct user *user;

	HASH_FIND(hh, users->by_uid, &uid, sizeof(uid), user);
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->uid = uid;
		user->users = users;
		HASH_ADD(hh, users->by_uid, uid, sizeof(user->uid), user);
	}
	user->references++;
	return user;
}

/* One that did something stays, or it would be news each time: but not a million of them. */
void user_put(struct user *user)
{
	if (!user || --user->references)
		return;
	if (is_faultless(user) || HASH_COUNT(user->users->by_uid) > LIMIT_USERS)
		forget(user);
}

bool user_is_full(const struct user *user, enum user_share share)
{
	if (!user || user->uid == 0 || user->uid == geteuid() || !user->users->limit[share])
		return false;
	return user->has[share] >= user->users->limit[share];
}

void user_take(struct user *user, enum user_share share)
{
	if (!user)
		return;
	user->references++;
	user->has[share]++;
}

void user_give_back(struct user *user, enum user_share share)
{
	if (!user)
		return;
	user->has[share]--;
	user_put(user);
}

void user_blame(struct user *user, enum user_fault fault, const struct process *process,
		const char *format, ...)
{
	struct fault *done = &user->faults[fault];
	char name[80], what[256];
	va_list args;

	done->last_ms = wire_now_ms();
	if (done->count++)
		return;
	done->first_ms = done->last_ms;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	name_of(user->uid, name, sizeof(name));
	if (process)
		log_limited(LOG_WARNING, "%s[%d], %s: %s", process_name(process), (int)process->pid,
			    name, what);
	else
		log_limited(LOG_WARNING, "%s: %s", name, what);
	note(NOTE_LIMIT, "%s: %s", name, what);
}
