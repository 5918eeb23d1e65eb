/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The short way of plain packets (bpf/plain.h) against the long one. A tag is read over and put on again,
 * and changes nothing else, but no packet that has one goes the short way: so the same packets, with a tag
 * and without, have to come to the same, of whatever kind services, backends and slots are. Packets are
 * made at random (xorshift; the seed is fixed), a part of them with bytes changed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/steer_env.h"
#include "tests/bpf/steer_xdp.skel.h"

#define VIP4  "203.0.113.10"
#define VIP6  "2001:db8::10"
#define NONE4 "203.0.113.11"
#define NONE6 "2001:db8::11"

#define PORT	   80
#define PORT_OTHER 81
#define CLIENTS	   4
#define PACKETS	   1000
#define SEED	   88172645463325252ULL
#define MTU	   700
#define TAG_TYPE   0x8100
#define TAG_LEN	   4

/* Short frames are padded by Ethernet, a tag counted: what stands behind the IP packet then stays. */
#define PADDED_LEN 60

enum ring_kind { RING_SETTLED, RING_MIXED, RING_EMPTY };

struct world {
	const char *name;
	uint8_t forward, tracking;
	bool outer6;
	uint8_t ring;	 /* enum ring_kind */
	uint8_t special; /* enum special: of the service, or the node */
};

/* What sends a service's packets the long way, or none on. */
enum special {
	SPECIAL_NONE,
	SPECIAL_LOCAL,
	SPECIAL_MSS,
	SPECIAL_PAIR,
	SPECIAL_CID,
	SPECIAL_LISTS,
	SPECIAL_NO_RECORD,
};

#define CHANGE SHUNT_TRACK_ON_CHANGE
#define ALWAYS SHUNT_TRACK_ALWAYS
#define NEVER  SHUNT_TRACK_NEVER

static const struct world worlds[] = {
	{"settled", SHUNT_FORWARD_IPIP, CHANGE, false, RING_SETTLED, SPECIAL_NONE},
	{"settled, outer IPv6", SHUNT_FORWARD_IPIP, CHANGE, true, RING_SETTLED, SPECIAL_NONE},
	{"mixed ring", SHUNT_FORWARD_IPIP, CHANGE, false, RING_MIXED, SPECIAL_NONE},
	{"never", SHUNT_FORWARD_IPIP, NEVER, false, RING_MIXED, SPECIAL_NONE},
	{"always", SHUNT_FORWARD_IPIP, ALWAYS, false, RING_SETTLED, SPECIAL_NONE},
	{"always, mixed ring", SHUNT_FORWARD_IPIP, ALWAYS, true, RING_MIXED, SPECIAL_NONE},
	{"no ring", SHUNT_FORWARD_IPIP, CHANGE, false, RING_EMPTY, SPECIAL_NONE},
	{"GUE", SHUNT_FORWARD_GUE, CHANGE, false, RING_MIXED, SPECIAL_NONE},
	{"GUE, outer IPv6", SHUNT_FORWARD_GUE, ALWAYS, true, RING_SETTLED, SPECIAL_NONE},
	{"the backend is here", SHUNT_FORWARD_LOCAL, CHANGE, false, RING_SETTLED, SPECIAL_NONE},
	{"layer 2, reflected", SHUNT_FORWARD_L2, CHANGE, false, RING_SETTLED, SPECIAL_NONE},
	{"NAT", SHUNT_FORWARD_NAT, CHANGE, false, RING_MIXED, SPECIAL_NONE},
	{"NAT, IPv6", SHUNT_FORWARD_NAT, ALWAYS, true, RING_SETTLED, SPECIAL_NONE},
	{"the service is here", SHUNT_FORWARD_IPIP, CHANGE, false, RING_SETTLED, SPECIAL_LOCAL},
	{"MSS", SHUNT_FORWARD_IPIP, CHANGE, false, RING_SETTLED, SPECIAL_MSS},
	{"affinity", SHUNT_FORWARD_IPIP, CHANGE, false, RING_MIXED, SPECIAL_PAIR},
	{"connection ids", SHUNT_FORWARD_IPIP, CHANGE, false, RING_MIXED, SPECIAL_CID},
	{"lists", SHUNT_FORWARD_IPIP, CHANGE, false, RING_SETTLED, SPECIAL_LISTS},
	{"no service", SHUNT_FORWARD_IPIP, CHANGE, false, RING_SETTLED, SPECIAL_NO_RECORD},
};

#define WORLDS (sizeof(worlds) / sizeof(worlds[0]))

static uint64_t random_state;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 16;
}

static void change(struct frame *f)
{
	size_t at = ETH_LEN + draw() % (f->len - ETH_LEN < 60 ? f->len - ETH_LEN : 60);

	switch (draw() % 3) {
	case 0: f->data[at] ^= 1U << draw() % 8; return;
	case 1: f->data[at] = draw(); return;
	default: f->len = ETH_LEN + 1 + draw() % (f->len - ETH_LEN); return;
	}
}

static const char *client(bool v6)
{
	static const char *const addrs[2][CLIENTS] = {
		{"198.51.100.7", "198.51.100.8", "192.0.2.1", "100.64.0.9"},
		{"2001:db8:c::7", "2001:db8:c::8", "2001:db8:d::1", "fd00:9::1"},
	};

	return addrs[v6][draw() % CLIENTS];
}

static void make_packet(struct frame *f)
{
	static const uint8_t flags[] = {F_ACK, F_ACK, F_ACK | F_PSH, F_SYN, F_ACK | F_FIN, F_RST};
	bool v6 = draw() % 2, ours = draw() % 8;
	struct pkt_spec spec = {
		.sport = 1024 + draw() % 8,
		.dport = draw() % 8 ? PORT : PORT_OTHER,
		.proto = draw() % 2 ? IPPROTO_TCP : IPPROTO_UDP,
		.tos = draw(),
	};

	spec.src = client(v6);
	spec.dst = v6 ? (ours ? VIP6 : NONE6) : (ours ? VIP4 : NONE4);
	spec.tcp_flags = spec.proto == IPPROTO_TCP ? flags[draw() % sizeof(flags)] : 0;
	spec.tcp_options = spec.proto == IPPROTO_TCP && draw() % 4 == 0 ? draw() % 11 : 0;
	spec.ip_options = !v6 && draw() % 16 == 0 ? draw() % 11 : 0;
	spec.payload_len = draw() % 8 ? draw() % 64 : MTU - 100 + draw() % 100;
	spec.frame_len = draw() % 4 ? 0 : draw() % 2 ? PADDED_LEN - TAG_LEN : 200;
	pkt_build(&spec, f);
	if (spec.tcp_options)
		memcpy(f->data + pkt_l4(f) + 20, (const uint8_t[]){2, 4, 5, 180}, 4); /* MSS */
	if (draw() % 4 == 0)
		change(f);
	if (draw() % 32 == 0)
		f->data[0] |= 1; /* to a group */
	/* Padding that only one of the two would be allowed. */
	if (f->len <= PADDED_LEN && f->len > PADDED_LEN - TAG_LEN)
		f->len = PADDED_LEN - TAG_LEN;
}

static void open_backends(struct env *env, const struct world *w)
{
	struct env_backend be = {
		.src = w->outer6 ? "fd00::1" : "10.0.0.1",
		.entropy = 0xffff,
		.mtu = MTU,
		.forward = w->forward,
		.port = w->forward == SHUNT_FORWARD_GUE ? 6080 : 0,
	};

	for (unsigned i = 1; i <= 3; i++) {
		be.id = env_id(1, i);
		be.dst = w->outer6 ? (i == 1 ? "fd00:1::1" : "fd00:1::2")
				   : (i == 1 ? "10.1.0.1" : "10.1.0.2");
		be.state = i == 3 ? SHUNT_BACKEND_DOWN : SHUNT_BACKEND_UP;
		env_backend(env, &be);
	}
}

static void open_ring(struct env *env, const struct world *w)
{
	if (w->ring == RING_EMPTY) {
		env_ring_publish(env, RING_BASE, 0);
		return;
	}
	env_ring(env, env_id(1, 1));
	if (w->ring == RING_SETTLED)
		return;
	for (uint32_t slot = 0; slot < RING_SIZE; slot++) {
		const struct shunt_stamp now = {};

		if (slot % 4 == 3)
			env_slot_move(env, slot, env_id(1, 2), env_id(1, 1), &now);
		else
			env_ring_slot(env, slot, slot % 4 == 2 ? 0 : env_id(1, slot % 4 ? 3 : 2));
	}
}

/* All of 198.51.100.0/24 and 2001:db8:c::/48. */
static void block_clients(struct env *env)
{
	struct shunt_guard_entry entry = {.action = SHUNT_GUARD_BLOCK};
	struct shunt_guard4_key key4 = {.prefix_len = SHUNT_SCOPE_BITS + 24,
					.scope = SHUNT_SCOPE_NODE};
	struct shunt_guard6_key key6 = {.prefix_len = SHUNT_SCOPE_BITS + 48,
					.scope = SHUNT_SCOPE_NODE};

	assert_int_equal(inet_pton(AF_INET, "198.51.100.0", &key4.addr), 1);
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:c::", key6.addr), 1);
	entry.prefix_len = 24;
	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_guard4, &key4, sizeof(key4),
					      &entry, sizeof(entry), BPF_ANY),
			 0);
	entry.prefix_len = 48;
	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_guard6, &key6, sizeof(key6),
					      &entry, sizeof(entry), BPF_ANY),
			 0);
}

static void open_world(struct env *env, const struct world *w)
{
	struct shunt_switches on = {.nat = w->forward == SHUNT_FORWARD_NAT, .icmp_rate = 65535};

	env_open(env, NULL);
	open_backends(env, w);
	open_ring(env, w);
	env->svc.tracking = w->tracking;
	switch (w->special) {
	case SPECIAL_LOCAL: env->svc.action = SHUNT_ACTION_LOCAL; break;
	case SPECIAL_MSS: env->svc.mss = 536; break;
	case SPECIAL_PAIR: env->svc.affinity = SHUNT_AFFINITY_PAIR; break;
	case SPECIAL_CID:
		env->svc.cid = SHUNT_CID_LB;
		env->svc.server_id_len = 1;
		break;
	case SPECIAL_LISTS:
		block_clients(env);
		on.guard4 = on.guard6 = 1;
		break;
	default: break;
	}
	if (w->special != SPECIAL_NO_RECORD)
		env_services(env, VIP4, VIP6);
	env_switches(env, &on);
}

struct outcome {
	uint32_t action;
	struct frame out;
};

static struct outcome outcomes[PACKETS];

struct counts {
	struct shunt_svc_stats svc;
	struct shunt_be_stats be[2];
	uint64_t verdict[SHUNT_VERDICT_COUNT];
	unsigned flows, pending;
};

static struct counts counts_of(struct env *env)
{
	struct counts c;

	memset(&c, 0, sizeof(c));
	c.svc = env_svc_stats(env);
	c.be[0] = env_be_stats(env, 1);
	c.be[1] = env_be_stats(env, 2);
	for (int v = 0; v < SHUNT_VERDICT_COUNT; v++)
		c.verdict[v] = env_verdict(env, v);
	c.flows = env_flow_count(env, TABLE_FLOWS);
	c.pending = env_flow_count(env, TABLE_PENDING);
	return c;
}

static void untag(struct frame *f)
{
	assert_int_equal(pkt_get16(f, 12), TAG_TYPE);
	memmove(f->data + 12, f->data + 12 + TAG_LEN, f->len - 12 - TAG_LEN);
	f->len -= TAG_LEN;
}

/* The packets of a world, without a tag or with one. */
static struct counts run_world(const struct world *w, uint64_t seed, bool tagged)
{
	static struct frame in, out;
	struct counts counts;
	struct env env;

	open_world(&env, w);
	random_state = seed;
	for (unsigned i = 0; i < PACKETS; i++) {
		struct outcome *o = &outcomes[i];

		make_packet(&in);
		if (!tagged) {
			o->action = env_run(&env, &in, &o->out);
			continue;
		}
		pkt_tag(&in, TAG_TYPE, 7);
		assert_int_equal(env_run(&env, &in, &out), o->action);
		if (o->action == XDP_DROP)
			continue;
		untag(&out);
		assert_int_equal(out.len, o->out.len);
		assert_memory_equal(out.data, o->out.data, out.len);
	}
	counts = counts_of(&env);
	env_close(&env);
	return counts;
}

static void test_both_ways(void **state)
{
	uint64_t sent = 0, passed = 0;

	(void)state;
	for (size_t i = 0; i < WORLDS; i++) {
		struct counts plain, tagged;

		print_message("%s\n", worlds[i].name);
		plain = run_world(&worlds[i], SEED + i, false);
		tagged = run_world(&worlds[i], SEED + i, true);
		assert_memory_equal(&plain, &tagged, sizeof(plain));
		sent += plain.verdict[SHUNT_VERDICT_TX];
		passed += plain.verdict[SHUNT_VERDICT_PASS_NO_SERVICE];
	}
	assert_true(sent > WORLDS * PACKETS / 3);
	assert_true(passed > WORLDS * PACKETS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
