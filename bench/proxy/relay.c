// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/proxy/relay: the floor that proxies are compared with. It gives each client a connection to
 * the backend and passes bytes on both ways, one recv() and one send() a message, and looks at none
 * of them. A client that closes leaves its backend connection to the next client.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/proxy/tool.h"

#define EVENTS 64
/* What a proxy can spend on a connection that moves bytes. It decides on the cost of a large body:
 * with 512 KiB, a MiB took a quarter less. */
#define BUFFER (64 * 1024)

struct pair;

struct side {
	int fd; /* -1: there is none */
	uint32_t events;
	struct pair *pair;
	/* What this side did not take at once; its peer is not read meanwhile. */
	char *held;
	size_t held_from, held_to;
};

/* Never freed: an event that was under way when it was closed finds memory. */
struct pair {
	struct side client, backend;
	struct pair *next; /* in the list of those that have a backend connection and no client */
};

struct relay {
	int epoll, listener;
	uint16_t backend_port;
	struct pair *kept;
	char buffer[BUFFER];
};

static struct side *peer_of(struct side *s)
{
	return s == &s->pair->client ? &s->pair->backend : &s->pair->client;
}

static void watch(struct relay *r, struct side *s, uint32_t events)
{
	if (events == s->events)
		return;
	epoll_watch(r->epoll, EPOLL_CTL_MOD, s->fd, events, s);
	s->events = events;
}

static void side_open(struct relay *r, struct side *s, struct pair *p, int fd)
{
	s->fd = fd;
	s->pair = p;
	s->events = EPOLLIN;
	epoll_watch(r->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, s);
}

static void side_close(struct side *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->held);
	s->held = NULL;
}

static struct pair *pair_get(struct relay *r)
{
	struct pair *p = r->kept;
	int fd;

	if (p) {
		r->kept = p->next;
		if (p->backend.fd >= 0)
			return p;
	} else {
		p = calloc(1, sizeof(*p));
		if (!p)
			die("a connection");
	}
	fd = connect_to(r->backend_port);
	if (fd < 0)
		die("the backend");
	side_open(r, &p->backend, p, fd);
	p->client.fd = -1;
	return p;
}

static void on_client(struct relay *r)
{
	int fd = accept_from(r->listener);
	struct pair *p;

	if (fd < 0)
		return;
	p = pair_get(r);
	side_open(r, &p->client, p, fd);
}

/* One side has ended. Between two messages, as all is here when a client closes, the backend's
 * connection is as good as new. */
static void end(struct relay *r, struct side *s)
{
	struct pair *p = s->pair;
	bool had_client = p->client.fd >= 0;

	if (s == &p->backend || p->client.held || p->backend.held)
		side_close(&p->backend);
	side_close(&p->client);
	if (had_client) {
		p->next = r->kept;
		r->kept = p;
	}
}

static void hold(struct relay *r, struct side *s, const char *rest, size_t len)
{
	s->held = malloc(len);
	if (!s->held)
		die("held bytes");
	memcpy(s->held, rest, len);
	s->held_from = 0;
	s->held_to = len;
	watch(r, s, EPOLLOUT);
	watch(r, peer_of(s), 0);
}

static void on_readable(struct relay *r, struct side *s)
{
	ssize_t n = recv(s->fd, r->buffer, sizeof(r->buffer), 0), sent;
	struct side *to = peer_of(s);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || to->fd < 0) {
		end(r, s);
		return;
	}
	sent = send(to->fd, r->buffer, (size_t)n, MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN)
		sent = 0;
	if (sent < 0)
		end(r, to);
	else if (sent < n)
		hold(r, to, r->buffer + sent, (size_t)(n - sent));
}

static void on_writable(struct relay *r, struct side *s)
{
	ssize_t n = send(s->fd, s->held + s->held_from, s->held_to - s->held_from, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN)
			end(r, s);
		return;
	}
	s->held_from += (size_t)n;
	if (s->held_from < s->held_to)
		return;
	free(s->held);
	s->held = NULL;
	watch(r, s, EPOLLIN);
	watch(r, peer_of(s), peer_of(s)->held ? EPOLLOUT : EPOLLIN);
}

static void on_event(struct relay *r, struct side *s, uint32_t events)
{
	if (!s)
		on_client(r);
	else if (s->fd < 0)
		return; /* closed by an event before this one */
	else if (s->held)
		on_writable(r, s);
	else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_readable(r, s);
}

int main(int argc, char **argv)
{
	static struct relay r;
	struct epoll_event events[EVENTS];

	if (argc != 3) {
		fprintf(stderr, "usage: relay PORT BACKEND_PORT\n");
		return 2;
	}
	r.listener = listen_at(port_of(argv[1]));
	r.backend_port = port_of(argv[2]);
	r.epoll = epoll_open();
	epoll_watch(r.epoll, EPOLL_CTL_ADD, r.listener, EPOLLIN, NULL);
	for (;;) {
		int count = epoll_wait(r.epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++)
			on_event(&r, events[i].data.ptr, events[i].events);
	}
}
