/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that gives connections to listening sockets (bpf/sockets.bpf.c), and its tables: load
 * or adopt, pin, attach to this process's network namespace, read and write. All is pinned under
 * PIN_PATH/sockets-v<N>, apart from the steering program, which it does not need. Main thread.
 */
#ifndef LOADER_SOCKETS_H
#define LOADER_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/sockets_abi.h"
#include "core/diag.h"

struct sockets;

/*
 * Take up what is pinned, or make it, with the program of this build: it takes the place of the
 * pinned one without a connection unserved. Other programs of the namespace go on beside it.
 * 0, or -errno with d filled: -EBUSY where another process has it, -EPERM, -EOPNOTSUPP (kernel).
 */
int sockets_open(const char *pin_path, struct sockets **ret_sockets, struct diag *d);

/* Forget in this process, and give up the lock; everything stays in the kernel. NULL is fine. */
void sockets_close(struct sockets *s);

/* Does the program still run in this network namespace? */
bool sockets_attached(const struct sockets *s);
bool sockets_adopted(const struct sockets *s); /* tables were found by sockets_open() */
const char *sockets_dir(const struct sockets *s);

/* Detach the program that is pinned under pin_path, whoever uses it; with purge, remove its tables
 * too, which takes the lock. ret_found (if not NULL): was something pinned? 0, or -errno with d
 * filled. */
int sockets_remove(const char *pin_path, bool purge, bool *ret_found, struct diag *d);

/* What is pinned there, without taking it up. -ENOENT: nothing. */
struct sockets_info {
	uint32_t prog_id, link_id;
	uint32_t netns; /* number of the namespace; 0: it runs nowhere */
	uint32_t keys;	/* of all tables */
	int user_pid;	/* who writes the tables now; 0: nobody */
};
int sockets_info(const char *pin_path, struct sockets_info *ret_info);

/* ---- tables. All return 0, or -errno. -------------------------------------------------------- */

enum sockets_table { SOCKETS_EXACT, SOCKETS_ADDRS, SOCKETS_PREFIXES, SOCKETS_TABLE_COUNT };

/* A row of one of them; what its table does not use is zero. */
struct sockets_row {
	enum sockets_table table;
	union {
		struct sockets_exact_key exact;
		struct sockets_addr_key addr;
		struct sockets_prefix_key prefix;
	} key;
	union {
		uint32_t row;
		struct sockets_ranges ranges;
	} value;
};

/* <0, 0, >0: by table, then key. */
int sockets_row_cmp(const struct sockets_row *a, const struct sockets_row *b);
bool sockets_row_same(const struct sockets_row *a, const struct sockets_row *b); /* value too */

/* All rows of all tables, sorted. ret_rows: malloc'ed, never NULL. */
int sockets_list(struct sockets *s, struct sockets_row **ret_rows, size_t *ret_count);
int sockets_put(struct sockets *s, const struct sockets_row *row);
int sockets_delete(struct sockets *s, const struct sockets_row *row);

/* Rows of sk_targets: SOCKETS_TARGET(), stored in one piece. */
uint64_t sockets_target(const struct sockets *s, uint32_t row);
void sockets_set_target(struct sockets *s, uint32_t row, uint64_t target);

/* The name by which a row is found again. Set: also begins to count anew. */
int sockets_name(struct sockets *s, uint32_t row, char ret_name[SOCKETS_NAME_MAX]);
int sockets_set_name(struct sockets *s, uint32_t row, const char *name);

int sockets_stats(struct sockets *s, uint32_t row, struct sockets_stats *ret_stats);

/* A listening socket into a slot; out of it. */
int sockets_fill(struct sockets *s, uint32_t slot, int fd);
int sockets_clear(struct sockets *s, uint32_t slot);

/* Until every search for a socket that has begun is done. */
int sockets_wait(void);

#endif
