// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * Which listening socket takes a connection: asked by the kernel whenever a TCP packet is of no
 * connection that it knows. So a service can be a prefix or any port of an address, and its
 * connections go to the sockets that the tables name now, whoever was there before.
 */
#include "bpf/compat.h"

#include <linux/in.h>

#include "bpf/hash.h"
#include "bpf/sockets_abi.h"

#define AF_INET 2 /* in no header of the kernel's */

/*
 * All written by loader/sockets.c. The kernel may give the memory of a key that is gone, or of a value
 * that was replaced, to the next one that is written: user space waits in between. A socket that is
 * closed leaves sk_sockets by itself.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SOCKETS_MAX_SLOTS);
} sk_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SOCKETS_MAX_ROWS);
} sk_targets SEC(".maps");

/* Of a key the row of its target. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sockets_exact_key);
	__type(value, __u32);
	__uint(max_entries, SOCKETS_MAX_EXACT);
} sk_exact SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sockets_addr_key);
	__type(value, struct sockets_ranges);
	__uint(max_entries, SOCKETS_MAX_ADDRS);
} sk_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sockets_prefix_key);
	__type(value, struct sockets_ranges);
	__uint(max_entries, SOCKETS_MAX_ADDRS);
} sk_prefixes SEC(".maps");

/* For user space alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sockets_meta);
	__uint(max_entries, SOCKETS_MAX_ROWS);
} sk_meta SEC(".maps");

/* By target. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct sockets_stats);
	__uint(max_entries, SOCKETS_MAX_ROWS);
} sk_stats SEC(".maps");

static __always_inline void read_local(const struct bpf_sk_lookup *ctx, __be32 addr[4])
{
	if (ctx->family == AF_INET) {
		addr[0] = ctx->local_ip4;
		return;
	}
	addr[0] = ctx->local_ip6[0];
	addr[1] = ctx->local_ip6[1];
	addr[2] = ctx->local_ip6[2];
	addr[3] = ctx->local_ip6[3];
}

/* False: none of them has the port. */
static __always_inline bool find_range(const struct sockets_ranges *r, __u32 port, __u32 *ret_row)
{
	for (__u32 i = 0; r && i < SOCKETS_MAX_RANGES; i++) {
		if (i >= r->count)
			break;
		if (port >= r->ranges[i].lo && port <= r->ranges[i].hi) {
			*ret_row = r->ranges[i].row;
			return true;
		}
	}
	return false;
}

/* An address of its own comes before a longer prefix before a shorter one, and of each a port alone
 * before a narrower range before a wider one. */
static __always_inline __u32 find_row(const struct bpf_sk_lookup *ctx)
{
	__u32 family = ctx->family == AF_INET ? 4 : 6, port = ctx->local_port;
	__u32 row = SOCKETS_ROW_STACK, *found;
	struct sockets_exact_key exact = {.port = bpf_htons(port), .family = family};
	struct sockets_addr_key addr = {.family = family};
	struct sockets_prefix_key prefix = {
		.prefixlen = SOCKETS_FAMILY_BITS + (family == 4 ? 32 : 128),
		.family = family,
	};

	read_local(ctx, exact.addr);
	found = bpf_map_lookup_elem(&sk_exact, &exact);
	if (found)
		return *found;
	__builtin_memcpy(addr.addr, exact.addr, sizeof(addr.addr));
	if (find_range(bpf_map_lookup_elem(&sk_addrs, &addr), port, &row))
		return row;
	__builtin_memcpy(prefix.addr, exact.addr, sizeof(prefix.addr));
	(void)find_range(bpf_map_lookup_elem(&sk_prefixes, &prefix), port, &row);
	return row;
}

/* The same for all packets of a connection: a SYN cookie comes back to who sent it. */
static __always_inline __u64 hash_of(const struct bpf_sk_lookup *ctx)
{
	if (ctx->family == AF_INET) {
		const struct shunt_flow4_key key = {
			.saddr = ctx->remote_ip4,
			.daddr = ctx->local_ip4,
			.sport = ctx->remote_port,
			.dport = bpf_htons(ctx->local_port),
			.proto = IPPROTO_TCP,
		};

		return hash_flow4(&key, 0, 0);
	}
	const struct shunt_flow6_key key = {
		.saddr = {ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2],
			  ctx->remote_ip6[3]},
		.daddr = {ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2],
			  ctx->local_ip6[3]},
		.sport = ctx->remote_port,
		.dport = bpf_htons(ctx->local_port),
		.proto = IPPROTO_TCP,
	};

	return hash_flow6(&key, 0, 0);
}

static __always_inline void count(__u32 row, enum sockets_counter counter)
{
	struct sockets_stats *stats = bpf_map_lookup_elem(&sk_stats, &row);

	if (stats && counter < SOCKETS_COUNTER_COUNT)
		stats->count[counter]++;
}

/* What is for no service is passed as it came, and so is what another program has chosen for. */
SEC("sk_lookup")
int choose_socket(struct bpf_sk_lookup *ctx)
{
	const volatile __u64 *word;
	struct bpf_sock *sk;
	__u64 target;
	__u32 row, slot;
	long err;

	if (ctx->protocol != IPPROTO_TCP || ctx->sk)
		return SK_PASS;
	row = find_row(ctx);
	if (row == SOCKETS_ROW_STACK)
		return SK_PASS;
	word = bpf_map_lookup_elem(&sk_targets, &row);
	target = word ? *word : 0;
	if (!SOCKETS_TARGET_COUNT(target))
		return SK_PASS;
	slot = SOCKETS_TARGET_FIRST(target) +
	       hash_to_slot(hash_of(ctx), SOCKETS_TARGET_COUNT(target));
	sk = bpf_map_lookup_elem(&sk_sockets, &slot);
	if (!sk) {
		count(row, SOCKETS_NO_SOCKET);
		return SK_PASS;
	}
	/* The slot is the choice: not another one of the sockets that share the port. */
	err = bpf_sk_assign(ctx, sk, BPF_SK_LOOKUP_F_NO_REUSEPORT);
	bpf_sk_release(sk);
	count(row, err ? SOCKETS_FAILED : SOCKETS_CHOSEN);
	return SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
