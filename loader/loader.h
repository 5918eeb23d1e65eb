/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel side's life: load or adopt, pin, attach, replace, detach. Only this folder calls libbpf
 * and libxdp. Everything is pinned under PIN_PATH/v<SHUNT_ABI_VERSION>, so packets keep flowing
 * with the same tables while no daemon runs. Main thread.
 */
#ifndef LOADER_LOADER_H
#define LOADER_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/diag.h"

#define LOADER_PIN_PATH_DEFAULT "/sys/fs/bpf/shunt"

/* Number of elements of each table. Pinned tables keep the size they have; 0: no wish, a table that
 * is made gets a default. */
struct loader_sizes {
	uint32_t services, backends, ring_slots, flows, pending, guard, sources, nat;
};

struct loader_opts {
	const char *pin_path;
	struct loader_sizes sizes;
	uint64_t hash_seed[2];
};

struct loader;

/*
 * Open what is pinned under pin_path, or make it. Afterwards the program of this build with these
 * settings is loaded and pinned: adopted when the pinned one is the same (by build id and
 * settings), else loaded anew over the same maps; interfaces that ran the former program are moved
 * to the new one without a packet unserved. Mounts bpffs at /sys/fs/bpf where it is missing.
 * Where another ABI version has left its tables: -EEXIST.
 * 0, or -errno with d filled: -EPERM names the capability that is missing, -EOPNOTSUPP what the
 * kernel lacks, -EINVAL for a verifier refusal with the end of its log.
 */
int loader_open(const struct loader_opts *opts, struct loader **ret_loader, struct diag *d);

/* Only what is there: -ENOENT where nothing is pinned. For `shunt-load status` and detach. */
int loader_open_existing(const char *pin_path, struct loader **ret_loader, struct diag *d);

/* For detach and purge alone: also what another version of this program has left there. */
int loader_open_any(const char *pin_path, struct loader **ret_loader, struct diag *d);

/* Forget in this process; everything stays in the kernel. NULL is fine. */
void loader_close(struct loader *l);

/* Were tables found (rather than made) by loader_open()? Was the program replaced? */
bool loader_adopted(const struct loader *l);
bool loader_replaced(const struct loader *l);

/* For status. */
struct loader_info {
	const char *dir;	   /* where all is pinned; borrowed from the loader */
	uint32_t prog_id;	   /* 0: none, or not known */
	uint32_t ext_id;	   /* the same as a dispatcher's component; 0: not loaded */
	char tag[17];		   /* the kernel's digest of the instructions */
	uint64_t build, own_build; /* of the pinned program, of this binary */
	uint32_t seed_fingerprint; /* equal for equal seeds; does not tell the seed */
	int user_pid;		   /* who writes the tables now; 0: nobody */
};
void loader_describe(const struct loader *l, struct loader_info *ret_info);

enum attach_mode { ATTACH_NATIVE, ATTACH_GENERIC };
enum attach_kind { ATTACH_DISPATCHER, ATTACH_SINGLE };

struct attachment {
	char ifname[16];
	int ifindex;
	enum attach_mode mode;
	enum attach_kind kind;
	uint32_t prog_id; /* of our program; in a dispatcher, not the dispatcher's */
};

/*
 * Attach to an interface. Already attached in this mode: 0, nothing happens. Uses libxdp's
 * dispatcher where the kernel has it, else a pinned link of a single program.
 * -ENODEV: no such interface. -EBUSY: another program is there and the kernel has no dispatcher.
 * -EOPNOTSUPP: the driver has no native mode (d says how to ask for generic).
 */
int loader_attach(struct loader *l, const char *ifname, enum attach_mode mode, struct diag *d);

/* Take our program, and only ours, off an interface. 0 also where it was not attached. */
int loader_detach(struct loader *l, const char *ifname, struct diag *d);

/* Where our program is attached now, as the kernel says. ret_list: malloc'ed. 0, or -errno. */
int loader_attachments(struct loader *l, struct attachment **ret_list, size_t *ret_count);

/* Remove every pin below PIN_PATH/v<N>; detach first. Maps live on while something is attached. */
int loader_purge(const char *pin_path, struct diag *d);

/* Route libbpf's and libxdp's own messages: to the log at debug; keep their last lines for d. */
void loader_init_logging(void);

#endif
