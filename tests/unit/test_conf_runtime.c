/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/runtime: identity, references from several threads, sums. */
#include "tests/unit/conf_util.h"

#include <pthread.h>
#include <stdlib.h>

static struct endpoint ep_of(const char *text)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(text, &ep), 0);
	return ep;
}

static void one_identity_is_one_object(void **state)
{
	struct runtime *rt = runtime_new();
	struct endpoint one = ep_of("10.0.0.1:80"), two = ep_of("10.0.0.1:81");
	struct backend_rt *a = runtime_backend(rt, "web", "a", &one);
	struct backend_rt *others[3];
	struct service_rt *s = runtime_service(rt, "web");

	(void)state;
	assert_ptr_equal(runtime_backend(rt, "web", "a", &one), a);
	backend_rt_unref(a);
	others[0] = runtime_backend(rt, "web", "b", &one);
	others[1] = runtime_backend(rt, "we", "ba", &one);
	others[2] = runtime_backend(rt, "web", "a", &two);
	for (size_t i = 0; i < 3; i++) {
		assert_ptr_not_equal(others[i], a);
		backend_rt_unref(others[i]);
	}
	assert_string_equal(a->pool, "web");
	assert_string_equal(a->name, "a");
	assert_int_equal(endpoint_cmp(&a->ep, &one), 0);
	assert_int_equal(a->health, HEALTH_UNKNOWN);
	assert_int_equal((uintptr_t)a->counters % 64, 0);
	assert_ptr_equal(runtime_service(rt, "web"), s);
	assert_string_equal(s->name, "web");
	assert_int_equal((uintptr_t)s->counters % 64, 0);
	service_rt_unref(s);
	service_rt_unref(s);
	backend_rt_unref(a);
	backend_rt_unref(NULL);
	service_rt_unref(NULL);
	runtime_free(rt);
	runtime_free(NULL);
}

static void what_nobody_holds_is_swept(void **state)
{
	struct runtime *rt = runtime_new();
	struct endpoint ep = ep_of("10.0.0.1");
	struct backend_rt *a = runtime_backend(rt, "web", "a", &ep);
	struct backend_rt *b = runtime_backend(rt, "web", "b", &ep);

	(void)state;
	atomic_store(&a->health, HEALTH_DOWN);
	atomic_store(&b->health, HEALTH_DOWN);
	backend_rt_unref(b);
	/* Found again before the sweep: the same one, with its state. */
	assert_ptr_equal(runtime_backend(rt, "web", "b", &ep), b);
	backend_rt_unref(b);
	runtime_sweep(rt);
	assert_ptr_equal(runtime_backend(rt, "web", "a", &ep), a);
	assert_int_equal(a->health, HEALTH_DOWN);
	b = runtime_backend(rt, "web", "b", &ep);
	assert_int_equal(b->health, HEALTH_UNKNOWN);
	backend_rt_unref(a);
	backend_rt_unref(a);
	backend_rt_unref(b);
	runtime_free(rt);
}

static void many_are_found(void **state)
{
	enum { COUNT = 1000 };
	struct runtime *rt = runtime_new();
	struct endpoint ep = ep_of("10.0.0.1");
	struct backend_rt *all[COUNT];
	char name[16];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		/* One bucket holds several, so every part of the identity must count. */
		all[i] = i % 2 ? runtime_backend(rt, "web", name, &ep)
			       : runtime_backend(rt, name, "web", &ep);
		assert_non_null(all[i]);
		assert_string_equal(i % 2 ? all[i]->name : all[i]->pool, name);
		assert_string_equal(i % 2 ? all[i]->pool : all[i]->name, "web");
	}
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		assert_ptr_equal(i % 2 ? runtime_backend(rt, "web", name, &ep)
				       : runtime_backend(rt, name, "web", &ep),
				 all[i]);
		backend_rt_unref(all[i]);
		backend_rt_unref(all[i]);
	}
	runtime_sweep(rt);
	runtime_free(rt);
}

static void counters_are_summed_over_workers(void **state)
{
	struct runtime *rt = runtime_new();
	struct endpoint ep = ep_of("10.0.0.1");
	struct backend_rt *b = runtime_backend(rt, "web", "a", &ep);
	struct service_rt *s = runtime_service(rt, "web");
	struct backend_counters b_sum;
	struct service_counters s_sum;

	(void)state;
	for (unsigned i = 0; i < RUNTIME_MAX_WORKERS; i++) {
		counter_add(&b->counters[i].requests, i);
		counter_add(&b->counters[i].active_down, 1);
		counter_add(&s->counters[i].bytes_out, 1000);
	}
	backend_rt_sum(b, &b_sum);
	service_rt_sum(s, &s_sum);
	assert_int_equal(b_sum.requests, 64 * 63 / 2);
	assert_int_equal(b_sum.active_down, 64);
	assert_int_equal(b_sum.failures, 0);
	assert_int_equal(s_sum.bytes_out, 64000);
	assert_int_equal(s_sum.requests, 0);
	backend_rt_unref(b);
	service_rt_unref(s);
	runtime_free(rt);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(health_state_name(HEALTH_UNKNOWN), "unknown");
	assert_string_equal(health_state_name(HEALTH_UP), "up");
	assert_string_equal(health_state_name(HEALTH_DOWN), "down");
}

/* Threads that hold snapshots and let go of them while the main thread builds and sweeps. */

#define THREADS 3
#define ROUNDS	300

static const char document[] =
	"node: {interfaces: [eth0]}\n"
	"pools:\n"
	"  web: {health: none, backends: [{name: a, address: 10.0.0.1}, {name: %s, address: "
	"10.0.0.2}]}\n"
	"services: {web: {listen: 10.9.0.1:80/tcp, mode: l4, pool: web}}\n";

static struct snapshot *_Atomic slots[THREADS];
static atomic_bool stop;

/* Takes what is put into its slot, looks at it, drops it: the worker's side of a reload. */
static void *drop_snapshots(void *arg)
{
	struct snapshot *_Atomic *slot = arg;

	for (;;) {
		bool last = atomic_load(&stop);
		struct snapshot *s = atomic_exchange(slot, NULL);

		if (!s && last)
			return NULL;
		if (s)
			(void)backend_is_usable(&s->pools[0].backends[1]);
		snapshot_unref(s);
	}
}

static void the_last_reference_may_go_anywhere(void **state)
{
	struct runtime *rt = runtime_new();
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, drop_snapshots, &slots[i]), 0);
	for (int round = 0; round < ROUNDS; round++) {
		char text[512], name[8];
		struct snapshot *s;

		snprintf(name, sizeof(name), "b%d", round % 3);
		snprintf(text, sizeof(text), document, name);
		s = build_good(rt, text);
		for (size_t i = 0; i < THREADS; i++)
			snapshot_unref(atomic_exchange(&slots[i], snapshot_ref(s)));
		snapshot_unref(s);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	runtime_sweep(rt);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_identity_is_one_object),
		cmocka_unit_test(what_nobody_holds_is_swept),
		cmocka_unit_test(many_are_found),
		cmocka_unit_test(counters_are_summed_over_workers),
		cmocka_unit_test(states_have_names),
		cmocka_unit_test(the_last_reference_may_go_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
