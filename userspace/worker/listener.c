/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets: see listener.h. */
#include "worker/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define PAUSE_MS	 100

static int set_option(int fd, int level, int name)
{
	int one = 1;

	return setsockopt(fd, level, name, &one, sizeof(one)) < 0 ? -errno : 0;
}

static bool is_any(const struct endpoint *ep)
{
	static const struct addr any;

	return !memcmp(ep->addr.bytes, any.bytes, sizeof(any.bytes));
}

static int set_options(int fd, const struct endpoint *ep, bool shared)
{
	bool v6 = ep->addr.family == AF_INET6;
	int err = set_option(fd, SOL_SOCKET, SO_REUSEADDR);

	if (err == 0 && shared)
		err = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	/* A service address may come to this host only later. */
	if (err == 0)
		err = set_option(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				 v6 ? IPV6_FREEBIND : IP_FREEBIND);
	if (err == 0 && v6)
		err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	/* Accepted sockets inherit it: one system call less for each. */
	if (err == 0)
		err = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
	return err;
}

/* A bound socket. shared: with others that say so too. */
static int bind_at(const struct endpoint *ep, bool shared, int *ret_fd)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(ep->addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : set_options(fd, ep, shared);

	endpoint_to_sockaddr(ep, &ss, &len);
	if (err == 0 && bind(fd, (struct sockaddr *)&ss, len) < 0)
		err = -errno;
	if (err == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return err;
}

int listener_probe(const struct endpoint *ep)
{
	int fd, err = bind_at(ep, false, &fd);

	if (err == 0)
		close(fd);
	return err;
}

bool listener_overlaps(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && a->addr.family == b->addr.family &&
	       (is_any(a) || is_any(b) || !endpoint_cmp(a, b));
}

int listener_new(const struct endpoint *ep, struct listener **ret_listener)
{
	struct listener *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->ep = *ep;
	l->fd = -1;
	l->is_any = is_any(ep);
	list_init(&l->node);
	err = bind_at(ep, true, &l->fd);
	if (err == 0 && listen(l->fd, SOMAXCONN) < 0)
		err = -errno;
	if (err < 0) {
		listener_free(l);
		return err;
	}
	*ret_listener = l;
	return 0;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

static void deliver(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct endpoint peer, local = l->ep;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (endpoint_from_sockaddr((const struct sockaddr *)from, &peer) < 0) {
		close(fd);
		return;
	}
	if (l->is_any && getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		(void)endpoint_from_sockaddr((struct sockaddr *)&ss, &local); /* same family */
	l->events.on_accept(l, fd, &peer, &local);
}

/* Errors of one connection, which is gone; the next one may be good (accept(2)). */
static bool is_passing(int err)
{
	return err == EINTR || err == ECONNABORTED || err == EPROTO || err == EPERM ||
	       err == ENETDOWN || err == ENETUNREACH || err == EHOSTDOWN || err == EHOSTUNREACH ||
	       err == ENONET || err == ENOPROTOOPT || err == EOPNOTSUPP;
}

/* At most count connections. 0, or -errno: why there are no more now. */
static int accept_some(struct listener *l, int count)
{
	while (count-- > 0) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int fd = accept4(l->fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			deliver(l, fd, &from);
		else if (!is_passing(errno))
			return -errno;
	}
	return 0;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
	struct listener *l = timer->data;

	/* Fails only for a closing handle or a bad descriptor. */
	(void)uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

/* The queue stays as it is: to ask again at once would only spin. */
static void pause_accept(struct listener *l, int err)
{
	char text[ENDPOINT_STRLEN];
	unsigned held;

	l->events.on_fail(l);
	if (log_limit_ok(&l->limit, &held))
		log_warning("worker: cannot accept, pausing address=%s error=\"%s\" held-back=%u",
			    endpoint_format(&l->ep, text, sizeof(text)), strerror(-err), held);
	(void)uv_poll_stop(&l->poll);
	(void)uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	int err = accept_some(l, ACCEPTS_PER_TURN);

	(void)events;
	if (status < 0 && err == 0) /* libuv stopped it: begin again soon */
		err = status;
	if (err < 0 && err != -EAGAIN)
		pause_accept(l, err);
}

int listener_start(struct listener *l, uv_loop_t *loop, const struct listener_events *events)
{
	int err = uv_poll_init(loop, &l->poll, l->fd);

	if (err < 0)
		return err;
	(void)uv_timer_init(loop, &l->pause); /* always 0 */
	l->poll.data = l->pause.data = l;
	l->events = *events;
	l->open_handles = 2;
	/* Fails only for a closing handle or a bad descriptor. */
	(void)uv_poll_start(&l->poll, UV_READABLE, on_readable);
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	if (--l->open_handles)
		return;
	free(l);
}

void listener_close(struct listener *l)
{
	/* Whoever is in the queue would see a reset. More than this nobody can have there. */
	(void)accept_some(l, SOMAXCONN);
	uv_close((uv_handle_t *)&l->poll, on_handle_closed);
	uv_close((uv_handle_t *)&l->pause, on_handle_closed);
	close(l->fd);
	l->fd = -1;
}
