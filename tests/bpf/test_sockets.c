/* SPDX-License-Identifier: BSD-2-Clause */
/* The program for listening sockets: which socket a packet of no connection finds, and what is counted.
 * Run by BPF_PROG_TEST_RUN, attached to nothing. */
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "bpf/sockets_abi.h"
#include "tests/bpf/sockets.skel.h"

#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

#define WORKERS 4
#define TARGETS 6 /* rows 1 to TARGETS, each with WORKERS sockets */
#define FLOWS	400

struct env {
	struct sockets_bpf *skel;
	int fds[(TARGETS + 1) * WORKERS];
	uint64_t cookies[(TARGETS + 1) * WORKERS];
};

static int listening(int family)
{
	struct sockaddr_storage any = {.ss_family = (sa_family_t)family};
	socklen_t len =
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	if (family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void fill(struct env *e, uint32_t slot, int family)
{
	uint64_t value;
	socklen_t len = sizeof(value);

	e->fds[slot] = listening(family);
	assert_int_equal(getsockopt(e->fds[slot], SOL_SOCKET, SO_COOKIE, &value, &len), 0);
	e->cookies[slot] = value;
	value = (uint64_t)e->fds[slot];
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(e->skel->maps.sk_sockets), &slot, &value, BPF_ANY),
		0);
}

static void set_target(struct env *e, uint32_t row, uint64_t target)
{
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(e->skel->maps.sk_targets), &row, &target, BPF_ANY),
		0);
}

static int set_up_family(void **state, int family)
{
	struct env *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	memset(e->fds, 0xff, sizeof(e->fds));
	e->skel = sockets_bpf__open_and_load();
	assert_non_null(e->skel);
	for (uint32_t row = 1; row <= TARGETS; row++) {
		for (uint32_t i = 0; i < WORKERS; i++)
			fill(e, row * WORKERS + i, family);
		set_target(e, row, SOCKETS_TARGET(row * WORKERS, WORKERS));
	}
	*state = e;
	return 0;
}

static int set_up(void **state)
{
	return set_up_family(state, AF_INET);
}

static int set_up6(void **state)
{
	return set_up_family(state, AF_INET6);
}

static int tear_down(void **state)
{
	struct env *e = *state;

	for (size_t i = 0; i < sizeof(e->fds) / sizeof(e->fds[0]); i++)
		if (e->fds[i] >= 0)
			close(e->fds[i]);
	sockets_bpf__destroy(e->skel);
	free(e);
	return 0;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static uint8_t family_of(const char *addr, __be32 ret_addr[4])
{
	bool v6 = strchr(addr, ':') != NULL;

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, addr, ret_addr), 1);
	return v6 ? 6 : 4;
}

static void exact(struct env *e, const char *addr, uint16_t port, uint32_t row)
{
	struct sockets_exact_key key = {.port = htons(port)};

	key.family = family_of(addr, key.addr);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(e->skel->maps.sk_exact), &key, &row, BPF_ANY), 0);
}

static void ranges(struct env *e, const char *addr, unsigned len, const struct sockets_ranges *r)
{
	if (len == 0) {
		struct sockets_addr_key key = {0};

		key.family = family_of(addr, key.addr);
		assert_int_equal(
			bpf_map_update_elem(bpf_map__fd(e->skel->maps.sk_addrs), &key, r, BPF_ANY),
			0);
	} else {
		struct sockets_prefix_key key = {.prefixlen = SOCKETS_FAMILY_BITS + len};

		key.family = family_of(addr, key.addr);
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(e->skel->maps.sk_prefixes), &key,
						     r, BPF_ANY),
				 0);
	}
}

static void range(struct env *e, const char *addr, unsigned len, uint16_t lo, uint16_t hi,
		  uint32_t row)
{
	const struct sockets_ranges r = {.count = 1, .ranges = {{lo, hi, row}}};

	ranges(e, addr, len, &r);
}

/* ---- packets --------------------------------------------------------------------------------- */

/* The slot of the socket that a packet finds; -1: what the stack has for it. */
static int choose(struct env *e, const char *to, uint16_t port, uint16_t from_port, int proto)
{
	bool v6 = strchr(to, ':') != NULL;
	struct bpf_sk_lookup ctx = {
		.family = v6 ? AF_INET6 : AF_INET,
		.protocol = (uint32_t)proto,
		.remote_port = htons(from_port),
		.local_port = port,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx, .ctx_size_out = sizeof(ctx));
	void *local = v6 ? (void *)ctx.local_ip6 : (void *)&ctx.local_ip4;
	void *remote = v6 ? (void *)ctx.remote_ip6 : (void *)&ctx.remote_ip4;

	assert_int_equal(inet_pton((int)ctx.family, to, local), 1);
	assert_int_equal(inet_pton((int)ctx.family, v6 ? CLIENT6 : CLIENT4, remote), 1);
	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(e->skel->progs.choose_socket), &opts), 0);
	assert_int_equal(opts.retval, SK_PASS);
	if (ctx.cookie == 0)
		return -1;
	for (int i = 0; i < (TARGETS + 1) * WORKERS; i++)
		if (e->cookies[i] == ctx.cookie)
			return i;
	fail_msg("a socket that nobody put there");
	return -1;
}

/* The row whose sockets take it; 0: none. */
static int row_for(struct env *e, const char *to, uint16_t port)
{
	int slot = choose(e, to, port, 40000, IPPROTO_TCP);

	return slot < 0 ? 0 : slot / WORKERS;
}

static uint64_t counted(struct env *e, uint32_t row, enum sockets_counter counter)
{
	int cpus = libbpf_num_possible_cpus();
	struct sockets_stats *rows = calloc((size_t)cpus, sizeof(*rows));
	uint64_t sum = 0;

	assert_non_null(rows);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(e->skel->maps.sk_stats), &row, rows), 0);
	for (int i = 0; i < cpus; i++)
		sum += rows[i].count[counter];
	free(rows);
	return sum;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_one_port_of_one_address(void **state)
{
	struct env *e = *state;

	exact(e, "203.0.113.10", 80, 1);
	assert_int_equal(row_for(e, "203.0.113.10", 80), 1);
	assert_int_equal(row_for(e, "203.0.113.10", 81), 0);
	assert_int_equal(row_for(e, "203.0.113.11", 80), 0);
	assert_int_equal(row_for(e, "2001:db8::10", 80), 0);
	assert_int_equal(choose(e, "203.0.113.10", 80, 40000, IPPROTO_UDP), -1);
	assert_int_equal(counted(e, 1, SOCKETS_CHOSEN), 1);
}

static void test_one_port_of_one_address_v6(void **state)
{
	struct env *e = *state;

	exact(e, "2001:db8::10", 80, 1);
	assert_int_equal(row_for(e, "2001:db8::10", 80), 1);
	assert_int_equal(row_for(e, "2001:db8::10", 81), 0);
	assert_int_equal(row_for(e, "2001:db8:0:1::10", 80), 0);
	assert_int_equal(choose(e, "2001:db8::10", 80, 40000, IPPROTO_UDP), -1);
}

static void test_ranges_of_an_address(void **state)
{
	struct env *e = *state;
	const struct sockets_ranges r = {.count = 2,
					 .ranges = {{8010, 8019, 2}, {0, UINT16_MAX, 3}}};

	ranges(e, "203.0.113.10", 0, &r);
	exact(e, "203.0.113.10", 8015, 1);
	assert_int_equal(row_for(e, "203.0.113.10", 8009), 3);
	assert_int_equal(row_for(e, "203.0.113.10", 8010), 2);
	assert_int_equal(row_for(e, "203.0.113.10", 8015), 1);
	assert_int_equal(row_for(e, "203.0.113.10", 8019), 2);
	assert_int_equal(row_for(e, "203.0.113.10", 8020), 3);
	assert_int_equal(row_for(e, "203.0.113.10", UINT16_MAX), 3);
	assert_int_equal(row_for(e, "203.0.113.11", 8010), 0);
}

static void test_as_many_ranges_as_there_may_be(void **state)
{
	struct env *e = *state;
	struct sockets_ranges r = {.count = SOCKETS_MAX_RANGES};

	for (uint16_t i = 0; i < SOCKETS_MAX_RANGES; i++)
		r.ranges[i] = (struct sockets_range){i * 10 + 1, i * 10 + 5, 1 + i % TARGETS};
	ranges(e, "203.0.113.0", 24, &r);
	for (uint16_t i = 0; i < SOCKETS_MAX_RANGES; i++) {
		assert_int_equal(row_for(e, "203.0.113.77", i * 10 + 5), 1 + i % TARGETS);
		assert_int_equal(row_for(e, "203.0.113.77", i * 10 + 6), 0);
	}
}

static void test_prefixes(void **state)
{
	struct env *e = *state;
	const struct sockets_ranges longer = {.count = 2,
					      .ranges = {{80, 80, 2}, {0, UINT16_MAX, 1}}};

	range(e, "203.0.0.0", 16, 0, UINT16_MAX, 1);
	ranges(e, "203.0.113.0", 24, &longer);
	range(e, "203.0.113.10", 0, 80, 89, 3);
	exact(e, "203.0.113.10", 85, 4);
	assert_int_equal(row_for(e, "203.0.113.10", 85), 4);
	assert_int_equal(row_for(e, "203.0.113.10", 80), 3);
	assert_int_equal(row_for(e, "203.0.113.11", 80), 2);
	assert_int_equal(row_for(e, "203.0.113.11", 81), 1);
	assert_int_equal(row_for(e, "203.0.112.11", 80), 1);
	assert_int_equal(row_for(e, "203.1.113.11", 80), 0);
	/* Not of the address's ranges: the prefix around it. */
	assert_int_equal(row_for(e, "203.0.113.10", 90), 1);
}

static void test_prefixes_v6(void **state)
{
	struct env *e = *state;

	range(e, "2001:db8::", 32, 443, 443, 1);
	range(e, "2001:db8:1::", 48, 400, 499, 2);
	assert_int_equal(row_for(e, "2001:db8:1:2:3::4", 443), 2);
	assert_int_equal(row_for(e, "2001:db8:2::1", 443), 1);
	assert_int_equal(row_for(e, "2001:db8:2::1", 444), 0);
	assert_int_equal(row_for(e, "2001:db9::1", 443), 0);
}

static void test_families_do_not_mix(void **state)
{
	struct env *e = *state;

	/* The same leading bytes. */
	range(e, "32.1.0.0", 16, 0, UINT16_MAX, 1);
	assert_int_equal(row_for(e, "2001::1", 80), 0);
	assert_int_equal(row_for(e, "32.1.2.3", 80), 1);
}

static void test_what_is_left_to_the_stack(void **state)
{
	struct env *e = *state;

	range(e, "203.0.113.0", 24, 0, UINT16_MAX, 1);
	exact(e, "203.0.113.10", 22, SOCKETS_ROW_STACK);
	range(e, "203.0.113.11", 0, 1, 1023, SOCKETS_ROW_STACK);
	assert_int_equal(row_for(e, "203.0.113.10", 22), 0);
	assert_int_equal(row_for(e, "203.0.113.11", 22), 0);
	assert_int_equal(row_for(e, "203.0.113.11", 1024), 1);
	assert_int_equal(counted(e, SOCKETS_ROW_STACK, SOCKETS_CHOSEN), 0);
	/* No sockets, none that closed: nothing to count. */
	set_target(e, 1, 0);
	assert_int_equal(row_for(e, "203.0.113.12", 80), 0);
	assert_int_equal(counted(e, 1, SOCKETS_NO_SOCKET), 0);
}

static void test_connections_are_shared_out(void **state)
{
	struct env *e = *state;
	unsigned had[WORKERS] = {0};

	range(e, "203.0.113.0", 24, 0, UINT16_MAX, 1);
	for (uint16_t i = 0; i < FLOWS; i++) {
		int slot = choose(e, "203.0.113.10", 80, 20000 + i, IPPROTO_TCP);

		assert_in_range(slot, WORKERS, 2 * WORKERS - 1);
		had[slot - WORKERS]++;
		assert_int_equal(choose(e, "203.0.113.10", 80, 20000 + i, IPPROTO_TCP), slot);
	}
	for (int i = 0; i < WORKERS; i++) /* far beyond four standard deviations */
		assert_in_range(had[i], FLOWS / WORKERS - 50, FLOWS / WORKERS + 50);
	assert_int_equal(counted(e, 1, SOCKETS_CHOSEN), 2 * FLOWS);
}

static void test_other_sockets_at_once(void **state)
{
	struct env *e = *state;

	range(e, "203.0.113.0", 24, 0, UINT16_MAX, 1);
	assert_int_equal(row_for(e, "203.0.113.10", 80), 1);
	set_target(e, 1, SOCKETS_TARGET(2 * WORKERS, 1));
	for (uint16_t i = 0; i < 50; i++)
		assert_int_equal(choose(e, "203.0.113.10", 80, 20000 + i, IPPROTO_TCP),
				 2 * WORKERS);
}

static void test_a_closed_socket_is_counted(void **state)
{
	struct env *e = *state;

	range(e, "203.0.113.0", 24, 0, UINT16_MAX, 1);
	for (uint32_t i = WORKERS; i < 2 * WORKERS; i++) {
		close(e->fds[i]);
		e->fds[i] = -1;
	}
	assert_int_equal(row_for(e, "203.0.113.10", 80), 0);
	assert_int_equal(counted(e, 1, SOCKETS_NO_SOCKET), 1);
	assert_int_equal(counted(e, 1, SOCKETS_CHOSEN), 0);
}

/* A socket of IPv6 alone cannot take an IPv4 packet. */
static void test_a_refused_choice_is_counted(void **state)
{
	struct env *e = *state;

	range(e, "203.0.113.0", 24, 0, UINT16_MAX, 1);
	assert_int_equal(row_for(e, "203.0.113.10", 80), 0);
	assert_int_equal(counted(e, 1, SOCKETS_FAILED), 1);
}

int main(void)
{
#define TEST(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST6(name) cmocka_unit_test_setup_teardown(name, set_up6, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_port_of_one_address),
		TEST6(test_one_port_of_one_address_v6),
		TEST(test_ranges_of_an_address),
		TEST(test_as_many_ranges_as_there_may_be),
		TEST(test_prefixes),
		TEST6(test_prefixes_v6),
		TEST(test_families_do_not_mix),
		TEST(test_what_is_left_to_the_stack),
		TEST(test_connections_are_shared_out),
		TEST(test_other_sockets_at_once),
		TEST(test_a_closed_socket_is_counted),
		TEST6(test_a_refused_choice_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
