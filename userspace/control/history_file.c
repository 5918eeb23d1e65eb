/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of generations: see history_file.h. */
#include "control/history_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/message.h"

#define FILE_MODE 0640
#define DIR_MODE  0750
#define SUFFIX	  ".yaml"

int history_head_finish(struct history_head *head, const char *text)
{
	return digest_text(text, strlen(text), head->hash);
}

static void path_of(char *path, size_t len, const char *dir, uint64_t generation)
{
	(void)snprintf(path, len, "%s/%010" PRIu64 SUFFIX, dir, generation); /* cut: not there */
}

static void write_head(FILE *out, const struct history_head *h)
{
	fprintf(out, "# generation: %" PRIu64 "\n", h->generation);
	fprintf(out, "# time_ms: %" PRIu64 "\n", h->time_ms);
	fprintf(out, "# origin: %s\n", h->origin);
	fprintf(out, "# uid: %ld\n", h->uid);
	fprintf(out, "# hash: %s\n", h->hash);
	fprintf(out, "# changes: %" PRIu64 "\n", h->changes);
	fprintf(out, "# edits: %" PRIu64 "\n", h->edits);
	fprintf(out, "# duration_us: %" PRIu64 "\n", h->duration_us);
	fprintf(out, "# summary: %s\n\n", h->summary);
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

int history_file_write(const char *dir, const struct history_head *head, const char *text)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	FILE *out;
	int fd, err = 0;

	path_of(path, sizeof(path), dir, head->generation);
	(void)snprintf(temporary, sizeof(temporary), "%s/.new", dir); /* cut: not there */
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		close(fd);
		return -ENOMEM;
	}
	write_head(out, head);
	if (fputs(text, out) < 0 || fflush(out) || fsync(fd))
		err = -errno;
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(temporary, path))
		err = -errno;
	return err ? err : sync_dir(dir);
}

void history_file_remove(const char *dir, uint64_t generation)
{
	char path[PATH_MAX];

	path_of(path, sizeof(path), dir, generation);
	(void)unlink(path); /* not there, or it goes another time */
}

/* One line of the head. False: the head has ended. */
static bool take_line(const char *line, struct history_head *h)
{
	char *end;

	if (strncmp(line, "# ", 2) != 0)
		return false;
	line += 2;
	if (sscanf(line, "origin: %23[^\n]", h->origin) == 1 ||
	    sscanf(line, "hash: %64[0-9a-f]", h->hash) == 1 ||
	    sscanf(line, "summary: %255[^\n]", h->summary) == 1)
		return true;
	end = strchr(line, ':');
	if (!end)
		return true;
	if (!strncmp(line, "generation", 10))
		h->generation = strtoull(end + 1, NULL, 10);
	else if (!strncmp(line, "time_ms", 7))
		h->time_ms = strtoull(end + 1, NULL, 10);
	else if (!strncmp(line, "uid", 3))
		h->uid = strtol(end + 1, NULL, 10);
	else if (!strncmp(line, "changes", 7))
		h->changes = strtoull(end + 1, NULL, 10);
	else if (!strncmp(line, "edits", 5))
		h->edits = strtoull(end + 1, NULL, 10);
	else if (!strncmp(line, "duration_us", 11))
		h->duration_us = strtoull(end + 1, NULL, 10);
	return true;
}

/* False: it is not one of ours. */
static bool read_head(const char *dir, const char *name, struct history_head *ret_head)
{
	struct history_head h = {.uid = -1};
	char path[PATH_MAX], line[512];
	FILE *in;
	char *end;
	uint64_t generation = strtoull(name, &end, 10);

	if (end == name || strcmp(end, SUFFIX) != 0)
		return false;
	path_of(path, sizeof(path), dir, generation);
	in = fopen(path, "re");
	if (!in)
		return false;
	while (fgets(line, sizeof(line), in) && take_line(line, &h))
		;
	fclose(in);
	*ret_head = h;
	return generation && h.generation == generation && h.hash[0];
}

static int compare_heads(const void *a, const void *b)
{
	const struct history_head *x = a, *y = b;

	return x->generation < y->generation ? -1 : x->generation > y->generation;
}

int history_file_list(const char *dir, struct history_head **ret_heads, size_t *ret_count)
{
	struct history_head *heads = NULL, *more, head;
	struct dirent *entry;
	size_t count = 0;
	DIR *d;

	if (mkdir(dir, DIR_MODE) && errno != EEXIST)
		return -errno;
	d = opendir(dir);
	if (!d)
		return -errno;
	while ((entry = readdir(d))) {
		if (!read_head(dir, entry->d_name, &head))
			continue;
		more = realloc(heads, (count + 1) * sizeof(*heads));
		if (!more) {
			free(heads);
			closedir(d);
			return -ENOMEM;
		}
		heads = more;
		heads[count++] = head;
	}
	closedir(d);
	if (count)
		qsort(heads, count, sizeof(*heads), compare_heads);
	*ret_heads = heads;
	*ret_count = count;
	return 0;
}

struct tree *history_file_read(const char *dir, const struct history_head *head, struct diag *d)
{
	struct pos where = {.file = API_HISTORY_NAME};
	char path[PATH_MAX], hash[DIGEST_TEXT_SIZE] = "";
	struct tree *t;
	struct diag read;
	char *text;

	path_of(path, sizeof(path), dir, head->generation);
	diag_init(&read); /* it borrows path */
	t = tree_load(path, &read);
	for (size_t i = 0; i < read.count; i++)
		diag_error(d, NULL, "%s: %s", path, read.items[i].text);
	diag_deinit(&read);
	if (!t)
		return NULL;
	text = tree_emit(t);
	tree_free(t);
	if (text && !digest_text(text, strlen(text), hash) && strcmp(hash, head->hash) != 0) {
		diag_error(d, &where, "%s was changed since it was written", path);
		t = NULL;
	} else {
		t = text ? tree_parse(API_HISTORY_NAME, text, strlen(text), d) : NULL;
	}
	free(text);
	return t;
}
