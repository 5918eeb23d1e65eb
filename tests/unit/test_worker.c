/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy's threads over real sockets on loopback: this program is client and backend at once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "core/clock.h"
#include "l7/conn_walk.h"
#include "worker/worker.h"

#define PATIENCE_MS 60000U

struct world {
	uv_loop_t loop;
	struct runtime *rt;
	struct workers *workers;
	struct snapshot *snap;
	int backend; /* listening */
	uint16_t backend_port, port;
	uint64_t generation;
};

static int listen_any(uint16_t *ret_port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static void set_patience(int fd)
{
	struct timeval tv = {.tv_sec = PATIENCE_MS / 1000};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	set_patience(fd);
	return fd;
}

/*
 * The kernel takes an io_uring of the test before apart behind our back and runs that in this thread, for it
 * was made here: a call that waits and has a time to wait is not made again by itself (signal(7)).
 */
static int accept_one(int fd)
{
	int c;

	set_patience(fd);
	do
		c = accept(fd, NULL, NULL);
	while (c < 0 && errno == EINTR);
	assert_true(c >= 0);
	set_patience(c);
	return c;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static ssize_t receive(int fd, void *buf, size_t size)
{
	ssize_t n;

	do
		n = recv(fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Read until the text ends so, or the peer closes. */
static void hear(int fd, char *buf, size_t size, const char *end)
{
	size_t len = 0;

	buf[0] = 0;
	while (len + 1 < size && (len < strlen(end) || strcmp(buf + len - strlen(end), end))) {
		ssize_t n = receive(fd, buf + len, size - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = 0;
	}
}

static bool is_closed(int fd)
{
	char c;

	return receive(fd, &c, 1) == 0;
}

static void on_patience_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Run the main loop until *status is no longer 1. */
static void await(struct world *w, const int *status)
{
	bool over = false;
	uv_timer_t timer;

	assert_int_equal(uv_timer_init(&w->loop, &timer), 0);
	timer.data = &over;
	assert_int_equal(uv_timer_start(&timer, on_patience_over, PATIENCE_MS, 0), 0);
	while (*status == 1 && !over)
		uv_run(&w->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void store_status(void *ctx, int status)
{
	*(int *)ctx = status;
}

static struct snapshot *build(struct world *w, const char *text)
{
	struct diag d;
	struct tree *t;
	struct snapshot *s = NULL;

	diag_init(&d);
	t = tree_parse("test", text, strlen(text), &d);
	if (t)
		s = conf_build(t, w->rt, &d);
	if (!s)
		diag_print(&d, stderr);
	tree_free(t);
	diag_deinit(&d);
	assert_non_null(s);
	s->generation = ++w->generation;
	return s;
}

static int prepare(struct world *w, const char *text, struct worker_sockets **ret_sockets)
{
	struct snapshot *s = build(w, text);
	struct diag d;
	int err;

	diag_init(&d);
	err = workers_prepare(w->workers, s, ret_sockets, &d);
	assert_int_equal(d.errors > 0, err < 0);
	diag_deinit(&d);
	snapshot_unref(w->snap);
	w->snap = s;
	return err;
}

static void apply(struct world *w, const char *text)
{
	struct worker_sockets *sockets;
	int status = 1;

	assert_int_equal(prepare(w, text, &sockets), 0);
	workers_commit(w->workers, w->snap, sockets, store_status, &status);
	await(w, &status);
	assert_int_equal(status, 0);
}

static char *one_service(struct world *w, char *buf, size_t size)
{
	snprintf(buf, size,
		 "services:\n  web: {listen: [\"127.0.0.1:%u/tcp\"], mode: http, pool: web}\n"
		 "pools:\n  web: {backends: [{name: b, address: \"127.0.0.1:%u\"}]}\n",
		 w->port, w->backend_port);
	return buf;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[512];
	const struct node node = {.workers = 2, .ticket_rotation_ms = 1000};
	struct diag d;

	assert_non_null(w);
	diag_init(&d);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->rt = runtime_new();
	assert_non_null(w->rt);
	w->backend = listen_any(&w->backend_port);
	close(listen_any(&w->port)); /* now free */
	assert_int_equal(workers_start(&w->loop, &node, NULL, &w->workers, &d), 0);
	diag_deinit(&d);
	apply(w, one_service(w, text, sizeof(text)));
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	workers_stop(w->workers);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	snapshot_unref(w->snap);
	runtime_free(w->rt);
	if (w->backend >= 0)
		close(w->backend);
	free(w);
	return 0;
}

/* A request is with the backend: returns the backend's end. */
static int begin_request(struct world *w, int client)
{
	char buf[4096];
	int b;

	say(client, "GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n");
	b = accept_one(w->backend);
	hear(b, buf, sizeof(buf), "\r\n\r\n");
	assert_ptr_equal(strstr(buf, "GET /a?b HTTP/1.1\r\nHost: example.org\r\n"), buf);
	assert_non_null(strstr(buf, "\r\nX-Forwarded-For: 127.0.0.1\r\n"));
	return b;
}

static void test_request_and_response(void **state)
{
	struct world *w = *state;
	int client = connect_to(w->port), b;
	char buf[4096];

	assert_true(client >= 0);
	b = begin_request(w, client);
	say(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	hear(client, buf, sizeof(buf), "hi");
	assert_string_equal(buf, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	close(b);
	close(client);
}

static void test_address_in_use_is_refused_and_nothing_kept(void **state)
{
	struct world *w = *state;
	struct worker_sockets *sockets;
	uint16_t taken, freed;
	int other = listen_any(&taken), again;
	char text[512];

	close(listen_any(&freed));
	snprintf(text, sizeof(text),
		 "services:\n  web: {listen: [\"127.0.0.1:%u/tcp\", \"127.0.0.1:%u/tcp\"], mode: "
		 "http, pool: web}\npools:\n  web: {backends: [{name: b, address: "
		 "\"127.0.0.1:%u\"}]}\n",
		 freed, taken, w->backend_port);
	assert_int_equal(prepare(w, text, &sockets), -EADDRINUSE);
	again = connect_to(freed);
	assert_int_equal(again, -ECONNREFUSED);
	close(other);
}

static void test_sockets_not_committed_are_closed(void **state)
{
	struct world *w = *state;
	struct worker_sockets *sockets;
	char text[512];

	close(listen_any(&w->port));
	assert_int_equal(prepare(w, one_service(w, text, sizeof(text)), &sockets), 0);
	worker_sockets_free(sockets);
	assert_int_equal(connect_to(w->port), -ECONNREFUSED);
}

static void test_removed_address_ends_idle_now_and_busy_later(void **state)
{
	struct world *w = *state;
	int idle = connect_to(w->port), busy = connect_to(w->port), b, b2;
	uint64_t end = clock_now_ms() + PATIENCE_MS;
	uint16_t before = w->port;
	char text[512], buf[4096];
	int fd;

	b = begin_request(w, busy);
	b2 = begin_request(w, idle);
	say(b2, "HTTP/1.1 204 No Content\r\n\r\n");
	hear(idle, buf, sizeof(buf), "\r\n\r\n");
	close(listen_any(&w->port));
	apply(w, one_service(w, text, sizeof(text)));
	assert_true(is_closed(idle));
	while ((fd = connect_to(before)) >= 0) { /* its loop closes it in the turn after */
		close(fd);
		assert_true(clock_now_ms() < end);
	}
	say(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	hear(busy, buf, sizeof(buf), "hi");
	assert_non_null(strstr(buf, "\r\nConnection: close\r\n"));
	assert_true(is_closed(busy));
	fd = connect_to(w->port);
	assert_true(fd >= 0);
	close(fd);
	close(b);
	close(b2);
	close(busy);
	close(idle);
}

static void test_apply_keeps_connections(void **state)
{
	struct world *w = *state;
	int client = connect_to(w->port), b = begin_request(w, client);
	struct workers_status status;
	char text[512], buf[4096];

	for (int i = 0; i < 5; i++)
		apply(w, one_service(w, text, sizeof(text)));
	for (int i = 0; i < 3; i++) {
		say(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
		hear(client, buf, sizeof(buf), "hi");
		assert_string_equal(buf, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
		apply(w, one_service(w, text, sizeof(text)));
		say(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		hear(b, buf, sizeof(buf), "\r\n\r\n"); /* on the same connection */
		assert_ptr_equal(strstr(buf, "GET / HTTP/1.1\r\n"), buf);
	}
	workers_status(w->workers, &status);
	assert_int_equal(status.count, 2);
	assert_int_equal(status.generation, w->generation);
	close(b);
	close(client);
}

static void test_drain_lets_requests_end(void **state)
{
	struct world *w = *state;
	int client = connect_to(w->port), b = begin_request(w, client), status = 1;
	uint64_t end = clock_now_ms() + PATIENCE_MS;
	char buf[4096];
	int fd;

	workers_drain(w->workers, 60000, store_status, &status);
	/* One that a closing listener had not accepted is reset: others may still listen. */
	while ((fd = connect_to(w->port)) != -ECONNREFUSED) {
		if (fd >= 0)
			close(fd);
		assert_true(clock_now_ms() < end);
	}
	assert_int_equal(status, 1);
	say(b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	hear(client, buf, sizeof(buf), "hi");
	assert_non_null(strstr(buf, "\r\nConnection: close\r\n"));
	await(w, &status);
	assert_int_equal(status, 0);
	close(b);
	close(client);
}

static void test_drain_has_an_end(void **state)
{
	struct world *w = *state;
	int client = connect_to(w->port), b = begin_request(w, client), status = 1;

	workers_drain(w->workers, 50, store_status, &status);
	await(w, &status);
	assert_int_equal(status, -ETIMEDOUT);
	assert_true(is_closed(client));
	close(b);
	close(client);
}

static void test_stop_at_once(void **state)
{
	struct world *w = *state;
	int client = connect_to(w->port), b = begin_request(w, client);

	(void)w; /* tear_down() stops with the request under way */
	close(b);
	close(client);
}

/* ---- walks ---- */

#define CLIENTS 400

/* What a walk has told, and what the test does in the midst of it. */
struct told {
	struct world *w;
	int fds[CLIENTS]; /* of clients; -1: closed */
	uint16_t ports[CLIENTS];
	unsigned times[CLIENTS]; /* that it was told of */
	unsigned pages, strangers;
	unsigned
		leave_one_in; /* at the first page all others close that were not told of; 0: none */
	unsigned pages_max;   /* then it has seen enough; 0: never */
	int status;
};

static void connect_all(struct world *w, struct told *t)
{
	struct workers_status s;

	*t = (struct told){.w = w, .status = 1};
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct sockaddr_in in;
		socklen_t len = sizeof(in);

		t->fds[i] = connect_to(w->port);
		assert_true(t->fds[i] >= 0);
		assert_int_equal(getsockname(t->fds[i], (struct sockaddr *)&in, &len), 0);
		t->ports[i] = ntohs(in.sin_port);
	}
	do
		workers_status(w->workers, &s);
	while (s.connections < CLIENTS);
}

static void close_all(struct told *t)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (t->fds[i] >= 0)
			close(t->fds[i]);
}

/* Until the workers have let go of them. */
static void close_unseen(struct told *t)
{
	struct workers_status s;
	unsigned left = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!t->times[i] && i % t->leave_one_in) {
			close(t->fds[i]);
			t->fds[i] = -1;
		} else {
			left++;
		}
	}
	do
		workers_status(t->w->workers, &s);
	while (s.connections > left);
}

static bool on_page(void *ctx, const struct conn_walk *walk)
{
	struct told *t = ctx;

	assert_true(walk->count <= CONN_PAGE_ITEMS);
	for (unsigned i = 0; i < walk->count; i++) {
		unsigned c = 0;

		while (c < CLIENTS && t->ports[c] != walk->items[i].source.port)
			c++;
		if (c < CLIENTS)
			t->times[c]++;
		else
			t->strangers++;
		assert_string_equal(walk->items[i].service, "web");
	}
	if (!t->pages++ && t->leave_one_in)
		close_unseen(t);
	return t->pages != t->pages_max;
}

static void on_told(void *ctx, int status)
{
	((struct told *)ctx)->status = status;
}

static void walk(struct told *t, const struct conn_question *question)
{
	const struct workers_walk events = {on_page, on_told, t};

	t->status = 1;
	assert_int_equal(workers_walk(t->w->workers, question, &events), 0);
}

static void test_walk_tells_of_each_connection_once(void **state)
{
	struct world *w = *state;
	struct conn_question question = {.limit = CLIENTS};
	struct told t;

	connect_all(w, &t);
	walk(&t, &question);
	await(w, &t.status);
	assert_int_equal(t.status, 0);
	assert_int_equal(t.strangers, 0);
	assert_true(t.pages >= CLIENTS / CONN_PAGE_ITEMS);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(t.times[i], 1);
	close_all(&t);
}

/* The one that would have been next is most likely among them. */
static void test_walk_goes_on_where_connections_have_closed(void **state)
{
	struct world *w = *state;
	struct conn_question question = {0};
	struct told t;

	connect_all(w, &t);
	t.leave_one_in = 8;
	walk(&t, &question);
	await(w, &t.status);
	assert_int_equal(t.status, 0);
	assert_int_equal(t.strangers, 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(t.times[i], t.fds[i] >= 0);
	close_all(&t);
}

static void test_walk_that_was_enough_ends_and_another_begins_anew(void **state)
{
	struct world *w = *state;
	struct conn_question question = {0};
	struct told t;
	unsigned sum = 0;

	connect_all(w, &t);
	t.pages_max = 1;
	walk(&t, &question);
	await(w, &t.status);
	assert_int_equal(t.status, 0);
	assert_int_equal(t.pages, 1);
	t.pages_max = 0;
	walk(&t, &question);
	await(w, &t.status);
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_in_range(t.times[i], 1, 2);
		sum += t.times[i];
	}
	assert_true(sum > CLIENTS);
	close_all(&t);
}

static void test_walk_kills_whom_it_tells_of(void **state)
{
	struct world *w = *state;
	struct conn_question question = {.kills = true};
	struct workers_status s;
	struct told t;

	connect_all(w, &t);
	(void)snprintf(question.filter.service, sizeof(question.filter.service), "other");
	walk(&t, &question);
	await(w, &t.status);
	workers_status(w->workers, &s);
	assert_int_equal(s.connections, CLIENTS);
	question.filter.service[0] = '\0';
	walk(&t, &question);
	await(w, &t.status);
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_int_equal(t.times[i], 1);
		assert_true(is_closed(t.fds[i]));
	}
	close_all(&t);
}

static void test_stop_amid_a_walk(void **state)
{
	struct world *w = *state;
	struct conn_question question = {0};
	struct told t;

	connect_all(w, &t);
	walk(&t, &question);
	workers_stop(w->workers);
	w->workers = NULL; /* for tear_down() */
	assert_int_equal(t.status, -ECANCELED);
	assert_int_equal(t.pages, 0);
	close_all(&t);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_request_and_response),
		TEST(test_address_in_use_is_refused_and_nothing_kept),
		TEST(test_sockets_not_committed_are_closed),
		TEST(test_removed_address_ends_idle_now_and_busy_later),
		TEST(test_apply_keeps_connections),
		TEST(test_drain_lets_requests_end),
		TEST(test_drain_has_an_end),
		TEST(test_stop_at_once),
		TEST(test_walk_tells_of_each_connection_once),
		TEST(test_walk_goes_on_where_connections_have_closed),
		TEST(test_walk_that_was_enough_ends_and_another_begins_anew),
		TEST(test_walk_kills_whom_it_tells_of),
		TEST(test_stop_amid_a_walk),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
