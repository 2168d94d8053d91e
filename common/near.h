/* SPDX-License-Identifier: MIT */
/* Which word was meant: the edit distance of short words. */
#ifndef COMMON_NEAR_H
#define COMMON_NEAR_H

#include <stdbool.h>
#include <stddef.h>

/* Levenshtein's distance of the first a_len characters of a to b, where what they differ in is no
 * longer than 31 characters; 32 else. */
unsigned int near_distance(const char *a, size_t a_len, const char *b);

/* The first distance that is no slip any more: one slip in a short word, three in others. */
unsigned int near_limit(size_t len);

/* Is b nearer than *best, which begins as near_limit()? Then it is the best now. */
bool near_improves(unsigned int *best, const char *a, size_t a_len, const char *b);

#endif
