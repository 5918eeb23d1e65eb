/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [1a] The extension headers of IPv6 (RFC 8200, section 4), and the cursor that all parsing is done
 * with. Also builds natively.
 */
#ifndef SHUNT_BPF_EXT_H
#define SHUNT_BPF_EXT_H

#include <linux/in.h>
#include <linux/in6.h>

#include "bpf/compat.h"
#include "bpf/pkt.h"

struct cursor {
	void *pos;
	void *end;
};

/* The next len bytes, and step over them; NULL where the frame ends before. */
static __always_inline void *cursor_take(struct cursor *cur, __u32 len)
{
	void *at = cur->pos;

	if (at + len > cur->end)
		return NULL;
	cur->pos = at + len;
	return at;
}

/* So many headers, of so many bytes together, are looked behind; nothing honest has more. */
#define EXT_MAX	     8
#define EXT_LEN_MASK 0x3ff

struct ext_chain {
	__u16 len;     /* of the headers that were stepped over */
	__u16 frag_at; /* of fragments: where the fragment header is */
	__u8 proto;    /* of what follows them: maybe one more, that is not looked behind */
	__u8 frag;     /* enum frag */
	__u8 bad;      /* 1: they are not as they should be */
	__u8 _pad;
};
_Static_assert(sizeof(struct ext_chain) == 8, "a function of the program returns a word");

/* What all but the fragment header begin with. */
struct ext_header {
	__u8 next;
	__u8 len;
	__u8 route_type;    /* routing header */
	__u8 segments_left; /* routing header */
};

struct ext_fragment {
	__u8 next;
	__u8 _reserved;
	__be16 offset; /* and, in its lowest bit, "more" */
	__be32 id;
};

#define EXT_OFFSET_MASK 0xfff8
#define EXT_MORE	0x0001

/* 0: it is not one that can be stepped over. */
static __always_inline __u32 ext_len(__u8 proto, const struct ext_header *h)
{
	switch (proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS: return (h->len + 1) * 8;
	case IPPROTO_FRAGMENT: return sizeof(struct ext_fragment);
	case IPPROTO_AH: return (h->len + 2) * 4;
	default: return 0;
	}
}

/* Of a later fragment no more is known than that the packet's headers go on with one. */
static __always_inline bool ext_is_one(__u8 proto)
{
	return proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS || proto == IPPROTO_AH;
}

/* A packet whose offset is 0 and which has no more is whole (RFC 6946). */
static __always_inline void ext_fragment(struct ext_chain *c, const struct ext_fragment *f)
{
	__u16 offset = bpf_ntohs(f->offset);

	if (offset & EXT_OFFSET_MASK)
		c->frag = FRAG_LATER;
	else if (offset & EXT_MORE)
		c->frag = FRAG_FIRST;
	c->frag_at = c->len;
	/* As in IPv4: it would write over the TCP header that was looked at. */
	if ((offset & EXT_OFFSET_MASK) == 8 && f->next == IPPROTO_TCP)
		c->bad = 1;
}

/*
 * Step over the headers at pos, of which the first is a `proto`, as far as they are known, whole, and
 * within bounds. What stands behind the header of a later fragment is anything, and not looked at.
 */
static __always_inline __u64 ext_walk_headers(void *pos, void *end, __u32 proto)
{
	union {
		struct ext_chain chain;
		__u64 word;
	} ret = {};
	struct ext_chain c = {.proto = proto};
	__u32 any;

	for (int i = 0; i < EXT_MAX && c.frag != FRAG_LATER; i++) {
		const struct ext_header *h = pos + (c.len & EXT_LEN_MASK);
		const struct ext_fragment *f = (const void *)h;
		__u32 len;

		if ((void *)(f + 1) > end)
			break;
		len = ext_len(c.proto, h);
		if (!len || c.len + len > EXT_LEN_MASK)
			break;
		if (c.proto == IPPROTO_FRAGMENT)
			ext_fragment(&c, f);
		if (c.proto == IPPROTO_HOPOPTS && i > 0)
			c.bad = 1; /* must be the first */
		if (c.proto == IPPROTO_ROUTING && h->segments_left)
			c.bad = 1; /* not for this address in the end */
		any = *(const __u32 *)h;
		c.proto = h->next;
		c.len = forget(c.len + len, any);
		c.frag = forget(c.frag, any);
		c.frag_at = forget(c.frag_at, any);
		c.bad = forget(c.bad, any) & 1;
	}
	ret.chain = c;
	return ret.word;
}

static __always_inline struct ext_chain ext_chain_of(__u64 word)
{
	union {
		__u64 word;
		struct ext_chain chain;
	} walked = {.word = word};

	return walked.chain;
}

static __noinline __u64 ext_walk_word(void *pos, void *end, __u32 proto)
{
	return ext_walk_headers(pos, end, proto);
}

static __always_inline struct ext_chain ext_walk(void *pos, void *end, __u32 proto)
{
	return ext_chain_of(ext_walk_word(pos, end, proto));
}

#ifdef __bpf__

/* Headers begin before this in a frame: a bound for the verifier. */
#define EXT_AT_MASK 0x1fff

/* The same from `at` in a frame on. A global function, because the kernel then verifies the loop once
 * and not again for each way here. */
__noinline __u64 ext_walk_frame_word(struct xdp_md *ctx, __u32 at, __u32 proto)
{
	return ext_walk_headers(frame_at(ctx, at & EXT_AT_MASK), frame_end(ctx), proto);
}

static __always_inline struct ext_chain ext_walk_frame(struct xdp_md *ctx, __u32 at, __u32 proto)
{
	return ext_chain_of(ext_walk_frame_word(ctx, at, proto));
}

#endif

#endif
