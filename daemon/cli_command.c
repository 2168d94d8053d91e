/* SPDX-License-Identifier: MIT */
/* What a command is, as far as it matters to a preloaded library: found as execvp() finds it, then
 * through its #! lines to a program, and there the ELF headers and what the kernel would run it as.
 * A command that the shim cannot enter runs all the same; it is only said. */
#include "daemon/cli_run.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	SCRIPTS_MAX = 5,  /* the kernel's own limit of #! in #! is 4 */
	HEAD_MAX = 4096,  /* of a file: ELF header, program headers, or the #! line */
	HEADERS_MAX = 64, /* program headers looked at */
};

static void judge(struct command_verdict *verdict, enum command_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void judge(struct command_verdict *verdict, enum command_kind kind, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verdict->kind = kind;
	vsnprintf(verdict->why, sizeof(verdict->why), format, ap);
	va_end(ap);
}

/* --- finding it ------------------------------------------------------------------------------- */

static bool is_runnable(const char *path, int *error)
{
	struct stat st;

	if (stat(path, &st) < 0)
		*error = errno;
	else if (S_ISDIR(st.st_mode))
		*error = EISDIR;
	else if (access(path, X_OK) < 0)
		*error = EACCES;
	else
		return true;
	return false;
}

static bool look_in_path(const char *name, const char *path, char *out, size_t size, int *error)
{
	int seen = ENOENT, error_here;

	for (const char *p = path; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL) {
		int len = (int)strcspn(p, ":");

		if (snprintf(out, size, "%.*s%s%s", len, p, len ? "/" : "", name) >= (int)size)
			continue;
		if (is_runnable(out, &error_here))
			return true;
		if (error_here != ENOENT && error_here != ENOTDIR)
			seen = error_here; /* a later one may still be right */
	}
	*error = seen;
	return false;
}

/* Fills out with what execvp() would run. */
static bool find_command(const char *name, const char *path, char *out, size_t size, int *error)
{
	if (!*name) {
		*error = ENOENT;
		return false;
	}
	if (!strchr(name, '/'))
		return look_in_path(name, path ? path : "/bin:/usr/bin", out, size, error);
	snprintf(out, size, "%s", name);
	return is_runnable(name, error);
}

/* --- what runs with more rights than ours ignores LD_PRELOAD ------------------------------------
 */

static bool gains_rights(const char *path, const struct command_user *user,
			 struct command_verdict *verdict)
{
	struct stat st;
	const char *what = NULL;

	if (user->no_new_privileges || stat(path, &st) < 0)
		return false;
	if ((st.st_mode & S_ISUID) && st.st_uid != user->uid)
		what = "setuid";
	else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 st.st_gid != user->gid)
		what = "setgid";
	else if (user->euid != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		what = "given capabilities by its file";
	if (what)
		judge(verdict, COMMAND_UNREACHABLE, "%s is %s: the system lets no library into it",
		      path, what);
	if (what)
		verdict->remedy = "take the right from the file (chmod u-s,g-s or setcap -r), and "
				  "give it by the unit: User=, Group=, AmbientCapabilities=";
	return what;
}

/* --- ELF -------------------------------------------------------------------------------------- */

/* Is there a note of Go's linker in this segment? Such a program makes its system calls itself. */
static bool has_go_note(const char *notes, size_t len)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t size;

		memcpy(&note, notes, sizeof(note));
		size = sizeof(note) + (((size_t)note.n_namesz + 3) & ~(size_t)3) +
		       (((size_t)note.n_descsz + 3) & ~(size_t)3);
		if (size > len)
			return false;
		if (note.n_namesz == 4 && !memcmp(notes + sizeof(note), "Go\0", 4))
			return true;
		notes += size;
		len -= size;
	}
	return false;
}

static void judge_segments(int fd, const char *path, const Elf64_Ehdr *elf,
			   struct command_verdict *verdict)
{
	bool dynamic = false, go = false;
	char text[HEAD_MAX];

	for (unsigned int i = 0; i < elf->e_phnum && i < HEADERS_MAX; i++) {
		Elf64_Phdr segment;
		ssize_t n;

		if (pread(fd, &segment, sizeof(segment),
			  (off_t)(elf->e_phoff + (Elf64_Off)i * elf->e_phentsize)) !=
		    (ssize_t)sizeof(segment))
			break;
		if (segment.p_type != PT_INTERP && segment.p_type != PT_NOTE)
			continue;
		n = pread(fd, text,
			  segment.p_filesz < sizeof(text) ? segment.p_filesz : sizeof(text) - 1,
			  (off_t)segment.p_offset);
		if (n < 0)
			continue;
		text[n < (ssize_t)sizeof(text) ? n : (ssize_t)sizeof(text) - 1] = '\0';
		if (segment.p_type == PT_NOTE)
			go |= has_go_note(text, (size_t)n);
		else
			dynamic = true;
		if (segment.p_type == PT_INTERP && strstr(text, "ld-musl"))
			judge(verdict, COMMAND_UNREACHABLE,
			      "%s is a program of another libc (%s): the shim is glibc's", path,
			      text);
	}
	if (!dynamic)
		judge(verdict, COMMAND_UNREACHABLE,
		      "%s is statically linked: the shim cannot enter it", path);
	else if (go)
		judge(verdict, COMMAND_UNREACHABLE,
		      "%s is a Go program: it makes its system calls itself, past the shim", path);
	if (verdict->kind == COMMAND_UNREACHABLE)
		verdict->remedy = "a build of it that is linked dynamically with glibc; or steer "
				  "the other end, or a proxy before it";
}

/* The names of needed libraries are near the beginning of a program as linkers write it. */
static bool names_asan(int fd)
{
	static char text[1 << 18];
	ssize_t len = pread(fd, text, sizeof(text), 0);

	return len > 0 && memmem(text, (size_t)len, "libasan.so.", 11);
}

static Elf64_Half own_machine(void)
{
#if defined(__x86_64__)
	return EM_X86_64;
#else
	return EM_AARCH64;
#endif
}

static void judge_elf(int fd, const char *path, const char *head, size_t len,
		      struct command_verdict *verdict)
{
	Elf64_Ehdr elf;

	if (len < sizeof(elf))
		return;
	memcpy(&elf, head, sizeof(elf));
	verdict->foreign = elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != own_machine();
	if (verdict->foreign) {
		judge(verdict, COMMAND_UNREACHABLE,
		      "%s is a program for another processor or word size than the shim", path);
		verdict->remedy = "a build of it for this system's own processor and word size, or "
				  "a libcloseside for its own";
		return;
	}
	judge_segments(fd, path, &elf, verdict);
	verdict->asan = names_asan(fd);
}

/* --- scripts ---------------------------------------------------------------------------------- */

/* The interpreter in a "#!" line, or behind "#!/usr/bin/env". False: no such line. */
static bool script_interpreter(char *head, const char *path_variable, char *out, size_t size)
{
	char *save, *word, *argument;
	int error;

	head[strcspn(head, "\n")] = '\0';
	word = strtok_r(head + 2, " \t\r", &save);
	if (!word)
		return false;
	argument = strtok_r(NULL, " \t\r", &save);
	if (argument && !strcmp(argument, "-S"))
		argument = strtok_r(NULL, " \t\r", &save);
	if (argument && strlen(word) >= 4 && !strcmp(word + strlen(word) - 4, "/env") &&
	    find_command(argument, path_variable, out, size, &error))
		return true;
	snprintf(out, size, "%s", word);
	return true;
}

/* Judges one file. Returns true if it is a script, with its interpreter in next. */
static bool judge_file(const char *path, const char *path_variable, char *next, size_t size,
		       const struct command_user *user, struct command_verdict *verdict)
{
	char head[HEAD_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t len = fd < 0 ? -1 : read(fd, head, HEAD_MAX);
	bool script = false;

	if (len > 0)
		head[len] = '\0';
	if (len > 2 && !memcmp(head, "#!", 2))
		script = script_interpreter(head, path_variable, next, size);
	else if (len > SELFMAG && !memcmp(head, ELFMAG, SELFMAG) &&
		 !gains_rights(path, user, verdict))
		judge_elf(fd, path, head, (size_t)len, verdict);
	else if (len < 0)
		gains_rights(path, user,
			     verdict); /* executable, not readable, as sudo is on some systems */
	if (fd >= 0)
		close(fd);
	return script;
}

void command_inspect(const char *name, const char *path, struct command_verdict *verdict)
{
	struct command_user self = {getuid(), geteuid(), getgid(), false};

	command_inspect_for(name, path, &self, verdict);
}

void command_inspect_for(const char *name, const char *path, const struct command_user *user,
			 struct command_verdict *verdict)
{
	char file[PATH_MAX], next[PATH_MAX];
	int error;

	memset(verdict, 0, sizeof(*verdict));
	if (!find_command(name, path, verdict->path, sizeof(verdict->path), &error)) {
		judge(verdict,
		      error == ENOENT || error == ENOTDIR ? COMMAND_NOT_FOUND
							  : COMMAND_NOT_EXECUTABLE,
		      "%s: %s", name, error == EACCES ? "not executable" : strerror(error));
		return;
	}
	snprintf(file, sizeof(file), "%s", verdict->path);
	for (int i = 0;
	     i < SCRIPTS_MAX && judge_file(file, path, next, sizeof(next), user, verdict); i++) {
		if (!is_runnable(next, &error)) {
			judge(verdict, error == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE,
			      "%s: its interpreter %s: %s", file, next, strerror(error));
			return;
		}
		snprintf(file, sizeof(file), "%s", next);
	}
}
