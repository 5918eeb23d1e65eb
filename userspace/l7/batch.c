/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls of many sockets in one: see batch.h. */
#include "l7/batch.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/log.h"
#include "l7/sock.h"

#define SPARE_MAX (2 * BATCH_CALLS)

/* 0, or -errno. */
static int open_ring(struct io_uring *ring)
{
	struct io_uring_probe *probe;
	bool has_all;
	int err = io_uring_queue_init(BATCH_CALLS, ring, 0);

	if (err < 0)
		return err;
	probe = io_uring_get_probe_ring(ring);
	has_all = probe && io_uring_opcode_supported(probe, IORING_OP_SEND) &&
		  io_uring_opcode_supported(probe, IORING_OP_RECV);
	io_uring_free_probe(probe);
	if (has_all)
		return 0;
	io_uring_queue_exit(ring);
	return -EOPNOTSUPP;
}

static void close_ring(struct batch *b)
{
	if (b->ring)
		io_uring_queue_exit(b->ring);
	free(b->ring);
	b->ring = NULL;
}

void batch_init(struct batch *b, bool is_wanted)
{
	struct io_uring *ring = is_wanted ? calloc(1, sizeof(*ring)) : NULL;

	*b = (struct batch){0};
	list_init(&b->late);
	list_init(&b->done);
	list_init(&b->ahead);
	list_init(&b->left);
	list_init(&b->ready);
	list_init(&b->spare);
	if (is_wanted)
		b->problem = ring ? open_ring(ring) : -ENOMEM;
	if (b->problem == 0)
		b->ring = ring;
	else
		free(ring);
}

struct sock_call *batch_pop(struct list *calls)
{
	struct sock_call *call;

	if (list_empty(calls))
		return NULL;
	call = list_entry(calls->next, struct sock_call, node);
	list_unlink(&call->node);
	return call;
}

void batch_deinit(struct batch *b)
{
	struct sock_call *call;

	while ((call = batch_pop(&b->spare)))
		free(call);
	close_ring(b);
}

static struct sock_call *new_call(struct batch *b, struct sock *s, uint32_t len)
{
	struct sock_call *call = batch_pop(&b->spare);

	if (call) {
		b->spare_count--;
	} else {
		call = malloc(sizeof(*call));
		if (!call)
			return NULL;
		list_init(&call->node);
	}
	call->sock = s;
	call->is_done = call->is_left = false;
	call->len = len;
	call->taken = 0;
	return call;
}

void batch_free_call(struct batch *b, struct sock_call *call)
{
	list_unlink(&call->node);
	if (b->spare_count == SPARE_MAX) {
		free(call);
		return;
	}
	list_push(&b->spare, &call->node);
	b->spare_count++;
}

/* The kernel takes none any more. Those that were taken are done. */
static void give_up(struct batch *b, int err)
{
	log_error("l7: io_uring failed, sockets are read and written one by one reason=\"%s\"",
		  strerror(-err));
	close_ring(b);
	b->problem = err;
}

static unsigned reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(ring, head, cqe)
	{
		struct sock_call *call = io_uring_cqe_get_data(cqe);

		call->result = cqe->res;
		call->is_done = true;
		n++;
	}
	io_uring_cq_advance(ring, n);
	return n;
}

/* count calls were put into the ring. */
static void submit(struct batch *b, unsigned count)
{
	unsigned done = 0;
	int n;

	b->calls += count;
	do {
		n = io_uring_submit_and_wait(b->ring, count - done);
		done += reap(b->ring);
	} while (done < count && (n >= 0 || n == -EINTR));
	if (done < count)
		give_up(b, n);
}

void batch_read(struct batch *b, struct sock *const *socks, unsigned count)
{
	struct sock_call *calls[BATCH_CALLS];
	unsigned n = 0;

	while (n < count) { /* without memory for it, its owner reads itself */
		struct sock_call *call = new_call(b, socks[n], BATCH_BYTES);
		struct io_uring_sqe *sqe;

		if (!call)
			break;
		sqe = io_uring_get_sqe(b->ring);
		io_uring_prep_recv(sqe, socks[n]->fd, call->data, call->len, MSG_DONTWAIT);
		io_uring_sqe_set_data(sqe, call);
		calls[n++] = call;
	}
	submit(b, n);
	for (unsigned i = 0; i < n; i++) {
		struct sock_call *call = calls[i];

		if (call->is_done && call->result != -EAGAIN && call->result != -EINTR) {
			call->sock->ahead = call;
			list_append(&b->ahead, &call->node);
		} else {
			batch_free_call(b, call);
		}
	}
}

bool batch_put_write(struct batch *b, struct sock *s, const struct iovec *iov, size_t count,
		     size_t len)
{
	struct sock_call *call = new_call(b, s, (uint32_t)len);
	char *at;

	if (!call)
		return false;
	at = call->data;
	for (size_t i = 0; i < count; i++) {
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	list_append(&b->late, &call->node);
	s->late = call;
	return true;
}

/* Up to BATCH_CALLS of late, for which the ring has room. */
static void write_some(struct batch *b)
{
	struct sock_call *call;
	unsigned n = 0;

	while (n < BATCH_CALLS && (call = batch_pop(&b->late))) {
		struct io_uring_sqe *sqe;

		list_append(&b->done, &call->node);
		if (call->is_done) /* by sock_settle() */
			continue;
		sqe = io_uring_get_sqe(b->ring);
		io_uring_prep_send(sqe, call->sock->fd, call->data, call->len,
				   MSG_NOSIGNAL | MSG_DONTWAIT);
		io_uring_sqe_set_data(sqe, call);
		n++;
	}
	submit(b, n);
}

void batch_write(struct batch *b)
{
	struct sock_call *call;

	while (b->ring && !list_empty(&b->late) && b->late.next != b->late.prev)
		write_some(b);
	while ((call = batch_pop(&b->late)))
		list_append(&b->done, &call->node);
	list_for_each (it, &b->done)
		(void)sock_settle(list_entry(it, struct sock_call, node)->sock);
}

void batch_wake(struct batch *b, struct sock_call *call)
{
	if (!call->is_left)
		return;
	list_unlink(&call->node);
	list_append(&b->ready, &call->node);
}
