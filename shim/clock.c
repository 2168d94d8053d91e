/* SPDX-License-Identifier: MIT */
#include "shim/clock.h"

#include "shim/raw.h"

#include <elf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#if defined(__x86_64__)
#define NAME "__vdso_clock_gettime"
#else
#define NAME "__kernel_clock_gettime"
#endif

typedef int gettime(clockid_t id, struct timespec *out);
static gettime *_Atomic from_vdso;

static const Elf64_Shdr *section_of(const char *image, Elf64_Word type)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(image + elf->e_shoff);

	for (unsigned int i = 0; i < elf->e_shnum; i++)
		if (sections[i].sh_type == type)
			return &sections[i];
	return NULL;
}

/* The address that the image was linked for: 0, but another in User-Mode Linux, and before 3.16. */
static uint64_t linked_at(const char *image)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image;
	const Elf64_Phdr *parts = (const Elf64_Phdr *)(image + elf->e_phoff);

	for (unsigned int i = 0; i < elf->e_phnum; i++)
		if (parts[i].p_type == PT_LOAD)
			return parts[i].p_vaddr - parts[i].p_offset;
	return 0;
}

/* vdso(7): an ELF image in our memory, whole, so that file offsets lead to its parts. */
static const void *find_symbol(const char *image, const char *name)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *table = section_of(image, SHT_DYNSYM), *strings;
	const Elf64_Sym *symbols;

	if (!table)
		return NULL;
	strings = (const Elf64_Shdr *)(image + elf->e_shoff) + table->sh_link;
	symbols = (const Elf64_Sym *)(image + table->sh_offset);
	for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++)
		if (!strcmp(image + strings->sh_offset + symbols[i].st_name, name))
			return image + (symbols[i].st_value - linked_at(image));
	return NULL;
}

void clock_init(void)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	const void *found =
		image && !memcmp(image, ELFMAG, SELFMAG) ? find_symbol(image, NAME) : NULL;
	gettime *function;

	memcpy(&function, &found, sizeof(function)); /* ISO C has no such conversion */
	atomic_store(&from_vdso, function);
}

uint64_t clock_now_ms(void)
{
	gettime *function = atomic_load_explicit(&from_vdso, memory_order_relaxed);
	struct timespec now;

	if (!function || function(CLOCK_MONOTONIC_COARSE, &now) != 0)
		raw(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
