/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets of a poller: see sock.h. */
#include "l7/sock.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "l7/batch.h"
#include "l7/poller.h"

/* Bytes that are put together for one send(), which is cheaper than what sendmsg() does for pieces. */
#define JOINED_MAX 1024

void sock_open(struct sock *s, struct poller *poller, int fd, sock_event_cb on_event)
{
	*s = (struct sock){.poller = poller, .fd = fd, .on_event = on_event};
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

static struct batch *batch_of(const struct sock *s)
{
	return &s->poller->batch;
}

/* Is there a write that sock_dispatch_write() comes for? */
static bool is_to_be_told(const struct sock *s)
{
	return s->late && !list_empty(&s->late->node);
}

int sock_watch(struct sock *s, int events)
{
	int asked, err;

	if (s->fd < 0)
		return -EBADF;
	/* A write that waits will be told of anyway. */
	asked = is_to_be_told(s) ? events & ~SOCK_WRITE : events;
	err = asked & ~s->told ? tell(s, asked) : 0;
	if (err == 0)
		s->watched = (uint8_t)events;
	if (s->ahead && events & SOCK_READ)
		batch_wake(batch_of(s), s->ahead);
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

bool sock_may_read_ahead(const struct sock *s, uint32_t happened)
{
	return happened == EPOLLIN && s->fd >= 0 && s->is_batched && !s->is_bulk && !s->ahead &&
	       s->watched & SOCK_READ;
}

void sock_dispatch_read(struct sock *s)
{
	if (s->watched & SOCK_READ)
		s->on_event(s, SOCK_READ);
}

void sock_dispatch_write(struct sock *s)
{
	if (s->watched & SOCK_WRITE)
		s->on_event(s, SOCK_WRITE);
	/* The kernel was not told of what was asked for meanwhile. */
	if (s->fd >= 0 && !is_to_be_told(s) && s->watched & ~s->told)
		(void)tell(s, s->watched); /* a failure ends in the owner's time-out */
}

static ssize_t read_now(struct sock *s, void *data, size_t len)
{
	ssize_t n;

	do
		n = recv(s->fd, data, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* What was read ahead, and what else there is of a read that was too large for that. */
static ssize_t take_ahead(struct sock *s, char *data, size_t len)
{
	struct sock_call *call = s->ahead;
	size_t left = call->result > 0 ? (size_t)call->result - call->taken : 0;
	size_t n = left < len ? left : len;
	int result = call->result;

	memcpy(data, call->data + call->taken, n);
	call->taken += (uint32_t)n;
	if (n < left)
		return (ssize_t)n;
	if (result > 0)
		s->is_bulk = result == BATCH_BYTES;
	if (result == BATCH_BYTES && n < len) {
		ssize_t more = read_now(s, data + n, len - n);

		if (more > 0) {
			n += (size_t)more;
		} else if (more < 0 && more != -EAGAIN) {
			call->result = (int)more; /* told of once: it is the next read's */
			return (ssize_t)n;
		}
	}
	batch_free_call(batch_of(s), call);
	s->ahead = NULL;
	return result < 0 ? result : (ssize_t)n;
}

ssize_t sock_read(struct sock *s, void *data, size_t len)
{
	ssize_t n;

	if (s->fd < 0)
		return -EBADF;
	if (s->ahead)
		return take_ahead(s, data, len);
	n = read_now(s, data, len);
	if (n >= 0)
		s->is_bulk = n >= BATCH_BYTES;
	return n;
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

bool sock_settle(struct sock *s)
{
	struct sock_call *call = s->fd >= 0 ? s->late : NULL;

	if (call && (!call->is_done || call->result == -EINTR)) {
		call->result = (int)write_one(s, call->data, call->len, MSG_NOSIGNAL);
		call->is_done = true;
	}
	return call != NULL;
}

/* Of bytes that are said again, does n of them begin with those of data? */
static bool begins_with(const struct iovec *iov, size_t count, const char *data, size_t n)
{
	for (size_t i = 0; i < count && n; i++) {
		size_t len = iov[i].iov_len < n ? iov[i].iov_len : n;

		if (memcmp(iov[i].iov_base, data, len))
			return false;
		data += len;
		n -= len;
	}
	return n == 0;
}

/* *ret_whole: and nothing of it is left. */
static ssize_t take_late(struct sock *s, const struct iovec *iov, size_t count, bool *ret_whole)
{
	struct sock_call *call = s->late;
	ssize_t n = call->result;

	if (!call->is_done)
		return -EAGAIN;
	if (n > 0 && !begins_with(iov, count, call->data, (size_t)n))
		n = -EPROTO; /* it broke its word, and what the peer has cannot be taken back */
	*ret_whole = n == (ssize_t)call->len;
	s->late = NULL;
	batch_free_call(batch_of(s), call);
	return n;
}

/* Will it be written with what others have to say? */
static bool put_off(struct sock *s, const struct iovec *iov, size_t count, size_t len)
{
	struct batch *b = batch_of(s);

	return s->is_batched && b->is_collecting && len <= BATCH_BYTES &&
	       batch_put_write(b, s, iov, count, len);
}

static ssize_t write_all(struct sock *s, const struct iovec *iov, size_t count, bool is_parting)
{
	char joined[JOINED_MAX];
	size_t len = 0;
	int flags = MSG_NOSIGNAL | (is_parting ? MSG_MORE : 0);

	for (size_t i = 0; i < count; i++)
		len += iov[i].iov_len;
	if (!is_parting && put_off(s, iov, count, len))
		return -EAGAIN;
	if (count == 1)
		return write_one(s, iov->iov_base, iov->iov_len, flags);
	if (len > sizeof(joined))
		return write_many(s, iov, count, flags);
	len = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(joined + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return write_one(s, joined, len, flags);
}

/* What is said behind n bytes that were written with others. Bytes of both. */
static ssize_t write_rest(struct sock *s, const struct iovec *iov, size_t count, size_t n,
			  bool is_parting)
{
	struct iovec rest[SOCK_PIECES];
	size_t skip = n, left = 0;
	ssize_t more;

	for (size_t i = 0; i < count; i++) {
		size_t done = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		skip -= done;
		if (done < iov[i].iov_len)
			rest[left++] = (struct iovec){(char *)iov[i].iov_base + done,
						      iov[i].iov_len - done};
	}
	more = left ? write_all(s, rest, left, is_parting) : 0;
	return more < 0 ? (ssize_t)n : (ssize_t)n + more; /* who failed to write fails again */
}

ssize_t sock_write(struct sock *s, const struct iovec *iov, size_t count, bool is_parting)
{
	bool is_whole;
	ssize_t n;

	assert(count <= SOCK_PIECES);
	if (s->fd < 0)
		return -EBADF;
	if (!s->late)
		return write_all(s, iov, count, is_parting);
	n = take_late(s, iov, count, &is_whole);
	return n > 0 && is_whole ? write_rest(s, iov, count, (size_t)n, is_parting) : n;
}

bool sock_is_quiet(struct sock *s)
{
	char byte;

	return !sock_has_read(s) && recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN;
}

void sock_shutdown(struct sock *s)
{
	(void)sock_settle(s);
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
	if (sock_settle(s))
		batch_free_call(batch_of(s), s->late);
	if (s->ahead)
		batch_free_call(batch_of(s), s->ahead);
	list_init(&s->node);
	/* The kernel takes it out of the set, unless something else refers to it. */
	if (atomic_load_explicit(&may_be_shared, memory_order_relaxed))
		sock_forget(s);
	close(s->fd);
	s->fd = -1;
	list_append(&s->poller->closed, &s->node);
}
