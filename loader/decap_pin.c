/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define BPFFS "/sys/fs/bpf"

/* A pin that is about to take the place of another. */
#define PIN_NEXT "next"

/* The number of a namespace of a process; 0: cannot be told. */
static uint64_t namespace_number(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

/* 0 in the first network namespace, that of process 1. */
static uint64_t network_number(void)
{
	uint64_t own = namespace_number("/proc/self/ns/net");

	return own == namespace_number("/proc/1/ns/net") ? 0 : own;
}

static int join_path(char *buf, size_t len, const char *dir, const char *name)
{
	int n = snprintf(buf, len, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

static void folder_name(const char *ifname, char *buf, size_t len)
{
	uint64_t net = network_number();

	if (net)
		snprintf(buf, len, "%s@%" PRIu64, ifname, net);
	else
		snprintf(buf, len, "%s", ifname);
	for (char *c = buf; *c; c++)
		if (*c == '.')
			*c = ':';
}

/* The reverse. False: of another network namespace, or not made by us. */
static bool folder_ifname(const char *folder, char ret_ifname[IF_NAMESIZE])
{
	const char *at = strchr(folder, '@');
	size_t len = at ? (size_t)(at - folder) : strlen(folder);
	uint64_t net = at ? strtoull(at + 1, NULL, 10) : 0;

	if (net != network_number() || len == 0 || len >= IF_NAMESIZE)
		return false;
	for (size_t i = 0; i < len; i++)
		ret_ifname[i] = folder[i] == ':' ? '.' : folder[i];
	ret_ifname[len] = 0;
	return true;
}

int decap_pins_init(struct decap_pins *pins, const char *pin_path, const char *ifname,
		    struct diag *d)
{
	char folder[IF_NAMESIZE + 32];
	int n, err;

	if (!*ifname || strlen(ifname) >= IF_NAMESIZE || strpbrk(ifname, "/@:")) {
		diag_error(d, NULL, "\"%s\" cannot be the name of an interface", ifname);
		return -EINVAL;
	}
	folder_name(ifname, folder, sizeof(folder));
	n = snprintf(pins->root, sizeof(pins->root), "%s", pin_path);
	err = n < 0 || (size_t)n >= sizeof(pins->root) ? -ENAMETOOLONG : 0;
	if (!err)
		err = join_path(pins->dir, sizeof(pins->dir) - 32, pins->root, folder);
	if (err)
		diag_error(d, NULL, "the pin path is too long");
	return err;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/*
 * Only where all processes see it: `ip netns exec` gives its command mounts of its own, and what is
 * pinned there is gone, and taken off the interface, as soon as the command ends.
 */
static int mount_bpffs(struct diag *d)
{
	if (namespace_number("/proc/self/ns/mnt") != namespace_number("/proc/1/ns/mnt")) {
		diag_error(d, NULL,
			   "no BPF file system at %s here, and in mounts of one's own it would not "
			   "last: use `nsenter --net=/run/netns/NAME` instead of `ip netns exec`",
			   BPFFS);
		return -ENOENT;
	}
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700")) {
		int err = -errno;

		diag_error(d, NULL, "cannot mount the BPF file system at %s: %s", BPFFS,
			   strerror(-err));
		return err;
	}
	return 0;
}

static int make_folder(const char *path, struct diag *d)
{
	int err;

	if (!mkdir(path, 0700) || errno == EEXIST)
		return 0;
	err = -errno;
	if (err == -EPERM || err == -EACCES)
		diag_error(d, NULL, "cannot make %s: %s (this needs root)", path, strerror(-err));
	else
		diag_error(d, NULL, "cannot make %s: %s", path, strerror(-err));
	return err;
}

int decap_pins_create(const struct decap_pins *pins, struct diag *d)
{
	char parent[DECAP_PATH_MAX];
	char *slash;
	int err;

	snprintf(parent, sizeof(parent), "%s", pins->root);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent) {
		diag_error(d, NULL, "the pin path must lie in a BPF file system, such as %s",
			   DECAP_PIN_PATH_DEFAULT);
		return -EINVAL;
	}
	*slash = 0;
	if (!strcmp(parent, BPFFS) && !is_bpffs(parent)) {
		err = mount_bpffs(d);
		if (err)
			return err;
	}
	if (!is_bpffs(parent)) {
		diag_error(d, NULL, "%s is not in a BPF file system", parent);
		return -EINVAL;
	}
	err = make_folder(pins->root, d);
	return err ? err : make_folder(pins->dir, d);
}

int decap_pins_get(const struct decap_pins *pins, const char *name)
{
	char path[DECAP_PATH_MAX];
	int fd;

	if (join_path(path, sizeof(path), pins->dir, name))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int decap_pins_put(const struct decap_pins *pins, const char *name, int fd)
{
	char path[DECAP_PATH_MAX], next[DECAP_PATH_MAX];

	if (join_path(path, sizeof(path), pins->dir, name) ||
	    join_path(next, sizeof(next), pins->dir, PIN_NEXT))
		return -ENAMETOOLONG;
	(void)unlink(next); /* of a run that was killed */
	if (bpf_obj_pin(fd, next))
		return -errno;
	if (rename(next, path)) {
		int err = -errno;

		(void)unlink(next);
		return err;
	}
	return 0;
}

void decap_pins_remove(const struct decap_pins *pins)
{
	static const char *const names[] = {DECAP_PIN_LINK,	DECAP_PIN_PROG,
					    DECAP_PIN_SERVICES, DECAP_PIN_COUNTERS,
					    DECAP_PIN_SETTINGS, PIN_NEXT};
	char path[DECAP_PATH_MAX];

	/* What is not there, or not empty, stays: nothing better can be done here. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!join_path(path, sizeof(path), pins->dir, names[i]))
			(void)unlink(path);
	(void)rmdir(pins->dir);
	(void)rmdir(pins->root);
}

int decap_pins_each(const char *pin_path, int (*cb)(const char *ifname, void *ctx), void *ctx)
{
	char ifname[IF_NAMESIZE];
	struct dirent **entries;
	int count, err = 0;

	count = scandir(pin_path, &entries, NULL, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		if (!err && entries[i]->d_name[0] != '.' &&
		    folder_ifname(entries[i]->d_name, ifname))
			err = cb(ifname, ctx);
		free(entries[i]);
	}
	free(entries);
	return err;
}
