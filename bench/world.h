/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steering program as it is built for production, with tables of its own, sized and filled for
 * one case. Nothing is attached and nothing pinned. Functions return 0 or -errno and say on stderr
 * what went wrong.
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <stdint.h>

#include "bench/cases.h"

struct bpf_object;

/* What the program has counted so far, in the measured service and in all. */
struct world_counts {
	uint64_t verdict[SHUNT_VERDICT_COUNT];
	uint64_t new_flows;
};

struct world {
	struct bpf_object *obj;
	int prog_fd;
};

/* Entries that a table of flows has by default. */
#define WORLD_FLOWS (1U << 20)

/* file: of the program; NULL for the one that is built in. entries: of the table of flows, more
 * where the case has more flows. */
int world_open(struct world *w, const struct bench_case *c, const char *file, uint32_t entries);
void world_close(struct world *w); /* all zero is fine */

/* So many flows can be pending at a time whose packets all come to one processor. */
uint32_t world_pending_share(void);

int world_counts(const struct world *w, struct world_counts *ret_counts);

#endif
