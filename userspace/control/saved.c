/* SPDX-License-Identifier: BSD-2-Clause */
/* Comparing with the configuration file and writing it: see saved.h. */
#include "control/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/tree_dir.h"
#include "control/config_file.h"
#include "control/config_stamp.h"
#include "core/text.h"

static bool file_differs(struct commands_env *env)
{
	struct change_list changes = {0};
	struct diag d;
	struct tree *t;
	bool differs = true;

	diag_init(&d);
	t = tree_load(env->config_path, &d);
	if (t && !reload_check(env->reload, t, &d, &changes))
		differs = changes.count > 0;
	tree_free(t);
	change_list_deinit(&changes);
	diag_deinit(&d);
	return differs;
}

bool saved_differs(struct commands_env *env)
{
	uint64_t generation = reload_current(env->reload)->generation;
	uint64_t stamp;

	if (!strcmp(env->config_path, "-"))
		return false;
	if (config_stamp(env->config_path, &stamp))
		return true;
	if (env->saved.generation != generation || env->saved.stamp != stamp) {
		env->saved.differs = file_differs(env);
		env->saved.generation = generation;
		env->saved.stamp = stamp;
	}
	return env->saved.differs;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, err;

	(void)snprintf(copy, sizeof(copy), "%s", path); /* realpath() made it: it fits */
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

/* The owner that the file had or, where only root could give it away, the group alone. */
static int keep_owner(int fd, const struct stat *former)
{
	if (fchown(fd, former->st_uid, former->st_gid) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return fchown(fd, (uid_t)-1, former->st_gid) ? -errno : 0;
}

/* The new file beside the old one, on disk before it takes its name. */
static int write_temporary(const char *temporary, const char *text, const struct stat *former)
{
	int fd, err;

	(void)unlink(temporary); /* what an interrupted save of this process id left */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, strlen(text));
	if (!err)
		err = keep_owner(fd, former);
	if (!err && (fchmod(fd, former->st_mode & 07777) || fsync(fd)))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

static int replace_file(const char *path, const char *text)
{
	char temporary[PATH_MAX + 32], backup[PATH_MAX + 32];
	struct stat former;
	int err;

	(void)snprintf(temporary, sizeof(temporary), "%s.new.%d", path, (int)getpid());
	(void)snprintf(backup, sizeof(backup), "%s.bak", path);
	if (stat(path, &former))
		return -errno;
	err = write_temporary(temporary, text, &former);
	if (err)
		goto out;
	if ((unlink(backup) && errno != ENOENT) || link(path, backup) || rename(temporary, path))
		err = -errno;
	else
		err = sync_directory(path);
out:
	if (err)
		(void)unlink(temporary); /* gone already where the rename was done */
	return err;
}

/* The file behind a symbolic link, which stays one. */
static int write_document(const char *file, const struct tree *document)
{
	char path[PATH_MAX];
	char *text = tree_emit(document);
	int err;

	if (!text)
		return -ENOMEM;
	err = realpath(file, path) ? replace_file(path, text) : -errno;
	free(text);
	return err;
}

static bool is_listed(const struct file_list *files, const char *file)
{
	for (size_t i = 0; i < files->count; i++)
		if (!strcmp(files->paths[i], file))
			return true;
	return false;
}

/* What no file of the directory said, and no command changed; NULL: there is none. */
static const struct tree *find_stranger(const struct file_list *files, const struct tree *t,
					unsigned depth)
{
	const struct tree *found = NULL;

	if (depth == 0 || (t->kind != TREE_MAPPING && t->key))
		return t->key_pos.file && !is_listed(files, t->key_pos.file) ? t : NULL;
	for (size_t i = 0; i < t->count && !found; i++)
		found = find_stranger(files, t->children[i], depth - 1);
	return found;
}

static bool says_the_same(const char *file, const struct tree *part)
{
	char *want = tree_emit(part), *have = NULL;
	struct tree *t;
	struct diag d;
	bool same;

	diag_init(&d);
	t = tree_load_file(file, &d);
	if (t)
		have = tree_emit(t);
	same = want && have && !strcmp(want, have);
	tree_free(t);
	diag_deinit(&d);
	free(want);
	free(have);
	return same;
}

/* Each file gets what came from it; those that say it already stay untouched. */
static int write_directory(const char *path, const struct tree *document, struct diag *d)
{
	const struct tree *stranger;
	struct file_list files;
	int err = tree_dir_list(path, &files);

	if (err)
		return err;
	stranger = find_stranger(&files, document, 2);
	if (stranger || !files.count) {
		diag_error(d, NULL,
			   "%s is a directory, and %s%s of what is in force came from none of its "
			   "files: write it to one, and have that read again",
			   path, stranger ? "key " : "all",
			   stranger ? text_quote(stranger->key).s : "");
		err = -ENOTSUP;
	}
	for (size_t i = 0; i < files.count && !err; i++) {
		struct tree *part = tree_dir_part(document, files.paths[i], i == files.count - 1);

		err = part ? 0 : -ENOMEM;
		if (part && !says_the_same(files.paths[i], part))
			err = write_document(files.paths[i], part);
		tree_free(part);
	}
	file_list_deinit(&files);
	return err;
}

int saved_write(struct commands_env *env, struct diag *d)
{
	const struct tree *document = reload_current(env->reload)->document;
	int err;

	if (!strcmp(env->config_path, "-")) {
		diag_error(d, NULL,
			   "the configuration came from standard input: there is no file "
			   "to save it to");
		return -ENOTSUP;
	}
	if (tree_dir_is_one(env->config_path))
		err = write_directory(env->config_path, document, d);
	else
		err = write_document(env->config_path, document);
	if (err && !d->errors)
		diag_error(d, NULL, "cannot save %s: %s", env->config_path, strerror(-err));
	if (err || config_stamp(env->config_path, &env->file->saved))
		env->file->saved = 0;
	env->saved.generation = 0;
	return err;
}
