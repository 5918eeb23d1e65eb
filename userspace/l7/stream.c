/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections with buffers: see stream.h. */
#include "l7/stream.h"

#include <errno.h>
#include <unistd.h>

#include "conf/runtime.h"
#include "core/list.h"
#include "l7/l7_int.h"
#include "l7/tls.h"

/* So many smaller reads after one that filled a small chunk until small ones will do again. */
#define BULK_READS 8

int stream_open(struct stream *st, struct l7 *l7, int fd, sock_event_cb on_event,
		deadline_cb on_deadline)
{
	int err = deadline_init(&st->deadline, &l7->deadlines, on_deadline);

	if (err < 0) {
		close(fd);
		return err;
	}
	sock_open(&st->sock, l7->env.poller, fd, on_event);
	st->sock.is_batched = true;
	st->carrier = NULL;
	st->in = st->out = (struct buf){0};
	st->pool = &l7->pool;
	st->pipe = NULL;
	st->pipes = &l7->pipes;
	st->tls = NULL;
	st->is_closing = false;
	st->bulk = 0;
	st->is_eof = st->is_blocked = st->is_parting = false;
	return 0;
}

int stream_open_carried(struct stream *st, struct deadlines *deadlines, struct buf_pool *pool,
			const struct carrier *by, void *carried, deadline_cb on_deadline)
{
	*st = (struct stream){.carrier = by, .carried = carried, .pool = pool};
	return deadlines ? deadline_init(&st->deadline, deadlines, on_deadline) : 0;
}

/* Half a buffer must be free before bytes are moved to its front to make room. */
bool stream_has_room(const struct stream *st)
{
	return !st->pipe && (buf_room(&st->in) || buf_len(&st->in) <= st->in.cap / 2);
}

void stream_note_bulk(struct stream *st, size_t n)
{
	if (n >= BUF_SMALL)
		st->bulk = BULK_READS;
	else if (st->bulk)
		st->bulk--;
}

static ssize_t receive(struct stream *st, void *data, size_t room, bool *ret_more)
{
	ssize_t n;

	if (st->tls)
		return tls_read(st->tls, data, room, ret_more);
	n = sock_read(&st->sock, data, room);
	*ret_more = n > 0 && (size_t)n == room;
	return n;
}

ssize_t stream_read(struct stream *st, bool *ret_more)
{
	size_t room;
	ssize_t n;

	*ret_more = false;
	if (st->carrier)
		return st->carrier->read(st, ret_more);
	if (st->pipe)
		return -ENOBUFS;
	if (!st->in.data) {
		int err = buf_reserve(st->pool, &st->in, st->bulk ? BUF_LARGE : BUF_SMALL);

		if (err < 0)
			return err;
	}
	if (!stream_has_room(st))
		return -ENOBUFS;
	if (!buf_room(&st->in)) /* moves within the buffer: cannot fail */
		(void)buf_reserve(st->pool, &st->in, st->in.cap - buf_len(&st->in));
	room = buf_room(&st->in);
	n = receive(st, st->in.data + st->in.end, room, ret_more);
	if (n > 0) {
		st->in.end += (uint32_t)n;
		counter_add(st->bytes_in, (uint64_t)n);
		stream_note_bulk(st, *ret_more ? BUF_SMALL : (size_t)n);
		return n;
	}
	if (n == 0)
		st->is_eof = true;
	if (!buf_len(&st->in))
		buf_release(st->pool, &st->in);
	return n;
}

/* Of n bytes written, those that belong to a piece of len. */
static size_t share(size_t *n, size_t len)
{
	size_t mine = *n < len ? *n : len;

	*n -= mine;
	return mine;
}

static int keep(struct stream *st, struct slice s, size_t *written)
{
	size_t n = share(written, s.len);

	return buf_append(st->pool, &st->out, s.ptr + n, s.len - n);
}

/* Behind the pieces before it, of which the last one may end where this begins. */
static void put_iov(struct iovec *iov, size_t *count, const char *ptr, size_t len)
{
	struct iovec *last = *count ? &iov[*count - 1] : NULL;

	if (!len)
		return;
	if (last && (char *)last->iov_base + last->iov_len == ptr)
		last->iov_len += len;
	else
		iov[(*count)++] = (struct iovec){(void *)(uintptr_t)ptr, len};
}

ssize_t stream_write(struct stream *st, const struct pieces *p)
{
	struct iovec iov[SOCK_PIECES];
	size_t count = 0, before = buf_len(&st->out), n = 0, taken;
	size_t whole = before + p->head.len + p->frame.len + p->body.len + p->tail.len;
	int err;

	if (st->carrier)
		return st->carrier->write(st, p);
	put_iov(iov, &count, buf_head(&st->out), before);
	put_iov(iov, &count, p->head.ptr, p->head.len);
	put_iov(iov, &count, p->frame.ptr, p->frame.len);
	put_iov(iov, &count, p->body.ptr, p->body.len);
	put_iov(iov, &count, p->tail.ptr, p->tail.len);
	st->is_parting = p->is_parting;
	if (count || st->tls) {
		ssize_t r = st->tls ? tls_write(st->tls, iov, count)
				    : sock_write(&st->sock, iov, count, st->is_parting);

		if (r < 0 && r != -EAGAIN)
			return r;
		n = r < 0 ? 0 : (size_t)r;
		counter_add(st->bytes_out, n);
	}
	st->is_blocked = n < whole || (st->tls && tls_is_blocked(st->tls));
	if (before)
		buf_consume(st->pool, &st->out, share(&n, before));
	err = keep(st, p->head, &n);
	if (err == 0)
		err = keep(st, p->frame, &n);
	taken = share(&n, p->body.len);
	if (err == 0 && taken == p->body.len)
		err = keep(st, p->tail, &n);
	return err < 0 ? err : (ssize_t)taken;
}

int stream_watch(struct stream *st)
{
	int events = st->is_blocked ? SOCK_WRITE : 0;

	if (st->carrier)
		return st->carrier->watch(st);
	if (!st->is_eof && stream_has_room(st))
		events |= SOCK_READ;
	if (st->tls) {
		if (!st->is_blocked) /* no write of ours will be tried again */
			tls_flush(st->tls);
		if (tls_is_blocked(st->tls))
			events |= SOCK_WRITE;
		if (events & SOCK_READ && tls_has_pending(st->tls))
			tls_wake(st->tls);
	}
	return sock_watch(&st->sock, events);
}

bool stream_is_quiet(struct stream *st)
{
	bool more;

	return st->tls ? stream_read(st, &more) == -EAGAIN : sock_is_quiet(&st->sock);
}

void stream_forget(struct stream *st)
{
	st->is_blocked = false;
	buf_release(st->pool, &st->out);
}

void stream_end(struct stream *st)
{
	if (st->carrier) {
		st->carrier->end(st);
	} else if (st->tls) {
		st->is_parting |= st->is_eof; /* nothing unread that makes closing a reset */
		tls_end(st->tls);
		st->is_blocked |= tls_is_blocked(st->tls);
	}
}

int stream_shutdown(struct stream *st)
{
	st->is_parting = true;
	stream_end(st);
	if (st->is_blocked)
		return -EAGAIN;
	if (!st->carrier)
		sock_shutdown(&st->sock);
	return 0;
}

void stream_close(struct stream *st, sock_closed_cb cb)
{
	if (st->is_closing)
		return;
	st->is_closing = true;
	/* What TLS says behind a write that waits would go with its buffer. If it has to wait in its
	 * turn, sock_close() makes it. */
	if (st->tls && sock_settle(&st->sock))
		tls_flush(st->tls);
	tls_free(st->tls);
	st->tls = NULL;
	splice_drop(st);
	buf_release(st->pool, &st->in);
	buf_release(st->pool, &st->out);
	deadline_close(&st->deadline);
	sock_close(&st->sock, cb);
}
