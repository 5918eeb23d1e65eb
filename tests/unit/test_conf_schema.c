/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/schema: what the reader, the differences and a reference page rely on in every row. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "conf/read.h"
#include "conf/schema.h"
#include "core/arena.h"
#include "core/strbuf.h"

static void check_row(const struct section *s, const struct keyword *k)
{
	bool is_quantity = k->type == KEY_NUMBER || k->type == KEY_DURATION || k->type == KEY_SIZE;

	assert_non_null(k->text);
	assert_true(k->text[strlen(k->text) - 1] != '.');
	assert_ptr_equal(section_keyword(s, k->name), k); /* so no name is there twice */
	if (is_quantity) {
		assert_true(k->min < k->max);
		assert_true(k->width == 1 || k->width == 2 || k->width == 4 || k->width == 8);
	}
	if (k->width == 2)
		assert_true(k->max <= UINT16_MAX);
	if (k->width == 4 && is_quantity)
		assert_true(k->max / (k->scale ? k->scale : 1) <= UINT32_MAX);
	assert_int_equal(k->type == KEY_CHOICE, k->words != NULL);
	assert_int_equal(k->type == KEY_SPECIAL, k->read && k->format);
	if (k->type != KEY_SPECIAL)
		assert_int_equal(k->type == KEY_SECTION || k->type == KEY_NAMED ||
					 k->type == KEY_ITEMS,
				 k->section != NULL);
	if (k->type == KEY_SPECIAL || k->type == KEY_TEXT || k->type == KEY_NAME)
		assert_non_null(k->form);
	if (k->only_key)
		assert_non_null(section_keyword(s, k->only_key));
	assert_false(k->required && k->fallback);
}

static void check_section(const struct section *s, unsigned depth)
{
	assert_true(depth < 8);
	assert_non_null(s->name);
	assert_non_null(s->text);
	for (size_t i = 0; i < s->count; i++) {
		check_row(s, &s->keys[i]);
		if (s->keys[i].section)
			check_section(s->keys[i].section, depth + 1);
	}
}

static void every_row_is_whole(void **state)
{
	(void)state;
	check_section(&schema_root, 0);
}

/* A default that could not be read would be an error in every configuration. */
static void every_default_is_a_good_value(void **state)
{
	const struct section *sections[] = {&schema_node, &schema_admin, &schema_pool,
					    &schema_backend, &schema_service};

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct reader r;
		struct arena arena;
		struct diag d;
		union {
			struct node node;
			struct admin_conf admin;
			struct pool pool;
			struct backend backend;
			struct service service;
		} object = {0};

		arena_init(&arena);
		diag_init(&d);
		reader_init(&r, &arena, &d);
		read_section(&r, sections[i], NULL, &object);
		show_diag(&d);
		assert_int_equal(d.count, 0);
		diag_deinit(&d);
		arena_deinit(&arena);
	}
}

/* Every value of a snapshot, written as the formatter writes it, reads back as the same. */
static void what_is_formatted_can_be_read(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s =
		build_good(rt, "node: {interfaces: [eth0], hash_seed: "
			       "00112233445566778899aabbccddeeff,\n"
			       "  tunnel_source: [10.0.0.0/16], workers: 3}\nservices: {}\n");
	struct strbuf b;
	struct snapshot *again;
	char *first;

	(void)state;
	strbuf_init(&b);
	strbuf_add(&b, "services: {}\nnode: ");
	keyword_format(&b, section_keyword(&schema_root, "node"), s);
	first = strbuf_take(&b);
	assert_string_equal(
		first,
		"services: {}\n"
		"node: {interfaces: [eth0], xdp_mode: native, workers: 3, pin_path: "
		"/sys/fs/bpf/shunt, hash_seed: 00112233445566778899aabbccddeeff, "
		"tunnel_source: [10.0.0.0/16], fragments: follow, echo: on, icmp_rate: "
		"100, steer_sockets: auto, io_uring: auto, drain_timeout: 30s, reconcile: 30s, "
		"ticket_rotation: 8h, "
		"limits: {services: "
		"1024, backends: 16384, ring_slots: 8388608, flows: 2097152, pending: "
		"65536, guard: 65536, sources: 65536, nat: 262144}}");
	again = build_good(rt, first);
	strbuf_add(&b, "services: {}\nnode: ");
	keyword_format(&b, section_keyword(&schema_root, "node"), again);
	assert_string_equal(b.text, first);
	strbuf_deinit(&b);
	free(first);
	snapshot_unref(s);
	snapshot_unref(again);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(every_default_is_a_good_value),
		cmocka_unit_test(what_is_formatted_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
