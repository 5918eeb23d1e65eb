/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets of a poller: see sock.h. */
#include "l7/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "l7/poller.h"

/* Bytes that are put together for one send(), which is cheaper than what sendmsg() does for pieces. */
#define JOINED_MAX 1024

void sock_open(struct sock *s, struct poller *poller, int fd, sock_event_cb on_event)
{
	*s = (struct sock){.poller = poller, .fd = fd, .on_event = on_event};
	list_init(&s->node);
	poller->socks++;
}

int sock_connect(const struct endpoint *ep, int *ret_fd)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1, err;
	int fd = socket(ep->addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	endpoint_to_sockaddr(ep, &ss, &len);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int sock_error(struct sock *s)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

static _Atomic bool may_be_shared; /* sock_expect_children() */

static int tell(struct sock *s, int events)
{
	struct epoll_event ev = {.data.ptr = s};
	int op = !s->told ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	ev.events = (events & SOCK_READ ? EPOLLIN : 0) | (events & SOCK_WRITE ? EPOLLOUT : 0);
	if (epoll_ctl(s->poller->epoll, op, s->fd, &ev) < 0)
		return -errno;
	s->told = (uint8_t)events;
	return 0;
}

int sock_watch(struct sock *s, int events)
{
	int err = events & ~s->told ? tell(s, events) : 0;

	if (err == 0)
		s->watched = (uint8_t)events;
	return err;
}

void sock_dispatch(struct sock *s, uint32_t happened)
{
	int events = (happened & EPOLLIN ? SOCK_READ : 0) | (happened & EPOLLOUT ? SOCK_WRITE : 0);

	if (s->fd < 0) /* closed by what happened to another one just now */
		return;
	/* What was received may still be read, the error comes after it. */
	if (happened & (EPOLLERR | EPOLLHUP))
		events = s->told;
	if (events & ~s->watched)
		(void)tell(s, s->watched); /* a failure ends in the owner's time-out */
	events &= s->watched;
	if (events)
		s->on_event(s, events);
}

ssize_t sock_read(struct sock *s, void *data, size_t len)
{
	ssize_t n;

	do
		n = recv(s->fd, data, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t write_one(struct sock *s, const void *data, size_t len, int flags)
{
	ssize_t n;

	do
		n = send(s->fd, data, len, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t write_many(struct sock *s, const struct iovec *iov, size_t count, int flags)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
	ssize_t n;

	do
		n = sendmsg(s->fd, &msg, flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sock_write(struct sock *s, const struct iovec *iov, size_t count, bool is_parting)
{
	char joined[JOINED_MAX];
	size_t len = 0;
	int flags = MSG_NOSIGNAL | (is_parting ? MSG_MORE : 0);

	if (count == 1)
		return write_one(s, iov->iov_base, iov->iov_len, flags);
	for (size_t i = 0; i < count; i++)
		len += iov[i].iov_len;
	if (len > sizeof(joined))
		return write_many(s, iov, count, flags);
	len = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(joined + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return write_one(s, joined, len, flags);
}

bool sock_is_quiet(struct sock *s)
{
	char byte;

	return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void sock_shutdown(struct sock *s)
{
	(void)shutdown(s->fd, SHUT_WR); /* fails where the peer is gone: nothing to tell it */
}

void sock_reset(struct sock *s)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	/* Fails for no open socket; then the peer sees an ordinary end. */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void sock_expect_children(void)
{
	atomic_store(&may_be_shared, true);
}

void sock_forget(struct sock *s)
{
	if (s->told)
		(void)tell(s, 0); /* fails only for one that is not in the set */
}

void sock_close(struct sock *s, sock_closed_cb cb)
{
	s->on_closed = cb;
	/* The kernel takes it out of the set, unless something else refers to it. */
	if (atomic_load_explicit(&may_be_shared, memory_order_relaxed))
		sock_forget(s);
	close(s->fd);
	s->fd = -1;
	list_append(&s->poller->closed, &s->node);
}
