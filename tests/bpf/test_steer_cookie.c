/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SYN cookies: real listening sockets in a network namespace of this process, SYNs and ACKs through
 * the program. Whether the stack then takes the connection is for tests/net to show.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/bpf/steer_env.h"
#include "tests/bpf/steer_xdp.skel.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define PORT	80
#define CLOSED	81 /* of the service too, but nobody listens there */
#define SEQ	0x11223344U
#define MSS4	1460
#define MSS6	1440
#define SECOND	1000000000ULL

static void set_syncookies(const char *value)
{
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_syncookies", "w");

	assert_non_null(f);
	assert_true(fputs(value, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int listen_on(const char *addr)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	bool v6 = strchr(addr, ':');
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0), on = 1;

	assert_true(fd >= 0);
	if (v6) {
		inet_pton(AF_INET6, addr, &sin6.sin6_addr);
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
		assert_int_equal(bind(fd, (void *)&sin6, sizeof(sin6)), 0);
	} else {
		inet_pton(AF_INET, addr, &sin.sin_addr);
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
		assert_int_equal(bind(fd, (void *)&sin, sizeof(sin)), 0);
	}
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

struct fixture {
	struct env env;
	struct shunt_svc_guard guard;
	int listeners[2];
};

static void set_guard(struct fixture *fx)
{
	uint32_t row = SVC_ROW;

	assert_int_equal(bpf_map__update_elem(fx->env.skel->maps.sh_svc_guard, &row, sizeof(row),
					      &fx->guard, sizeof(fx->guard), BPF_ANY),
			 0);
}

static void open_fixture(struct fixture *fx, enum shunt_syn_cookies mode)
{
	struct env *env = &fx->env;

	fx->guard = (struct shunt_svc_guard){.scope = 1,
					     .burst_ns = SECOND,
					     .syn_cookies = mode,
					     .syn_cookies_over = 5,
					     .mss4 = MSS4,
					     .mss6 = MSS6};
	env_open(env, NULL);
	env->svc.action = SHUNT_ACTION_LOCAL;
	env->svc.guard = SHUNT_GUARDS_LIMITS | SHUNT_GUARDS_COOKIES;
	for (uint16_t port = PORT; port <= CLOSED; port++) {
		env_service(env, VIP4, port, IPPROTO_TCP);
		env_service(env, VIP6, port, IPPROTO_TCP);
	}
	set_guard(fx);
	set_syncookies("2");
	fx->listeners[0] = listen_on(VIP4);
	fx->listeners[1] = listen_on(VIP6);
}

static void close_fixture(struct fixture *fx)
{
	close(fx->listeners[0]);
	close(fx->listeners[1]);
	env_close(&fx->env);
}

static void put32(struct frame *f, size_t at, uint32_t value)
{
	pkt_put16(f, at, value >> 16);
	pkt_put16(f, at + 2, value & 0xffff);
}

static uint32_t get32(const struct frame *f, size_t at)
{
	return (uint32_t)pkt_get16(f, at) << 16 | pkt_get16(f, at + 2);
}

static struct frame segment(const char *src, uint16_t port, uint8_t flags, unsigned options,
			    uint32_t seq, uint32_t ack)
{
	struct pkt_spec spec = {.src = src,
				.dst = strchr(src, ':') ? VIP6 : VIP4,
				.sport = 40000,
				.dport = port,
				.proto = IPPROTO_TCP,
				.tcp_flags = flags,
				.tcp_options = options};
	struct frame f;

	pkt_build(&spec, &f);
	put32(&f, pkt_l4(&f) + 4, seq);
	put32(&f, pkt_l4(&f) + 8, ack);
	return f;
}

static struct frame syn(const char *src, unsigned options)
{
	struct frame f = segment(src, PORT, F_SYN, options, SEQ, 0);

	/* No bytes of an option there are none of, but of an MSS. */
	memset(f.data + pkt_l4(&f) + 20, 1, options * 4);
	if (options)
		put32(&f, pkt_l4(&f) + 20, 0x02040000 | 1400);
	return f;
}

/* One's complement sum, folded; of the whole TCP segment with its pseudo header it is 0xffff. */
static unsigned sum(const uint8_t *bytes, size_t len)
{
	unsigned long s = 0;

	for (size_t i = 0; i < len; i += 2)
		s += (unsigned long)bytes[i] << 8 | bytes[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (unsigned)s;
}

static void expect_checksums(const struct frame *f)
{
	bool v6 = f->data[ETH_LEN] >> 4 == 6;
	size_t l4 = pkt_l4(f), addrs = v6 ? 32 : 8;
	uint8_t all[32 + 4 + 24];

	if (!v6)
		assert_int_equal(sum(f->data + ETH_LEN, 20), 0xffff);
	memcpy(all, f->data + ETH_LEN + (v6 ? 8 : 12), addrs);
	memcpy(all + addrs, (uint8_t[]){0, IPPROTO_TCP, 0, 24}, 4);
	memcpy(all + addrs + 4, f->data + l4, 24);
	assert_int_equal(sum(all, addrs + 28), 0xffff);
}

/* What the answer to a SYN has to be; returns the cookie. */
static uint32_t expect_answer(struct fixture *fx, const char *src, unsigned options)
{
	struct pkt_spec spec = {.src = strchr(src, ':') ? VIP6 : VIP4,
				.dst = src,
				.sport = PORT,
				.dport = 40000,
				.proto = IPPROTO_TCP,
				.tcp_flags = F_SYN | F_ACK,
				.tcp_options = 1};
	struct frame in = syn(src, options), out, want;
	size_t l4;

	env_expect(&fx->env, &in, SHUNT_VERDICT_ANSWER, &out);
	pkt_build(&spec, &want);
	l4 = pkt_l4(&want);
	assert_int_equal(out.len, want.len);
	/* To whom the SYN came from, at every layer. */
	assert_memory_equal(out.data, in.data + 6, 6);
	assert_memory_equal(out.data + 6, in.data, 6);
	assert_memory_equal(out.data + 12, in.data + 12, 2);
	assert_int_equal(pkt_ip_len(&out), pkt_ip_len(&want));
	assert_memory_equal(out.data + ETH_LEN + (l4 == 54 ? 8 : 12),
			    want.data + ETH_LEN + (l4 == 54 ? 8 : 12), l4 == 54 ? 32 : 8);
	assert_memory_equal(out.data + l4, want.data + l4, 4);
	assert_int_equal(get32(&out, l4 + 8), SEQ + 1);
	assert_int_equal(out.data[l4 + 12], 6 << 4);
	assert_int_equal(out.data[l4 + 13], F_SYN | F_ACK);
	assert_int_equal(get32(&out, l4 + 20), 0x02040000 | (l4 == 54 ? MSS6 : MSS4));
	expect_checksums(&out);
	return get32(&out, l4 + 4);
}

static struct shunt_svc_flood flood_of(struct env *env)
{
	struct shunt_svc_flood f;
	uint32_t row = SVC_ROW;

	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.sh_svc_flood, &row, sizeof(row), &f,
					      sizeof(f), 0),
			 0);
	return f;
}

static void set_flood(struct env *env, const struct shunt_svc_flood *f)
{
	uint32_t row = SVC_ROW;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_svc_flood, &row, sizeof(row), f,
					      sizeof(*f), BPF_ANY),
			 0);
}

static void check_both_ways(const char *src)
{
	struct shunt_svc_flood flood;
	struct fixture fx;
	struct frame ack;
	uint32_t cookie;

	open_fixture(&fx, SHUNT_SYN_COOKIES_ALWAYS);
	(void)expect_answer(&fx, src, 0); /* the frame grows by an option */
	(void)expect_answer(&fx, src, 1);
	cookie = expect_answer(&fx, src, 10);
	ack = segment(src, PORT, F_ACK, 0, SEQ + 1, cookie + 1);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	ack = segment(src, PORT, F_ACK | F_PSH, 3, SEQ + 1, cookie + 1);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	ack = segment(src, PORT, F_ACK, 0, SEQ + 1, cookie + 0x01000001);
	env_expect_drop(&fx.env, &ack, SHUNT_DROP_SYN_COOKIE);
	/* One of another client. */
	ack = segment(src, PORT, F_ACK, 0, SEQ + 1, cookie + 1);
	pkt_put16(&ack, pkt_l4(&ack), 40001);
	env_expect_drop(&fx.env, &ack, SHUNT_DROP_SYN_COOKIE);
	/* What neither opens nor answers is the stack's. */
	ack = segment(src, PORT, F_RST, 0, SEQ + 1, 0);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	ack = segment(src, PORT, F_SYN | F_ACK, 0, SEQ + 1, 1);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	/* Long after the last cookie: a connection that is gone, which the stack resets. */
	flood = flood_of(&fx.env);
	flood.cookies_until_ns = clock_coarse_ns();
	set_flood(&fx.env, &flood);
	ack = segment(src, PORT, F_ACK, 0, SEQ + 1, cookie + 0x01000001);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	close_fixture(&fx);
}

static void test_a_syn_is_answered_and_the_ack_is_known(void **state)
{
	(void)state;
	check_both_ways(CLIENT4);
	check_both_ways(CLIENT6);
}

static void test_where_nobody_listens_the_stack_answers(void **state)
{
	struct frame f = segment(CLIENT4, CLOSED, F_SYN, 0, SEQ, 0);
	struct fixture fx;

	(void)state;
	open_fixture(&fx, SHUNT_SYN_COOKIES_ALWAYS);
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	f = segment(CLIENT6, CLOSED, F_SYN, 0, SEQ, 0);
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	f = segment(CLIENT4, CLOSED, F_ACK, 0, SEQ, 1);
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	close_fixture(&fx);
}

static void test_headers_with_options_are_the_stacks(void **state)
{
	struct pkt_spec spec = {.src = CLIENT4,
				.dst = VIP4,
				.sport = 40000,
				.dport = PORT,
				.proto = IPPROTO_TCP,
				.tcp_flags = F_SYN,
				.ip_options = 1};
	struct fixture fx;
	struct frame f;

	(void)state;
	open_fixture(&fx, SHUNT_SYN_COOKIES_ALWAYS);
	pkt_build(&spec, &f);
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	close_fixture(&fx);
}

/* A kernel that may not use cookies, and a listener that never sent any. */
static void test_without_the_sysctl_the_stack_answers(void **state)
{
	struct frame f = syn(CLIENT4, 1), ack = segment(CLIENT4, PORT, F_ACK, 0, SEQ + 1, 1);
	struct fixture fx;

	(void)state;
	open_fixture(&fx, SHUNT_SYN_COOKIES_ALWAYS);
	set_syncookies("0");
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	set_syncookies("2");
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	close_fixture(&fx);
}

static void test_off(void **state)
{
	struct frame f = syn(CLIENT4, 1);
	struct fixture fx;

	(void)state;
	open_fixture(&fx, SHUNT_SYN_COOKIES_ALWAYS);
	fx.env.svc.guard = SHUNT_GUARDS_LIMITS;
	env_service(&fx.env, VIP4, PORT, IPPROTO_TCP);
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	close_fixture(&fx);
}

static void test_auto_begins_with_a_flood_and_ends_after_it(void **state)
{
	struct frame f = syn(CLIENT4, 1), ack = segment(CLIENT4, PORT, F_ACK, 0, SEQ + 1, 1);
	struct shunt_svc_flood flood;
	struct fixture fx;

	(void)state;
	open_fixture(&fx, SHUNT_SYN_COOKIES_AUTO);
	for (int i = 0; i < 5; i++)
		env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	(void)expect_answer(&fx, CLIENT4, 1);
	(void)expect_answer(&fx, CLIENT6, 1);
	env_expect_drop(&fx.env, &ack, SHUNT_DROP_SYN_COOKIE);
	/* A second later it goes on, */
	flood = flood_of(&fx.env);
	assert_int_equal(flood.cookies, 2);
	flood.window_ns -= SECOND;
	set_flood(&fx.env, &flood);
	(void)expect_answer(&fx, CLIENT4, 1);
	/* some seconds later it is over. */
	flood = flood_of(&fx.env);
	flood.cookies_until_ns = clock_coarse_ns();
	set_flood(&fx.env, &flood);
	env_expect_pass(&fx.env, &f, SHUNT_VERDICT_PASS_LOCAL);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	close_fixture(&fx);
}

/* SYNs that were answered here take nothing of the service's rate; clients that answer do. */
static void test_the_rate_counts_who_has_answered(void **state)
{
	struct fixture fx;
	struct frame ack;
	uint32_t cookie = 0;

	(void)state;
	open_fixture(&fx, SHUNT_SYN_COOKIES_ALWAYS);
	fx.guard.flow_ns = 100 * SECOND;
	fx.guard.burst_ns = 200 * SECOND;
	set_guard(&fx);
	for (int i = 0; i < 10; i++)
		cookie = expect_answer(&fx, CLIENT4, 1);
	ack = segment(CLIENT4, PORT, F_ACK, 0, SEQ + 1, cookie + 1);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	env_expect_pass(&fx.env, &ack, SHUNT_VERDICT_PASS_LOCAL);
	env_expect_drop(&fx.env, &ack, SHUNT_DROP_SERVICE_RATE);
	close_fixture(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_syn_is_answered_and_the_ack_is_known),
		cmocka_unit_test(test_where_nobody_listens_the_stack_answers),
		cmocka_unit_test(test_headers_with_options_are_the_stacks),
		cmocka_unit_test(test_without_the_sysctl_the_stack_answers),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_auto_begins_with_a_flood_and_ends_after_it),
		cmocka_unit_test(test_the_rate_counts_who_has_answered),
	};

	if (unshare(CLONE_NEWNET)) {
		perror("unshare");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
