/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the backends of a pool are found, beside those that its configuration lists. A part of struct
 * pool (conf/snapshot.h). */
#ifndef CONF_DISCOVER_H
#define CONF_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

enum discover_kind { DISCOVER_NONE, DISCOVER_DNS, DISCOVER_FILE };
enum discover_family { DISCOVER_ANY, DISCOVER_IPV4, DISCOVER_IPV6 };
enum discover_empty { DISCOVER_KEEP, DISCOVER_TAKE };

#define DISCOVER_RESOLVERS_MAX 8

/* What people said of a backend that is found, or was once; it holds when it is found again. */
struct discover_override {
	const char *name;
	bool has_state, has_weight;
	int state; /* enum admin_state */
	unsigned weight;
};

struct discover_conf {
	enum discover_kind kind;
	const char *dns;  /* a name; one that begins with _ is of SRV records */
	const char *file; /* path of a list */
	uint16_t port;	  /* where none is found with the address; 0: none */
	enum discover_family family;
	unsigned min_ttl_ms, max_ttl_ms; /* dns: bounds of the time until it is asked again */
	unsigned timeout_ms;		 /* dns: of all questions of one lookup together */
	enum discover_empty empty;	 /* what becomes of a good answer that names nobody */
	struct endpoint *resolvers;	 /* dns; none: those of the host */
	size_t resolver_count;
	struct discover_override *overrides;
	size_t override_count;
};

/* What it looks for: the name, or the path. NULL: nothing. */
static inline const char *discover_source(const struct discover_conf *c)
{
	return c->kind == DISCOVER_DNS ? c->dns : c->kind == DISCOVER_FILE ? c->file : NULL;
}

/* Is the name one of SRV records? */
static inline bool discover_is_srv(const struct discover_conf *c)
{
	return c->kind == DISCOVER_DNS && c->dns[0] == '_';
}

/* "dns", "file"; of a backend that the configuration lists "config". */
const char *discover_kind_name(enum discover_kind kind);

#endif
