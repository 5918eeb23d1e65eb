/* SPDX-License-Identifier: BSD-2-Clause */
/* Open, adopt, load, pin, replace. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "loader/loader.h"
#include "loader/messages.h"
#include "loader/pins.h"
#include "loader/privileges.h"
#include "loader/maps_exact.h"
#include "loader/state.h"
#include "loader/tables.h"
#include "skel/steer_xdp.skel.h"

#define RECORD_MAGIC 0x444c4853 /* "SHLD" */

static const char *const map_names[LOADER_MAP_COUNT] = {
#define X(name, class) SHUNT_MAP_##name,
	LOADER_MAPS(X)
#undef X
};

/* Which field of struct loader_sizes says how large a map is. */
enum size_class {
	CLASS_services,
	CLASS_backends,
	CLASS_ring_slots,
	CLASS_flows,
	CLASS_pending,
	CLASS_guard,
	CLASS_sources,
	CLASS_nat,
	CLASS_fixed,
	CLASS_COUNT
};

static const struct {
	const char *setting;
	size_t offset;
	uint32_t size; /* unless asked otherwise */
} classes[CLASS_COUNT] = {
#define CLASS(field, size)                                                                         \
	[CLASS_##field] = {"node.limits." #field, offsetof(struct loader_sizes, field), size}
	CLASS(services, SHUNT_MAX_SERVICES),
	CLASS(backends, 16384),
	CLASS(ring_slots, 8388608),
	CLASS(flows, 2097152),
	CLASS(pending, 65536),
	CLASS(guard, 65536),
	CLASS(sources, 65536),
	CLASS(nat, 262144),
#undef CLASS
};

static const enum size_class map_classes[LOADER_MAP_COUNT] = {
#define X(name, class) CLASS_##class,
	LOADER_MAPS(X)
#undef X
};

int loader_pin_path(const struct loader *l, const char *name, char *buf, size_t len)
{
	int n = snprintf(buf, len, "%s/%s", l->dir, name);

	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

int loader_pin_over(const struct loader *l, int fd, const char *name)
{
	char path[PATH_MAX], fresh[PATH_MAX], fresh_name[NAME_MAX];
	int n = snprintf(fresh_name, sizeof(fresh_name), "new-%s", name);
	int err = n < 0 || (size_t)n >= sizeof(fresh_name) ? -ENAMETOOLONG : 0;

	if (err == 0)
		err = loader_pin_path(l, name, path, sizeof(path));
	if (err == 0)
		err = loader_pin_path(l, fresh_name, fresh, sizeof(fresh));
	if (err < 0)
		return err;
	unlink(fresh);
	err = bpf_obj_pin(fd, fresh);
	if (err < 0)
		return err;
	if (rename(fresh, path) < 0) {
		err = -errno;
		unlink(fresh);
	}
	return err;
}

int loader_record_write(struct loader *l)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(l->record_fd, &zero, &l->record, BPF_ANY);
}

static uint64_t build_id(void)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	size_t len;
	const uint8_t *bytes = steer_xdp_bpf__elf_bytes(&len);

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 0x100000001b3ULL;
	return h;
}

/* Descriptor of what is pinned under a name. -ENOENT: nothing. */
static int open_pin(const struct loader *l, const char *name)
{
	char path[PATH_MAX];
	int err = loader_pin_path(l, name, path, sizeof(path));

	return err < 0 ? err : bpf_obj_get(path);
}

struct bpf_map *loader_object_map(const struct steer_xdp_bpf *skel, int map)
{
	return bpf_object__find_map_by_name(skel->obj, map_names[map]);
}

int loader_lend_maps(const struct loader *l, struct bpf_object *obj)
{
	int err = 0;

	for (int map = 0; map < LOADER_MAP_COUNT && err == 0; map++) {
		struct bpf_map *m = bpf_object__find_map_by_name(obj, map_names[map]);

		if (m != NULL)
			err = bpf_map__reuse_fd(m, l->map_fds[map]);
	}
	return err;
}

/* Is the pinned map what this build takes it for? */
static int check_map(const struct loader *l, const struct steer_xdp_bpf *skel, int map,
		     const struct bpf_map_info *info, struct diag *d)
{
	const struct bpf_map *want = loader_object_map(skel, map);
	uint32_t flags = info->map_flags;

	/* Which the kernel sets by itself, and nobody may ask for. */
	if (info->type == BPF_MAP_TYPE_DEVMAP_HASH)
		flags &= ~(uint32_t)BPF_F_RDONLY_PROG;
	if (want != NULL && info->type == bpf_map__type(want) &&
	    info->key_size == bpf_map__key_size(want) &&
	    info->value_size == bpf_map__value_size(want) && flags == bpf_map__map_flags(want))
		return 0;
	diag_error(d, NULL,
		   "the map pinned at %s/%s was made by another version of this program: run "
		   "`shunt-load detach --all --purge` to start anew, which forgets all flows",
		   l->dir, map_names[map]);
	return -EINVAL;
}

static int open_map(struct loader *l, const struct steer_xdp_bpf *skel, int map, struct diag *d)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int fd = open_pin(l, map_names[map]);
	int err;

	if (fd == -ENOENT)
		return fd;
	err = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, &info, &len);
	if (err < 0) {
		diag_error(d, NULL, "cannot open the map pinned at %s/%s: %s", l->dir,
			   map_names[map], strerror(-err));
	} else {
		err = check_map(l, skel, map, &info, d);
	}
	if (err < 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	l->map_fds[map] = fd;
	l->map_ids[map] = info.id;
	l->map_entries[map] = info.max_entries;
	return 0;
}

/* Take up all maps that are there. ret_count: how many. */
static int open_maps(struct loader *l, const struct steer_xdp_bpf *skel, int *ret_count,
		     struct diag *d)
{
	int count = 0;

	for (int map = 0; map < LOADER_MAP_COUNT; map++) {
		int err = open_map(l, skel, map, d);

		if (err < 0 && err != -ENOENT)
			return err;
		count += err == 0;
	}
	*ret_count = count;
	return 0;
}

static uint32_t wanted_size(const struct loader_sizes *sizes, enum size_class class)
{
	return *(const uint32_t *)((const char *)sizes + classes[class].offset);
}

/* Maps of one class are of one size: that of those which are there already, where a load was cut
 * short. */
static uint32_t class_size(const struct loader *l, enum size_class class,
			   const struct loader_sizes *sizes)
{
	for (int map = 0; map < LOADER_MAP_COUNT; map++) {
		if (map_classes[map] == class && l->map_fds[map] >= 0)
			return l->map_entries[map];
	}
	return wanted_size(sizes, class) != 0 ? wanted_size(sizes, class) : classes[class].size;
}

static void warn_of_sizes(const struct loader *l, const struct loader_sizes *sizes, struct diag *d)
{
	for (int class = 0; class < CLASS_fixed; class ++) {
		uint32_t want = wanted_size(sizes, class);
		uint32_t have = class_size(l, class, sizes);

		if (want == 0 || want == have)
			continue;
		diag_warning(
			d, NULL,
			"%s is %u and the pinned tables hold %u, which stays: to change it run "
			"`shunt-load detach --all --purge` before the next start",
			classes[class].setting, want, have);
	}
}

static void choose_sizes(struct loader *l, const struct loader_sizes *sizes)
{
	for (int map = 0; map < LOADER_MAP_COUNT; map++) {
		enum size_class class = map_classes[map];

		if (l->map_fds[map] >= 0 || class == CLASS_fixed)
			continue;
		l->map_entries[map] = class_size(l, class, sizes);
	}
}

int loader_open_object(struct loader *l, struct steer_xdp_bpf **ret_skel)
{
	struct steer_xdp_bpf *skel = steer_xdp_bpf__open();
	int err = 0;

	if (skel == NULL)
		return -errno;
	skel->rodata->settings.abi_version = SHUNT_ABI_VERSION;
	skel->rodata->settings.hash_seed[0] = l->seed[0];
	skel->rodata->settings.hash_seed[1] = l->seed[1];
	for (int map = 0; map < LOADER_MAP_COUNT && err == 0; map++) {
		struct bpf_map *m = loader_object_map(skel, map);

		if (m == NULL)
			err = -ENOENT;
		else if (l->map_fds[map] >= 0)
			err = bpf_map__reuse_fd(m, l->map_fds[map]);
		else if (map_classes[map] != CLASS_fixed)
			err = bpf_map__set_max_entries(m, l->map_entries[map]);
	}
	if (err < 0) {
		steer_xdp_bpf__destroy(skel);
		return err;
	}
	*ret_skel = skel;
	return 0;
}

static int say_load_failed(int err, struct diag *d)
{
	if (err == -EPERM)
		diag_error(d, NULL,
			   "the kernel does not let this process load the program "
			   "(capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or a "
			   "lock-down)");
	else if (err == -ENOMEM)
		diag_error(d, NULL,
			   "the kernel has no memory for the tables: lower "
			   "node.limits");
	else
		diag_error(d, NULL, "the kernel refuses the program: %s", strerror(-err));
	messages_to_diag(d, "libbpf", 12);
	return err == -EACCES || err == -E2BIG ? -EINVAL : err;
}

/* Keep what the object made, beyond the object. */
static int take_map(struct loader *l, const struct steer_xdp_bpf *skel, int map)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	char path[PATH_MAX];
	int fd, err;

	if (l->map_fds[map] >= 0)
		return 0;
	fd = fcntl(bpf_map__fd(loader_object_map(skel, map)), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	l->map_fds[map] = fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (err == 0)
		err = loader_pin_path(l, map_names[map], path, sizeof(path));
	if (err == 0)
		err = bpf_obj_pin(fd, path);
	l->map_ids[map] = info.id;
	l->map_entries[map] = info.max_entries;
	return err;
}

static int take_object(struct loader *l, const struct steer_xdp_bpf *skel)
{
	int err = 0;

	for (int map = 0; map < LOADER_MAP_COUNT && err == 0; map++)
		err = take_map(l, skel, map);
	if (err < 0)
		return err;
	if (l->prog_fd >= 0)
		close(l->prog_fd);
	l->prog_fd = fcntl(bpf_program__fd(skel->progs.steer_xdp), F_DUPFD_CLOEXEC, 0);
	return l->prog_fd < 0 ? -errno : 0;
}

static int load_program(struct loader *l, struct diag *d)
{
	struct steer_xdp_bpf *skel;
	int err = loader_open_object(l, &skel);

	if (err < 0)
		return say_load_failed(err, d);
	messages_clear();
	tables_make(skel->obj);
	err = bpf_object__load(skel->obj);
	if (err < 0) {
		err = say_load_failed(err, d);
	} else {
		err = take_object(l, skel);
		if (err < 0)
			diag_error(d, NULL, "cannot pin at %s: %s", l->dir, strerror(-err));
	}
	steer_xdp_bpf__destroy(skel);
	return err;
}

static int program_info(int fd, struct bpf_prog_info *ret_info)
{
	uint32_t len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return bpf_obj_get_info_by_fd(fd, ret_info, &len);
}

#define PROGRAM_MAPS_MAX 64

/* Which of our maps a program uses: a bit for each. */
static uint64_t maps_of_program(const struct loader *l, int fd)
{
	uint32_t ids[PROGRAM_MAPS_MAX] = {0};
	uint64_t found = 0;
	struct bpf_prog_info info = {
		.nr_map_ids = PROGRAM_MAPS_MAX,
		.map_ids = (uintptr_t)ids,
	};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return 0;
	for (uint32_t i = 0; i < info.nr_map_ids && i < PROGRAM_MAPS_MAX; i++) {
		for (int map = 0; map < LOADER_MAP_COUNT; map++) {
			if (l->map_fds[map] >= 0 && l->map_ids[map] == ids[i])
				found |= 1ULL << map;
		}
	}
	return found;
}

/* Every map but those that only user space looks at. */
static bool program_uses_all(const struct loader *l, int fd)
{
	uint64_t all = (1ULL << LOADER_MAP_COUNT) - 1;
	uint64_t unused = 1ULL << LOADER_MAP_SVC_META | 1ULL << LOADER_MAP_BE_META;

	return (maps_of_program(l, fd) | unused) == all;
}

/* Any map of ours will do: others may have been lost since the program was loaded. */
bool loader_owns_program(const struct loader *l, uint32_t prog_id)
{
	bool owns;
	int fd;

	if (prog_id == l->record.prog_id || (prog_id == l->record.ext_id && prog_id != 0))
		return true;
	fd = bpf_prog_get_fd_by_id(prog_id);
	if (fd < 0)
		return false;
	owns = maps_of_program(l, fd) != 0;
	close(fd);
	return owns;
}

static int open_record(struct loader *l, bool make)
{
	uint32_t zero = 0;
	char path[PATH_MAX];
	int err;

	l->record_fd = open_pin(l, PIN_RECORD);
	if (l->record_fd >= 0) {
		err = bpf_map_lookup_elem(l->record_fd, &zero, &l->record);
		if (err < 0 || l->record.magic != RECORD_MAGIC)
			memset(&l->record, 0, sizeof(l->record));
		return err;
	}
	if (l->record_fd != -ENOENT || !make)
		return l->record_fd;
	l->record_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, PIN_RECORD, sizeof(zero),
				      sizeof(l->record), 1, NULL);
	if (l->record_fd < 0)
		return l->record_fd;
	err = loader_pin_path(l, PIN_RECORD, path, sizeof(path));
	return err < 0 ? err : bpf_obj_pin(l->record_fd, path);
}

/* Open the pinned programs, if they are what the record says they are. */
static void open_programs(struct loader *l)
{
	struct bpf_prog_info info;

	l->prog_fd = open_pin(l, PIN_PROG);
	if (l->prog_fd < 0 || program_info(l->prog_fd, &info) < 0 || info.id != l->record.prog_id) {
		l->record.prog_id = 0;
		l->record.ext_id = 0;
		return;
	}
	l->ext_fd = open_pin(l, PIN_EXT);
	if (l->ext_fd < 0 || program_info(l->ext_fd, &info) < 0 || info.id != l->record.ext_id)
		l->record.ext_id = 0;
	if (l->record.ext_id == 0 && l->ext_fd >= 0) {
		close(l->ext_fd);
		l->ext_fd = -1;
	}
}

/* The seed that is asked for; else the one in use, so that flows without an entry stay where they
 * are; else a new one. */
static int choose_seed(struct loader *l, const uint64_t wanted[2], struct diag *d)
{
	bool asked = wanted[0] != 0 || wanted[1] != 0;
	bool known = l->record.seed[0] != 0 || l->record.seed[1] != 0;

	memcpy(l->seed, asked ? wanted : l->record.seed, sizeof(l->seed));
	if (known && memcmp(l->record.seed, l->seed, sizeof(l->seed)) != 0)
		diag_warning(d, NULL,
			     "node.hash_seed is another one than before: flows without a table "
			     "entry may go to another backend");
	if (asked || known)
		return 0;
	if (getrandom(l->seed, sizeof(l->seed), 0) != sizeof(l->seed))
		return errno != 0 ? -errno : -EIO;
	return 0;
}

static bool program_is_current(const struct loader *l)
{
	return l->record.prog_id != 0 && l->record.build == build_id() &&
	       memcmp(l->record.seed, l->seed, sizeof(l->seed)) == 0 &&
	       program_uses_all(l, l->prog_fd);
}

/*
 * The pinned program is exchanged after every interface runs the new one, and the record is written
 * last: cut short anywhere in between, the next open finds a program that it does not know and
 * does it all again.
 */
static int replace_program(struct loader *l, struct diag *d)
{
	struct bpf_prog_info info;
	bool had = l->record.prog_id != 0;
	int err = load_program(l, d);

	if (err < 0)
		return err;
	err = program_info(l->prog_fd, &info);
	if (err < 0)
		return err;
	if (l->ext_fd >= 0)
		close(l->ext_fd);
	l->ext_fd = -1;
	l->record = (struct loader_record){
		.magic = RECORD_MAGIC,
		.prog_id = info.id,
		.build = build_id(),
		.seed = {l->seed[0], l->seed[1]},
	};
	err = loader_move_all(l, d);
	if (err < 0)
		return err;
	err = loader_pin_over(l, l->prog_fd, PIN_PROG);
	if (err == 0)
		err = loader_record_write(l);
	if (err < 0)
		diag_error(d, NULL, "cannot pin the program at %s: %s", l->dir, strerror(-err));
	l->replaced = had;
	return err;
}

/* Size of a row of the tables that are mapped; 0: not mapped. Rows take a multiple of eight bytes. */
static const size_t mapped_rows[LOADER_MAP_COUNT] = {
	[LOADER_MAP_RINGS] = sizeof(struct shunt_slot),
	[LOADER_MAP_SVC_RINGS] = sizeof(struct shunt_ring),
	[LOADER_MAP_STAMPS] = sizeof(struct shunt_stamp),
	[LOADER_MAP_SWITCHES] = sizeof(struct shunt_switches),
	[LOADER_MAP_NAT_SHARES] = sizeof(struct shunt_nat_share),
	[LOADER_MAP_ADDR_BITS] = sizeof(uint64_t),
	[LOADER_MAP_EXACT] = sizeof(struct shunt_exact_bucket),
	[LOADER_MAP_EXACT_ROWS] = sizeof(struct shunt_exact_row),
};

static size_t mapped_len(const struct loader *l, enum loader_map map)
{
	return l->map_entries[map] * mapped_rows[map];
}

static int map_tables(struct loader *l, int prot)
{
	for (enum loader_map map = 0; map < LOADER_MAP_COUNT; map++) {
		void *table;

		if (mapped_rows[map] == 0)
			continue;
		table = mmap(NULL, mapped_len(l, map), prot, MAP_SHARED, l->map_fds[map], 0);
		if (table == MAP_FAILED)
			return -errno;
		l->mapped[map] = table;
	}
	return 0;
}

static struct loader *loader_new(void)
{
	struct loader *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	for (int map = 0; map < LOADER_MAP_COUNT; map++)
		l->map_fds[map] = -1;
	l->dir_fd = l->record_fd = l->prog_fd = l->ext_fd = -1;
	l->dispatcher = -1;
	return l;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loader_close(struct loader *l)
{
	if (l == NULL)
		return;
	for (enum loader_map map = 0; map < LOADER_MAP_COUNT; map++) {
		if (l->mapped[map] != NULL)
			munmap(l->mapped[map], mapped_len(l, map));
		close_fd(l->map_fds[map]);
	}
	close_fd(l->record_fd);
	close_fd(l->prog_fd);
	close_fd(l->ext_fd);
	close_fd(l->dir_fd);
	free(l);
}

/* Everything in the directory, and what is missing made. */
static int open_tables(struct loader *l, const struct loader_opts *opts, struct diag *d)
{
	struct steer_xdp_bpf *skel = steer_xdp_bpf__open();
	int found = 0, err = skel == NULL ? -errno : 0;

	if (err == 0)
		err = open_maps(l, skel, &found, d);
	steer_xdp_bpf__destroy(skel);
	if (err == 0)
		err = open_record(l, true);
	if (err == 0)
		err = choose_seed(l, opts->hash_seed, d);
	if (err < 0)
		return err;
	choose_sizes(l, &opts->sizes);
	l->adopted = found > 0;
	if (l->adopted)
		warn_of_sizes(l, &opts->sizes, d);
	open_programs(l);
	if (found < LOADER_MAP_COUNT || !program_is_current(l))
		err = replace_program(l, d);
	else
		err = loader_move_all(l, d);
	if (err == 0)
		err = map_tables(l, PROT_READ | PROT_WRITE);
	return err < 0 ? err : exact_open(l);
}

static int finish_open(struct loader *l, int err, size_t errors_before, struct loader **ret_loader,
		       struct diag *d)
{
	if (err == 0) {
		*ret_loader = l;
		return 0;
	}
	if (d->errors == errors_before)
		diag_error(d, NULL, "cannot open what is pinned at %s: %s",
			   l != NULL ? l->dir : "the pin path", strerror(-err));
	loader_close(l);
	return err;
}

int loader_open(const struct loader_opts *opts, struct loader **ret_loader, struct diag *d)
{
	struct loader *l = loader_new();
	size_t errors = d->errors;
	int err = l == NULL ? -ENOMEM : 0;

	if (err == 0)
		err = privileges_check(d);
	if (err == 0)
		err = pins_dir(opts->pin_path, l->dir, sizeof(l->dir), d);
	if (err == 0)
		err = pins_check_versions(opts->pin_path, d);
	if (err == 0)
		err = pins_make(l->dir, d);
	if (err == 0)
		err = pins_lock(l->dir, &l->dir_fd, d);
	if (err == 0)
		err = open_tables(l, opts, d);
	return finish_open(l, err, errors, ret_loader, d);
}

static int open_existing(struct loader *l, struct diag *d)
{
	struct steer_xdp_bpf *skel;
	int found, err;

	if (access(l->dir, F_OK) < 0)
		return -errno;
	skel = steer_xdp_bpf__open();
	if (skel == NULL)
		return -errno;
	err = open_maps(l, skel, &found, d);
	steer_xdp_bpf__destroy(skel);
	if (err < 0)
		return err;
	if (found < LOADER_MAP_COUNT)
		return -ENOENT;
	err = open_record(l, false);
	if (err < 0 && err != -ENOENT)
		return err;
	open_programs(l);
	memcpy(l->seed, l->record.seed, sizeof(l->seed));
	l->adopted = true;
	return map_tables(l, PROT_READ);
}

/* Only what tells our programs from others, whatever the tables look like. */
static int open_any(struct loader *l)
{
	int err = access(l->dir, F_OK) < 0 ? -errno : 0;

	for (int map = 0; map < LOADER_MAP_COUNT && err == 0; map++) {
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info);
		int fd = open_pin(l, map_names[map]);

		if (fd == -ENOENT)
			continue;
		err = fd < 0 ? fd : bpf_obj_get_info_by_fd(fd, &info, &len);
		l->map_fds[map] = fd;
		l->map_ids[map] = info.id;
	}
	return err;
}

int loader_open_any(const char *pin_path, struct loader **ret_loader, struct diag *d)
{
	struct loader *l = loader_new();
	size_t errors = d->errors;
	int err = l == NULL ? -ENOMEM : pins_dir(pin_path, l->dir, sizeof(l->dir), d);

	if (err == 0)
		err = open_any(l);
	if (err == -ENOENT && d->errors == errors)
		diag_error(d, NULL, "nothing is pinned at %s", l->dir);
	return finish_open(l, err, errors, ret_loader, d);
}

int loader_open_existing(const char *pin_path, struct loader **ret_loader, struct diag *d)
{
	struct loader *l = loader_new();
	size_t errors = d->errors;
	int err = l == NULL ? -ENOMEM : pins_dir(pin_path, l->dir, sizeof(l->dir), d);

	if (err == 0)
		err = open_existing(l, d);
	if (err == -ENOENT && d->errors == errors)
		diag_error(d, NULL, "nothing is pinned at %s", l->dir);
	return finish_open(l, err, errors, ret_loader, d);
}

bool loader_adopted(const struct loader *l)
{
	return l->adopted;
}

bool loader_replaced(const struct loader *l)
{
	return l->replaced;
}

/* One way, and far shorter than the seed. */
static uint32_t fingerprint(const uint64_t seed[2])
{
	uint64_t h = seed[0] ^ 0x9e3779b97f4a7c15ULL;

	for (int i = 0; i < 4; i++) {
		h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
		h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
		h += seed[1];
	}
	return (uint32_t)(h >> 32);
}

void loader_describe(const struct loader *l, struct loader_info *ret_info)
{
	struct bpf_prog_info info;

	*ret_info = (struct loader_info){
		.dir = l->dir,
		.prog_id = l->record.prog_id,
		.ext_id = l->record.ext_id,
		.build = l->record.build,
		.own_build = build_id(),
		.seed_fingerprint = fingerprint(l->seed),
		.user_pid = l->dir_fd >= 0 ? (int)getpid() : (int)pins_lock_owner(l->dir),
	};
	if (l->prog_fd < 0 || program_info(l->prog_fd, &info) < 0)
		return;
	for (size_t i = 0; i < sizeof(info.tag); i++)
		snprintf(ret_info->tag + 2 * i, 3, "%02x", info.tag[i]);
}

int loader_purge(const char *pin_path, struct diag *d)
{
	char dir[PATH_MAX];
	int err = pins_dir(pin_path, dir, sizeof(dir), d);

	if (err < 0)
		return err;
	return access(dir, F_OK) < 0 ? 0 : pins_purge(pin_path, dir, d);
}
