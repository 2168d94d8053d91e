/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share. A target is one C file, one LLVMFuzzerTestOneInput(): with libFuzzer
 * (`make fuzz`) it is fed with what libFuzzer invents, otherwise replay.c feeds it the seeds. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define fuzz_check(condition)                                                             \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

/* Reads an input from its front; past its end all is 0. */
struct fuzz_input {
	const uint8_t *at, *end;
};

static inline size_t fuzz_left(const struct fuzz_input *input)
{
	return (size_t)(input->end - input->at);
}

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

/* Returns how many of the bytes were there. */
static inline size_t fuzz_bytes(struct fuzz_input *input, void *out, size_t size)
{
	size_t n = fuzz_left(input) < size ? fuzz_left(input) : size;

	memset(out, 0, size);
	if (n)
		memcpy(out, input->at, n);
	input->at += n;
	return n;
}

/* The input as a string of its own, exactly as long, so that a sanitizer sees who reads on. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	fuzz_check(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
