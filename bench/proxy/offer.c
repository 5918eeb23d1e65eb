// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/proxy/offer: requests at a rate that does not depend on the answers, over many connections that
 * are kept. A request goes out on the connection that has been idle for longest; where all of them wait
 * for an answer, it is one that is missed.
 *
 *	offer PORT CONNECTIONS TARGET
 *
 * Each line of its input, "RATE WARM SECONDS", begins once nothing is under way any more. After WARM
 * seconds it says "counting", and SECONDS later a line of JSON. Its input's end ends the program.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/proxy/tool.h"

#define EVENTS		256
#define ANSWER_MAX	2048
#define CONNECTIONS_MAX 100000
#define SAMPLES		(1U << 20)
#define NS_PER_S	1000000000ULL
#define NS_PER_US	1000ULL
#define REST_S		15 /* for what is under way to end */
#define CLOSED		-1 /* answer_status() */
#define NOT_WHOLE	0

struct client {
	int fd;
	bool waits;
	uint64_t since_ns; /* of its request */
	size_t len;
	char answer[ANSWER_MAX];
};

struct counts {
	uint64_t said, missed, good, refused, broken;
};

struct run {
	uint16_t port;
	int epoll;
	char request[512];
	size_t request_len;
	struct client *clients;
	uint32_t *idle; /* a ring of those that do not wait, the oldest first */
	uint32_t first, idle_count, count;
	struct counts counts;
	uint32_t *samples; /* microseconds, of good answers */
	size_t sample_count;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void rest(struct run *r, struct client *c)
{
	c->waits = false;
	c->len = 0;
	r->idle[(r->first + r->idle_count++) % r->count] = (uint32_t)(c - r->clients);
}

static void client_open(struct run *r, struct client *c)
{
	c->fd = connect_to(r->port);
	if (c->fd < 0)
		die("connect");
	epoll_watch(r->epoll, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
	rest(r, c);
}

/* ---- answers ---- */

/* The status of an answer that is whole. */
static int answer_status(struct client *c)
{
	const char *end, *length;

	c->answer[c->len] = '\0';
	end = strstr(c->answer, "\r\n\r\n");
	if (!end)
		return NOT_WHOLE;
	length = strcasestr(c->answer, "\r\ncontent-length:");
	if (!length || length > end || strncmp(c->answer, "HTTP/1.1 ", 9) != 0)
		return CLOSED;
	if (c->len < (size_t)(end + 4 - c->answer) + strtoul(length + 17, NULL, 10))
		return NOT_WHOLE;
	return atoi(c->answer + 9);
}

static void note(struct run *r, const struct client *c, int status)
{
	if (status == CLOSED) {
		r->counts.broken += c->waits;
	} else if (status != 200) {
		r->counts.refused++;
	} else {
		r->counts.good++;
		if (r->sample_count < SAMPLES)
			r->samples[r->sample_count++] =
				(uint32_t)((now_ns() - c->since_ns) / NS_PER_US);
	}
}

static void on_readable(struct run *r, struct client *c)
{
	ssize_t n = recv(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len, 0);
	int status;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		c->len += (size_t)n;
	status = n > 0 ? answer_status(c) : CLOSED;
	if (status == NOT_WHOLE && c->len < sizeof(c->answer) - 1)
		return;
	note(r, c, status);
	if (status == CLOSED || status == NOT_WHOLE) {
		close(c->fd);
		c->fd = -1; /* one less: who is turned away does not come again */
	} else if (c->waits) {
		rest(r, c);
	}
}

static void turn(struct run *r, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(r->epoll, events, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++)
		on_readable(r, events[i].data.ptr);
}

/* ---- requests ---- */

/* The client that has rested longest, and has a connection; NULL: there is none. */
static struct client *next_client(struct run *r)
{
	while (r->idle_count) {
		struct client *c = &r->clients[r->idle[r->first]];

		r->first = (r->first + 1) % r->count;
		r->idle_count--;
		if (c->fd >= 0)
			return c;
	}
	return NULL;
}

static void ask(struct run *r)
{
	struct client *c = next_client(r);

	if (!c) {
		r->counts.missed++;
		return;
	}
	c->waits = true;
	c->since_ns = now_ns();
	/* One that is closed is seen when it is read. */
	(void)send(c->fd, r->request, r->request_len, MSG_NOSIGNAL);
	r->counts.said++;
}

static uint32_t open_count(const struct run *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count; i++)
		n += r->clients[i].fd >= 0;
	return n;
}

static void come_to_rest(struct run *r)
{
	uint64_t end = now_ns() + REST_S * NS_PER_S;

	while (r->idle_count < open_count(r) && now_ns() < end)
		turn(r, 100);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void tell(struct run *r, double seconds)
{
	const struct counts *n = &r->counts;
	uint32_t *s = r->samples;
	size_t count = r->sample_count;

	qsort(s, count, sizeof(*s), by_size);
	printf("{\"seconds\": %.3f, \"said\": %llu, \"missed\": %llu, \"good\": %llu, "
	       "\"refused\": %llu, \"broken\": %llu, \"open\": %u, \"p50_us\": %u, \"p99_us\": "
	       "%u}\n",
	       seconds, (unsigned long long)n->said, (unsigned long long)n->missed,
	       (unsigned long long)n->good, (unsigned long long)n->refused,
	       (unsigned long long)n->broken, open_count(r), count ? s[count / 2] : 0,
	       count ? s[count * 99 / 100] : 0);
	fflush(stdout);
}

/* Returns how long it took: hardly more than was asked for. */
static double go_on(struct run *r, double rate, double seconds)
{
	const uint64_t begin = now_ns();
	double took = 0, asked = 0;

	r->counts = (struct counts){0};
	r->sample_count = 0;
	while (took < seconds) {
		for (; asked < took * rate; asked++)
			ask(r);
		turn(r, 1);
		took = (double)(now_ns() - begin) / (double)NS_PER_S;
	}
	return took;
}

static void offer(struct run *r, double rate, double warm, double seconds)
{
	come_to_rest(r);
	(void)go_on(r, rate, warm);
	printf("counting\n");
	fflush(stdout);
	tell(r, go_on(r, rate, seconds));
}

int main(int argc, char *argv[])
{
	struct run r = {0};
	double rate, warm, seconds;
	int len;

	if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > CONNECTIONS_MAX) {
		fprintf(stderr, "usage: offer PORT CONNECTIONS TARGET\n");
		return 2;
	}
	r.port = port_of(argv[1]);
	r.count = (uint32_t)atoi(argv[2]);
	len = snprintf(r.request, sizeof(r.request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		       argv[3]);
	if (len < 0 || (size_t)len >= sizeof(r.request))
		die("the target is too long");
	r.request_len = (size_t)len;
	r.epoll = epoll_open();
	r.clients = calloc(r.count, sizeof(*r.clients));
	r.idle = calloc(r.count, sizeof(*r.idle));
	r.samples = calloc(SAMPLES, sizeof(*r.samples));
	if (!r.clients || !r.idle || !r.samples)
		die("memory");
	for (uint32_t i = 0; i < r.count; i++)
		client_open(&r, &r.clients[i]);
	while (scanf("%lf %lf %lf", &rate, &warm, &seconds) == 3)
		offer(&r, rate, warm, seconds);
	return 0;
}
