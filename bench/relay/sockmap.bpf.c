// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * What arrives at a socket that is in the map "from" is sent by the other socket of its lane, in the
 * kernel. Where a body alone is to be relayed so, user space is told when all of it has come.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define SOCKMAP_LANES 16 /* at least as many as ways.h says */

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SOCKMAP_LANES);
	__type(key, __u32);
	__type(value, __u64);
} from SEC(".maps");

/* Not of a program: what arrives at them is read as ever. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SOCKMAP_LANES);
	__type(key, __u32);
	__type(value, __u64);
} to SEC(".maps");

/* Lanes by the port of their socket in "from". */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SOCKMAP_LANES);
	__type(key, __u32);
	__type(value, __u32);
} lanes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} over SEC(".maps");

/* Bytes of each lane's body under way that have not come; 0: bodies are not looked at. */
__u64 left[SOCKMAP_LANES];

SEC("sk_skb/stream_verdict")
int relay_verdict(struct __sk_buff *skb)
{
	__u32 port = skb->local_port;
	__u32 *lane = bpf_map_lookup_elem(&lanes, &port);
	__u32 number = lane ? *lane : SOCKMAP_LANES;
	__u64 *rest;

	if (number >= SOCKMAP_LANES)
		return SK_DROP;
	rest = &left[number];
	if (*rest) {
		if (skb->len > *rest)
			return SK_DROP;
		*rest -= skb->len;
		if (!*rest)
			bpf_ringbuf_output(&over, &number, sizeof(number), 0);
	}
	return bpf_sk_redirect_map(skb, &to, number, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
