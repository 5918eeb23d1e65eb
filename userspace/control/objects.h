/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON of what there is: one function for each kind of object, whichever command shows it. Field
 * names are stable, units stand in them. All return a new value, or NULL: out of memory. Main thread.
 */
#ifndef CONTROL_OBJECTS_H
#define CONTROL_OBJECTS_H

#include <jansson.h>

#include "conf/diff.h"
#include "conf/snapshot.h"
#include "control/commands.h"

struct route;
struct route_set;

json_t *object_service(const struct commands_env *env, const struct snapshot *snap,
		       const struct service *service);
json_t *object_pool(const struct commands_env *env, const struct snapshot *snap,
		    const struct pool *pool);
json_t *object_health(const struct backend *backend); /* its checks alone */
json_t *object_changes(const struct change_list *changes);

/* All backends of a pool, appended to list; they are read from the kernel together. */
void object_push_backends(json_t *list, const struct commands_env *env, const struct snapshot *snap,
			  const struct pool *pool, bool *failed);

/* Parts of an object: who a backend is; what its checks found. */
void object_put_identity(json_t *object, const struct backend *backend, bool *failed);
void object_put_checks(json_t *object, const struct backend *backend, bool *failed);

/* How many backends there are in each state, of one pool or (pool NULL) of all. */
json_t *object_backend_states(const struct snapshot *snap, const struct pool *pool);

/* object_guard.c: limits of a service and what they have done; all entries of the lists. */
json_t *object_service_guard(const struct commands_env *env, const struct service *service);
json_t *object_guard(const struct commands_env *env);

/* object_resilience.c: outliers, limits and what they turned away, of a proxied pool; whether
 * a backend is left out. */
void object_put_resilience(json_t *object, const struct pool *pool, bool *failed);
void object_put_outlier(json_t *object, const struct backend *backend, bool *failed);

/* object_relay.c: of a tcp or tls service, else null; PROXY headers from clients, null: off. */
json_t *object_relay(const struct snapshot *snap, const struct service *service);
json_t *object_proxy_in(const struct service *service);

/* object_limits.c: the rate limits, with what they have done. Goes through all of their entries. */
json_t *object_limits(const struct snapshot *snap);

/* object_routes.c: the routes of an http service, in order, with what was counted for them; which one
 * it is; what becomes of its requests, route NULL: of those that none fits. */
json_t *object_routes(const struct snapshot *snap, const struct service *service);
json_t *object_route_name(const struct route_set *set, const struct route *route);
void object_put_action(json_t *object, const struct service *service, const struct route *route,
		       bool *failed);

/* object_tree.c: (a part of) a document. */
json_t *object_tree(const struct tree *t);

json_t *object_version(void);

/* The whole daemon. unsaved: the document in force differs from the file. flows: count the flow
 * tables too, which walks them and is slow where they are full. */
json_t *object_status(const struct commands_env *env, const struct snapshot *snap, bool unsaved,
		      bool flows);

/* One word for a person: "up", "down", "draining", "disabled". */
const char *backend_state_word(const struct backend *b);

/* TLS towards the clients of a service, its certificates with the seconds until they expire
 * (object_tls.c); null where it has none. */
json_t *object_tls(const struct service *s);

/* The certificates of all services. */
json_t *object_certificates(const struct snapshot *snap);

/* How a proxy pool balances: the policy, and the groups of backends with their shares and weights now. */
json_t *object_balance(const struct pool *p);

#endif
