/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes through pipes: see splice.h. */
#include "l7/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/runtime.h"
#include "l7/stream.h"

#define PIPE_SIZE  (1U << 18)
#define PIPES_MAX  64U /* what slow receivers leave in them is memory of the kernel's */
#define PIPES_KEPT 4U  /* while they are not used */
#define HOW	   (SPLICE_F_NONBLOCK | SPLICE_F_MOVE)

static void destroy(struct pipes *all, struct pipe *p)
{
	close(p->fds[0]);
	close(p->fds[1]);
	free(p);
	all->count--;
}

void pipes_deinit(struct pipes *all)
{
	while (all->free) {
		struct pipe *p = all->free;

		all->free = p->next;
		destroy(all, p);
	}
}

static struct pipe *make(struct pipes *all)
{
	struct pipe *p = all->count < PIPES_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	if (pipe2(p->fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(p);
		return NULL;
	}
	/* Whom the system allows no more has a smaller one. */
	(void)fcntl(p->fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	all->count++;
	return p;
}

static struct pipe *take(struct pipes *all)
{
	struct pipe *p = all->free;

	if (!p)
		return make(all);
	all->free = p->next;
	all->free_count--;
	return p;
}

static void give_back(struct pipes *all, struct pipe *p)
{
	if (p->len || all->free_count == PIPES_KEPT) {
		destroy(all, p);
		return;
	}
	p->next = all->free;
	all->free = p;
	all->free_count++;
}

bool splice_can(const struct stream *from, const struct stream *to)
{
	return from->bulk && !from->carrier && !from->tls && !from->pipe && !buf_len(&from->in) &&
	       !sock_has_read(&from->sock) && !to->carrier && !to->tls && !to->is_blocked;
}

static ssize_t move(int from, int to, size_t len)
{
	ssize_t n;

	do
		n = splice(from, NULL, to, NULL, len, HOW);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t splice_in(struct stream *from, size_t max)
{
	struct pipe *p = take(from->pipes);
	ssize_t n;

	if (!p)
		return -ENFILE;
	n = move(from->sock.fd, p->fds[1], max < PIPE_SIZE ? max : PIPE_SIZE);
	if (n <= 0) {
		give_back(from->pipes, p);
		from->is_eof |= n == 0;
		return n;
	}
	p->len = (uint32_t)n;
	from->pipe = p;
	counter_add(from->bytes_in, (uint64_t)n);
	stream_note_bulk(from, (size_t)n);
	return n;
}

ssize_t splice_out(struct stream *from, struct stream *to)
{
	struct pipe *p = from->pipe;
	ssize_t n = move(p->fds[0], to->sock.fd, p->len);

	if (n < 0 && n != -EAGAIN)
		return n;
	if (n > 0) {
		p->len -= (uint32_t)n;
		counter_add(to->bytes_out, (uint64_t)n);
	}
	to->is_blocked = p->len > 0;
	if (!p->len)
		splice_drop(from);
	return n > 0 ? n : 0;
}

void splice_drop(struct stream *from)
{
	if (!from->pipe)
		return;
	give_back(from->pipes, from->pipe);
	from->pipe = NULL;
}
