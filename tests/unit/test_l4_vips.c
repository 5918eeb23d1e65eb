/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses the kernel's table should have, and what it says of each. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l4/vips.h"

static void put(struct key_table *keys, const char *addr, uint16_t port, uint8_t proto,
		uint32_t index, uint8_t action)
{
	struct shunt_vip_key key = {
		.port = htons(port), .proto = proto, .family = strchr(addr, ':') ? 6 : 4};
	struct shunt_service record = {.index = index, .action = action};

	assert_int_equal(inet_pton(key.family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	assert_int_equal(keys_put(keys, &key, &record), 0);
}

static const struct maps_vip_row *find(const struct maps_vip_row *rows, size_t count,
				       const char *addr)
{
	struct shunt_addr_key key = {.family = strchr(addr, ':') ? 6 : 4};

	assert_int_equal(inet_pton(key.family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&rows[i].key, &key, sizeof(key)) == 0)
			return &rows[i];
	}
	fail_msg("%s is not there", addr);
	return NULL;
}

/* What a prefix covers has no row, nor has its first address. */
static void test_prefixes_have_none(void **state)
{
	struct shunt_vip_key key = {
		.port = htons(53), .proto = IPPROTO_UDP, .family = 4, .prefix_len = 24};
	struct shunt_service record = {.index = 3};
	struct key_table keys = {0};
	struct maps_vip_row *rows;
	size_t count;

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "203.0.113.0", key.addr), 1);
	assert_int_equal(keys_put(&keys, &key, &record), 0);
	put(&keys, "203.0.113.10", 80, IPPROTO_TCP, 7, SHUNT_ACTION_STEER);
	assert_int_equal(vips_build(&keys, &rows, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(find(rows, count, "203.0.113.10")->addr.service, 7);
	free(rows);
	keys_deinit(&keys);
}

static void test_one_row_an_address(void **state)
{
	struct key_table keys = {0};
	struct maps_vip_row *rows;
	size_t count;

	(void)state;
	put(&keys, "203.0.113.10", 80, IPPROTO_TCP, 7, SHUNT_ACTION_STEER);
	put(&keys, "203.0.113.10", 443, IPPROTO_TCP, 7, SHUNT_ACTION_STEER);
	put(&keys, "203.0.113.10", 80, IPPROTO_UDP, 7, SHUNT_ACTION_STEER);
	put(&keys, "203.0.113.11", 80, IPPROTO_TCP, 8, SHUNT_ACTION_LOCAL);
	/* An IPv6 address that begins with the same bytes is another one. */
	put(&keys, "cb00:710a::", 80, IPPROTO_TCP, 9, SHUNT_ACTION_STEER);
	assert_int_equal(vips_build(&keys, &rows, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(find(rows, count, "203.0.113.10")->addr.service, 7);
	assert_int_equal(find(rows, count, "203.0.113.10")->addr.flags, 0);
	assert_int_equal(find(rows, count, "203.0.113.11")->addr.service, 8);
	assert_int_equal(find(rows, count, "203.0.113.11")->addr.flags, SHUNT_VIP_LOCAL);
	assert_int_equal(find(rows, count, "cb00:710a::")->addr.service, 9);
	free(rows);
	keys_deinit(&keys);
}

/* In whatever order: the address is this host's, and a steered service counts. */
static void test_shared_with_a_local_service(void **state)
{
	(void)state;
	for (int local_first = 0; local_first < 2; local_first++) {
		struct key_table keys = {0};
		struct maps_vip_row *rows;
		size_t count;

		put(&keys, "2001:db8::1", local_first ? 80 : 443, IPPROTO_TCP, 1,
		    SHUNT_ACTION_LOCAL);
		put(&keys, "2001:db8::1", local_first ? 443 : 80, IPPROTO_TCP, 2,
		    SHUNT_ACTION_STEER);
		assert_int_equal(vips_build(&keys, &rows, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(rows[0].addr.service, 2);
		assert_int_equal(rows[0].addr.flags, SHUNT_VIP_LOCAL);
		free(rows);
		keys_deinit(&keys);
	}
}

static void test_none(void **state)
{
	struct key_table keys = {0};
	struct maps_vip_row *rows;
	size_t count;

	(void)state;
	assert_int_equal(vips_build(&keys, &rows, &count), 0);
	assert_int_equal(count, 0);
	free(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_row_an_address),
		cmocka_unit_test(test_prefixes_have_none),
		cmocka_unit_test(test_shared_with_a_local_service),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
