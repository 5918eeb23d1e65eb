/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's turns, with real sockets and a real loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "l7/poller.h"
#include "l7/sock.h"

#define PATIENCE_MS 60000

/* One end is watched, the other one is ours. */
struct end {
	struct sock sock;
	int peer, events, calls;
	bool is_closed;
	struct end *victim; /* closed by an event of this one */
};

struct world {
	uv_loop_t loop;
	uv_timer_t patience;
	struct poller poller;
	struct poller_hook hook;
	int hooks, again;
	struct end a, b;
};

static struct world *the_world;

static void on_closed(struct sock *s)
{
	struct end *e = list_entry(s, struct end, sock);

	e->is_closed = true;
}

static void end_close(struct end *e)
{
	if (e->sock.fd >= 0)
		sock_close(&e->sock, on_closed);
}

static void end_all(struct world *w)
{
	end_close(&w->a);
	end_close(&w->b);
	if (!uv_is_closing((uv_handle_t *)&w->patience))
		uv_close((uv_handle_t *)&w->patience, NULL);
}

/* Reads nothing, so what is ready stays so. */
static void on_event(struct sock *s, int events)
{
	struct end *e = list_entry(s, struct end, sock);

	e->events = events;
	e->calls++;
	if (e->victim) {
		end_close(e->victim);
		e->victim->events = 0;
		end_all(the_world);
	}
}

static void end_open(struct world *w, struct end *e)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	*e = (struct end){.peer = pair[1]};
	sock_open(&e->sock, &w->poller, pair[0], on_event);
}

static bool on_hook(struct poller_hook *hook)
{
	struct world *w = list_entry(hook, struct world, hook);

	w->hooks++;
	if (w->again && --w->again == 0)
		end_all(w);
	return w->again > 0;
}

static void on_patience_over(uv_timer_t *timer)
{
	end_all(timer->data);
	fail_msg("nothing happened");
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(poller_init(&w->poller, &w->loop, true), 0);
	assert_int_equal(uv_timer_init(&w->loop, &w->patience), 0);
	w->patience.data = w;
	assert_int_equal(uv_timer_start(&w->patience, on_patience_over, PATIENCE_MS, 0), 0);
	w->hook.run = on_hook;
	poller_add_hook(&w->poller, &w->hook);
	end_open(w, &w->a);
	end_open(w, &w->b);
	the_world = *state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	end_all(w);
	poller_run(&w->poller);
	assert_true(w->a.is_closed && w->b.is_closed);
	close(w->a.peer);
	close(w->b.peer);
	poller_deinit(&w->poller);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

static void say(struct end *e)
{
	assert_int_equal(send(e->peer, "x", 1, MSG_NOSIGNAL), 1);
}

/* Both have something in one wait, and the first one closes the other. */
static void test_a_socket_closed_by_the_event_before(void **state)
{
	struct world *w = *state;

	w->a.victim = &w->b;
	w->b.victim = &w->a;
	assert_int_equal(sock_watch(&w->a.sock, SOCK_READ), 0);
	assert_int_equal(sock_watch(&w->b.sock, SOCK_READ), 0);
	say(&w->a);
	say(&w->b);
	poller_run(&w->poller);
	assert_int_equal(w->a.calls + w->b.calls, 1);
	assert_true(w->a.is_closed && w->b.is_closed);
}

/* Turns until the hook has run that often. */
static void run_turns(struct world *w, int turns)
{
	w->again = turns;
	poller_run(&w->poller);
}

static void test_only_what_is_watched(void **state)
{
	struct world *w = *state;

	say(&w->a);
	say(&w->b);
	assert_int_equal(sock_watch(&w->a.sock, SOCK_READ | SOCK_WRITE), 0);
	assert_int_equal(sock_watch(&w->a.sock, SOCK_WRITE), 0);
	assert_int_equal(sock_watch(&w->b.sock, SOCK_READ), 0);
	assert_int_equal(sock_watch(&w->b.sock, 0), 0);
	run_turns(w, 5);
	assert_int_equal(w->a.events, SOCK_WRITE);
	assert_int_equal(w->a.calls, 4); /* in each turn: it stays writable */
	assert_int_equal(w->b.calls, 0);
}

static void test_watched_again(void **state)
{
	struct world *w = *state;

	say(&w->a);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sock_watch(&w->a.sock, SOCK_READ), 0);
		assert_int_equal(sock_watch(&w->a.sock, 0), 0);
		sock_dispatch(&w->a.sock, EPOLLIN); /* late: the kernel is told now */
		assert_int_equal(w->a.sock.told, 0);
	}
	assert_int_equal(w->a.calls, 0);
	assert_int_equal(sock_watch(&w->a.sock, SOCK_READ), 0);
	run_turns(w, 2);
	assert_int_equal(w->a.events, SOCK_READ);
}

/* An end of both directions comes whether it is watched or not. */
static void test_a_hang_up(void **state)
{
	struct world *w = *state;

	assert_int_equal(sock_watch(&w->a.sock, SOCK_READ | SOCK_WRITE), 0);
	assert_int_equal(sock_watch(&w->b.sock, SOCK_READ), 0);
	assert_int_equal(sock_watch(&w->b.sock, 0), 0);
	assert_int_equal(shutdown(w->a.peer, SHUT_RDWR), 0);
	assert_int_equal(shutdown(w->b.peer, SHUT_RDWR), 0);
	run_turns(w, 5);
	assert_int_equal(w->a.events, SOCK_READ | SOCK_WRITE);
	assert_int_equal(w->b.calls, 0);
	assert_int_equal(w->b.sock.told, 0); /* else every turn would bring it again */
}

static void on_timer(uv_timer_t *timer)
{
	end_all(timer->data);
	uv_close((uv_handle_t *)timer, NULL);
}

static void test_timers_of_the_loop(void **state)
{
	struct world *w = *state;
	uv_timer_t timer;

	assert_int_equal(uv_timer_init(&w->loop, &timer), 0);
	timer.data = w;
	assert_int_equal(uv_timer_start(&timer, on_timer, 5, 0), 0);
	poller_run(&w->poller);
	assert_true(w->a.is_closed);
}

static void on_async(uv_async_t *async)
{
	end_all(async->data);
	uv_close((uv_handle_t *)async, NULL);
}

static void send_async(void *arg)
{
	(void)uv_async_send(arg);
}

static void test_messages_of_another_thread(void **state)
{
	struct world *w = *state;
	uv_thread_t thread;
	uv_async_t async;

	assert_int_equal(uv_async_init(&w->loop, &async, on_async), 0);
	async.data = w;
	assert_int_equal(uv_thread_create(&thread, send_async, &async), 0);
	poller_run(&w->poller);
	assert_int_equal(uv_thread_join(&thread), 0);
	assert_true(w->a.is_closed);
}

static void test_a_hook_that_wants_another_turn(void **state)
{
	struct world *w = *state;

	run_turns(w, 3); /* would else wait for the timer */
	assert_true(w->hooks >= 3);
}

/* What is asked for once, or again while it runs. */
struct soon {
	struct poller_hook hook;
	struct world *w;
	int runs, more; /* times that it asks again */
	uint64_t turn;	/* in which it ran last */
};

static bool on_soon(struct poller_hook *hook)
{
	struct soon *s = list_entry(hook, struct soon, hook);

	assert_true(s->runs == 0 || s->w->poller.turns > s->turn); /* once a turn */
	s->turn = s->w->poller.turns;
	s->runs++;
	if (s->more-- > 0)
		poller_run_soon(&s->w->poller, hook);
	else
		end_all(s->w);
	return false;
}

static void test_soon_and_again(void **state)
{
	struct world *w = *state;
	struct soon s = {.hook.run = on_soon, .w = w, .more = 3};

	list_init(&s.hook.node);
	poller_run_soon(&w->poller, &s.hook);
	poller_run_soon(&w->poller, &s.hook); /* is no second time */
	poller_run(&w->poller);		      /* would else wait for the timer */
	assert_int_equal(s.runs, 4);
}

/* In the turn of an event that asks for it, after all events were told. */
static struct soon *asked_by_event;

static void ask_soon(struct sock *s, int events)
{
	on_event(s, events);
	assert_int_equal(asked_by_event->runs, 0);
	poller_run_soon(&asked_by_event->w->poller, &asked_by_event->hook);
}

static void test_soon_is_after_the_events(void **state)
{
	struct world *w = *state;
	struct soon s = {.hook.run = on_soon, .w = w};

	list_init(&s.hook.node);
	asked_by_event = &s;
	w->a.sock.on_event = w->b.sock.on_event = ask_soon;
	assert_int_equal(sock_watch(&w->a.sock, SOCK_READ), 0);
	assert_int_equal(sock_watch(&w->b.sock, SOCK_READ), 0);
	say(&w->a);
	say(&w->b);
	poller_run(&w->poller);
	assert_int_equal(w->a.calls + w->b.calls, 2);
	assert_int_equal(s.runs, 1);
	assert_int_equal(s.turn, 1);
}

/* By a hook before the wait: there is none then. */
static bool ask_once(struct poller_hook *hook)
{
	struct soon *s = asked_by_event;

	(void)hook;
	if (s->runs == 0)
		poller_run_soon(&s->w->poller, &s->hook);
	return false;
}

static void test_soon_by_a_hook_before_the_wait(void **state)
{
	struct world *w = *state;
	struct soon s = {.hook.run = on_soon, .w = w};

	list_init(&s.hook.node);
	asked_by_event = &s;
	w->hook.run = ask_once;
	poller_run(&w->poller);
	assert_int_equal(s.runs, 1);
}

static void test_soon_is_taken_back(void **state)
{
	struct world *w = *state;
	struct soon s = {.hook.run = on_soon, .w = w};

	list_init(&s.hook.node);
	poller_run_soon(&w->poller, &s.hook);
	list_unlink(&s.hook.node);
	run_turns(w, 2);
	assert_int_equal(s.runs, 0);
}

static void test_without_descriptors(void **state)
{
	struct world *w = *state;
	struct rlimit before, none = {0, 0};
	struct poller p;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(poller_init(&p, &w->loop, true), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_socket_closed_by_the_event_before),
		TEST(test_only_what_is_watched),
		TEST(test_watched_again),
		TEST(test_a_hang_up),
		TEST(test_timers_of_the_loop),
		TEST(test_messages_of_another_thread),
		TEST(test_a_hook_that_wants_another_turn),
		TEST(test_soon_and_again),
		TEST(test_soon_is_after_the_events),
		TEST(test_soon_by_a_hook_before_the_wait),
		TEST(test_soon_is_taken_back),
		TEST(test_without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
