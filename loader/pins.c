/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpf/abi.h"

#define BPFFS "/sys/fs/bpf"

int pins_dir(const char *pin_path, char *buf, size_t len, struct diag *d)
{
	int n = snprintf(buf, len, "%s/v%d", pin_path, SHUNT_ABI_VERSION);

	/* Names of pins are added to it. */
	if (n < 0 || (size_t)n + NAME_MAX >= len) {
		diag_error(d, NULL, "the pin path is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (uint32_t)fs.f_type == BPF_FS_MAGIC;
}

/* Mounts made in a namespace of their own (ip netns exec makes one) go away with its last process,
 * and all that is pinned in them. */
static bool mounts_are_private(void)
{
	struct stat own, init;

	return stat("/proc/self/ns/mnt", &own) == 0 && stat("/proc/1/ns/mnt", &init) == 0 &&
	       own.st_ino != init.st_ino;
}

static int mount_bpffs(struct diag *d)
{
	if (is_bpffs(BPFFS))
		return 0;
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700") < 0) {
		int err = -errno;

		if (err == -EPERM)
			diag_error(
				d, NULL,
				"%s is not mounted, and mounting it takes CAP_SYS_ADMIN: mount it "
				"with `mount -t bpf bpf %s`",
				BPFFS, BPFFS);
		else
			diag_error(d, NULL, "cannot mount a bpf file system at %s: %s", BPFFS,
				   strerror(-err));
		return err;
	}
	if (mounts_are_private())
		diag_warning(
			d, NULL,
			"mounted a bpf file system at %s of this mount namespace only: what is "
			"pinned there goes when its last process ends (enter network namespaces "
			"with `nsenter --net=FILE` instead of `ip netns exec`)",
			BPFFS);
	return 0;
}

static int match_any(void *ctx, const char *dir, const char *name)
{
	(void)ctx;
	(void)dir;
	(void)name;
	return 1;
}

static int match_other_version(void *ctx, const char *dir, const char *name)
{
	char path[PATH_MAX], *end;
	unsigned *ret_version = ctx;
	unsigned long version;
	int n;

	if (name[0] != 'v' || name[1] < '0' || name[1] > '9')
		return 0;
	version = strtoul(name + 1, &end, 10);
	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (*end != '\0' || version == SHUNT_ABI_VERSION || n < 0 || (size_t)n >= sizeof(path) ||
	    pins_each(path, match_any, NULL) != 1)
		return 0;
	*ret_version = (unsigned)version;
	return 1;
}

int pins_check_versions(const char *pin_path, struct diag *d)
{
	unsigned version;

	if (pins_each(pin_path, match_other_version, &version) != 1)
		return 0;
	diag_error(
		d, NULL,
		"%s/v%u holds the tables of another version of Shunt, whose program may still be "
		"attached and would serve packets by them: run that version's `shunt-load detach "
		"--all --purge` first",
		pin_path, version);
	return -EEXIST;
}

/* The deepest part of path that is there already. */
static void existing_part(const char *path, char *buf, size_t len)
{
	snprintf(buf, len, "%s", path);
	while (access(buf, F_OK) < 0) {
		char *slash = strrchr(buf, '/');

		if (slash == NULL || slash == buf) {
			snprintf(buf, len, slash == NULL ? "." : "/");
			return;
		}
		*slash = '\0';
	}
}

static int make_dirs(const char *dir, struct diag *d)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", dir);
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			int err = -errno;

			diag_error(d, NULL, "cannot make the directory %s: %s", path,
				   strerror(-err));
			return err;
		}
		*p = c;
		if (c == '\0')
			return 0;
	}
}

int pins_make(const char *dir, struct diag *d)
{
	char top[PATH_MAX];
	int err;

	/* A service manager may show no more of it than the directory itself. */
	existing_part(dir, top, sizeof(top));
	if (is_bpffs(top))
		return make_dirs(dir, d);
	if (strncmp(dir, BPFFS "/", strlen(BPFFS "/")) == 0) {
		err = mount_bpffs(d);
		if (err < 0)
			return err;
	}
	existing_part(dir, top, sizeof(top));
	if (!is_bpffs(top)) {
		diag_error(
			d, NULL,
			"%s is not on a bpf file system: mount one there (`mount -t bpf bpf DIR`), "
			"or choose a pin path below %s",
			dir, BPFFS);
		return -EINVAL;
	}
	return make_dirs(dir, d);
}

/* The kernel keeps no owner for a lock of an open file, but lists who took it. */
static pid_t find_lock_owner(const struct stat *st)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	pid_t owner = 0;

	if (f == NULL)
		return 0;
	while (owner == 0 && fgets(line, sizeof(line), f) != NULL) {
		unsigned major_number, minor_number;
		unsigned long inode;
		int pid;

		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major_number,
			   &minor_number, &inode) == 4 &&
		    inode == st->st_ino && major_number == major(st->st_dev) &&
		    minor_number == minor(st->st_dev))
			owner = pid;
	}
	fclose(f);
	return owner;
}

pid_t pins_lock_owner(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 ? find_lock_owner(&st) : 0;
}

int pins_lock(const char *dir, int *ret_fd, struct diag *d)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_fd = fd;
		return 0;
	}
	err = -errno;
	if (fd >= 0)
		close(fd);
	if (err == -EWOULDBLOCK) {
		diag_error(d, NULL, "%s is already in use by the process with the pid %d", dir,
			   (int)pins_lock_owner(dir));
		return -EBUSY;
	}
	diag_error(d, NULL, "cannot open %s: %s", dir, strerror(-err));
	return err;
}

int pins_each(const char *dir, pins_each_fn fn, void *ctx)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	int err = 0;

	if (stream == NULL)
		return -errno;
	while (err == 0 && (entry = readdir(stream)) != NULL) {
		if (entry->d_name[0] != '.')
			err = fn(ctx, dir, entry->d_name);
	}
	closedir(stream);
	return err;
}

static int remove_pin(void *ctx, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	(void)ctx;
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int pins_purge(const char *pin_path, const char *dir, struct diag *d)
{
	int fd, err = pins_lock(dir, &fd, d);

	if (err < 0)
		return err;
	err = pins_each(dir, remove_pin, NULL);
	if (err == 0 && rmdir(dir) < 0)
		err = -errno;
	close(fd);
	if (err < 0)
		diag_error(d, NULL, "cannot remove %s: %s", dir, strerror(-err));
	else
		(void)rmdir(pin_path); /* if it was ours alone */
	return err;
}
