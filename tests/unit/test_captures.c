/* SPDX-License-Identifier: BSD-2-Clause */
/* One capture at a time: who begins it, what ends it, and when it is forgotten. The kernel's part is a
 * few numbers here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/captures.c"

static struct {
	bool attached, open, current, full;
	int waiting;	     /* packets */
	const char *service; /* in row 2 */
} kernel;

void capture_init(void)
{
}

void capture_stop(struct capture *c)
{
	(void)c;
	kernel.attached = false;
}

void capture_close(struct capture *c)
{
	if (c) {
		capture_stop(c);
		kernel.open = false;
	}
}

bool capture_is_current(const struct capture *c, const struct loader *l)
{
	(void)c;
	assert_non_null(l);
	return kernel.current;
}

void capture_totals(const struct capture *c, struct capture_totals *ret_totals)
{
	(void)c;
	*ret_totals = (struct capture_totals){.taken = (uint64_t)kernel.waiting};
}

bool capture_is_full(const struct capture *c)
{
	(void)c;
	return kernel.full;
}

int capture_read(struct capture *c, size_t packets, size_t bytes, capture_cb cb, void *ctx)
{
	int count = kernel.waiting;

	(void)c;
	(void)packets;
	(void)bytes;
	(void)cb;
	(void)ctx;
	kernel.waiting = 0;
	return count;
}

int maps_service_meta_get(struct loader *l, uint32_t index, struct shunt_svc_meta *ret_meta)
{
	assert_non_null(l);
	assert_int_equal(index, 2);
	*ret_meta = (struct shunt_svc_meta){0};
	(void)snprintf(ret_meta->name, sizeof(ret_meta->name), "%s", kernel.service);
	return 0;
}

static uv_loop_t loop;
static struct captures captures;
static int somewhere;

static int begin(void **state)
{
	(void)state;
	kernel.attached = kernel.open = kernel.current = true;
	kernel.full = false;
	kernel.waiting = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	captures_init(&captures, &loop);
	return captures_begin(&captures, (void *)&somewhere, (void *)&somewhere, 60000);
}

static int finish(void **state)
{
	(void)state;
	captures_deinit(&captures);
	uv_close((uv_handle_t *)&captures.timer, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_false(kernel.open);
	return 0;
}

/* One tick of the timer. */
static void tick(void)
{
	(void)uv_run(&loop, UV_RUN_ONCE);
}

static void expect_ended(const char *why)
{
	assert_int_equal(captures.state, CAPTURES_ENDED);
	assert_string_equal(captures.why, why);
	assert_false(captures_is_busy(&captures));
	assert_false(kernel.attached);
	assert_true(kernel.open);
}

static void test_goes_on(void **state)
{
	char id[CAPTURES_ID_LEN];

	(void)state;
	memcpy(id, captures.id, sizeof(id));
	tick();
	assert_true(captures_is_busy(&captures));
	assert_true(kernel.attached);
	assert_true(captures_find(&captures, id));
	assert_false(captures_find(&captures, ""));
	assert_false(captures_find(&captures, "0"));
}

static void test_limit(void **state)
{
	(void)state;
	kernel.full = true;
	tick();
	expect_ended("it has as much as was asked for");
	kernel.waiting = 3;
	assert_int_equal(captures_read(&captures, 10, 10, NULL, NULL), 3);
	expect_ended("it has as much as was asked for");
	assert_int_equal(captures_read(&captures, 10, 10, NULL, NULL), 0);
	assert_int_equal(captures.state, CAPTURES_NONE);
	assert_false(kernel.open);
	assert_false(captures_find(&captures, ""));
}

static void test_time(void **state)
{
	(void)state;
	captures.until_ms = clock_now_ms();
	tick();
	expect_ended("its time is over");
}

static void test_program(void **state)
{
	(void)state;
	kernel.current = false;
	tick();
	expect_ended("the steering program was replaced");
}

static void test_service(void **state)
{
	(void)state;
	captures.service_row = 3;
	(void)snprintf(captures.service, sizeof(captures.service), "web");
	kernel.service = "web";
	tick();
	assert_true(captures_is_busy(&captures));
	kernel.service = "another";
	tick();
	expect_ended("its service was removed");
}

static void test_order(void **state)
{
	(void)state;
	captures_end(&captures, "it was ended");
	expect_ended("it was ended");
	captures_end(&captures, "again");
	tick(); /* what was looked at may be gone */
	expect_ended("it was ended");
}

static void expect_forgotten_when_nobody_reads(void)
{
	captures.lease_ms = clock_now_ms();
	tick();
	assert_int_equal(captures.state, CAPTURES_NONE);
	assert_false(kernel.open);
}

static void test_reader_gone(void **state)
{
	(void)state;
	expect_forgotten_when_nobody_reads();
}

static void test_reader_gone_after_the_end(void **state)
{
	(void)state;
	captures_end(&captures, "it was ended");
	expect_forgotten_when_nobody_reads();
}

/* It lives while it is read. */
static void test_lease(void **state)
{
	(void)state;
	captures.lease_ms = clock_now_ms();
	assert_true(captures_find(&captures, captures.id));
	tick();
	assert_true(captures_is_busy(&captures));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_goes_on),	CASE(test_limit),
		CASE(test_time),	CASE(test_program),
		CASE(test_service),	CASE(test_order),
		CASE(test_reader_gone), CASE(test_reader_gone_after_the_end),
		CASE(test_lease),
	};

	return cmocka_run_group_tests_name("captures", tests, NULL, NULL);
}
