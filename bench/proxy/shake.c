// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/proxy/shake: TLS handshakes, as many as a server makes. Each is a connection of its own: connect,
 * handshake, in a full one of TLS 1.3 the session ticket (the server's word that it is done; in a
 * resumed one not all servers send another), then an end in good order, whose answer is waited for:
 * nothing else proves that the server got that far. Nothing is asked for.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "bench/proxy/tool.h"

#define EVENTS	     64
#define SAMPLES	     (1U << 20)
#define NS_PER_S     1000000000ULL
#define NS_PER_US    1000ULL
#define TICK_MS	     100
#define MAX_SECONDS  3600.0
#define MAX_PARALLEL 4096
#define TLS_1_2	     "1.2"
#define TLS_1_3	     "1.3"

enum phase { PHASE_HANDSHAKE, PHASE_TICKET, PHASE_END };

struct run;

struct client {
	struct run *run;
	SSL *ssl;
	enum phase phase;
	bool has_ticket;
	uint64_t began_ns;
};

struct run {
	/* options */
	uint16_t port;
	int version;
	bool resume;
	unsigned parallel;
	double seconds;
	/* state */
	SSL_CTX *ctx;
	int epoll;
	volatile uint64_t *counter;
	SSL_SESSION *session; /* the newest; NULL: none yet */
	uint64_t failed, full;
	uint32_t *samples; /* microseconds */
	size_t sample_count;
	char error[256]; /* of the first failure */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* A copy: OpenSSL offers a session of TLS 1.3 once, and some servers give no other one for it. */
static bool offer(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);
	bool ok = copy && SSL_set_session(ssl, copy);

	SSL_SESSION_free(copy);
	return ok;
}

static void client_open(struct run *r, struct client *c)
{
	int fd = connect_to(r->port);

	if (fd < 0)
		die("connect");
	c->run = r;
	c->phase = PHASE_HANDSHAKE;
	c->has_ticket = false;
	c->began_ns = now_ns();
	c->ssl = SSL_new(r->ctx);
	if (!c->ssl || !SSL_set_fd(c->ssl, fd) || !SSL_set_app_data(c->ssl, c) ||
	    (r->session && !offer(c->ssl, r->session)))
		die("a connection's state");
	SSL_set_connect_state(c->ssl);
	epoll_watch(r->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
}

static void client_close(struct client *c)
{
	close(SSL_get_fd(c->ssl));
	SSL_free(c->ssl);
	c->ssl = NULL;
}

static void client_fail(struct client *c, int error)
{
	struct run *r = c->run;
	unsigned long reason = ERR_get_error();

	r->failed++;
	if (r->error[0])
		return;
	if (error == SSL_ERROR_SSL && reason)
		ERR_error_string_n(reason, r->error, sizeof(r->error));
	else
		snprintf(r->error, sizeof(r->error), "the server ended the connection");
}

/* A ticket, or with TLS 1.2 a session. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);
	struct run *r = c->run;

	c->has_ticket = true;
	if (r->resume) {
		SSL_SESSION_free(r->session);
		r->session = SSL_SESSION_dup(session);
	}
	return 0; /* it stays the connection's */
}

static void client_finish(struct client *c)
{
	struct run *r = c->run;

	*r->counter += 1;
	if (!SSL_session_reused(c->ssl))
		r->full++;
	if (r->sample_count < SAMPLES)
		r->samples[r->sample_count++] = (uint32_t)((now_ns() - c->began_ns) / NS_PER_US);
	c->phase = PHASE_END;
	SSL_shutdown(c->ssl); /* what fails here is seen when the answer is read */
}

/* What an end in good order looks like: close_notify, or at least neither a reset nor an alert. */
static bool is_over(struct client *c, int error)
{
	return c->phase == PHASE_END &&
	       (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && errno == 0) ||
		(error == SSL_ERROR_SSL &&
		 ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING));
}

/* Is this handshake not over before there is a ticket? */
static bool needs_ticket(struct client *c)
{
	return !c->has_ticket && SSL_version(c->ssl) == TLS1_3_VERSION &&
	       !SSL_session_reused(c->ssl);
}

/* false: the connection is over. */
static bool client_go_on(struct client *c)
{
	char bytes[64];
	int n, error;

	ERR_clear_error();
	errno = 0;
	n = c->phase == PHASE_HANDSHAKE ? SSL_do_handshake(c->ssl)
					: SSL_read(c->ssl, bytes, sizeof(bytes));
	error = SSL_get_error(c->ssl, n);
	if (c->phase == PHASE_HANDSHAKE && n == 1)
		c->phase = PHASE_TICKET;
	if (c->phase == PHASE_TICKET && !needs_ticket(c))
		client_finish(c);
	if (n > 0 || error == SSL_ERROR_WANT_READ)
		return true;
	if (!is_over(c, error))
		client_fail(c, error);
	return false;
}

/* As far as it goes without waiting, also with the next connection. */
static void client_run(struct client *c)
{
	for (;;) {
		enum phase before;
		bool alive;

		do {
			before = c->phase;
			alive = client_go_on(c);
		} while (alive && c->phase != before);
		if (alive)
			return;
		client_close(c);
		client_open(c->run, c);
	}
}

static void client_start(struct run *r, struct client *c)
{
	client_open(r, c);
	client_run(c);
}

/* Handle what comes until a time, or until there is a session to go on with. */
static void drive(struct run *r, uint64_t until_ns, bool for_session)
{
	struct epoll_event events[EVENTS];

	while (now_ns() < until_ns && !(for_session && r->session)) {
		int count = epoll_wait(r->epoll, events, EVENTS, TICK_MS);

		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++)
			client_run(events[i].data.ptr);
	}
}

static void setup(struct run *r)
{
	r->ctx = SSL_CTX_new(TLS_client_method());
	r->samples = calloc(SAMPLES, sizeof(*r->samples));
	if (!r->ctx || !r->samples || !SSL_CTX_set_min_proto_version(r->ctx, r->version) ||
	    !SSL_CTX_set_max_proto_version(r->ctx, r->version))
		die("OpenSSL");
	SSL_CTX_set_session_cache_mode(r->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(r->ctx, on_session);
	r->epoll = epoll_open();
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(struct run *r, unsigned percent)
{
	return r->sample_count ? r->samples[(r->sample_count - 1) * percent / 100] : 0;
}

static void run(struct run *r)
{
	struct client *clients = calloc(r->parallel, sizeof(*clients));
	uint64_t end;

	if (!clients)
		die("connections");
	setup(r);
	end = now_ns() + (uint64_t)(r->seconds * (double)NS_PER_S);
	client_start(r, &clients[0]);
	if (r->resume)
		drive(r, end, true);
	r->full = 0; /* the first one had nothing to resume */
	for (unsigned i = 1; i < r->parallel; i++)
		client_start(r, &clients[i]);
	drive(r, end, false);
	qsort(r->samples, r->sample_count, sizeof(*r->samples), compare);
	printf("{\"done\": %llu, \"failed\": %llu, \"full\": %llu, \"p50_us\": %u, \"p99_us\": %u, "
	       "\"error\": \"%s\"}\n",
	       (unsigned long long)*r->counter, (unsigned long long)r->failed,
	       (unsigned long long)r->full, percentile(r, 50), percentile(r, 99), r->error);
	for (unsigned i = 0; i < r->parallel; i++)
		client_close(&clients[i]);
	free(clients);
	free(r->samples);
	SSL_SESSION_free(r->session);
	SSL_CTX_free(r->ctx);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: shake --port N --counter FILE [--tls " TLS_1_2 "|" TLS_1_3 "] [--resume] "
		"[--parallel N] [--seconds S]\n"
		"Make handshakes with 127.0.0.1 and print how many, as JSON.\n\n"
		"  --counter FILE   hold the number of those that are done in there meanwhile\n"
		"  --resume         resume the session of an earlier one\n"
		"  --parallel N     so many at once (16)\n"
		"  --seconds S      how long (1)\n");
	return 2;
}

static bool parse(struct run *r, int argc, char **argv)
{
	static const struct option longs[] = {{"port", required_argument, NULL, 'p'},
					      {"counter", required_argument, NULL, 'c'},
					      {"tls", required_argument, NULL, 't'},
					      {"resume", no_argument, NULL, 'r'},
					      {"parallel", required_argument, NULL, 'n'},
					      {"seconds", required_argument, NULL, 's'},
					      {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'p')
			r->port = port_of(optarg);
		else if (c == 'c')
			r->counter = counter_open(optarg);
		else if (c == 't' && !strcmp(optarg, TLS_1_2))
			r->version = TLS1_2_VERSION;
		else if (c == 'r')
			r->resume = true;
		else if (c == 'n')
			r->parallel = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			r->seconds = strtod(optarg, NULL);
		else if (c != 't' || strcmp(optarg, TLS_1_3))
			return false;
	}
	return optind == argc && r->port && r->counter && r->parallel > 0 &&
	       r->parallel <= MAX_PARALLEL && r->seconds > 0 && r->seconds <= MAX_SECONDS;
}

int main(int argc, char **argv)
{
	struct run r = {.version = TLS1_3_VERSION, .parallel = 16, .seconds = 1};

	if (!parse(&r, argc, argv))
		return usage();
	run(&r);
	return 0;
}
