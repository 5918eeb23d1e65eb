// SPDX-License-Identifier: BSD-2-Clause
/* Sources and sinks: see ends.h. */
#include "bench/relay/ends.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/proxy/tool.h"

#define EVENTS 64
/* What is sent, again and again: no multiple of anything that bytes could be lost or swapped by. */
#define PATTERN	    261101U
#define SPOILT	    700U /* which byte is, of the first body too */
#define READ_MAX    LARGE
#define SKIP_MAX    (1U << 20)
#define RECORDS	    8 /* that are read before others have their turn */
#define RECORD_ROOM (TLS_RECORD_HEADER + 16384U + 256U)

struct end {
	struct lane *lane;
	int source, sink;
	bool is_blocked;
	bool is_waiting;	 /* for the relay, with the next body */
	size_t to_send, sent_at; /* the rest of the body; its place in the pattern */
	size_t to_get, got_at;
	/* The record that is arriving. */
	unsigned char *record;
	size_t record_len; /* bytes of it that are there; all but the header's only counted unless checked */
	size_t record_size; /* 0: not known yet */
	struct tls_keys keys;
};

static unsigned char pattern[PATTERN];

static _Noreturn void wrong(const struct ends *e, const char *what)
{
	fprintf(stderr, "ways: %s, bodies of %zu: %s\n", e->relay->way->name, e->relay->body, what);
	exit(1);
}

static void make_pattern(void)
{
	uint64_t state = 1;

	for (size_t i = 0; i < PATTERN; i++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		pattern[i] = (unsigned char)(state >> 56);
	}
}

/* The pattern in a file: what is sent out of it is not copied, as what a network card has put into
 * memory is not, so that the cost of bytes is that of the relay. */
static void make_file(struct ends *e)
{
	unsigned char *at = pattern + SPOILT;

	make_pattern();
	e->file = memfd_create("pattern", MFD_CLOEXEC);
	*at ^= e->is_spoilt;
	if (e->file < 0 || write(e->file, pattern, PATTERN) != PATTERN)
		die("a file");
	*at ^= e->is_spoilt;
}

/* ---- the source ---------------------------------------------------------------------------- */

static void send_some(struct ends *e, int epoll, struct end *end)
{
	bool blocked = false;

	while (end->to_send && !blocked) {
		size_t len = PATTERN - end->sent_at;
		off_t at;
		ssize_t n;

		if (len > end->to_send)
			len = end->to_send;
		at = (off_t)end->sent_at;
		n = sendfile(end->source, e->file, &at, len);
		if (n < 0 && errno != EAGAIN)
			wrong(e, strerror(errno));
		blocked = n < 0;
		if (n > 0) {
			end->to_send -= (size_t)n;
			end->sent_at = (end->sent_at + (size_t)n) % PATTERN;
		}
	}
	if (blocked != end->is_blocked)
		epoll_watch(epoll, EPOLL_CTL_MOD, end->source, blocked ? EPOLLOUT : 0, end);
	end->is_blocked = blocked;
}

static void next_body(struct ends *e, int epoll, struct end *end)
{
	end->to_send = end->to_get = e->relay->body;
	send_some(e, epoll, end);
}

void next_may_come(const struct relay *r, struct lane *l)
{
	if (atomic_exchange(&l->turn, TURN_RELAY) == TURN_ENDS && eventfd_write(r->gate, 1) < 0)
		die("the gate");
}

static void go_on(struct ends *e, int epoll, struct end *end)
{
	end->is_waiting = false;
	atomic_store(&end->lane->turn, TURN_NONE);
	if (atomic_load(&e->stop))
		e->under_way--;
	else
		next_body(e, epoll, end);
}

/* All of a body is there. */
static void body_came(struct ends *e, int epoll, struct end *end)
{
	atomic_fetch_add(&e->bodies, 1);
	if (e->relay->way->is_gated && atomic_exchange(&end->lane->turn, TURN_ENDS) != TURN_RELAY) {
		end->is_waiting = true;
		return;
	}
	go_on(e, epoll, end);
}

static void open_gate(struct ends *e, int epoll)
{
	eventfd_t count;

	if (eventfd_read(e->relay->gate, &count) < 0)
		die("the gate");
	for (unsigned i = 0; i < e->relay->lane_count; i++) {
		struct end *end = &e->end[i];

		if (end->is_waiting && atomic_load(&end->lane->turn) == TURN_RELAY)
			go_on(e, epoll, end);
	}
}

/* ---- the sink ------------------------------------------------------------------------------ */

static void got(struct ends *e, struct end *end, const unsigned char *data, size_t len)
{
	if (len > end->to_get)
		wrong(e, "more bytes arrived than were sent");
	end->to_get -= len;
	atomic_fetch_add_explicit(&e->bytes, len, memory_order_relaxed);
	while (e->is_checked && len) {
		size_t piece = PATTERN - end->got_at < len ? PATTERN - end->got_at : len;

		if (memcmp(data, pattern + end->got_at, piece) != 0)
			wrong(e, "other bytes arrived than were sent");
		end->got_at = (end->got_at + piece) % PATTERN;
		data += piece;
		len -= piece;
	}
}

/* The record is there as a whole. */
static void got_record(struct ends *e, struct tls_ciphers *ciphers, struct end *end)
{
	size_t len = tls_record_room(&end->keys, end->record_size) - 1; /* without its type */
	uint8_t type;

	if (e->is_checked && (tls_open(ciphers, &end->keys, end->record, end->record_size,
				       end->record + TLS_RECORD_HEADER, &type) != (int)len ||
			      type != SSL3_RT_APPLICATION_DATA))
		wrong(e, "a record that cannot be opened");
	got(e, end, end->record + TLS_RECORD_HEADER, len);
	end->record_len = end->record_size = 0;
}

/* Some more bytes of it are there. */
static void record_went_on(struct ends *e, struct tls_ciphers *ciphers, struct end *end)
{
	int size;

	if (end->record_size && end->record_len == end->record_size)
		got_record(e, ciphers, end);
	if (end->record_size || end->record_len < TLS_RECORD_HEADER)
		return;
	size = tls_record_size(&end->keys, end->record);
	if (size < 0)
		wrong(e, "what arrived is no record");
	end->record_size = (size_t)size;
}

static void got_records(struct ends *e, struct tls_ciphers *ciphers, struct end *end,
			const unsigned char *data, size_t len)
{
	while (len) {
		size_t piece =
			(end->record_size ? end->record_size : TLS_RECORD_HEADER) - end->record_len;

		if (piece > len)
			piece = len;
		memcpy(end->record + end->record_len, data, piece);
		end->record_len += piece;
		data += piece;
		len -= piece;
		record_went_on(e, ciphers, end);
	}
}

/* As recv(). Without data: as many bytes are taken, and not looked at. */
static ssize_t take(struct ends *e, struct end *end, void *data, size_t len)
{
	ssize_t n = recv(end->sink, data, len, data ? 0 : MSG_TRUNC);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		wrong(e, n < 0 ? strerror(errno) : "the connection ended");
	return n;
}

static void receive_checked(struct ends *e, struct tls_ciphers *ciphers, struct end *end)
{
	static unsigned char buffer[READ_MAX];
	ssize_t n = take(e, end, buffer, sizeof(buffer));

	if (n > 0 && e->relay->way->is_tls)
		got_records(e, ciphers, end, buffer, (size_t)n);
	else if (n > 0)
		got(e, end, buffer, (size_t)n);
}

/* Of records only the headers are looked at. */
static void skip_records(struct ends *e, struct end *end)
{
	for (int i = 0; i < 2 * RECORDS && end->to_get; i++) {
		bool is_header = !end->record_size;
		unsigned char *data = is_header ? end->record + end->record_len : NULL;
		size_t len = (is_header ? TLS_RECORD_HEADER : end->record_size) - end->record_len;
		ssize_t n = take(e, end, data, len);

		if (n < 0)
			return;
		end->record_len += (size_t)n;
		record_went_on(e, NULL, end);
	}
}

static void receive(struct ends *e, struct tls_ciphers *ciphers, struct end *end)
{
	ssize_t n;

	if (e->is_checked) {
		receive_checked(e, ciphers, end);
	} else if (e->relay->way->is_tls) {
		skip_records(e, end);
	} else {
		n = take(e, end, NULL, SKIP_MAX);
		if (n > 0)
			got(e, end, NULL, (size_t)n);
	}
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("the ends' processor");
}

static void end_open(struct ends *e, int epoll, struct end *end, struct lane *l)
{
	*end = (struct end){
		.lane = l, .source = l->source, .sink = l->sink, .keys.is_sealing = false};
	end->record = malloc(RECORD_ROOM);
	if (!end->record ||
	    !tls_keys_init_13(&end->keys, TLS_AES_128_GCM, (const unsigned char *)TRAFFIC))
		wrong(e, "no memory");
	epoll_watch(epoll, EPOLL_CTL_ADD, end->source, 0, end);
	epoll_watch(epoll, EPOLL_CTL_ADD, end->sink, EPOLLIN, end);
}

static void serve(struct ends *e, int epoll, struct tls_ciphers *ciphers)
{
	struct epoll_event events[EVENTS];

	e->under_way = e->relay->lane_count;
	for (unsigned i = 0; i < e->relay->lane_count; i++)
		next_body(e, epoll, &e->end[i]);
	while (e->under_way) {
		int count = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct end *end = events[i].data.ptr;

			if (!end) {
				open_gate(e, epoll);
			} else if (events[i].events & EPOLLOUT) {
				send_some(e, epoll, end);
			} else {
				receive(e, ciphers, end);
				if (!end->to_get && !end->is_waiting)
					body_came(e, epoll, end);
			}
		}
	}
}

static void *run(void *arg)
{
	struct ends *e = arg;
	struct tls_ciphers ciphers;
	int epoll = epoll_open();

	pin(e->cpu);
	make_file(e);
	if (!tls_ciphers_init(&ciphers))
		wrong(e, "OpenSSL");
	for (unsigned i = 0; i < e->relay->lane_count; i++)
		end_open(e, epoll, &e->end[i], &e->relay->lanes[i]);
	epoll_watch(epoll, EPOLL_CTL_ADD, e->relay->gate, EPOLLIN, NULL);
	serve(e, epoll, &ciphers);
	for (unsigned i = 0; i < e->relay->lane_count; i++) {
		tls_keys_wipe(&ciphers, &e->end[i].keys);
		free(e->end[i].record);
	}
	tls_ciphers_deinit(&ciphers);
	close(epoll);
	close(e->file);
	if (eventfd_write(e->done, 1) < 0)
		die("done");
	return NULL;
}

void ends_start(struct ends *e)
{
	atomic_init(&e->stop, false);
	atomic_init(&e->bytes, 0);
	atomic_init(&e->bodies, 0);
	e->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->end = calloc(LANES_MAX, sizeof(*e->end));
	if (e->done < 0 || !e->end || pthread_create(&e->thread, NULL, run, e) != 0)
		die("a thread");
}

uint64_t ends_cpu_ns(struct ends *e)
{
	struct timespec now;
	clockid_t clock;

	if (pthread_getcpuclockid(e->thread, &clock) != 0 || clock_gettime(clock, &now) < 0)
		die("the clock of the ends' thread");
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void ends_join(struct ends *e)
{
	(void)pthread_join(e->thread, NULL);
	free(e->end);
	close(e->done);
}
