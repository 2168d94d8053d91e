/* SPDX-License-Identifier: MIT */
#include "common/near.h"

#include <string.h>

unsigned int near_distance(const char *a, size_t a_len, const char *b)
{
	unsigned int row[32];
	size_t b_len = strlen(b);

	/* What both begin and end with costs nothing. */
	while (a_len && b_len && *a == *b)
		a++, b++, a_len--, b_len--;
	while (a_len && b_len && a[a_len - 1] == b[b_len - 1])
		a_len--, b_len--;
	if (a_len > 31 || b_len > 31)
		return 32;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

unsigned int near_limit(size_t len)
{
	return len < 4 ? 2 : 4;
}

bool near_improves(unsigned int *best, const char *a, size_t a_len, const char *b)
{
	unsigned int distance = near_distance(a, a_len, b);

	if (distance >= *best)
		return false;
	*best = distance;
	return true;
}
