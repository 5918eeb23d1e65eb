/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets on the loop: see sock.h. */
#include "l7/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct sock *s = poll->data;

	if (status < 0) {
		/* libuv has stopped the handle. What was received may still be read, the error
		 * comes after it: ask anew, then let a read or write find it. */
		int watched = s->watched;

		s->watched = 0;
		(void)sock_watch(s, watched); /* a failure ends in the owner's time-out */
		events = watched;
	}
	s->on_event(s, events);
}

int sock_open(struct sock *s, uv_loop_t *loop, int fd, sock_event_cb on_event)
{
	int err;

	s->fd = fd;
	s->watched = 0;
	s->on_event = on_event;
	err = uv_poll_init(loop, &s->poll, fd);
	s->poll.data = s;
	if (err < 0)
		close(fd);
	return err;
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

int sock_watch(struct sock *s, int events)
{
	int err;

	if (events == s->watched)
		return 0;
	err = events ? uv_poll_start(&s->poll, events, on_poll) : uv_poll_stop(&s->poll);
	if (err == 0)
		s->watched = events;
	return err;
}

ssize_t sock_read(struct sock *s, void *data, size_t len)
{
	ssize_t n;

	do
		n = recv(s->fd, data, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sock_write(struct sock *s, const struct iovec *iov, size_t count)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
	ssize_t n;

	do
		n = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			       : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
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

static void on_handle_closed(uv_handle_t *handle)
{
	struct sock *s = handle->data;

	s->on_closed(s);
}

void sock_close(struct sock *s, sock_closed_cb cb)
{
	s->on_closed = cb;
	uv_close((uv_handle_t *)&s->poll, on_handle_closed);
	close(s->fd); /* after libuv has taken it out of its set */
	s->fd = -1;
}
