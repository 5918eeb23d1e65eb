/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread behind the rings: see writer.h. */
#include "log/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/log.h"
#include "log/ring.h"
#include "log/sink.h"

#define RING_BYTES (1U << 20)
#define GATHER_MS  20 /* lines are written together; nobody is woken for each */

static struct {
	pthread_once_t once;
	pthread_t thread;
	int wake; /* eventfd */
	atomic_bool runs;
	_Atomic(struct log_ring *) rings[LOG_WRITER_RINGS];
	atomic_bool asleep, reopen, sweep, stop;
} writer = {.once = PTHREAD_ONCE_INIT, .wake = -1};

static void wake(void)
{
	static const uint64_t one = 1;

	/* Fails only where the count is at its end: it is awake, then. */
	(void)!write(writer.wake, &one, sizeof(one));
}

static bool has_lines(void)
{
	for (unsigned i = 0; i < LOG_WRITER_RINGS; i++) {
		struct log_ring *r = atomic_load_explicit(&writer.rings[i], memory_order_acquire);

		if (r && !log_ring_is_empty(r))
			return true;
	}
	return false;
}

static void drain(struct log_ring *r)
{
	const char *line;
	void *sink;
	size_t len;

	while (log_ring_peek(r, &sink, &line, &len)) {
		log_sink_add(sink, line, len);
		log_ring_drop(r);
	}
}

/* True: again, soon. */
static bool write_lines(void)
{
	(void)atomic_exchange(&writer.sweep, false);
	for (unsigned i = 0; i < LOG_WRITER_RINGS; i++) {
		struct log_ring *r = atomic_load_explicit(&writer.rings[i], memory_order_acquire);

		if (r)
			drain(r);
	}
	return log_sinks_round(atomic_exchange(&writer.reopen, false));
}

static bool is_called(void)
{
	return has_lines() || atomic_load(&writer.reopen) || atomic_load(&writer.sweep) ||
	       atomic_load(&writer.stop);
}

/* Until somebody calls. Either log_writer_push() sees that nobody is awake, or its line is seen here. */
static void sleep_until_called(void)
{
	struct pollfd p = {.fd = writer.wake, .events = POLLIN};
	uint64_t count;

	atomic_store(&writer.asleep, true);
	if (!is_called())
		(void)poll(&p, 1, -1); /* whatever it says, what there is, is looked at */
	atomic_store(&writer.asleep, false);
	(void)!read(writer.wake, &count, sizeof(count));
}

static void *run(void *arg)
{
	(void)arg;
	(void)pthread_setname_np(pthread_self(), "shuntd-log"); /* only a name */
	while (!atomic_load(&writer.stop)) {
		struct pollfd p = {.fd = writer.wake, .events = POLLIN};

		while (write_lines())
			continue;
		sleep_until_called();
		if (!atomic_load(&writer.stop) && !atomic_load(&writer.reopen))
			(void)poll(&p, 1, GATHER_MS);
	}
	while (write_lines())
		continue;
	return NULL;
}

/* A sink is of no use to anybody any more. */
static void on_unused(void)
{
	atomic_store(&writer.sweep, true);
	wake();
}

static void start(void)
{
	sigset_t all, before;
	int err;

	writer.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (writer.wake < 0) {
		log_error("log: no access logs error=\"%s\"", strerror(errno));
		return;
	}
	log_sinks_attend(on_unused);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&writer.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		log_error("log: no access logs error=\"%s\"", strerror(err));
		log_sinks_attend(NULL);
	}
	writer.runs = !err;
}

/* The ring of a worker, made when it is first needed. */
static struct log_ring *ring_of(unsigned i)
{
	struct log_ring *r = atomic_load_explicit(&writer.rings[i], memory_order_relaxed);

	if (r)
		return r;
	(void)pthread_once(&writer.once, start); /* cannot fail */
	if (!writer.runs)
		return NULL;
	r = log_ring_new(RING_BYTES);
	atomic_store_explicit(&writer.rings[i], r, memory_order_release);
	return r;
}

bool log_writer_push(unsigned ring, struct log_sink *sink, const char *line, size_t len)
{
	struct log_ring *r = ring_of(ring);

	if (!r || !log_ring_push(r, sink, line, len))
		return false;
	if (atomic_load(&writer.asleep) && atomic_exchange(&writer.asleep, false))
		wake();
	return true;
}

void log_writer_reopen(void)
{
	if (!writer.runs)
		return;
	atomic_store(&writer.reopen, true);
	wake();
}

void log_writer_stop(void)
{
	if (!writer.runs)
		return;
	atomic_store(&writer.stop, true);
	wake();
	(void)pthread_join(writer.thread, NULL); /* fails only for a thread that is not ours */
	writer.runs = false;
	for (unsigned i = 0; i < LOG_WRITER_RINGS; i++)
		log_ring_free(atomic_exchange(&writer.rings[i], NULL));
	log_sinks_attend(NULL);
	close(writer.wake);
}
