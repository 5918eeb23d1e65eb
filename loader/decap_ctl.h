/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What shunt-decap does: put the decapsulating program on an interface, take it off, say how it
 * stands. All that is made is pinned (decap_pin.h) and works on without a process. Main thread.
 */
#ifndef LOADER_DECAP_CTL_H
#define LOADER_DECAP_CTL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/decap_abi.h"
#include "core/addr.h"
#include "core/diag.h"

enum decap_how { DECAP_XDP_NATIVE, DECAP_XDP_GENERIC, DECAP_TC };

/* "xdp-native", "xdp-generic", "tc". */
const char *decap_how_name(enum decap_how how);

struct decap_opts {
	const char *pin_path;
	const char *ifname;
	enum decap_how how;
	const struct addr *services;
	size_t service_count; /* at least one */
	uint16_t gue_port;    /* host order; 0: GUE passes untouched */
};

/*
 * Attach, or bring up to date what is attached: addresses, port and program change, counters go
 * on, and no packet meets a moment without them. ret_updated: it was attached before.
 * 0, or -errno with d filled; then an interface that had nothing still has nothing.
 */
int decap_attach(const struct decap_opts *opts, bool *ret_updated, struct diag *d);

/* Take off what decap_attach() put there. ret_found: something was. An interface that is gone leaves
 * its pins, which this removes. */
int decap_detach(const char *pin_path, const char *ifname, bool *ret_found, struct diag *d);

struct decap_state {
	char ifname[IF_NAMESIZE];
	bool attached; /* false: the interface is gone, or somebody else took the program off */
	enum decap_how how;
	uint32_t prog_id;
	struct addr *services; /* sorted */
	size_t service_count;
	uint16_t gue_port;
	uint64_t counters[DECAP_COUNTERS]; /* by DECAP_COUNTER() */
};

/* All interfaces of this network namespace. ret_states: malloc'ed, to decap_states_free(). */
int decap_list(const char *pin_path, struct decap_state **ret_states, size_t *ret_count,
	       struct diag *d);
void decap_states_free(struct decap_state *states, size_t count); /* NULL is fine */

/* libbpf's messages: to the log at debug; the last one is kept for d. Before all others. */
void decap_init_logging(void);

#endif
