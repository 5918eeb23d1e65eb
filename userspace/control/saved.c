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
#include <unistd.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

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
	struct stat st;

	if (!strcmp(env->config_path, "-"))
		return false;
	if (stat(env->config_path, &st))
		return true;
	if (env->saved.generation != generation || !same_file(&env->saved.file, &st)) {
		env->saved.differs = file_differs(env);
		env->saved.generation = generation;
		env->saved.file = st;
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

/* The new file beside the old one, on disk before it takes its name. */
static int write_temporary(const char *temporary, const char *text, const struct stat *former)
{
	int fd, err;

	(void)unlink(temporary); /* what an interrupted save of this process id left */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, strlen(text));
	if (!err && (fchown(fd, former->st_uid, former->st_gid) ||
		     fchmod(fd, former->st_mode & 07777) || fsync(fd)))
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

int saved_write(struct commands_env *env, struct diag *d)
{
	char path[PATH_MAX];
	char *text;
	int err;

	if (!strcmp(env->config_path, "-")) {
		diag_error(d, NULL,
			   "the configuration came from standard input: there is no file "
			   "to save it to");
		return -ENOTSUP;
	}
	text = tree_emit(reload_current(env->reload)->document);
	if (!text)
		return -ENOMEM;
	/* A symbolic link stays one: the file behind it is replaced. */
	err = realpath(env->config_path, path) ? replace_file(path, text) : -errno;
	free(text);
	if (err)
		diag_error(d, NULL, "cannot save %s: %s", env->config_path, strerror(-err));
	env->saved.generation = 0;
	return err;
}
