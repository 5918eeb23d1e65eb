/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes of a turn made together, with real sockets, and the same made one by one. */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "l7/batch.h"
#include "l7/poller.h"
#include "l7/sock.h"

#define ENDS  4
#define LARGE 10000U
#define MANY  (3 * BATCH_CALLS)

/* One end is watched, the other one is the test's. */
struct end {
	struct sock sock;
	int peer;
	int events, calls; /* that it was told of last, and how often */
	size_t want;	   /* of one read */
	char got[LARGE + 1];
	size_t got_len;
	ssize_t last_read;
	const char *say; /* written when something was read, and again until it is taken */
	ssize_t written[4];
	int writes;
	bool has_watched;   /* for room to write: that need not be said again */
	bool stops;	    /* watches nothing after a read */
	struct end *victim; /* closed by an event of this one */
	void (*then)(struct end *e);
	bool is_closed;
};

struct world {
	uv_loop_t loop;
	struct poller poller;
	struct poller_hook hook;
	int turns;
	struct end ends[MANY];
	unsigned count;
};

static void on_closed(struct sock *s)
{
	list_entry(s, struct end, sock)->is_closed = true;
}

static void end_close(struct end *e)
{
	if (e->sock.fd >= 0)
		sock_close(&e->sock, on_closed);
}

static void end_say(struct end *e)
{
	const struct iovec pieces[] = {{(void *)(uintptr_t)e->say, 1},
				       {(void *)(uintptr_t)(e->say + 1), strlen(e->say) - 1}};
	ssize_t n = sock_write(&e->sock, pieces, 2, false);

	e->written[e->writes++ % 4] = n;
	if (n > 0)
		e->say = NULL;
	if (n != -EAGAIN || !e->has_watched)
		(void)sock_watch(&e->sock, n == -EAGAIN ? SOCK_READ | SOCK_WRITE : SOCK_READ);
	e->has_watched = n == -EAGAIN;
}

static void on_event(struct sock *s, int events)
{
	struct end *e = list_entry(s, struct end, sock);

	e->events = events;
	e->calls++;
	if (e->victim)
		end_close(e->victim);
	if (events & SOCK_READ) {
		e->last_read = sock_read(s, e->got + e->got_len, e->want);
		if (e->last_read > 0)
			e->got_len += (size_t)e->last_read;
		if (e->stops || e->last_read <= 0)
			(void)sock_watch(s, 0);
	}
	if (e->say)
		end_say(e);
	if (e->then)
		e->then(e);
}

static bool on_hook(struct poller_hook *hook)
{
	struct world *w = list_entry(hook, struct world, hook);

	if (w->turns)
		w->turns--;
	return true; /* do not wait */
}

/* What poller_run() does, so many times. */
static void run_turns(struct world *w, int turns)
{
	for (w->turns = turns; w->turns;)
		poller_turn(&w->poller);
}

static void end_watch(struct world *w, struct end *e, const int pair[2])
{
	e->peer = pair[1];
	e->want = sizeof(e->got) - 1;
	sock_open(&e->sock, &w->poller, pair[0], on_event);
	e->sock.is_batched = true;
	assert_int_equal(sock_watch(&e->sock, SOCK_READ), 0);
}

static void end_open(struct world *w, struct end *e)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	end_watch(w, e, pair);
}

static void open_more(struct world *w, unsigned count)
{
	while (w->count < count)
		end_open(w, &w->ends[w->count++]);
}

static int set_up_world(void **state, bool batched)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(poller_init(&w->poller, &w->loop, batched), 0);
	w->hook.run = on_hook;
	poller_add_hook(&w->poller, &w->hook);
	open_more(w, ENDS);
	*state = w;
	return 0;
}

static int set_up(void **state)
{
	int err = set_up_world(state, true);
	struct world *w = *state;

	/* A kernel without it runs the tests too, one call after the other. */
	if (w->poller.batch.problem)
		print_message("no io_uring: %s\n", strerror(-w->poller.batch.problem));
	return err;
}

static int set_up_plain(void **state)
{
	return set_up_world(state, false);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < w->count; i++)
		end_close(&w->ends[i]);
	run_turns(w, 2);
	for (unsigned i = 0; i < w->count; i++) {
		assert_true(w->ends[i].is_closed);
		close(w->ends[i].peer);
	}
	assert_int_equal(w->poller.socks, 0);
	poller_deinit(&w->poller);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

static bool is_batched(const struct world *w)
{
	return w->poller.batch.ring != NULL;
}

static void tell(struct end *e, const char *text)
{
	assert_int_equal(send(e->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void tell_all(struct world *w, const char *text)
{
	for (unsigned i = 0; i < w->count; i++)
		tell(&w->ends[i], text);
}

/* All that came to the other end. */
static void assert_heard(const struct end *e, const char *text)
{
	char heard[64] = "";
	ssize_t n = recv(e->peer, heard, sizeof(heard) - 1, 0);

	assert_int_equal(n, (ssize_t)strlen(text));
	assert_string_equal(heard, text);
}

static void test_reads_of_a_turn(void **state)
{
	struct world *w = *state;

	tell_all(w, "hello");
	run_turns(w, 2);
	for (int i = 0; i < ENDS; i++) {
		assert_string_equal(w->ends[i].got, "hello");
		assert_int_equal(w->ends[i].calls, 1);
	}
	assert_int_equal(w->poller.batch.calls, is_batched(w) ? ENDS : 0);
}

static void test_more_than_one_system_call_takes(void **state)
{
	struct world *w = *state;

	open_more(w, MANY);
	for (unsigned i = 0; i < MANY; i++)
		w->ends[i].say = "there";
	tell_all(w, "hello");
	run_turns(w, 2);
	for (unsigned i = 0; i < MANY; i++) {
		assert_string_equal(w->ends[i].got, "hello");
		assert_heard(&w->ends[i], "there");
	}
	assert_int_equal(w->poller.batch.calls, is_batched(w) ? 2 * MANY : 0);
}

/* It is told again until it has all. */
static void test_a_read_that_takes_less(void **state)
{
	struct world *w = *state;
	struct end *e = &w->ends[1];

	e->want = 2;
	tell_all(w, "hello");
	run_turns(w, 4);
	assert_string_equal(e->got, "hello");
	assert_int_equal(e->calls, 3);
}

/* It is not told while it does not want to, and bytes that were read are not lost. */
static void test_a_read_that_waits(void **state)
{
	struct world *w = *state;
	struct end *e = &w->ends[1];

	e->want = 2;
	e->stops = true;
	tell_all(w, "hello");
	run_turns(w, 4);
	assert_string_equal(e->got, "he");
	assert_false(sock_is_quiet(&e->sock));
	assert_int_equal(sock_has_read(&e->sock), is_batched(w));
	e->stops = false;
	assert_int_equal(sock_watch(&e->sock, SOCK_READ), 0);
	run_turns(w, 4);
	assert_string_equal(e->got, "hello");
	tell(e, " there");
	run_turns(w, 8);
	assert_string_equal(e->got, "hello there");
	assert_false(sock_has_read(&e->sock));
	assert_true(sock_is_quiet(&e->sock));
}

/* The owner gets it whole, and the next one is not copied. */
static void test_a_large_read(void **state)
{
	struct world *w = *state;
	char *large = malloc(LARGE);

	assert_non_null(large);
	memset(large, 'x', LARGE);
	for (unsigned i = 0; i < ENDS; i++)
		assert_int_equal(send(w->ends[i].peer, large, LARGE, 0), LARGE);
	run_turns(w, 2);
	for (unsigned i = 0; i < ENDS; i++) {
		assert_int_equal(w->ends[i].got_len, LARGE);
		assert_int_equal(w->ends[i].calls, 1);
		assert_memory_equal(w->ends[i].got, large, LARGE);
		w->ends[i].got_len = 0;
	}
	free(large);
	assert_int_equal(w->poller.batch.calls, is_batched(w) ? ENDS : 0);
	tell_all(w, "y");
	run_turns(w, 2);
	assert_int_equal(w->poller.batch.calls, is_batched(w) ? ENDS : 0);
	tell_all(w, "z");
	run_turns(w, 2);
	assert_int_equal(w->poller.batch.calls, is_batched(w) ? 2 * ENDS : 0);
	assert_memory_equal(w->ends[0].got, "yz", 2);
}

/* Both ends of a TCP connection, the first one not to be waited for. */
static void connect_pair(int pair[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[1], (struct sockaddr *)&at, len), 0);
	pair[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(pair[0] >= 0);
	close(listener);
}

static struct end *the_other;

/* Before it is told of what it said until then. */
static void then_reset_the_other(struct end *e)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)e;
	if (the_other->peer < 0 || the_other->calls)
		return;
	assert_int_equal(
		setsockopt(the_other->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(the_other->peer);
	the_other->peer = -1;
}

/* The kernel tells of a reset once: behind a read that was all there is room for, it may not be lost. */
static void test_a_reset_behind_a_full_read(void **state)
{
	struct world *w = *state;
	struct end *e = &w->ends[w->count];
	char full[BATCH_BYTES] = {0};
	int pair[2];

	connect_pair(pair);
	end_watch(w, e, pair);
	w->count++;
	the_other = e;
	for (int i = 0; i < ENDS; i++)
		w->ends[i].then = then_reset_the_other;
	tell_all(w, "-");
	assert_int_equal(send(e->peer, full, sizeof(full) - 1, 0), sizeof(full) - 1);
	run_turns(w, 4);
	assert_int_equal(e->got_len, BATCH_BYTES);
	assert_int_equal(e->last_read, -ECONNRESET);
}

static void test_an_end_and_an_error(void **state)
{
	struct world *w = *state;

	tell_all(w, "hello");
	assert_int_equal(send(w->ends[2].sock.fd, "unread", 6, 0), 6);
	close(w->ends[2].peer); /* a reset, as it had something to read */
	w->ends[2].peer = -1;
	assert_int_equal(shutdown(w->ends[1].peer, SHUT_WR), 0);
	run_turns(w, 4);
	assert_int_equal(w->ends[1].last_read, 0);
	assert_int_equal(w->ends[2].last_read, -ECONNRESET);
	assert_string_equal(w->ends[1].got, "hello");
}

/* What was read for it is forgotten. */
static void test_a_socket_closed_by_the_event_before(void **state)
{
	struct world *w = *state;

	w->ends[0].victim = &w->ends[1];
	w->ends[1].victim = &w->ends[0];
	tell_all(w, "hello");
	run_turns(w, 2);
	assert_int_equal(w->ends[0].calls + w->ends[1].calls, 1);
	assert_int_equal(w->ends[2].calls, 1);
}

static void test_writes_of_a_turn(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < ENDS; i++)
		w->ends[i].say = "there";
	tell_all(w, "hello");
	run_turns(w, 2);
	for (int i = 0; i < ENDS; i++) {
		struct end *e = &w->ends[i];

		assert_heard(e, "there");
		if (is_batched(w))
			assert_int_equal(e->written[0], -EAGAIN);
		assert_int_equal(e->written[e->writes - 1], 5);
		assert_int_equal(e->sock.watched, SOCK_READ);
	}
	assert_int_equal(w->poller.batch.calls, is_batched(w) ? 2 * ENDS : 0);
	tell_all(w, "hello");
	run_turns(w, 2);
	assert_int_equal(recv(w->ends[0].peer, w->ends[0].got, 1, 0), -1); /* said once */
}

static void then_close(struct end *e)
{
	end_close(e);
}

static void then_shut_down(struct end *e)
{
	sock_shutdown(&e->sock);
	e->then = NULL;
}

/* What was said before comes before the end. */
static void test_an_end_behind_a_write(void **state)
{
	struct world *w = *state;
	char byte;

	for (int i = 0; i < ENDS; i++) {
		w->ends[i].say = "there";
		w->ends[i].then = i % 2 ? then_close : then_shut_down;
	}
	tell_all(w, "hello");
	run_turns(w, 2);
	for (int i = 0; i < ENDS; i++) {
		assert_heard(&w->ends[i], "there");
		assert_int_equal(recv(w->ends[i].peer, &byte, 1, 0), 0);
	}
}

/* The kernel takes nothing: it is told once it does. */
static void test_a_write_to_a_full_socket(void **state)
{
	struct world *w = *state;
	struct end *e = &w->ends[1];
	char fill[1024] = {0}, sink[1024];
	size_t filled = 0;
	ssize_t n;

	while ((n = send(e->sock.fd, fill, sizeof(fill), MSG_DONTWAIT)) > 0)
		filled += (size_t)n;
	for (int i = 0; i < ENDS; i++)
		w->ends[i].say = "there";
	tell_all(w, "hello");
	run_turns(w, 4);
	assert_heard(&w->ends[0], "there");
	assert_non_null(e->say);
	while (filled) {
		n = recv(e->peer, sink, filled < sizeof(sink) ? filled : sizeof(sink), 0);
		assert_true(n > 0);
		filled -= (size_t)n;
	}
	run_turns(w, 4);
	assert_null(e->say);
	assert_heard(e, "there");
}

static void then_say_more(struct end *e)
{
	e->then = NULL;
	e->say = "there and here";
}

/* What is added meanwhile goes out with what follows. */
static void test_a_write_that_grows(void **state)
{
	struct world *w = *state;

	if (!is_batched(w))
		skip();
	for (int i = 0; i < ENDS; i++) {
		w->ends[i].say = "there";
		w->ends[i].then = then_say_more;
	}
	tell_all(w, "hello");
	run_turns(w, 1);
	for (int i = 0; i < ENDS; i++) {
		char heard[64] = "";

		assert_int_equal(recv(w->ends[i].peer, heard, sizeof(heard), 0), 14);
		assert_string_equal(heard, "there and here");
	}
}

/* What the shutdown made is not made again, and its result is not that of another try. */
static void test_the_result_of_a_write_before_a_shutdown(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < ENDS; i++) {
		w->ends[i].say = "there";
		w->ends[i].then = then_shut_down;
	}
	tell_all(w, "hello");
	run_turns(w, 2);
	for (int i = 0; i < ENDS; i++)
		assert_int_equal(w->ends[i].written[w->ends[i].writes - 1], 5);
}

/* Says something, and waits for room only later on. */
static void on_event_of_late_riser(struct sock *s, int events)
{
	struct end *e = list_entry(s, struct end, sock);
	const struct iovec iov = {(void *)(uintptr_t) "there", 5};
	char bytes[16];

	e->events = events;
	if (events & SOCK_READ) {
		assert_int_equal(sock_read(s, bytes, sizeof(bytes)), 5);
		(void)sock_write(s, &iov, 1, false);
	}
	if (events & SOCK_WRITE)
		(void)sock_watch(s, SOCK_READ);
}

static void test_room_that_is_asked_for_later(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < ENDS; i++)
		w->ends[i].sock.on_event = on_event_of_late_riser;
	tell_all(w, "hello");
	run_turns(w, 2);
	assert_int_equal(sock_watch(&w->ends[0].sock, SOCK_READ | SOCK_WRITE), 0);
	run_turns(w, 4);
	assert_int_equal(w->ends[0].events, SOCK_WRITE);
	assert_int_equal(w->ends[1].events, SOCK_READ);
}

static void then_change_the_words(struct end *e)
{
	e->say = e->say ? "other" : NULL;
}

/* What was sent cannot be taken back. */
static void test_a_write_that_is_changed(void **state)
{
	struct world *w = *state;
	struct end *e = &w->ends[1];

	if (!is_batched(w))
		skip();
	for (int i = 0; i < ENDS; i++)
		w->ends[i].say = "there";
	e->then = then_change_the_words;
	tell_all(w, "hello");
	run_turns(w, 2);
	assert_int_equal(e->written[1], -EPROTO);
	assert_heard(e, "there");
}

static void then_break_off(struct end *e)
{
	if (e->peer >= 0)
		close(e->peer);
	e->peer = -1;
}

/* What became of the write is what its owner learns. */
static void test_a_write_to_nobody(void **state)
{
	struct world *w = *state;
	struct end *e = &w->ends[1];

	for (int i = 0; i < ENDS; i++)
		w->ends[i].say = "there";
	e->then = then_break_off;
	tell_all(w, "hello");
	run_turns(w, 2);
	if (is_batched(w))
		assert_int_equal(e->written[e->writes - 1], -EPIPE);
	assert_heard(&w->ends[0], "there");
}

/* The last one of a connection is made at once, for its end to go with it. */
static void test_a_parting_write_is_made_at_once(void **state)
{
	struct world *w = *state;
	const struct iovec iov = {(void *)(uintptr_t) "bye", 3};

	w->poller.batch.is_collecting = is_batched(w);
	assert_int_equal(sock_write(&w->ends[0].sock, &iov, 1, true), 3);
	assert_heard(&w->ends[0], "bye");
	w->poller.batch.is_collecting = false;
}

static void test_no_io_uring(void **state)
{
	struct rlimit before, none = {0};
	struct batch b;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	batch_init(&b, true);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(b.problem, -EMFILE);
	assert_null(b.ring);
	batch_deinit(&b);
}

/* The kernel does not take any more: each call is made by itself from then on. */
static void test_io_uring_that_breaks(void **state)
{
	struct world *w = *state;

	if (!is_batched(w))
		skip();
	for (int i = 0; i < ENDS; i++)
		w->ends[i].say = "there";
	close(w->poller.batch.ring->ring_fd);
	w->poller.batch.ring->enter_ring_fd = w->poller.batch.ring->ring_fd = -1;
	tell_all(w, "hello");
	run_turns(w, 4);
	for (int i = 0; i < ENDS; i++) {
		assert_string_equal(w->ends[i].got, "hello");
		assert_heard(&w->ends[i], "there");
	}
	assert_null(w->poller.batch.ring);
	assert_int_equal(w->poller.batch.problem, -EBADF);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down),                                  \
		cmocka_unit_test_setup_teardown(test, set_up_plain, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_reads_of_a_turn),
		BOTH(test_more_than_one_system_call_takes),
		BOTH(test_a_read_that_takes_less),
		BOTH(test_a_read_that_waits),
		BOTH(test_a_large_read),
		BOTH(test_an_end_and_an_error),
		BOTH(test_a_reset_behind_a_full_read),
		BOTH(test_a_socket_closed_by_the_event_before),
		BOTH(test_writes_of_a_turn),
		BOTH(test_an_end_behind_a_write),
		BOTH(test_a_write_to_a_full_socket),
		BOTH(test_a_write_to_nobody),
		BOTH(test_a_parting_write_is_made_at_once),
		BOTH(test_the_result_of_a_write_before_a_shutdown),
		BOTH(test_room_that_is_asked_for_later),
		cmocka_unit_test_setup_teardown(test_a_write_that_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_write_that_is_changed, set_up, tear_down),
		cmocka_unit_test(test_no_io_uring),
		cmocka_unit_test_setup_teardown(test_io_uring_that_breaks, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
