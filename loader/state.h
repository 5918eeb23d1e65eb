/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder know of an open loader. Nobody else includes it. Main thread. */
#ifndef LOADER_STATE_H
#define LOADER_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "loader/loader.h"

/* Every map that is pinned, in the order of their names in bpf/abi.h: X(NAME, size class). The
 * class is a field of struct loader_sizes, or "fixed". */
#define LOADER_MAPS(X)                                                                             \
	X(SERVICES, services)                                                                      \
	X(BACKENDS, backends)                                                                      \
	X(RINGS, ring_slots)                                                                       \
	X(SVC_RINGS, services)                                                                     \
	X(STAMPS, ring_slots)                                                                      \
	X(SVC_INSERTS, services)                                                                   \
	X(FLOW4, flows)                                                                            \
	X(FLOW6, flows)                                                                            \
	X(PEND4, pending)                                                                          \
	X(PEND6, pending)                                                                          \
	X(FLOW_GENS, fixed)                                                                        \
	X(SVC_STATS, services)                                                                     \
	X(BE_STATS, backends)                                                                      \
	X(VERDICTS, fixed)                                                                         \
	X(SWITCHES, fixed)                                                                         \
	X(DEVICES, fixed)                                                                          \
	X(NAT_FWD4, nat)                                                                           \
	X(NAT_FWD6, nat)                                                                           \
	X(NAT_REV4, nat)                                                                           \
	X(NAT_REV6, nat)                                                                           \
	X(NAT_SHARES, fixed)                                                                       \
	X(VIPS, services)                                                                          \
	X(FRAGS4, fixed)                                                                           \
	X(FRAGS6, fixed)                                                                           \
	X(ICMP_RATE, fixed)                                                                        \
	X(SVC_META, services)                                                                      \
	X(BE_META, backends)                                                                       \
	X(ADDRS, services)                                                                         \
	X(PREFIXES, services)                                                                      \
	X(ADDR_BITS, fixed)                                                                        \
	X(ROUTES, services)                                                                        \
	X(SERVER_IDS, backends)                                                                    \
	X(GUARD4, guard)                                                                           \
	X(GUARD6, guard)                                                                           \
	X(SVC_GUARD, services)                                                                     \
	X(SVC_FLOOD, services)                                                                     \
	X(SOURCES, sources)                                                                        \
	X(EVENTS, fixed)                                                                           \
	X(EXACT, fixed)                                                                            \
	X(EXACT_ROWS, fixed)

enum loader_map {
#define X(name, class) LOADER_MAP_##name,
	LOADER_MAPS(X)
#undef X
		LOADER_MAP_COUNT
};

/* Of what the pinned programs were made; pinned as sh_loader. */
struct loader_record {
	uint32_t magic;
	uint32_t prog_id; /* the program it speaks of: another one is not known */
	uint32_t ext_id;  /* the same build as a dispatcher's component; 0: not loaded */
	uint32_t _pad;
	uint64_t build; /* hash of the object file */
	uint64_t seed[2];
};

struct loader {
	char dir[PATH_MAX]; /* PIN_PATH/v<N> */
	int dir_fd;	    /* locked while the tables may be written; -1 */
	int map_fds[LOADER_MAP_COUNT];
	uint32_t map_ids[LOADER_MAP_COUNT];
	uint32_t map_entries[LOADER_MAP_COUNT];
	int record_fd;
	struct loader_record record;
	int prog_fd; /* of type XDP: attached alone, and run by test_run */
	int ext_fd;  /* of type EXT: attached to dispatchers; -1: not loaded */
	uint64_t seed[2];
	void *mapped[LOADER_MAP_COUNT];	   /* the tables that are; NULL: not */
	bool exact_used[SHUNT_EXACT_ROWS]; /* rows of sh_exact_rows that a bucket names */
	int dispatcher;			   /* can this machine run one: 1, 0; -1: not tried yet */
	bool adopted, replaced;
};

/* "DIR/NAME" into buf. 0, or -ENAMETOOLONG. */
int loader_pin_path(const struct loader *l, const char *name, char *buf, size_t len);

#define PIN_PROG   "prog"
#define PIN_EXT	   "prog-ext"
#define PIN_RECORD "sh_loader"
#define PIN_LINK   "link-" /* and ifindex and name of the interface */

/* Pin in place of what may be pinned there, without a moment in which nothing is. 0, or -errno. */
int loader_pin_over(const struct loader *l, int fd, const char *name);

/* Write l->record. 0, or -errno. */
int loader_record_write(struct loader *l);

/* load.c: an open object with this loader's maps and settings in it, ready to be loaded. */
struct steer_xdp_bpf;
int loader_open_object(struct loader *l, struct steer_xdp_bpf **ret_skel);

/* Of an object, the map that is `map`; NULL: it has none. */
struct bpf_map;
struct bpf_map *loader_object_map(const struct steer_xdp_bpf *skel, int map);

/* The same tables for another object that has not been loaded yet, by their names. 0, or -errno. */
struct bpf_object;
int loader_lend_maps(const struct loader *l, struct bpf_object *obj);

/* attach.c: move every interface that runs an earlier program of ours to the present one. */
int loader_move_all(struct loader *l, struct diag *d);

/* True for the present programs and for earlier ones over the same maps. */
bool loader_owns_program(const struct loader *l, uint32_t prog_id);

#endif
