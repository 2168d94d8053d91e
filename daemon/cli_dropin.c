/* SPDX-License-Identifier: MIT */
#include "daemon/cli_dropin.h"

#include "daemon/cli_unit.h"
#include "daemon/enabled.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mark[] = "# closeside 1 ", first[] = "# Written by `closeside enable %s`, and "
						       "removed by `closeside disable %s`.\n";
enum { SUM_LEN = 16 };

void dropin_place(struct dropin *dropin, const char *unit, bool runtime)
{
	snprintf(dropin->folder, sizeof(dropin->folder), "%s/%s.d",
		 runtime ? ENABLED_RUNTIME : ENABLED_FOLDER, unit);
	snprintf(dropin->conf, sizeof(dropin->conf), "%.300s/" ENABLED_FILE ".conf",
		 dropin->folder);
	snprintf(dropin->env, sizeof(dropin->env), "%.300s/" ENABLED_FILE ".env", dropin->folder);
}

/* --- what it says --------------------------------------------------------------------------------
 */

/* FNV-1a: against an editor, not an enemy. */
static uint64_t sum_of(uint64_t sum, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3ULL;
	return sum;
}

static uint64_t sum_of_parts(const char *head, size_t head_len, const char *body)
{
	return sum_of(sum_of(0xcbf29ce484222325ULL, head, head_len), body, strlen(body));
}

static bool seal(const char *unit, const char *body, char out[DROPIN_TEXT_MAX])
{
	char head[2 * UNIT_NAME_MAX + 128];
	int len = snprintf(head, sizeof(head), first, unit, unit);

	return snprintf(out, DROPIN_TEXT_MAX, "%s%s%0*llx\n%s", head, mark, SUM_LEN,
			(unsigned long long)sum_of_parts(head, (size_t)len, body),
			body) < DROPIN_TEXT_MAX;
}

static bool add_variable(const char *name, const char *value, bool in_unit, char *out, size_t size)
{
	char text[9000], quoted[2 * sizeof(text)];
	size_t used = strlen(out);

	if (snprintf(text, sizeof(text), "%s%s%s", in_unit ? name : "", in_unit ? "=" : "",
		     value) >= (int)sizeof(text) ||
	    !(in_unit ? quote_for_unit : quote_for_env_file)(text, quoted, sizeof(quoted)))
		return false;
	return snprintf(out + used, size - used, "%s=%s\n", in_unit ? "Environment" : name,
			quoted) < (int)(size - used);
}

bool dropin_text(const struct dropin *dropin, const struct dropin_words *words,
		 char out[DROPIN_TEXT_MAX])
{
	char body[DROPIN_TEXT_MAX] = "[Service]\n";

	if (!words->by_file &&
	    !add_variable("LD_PRELOAD", words->preload, true, body, sizeof(body)))
		return false;
	if (words->socket &&
	    !add_variable("CLOSESIDE_SOCKET", words->socket, true, body, sizeof(body)))
		return false;
	if (words->by_file) {
		size_t used = strlen(body);

		if (snprintf(body + used, sizeof(body) - used,
			     "# An EnvironmentFile= of the unit sets LD_PRELOAD: this one comes "
			     "after "
			     "it, and has both.\nEnvironmentFile=%s\n",
			     dropin->env) >= (int)(sizeof(body) - used))
			return false;
	}
	return seal(words->unit, body, out);
}

bool dropin_env_text(const struct dropin_words *words, char out[DROPIN_TEXT_MAX])
{
	char body[DROPIN_TEXT_MAX] = "";

	return add_variable("LD_PRELOAD", words->preload, false, body, sizeof(body)) &&
	       seal(words->unit, body, out);
}

enum dropin_state dropin_judge(const char *text)
{
	const char *sum = strstr(text, mark), *body;
	char right[SUM_LEN + 1];

	if (strncmp(text, first, strcspn(first, "%")) != 0)
		return DROPIN_FOREIGN;
	body = sum ? strchr(sum, '\n') : NULL;
	if (!body)
		return DROPIN_EDITED;
	snprintf(right, sizeof(right), "%0*llx", SUM_LEN,
		 (unsigned long long)sum_of_parts(text, (size_t)(sum - text), body + 1));
	sum += sizeof(mark) - 1;
	return (size_t)(body - sum) == SUM_LEN && !memcmp(sum, right, SUM_LEN) ? DROPIN_OURS
									       : DROPIN_EDITED;
}

/* --- files ---------------------------------------------------------------------------------------
 */

enum dropin_state dropin_read(const char *path, char text[DROPIN_TEXT_MAX])
{
	char own[DROPIN_TEXT_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW), error;
	ssize_t len;

	if (!text)
		text = own;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return DROPIN_ABSENT;
	if (fd < 0 && errno == ELOOP)
		return DROPIN_FOREIGN;
	if (fd < 0)
		return DROPIN_UNREADABLE;
	len = read(fd, text, DROPIN_TEXT_MAX - 1);
	error = errno;
	close(fd);
	errno = error;
	if (len < 0)
		return DROPIN_UNREADABLE;
	text[len] = '\0';
	return dropin_judge(text);
}

static bool write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	return write(fd, text, len) == (ssize_t)len && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

static bool fail_with(int error)
{
	errno = error;
	return false;
}

bool dropin_write(const struct dropin *dropin, const char *path, const char *text)
{
	char fresh[DROPIN_PATH_MAX + 8];
	int fd, error;
	bool written;

	if (mkdir(dropin->folder, 0755) < 0 && errno != EEXIST)
		return false;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0) {
		error = errno;
		rmdir(dropin->folder);
		return fail_with(error);
	}
	written = write_all(fd, text);
	error = errno;
	if (close(fd) < 0 && written) {
		written = false;
		error = errno;
	}
	if (written && rename(fresh, path) == 0)
		return true;
	error = written ? errno : error;
	unlink(fresh);
	rmdir(dropin->folder);
	return fail_with(error);
}

bool dropin_remove(const struct dropin *dropin, const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return false;
	rmdir(dropin->folder); /* fails while anything is in it */
	return true;
}
