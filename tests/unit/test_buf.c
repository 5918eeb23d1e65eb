/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffers: contents survive every growth, memory goes back, the pool keeps no more than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "core/buf.h"

static void fill(struct buf_pool *p, struct buf *b, size_t len, unsigned *next)
{
	while (len--) {
		char c = (char)(*next)++;

		assert_int_equal(buf_append(p, b, &c, 1), 0);
	}
}

static void drain(struct buf_pool *p, struct buf *b, size_t len, unsigned *next)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal((unsigned char)buf_head(b)[i], (unsigned char)(*next)++);
	buf_consume(p, b, len);
}

static void test_contents_survive_growth_and_moves(void **state)
{
	struct buf b = {0};
	unsigned in = 0, out = 0;
	struct buf_pool p;

	(void)state;
	buf_pool_init(&p, 2, 2);
	fill(&p, &b, 10000, &in);
	assert_int_equal(b.cap, BUF_SMALL);
	drain(&p, &b, 9000, &out);
	fill(&p, &b, 15000, &in); /* moved to the front */
	assert_int_equal(b.cap, BUF_SMALL);
	fill(&p, &b, 40000, &in);
	assert_int_equal(b.cap, BUF_LARGE);
	fill(&p, &b, 100000, &in);
	assert_int_equal(b.cap, 4 * BUF_LARGE);
	drain(&p, &b, buf_len(&b), &out);
	assert_int_equal(in, out);
	assert_null(b.data);
	assert_int_equal(p.in_use, 0);
	buf_pool_deinit(&p);
}

static void test_pool_has_a_bound_and_reuses_the_newest(void **state)
{
	struct buf b[4] = {{0}};
	struct buf_pool p;
	char *last;

	(void)state;
	buf_pool_init(&p, 2, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(buf_reserve(&p, &b[i], 1), 0);
	assert_int_equal(p.in_use, 4 * BUF_SMALL);
	buf_release(&p, &b[0]);
	last = b[1].data;
	buf_release(&p, &b[1]);
	assert_int_equal(buf_reserve(&p, &b[0], BUF_SMALL), 0);
	assert_ptr_equal(b[0].data, last);
	for (int i = 0; i < 4; i++)
		buf_release(&p, &b[i]);
	assert_int_equal(p.free_count[0], 2);
	buf_pool_deinit(&p);
}

static void test_absurd_sizes_are_refused(void **state)
{
	struct buf b = {0};
	struct buf_pool p;

	(void)state;
	buf_pool_init(&p, 1, 1);
	assert_int_equal(buf_reserve(&p, &b, SIZE_MAX), -EMSGSIZE);
	assert_null(b.data);
	assert_int_equal(buf_append(&p, &b, NULL, 0), 0);
	assert_null(b.data);
	buf_release(&p, &b);
	buf_pool_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contents_survive_growth_and_moves),
		cmocka_unit_test(test_pool_has_a_bound_and_reuses_the_newest),
		cmocka_unit_test(test_absurd_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
