/* SPDX-License-Identifier: BSD-2-Clause */
/* Large tables that several threads make are the tables that libbpf would make. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cmocka.h>

#include "bpf/abi.h"
#include "loader/tables.h"
#include "skel/steer_xdp.skel.h"

#define LARGE_FLOWS 262144
#define LARGE_SLOTS (4 << 20)

static struct steer_xdp_bpf *open_large(void)
{
	struct steer_xdp_bpf *skel = steer_xdp_bpf__open();

	assert_non_null(skel);
	assert_int_equal(bpf_map__set_max_entries(skel->maps.sh_flow4, LARGE_FLOWS), 0);
	assert_int_equal(bpf_map__set_max_entries(skel->maps.sh_flow6, LARGE_FLOWS), 0);
	assert_int_equal(bpf_map__set_max_entries(skel->maps.sh_rings, LARGE_SLOTS), 0);
	return skel;
}

static struct bpf_map_info info_of(const struct bpf_map *map)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &len), 0);
	return info;
}

static void check_same(const struct bpf_map *one, const struct bpf_map *other)
{
	struct bpf_map_info a = info_of(one), b = info_of(other);

	assert_string_equal(a.name, b.name);
	assert_int_equal(a.type, b.type);
	assert_int_equal(a.key_size, b.key_size);
	assert_int_equal(a.value_size, b.value_size);
	assert_int_equal(a.max_entries, b.max_entries);
	assert_int_equal(a.map_flags, b.map_flags);
	assert_int_equal(a.btf_key_type_id, b.btf_key_type_id);
	assert_int_equal(a.btf_value_type_id, b.btf_value_type_id);
}

static void test_same_tables(void **state)
{
	struct steer_xdp_bpf *serial = open_large(), *parallel = open_large();
	struct bpf_map *map, *other;

	(void)state;
	tables_make(parallel->obj);
	assert_int_equal(bpf_object__load(serial->obj), 0);
	assert_int_equal(bpf_object__load(parallel->obj), 0);
	bpf_object__for_each_map(map, serial->obj)
	{
		other = bpf_object__find_map_by_name(parallel->obj, bpf_map__name(map));
		assert_non_null(other);
		check_same(map, other);
	}
	steer_xdp_bpf__destroy(parallel);
	steer_xdp_bpf__destroy(serial);
}

/* The large ones are there before the object is loaded, and only those; of one processor, none. */
static void test_large_ones_alone(void **state)
{
	struct steer_xdp_bpf *skel = open_large();
	cpu_set_t set;
	bool several;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	several = CPU_COUNT(&set) > 1;
	tables_make(skel->obj);
	assert_int_equal(bpf_map__fd(skel->maps.sh_flow4) >= 0, several);
	assert_int_equal(bpf_map__fd(skel->maps.sh_flow6) >= 0, several);
	assert_int_equal(bpf_map__fd(skel->maps.sh_rings) >= 0, several);
	assert_true(bpf_map__fd(skel->maps.sh_switches) < 0);
	assert_true(bpf_map__fd(skel->maps.sh_verdicts) < 0);
	steer_xdp_bpf__destroy(skel);
}

/* One that is somebody's already stays what it is. */
static void test_given_ones_stay(void **state)
{
	struct steer_xdp_bpf *first = open_large(), *second = open_large();
	struct bpf_map_info before, after;

	(void)state;
	assert_int_equal(bpf_object__load(first->obj), 0);
	before = info_of(first->maps.sh_flow4);
	assert_int_equal(
		bpf_map__reuse_fd(second->maps.sh_flow4, bpf_map__fd(first->maps.sh_flow4)), 0);
	tables_make(second->obj);
	after = info_of(second->maps.sh_flow4);
	assert_int_equal(before.id, after.id);
	steer_xdp_bpf__destroy(second);
	steer_xdp_bpf__destroy(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_tables),
		cmocka_unit_test(test_large_ones_alone),
		cmocka_unit_test(test_given_ones_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
