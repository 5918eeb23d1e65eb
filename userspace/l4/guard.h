/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block and allow lists and the limits of services, in the kernel's tables. Entries of the
 * configuration are brought in step with it; those of commands that end, and those that the program
 * has made by itself, live in the tables alone, and so outlive the daemon. Main thread.
 */
#ifndef L4_GUARD_H
#define L4_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "conf/snapshot.h"
#include "core/diag.h"
#include "l4/desired.h"
#include "l4/tables.h"

struct guard;
struct loader;
struct plan;

/* An entry, for reports. */
struct guard_item {
	struct addr addr;
	unsigned len;
	const char *service; /* whose it is, borrowed until the next change; NULL: the node's */
	enum shunt_guard_action action;
	enum shunt_guard_origin origin;
	enum shunt_guard_reason reason;
	uint64_t left_ms; /* 0: for ever */
	char note[SHUNT_NOTE_MAX];
};

struct guard_counters {
	uint64_t blocked;	   /* sources that the program has blocked */
	uint64_t lost;		   /* of them, those for which their half of a list had no room */
	uint64_t released;	   /* entries whose time was over */
	uint64_t entries[2], room; /* IPv4, IPv6; what each list can hold */
};

/* Both borrowed, and in place for as long. Reads what is there. 0, or -errno. */
int guard_open(struct loader *loader, const struct tables *tables, struct guard **ret_guard);
void guard_close(struct guard *g); /* NULL is fine; the tables stay as they are */

/* Is there room for the lists of snap? 0, or -ENOSPC with d filled. Warns where the kernel will not
 * make the SYN cookies that a service wants. */
int guard_check(const struct guard *g, const struct snapshot *snap, struct diag *d);

/* Limits of all services, in the rows that they will have by the plan: before it is carried out, as
 * records refer to them then. 0, or -errno. */
int guard_apply_limits(struct guard *g, const struct desired *want, const struct plan *plan,
		       struct diag *d);

/* The lists. 0, or -errno with d filled; the next call completes what one has left. */
int guard_apply_lists(struct guard *g, const struct snapshot *snap, struct diag *d);

/*
 * Commands: an entry of the node that ends in for_ms, in place of one that a command has made
 * before; remove one, of the node or (service not NULL) of a service; forget all but the
 * configuration's. 0, or -errno with d filled: -EEXIST where the configuration has the prefix,
 * -ENOSPC, -ENOENT.
 */
int guard_add(struct guard *g, const struct guard_prefix *entry, uint64_t for_ms, struct diag *d);
int guard_remove(struct guard *g, const struct addr *addr, unsigned len, const char *service,
		 struct diag *d);
int guard_flush(struct guard *g, size_t *ret_removed, struct diag *d);

/* Is there an entry of the node that is not the configuration's? */
bool guard_has(const struct guard *g, const struct addr *addr, unsigned len);

/* All entries, IPv4 first. 0, or -errno. */
typedef void (*guard_item_cb)(void *ctx, const struct guard_item *item);
int guard_each(const struct guard *g, guard_item_cb cb, void *ctx);
void guard_counters(const struct guard *g, struct guard_counters *ret_counters);

/* Cookies that a service has answered SYNs by. 0 also where it has no row. */
uint64_t guard_cookies(const struct guard *g, const char *service);

/* What is told of, whenever it comes to light: cb (NULL: nobody listens). */
enum guard_report { GUARD_REPORT_BLOCKED, GUARD_REPORT_LOST, GUARD_REPORT_RELEASED };
typedef void (*guard_report_cb)(void *ctx, enum guard_report what, const struct guard_item *item);
void guard_on_report(struct guard *g, guard_report_cb cb, void *ctx);

/* Call twice a second or so: lists what the program has blocked, removes what has ended, for some
 * milliseconds. True: there is more of that to do; call again soon. */
bool guard_tick(struct guard *g);

/* l4/desired.c: what a service's record and row of limits say; scope is guard_apply_limits()'s.
 * Pure. */
uint8_t guard_flags(const struct service *s);
void guard_fill(const struct service *s, unsigned mtu, struct shunt_svc_guard *ret_row);

extern const char *const guard_action_words[], *const guard_origin_words[],
						       *const guard_reason_words[];

#endif
