/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks over loopback: states, what stays over a new configuration, and that nothing is left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "core/clock.h"
#include "core/log.h"
#include "health/health.h"

#define DEADLINE_MS 20000

/* A server that answers each connection with the same text and closes it. */
struct server {
	uv_tcp_t tcp;
	uint16_t port;
	const char *answer; /* NULL: says nothing, keeps the connection */
	unsigned accepted;
};

struct peer {
	uv_tcp_t tcp;
	uv_write_t write;
	struct server *server;
	char in[1024];
};

struct fixture {
	uv_loop_t loop;
	struct runtime *rt;
	struct health *health;
	struct server server;
	unsigned changes;
};

static void on_peer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct peer *p = h->data;

	(void)size;
	*buf = uv_buf_init(p->in, sizeof(p->in));
}

static void on_written(uv_write_t *req, int status)
{
	uv_handle_t *h = (uv_handle_t *)req->handle;

	(void)status;
	if (!uv_is_closing(h))
		uv_close(h, on_peer_closed);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *unused)
{
	struct peer *p = s->data;
	uv_buf_t buf;

	(void)unused;
	if (n < 0) {
		if (!uv_is_closing((uv_handle_t *)s))
			uv_close((uv_handle_t *)s, on_peer_closed);
		return;
	}
	if (n == 0 || !p->server->answer)
		return;
	buf = uv_buf_init((char *)p->server->answer, (unsigned)strlen(p->server->answer));
	(void)uv_read_stop(s);
	assert_int_equal(uv_write(&p->write, s, &buf, 1, on_written), 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct peer *p = calloc(1, sizeof(*p));

	assert_int_equal(status, 0);
	assert_non_null(p);
	p->server = s;
	p->tcp.data = p;
	s->accepted++;
	assert_int_equal(uv_tcp_init(listener->loop, &p->tcp), 0);
	p->tcp.data = p;
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->tcp), 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read), 0);
}

static void server_open(struct fixture *f)
{
	struct sockaddr_in sin;
	int len = sizeof(sin);

	assert_int_equal(uv_ip4_addr("127.0.0.1", f->server.port, &sin), 0);
	assert_int_equal(uv_tcp_init(&f->loop, &f->server.tcp), 0);
	f->server.tcp.data = &f->server;
	assert_int_equal(uv_tcp_bind(&f->server.tcp, (struct sockaddr *)&sin, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&f->server.tcp, 16, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&f->server.tcp, (struct sockaddr *)&sin, &len), 0);
	f->server.port = ntohs(sin.sin_port);
}

static void on_change(void *ctx)
{
	struct fixture *f = ctx;

	f->changes++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->rt = runtime_new();
	assert_non_null(f->rt);
	assert_int_equal(health_start(&f->loop, on_change, f, &f->health), 0);
	server_open(f);
	*state = f;
	return 0;
}

static void mark(void *ctx)
{
	*(int *)ctx = 1;
}

/* Everything must be gone: handles, references, memory (by the sanitizer). */
static int teardown(void **state)
{
	struct fixture *f = *state;
	int done = 0;

	health_close(f->health, mark, &done);
	if (!uv_is_closing((uv_handle_t *)&f->server.tcp))
		uv_close((uv_handle_t *)&f->server.tcp, NULL);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(done);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	runtime_free(f->rt);
	free(f);
	return 0;
}

/* A pool "p" with these backends, checked as said, taken over by health. */
static void apply(struct fixture *f, const char *health, const char *backends)
{
	char *text;
	struct diag d;
	struct tree *t;
	struct snapshot *snap;

	assert_true(
		asprintf(&text,
			 "pools: {p: {%s backends: [%s]}}\n"
			 "services: {s: {listen: [\"127.0.0.1:80/tcp\"], mode: http, pool: p}}\n",
			 health, backends) > 0);
	diag_init(&d);
	t = tree_parse("test", text, strlen(text), &d);
	snap = t ? conf_build(t, f->rt, &d) : NULL;
	if (!snap)
		diag_print(&d, stderr);
	assert_non_null(snap);
	assert_int_equal(health_apply(f->health, snap), 0);
	snapshot_unref(snap);
	tree_free(t);
	diag_deinit(&d);
	free(text);
}

static const char *backend(const struct fixture *f, const char *name, char *buf, size_t len)
{
	(void)snprintf(buf, len, "{name: %s, address: \"127.0.0.1:%u\"}", name, f->server.port);
	return buf;
}

/* The test's own reference, so that it can look after the snapshot has gone. */
static struct backend_rt *find(struct fixture *f, const char *name)
{
	struct endpoint ep;
	char text[64];

	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", f->server.port);
	assert_int_equal(endpoint_parse(text, &ep), 0);
	return runtime_backend(f->rt, "p", name, &ep);
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

static void run_until(struct fixture *f, bool (*holds)(const struct backend_rt *b, uint64_t n),
		      const struct backend_rt *b, uint64_t n)
{
	uint64_t deadline = clock_now_ms() + DEADLINE_MS;
	uv_timer_t tick; /* so that the loop comes back to look at the clock */

	assert_int_equal(uv_timer_init(&f->loop, &tick), 0);
	assert_int_equal(uv_timer_start(&tick, on_tick, 5, 5), 0);
	while (!holds(b, n) && clock_now_ms() < deadline)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	if (!holds(b, n))
		fail_msg("time is over: health %d, checks %llu, text %s", (int)b->health,
			 (unsigned long long)b->health_checks, b->health_text);
}

static bool has_state(const struct backend_rt *b, uint64_t state)
{
	return (uint64_t)atomic_load(&b->health) == state;
}

static bool has_checks(const struct backend_rt *b, uint64_t n)
{
	return b->health_checks >= n;
}

static bool has_local_text(const struct backend_rt *b, uint64_t unused)
{
	(void)unused;
	return strstr(b->health_text, "on this host") != NULL;
}

static void run_for(struct fixture *f, uint64_t ms)
{
	uint64_t end = clock_now_ms() + ms;
	uv_timer_t tick;

	assert_int_equal(uv_timer_init(&f->loop, &tick), 0);
	assert_int_equal(uv_timer_start(&tick, on_tick, 5, 5), 0);
	while (clock_now_ms() < end)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

#define TCP_CHECK  "health: {tcp: {}, every: 100ms, rise: 2, fall: 2},"
#define HTTP_CHECK "health: {http: {path: /up}, every: 100ms, timeout: 100ms, rise: 2, fall: 2},"

static void test_tcp_up_then_down(void **state)
{
	struct fixture *f = *state;
	char buf[128];
	struct backend_rt *b;

	apply(f, TCP_CHECK, backend(f, "a", buf, sizeof(buf)));
	b = find(f, "a");
	run_until(f, has_state, b, HEALTH_UP);
	assert_int_equal(b->health_checks, 1);
	assert_int_equal(f->changes, 1);
	assert_non_null(strstr(b->health_text, "connected in"));
	uv_close((uv_handle_t *)&f->server.tcp, NULL);
	run_until(f, has_state, b, HEALTH_DOWN);
	assert_true(b->health_failures >= 2);
	assert_string_equal(b->health_text, "connect: connection refused");
	assert_int_equal(f->changes, 2);
	backend_rt_unref(b);
}

static void test_http_judges_the_status(void **state)
{
	struct fixture *f = *state;
	char buf[128];
	struct backend_rt *b;

	f->server.answer = "HTTP/1.1 200 Fine\r\n\r\n";
	apply(f, HTTP_CHECK, backend(f, "a", buf, sizeof(buf)));
	b = find(f, "a");
	run_until(f, has_state, b, HEALTH_UP);
	assert_non_null(strstr(b->health_text, "200 Fine in"));
	f->server.answer = "HTTP/1.1 503 Busy\r\n\r\n";
	run_until(f, has_state, b, HEALTH_DOWN);
	assert_string_equal(b->health_text, "status 503 Busy, expected 200 to 299");
	f->server.answer = "HTTP/1.1 204\r\n\r\n";
	run_until(f, has_state, b, HEALTH_UP);
	backend_rt_unref(b);
}

static void test_http_refuses_what_is_no_answer(void **state)
{
	static const struct {
		const char *answer, *text;
	} cases[] = {
		{"220 mail.example.com\r\n", "the answer is not HTTP/1"},
		{"", "closed before an answer"},
		{"HTTP/1.1 200", "closed before an answer"},
		{NULL, "no answer within 100 ms"},
	};
	struct fixture *f = *state;
	char buf[128];
	struct backend_rt *b;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "b%zu", i);
		f->server.answer = cases[i].answer;
		apply(f, HTTP_CHECK, backend(f, name, buf, sizeof(buf)));
		b = find(f, name);
		run_until(f, has_state, b, HEALTH_DOWN);
		assert_string_equal(b->health_text, cases[i].text);
		backend_rt_unref(b);
	}
}

static void test_what_stays_keeps_its_state(void **state)
{
	struct fixture *f = *state;
	char a[128], c[300];
	struct backend_rt *b;
	uint64_t checks;

	apply(f, TCP_CHECK, backend(f, "a", a, sizeof(a)));
	b = find(f, "a");
	run_until(f, has_checks, b, 3);
	checks = b->health_checks;
	(void)snprintf(c, sizeof(c), "%s, {name: z, address: \"127.0.0.1:1\"}", a);
	apply(f, TCP_CHECK, c);
	assert_int_equal(atomic_load(&b->health), HEALTH_UP);
	assert_int_equal(b->health_checks, checks);
	run_until(f, has_checks, b, checks + 2);
	backend_rt_unref(b);
}

static void test_what_is_removed_is_not_checked_any_more(void **state)
{
	struct fixture *f = *state;
	char a[128], z[128];
	struct backend_rt *b, *other;
	uint64_t checks;

	apply(f, TCP_CHECK, backend(f, "a", a, sizeof(a)));
	b = find(f, "a");
	run_until(f, has_checks, b, 1);
	apply(f, TCP_CHECK, backend(f, "z", z, sizeof(z)));
	checks = b->health_checks;
	other = find(f, "z");
	run_until(f, has_checks, other, 4);
	assert_int_equal(b->health_checks, checks);
	backend_rt_unref(b);
	backend_rt_unref(other);
}

static void test_without_a_check_a_backend_is_unknown(void **state)
{
	struct fixture *f = *state;
	char a[128], disabled[128];
	struct backend_rt *b;

	uv_close((uv_handle_t *)&f->server.tcp, NULL);
	apply(f, TCP_CHECK, backend(f, "a", a, sizeof(a)));
	b = find(f, "a");
	run_until(f, has_state, b, HEALTH_DOWN);
	apply(f, "health: none,", a);
	assert_int_equal(atomic_load(&b->health), HEALTH_UNKNOWN);
	apply(f, TCP_CHECK, a);
	run_until(f, has_state, b, HEALTH_DOWN);
	(void)snprintf(disabled, sizeof(disabled),
		       "{name: a, address: \"127.0.0.1:%u\", state: disabled}", f->server.port);
	apply(f, TCP_CHECK, disabled);
	assert_int_equal(atomic_load(&b->health), HEALTH_UNKNOWN);
	backend_rt_unref(b);
}

static void test_an_adopted_down_needs_rise_successes(void **state)
{
	struct fixture *f = *state;
	char a[128];
	struct backend_rt *b = find(f, "a");

	atomic_store(&b->health, HEALTH_DOWN);
	apply(f, TCP_CHECK, backend(f, "a", a, sizeof(a)));
	run_until(f, has_checks, b, 1);
	assert_int_equal(atomic_load(&b->health), HEALTH_DOWN);
	run_until(f, has_state, b, HEALTH_UP);
	assert_int_equal(b->health_checks, 2);
	backend_rt_unref(b);
}

/* What this host lacks is not held against the backend. */
static void test_a_host_without_descriptors_keeps_states(void **state)
{
	struct fixture *f = *state;
	struct rlimit former, none;
	char a[128];
	struct backend_rt *b;
	uint64_t checks;

	apply(f, TCP_CHECK, backend(f, "a", a, sizeof(a)));
	b = find(f, "a");
	run_until(f, has_state, b, HEALTH_UP);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
	none = former;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	checks = b->health_checks;
	run_until(f, has_local_text, b, 0);
	run_for(f, 500);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
	assert_int_equal(atomic_load(&b->health), HEALTH_UP);
	assert_int_equal(b->health_checks, checks);
	run_until(f, has_checks, b, checks + 2);
	assert_int_equal(b->health_failures, 0);
	backend_rt_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_tcp_up_then_down),
		T(test_http_judges_the_status),
		T(test_http_refuses_what_is_no_answer),
		T(test_what_stays_keeps_its_state),
		T(test_what_is_removed_is_not_checked_any_more),
		T(test_without_a_check_a_backend_is_unknown),
		T(test_an_adopted_down_needs_rise_successes),
		T(test_a_host_without_descriptors_keeps_states),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
