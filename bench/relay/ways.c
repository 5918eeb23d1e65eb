// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/relay/ways: what it takes to relay a body by each way there is, in turn. Prints a line of JSON
 * for each sample, and for each way that this kernel lacks; bench/relay/run.py makes a table of them.
 * Before anything is measured, every byte of some bodies is compared with what was sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench/proxy/tool.h"
#include "bench/relay/clock.h"
#include "bench/relay/ends.h"
#include "bench/relay/ways.h"

#define EVENTS	   64
#define NS_PER_S   1000000000.0
#define TICK_S	   0.03
#define PATIENCE_S 10.0 /* without a byte, and bytes are lost */
#define CHECKED	   2	/* bodies of each lane of which every byte is looked at */
#define BODIES_MAX 16U
#define UNDER_WAY  (64UL << 20) /* bytes of all lanes' bodies, at most */

const struct way ways[] = {
	{.name = "direct"},
	{.name = "copy", .on_event = pump, .take = take_copy, .give = give_copy},
	{.name = "splice",
	 .open = pipe_open,
	 .close = pipe_close,
	 .on_event = pump,
	 .take = take_pipe,
	 .give = give_pipe},
	{.name = "sockmap-body",
	 .is_gated = true,
	 .lacks = sockmap_lacks,
	 .tells = sockmap_ring,
	 .open = body_open,
	 .close = sockmap_close,
	 .on_event = body_on_event},
	{.name = "sockmap-tunnel",
	 .lacks = sockmap_lacks,
	 .open = tunnel_open,
	 .close = sockmap_close,
	 .on_event = tunnel_on_event},
	{.name = "seal",
	 .is_tls = true,
	 .open = seal_open,
	 .close = seal_close,
	 .on_event = pump,
	 .take = take_copy,
	 .give = give_sealed},
	{.name = "ktls-copy",
	 .is_tls = true,
	 .lacks = ktls_lacks,
	 .open = ktls_open,
	 .on_event = pump,
	 .take = take_copy,
	 .give = give_copy},
	{.name = "ktls-splice",
	 .is_tls = true,
	 .lacks = ktls_lacks,
	 .open = ktls_pipe_open,
	 .close = pipe_close,
	 .on_event = pump,
	 .take = take_pipe,
	 .give = give_pipe},
	{0},
};

struct options {
	unsigned cpus[2]; /* of the relay, of the ends */
	unsigned rounds;
	double seconds;
	size_t bodies[BODIES_MAX];
	unsigned body_count;
	const char *only;
	bool is_spoilt; /* bytes are changed on their way, to see that it is noticed */
};

/* What is read before and after. */
struct reading {
	uint64_t wall, relay, ends, kernel, busy, bytes;
};

struct sample {
	struct ends ends;
	struct reading before, after;
	bool has_begun, is_over;
	int timer;
	uint64_t seen; /* bytes, when some came last */
	uint64_t seen_at;
};

/* ---- lanes --------------------------------------------------------------------------------- */

static void connect_pair(int listener, uint16_t port, int *ret_client, int *ret_server)
{
	*ret_client = connect_to(port);
	if (*ret_client < 0)
		die("connect");
	*ret_server = accept_from(listener);
	if (*ret_server < 0)
		die("accept");
}

static void lane_open(struct relay *r, struct lane *l, int listener, uint16_t port)
{
	*l = (struct lane){.number = (unsigned)(l - r->lanes), .from = -1, .to = -1};
	l->left = r->body;
	if (!r->way->on_event) {
		connect_pair(listener, port, &l->sink, &l->source);
		return;
	}
	connect_pair(listener, port, &l->from, &l->source);
	connect_pair(listener, port, &l->sink, &l->to);
	l->events = EPOLLIN;
	epoll_watch(r->epoll, EPOLL_CTL_ADD, l->from, EPOLLIN, l);
	epoll_watch(r->epoll, EPOLL_CTL_ADD, l->to, 0, l);
	if (r->way->open) {
		uint64_t before = thread_ns();

		r->way->open(r, l);
		r->setup_ns += thread_ns() - before;
	}
}

static void lane_close(struct relay *r, struct lane *l)
{
	int fds[] = {l->from, l->to, l->source, l->sink};

	if (r->way->close) {
		uint64_t before = thread_ns();

		r->way->close(r, l);
		r->setup_ns += thread_ns() - before;
	}
	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static void relay_open(struct relay *r, const struct way *way, size_t body)
{
	int listener = listen_at(0);
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (getsockname(listener, (struct sockaddr *)&at, &len) < 0)
		die("getsockname");
	r->way = way;
	r->body = body;
	r->setup_ns = 0;
	r->lane_count = UNDER_WAY / body < LANES_MAX ? (unsigned)(UNDER_WAY / body) : LANES_MAX;
	if (!r->lane_count)
		r->lane_count = 1;
	r->epoll = epoll_open();
	r->gate = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->gate < 0)
		die("the gate");
	for (unsigned i = 0; i < r->lane_count; i++)
		lane_open(r, &r->lanes[i], listener, ntohs(at.sin_port));
	close(listener);
}

static void relay_close(struct relay *r)
{
	for (unsigned i = 0; i < r->lane_count; i++)
		lane_close(r, &r->lanes[i]);
	close(r->epoll);
	close(r->gate);
}

/* ---- a sample ------------------------------------------------------------------------------ */

static void set_timer(struct sample *s, double seconds)
{
	struct itimerspec at = {.it_value.tv_sec = (time_t)seconds};

	at.it_value.tv_nsec = (long)((seconds - (double)at.it_value.tv_sec) * NS_PER_S);
	if (timerfd_settime(s->timer, 0, &at, NULL) < 0)
		die("a timer");
}

/* The kernel's threads last of the one and first of the other: what it takes to ask for them is not
 * the relay's. */
static void read_before(struct sample *s)
{
	struct reading *now = &s->before;

	kernel_find();
	now->busy = busy_ns();
	now->kernel = kernel_ns();
	now->wall = clock_ns();
	now->bytes = atomic_load(&s->ends.bytes);
	now->ends = ends_cpu_ns(&s->ends);
	now->relay = thread_ns();
}

static void read_after(struct sample *s)
{
	struct reading *now = &s->after;

	now->relay = thread_ns();
	now->ends = ends_cpu_ns(&s->ends);
	now->bytes = atomic_load(&s->ends.bytes);
	now->wall = clock_ns();
	now->kernel = kernel_ns();
	now->busy = busy_ns();
}

/* Waits on, unless nothing comes any more. */
static void wait_on(const struct relay *r, struct sample *s)
{
	uint64_t bytes = atomic_load(&s->ends.bytes), now = clock_ns();

	if (bytes != s->seen || !s->seen_at) {
		s->seen = bytes;
		s->seen_at = now;
	} else if ((double)(now - s->seen_at) > PATIENCE_S * NS_PER_S) {
		fprintf(stderr, "ways: %s, bodies of %zu: bytes were lost\n", r->way->name,
			r->body);
		exit(1);
	}
	set_timer(s, TICK_S);
}

/* The window begins and ends with everything under way; then what is still on its way arrives. */
static void on_timer(const struct relay *r, struct sample *s, double seconds)
{
	uint64_t count, least = r->lane_count * (s->ends.is_checked ? CHECKED : 1);

	if (read(s->timer, &count, sizeof(count)) != sizeof(count))
		return;
	if (s->is_over || (!s->has_begun && atomic_load(&s->ends.bodies) < least) ||
	    (s->has_begun && atomic_load(&s->ends.bytes) < s->before.bytes + r->body)) {
		wait_on(r, s);
	} else if (!s->has_begun) {
		s->has_begun = true;
		set_timer(s, seconds);
		read_before(s);
	} else {
		read_after(s);
		s->is_over = true;
		s->seen_at = 0;
		atomic_store(&s->ends.stop, true);
		wait_on(r, s);
	}
}

static void take_sample(struct relay *r, struct sample *s, double seconds)
{
	static char timer, done, ring;
	struct epoll_event events[EVENTS];
	int ring_fd = r->way->tells ? r->way->tells() : -1;
	bool is_done = false;

	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer < 0)
		die("a timer");
	ends_start(&s->ends);
	epoll_watch(r->epoll, EPOLL_CTL_ADD, s->timer, EPOLLIN, &timer);
	epoll_watch(r->epoll, EPOLL_CTL_ADD, s->ends.done, EPOLLIN, &done);
	if (ring_fd >= 0)
		epoll_watch(r->epoll, EPOLL_CTL_ADD, ring_fd, EPOLLIN, &ring);
	set_timer(s, TICK_S);
	while (!is_done) {
		int count = epoll_wait(r->epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++) {
			void *what = events[i].data.ptr;

			if (what == &timer)
				on_timer(r, s, seconds);
			else if (what == &done)
				is_done = true;
			else if (what == &ring)
				sockmap_on_ring(r);
			else
				r->way->on_event(r, what, events[i].events);
		}
	}
	ends_join(&s->ends);
	close(s->timer);
}

static void print_sample(const struct relay *r, const struct sample *s, unsigned round)
{
	const struct reading *a = &s->before, *b = &s->after;

	printf("{\"way\": \"%s\", \"body\": %zu, \"round\": %u, \"lanes\": %u, \"bytes\": %llu, "
	       "\"wall_ns\": %llu, \"relay_ns\": %llu, \"kernel_ns\": %llu, \"ends_ns\": %llu, "
	       "\"busy_ns\": %llu, \"setup_ns\": %llu}\n",
	       r->way->name, r->body, round, r->lane_count,
	       (unsigned long long)(b->bytes - a->bytes), (unsigned long long)(b->wall - a->wall),
	       (unsigned long long)(b->relay - a->relay),
	       (unsigned long long)(b->kernel - a->kernel), (unsigned long long)(b->ends - a->ends),
	       (unsigned long long)(b->busy - a->busy),
	       (unsigned long long)(r->setup_ns / r->lane_count));
	fflush(stdout);
}

static void measure(struct relay *r, const struct options *o, const struct way *way, size_t body,
		    unsigned round)
{
	struct sample s = {.ends = {.relay = r, .cpu = o->cpus[1]}};
	bool is_check = round == 0;

	s.ends.is_checked = is_check;
	s.ends.is_spoilt = is_check && o->is_spoilt;
	relay_open(r, way, body);
	take_sample(r, &s, is_check ? TICK_S : o->seconds);
	relay_close(r);
	if (!is_check)
		print_sample(r, &s, round);
}

/* ---- the program --------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: ways [--cpus RELAY,ENDS] [--rounds N] [--seconds S] [--bodies BYTES,...]\n"
		"            [--only WAY] [--spoil]\n");
	exit(2);
}

static unsigned long number(const char *text, char **ret_end)
{
	unsigned long n;

	errno = 0;
	n = strtoul(text, ret_end, 10);
	if (errno || *ret_end == text || *text == '-')
		usage();
	return n;
}

static void parse_cpus(struct options *o, const char *text)
{
	char *end;

	o->cpus[0] = (unsigned)number(text, &end);
	if (*end != ',')
		usage();
	o->cpus[1] = (unsigned)number(end + 1, &end);
	if (*end)
		usage();
}

static void parse_bodies(struct options *o, const char *text)
{
	char *end;

	for (o->body_count = 0;; text = end + 1) {
		unsigned long n = number(text, &end);

		if (!n || (*end && *end != ',') || o->body_count == BODIES_MAX)
			usage();
		o->bodies[o->body_count++] = n;
		if (!*end)
			return;
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{"cpus", required_argument, NULL, 'c'},
		{"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"bodies", required_argument, NULL, 'b'},
		{"only", required_argument, NULL, 'o'},
		{"spoil", no_argument, NULL, 'x'},
		{0},
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'c': parse_cpus(o, optarg); break;
		case 'r':
			o->rounds = (unsigned)number(optarg, &end);
			if (*end)
				usage();
			break;
		case 's':
			o->seconds = strtod(optarg, &end);
			if (*end || !(o->seconds > 0 && o->seconds <= 60))
				usage();
			break;
		case 'b': parse_bodies(o, optarg); break;
		case 'o': o->only = optarg; break;
		case 'x': o->is_spoilt = true; break;
		default: usage();
		}
	}
	if (optind < argc)
		usage();
}

/* A network of its own, with a congestion control that does not pace, which would set the speed. A
 * socket that has begun with one that does never gets rid of the timers. */
static void enter_network(void)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_congestion_control";
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd, sock;

	if (unshare(CLONE_NEWNET) < 0)
		die("a network of its own");
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
		die("lo");
	close(sock);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "reno", 4) != 4)
		die(path);
	close(fd);
}

/* Begins with another way each time. */
static void measure_all(struct relay *r, const struct options *o, const struct way **here,
			unsigned count)
{
	for (unsigned round = 0; round <= o->rounds; round++) {
		for (unsigned b = 0; b < o->body_count; b++) {
			for (unsigned i = 0; i < count; i++)
				measure(r, o, here[(round + i) % count], o->bodies[b], round);
		}
	}
}

int main(int argc, char **argv)
{
	static struct relay r;
	struct options o = {
		.cpus = {0, 1},
		.rounds = 5,
		.seconds = 0.25,
		.bodies = {1U << 10, 1U << 14, 1U << 16, 1U << 20, 1U << 24},
		.body_count = 5,
	};
	const struct way *here[sizeof(ways) / sizeof(ways[0])];
	unsigned count = 0;
	cpu_set_t set;

	parse(&o, argc, argv);
	CPU_ZERO(&set);
	CPU_SET(o.cpus[0], &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("the relay's processor");
	enter_network();
	if (!tls_ciphers_init(&r.ciphers))
		die("OpenSSL");
	for (const struct way *w = ways; w->name; w++) {
		const char *lacks;

		if (o.only && strcmp(o.only, w->name) != 0)
			continue;
		lacks = w->lacks ? w->lacks() : NULL;
		if (lacks)
			printf("{\"way\": \"%s\", \"lacks\": \"%s\"}\n", w->name, lacks);
		else
			here[count++] = w;
	}
	fflush(stdout);
	if (count)
		measure_all(&r, &o, here, count);
	tls_ciphers_deinit(&r.ciphers);
	return 0;
}
