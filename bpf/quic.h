/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [3a] Where a QUIC packet says by itself which backend has its connection: the server id that the
 * backend wrote into the connection ids it gave out. What a connection id is, and where, is the same
 * in all versions of QUIC (RFC 8999); what is in ours follows QUIC-LB's form without encryption
 * (draft-ietf-quic-load-balancers), or stands at an offset. Finding it is pure and builds natively.
 */
#ifndef SHUNT_BPF_QUIC_H
#define SHUNT_BPF_QUIC_H

#include <linux/udp.h>

#include "bpf/compat.h"
#include "bpf/pkt.h"

#define QUIC_LONG_HEADER 0x80
#define QUIC_SHORT_CID	 1 /* where the connection id is: behind the first octet; */
#define QUIC_LONG_CID	 6 /* behind that, the version, and its length */

#define CID_CONFIG_SHIFT 5    /* the configuration id in the first octet of a connection id; */
#define CID_LEN_MASK	 0x1f /* under it, the length of the rest, or anything */

struct quic_cid {
	const __u8 *at; /* the connection id */
	__u8 len;	/* 0: not said (short header) */
	__u8 is_long;
};

/* The destination connection id of the QUIC packet that starts at data. False: there is none. */
static __always_inline bool quic_find_cid(const __u8 *data, const void *end,
					  struct quic_cid *ret_cid)
{
	if ((void *)(data + QUIC_SHORT_CID) > end)
		return false;
	*ret_cid = (struct quic_cid){.at = data + QUIC_SHORT_CID};
	if (!(data[0] & QUIC_LONG_HEADER))
		return true;
	if ((void *)(data + QUIC_LONG_CID) > end)
		return false;
	/* Version 0 is negotiation, which servers send. */
	if (!(data[1] | data[2] | data[3] | data[4]))
		return false;
	*ret_cid = (struct quic_cid){
		.at = data + QUIC_LONG_CID, .len = data[QUIC_LONG_CID - 1], .is_long = true};
	return ret_cid->len > 0 && ret_cid->len <= SHUNT_CID_MAX;
}

/* How many octets the connection id must have if it is one of the service's, and where in it the
 * server id is. False: it is none. */
static __always_inline bool quic_cid_form(const struct shunt_service *svc,
					  const struct quic_cid *cid, const void *end,
					  __u32 *ret_len, __u32 *ret_offset)
{
	__u32 len = svc->cid_len, offset = svc->cid_offset;

	if (svc->cid == SHUNT_CID_LB) {
		if ((void *)(cid->at + 1) > end ||
		    cid->at[0] >> CID_CONFIG_SHIFT != svc->cid_config)
			return false;
		offset = 1;
		if (!len)
			len = (cid->at[0] & CID_LEN_MASK) + 1;
	}
	if (!len)
		len = cid->is_long ? cid->len : offset + svc->server_id_len;
	*ret_len = len;
	*ret_offset = offset;
	return len <= SHUNT_CID_MAX && len >= offset + svc->server_id_len &&
	       (!cid->is_long || len == cid->len);
}

/* The server id in it. Returns how many octets the connection id has; 0: it is none of the service, or
 * cut short. */
static __always_inline __u32 quic_server_id(const struct shunt_service *svc,
					    const struct quic_cid *cid, const void *end,
					    __u8 ret_id[SHUNT_SERVER_ID_MAX])
{
	__u32 len, offset;

	if (!quic_cid_form(svc, cid, end, &len, &offset))
		return 0;
	for (__u32 i = 0; i < SHUNT_SERVER_ID_MAX; i++) {
		const __u8 *at = cid->at + (offset & CID_LEN_MASK) + i;

		if (i >= svc->server_id_len)
			break;
		if ((void *)(at + 1) > end)
			return 0;
		ret_id[i] = *at;
		if (svc->cid == SHUNT_CID_OFFSET)
			ret_id[i] &= svc->server_id_mask[i];
	}
	/* All of the connection id must be there; bounded for the verifier by its largest length. */
	return cid->at + (len & CID_LEN_MASK) <= (const __u8 *)end ? len : 0;
}

#ifdef __bpf__

#include "bpf/maps.h"
#include "bpf/select.h"

/* A UDP packet's payload can be no further than this: all headers in front of it. */
#define L4_OFFSET_MASK 0x7ff

#define QUIC_ID_UNKNOWN 0xffffffffU /* no backend's id, as no table has so many rows */

/*
 * The backend that the packet's connection id names, if it is up or draining: its id. 0: none; and
 * QUIC_ID_UNKNOWN where one was to be expected: the first connection ids of a client, in long headers,
 * are its own choice, all others those that it was given. payload_len: of the datagram, behind which
 * the frame may have padding. A global function, to be verified once.
 */
__noinline __u32 quic_backend_id(struct xdp_md *ctx, const struct shunt_service *svc,
				 __u32 l4_offset, __u32 payload_len)
{
	const __u8 *data =
		(void *)(long)ctx->data + (l4_offset & L4_OFFSET_MASK) + sizeof(struct udphdr);
	const void *end = (void *)(long)ctx->data_end;
	struct shunt_server_id key = {};
	const __u32 *id = NULL;
	struct quic_cid cid;
	__u32 len;

	if (!svc || !payload_len || !quic_find_cid(data, end, &cid))
		return 0;
	key.service = svc->index;
	key.len = svc->server_id_len;
	len = quic_server_id(svc, &cid, end, key.id);
	if (len && (cid.is_long ? QUIC_LONG_CID : QUIC_SHORT_CID) + len <= payload_len)
		id = bpf_map_lookup_elem(&sh_server_ids, &key);
	if (id && backend_find_far(*id))
		return *id;
	return cid.is_long ? 0 : QUIC_ID_UNKNOWN;
}

/* Fills p->backend where the connection id does: flow.h has nothing to choose then. */
static __always_inline void quic_select(struct xdp_md *ctx, struct pkt *p)
{
	__u32 id;

	if (p->svc->cid == SHUNT_CID_NONE || p->proto != IPPROTO_UDP || p->frag == FRAG_LATER ||
	    p->peek)
		return;
	id = quic_backend_id(ctx, p->svc, p->l2_len + p->l3_len,
			     p->ip_len - p->l3_len - sizeof(struct udphdr));
	p->backend = backend_find_far(id);
	if (p->backend)
		p->note = SHUNT_COUNT_CID;
	else if (id == QUIC_ID_UNKNOWN)
		p->note = SHUNT_COUNT_CID_UNKNOWN;
}

#endif

#endif
