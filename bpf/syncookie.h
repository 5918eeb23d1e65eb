/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * SYN cookies for services that this host terminates: a SYN is answered here by a SYN-ACK whose
 * sequence number is the kernel's cookie, and the stack hears of a connection first by the ACK that
 * brings the cookie back. A flood of SYNs never sees the listener's queue.
 *
 * The cookie is made for the listening socket (bpf_tcp_gen_syncookie), which also tells that socket
 * to take such ACKs for a while. It holds the client's MSS and nothing else: window scaling and
 * SACK would have to travel in a timestamp whose offset is the stack's secret, so connections that
 * begin this way have neither.
 */
#ifndef SHUNT_BPF_SYNCOOKIE_H
#define SHUNT_BPF_SYNCOOKIE_H

#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "bpf/clock.h"
#include "bpf/csum.h"
#include "bpf/encap.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"

#define COOKIE_TCP_MAX	   60 /* the largest TCP header */
#define COOKIE_TCP_HLEN	   24 /* of the answer: with the MSS option */
#define COOKIE_WINDOW	   32768
#define COOKIE_OPTION_MSS  0x02040000U	  /* kind 2, length 4 */
#define COOKIE_HOLD_NS	   10000000000ULL /* after the last second with too many SYNs */
#define COOKIE_WINDOW_NS   1000000000ULL
#define COOKIE_TCP_SYN_ACK ((__u32)(TCP_SYN | TCP_ACK) << 16)

/* What cookie_check() says of an ACK that brings back a cookie of ours; no verdict. */
#define V_COOKIE_GOOD 254

/* Are there too many SYNs, now or a moment ago? */
static __always_inline bool cookie_flooded(struct shunt_svc_flood *f,
					   const struct shunt_svc_guard *g, bool syn, __u64 now)
{
	if (syn) {
		if ((__s64)(now - f->window_ns) >= (__s64)COOKIE_WINDOW_NS) {
			f->window_ns = now;
			f->syns = 0;
		}
		if (__sync_fetch_and_add(&f->syns, 1) >= g->syn_cookies_over)
			f->cookies_until_ns = now + COOKIE_HOLD_NS;
	}
	return now < f->cookies_until_ns;
}

/* Copies of a packet's headers, in the form that the helpers for cookies want, and what is made of
 * them: too much for the stack, of which all functions on the way here have 512 bytes together. */
struct cookie_work {
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
	};
	__u8 tcp[COOKIE_TCP_MAX];
	__u32 tcp_len;
	__u32 l3; /* where they stand in the frame */
	bool v4;
	struct bpf_sock_tuple tuple;
	__be32 out[10 + 6]; /* IP header and TCP header of the answer */
	__u16 from[6], to[6];
};

/* The program's own, made with it: nothing in it outlives a packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct cookie_work);
	__uint(max_entries, 1);
} sh_cookie_work SEC(".maps");

/*
 * False: anything but a TCP header right behind an IP header without options. Such packets are the
 * stack's.
 */
static __always_inline bool cookie_read(struct xdp_md *ctx, __u32 l3, struct cookie_work *h)
{
	const struct tcphdr *tcp = (const void *)h->tcp;
	__u32 at = l3 + sizeof(h->ip6), len;

	if (bpf_xdp_load_bytes(ctx, l3, &h->ip6, sizeof(h->ip6)))
		return false;
	h->l3 = l3;
	h->v4 = h->ip4.version == 4;
	if (h->v4)
		at = l3 + sizeof(h->ip4);
	if (h->v4 ? h->ip4.ihl != 5 || h->ip4.protocol != IPPROTO_TCP
		  : h->ip6.nexthdr != IPPROTO_TCP)
		return false;
	if (bpf_xdp_load_bytes(ctx, at, h->tcp, sizeof(*tcp)))
		return false;
	len = tcp->doff * 4;
	if (len < sizeof(*tcp) || len > COOKIE_TCP_MAX)
		return false;
	h->tcp_len = len;
	return !bpf_xdp_load_bytes(ctx, at, h->tcp, len);
}

/* The socket that the stack would give the packet to; to be released. */
static __always_inline struct bpf_sock *cookie_socket(struct xdp_md *ctx, struct cookie_work *h)
{
	const struct tcphdr *tcp = (const void *)h->tcp;
	struct bpf_sock_tuple *tuple = &h->tuple;

	if (h->v4) {
		tuple->ipv4.saddr = h->ip4.saddr;
		tuple->ipv4.daddr = h->ip4.daddr;
		tuple->ipv4.sport = tcp->source;
		tuple->ipv4.dport = tcp->dest;
		return bpf_skc_lookup_tcp(ctx, tuple, sizeof(tuple->ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(tuple->ipv6.saddr, &h->ip6.saddr, sizeof(tuple->ipv6.saddr));
	__builtin_memcpy(tuple->ipv6.daddr, &h->ip6.daddr, sizeof(tuple->ipv6.daddr));
	tuple->ipv6.sport = tcp->source;
	tuple->ipv6.dport = tcp->dest;
	return bpf_skc_lookup_tcp(ctx, tuple, sizeof(tuple->ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* Bound the length anew: the verifier forgets what it knew of a value that was in memory. */
static __always_inline __u32 cookie_tcp_len(struct cookie_work *h)
{
	__u32 len = h->tcp_len;

	return len > COOKIE_TCP_MAX ? COOKIE_TCP_MAX : len;
}

static __always_inline __s64 cookie_make(struct bpf_sock *sk, struct cookie_work *h)
{
	__u32 len = cookie_tcp_len(h);

	if (len < sizeof(struct tcphdr))
		return -1;
	if (h->v4)
		return bpf_tcp_gen_syncookie(sk, &h->ip4, sizeof(h->ip4), (void *)h->tcp, len);
	return bpf_tcp_gen_syncookie(sk, &h->ip6, sizeof(h->ip6), (void *)h->tcp, len);
}

static __always_inline long cookie_test(struct bpf_sock *sk, struct cookie_work *h)
{
	if (h->v4)
		return bpf_tcp_check_syncookie(sk, &h->ip4, sizeof(h->ip4), (void *)h->tcp,
					       sizeof(struct tcphdr));
	return bpf_tcp_check_syncookie(sk, &h->ip6, sizeof(h->ip6), (void *)h->tcp,
				       sizeof(struct tcphdr));
}

/* The answer's TCP header; addresses and lengths of the pseudo header come as a sum. */
static __always_inline void cookie_tcp(struct cookie_work *h, __u32 cookie, __u16 mss, __u64 pseudo,
				       __be32 *out)
{
	const struct tcphdr *syn = (const void *)h->tcp;
	__u32 ports = (__u32)bpf_ntohs(syn->dest) << 16 | bpf_ntohs(syn->source);
	__u16 check;

	out[0] = bpf_htonl(ports);
	out[1] = bpf_htonl(cookie);
	out[2] = bpf_htonl(bpf_ntohl(syn->seq) + 1);
	out[3] = bpf_htonl((COOKIE_TCP_HLEN / 4U) << 28 | COOKIE_TCP_SYN_ACK | COOKIE_WINDOW);
	out[4] = 0;
	out[5] = bpf_htonl(COOKIE_OPTION_MSS | mss);
	for (int i = 0; i < 6; i++)
		pseudo += out[i];
	check = ~csum_fold(pseudo);
	out[4] = bpf_htonl((__u32)bpf_ntohs(check) << 16);
}

/* Back to where the frame came from; its tags stay. */
static __always_inline int cookie_turn(struct xdp_md *ctx, struct cookie_work *h)
{
	/* Three words of the destination, three of the source. */
	if (bpf_xdp_load_bytes(ctx, 0, h->from, sizeof(h->from)))
		return -1;
	for (int i = 0; i < 3; i++) {
		h->to[i] = h->from[3 + i];
		h->to[3 + i] = h->from[i];
	}
	return bpf_xdp_store_bytes(ctx, 0, h->to, sizeof(h->to));
}

/*
 * Put the answer in the place of the packet. Where the frame cannot be made longer (a SYN without
 * options, in a frame without padding), the stack gets it as it is.
 */
static __always_inline enum verdict cookie_put(struct xdp_md *ctx, struct cookie_work *h, __u32 len)
{
	if (bpf_xdp_adjust_tail(ctx, (int)(h->l3 + len) - (int)bpf_xdp_get_buff_len(ctx)))
		return V_NEXT;
	/* Neither can fail now. */
	if (bpf_xdp_store_bytes(ctx, h->l3, h->out, len) || cookie_turn(ctx, h))
		return V_DROP_HEADROOM;
	return V_ANSWER;
}

static __always_inline enum verdict cookie_answer4(struct xdp_md *ctx, struct cookie_work *h,
						   __u32 cookie, __u16 mss)
{
	__u64 pseudo = (__u64)bpf_htonl(IPPROTO_TCP) + bpf_htonl(COOKIE_TCP_HLEN) + h->ip4.daddr +
		       h->ip4.saddr;
	__be32 *out = h->out;

	out[0] = bpf_htonl(0x45U << 24 | (IPV4_HLEN + COOKIE_TCP_HLEN));
	out[1] = bpf_htonl(IPV4_DONT_FRAGMENT);
	out[2] = bpf_htonl((__u32)OUTER_TTL << 24 | (__u32)IPPROTO_TCP << 16);
	out[3] = h->ip4.daddr;
	out[4] = h->ip4.saddr;
	out[2] |= bpf_htonl(bpf_ntohs(csum_ipv4(out)));
	cookie_tcp(h, cookie, mss, pseudo, out + 5);
	return cookie_put(ctx, h, IPV4_HLEN + COOKIE_TCP_HLEN);
}

static __always_inline enum verdict cookie_answer6(struct xdp_md *ctx, struct cookie_work *h,
						   __u32 cookie, __u16 mss)
{
	const __be32 *from = h->ip6.daddr.s6_addr32, *to = h->ip6.saddr.s6_addr32;
	__u64 pseudo = (__u64)bpf_htonl(IPPROTO_TCP) + bpf_htonl(COOKIE_TCP_HLEN);
	__be32 *out = h->out;

	out[0] = bpf_htonl(6U << 28);
	out[1] = bpf_htonl((__u32)COOKIE_TCP_HLEN << 16 | (__u32)IPPROTO_TCP << 8 | OUTER_TTL);
	for (int i = 0; i < 4; i++) {
		out[2 + i] = from[i];
		out[6 + i] = to[i];
		pseudo += (__u64)from[i] + to[i];
	}
	cookie_tcp(h, cookie, mss, pseudo, out + 10);
	return cookie_put(ctx, h, IPV6_HLEN + COOKIE_TCP_HLEN);
}

/*
 * Answer a SYN, or look at the ACK that answers the answer. Packets of a socket that knows its peer
 * (or knew it: TIME_WAIT) are neither, nor are those to a port where nobody listens.
 *
 * -ENOENT: the ACK brings no cookie of that socket's. Shortly after cookies were sent it is dropped;
 * else it is a stray of a connection that has gone, and the stack's reset tells its client so.
 *
 * A global function, verified once: see struct guard_query. l3: where the IP header stands. Returns
 * an enum verdict, or V_COOKIE_GOOD; the frame may have moved.
 */
__noinline __u32 cookie_check(struct xdp_md *ctx, __u32 service, __u32 l3)
{
	const struct shunt_svc_guard *g = bpf_map_lookup_elem(&sh_svc_guard, &service);
	struct shunt_svc_flood *f = bpf_map_lookup_elem(&sh_svc_flood, &service);
	__u32 zero = 0;
	struct cookie_work *h = bpf_map_lookup_elem(&sh_cookie_work, &zero);
	struct bpf_sock *sk;
	__u64 now = clock_now_ns_far();
	bool syn, listens;
	__s64 result = 0;
	__u8 flags;

	if (!g || !f || !h || !cookie_read(ctx, l3, h))
		return V_NEXT;
	flags = h->tcp[13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	syn = flags == TCP_SYN;
	if (!syn && flags != TCP_ACK)
		return V_NEXT;
	if (g->syn_cookies == SHUNT_SYN_COOKIES_AUTO && !cookie_flooded(f, g, syn, now))
		return V_NEXT;
	sk = cookie_socket(ctx, h);
	if (!sk)
		return V_NEXT;
	listens = sk->state == BPF_TCP_LISTEN;
	if (listens)
		result = syn ? cookie_make(sk, h) : cookie_test(sk, h);
	bpf_sk_release(sk);
	if (!listens)
		return V_NEXT;
	if (!syn && !result)
		return V_COOKIE_GOOD;
	if (!syn)
		return result == -ENOENT && now < f->cookies_until_ns ? V_DROP_SYN_COOKIE : V_NEXT;
	if (result <= 0)
		return V_NEXT;
	if (g->syn_cookies == SHUNT_SYN_COOKIES_ALWAYS)
		f->cookies_until_ns = now + COOKIE_HOLD_NS;
	(void)__sync_fetch_and_add(&f->cookies, 1);
	return h->v4 ? cookie_answer4(ctx, h, (__u32)result, g->mss4)
		     : cookie_answer6(ctx, h, (__u32)result, g->mss6);
}

#endif
