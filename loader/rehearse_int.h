/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a rehearsal share. Nobody else includes it. */
#ifndef LOADER_REHEARSE_INT_H
#define LOADER_REHEARSE_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/rehearse.h"
#include "loader/state.h"

struct rehearsal {
	const struct loader *l;
	struct steer_xdp_bpf *skel;
	int fds[LOADER_MAP_COUNT]; /* of its own tables; -1: it has the live one. The skeleton's */
	uint32_t services, backends; /* rows that it has: all that are in use */
	uint32_t stamps;	     /* slots of rings in use end here */
	uint64_t *row;		     /* room for a row of a table per processor */
	unsigned processors;
};

/* The flow that a packet is of, or tells about. */
struct rehearse_flow {
	uint8_t family;
	bool has_ports;
	bool is_fragment; /* a later one: only the key of fragments is filled */
	union {
		struct shunt_flow4_key v4;
		struct shunt_flow6_key v6;
	} key;
	union {
		struct shunt_frag4_key v4;
		struct shunt_frag6_key v6;
	} frag;
};

/* rehearse_copy.c: what a frame is of; false: of no flow. */
bool rehearse_flow_of(const uint8_t *frame, size_t len, struct rehearse_flow *ret_flow);

/* Copy what the live tables have of the flow, where the rehearsal has nothing yet. */
void rehearse_copy(struct rehearsal *r, const struct rehearse_flow *flow);

/* What the rehearsal has of it; ret_backend: that the entry names. */
enum rehearse_entry rehearse_entry_of(const struct rehearsal *r, const struct rehearse_flow *flow,
				      uint32_t *ret_backend);

#endif
