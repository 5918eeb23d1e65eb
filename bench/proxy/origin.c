// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/proxy/origin: the backend of all proxies that are compared, an HTTP/1.1 server that does the
 * least for a request and counts it. GET alone, without bodies.
 *
 *	/bytes/N	N bytes
 *	/last/N		the same with "Connection: close"; but closing is left to the client
 *	/ws		101, whatever the request says; what comes after it is dropped
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/proxy/tool.h"

#define EVENTS	    64
#define REQUEST_MAX 4096
#define ANSWERS	    16
#define BODY_MAX    (64UL << 20)

#define SWITCHING                                                                                  \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"        \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

/* Made when it is asked for first. */
struct answer {
	char target[64];
	char *data;
	size_t len;
};

struct peer {
	int fd;
	char request[REQUEST_MAX];
	size_t len;
	const struct answer *answer; /* that is being sent */
	size_t sent;
};

struct origin {
	int epoll, listener;
	volatile uint64_t *requests;
	struct answer answers[ANSWERS];
	unsigned count;
};

static void answer_make(struct answer *a, const char *fixed, size_t body, const char *fields)
{
	char head[256];
	int len = fixed ? snprintf(head, sizeof(head), "%s", fixed)
			: snprintf(head, sizeof(head),
				   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				   "Content-Length: %zu\r\n%s\r\n",
				   body, fields);

	a->len = (size_t)len + body;
	a->data = malloc(a->len);
	if (!a->data || (size_t)len >= sizeof(head))
		die("an answer");
	memcpy(a->data, head, (size_t)len);
	memset(a->data + len, 'x', body);
}

static const struct answer *answer_for(struct origin *o, const char *target, size_t len)
{
	struct answer *a = o->answers;
	char *end;

	for (unsigned i = 0; i < o->count; i++, a++)
		if (!memcmp(a->target, target, len) && !a->target[len])
			return a;
	if (len >= sizeof(a->target) || o->count == ANSWERS) {
		errno = E2BIG;
		die("a target");
	}
	o->count++;
	memcpy(a->target, target, len);
	if (!strncmp(a->target, "/bytes/", strlen("/bytes/")))
		answer_make(a, NULL, strtoul(a->target + strlen("/bytes/"), &end, 10) % BODY_MAX,
			    "");
	else if (!strncmp(a->target, "/last/", strlen("/last/")))
		answer_make(a, NULL, strtoul(a->target + strlen("/last/"), &end, 10) % BODY_MAX,
			    "Connection: close\r\n");
	else
		answer_make(a, strcmp(a->target, "/ws") ? NOT_FOUND : SWITCHING, 0, "");
	return a;
}

static void peer_close(struct peer *p)
{
	close(p->fd);
	free(p); /* it has one event in a batch, which is this one */
}

/* -1: it is gone. */
static int send_rest(struct origin *o, struct peer *p)
{
	const struct answer *a = p->answer;
	ssize_t n = send(p->fd, a->data + p->sent, a->len - p->sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return -1;
	if (n > 0)
		p->sent += (size_t)n;
	if (p->sent < a->len) {
		epoll_watch(o->epoll, EPOLL_CTL_MOD, p->fd, EPOLLOUT, p);
		return 0;
	}
	if (p->sent != (size_t)n)
		epoll_watch(o->epoll, EPOLL_CTL_MOD, p->fd, EPOLLIN, p);
	p->answer = NULL;
	*o->requests += 1;
	return 0;
}

/* Answer what is here in full. -1: it is gone, or is not to be understood. */
static int serve(struct origin *o, struct peer *p)
{
	while (!p->answer) {
		char *end = memmem(p->request, p->len, "\r\n\r\n", 4), *target, *space;
		size_t used;

		if (!end)
			return p->len < sizeof(p->request) ? 0 : -1;
		used = (size_t)(end + 4 - p->request);
		target = memchr(p->request, ' ', used);
		space = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
		if (!space)
			return -1;
		p->answer = answer_for(o, target + 1, (size_t)(space - target - 1));
		p->sent = 0;
		memmove(p->request, p->request + used, p->len - used);
		p->len -= used;
		if (send_rest(o, p) < 0)
			return -1;
	}
	return 0;
}

static void on_readable(struct origin *o, struct peer *p)
{
	ssize_t n = recv(p->fd, p->request + p->len, sizeof(p->request) - p->len, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	p->len += n > 0 ? (size_t)n : 0;
	if (n <= 0 || serve(o, p) < 0)
		peer_close(p);
}

static void on_writable(struct origin *o, struct peer *p)
{
	if (send_rest(o, p) < 0 || serve(o, p) < 0)
		peer_close(p);
}

static void on_client(struct origin *o)
{
	int fd = accept_from(o->listener);
	struct peer *p;

	if (fd < 0)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		die("a client");
	p->fd = fd;
	epoll_watch(o->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, p);
}

int main(int argc, char **argv)
{
	static struct origin o;
	struct epoll_event events[EVENTS];

	if (argc != 3) {
		fprintf(stderr, "usage: origin PORT COUNTER\n"
				"COUNTER: a file that holds the number of requests answered\n");
		return 2;
	}
	o.requests = counter_open(argv[2]);
	o.listener = listen_at(port_of(argv[1]));
	o.epoll = epoll_open();
	epoll_watch(o.epoll, EPOLL_CTL_ADD, o.listener, EPOLLIN, NULL);
	for (;;) {
		int count = epoll_wait(o.epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++) {
			struct peer *p = events[i].data.ptr;

			if (!p)
				on_client(&o);
			else if (p->answer)
				on_writable(&o, p);
			else
				on_readable(&o, p);
		}
	}
}
