// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * Looks at packets before and after the steering program, which does not know of it: the kernel calls
 * one program where the other begins and one where it ends, for as long as a capture lasts. Loaded by
 * loader/capture.c, which names the program to look at.
 *
 * They read the tables by which a packet finds its service, and counters to see which of them the
 * packet moved; they write none of them.
 */
#include "bpf/compat.h"

#include "bpf/capture_abi.h"
#include "bpf/hash.h"
#include "bpf/maps.h"
#include "bpf/parse.h"
#include "bpf/service.h"

/* So much is read to find out whether a packet is wanted. */
#define HEAD_LEN	    256
#define ICMP_LEN	    8
#define ICMP_TYPE_UNREACH   3
#define ICMP_TYPE_EXCEEDED  11
#define ICMP_TYPE_PARAMETER 12
#define ICMP6_TYPES_INFO    128 /* types of errors are below */

/* Of the kernel's own, as far as it matters here. */
struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

struct xdp_rxq_info {
	struct net_device *dev;
	__u32 queue_index;
} __attribute__((preserve_access_index));

struct xdp_buff {
	void *data;
	void *data_end;
	void *data_hard_start;
	struct xdp_rxq_info *rxq;
} __attribute__((preserve_access_index));

const volatile struct capture_settings settings = {};

/* What is asked about a packet: its own addresses, and the vip key of the service it concerns. */
struct ends {
	__be32 source[4], destination[4]; /* IPv4 in word 0 */
	__u16 sport, dport;		  /* host order; 0: none */
	__u8 family, proto;
	__u16 _pad;
	struct shunt_vip_key vip; /* family 0: by its address alone */
};

/* The packet that a processor is at. */
struct capture_room {
	__u64 xdp, hard_start; /* which one it is; 0: none that is wanted */
	__u64 verdicts[SHUNT_VERDICT_COUNT];
	__u64 drops[SHUNT_DROP_COUNT];
	struct ends ends;
	struct capture_record record;
	__u8 bytes[2 * CAPTURE_SNAP_MAX]; /* goes with the record */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct capture_room);
	__uint(max_entries, 1);
} cap_room SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct capture_totals);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
} cap_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CAPTURE_RING_LEN);
} cap_ring SEC(".maps");

/*
 * Of a length that is read from memory, in a variable of its own: what Linux 6.1 learns of one by a
 * comparison it does not learn of its copies ("R2 unbounded memory access").
 */
static __always_inline __u32 at_most(__u32 len, __u32 most)
{
	barrier_var(len);
	if (len > most)
		len = most;
	return len;
}

/* ---- which packet ---- */

static __always_inline void copy_addr(__be32 to[4], const void *from, __u8 family)
{
	if (family == 4)
		__builtin_memcpy(to, from, 4);
	else
		__builtin_memcpy(to, from, 16);
}

static __always_inline void ends_of_flow(const struct pkt *p, struct ends *e)
{
	if (p->family == 4) {
		e->source[0] = p->flow4.saddr;
		e->destination[0] = p->flow4.daddr;
		e->sport = bpf_ntohs(p->flow4.sport);
		e->dport = bpf_ntohs(p->flow4.dport);
		return;
	}
	for (int i = 0; i < 4; i++) {
		e->source[i] = p->flow6.saddr[i];
		e->destination[i] = p->flow6.daddr[i];
	}
	e->sport = bpf_ntohs(p->flow6.sport);
	e->dport = bpf_ntohs(p->flow6.dport);
}

/* The parser leaves addresses alone where there are no ports. */
static __always_inline void ends_of_header(const struct pkt *p, struct ends *e)
{
	const __u8 *l3 = (const __u8 *)p->eth + (p->l2_len & 31);

	if (p->family == 4) {
		copy_addr(e->source, l3 + 12, 4);
		copy_addr(e->destination, l3 + 16, 4);
	} else {
		copy_addr(e->source, l3 + 8, 6);
		copy_addr(e->destination, l3 + 24, 6);
	}
}

static __always_inline bool icmp_is_error(__u8 family, __u8 type)
{
	if (family == 6)
		return type < ICMP6_TYPES_INFO;
	return type == ICMP_TYPE_UNREACH || type == ICMP_TYPE_EXCEEDED ||
	       type == ICMP_TYPE_PARAMETER;
}

/* An ICMP error quotes what a service's backend sent: its source is the service's address. */
static __always_inline void vip_of_quote(const struct pkt *p, struct ends *e)
{
	const __u8 *icmp = (const __u8 *)p->eth + (p->l2_len & 31) + (p->l3_len & PKT_L3_MAX);
	const __u8 *ip = icmp + ICMP_LEN, *l4;
	__u8 proto;

	if ((void *)(ip + 44) > p->end && (p->family == 6 || (void *)(ip + 24) > p->end))
		return;
	if (!icmp_is_error(p->family, icmp[0]))
		return;
	proto = ip[p->family == 4 ? 9 : 6];
	l4 = ip + (p->family == 4 ? (ip[0] & 15) * 4 : 40);
	if ((void *)(l4 + 2) > p->end || !has_ports(proto))
		return;
	copy_addr(e->vip.addr, ip + (p->family == 4 ? 12 : 8), p->family);
	e->vip.port = *(const __be16 *)l4;
	e->vip.proto = proto;
	e->vip.family = p->family;
}

/* Of the first len bytes, which are in the room. False: no IP packet. No part of its caller, here and
 * below, because a chain of calls has 512 bytes of stack. */
static __noinline bool ends_find(struct capture_room *room, __u32 len)
{
	struct pkt p = {.eth = (void *)room->bytes, .end = room->bytes + len};
	struct ends *e = &room->ends;
	enum verdict v = parse_packet(&p);

	if (!p.family)
		return false;
	e->family = p.family;
	e->proto = p.proto;
	if (v == V_PASS_PROTOCOL) {
		ends_of_header(&p, e);
		if (p.proto == (p.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			vip_of_quote(&p, e);
		return true;
	}
	if (v != V_NEXT && v != V_PASS_FRAGMENT)
		return false;
	ends_of_flow(&p, e);
	if (v != V_NEXT)
		return true;
	for (int i = 0; i < 4; i++)
		e->vip.addr[i] = e->destination[i];
	e->vip.port = bpf_htons(e->dport);
	e->vip.proto = e->proto;
	e->vip.family = e->family;
	return true;
}

/* ---- which service ---- */

/* 1 + row; 0: none. */
static __noinline __u32 service_of(const struct shunt_vip_key *vip)
{
	struct shunt_vip_key key = *vip;
	const struct shunt_service *svc = bpf_map_lookup_elem(&sh_services, &key);

	if (!svc && service_find_wide(&key))
		svc = bpf_map_lookup_elem(&sh_services, &key);
	return svc ? svc->index + 1 : 0;
}

/* NAT: of a packet from a backend, whose flow knows whom it is for. */
static __noinline const struct shunt_nat *nat_of(const struct ends *e)
{
	if (e->family == 4) {
		struct shunt_flow4_key key = {
			.saddr = e->source[0],
			.daddr = e->destination[0],
			.sport = bpf_htons(e->sport),
			.dport = bpf_htons(e->dport),
			.proto = e->proto,
		};

		return bpf_map_lookup_elem(&sh_nat_rev4, &key);
	} else {
		struct shunt_flow6_key key = {
			.sport = bpf_htons(e->sport),
			.dport = bpf_htons(e->dport),
			.proto = e->proto,
		};

		for (int i = 0; i < 4; i++) {
			key.saddr[i] = e->source[i];
			key.daddr[i] = e->destination[i];
		}
		return bpf_map_lookup_elem(&sh_nat_rev6, &key);
	}
}

/* Whose a reply is, too. */
static __noinline void find_nat(struct capture_room *room)
{
	const struct shunt_nat *nat = nat_of(&room->ends);
	struct shunt_vip_key key = room->ends.vip;

	if (!nat)
		return;
	room->record.flags = CAPTURE_REPLY;
	room->record.backend = nat->backend;
	for (int i = 0; i < 4; i++)
		key.addr[i] = nat->service[i];
	key.port = nat->service_port;
	room->record.service = service_of(&key);
}

/* Without ports there is a service of the address alone. */
static __noinline void find_address(struct capture_room *room)
{
	struct shunt_addr_key addr = {.family = room->ends.family};
	const struct shunt_vip *vip;

	for (int i = 0; i < 4; i++)
		addr.addr[i] = room->ends.destination[i];
	vip = bpf_map_lookup_elem(&sh_vips, &addr);
	if (vip)
		room->record.service = vip->service + 1;
}

static __noinline void find_service(struct capture_room *room)
{
	const struct ends *e = &room->ends;

	if (!e->vip.family) {
		find_address(room);
		return;
	}
	room->record.service = service_of(&e->vip);
	if (!room->record.service && e->vip.proto == e->proto)
		find_nat(room);
}

/* ---- is it wanted? ---- */

static __always_inline bool prefix_has(const volatile struct capture_prefix *prefix, __u8 family,
				       const __be32 addr[4])
{
	if (!prefix->family)
		return true;
	if (prefix->family != family)
		return false;
	for (int i = 0; i < 4; i++) {
		if ((addr[i] & prefix->mask[i]) != prefix->addr[i])
			return false;
	}
	return true;
}

static __always_inline bool ends_are_wanted(const struct ends *e)
{
	__u8 proto = e->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : e->proto;

	if (settings.proto && settings.proto != proto)
		return false;
	if (settings.port && settings.port != e->sport && settings.port != e->dport)
		return false;
	return prefix_has(&settings.source, e->family, e->source) &&
	       prefix_has(&settings.destination, e->family, e->destination);
}

/* Whether anything is asked that only an IP packet can have. */
static __always_inline bool any_will_do(void)
{
	return !settings.proto && !settings.port && !settings.source.family &&
	       !settings.destination.family && !settings.service;
}

static __always_inline bool is_wanted(struct capture_room *room, __u32 len)
{
	len = at_most(len, HEAD_LEN);
	if (bpf_probe_read_kernel(room->bytes, len, (const void *)room->xdp))
		return false;
	__builtin_memset(&room->ends, 0, sizeof(room->ends));
	if (!ends_find(room, len))
		return any_will_do();
	if (!ends_are_wanted(&room->ends))
		return false;
	find_service(room);
	return !settings.service || settings.service == room->record.service;
}

/* ---- counters, before and after ---- */

static __always_inline void note_counters(struct capture_room *room)
{
	__u32 row = room->record.service - 1;
	const struct shunt_svc_stats *stats = bpf_map_lookup_elem(&sh_svc_stats, &row);

	for (__u32 i = 0; i < SHUNT_VERDICT_COUNT; i++) {
		__u32 at = i;
		const __u64 *count = bpf_map_lookup_elem(&sh_verdicts, &at);

		room->verdicts[i] = count ? *count : 0;
	}
	for (int i = 0; stats && i < SHUNT_DROP_COUNT; i++)
		room->drops[i] = stats->drop[i];
}

static __always_inline void read_counters(struct capture_room *room)
{
	__u32 row = room->record.service - 1;
	const struct shunt_svc_stats *stats = bpf_map_lookup_elem(&sh_svc_stats, &row);

	for (__u32 i = 0; i < SHUNT_VERDICT_COUNT; i++) {
		__u32 at = i;
		const __u64 *count = bpf_map_lookup_elem(&sh_verdicts, &at);

		if (count && *count != room->verdicts[i])
			room->record.verdict = i;
	}
	for (int i = 0; stats && i < SHUNT_DROP_COUNT; i++) {
		if (stats->drop[i] != room->drops[i])
			room->record.drop = i;
	}
}

/* ---- the two programs ---- */

static __always_inline struct capture_totals *totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cap_totals, &zero);
}

static __always_inline bool is_full(const volatile struct capture_totals *t)
{
	return t->taken >= settings.packets || t->bytes >= settings.bytes;
}

static __always_inline __u32 kept_of(__u32 len)
{
	return at_most(len < settings.snap ? len : settings.snap, CAPTURE_SNAP_MAX);
}

SEC("capture/before")
int capture_before(__u64 *ctx)
{
	const struct xdp_buff *xdp = (const void *)ctx[0];
	struct capture_totals *t = totals();
	struct capture_room *room;
	__u32 zero = 0, len, kept;
	void *data;

	room = bpf_map_lookup_elem(&cap_room, &zero);
	if (!room || !t)
		return 0;
	room->hard_start = 0;
	if (is_full(t) || (settings.ifindex && settings.ifindex != (__u32)xdp->rxq->dev->ifindex))
		return 0;
	data = xdp->data;
	len = xdp->data_end - data;
	__builtin_memset(&room->record, 0, sizeof(room->record));
	room->xdp = (__u64)data;
	if (!is_wanted(room, len))
		return 0;
	kept = kept_of(len);
	if (bpf_probe_read_kernel(room->bytes, kept, data))
		return 0;
	room->record.before_len = len;
	room->record.before_kept = kept;
	room->record.ifindex = xdp->rxq->dev->ifindex;
	room->record.queue = xdp->rxq->queue_index;
	note_counters(room);
	room->xdp = (__u64)xdp;
	room->hard_start = (__u64)xdp->data_hard_start;
	room->record.before_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline bool is_asked_for(__u32 action)
{
	if (settings.which == CAPTURE_ALL)
		return true;
	if (settings.which == CAPTURE_DROPS)
		return action == XDP_DROP || action == XDP_ABORTED;
	return action != XDP_PASS;
}

static __always_inline void send(struct capture_room *room, struct capture_totals *t)
{
	__u32 before = room->record.before_kept, after = room->record.after_kept;

	if (before > CAPTURE_SNAP_MAX || after > CAPTURE_SNAP_MAX)
		return;
	/* In this order: what is turned away for its bytes has not been taken. */
	if (__sync_fetch_and_add(&t->bytes, before + after) >= settings.bytes)
		return;
	room->record.id = __sync_fetch_and_add(&t->taken, 1);
	if (room->record.id >= settings.packets)
		return;
	/* The reader comes by itself: no packet has to wake it. */
	if (bpf_ringbuf_output(&cap_ring, &room->record, sizeof(room->record) + before + after,
			       BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&t->lost, 1);
}

SEC("capture/after")
int capture_after(__u64 *ctx)
{
	const struct xdp_buff *xdp = (const void *)ctx[0];
	__u32 action = (__u32)ctx[1], zero = 0, before, len, kept;
	struct capture_totals *t = totals();
	struct capture_room *room;
	void *data;

	room = bpf_map_lookup_elem(&cap_room, &zero);
	if (!room || !t || !room->hard_start || room->xdp != (__u64)xdp ||
	    room->hard_start != (__u64)xdp->data_hard_start)
		return 0;
	room->hard_start = 0;
	if (!is_asked_for(action))
		return 0;
	room->record.after_ns = bpf_ktime_get_ns();
	room->record.action = action;
	room->record.verdict = SHUNT_VERDICT_COUNT;
	room->record.drop = SHUNT_DROP_COUNT;
	read_counters(room);
	if (action != XDP_DROP && action != XDP_ABORTED) {
		data = xdp->data;
		len = xdp->data_end - data;
		kept = kept_of(len);
		before = room->record.before_kept;
		if (before > CAPTURE_SNAP_MAX ||
		    bpf_probe_read_kernel(room->bytes + before, kept, data))
			return 0;
		room->record.after_len = len;
		room->record.after_kept = kept;
	}
	send(room, t);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
