/* SPDX-License-Identifier: BSD-2-Clause */
/* Open, adopt, attach, remove: see sockets.h. The tables are read and written in sockets_tables.c. */
#include "loader/sockets.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/messages.h"
#include "loader/pins.h"
#include "loader/privileges.h"
#include "loader/sockets_state.h"
#include "skel/sockets.skel.h"

#define PIN_LINK  "link"
#define PIN_FRESH "new-link"

#define NETNS_SELF "/proc/self/ns/net"

const char *const sockets_map_names[SOCKETS_MAP_COUNT] = {
	[SOCKETS_MAP_SOCKETS] = "sk_sockets",	[SOCKETS_MAP_TARGETS] = "sk_targets",
	[SOCKETS_MAP_EXACT] = "sk_exact",	[SOCKETS_MAP_ADDRS] = "sk_addrs",
	[SOCKETS_MAP_PREFIXES] = "sk_prefixes", [SOCKETS_MAP_META] = "sk_meta",
	[SOCKETS_MAP_STATS] = "sk_stats",
};

static int dir_of(const char *pin_path, char *buf, size_t len)
{
	int n = snprintf(buf, len, "%s/sockets-v%d", pin_path, SOCKETS_VERSION);

	/* Names of pins are added to it. */
	return n < 0 || (size_t)n + NAME_MAX >= len ? -ENAMETOOLONG : 0;
}

static int path_of(const char *dir, const char *name, char *buf, size_t len)
{
	int n = snprintf(buf, len, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

/* A descriptor, or -errno; -ENOENT: nothing is pinned so. */
static int open_pin(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int err = path_of(dir, name, path, sizeof(path));

	return err < 0 ? err : bpf_obj_get(path);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static uint32_t own_netns(void)
{
	struct stat st;

	return stat(NETNS_SELF, &st) < 0 ? 0 : (uint32_t)st.st_ino;
}

static int link_info(int fd, struct bpf_link_info *ret_info)
{
	uint32_t len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return bpf_obj_get_info_by_fd(fd, ret_info, &len);
}

/* ---- maps ------------------------------------------------------------------------------------ */

static struct bpf_map *object_map(const struct sockets_bpf *skel, enum sockets_map map)
{
	return bpf_object__find_map_by_name(skel->obj, sockets_map_names[map]);
}

/* Take up a map that is pinned. -ENOENT: it is not. */
static int adopt_map(struct sockets *s, struct sockets_bpf *skel, enum sockets_map map)
{
	const struct bpf_map *want = object_map(skel, map);
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int fd = open_pin(s->dir, sockets_map_names[map]);
	int err;

	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (err == 0 &&
	    (info.type != bpf_map__type(want) || info.key_size != bpf_map__key_size(want) ||
	     info.value_size != bpf_map__value_size(want) ||
	     info.max_entries != bpf_map__max_entries(want)))
		err = -EINVAL;
	if (err == 0)
		err = bpf_map__reuse_fd(object_map(skel, map), fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	s->map_fds[map] = fd;
	return 0;
}

static int adopt_maps(struct sockets *s, struct sockets_bpf *skel, struct diag *d)
{
	for (enum sockets_map map = 0; map < SOCKETS_MAP_COUNT; map++) {
		int err = adopt_map(s, skel, map);

		s->adopted |= err == 0;
		if (err == 0 || err == -ENOENT)
			continue;
		diag_error(d, NULL,
			   "cannot take up the map pinned at %s/%s (%s): run `shunt-load detach "
			   "--all --purge` to start anew",
			   s->dir, sockets_map_names[map], strerror(-err));
		return err;
	}
	return 0;
}

/* Keep what the object made, beyond the object. */
static int take_map(struct sockets *s, const struct sockets_bpf *skel, enum sockets_map map)
{
	char path[PATH_MAX];
	int fd, err;

	if (s->map_fds[map] >= 0)
		return 0;
	fd = fcntl(bpf_map__fd(object_map(skel, map)), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	s->map_fds[map] = fd;
	err = path_of(s->dir, sockets_map_names[map], path, sizeof(path));
	return err < 0 ? err : bpf_obj_pin(fd, path);
}

/* ---- attaching ------------------------------------------------------------------------------- */

/* The pinned link, if it is of this namespace; else -ENOENT. */
static int adopt_link(struct sockets *s)
{
	struct bpf_link_info info;
	int fd = open_pin(s->dir, PIN_LINK);
	int err = fd < 0 ? fd : link_info(fd, &info);

	if (err == 0 && (info.type != BPF_LINK_TYPE_NETNS || info.netns.netns_ino == 0 ||
			 info.netns.netns_ino != own_netns()))
		err = -ENOENT;
	if (err == 0)
		s->link_fd = fd;
	else
		close_fd(fd);
	return err;
}

/* In place of what may be pinned there. */
static int pin_link(const struct sockets *s)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int err = path_of(s->dir, PIN_LINK, path, sizeof(path));

	if (err == 0)
		err = path_of(s->dir, PIN_FRESH, fresh, sizeof(fresh));
	if (err < 0)
		return err;
	unlink(fresh); /* of a run that was killed */
	err = bpf_obj_pin(s->link_fd, fresh);
	if (err == 0 && rename(fresh, path) < 0)
		err = -errno;
	return err;
}

static int attach(struct sockets *s, int prog_fd)
{
	int err = adopt_link(s), netns;

	if (err == 0)
		return bpf_link_update(s->link_fd, prog_fd, NULL);
	netns = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return -errno;
	s->link_fd = bpf_link_create(prog_fd, netns, BPF_SK_LOOKUP, NULL);
	close(netns);
	return s->link_fd < 0 ? s->link_fd : pin_link(s);
}

/* ---- open and close -------------------------------------------------------------------------- */

static int check_privileges(struct diag *d)
{
	char release[128] = "";

	if (!kernel_is_supported(release, sizeof(release))) {
		diag_error(d, NULL,
			   "Linux %s is too old to give connections to sockets by program, which "
			   "needs " LOADER_KERNEL_MIN " or later",
			   release);
		return -EOPNOTSUPP;
	}
	if ((capability_held(CAP_BPF) && capability_held(CAP_NET_ADMIN)) ||
	    (capability_held(CAP_SYS_ADMIN) && capability_held(CAP_NET_ADMIN)))
		return 0;
	diag_error(d, NULL,
		   "giving connections to sockets by program takes the capabilities CAP_BPF and "
		   "CAP_NET_ADMIN, which this process does not have");
	return -EPERM;
}

static int load(struct sockets *s, struct sockets_bpf *skel, struct diag *d)
{
	int err;

	messages_clear();
	err = bpf_object__load(skel->obj);
	if (err < 0) {
		diag_error(d, NULL, "the kernel refuses the program for listening sockets: %s",
			   strerror(-err));
		messages_to_diag(d, "libbpf", 12);
		return err;
	}
	for (enum sockets_map map = 0; map < SOCKETS_MAP_COUNT && err == 0; map++)
		err = take_map(s, skel, map);
	if (err < 0) {
		diag_error(d, NULL, "cannot pin at %s: %s", s->dir, strerror(-err));
		return err;
	}
	err = attach(s, bpf_program__fd(skel->progs.choose_socket));
	if (err < 0)
		diag_error(d, NULL,
			   "cannot attach the program for listening sockets to this network "
			   "namespace: %s",
			   strerror(-err));
	return err;
}

static int map_targets(struct sockets *s)
{
	void *targets = mmap(NULL, SOCKETS_MAX_ROWS * sizeof(*s->targets), PROT_READ | PROT_WRITE,
			     MAP_SHARED, s->map_fds[SOCKETS_MAP_TARGETS], 0);

	if (targets == MAP_FAILED)
		return -errno;
	s->targets = targets;
	return 0;
}

static int open_all(struct sockets *s, struct diag *d)
{
	struct sockets_bpf *skel = sockets_bpf__open();
	int err;

	if (skel == NULL) {
		err = -errno;
		diag_error(d, NULL, "cannot open the program for listening sockets: %s",
			   strerror(-err));
		return err;
	}
	err = adopt_maps(s, skel, d);
	if (err == 0)
		err = load(s, skel, d);
	sockets_bpf__destroy(skel);
	if (err < 0)
		return err;
	err = map_targets(s);
	if (err < 0)
		diag_error(d, NULL, "cannot map the tables at %s: %s", s->dir, strerror(-err));
	return err;
}

int sockets_open(const char *pin_path, struct sockets **ret_sockets, struct diag *d)
{
	struct sockets *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL) {
		diag_error(d, NULL, "out of memory for the program for listening sockets");
		return -ENOMEM;
	}
	s->dir_fd = s->link_fd = -1;
	for (enum sockets_map map = 0; map < SOCKETS_MAP_COUNT; map++)
		s->map_fds[map] = -1;
	err = dir_of(pin_path, s->dir, sizeof(s->dir));
	if (err < 0)
		diag_error(d, NULL, "the pin path is too long");
	if (err == 0)
		err = check_privileges(d);
	if (err == 0)
		err = pins_make(s->dir, d);
	if (err == 0)
		err = pins_lock(s->dir, &s->dir_fd, d);
	if (err == 0)
		err = open_all(s, d);
	if (err < 0) {
		sockets_close(s);
		return err;
	}
	*ret_sockets = s;
	return 0;
}

void sockets_close(struct sockets *s)
{
	if (s == NULL)
		return;
	if (s->targets != NULL)
		munmap((void *)s->targets, SOCKETS_MAX_ROWS * sizeof(*s->targets));
	for (enum sockets_map map = 0; map < SOCKETS_MAP_COUNT; map++)
		close_fd(s->map_fds[map]);
	close_fd(s->link_fd);
	close_fd(s->dir_fd);
	free(s);
}

bool sockets_attached(const struct sockets *s)
{
	struct bpf_link_info info;

	return link_info(s->link_fd, &info) == 0 && info.netns.netns_ino != 0;
}

bool sockets_adopted(const struct sockets *s)
{
	return s->adopted;
}

const char *sockets_dir(const struct sockets *s)
{
	return s->dir;
}

/* ---- from outside ---------------------------------------------------------------------------- */

static int detach(const char *dir)
{
	char path[PATH_MAX];
	int fd = open_pin(dir, PIN_LINK), err;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = bpf_link_detach(fd);
	close(fd);
	if (err == -ENOLINK || err == -EINVAL) /* its namespace is gone */
		err = 0;
	if (err == 0)
		err = path_of(dir, PIN_LINK, path, sizeof(path));
	return err == 0 && unlink(path) < 0 ? -errno : err;
}

int sockets_remove(const char *pin_path, bool purge, bool *ret_found, struct diag *d)
{
	char dir[PATH_MAX];
	int err = dir_of(pin_path, dir, sizeof(dir));
	bool found = err == 0 && access(dir, F_OK) == 0;

	if (ret_found != NULL)
		*ret_found = found;
	if (!found)
		return 0;
	err = detach(dir);
	if (err < 0) {
		diag_error(d, NULL, "cannot detach what is pinned at %s/" PIN_LINK ": %s", dir,
			   strerror(-err));
		return err;
	}
	return purge ? pins_purge(pin_path, dir, d) : 0;
}

static uint32_t count_keys(int fd)
{
	struct sockets_prefix_key key; /* the largest of the three */
	uint32_t count = 0;
	int err = fd < 0 ? fd : bpf_map_get_next_key(fd, NULL, &key);

	while (err == 0 && count < SOCKETS_MAX_EXACT) {
		count++;
		err = bpf_map_get_next_key(fd, &key, &key);
	}
	close_fd(fd);
	return count;
}

int sockets_info(const char *pin_path, struct sockets_info *ret_info)
{
	struct sockets_info info = {0};
	struct bpf_link_info link;
	char dir[PATH_MAX];
	int err = dir_of(pin_path, dir, sizeof(dir)), fd;

	if (err == 0 && access(dir, F_OK) < 0)
		err = -errno;
	if (err < 0)
		return err;
	info.user_pid = (int)pins_lock_owner(dir);
	fd = open_pin(dir, PIN_LINK);
	if (fd >= 0 && link_info(fd, &link) == 0) {
		info.link_id = link.id;
		info.prog_id = link.prog_id;
		info.netns = link.netns.netns_ino;
	}
	close_fd(fd);
	for (enum sockets_map map = SOCKETS_MAP_EXACT; map <= SOCKETS_MAP_PREFIXES; map++)
		info.keys += count_keys(open_pin(dir, sockets_map_names[map]));
	*ret_info = info;
	return 0;
}
