/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each combination of load-time settings is another program to the kernel. This is the list of those in
 * use: whoever adds a setting adds its values here, or the test fails. Each one is loaded, of the build
 * that is installed (not that with poisoned head room), in both of the forms that the loader has it in:
 * as a program alone, and in the place of a function of a dispatcher.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>
#include <xdp/prog_dispatcher.h>

#include "bpf/abi.h"
#include "skel/dispatcher.skel.h"
#include "skel/steer_xdp.skel.h"

#define VERIFIED_MAX 200000 /* a fifth of what any kernel takes: a first start waits for it */
#define PLACE	     "prog0"

/* Fields of struct shunt_settings. The version has one value; the seed has any, and the program has no
 * branch on it. */
static const char *const known[] = {"abi_version", "_pad", "hash_seed"};

static const uint64_t seeds[][2] = {
	{0, 0},
	{UINT64_MAX, UINT64_MAX},
};

static struct steer_xdp_bpf *open_program(const uint64_t seed[2])
{
	struct steer_xdp_bpf *skel = steer_xdp_bpf__open();

	assert_non_null(skel);
	skel->rodata->settings.hash_seed[0] = seed[0];
	skel->rodata->settings.hash_seed[1] = seed[1];
	return skel;
}

static const struct btf_type *find_type(const struct btf *btf, const char *name, uint32_t kind)
{
	int id = btf__find_by_name_kind(btf, name, kind);

	assert_true(id > 0);
	return btf__type_by_id(btf, (uint32_t)id);
}

static void test_all_settings_are_known(void **state)
{
	struct steer_xdp_bpf *skel = open_program(seeds[0]);
	const struct btf *btf = bpf_object__btf(skel->obj);
	const struct btf_type *fields = find_type(btf, "shunt_settings", BTF_KIND_STRUCT);
	const struct btf_type *data = find_type(btf, ".rodata", BTF_KIND_DATASEC), *only;

	(void)state;
	assert_int_equal(btf_vlen(fields), sizeof(known) / sizeof(known[0]));
	for (uint16_t i = 0; i < btf_vlen(fields); i++)
		assert_string_equal(btf__name_by_offset(btf, btf_members(fields)[i].name_off),
				    known[i]);
	/* And there are no settings but those in the struct. */
	assert_int_equal(btf_vlen(data), 1);
	only = btf__type_by_id(btf, btf_var_secinfos(data)[0].type);
	assert_string_equal(btf__name_by_offset(btf, only->name_off), "settings");
	steer_xdp_bpf__destroy(skel);
}

static void check_verified(const struct steer_xdp_bpf *skel, const char *form, size_t seed)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int err = bpf_obj_get_info_by_fd(bpf_program__fd(skel->progs.steer_xdp), &info, &len);

	assert_int_equal(err, 0);
	print_message("%s, seed %zu: %u instructions verified\n", form, seed, info.verified_insns);
	assert_in_range(info.verified_insns, 1, VERIFIED_MAX - 1);
}

static void test_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		struct steer_xdp_bpf *skel = open_program(seeds[i]);

		assert_int_equal(steer_xdp_bpf__load(skel), 0);
		check_verified(skel, "alone", i);
		steer_xdp_bpf__destroy(skel);
	}
}

/* As libxdp does it; that it does is shown by tests/net/test_dispatcher.py. */
static int load_component(struct steer_xdp_bpf *skel, int dispatcher_fd)
{
	int err;

	bpf_program__set_type(skel->progs.steer_xdp, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(skel->progs.steer_xdp, 0);
	err = bpf_program__set_attach_target(skel->progs.steer_xdp, dispatcher_fd, PLACE);
	return err < 0 ? err : steer_xdp_bpf__load(skel);
}

/* A kernel without such extensions says so at once. Those of vm/ have them. */
static void test_in_a_dispatcher(void **state)
{
	struct dispatcher_bpf *dispatcher = dispatcher_bpf__open();
	bool without = false;

	(void)state;
	assert_non_null(dispatcher);
	dispatcher->rodata->conf.num_progs_enabled = 1; /* or the kernel takes the place for dead */
	assert_int_equal(dispatcher_bpf__load(dispatcher), 0);
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]) && !without; i++) {
		struct steer_xdp_bpf *skel = open_program(seeds[i]);
		int err = load_component(skel, bpf_program__fd(dispatcher->progs.xdp_dispatcher));

		if (err == 0)
			check_verified(skel, "in a dispatcher", i);
		steer_xdp_bpf__destroy(skel);
		without = err == -EPERM && getenv("SHUNT_VM") == NULL;
		if (!without)
			assert_int_equal(err, 0);
	}
	dispatcher_bpf__destroy(dispatcher);
	if (without) {
		print_message("skipped: this kernel does not replace functions of programs\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_settings_are_known),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_in_a_dispatcher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
