/* SPDX-License-Identifier: MIT */
/* main() of a fuzz target without libFuzzer: `fuzz_NAME` feeds it its seeds, `fuzz_NAME FILE...`
 * these files, each one a test. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20 };

static int number;

static void feed(const char *path, const char *name)
{
	uint8_t *data = malloc(INPUT_MAX), *exact;
	FILE *file = fopen(path, "rbe");
	size_t size = file ? fread(data, 1, INPUT_MAX, file) : 0;

	number++;
	if (!file) {
		printf("not ok %d - %s\n# %s\n", number, name, strerror(errno));
		free(data);
		return;
	}
	fclose(file);
	exact = malloc(size ? size : 1); /* exactly as long, so that reading on is seen */
	memcpy(exact, data, size);
	free(data);
	printf("# %s: %zu bytes\n", name, size);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	printf("ok %d - %s\n", number, name);
	fflush(stdout);
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* fuzz_NAME has its seeds in tests/fuzz/seeds/NAME. */
static int feed_seeds(const char *program)
{
	const char *slash = strrchr(program, '/'), *name = strstr(slash ? slash : program, "fuzz_");
	const char *top = getenv("top_srcdir");
	struct dirent **entries;
	char folder[1024], path[2048];
	int count;

	snprintf(folder, sizeof(folder), "%s/tests/fuzz/seeds/%s", top ? top : ".",
		 name ? name + 5 : "");
	count = scandir(folder, &entries, is_seed, alphasort);
	if (count <= 0) {
		printf("1..1\nnot ok 1 - seeds\n# none in %s\n", folder);
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		feed(path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	if (argc < 2)
		return feed_seeds(argv[0]);
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++)
		feed(argv[i], argv[i]);
	return 0;
}
