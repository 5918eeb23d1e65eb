/* SPDX-License-Identifier: BSD-2-Clause */
/* Connection ids in QUIC packets, and server ids in them, as the kernel program finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/quic.h"

struct cid_case {
	const char *name;
	uint8_t data[64];
	size_t len;
	const char *id; /* as it is found; NULL: none */
};

#define BYTES(...) .data = {__VA_ARGS__}, .len = sizeof((uint8_t[]){__VA_ARGS__})

/* The bytes stand at the end of memory of their own, so that a sanitizer sees every read behind. */
static bool find(const struct shunt_service *svc, const uint8_t *data, size_t len,
		 uint8_t ret_id[SHUNT_SERVER_ID_MAX])
{
	uint8_t *copy = malloc(len + 1);
	struct quic_cid cid;
	bool found;

	assert_non_null(copy);
	memcpy(copy + 1, data, len);
	memset(ret_id, 0, SHUNT_SERVER_ID_MAX);
	found = quic_find_cid(copy + 1, copy + 1 + len, &cid) &&
		quic_server_id(svc, &cid, copy + 1 + len, ret_id);
	free(copy);
	return found;
}

static void check(const struct shunt_service *svc, const struct cid_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct cid_case *c = &cases[i];
		uint8_t id[SHUNT_SERVER_ID_MAX];
		bool found = find(svc, c->data, c->len, id);

		if (found != (c->id != NULL) ||
		    (found && memcmp(id, c->id, svc->server_id_len) != 0))
			fail_msg("%s", c->name);
		/* Whatever is cut off: nothing is read behind, and the id is found whole or not. */
		for (size_t len = 0; len < c->len; len++) {
			if (find(svc, c->data, len, id))
				assert_memory_equal(id, c->id, svc->server_id_len);
		}
	}
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The example of the draft without encryption: configuration 0, a server id of 3 octets, a connection
 * id of 8. */
static void test_lb(void **state)
{
	static const struct shunt_service svc = {.cid = SHUNT_CID_LB, .server_id_len = 3};
	static const struct cid_case cases[] = {
		{"short", BYTES(0x40, 0x07, 0xed, 0x79, 0x3a, 0x51, 0xd4, 0x9b, 0x8f, 0xaa),
		 "\xed\x79\x3a"},
		{"short, nothing behind", BYTES(0x40, 0x07, 0xed, 0x79, 0x3a, 1, 2, 3, 4),
		 "\xed\x79\x3a"},
		{"short, cut", BYTES(0x40, 0x07, 0xed, 0x79, 0x3a, 1, 2, 3), NULL},
		{"short, smallest", BYTES(0x40, 0x03, 0xed, 0x79, 0x3a), "\xed\x79\x3a"},
		{"short, too small", BYTES(0x40, 0x02, 0xed, 0x79, 0x3a), NULL},
		{"short, longer than there are",
		 BYTES(0x40, 0x14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
		       19, 20, 21),
		 NULL},
		{"short, longest",
		 BYTES(0x40, 0x13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
		       19),
		 "\x01\x02\x03"},
		{"short, other configuration", BYTES(0x40, 0x27, 0xed, 0x79, 0x3a, 1, 2, 3, 4),
		 NULL},
		{"short, not routable", BYTES(0x40, 0xe7, 0xed, 0x79, 0x3a, 1, 2, 3, 4), NULL},
		{"long", BYTES(0xe0, 0, 0, 0, 1, 8, 0x07, 0xed, 0x79, 0x3a, 1, 2, 3, 4, 0),
		 "\xed\x79\x3a"},
		{"long, any version", BYTES(0x80, 9, 9, 9, 9, 4, 0x03, 0xed, 0x79, 0x3a),
		 "\xed\x79\x3a"},
		{"long, another length inside",
		 BYTES(0xe0, 0, 0, 0, 1, 8, 0x06, 1, 2, 3, 4, 5, 6, 7), NULL},
		{"long, too short", BYTES(0xe0, 0, 0, 0, 1, 3, 0x02, 1, 2, 3, 4), NULL},
		{"long, empty", BYTES(0xe0, 0, 0, 0, 1, 0, 0x03, 1, 2, 3), NULL},
		{"long, 21 octets",
		 BYTES(0xe0, 0, 0, 0, 1, 21, 0x14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
		       15, 16, 17, 18, 19, 20),
		 NULL},
		{"version negotiation", BYTES(0xe0, 0, 0, 0, 0, 4, 0x03, 1, 2, 3), NULL},
	};

	(void)state;
	check(&svc, cases, COUNT(cases));
}

static void test_lb_configured_length(void **state)
{
	static const struct shunt_service svc = {
		.cid = SHUNT_CID_LB, .cid_config = 5, .cid_len = 10, .server_id_len = 8};
	static const struct cid_case cases[] = {
		{"short", BYTES(0x40, 0xb1, 1, 2, 3, 4, 5, 6, 7, 8, 9), "\1\2\3\4\5\6\7\10"},
		{"short, cut", BYTES(0x40, 0xb1, 1, 2, 3, 4, 5, 6, 7, 8), NULL},
		{"long", BYTES(0xc0, 0, 0, 0, 1, 10, 0xbf, 1, 2, 3, 4, 5, 6, 7, 8, 9),
		 "\1\2\3\4\5\6\7\10"},
		{"long, shorter", BYTES(0xc0, 0, 0, 0, 1, 9, 0xbf, 1, 2, 3, 4, 5, 6, 7, 8), NULL},
		{"other configuration", BYTES(0x40, 0x91, 1, 2, 3, 4, 5, 6, 7, 8, 9), NULL},
	};

	(void)state;
	check(&svc, cases, COUNT(cases));
}

static void test_offset(void **state)
{
	static const struct shunt_service svc = {.cid = SHUNT_CID_OFFSET,
						 .cid_offset = 2,
						 .server_id_len = 2,
						 .server_id_mask = {0xff, 0xf0}};
	static const struct cid_case cases[] = {
		{"short", BYTES(0x40, 9, 9, 0x12, 0x34, 0x56), "\x12\x30"},
		{"short, cut", BYTES(0x40, 9, 9, 0x12), NULL},
		{"long", BYTES(0xc0, 0, 0, 0, 1, 4, 9, 9, 0x12, 0x3f), "\x12\x30"},
		{"long, longest",
		 BYTES(0xc0, 0, 0, 0, 1, 20, 9, 9, 0x12, 0x3f, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
		       15, 16, 17, 18, 19, 20),
		 "\x12\x30"},
		{"long, too short", BYTES(0xc0, 0, 0, 0, 1, 3, 9, 9, 0x12, 0x3f), NULL},
	};

	(void)state;
	check(&svc, cases, COUNT(cases));
}

/* Anything, and any record: nothing is read or written where it should not be. */
static void test_anything(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint8_t data[40], id[SHUNT_SERVER_ID_MAX];
		struct shunt_service svc = {
			.cid = (uint8_t)(rand_r(&seed) % 3),
			.cid_config = (uint8_t)(rand_r(&seed) % 8),
			.cid_len = (uint8_t)(rand_r(&seed) % 256),
			.cid_offset = (uint8_t)(rand_r(&seed) % 256),
			.server_id_len = (uint8_t)(rand_r(&seed) % 16),
		};

		for (size_t k = 0; k < sizeof(data); k++)
			data[k] = (uint8_t)rand_r(&seed);
		(void)find(&svc, data, (size_t)(rand_r(&seed) % (int)(sizeof(data) + 1)), id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lb),
		cmocka_unit_test(test_lb_configured_length),
		cmocka_unit_test(test_offset),
		cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
