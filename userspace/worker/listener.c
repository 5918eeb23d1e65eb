/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets: see listener.h. */
#include "worker/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "l7/poller.h"

#define ACCEPTS_PER_TURN 64
#define PAUSE_MS	 100

static int set_option(int fd, int level, int name)
{
	int one = 1;

	return setsockopt(fd, level, name, &one, sizeof(one)) < 0 ? -errno : 0;
}

/*
 * Where detached sockets are bound: addresses that nothing is sent to, set aside as the source of
 * messages (192.0.0.8, RFC 7600) and for packets that are to be discarded (100::/64, RFC 6666). The
 * port is the kernel's choice.
 */
static int detached_place(int family, struct endpoint *ret_ep)
{
	return endpoint_parse(family == AF_INET ? "192.0.0.8" : "100::1", ret_ep);
}

enum sharing { ALONE, SHARED, DETACHED };

static int set_options(int fd, const struct endpoint *ep, enum sharing sharing)
{
	bool v6 = ep->addr.family == AF_INET6;
	int err = 0;

	if (sharing != DETACHED) /* else the kernel might choose one port twice */
		err = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
	if (err == 0 && sharing == SHARED)
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

/* A bound socket. SHARED: with others that say so too. */
static int bind_at(const struct endpoint *ep, enum sharing sharing, int *ret_fd)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(ep->addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : set_options(fd, ep, sharing);

	endpoint_to_sockaddr(ep, &ss, &len);
	if (err == 0 && bind(fd, (struct sockaddr *)&ss, len) < 0)
		err = -errno;
	/* Its connections inherit it: they must not be in the way of who binds their address later. */
	if (err == 0 && sharing == DETACHED)
		err = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
	if (err == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return err;
}

int listener_probe(const struct endpoint *ep)
{
	int fd, err = bind_at(ep, ALONE, &fd);

	if (err == 0)
		close(fd);
	return err;
}

bool listener_overlaps(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && a->addr.family == b->addr.family &&
	       (addr_is_unspecified(&a->addr) || addr_is_unspecified(&b->addr) ||
		!endpoint_cmp(a, b));
}

struct listener_group listener_group_of(const struct service *s, const struct listen *l)
{
	struct listener_group g = {.is_detached = !listen_is_exact(l)};

	listen_group(s, l, g.name);
	if (g.is_detached)
		g.ep.addr.family = l->ep.addr.family;
	else
		g.ep = l->ep;
	return g;
}

static int bind_group(const struct listener_group *group, int *ret_fd)
{
	struct endpoint place;
	int err;

	if (!group->is_detached)
		return bind_at(&group->ep, SHARED, ret_fd);
	err = detached_place(group->ep.addr.family, &place);
	return err < 0 ? err : bind_at(&place, DETACHED, ret_fd);
}

static struct listener *alloc(const struct listener_group *group, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->group = *group;
	l->fd = fd;
	l->batch = 1;
	l->asks_local = group->is_detached || addr_is_unspecified(&group->ep.addr);
	list_init(&l->node);
	return l;
}

int listener_adopt(const struct listener_group *group, int fd, struct listener **ret_listener)
{
	*ret_listener = alloc(group, fd);
	if (*ret_listener)
		return 0;
	close(fd);
	return -ENOMEM;
}

int listener_new(const struct listener_group *group, struct listener **ret_listener)
{
	struct listener *l = alloc(group, -1);
	int err;

	if (!l)
		return -ENOMEM;
	err = bind_group(group, &l->fd);
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
	struct endpoint peer, local = l->group.ep;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (endpoint_from_sockaddr((const struct sockaddr *)from, &peer) < 0) {
		close(fd);
		return;
	}
	if (l->asks_local && getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
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
		int fd;

		if (!l->events.may_accept(l))
			return -EBUSY;
		fd = accept4(l->sock.fd, (struct sockaddr *)&from, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			deliver(l, fd, &from);
		else if (!is_passing(errno))
			return -errno;
	}
	return 0;
}

static void on_pause_over(uv_timer_t *timer)
{
	struct listener *l = timer->data;

	if (sock_watch(&l->sock, SOCK_READ) < 0) /* no memory for it */
		(void)uv_timer_start(timer, on_pause_over, PAUSE_MS, 0);
}

/* The queue stays as it is: to ask again at once would only spin. */
static void pause_accept(struct listener *l, int err)
{
	unsigned held;

	if (err != -EBUSY)
		l->events.on_fail(l);
	if (err != -EBUSY && log_limit_ok(&l->limit, &held))
		log_warning("worker: cannot accept, pausing address=%s error=\"%s\" held-back=%u",
			    l->group.name, strerror(-err), held);
	(void)sock_watch(&l->sock, 0); /* always 0 */
	(void)uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

/*
 * To learn that there is no further connection takes a system call, and mostly there was but one. So the
 * next one is asked for in the next turn; the more turns in a row there are some, the more at once.
 */
static void on_readable(struct sock *s, int events)
{
	struct listener *l = list_entry(s, struct listener, sock);
	uint64_t now = s->poller->turns;
	int err;

	(void)events;
	if (now != l->turn + 1)
		l->batch = 1;
	else if (l->batch < ACCEPTS_PER_TURN)
		l->batch *= 2;
	l->turn = now;
	err = accept_some(l, l->batch);
	if (err == -EAGAIN)
		l->batch = 1;
	else if (err < 0)
		pause_accept(l, err);
}

int listener_start(struct listener *l, struct poller *poller, const struct listener_events *events)
{
	(void)uv_timer_init(poller->loop, &l->pause); /* always 0 */
	l->pause.data = l;
	l->events = *events;
	l->open_handles = 2;
	sock_open(&l->sock, poller, l->fd, on_readable);
	l->fd = -1;
	return sock_watch(&l->sock, SOCK_READ);
}

static void end_handle(struct listener *l)
{
	if (--l->open_handles == 0)
		free(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
	end_handle(handle->data);
}

static void on_sock_closed(struct sock *s)
{
	end_handle(list_entry(s, struct listener, sock));
}

void listener_close(struct listener *l)
{
	/* Whoever is in the queue would see a reset. More than this nobody can have there. */
	(void)accept_some(l, SOMAXCONN);
	listener_leave(l);
}

void listener_leave(struct listener *l)
{
	uv_close((uv_handle_t *)&l->pause, on_timer_closed);
	sock_forget(&l->sock);
	sock_close(&l->sock, on_sock_closed);
}
