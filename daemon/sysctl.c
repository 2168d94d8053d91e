/* SPDX-License-Identifier: MIT */
#include "daemon/sysctl.h"

#define FOLDER_IPV4 "net.ipv4."
#define FOLDER_CORE "net.core."
#define FOLDER_NETFILTER "net.netfilter."

const struct sysctl_row sysctls[SYSCTL_COUNT] = {
#define X(name, folder, file, numbers, lever, shrinks, least, most) \
	{FOLDER_##folder file, file,	SYSCTL_##folder, numbers,   \
	 SYSCTL_##lever,       shrinks, least,		 most},
	SYSCTLS(X)
#undef X
};

static bool is_named(const char *row, const char *name)
{
	while (*row && (*row == *name || (*row == '.' && *name == '/')))
		row++, name++;
	return !*row && !*name;
}

enum sysctl sysctl_find(const char *name)
{
	for (int i = 0; i < SYSCTL_COUNT; i++)
		if (is_named(sysctls[i].name, name))
			return (enum sysctl)i;
	return SYSCTL_COUNT;
}
