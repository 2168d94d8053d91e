/* SPDX-License-Identifier: MIT */
#include "daemon/caps.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct cap_need cap_needs[CAP_NEEDS] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", "TIME_WAITs are not retired, only counted"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE",
	 "other users' programs are known by their command name only, and close-first = self "
	 "cannot close for them"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH",
	 "other users' processes without the shim are not seen"},
};

typedef struct __user_cap_data_struct cap_sets[_LINUX_CAPABILITY_U32S_3];

static int get(cap_sets sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(sets, 0, sizeof(cap_sets));
	return (int)syscall(SYS_capget, &header, sets);
}

int caps_drop(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	__u32 keep[_LINUX_CAPABILITY_U32S_3] = {0};
	cap_sets sets;

	for (int i = 0; i < CAP_NEEDS; i++)
		keep[CAP_TO_INDEX(cap_needs[i].cap)] |= CAP_TO_MASK(cap_needs[i].cap);
	if (get(sets) < 0)
		return -1;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].permitted &= keep[i];
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_capset, &header, sets);
}

unsigned int caps_missing(void)
{
	unsigned int missing = 0;
	cap_sets sets;

	if (get(sets) < 0)
		return (1u << CAP_NEEDS) - 1;
	for (int i = 0; i < CAP_NEEDS; i++)
		if (!(sets[CAP_TO_INDEX(cap_needs[i].cap)].effective &
		      CAP_TO_MASK(cap_needs[i].cap)))
			missing |= 1u << i;
	return missing;
}
