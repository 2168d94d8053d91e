/* SPDX-License-Identifier: MIT */
/* What a sysctl was before we wrote it, on the disk before it is written: a SIGKILL at any moment
 * leaves a file from which the next guardian can tell what is ours, and what it was.
 *
 * A line says of a sysctl in a network namespace: the original, what it is (as far as we have read
 * it back), and what we are about to write. Found after a SIGKILL it is one of the last two: ours.
 * Or it is the original again: there is nothing to put back. Or it is neither, and then somebody
 * else's. So one line is enough at every step, also where a second value follows upon a first.
 *
 * The file is written as a whole, to another name, synced, renamed, and the folder synced. It is a
 * few lines for each namespace, so appending would save nothing; and it would need compaction, and
 * a rule for which of two lines counts. A file system that is full fails the new file and leaves
 * the old one as it was. A last line without its end, which a rename does not leave, is an intent
 * whose write has never happened.
 *
 * Each line has a checksum, over the id of the boot as well: so that what is intact can be told,
 * and is of this boot, also where the header is damaged. The number of a namespace is used again,
 * hence its cookie (SO_NETNS_COOKIE). */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include "daemon/sysctl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JOURNAL_MAX = 512,	    /* entries */
	JOURNAL_LINE = 512,	    /* with its end and a NUL */
	JOURNAL_BOOT = 40,	    /* with its NUL */
	JOURNAL_FILE_MAX = 1 << 18, /* bytes */
};

struct journal_entry {
	uint64_t netns, cookie; /* inode; 0: the kernel says no cookie */
	enum sysctl key;
	uint32_t mark; /* the setter's, not the file's: which of its walks has been here */
	struct sysctl_value original, written, intended;
};

struct journal {
	size_t count;
	struct journal_entry entry[JOURNAL_MAX];
};

enum journal_state {
	JOURNAL_NONE,	    /* no file, or an empty one */
	JOURNAL_INTACT,	    /* but for a torn last line */
	JOURNAL_DAMAGED,    /* what is intact is there */
	JOURNAL_OTHER_BOOT, /* nothing of it holds any more */
	JOURNAL_FOREIGN,    /* it is none of ours, or of another version */
	JOURNAL_UNUSABLE,   /* a link, another's, unreadable, or it cannot be put aside */
};

/* --- the text, pure ---------------------------------------------------------------------------
 */

/* A line with its end. Returns its length. */
size_t journal_format_entry(const char *boot, const struct journal_entry *entry,
			    char line[JOURNAL_LINE]);
/* text: a line without its end. Nothing is modified on failure. */
bool journal_parse_entry(const char *boot, const char *text, struct journal_entry *entry);
size_t journal_format_header(const char *boot, char line[JOURNAL_LINE]);
/* text need not end with NUL. A key that is twice there is damage. */
enum journal_state journal_parse(const char *boot, const char *text, size_t size,
				 struct journal *journal);
struct journal_entry *journal_find(struct journal *journal, uint64_t netns, uint64_t cookie,
				   enum sysctl key);
/* NULL: there is no room. */
struct journal_entry *journal_add(struct journal *journal, const struct journal_entry *entry);
void journal_remove(struct journal *journal, struct journal_entry *entry);

/* --- the file ---------------------------------------------------------------------------------
 */

/* Of this boot; false: not known. */
bool journal_boot(char boot[JOURNAL_BOOT]);
/* What is damaged or foreign is put aside as PATH.damaged, and what is of another boot is dropped;
 * both are logged. After JOURNAL_UNUSABLE nothing may be written. */
enum journal_state journal_load(const char *path, const char *boot, struct journal *journal);
/* On the disk when it returns; without entries there is no file then. false with errno: what was
 * there is there still. */
bool journal_save(const char *path, const char *boot, const struct journal *journal);

#endif
