/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/capture_json.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "conf/snapshot.h"
#include "control/frame_json.h"
#include "control/json_build.h"
#include "control/packet_names.h"
#include "l4/frame.h"
#include "loader/maps.h"

#define NS_PER_S 1000000000ULL

static const char *const action_names[] = {
	[XDP_ABORTED] = "aborted", [XDP_DROP] = "drop",		[XDP_PASS] = "pass",
	[XDP_TX] = "tx",	   [XDP_REDIRECT] = "redirect",
};

/* ---- names ---- */

static bool find_service(const struct capture_names *names, const struct capture_record *r,
			 struct shunt_svc_meta *ret_meta)
{
	return names->loader && r->service &&
	       !maps_service_meta_get(names->loader, r->service - 1, ret_meta) && ret_meta->name[0];
}

/* NAT alone sends to the backend's port, if it has one. */
static bool is_at(const struct backend *b, const struct endpoint *ep)
{
	if (addr_cmp(&b->ep.addr, &ep->addr) != 0)
		return false;
	return b->forward != FORWARD_NAT || !b->ep.port || b->ep.port == ep->port;
}

static const struct backend *in_pool(const struct pool *pool, const struct endpoint *ep)
{
	for (size_t i = 0; pool && i < pool->backend_count; i++)
		if (is_at(&pool->backends[i], ep))
			return &pool->backends[i];
	return NULL;
}

/* Who a service's packet went to, by where it was sent: its tunnel's other end, or the destination that
 * NAT gave it. One that was sent on by its MAC address is for the service still, and tells nothing. */
static const struct backend *find_backend(const struct capture_names *names, const char *service,
					  const struct capture_record *r, const uint8_t *after)
{
	const struct service *s = snapshot_service(names->snap, service);
	const struct backend *b;
	struct frame_ends ends;

	if (!s || !frame_ends(after, r->after_kept, &ends))
		return NULL;
	b = in_pool(s->pool, &ends.destination);
	for (size_t i = 0; !b && i < s->source_route_count; i++)
		b = in_pool(s->source_routes[i].pool, &ends.destination);
	return b;
}

static json_t *pair(const char *pool, const char *name)
{
	return json_pack("{s:o, s:o}", "pool", json_text(pool), "name", json_text(name));
}

/* Of a reply, whom it came from. */
static json_t *backend_json(const struct capture_names *names, const struct capture_record *r,
			    const struct backend *b)
{
	struct shunt_be_meta meta;

	if (b)
		return pair(b->pool->name, b->name);
	if (names->loader && r->backend &&
	    !maps_backend_meta_get(names->loader, SHUNT_ID_INDEX(r->backend), &meta) &&
	    meta.id == r->backend)
		return pair(meta.pool, meta.name);
	return json_null();
}

static uint16_t gue_port(const struct backend *b)
{
	enum forward forward = b ? b->forward : FORWARD_IPIP;

	return forward == FORWARD_GUE ? b->pool->gue_port : 0;
}

/* ---- the packet ---- */

static json_t *frame_json(const struct capture_names *names, const uint8_t *frame, uint32_t len,
			  uint32_t kept, uint16_t port)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put_int(o, "bytes", len, &failed);
	if (names->headers)
		json_put(o, "headers", frame_headers_json(frame, kept, port), &failed);
	json_put(o, "frame", frame_hex_json(frame, kept), &failed);
	return json_finish(o, failed);
}

static json_t *interface_json(uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(ifindex, name))
		(void)snprintf(name, sizeof(name), "if%u", ifindex); /* gone meanwhile */
	return json_text(name);
}

json_t *capture_json(const struct capture_names *names, const struct capture_record *r,
		     const uint8_t *before, const uint8_t *after)
{
	bool dropped = r->action == XDP_DROP || r->action == XDP_ABORTED;
	uint64_t at_ns = names->epoch_ns + r->before_ns;
	const struct backend *b = NULL;
	struct shunt_svc_meta meta;
	bool has_service = find_service(names, r, &meta);
	json_t *o = json_object();
	bool failed = !o;

	if (has_service && !dropped && !(r->flags & CAPTURE_REPLY))
		b = find_backend(names, meta.name, r, after);
	json_put_int(o, "id", r->id, &failed);
	json_put_int(o, "seconds", at_ns / NS_PER_S, &failed);
	json_put_int(o, "nanoseconds", at_ns % NS_PER_S, &failed);
	json_put_int(o, "took_ns", r->after_ns - r->before_ns, &failed);
	json_put(o, "interface", interface_json(r->ifindex), &failed);
	json_put_int(o, "queue", r->queue, &failed);
	json_put(o, "action",
		 json_string(r->action <= XDP_REDIRECT ? action_names[r->action] : "unknown"),
		 &failed);
	json_put(o, "verdict", json_pack("s?", packet_verdict_name(r->verdict)), &failed);
	json_put(o, "drop", json_pack("s?", packet_drop_name(r->drop)), &failed);
	json_put(o, "service", has_service ? json_text(meta.name) : json_null(), &failed);
	json_put(o, "backend", backend_json(names, r, b), &failed);
	json_put(o, "reply", json_boolean(r->flags & CAPTURE_REPLY), &failed);
	json_put(o, "before", frame_json(names, before, r->before_len, r->before_kept, 0), &failed);
	json_put(o, "after",
		 dropped ? json_null()
			 : frame_json(names, after, r->after_len, r->after_kept, gue_port(b)),
		 &failed);
	return json_finish(o, failed);
}
