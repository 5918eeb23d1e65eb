/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot while it is built: beside each of its rows the place in the document that it came
 * from. Shared by conf/build.c, which fills it, and conf/check.c, which looks at what belongs
 * together. Main thread.
 */
#ifndef CONF_DRAFT_H
#define CONF_DRAFT_H

#include "conf/read.h"
#include "conf/snapshot.h"
#include "conf/tree.h"

/* Of the pool, and of its backends in their order. */
struct pool_draft {
	const struct tree *node;
	const struct tree **backend_nodes;
	size_t l4_user, proxy_user; /* index + 1 of the first service of that sort; 0: none */
	int tcp_port;		    /* of all its services; 0: they have none; -1: several */
};

struct service_draft {
	const struct tree *node;
};

struct draft {
	struct snapshot *snap;
	const struct tree *root;
	struct reader reader;
	struct pool_draft *pools;	/* as snap->pools */
	struct service_draft *services; /* as snap->services */
	const struct found *found;	/* conf/found.h */
	bool prefix_listens;		/* some service listens on a prefix */
};

/* The children of a mapping in the order of their names, bad names reported. what: "pool". Their
 * number; 0 also where there is no mapping. */
size_t draft_sort_named(struct draft *dr, const char *key, const char *what,
			const struct tree ***ret_sorted);

/* build_limit.c: the rate limits; before the services that use them. */
void draft_read_rate_limits(struct draft *dr);

/* There is no pool of that name: which was meant? */
void draft_unknown_pool(struct draft *dr, const struct tree *name);

/* build_route.c: the variables and routes of a service. All pools have been read. */
void draft_build_routes(struct draft *dr, const struct tree *node, struct service *s);

/* build_pool.c: the expressions of pools, which have been read. */
void draft_build_pool_rules(struct draft *dr);

/* build_discover.c: what was found for a pool, beside its list; then, when it is known how the pool
 * forwards, without what the kernel can do nothing with; and what its key discover says. */
void draft_add_found(struct draft *dr, struct pool_draft *pd, struct pool *p);
void draft_settle_found(struct draft *dr, struct pool_draft *pd, struct pool *p);
void draft_check_discover(struct draft *dr);

/* build_guard.c: the block and allow lists; what is wrong with them goes to the reader's diag. */
void draft_read_guard(struct draft *dr);

/* check_relay.c: what tcp and tls services have alone. */
void draft_check_relay(struct draft *dr);

/* check_resilience.c: what services and pools say of failures; and of it, what a mapping of the key
 * retry says, of whatever the reader's object is. */
void draft_check_resilience(struct draft *dr);
void draft_check_retry(struct draft *dr, const struct tree *node, const struct retry_conf *c);
/* check_health.c: how the backends of a pool are checked; compiles what a body must look like. */
void draft_check_health(struct draft *dr, const struct tree *node, struct pool *p);

/* check_guard.c: what a service's guard says, beside the rest. */
void draft_check_guard(struct draft *dr);

/* Where listen i of a service is written. */
const struct pos *draft_listen_pos(const struct service_draft *s, size_t i);

/* A listen address, whose it is, and where. */
struct listen_row {
	const struct listen *listen;
	const struct service *service;
	const struct pos *pos;
};

/* All that could be read and fit (NULL: all do), in the draft's memory. Their number. */
size_t draft_list_listens(struct draft *dr, bool (*fits)(const struct listen *l),
			  struct listen_row **ret_rows);

/* Of a key of a node where it is given, else of the node itself. */
const struct pos *draft_key_pos(const struct tree *node, const char *key);

/* Is its mode said, and one that there is? */
bool draft_knows_mode(const struct draft *dr, const struct service *s);

/* " (FILE:LINE:COLUMN)" of the other one of two; nothing where it has no place. */
struct place {
	char s[256];
};
struct place draft_place(const struct pos *pos);

/* What depends on other rows and was not said: forwarding, health checks and their ports. */
void draft_resolve(struct draft *dr);

/* The same of NAT (conf/check_nat.c). within: the limits, so that each backend can be held against each
 * listen of its services. */
void draft_check_nat(struct draft *dr, bool within);

/* Everything that no row can know alone; errors go to the reader's diag. */
void draft_check(struct draft *dr);

/* Of it, what l4 services have alone: ranges, source routes, QUIC. within: the limits are kept. */
void draft_check_l4(struct draft *dr, bool within);

/* check_tls.c: certificates and keys are read from their files and held against each other. */
void draft_check_tls(struct draft *dr);

/* check_access.c: what lines of access logs are made of, and where they go. */
void draft_check_access(struct draft *dr);

/* check_admin.c: the token is read from its file. */
void draft_check_admin(struct draft *dr);

/* Rows in the tables of services that the source routes of a service take, beside its own; and how
 * many sources they name. */
size_t draft_route_rows(const struct service *s, size_t *ret_sources);

#endif
