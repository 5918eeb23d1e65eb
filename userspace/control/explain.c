/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"
#include "control/frame_json.h"
#include "control/json_build.h"
#include "control/packet_names.h"
#include "l4/frame.h"
#include "loader/rehearse.h"

/* A sentence for each that there is, what to do about it where something can be done. */
static const char *const verdict_words[] = {
	[SHUNT_VERDICT_TX] = "sent on by the interface that it came in by",
	[SHUNT_VERDICT_PASS_LOCAL] = "left to this host, which has the service or is the backend",
	[SHUNT_VERDICT_PASS_NO_SERVICE] =
		"for no service: left to this host as it came (no listen address has its "
		"destination, protocol and port)",
	[SHUNT_VERDICT_PASS_NOT_IP] =
		"not IP, or behind more than two VLAN tags: left to this host as it came",
	[SHUNT_VERDICT_PASS_PROTOCOL] = "neither TCP nor UDP, nor ICMP that concerns a service: "
					"left to this host as it came",
	[SHUNT_VERDICT_PASS_FRAGMENT] = "a fragment whose first one is not known, of an address "
					"that the host has too: left "
					"to this host as it came",
	[SHUNT_VERDICT_PASS_MALFORMED] =
		"too short or too odd to say which service it is for: left to this host as it came",
	[SHUNT_VERDICT_DROP] = "dropped",
	[SHUNT_VERDICT_ANSWER] = "answered with a packet of the balancer's own",
	[SHUNT_VERDICT_REDIRECT] = "sent on by another interface than it came in by",
	[SHUNT_VERDICT_PASS_TUNNEL] = "an ICMP error about a tunnel that quotes too little to say "
				      "whose: left to this host",
};
_Static_assert(sizeof(verdict_words) / sizeof(verdict_words[0]) == SHUNT_VERDICT_COUNT,
	       "a sentence for each verdict");

static const char *const drop_words[] = {
	[SHUNT_DROP_TRUNCATED] = "it is shorter than its IP or transport header says",
	[SHUNT_DROP_BAD_HEADER] = "a field of its headers has a value that it cannot have",
	[SHUNT_DROP_FRAGMENT] =
		"a fragment whose first one has not been seen here, or node.fragments drops them",
	[SHUNT_DROP_NO_BACKEND] =
		"the service has no usable backend: see shuntctl health and backend list",
	[SHUNT_DROP_TOO_BIG] = "with the outer header it is over the MTU of the way to the backend",
	[SHUNT_DROP_HEADROOM] = "the driver gives no room for the outer header",
	[SHUNT_DROP_FORWARD] = "the backend is reached in a way that the program does not know",
	[SHUNT_DROP_BLOCKED] = "its source is on a block list: see shuntctl guard list",
	[SHUNT_DROP_SERVICE_RATE] = "the service has its new flows a second (guard) already",
	[SHUNT_DROP_SOURCE_RATE] = "its source has its new flows a second (guard) already",
	[SHUNT_DROP_ABUSE] = "its flags or its payload are what the service's guard refuses",
	[SHUNT_DROP_SYN_COOKIE] = "it answers a SYN cookie that was never sent",
	[SHUNT_DROP_NO_ROUTE] = "this host has no route to the backend that a packet can take",
	[SHUNT_DROP_TTL] = "it has no hop left",
	[SHUNT_DROP_FAMILY] = "the backend of forward nat is of the other address family",
	[SHUNT_DROP_NAT_FULL] = "the tables of NAT have no room for another flow of the service",
	[SHUNT_DROP_NAT_PORTS] = "no source port towards the backend is free",
	[SHUNT_DROP_NAT_CLASH] = "the backend could not tell its flow from another one",
	[SHUNT_DROP_NO_NEIGHBOUR] = "the next hop's MAC address is not known (yet)",
	[SHUNT_DROP_ICMP_RATE] = "more echo requests than node.icmp_rate answers",
};
_Static_assert(sizeof(drop_words) / sizeof(drop_words[0]) == SHUNT_DROP_COUNT,
	       "a sentence for each reason");

static const char *const count_names[] = {
#define X(name, text) text,
	SHUNT_SVC_COUNTERS(X)
#undef X
};

static const char *const entry_names[] = {
	[REHEARSE_ENTRY_PENDING] = "pending",
	[REHEARSE_ENTRY_FLOW] = "flow",
	[REHEARSE_ENTRY_NAT] = "nat",
	[REHEARSE_ENTRY_FRAGMENT] = "fragment",
};

static const char *const forward_names[] = {
	[SHUNT_FORWARD_IPIP] = "ipip",	 [SHUNT_FORWARD_GUE] = "gue", [SHUNT_FORWARD_L2] = "l2",
	[SHUNT_FORWARD_LOCAL] = "local", [SHUNT_FORWARD_NAT] = "nat",
};

static uint16_t gue_port(const struct rehearse_result *r)
{
	const uint8_t *port = (const uint8_t *)&r->backend_row.port;

	return r->backend && r->backend_row.forward == SHUNT_FORWARD_GUE
		       ? (uint16_t)(port[0] << 8 | port[1])
		       : 0;
}

static json_t *frame_json(const uint8_t *frame, size_t len, uint16_t port)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put_int(o, "bytes", len, &failed);
	json_put(o, "headers", frame_headers_json(frame, len, port), &failed);
	json_put(o, "frame", frame_hex_json(frame, len), &failed);
	return json_finish(o, failed);
}

static json_t *drop_json(const struct rehearse_result *r)
{
	/* Of an answer too there may be a reason: what it says is that the packet is not taken. */
	for (unsigned i = 0; i < SHUNT_DROP_COUNT; i++) {
		if (r->has_service && r->stats.drop[i])
			return json_pack("{s:s, s:s}", "reason", packet_drop_name(i), "explanation",
					 drop_words[i]);
	}
	return json_null();
}

/* "POOL/NAME" of a backend of the configuration by its id is not known here: the row's own name. */
static json_t *backend_json(const struct rehearse_result *r)
{
	const char *forward = NULL;

	if (!r->backend)
		return json_null();
	if (r->backend_row.forward < sizeof(forward_names) / sizeof(forward_names[0]))
		forward = forward_names[r->backend_row.forward];
	return json_pack("{s:o, s:o, s:I, s:s?, s:s}", "pool", json_text(r->backend_meta.pool),
			 "name", json_text(r->backend_meta.name), "id", (json_int_t)r->backend,
			 "forward", forward, "state",
			 r->backend_row.state == SHUNT_BACKEND_UP     ? "up"
			 : r->backend_row.state == SHUNT_BACKEND_DOWN ? "down"
								      : "draining");
}

static json_t *slot_json(const struct rehearse_result *r)
{
	if (!r->has_slot)
		return json_null();
	return json_pack("{s:I, s:I, s:s, s:I, s:I}", "index", (json_int_t)r->slot_at, "ring_size",
			 (json_int_t)r->ring_size, "state", r->slot.old ? "moving" : "settled",
			 "backend_id", (json_int_t)r->slot.backend, "old_id",
			 (json_int_t)r->slot.old);
}

/* Who decided on the backend, and what the tables of flows know afterwards. */
static const char *decision(const struct rehearse_result *r)
{
	bool followed = r->before != REHEARSE_ENTRY_NONE && r->before_backend == r->backend;
	bool made = r->stats.count[SHUNT_COUNT_NEW_FLOWS] && r->after != REHEARSE_ENTRY_NONE;

	if (r->stats.count[SHUNT_COUNT_CID])
		return "by the server id in the QUIC connection id";
	if (followed && r->before == REHEARSE_ENTRY_FRAGMENT)
		return "as the packet's first fragment";
	if (made && r->before == REHEARSE_ENTRY_NONE)
		return "a new flow: chosen by the ring, and entered";
	if (made && !followed)
		return "a new flow in place of one that is over: chosen by the ring, and entered";
	if (followed && r->has_slot && r->record.tracking == SHUNT_TRACK_ON_CHANGE && !r->slot.old)
		return "by the ring: its slot is settled, and no entry is looked at";
	if (followed && r->before == REHEARSE_ENTRY_PENDING && r->after == REHEARSE_ENTRY_FLOW)
		return "by the flow's pending entry, which becomes an established one";
	if (followed)
		return "by the flow's entry";
	if (r->before != REHEARSE_ENTRY_NONE)
		return "the flow's entry is void or its backend gone: chosen anew by the ring";
	if (r->slot.old && r->slot.old == r->backend)
		return "no entry in a slot that is moving: with the backend of before";
	if (r->has_slot)
		return "by the ring";
	return "not by a ring";
}

static json_t *tracking_json(const struct rehearse_result *r)
{
	static const char *const names[] = {
		[SHUNT_TRACK_ON_CHANGE] = "on-change",
		[SHUNT_TRACK_ALWAYS] = "always",
		[SHUNT_TRACK_NEVER] = "never",
	};

	if (!r->backend)
		return json_null();
	return json_pack("{s:s?, s:s?, s:s?, s:s}", "mode",
			 r->has_slot && r->record.tracking <= SHUNT_TRACK_NEVER
				 ? names[r->record.tracking]
				 : NULL,
			 "entry_before", entry_names[r->before], "entry_after",
			 entry_names[r->after], "decided", decision(r));
}

/* Which service of the proxy it is for, and by which of its listen addresses; null: none. */
static json_t *listener_json(const struct snapshot *snap, const uint8_t *frame, size_t len,
			     const struct rehearse_result *r)
{
	const struct service *s;
	char text[LISTEN_STRLEN];
	struct frame_ends ends;

	if (r->action != REHEARSE_PASS || !frame_ends(frame, len, &ends) ||
	    ends.proto != IPPROTO_TCP)
		return json_null();
	s = listen_find_proxied(snap, &ends.destination);
	for (size_t i = 0; s && i < s->listen_count; i++) {
		if (listen_has(&s->listens[i], &ends.destination))
			return json_pack("{s:s, s:s, s:s}", "service", s->name, "mode",
					 service_mode_name(s->mode), "listen",
					 listen_format(&s->listens[i], text, sizeof(text)));
	}
	return json_null();
}

static json_t *counters_json(const struct rehearse_result *r)
{
	json_t *o = json_object();
	bool failed = !o;

	for (int i = 0; i < SHUNT_COUNT_COUNT; i++) {
		if (r->has_service && r->stats.count[i])
			json_put_counter(o, count_names[i], r->stats.count[i], &failed);
	}
	return json_finish(o, failed);
}

json_t *explain_result(const struct snapshot *snap, const uint8_t *frame, size_t len,
		       const struct rehearse_result *r)
{
	bool counted = r->verdict < SHUNT_VERDICT_COUNT;
	bool sent = r->action == REHEARSE_SEND;
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "packet", frame_json(frame, len, 0), &failed);
	json_put(o, "verdict", json_string(counted ? packet_verdict_name(r->verdict) : "error"),
		 &failed);
	json_put(o, "explanation",
		 json_string(counted ? verdict_words[r->verdict] : "the program ended early"),
		 &failed);
	json_put(o, "service", r->has_service ? json_text(r->service_name) : json_null(), &failed);
	json_put(o, "listener", listener_json(snap, frame, len, r), &failed);
	json_put(o, "drop", drop_json(r), &failed);
	json_put(o, "slot", slot_json(r), &failed);
	json_put(o, "tracking", tracking_json(r), &failed);
	json_put(o, "backend", backend_json(r), &failed);
	json_put(o, "counters", counters_json(r), &failed);
	json_put(o, "output", sent ? frame_json(r->out, r->out_len, gue_port(r)) : json_null(),
		 &failed);
	return json_finish(o, failed);
}
