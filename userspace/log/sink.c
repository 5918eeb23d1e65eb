/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and loggers that lines are written to: see sink.h. */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/list.h"
#include "core/log.h"
#include "core/log_socket.h"

#define BUFFER	   131072U
#define PIPE_PIECE 4096 /* that a pipe takes whole, or says beforehand that it does not */
#define PIPE_MS	   1000
#define SEVERITY   6 /* info */
#define IDENTIFIER "shuntd-access"

struct log_sink {
	struct list node; /* of sinks */
	_Atomic unsigned refs;
	enum sink_kind kind;
	char *path; /* SINK_FILE */
	/* Of the thread that writes: */
	int fd;
	bool is_doomed; /* had no reference when a round began */
	bool is_dirty;	/* in the list of those */
	bool is_file;	/* fd is of a regular file */
	struct log_limit limit;
	size_t len, lines; /* in the buffer */
	char *buffer;
	struct log_sink *next_dirty;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the two below */
static struct list sinks = {&sinks, &sinks};
static void (*attendant)(void); /* NULL: nobody writes */
static _Atomic uint64_t lost;
static struct log_sink *dirty; /* with something in their buffers; of the thread that writes */

static void destroy(struct log_sink *s)
{
	list_unlink(&s->node);
	if (s->kind == SINK_FILE && s->fd >= 0)
		close(s->fd);
	free(s->buffer);
	free(s->path);
	free(s);
}

struct log_sink *log_sink_new(enum sink_kind kind, const char *path)
{
	struct log_sink *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->node);
	atomic_init(&s->refs, 1);
	s->kind = kind;
	s->fd = kind == SINK_STDOUT ? STDOUT_FILENO : -1;
	if (kind == SINK_FILE) {
		s->path = strdup(path);
		if (!s->path) {
			free(s);
			return NULL;
		}
	}
	pthread_mutex_lock(&lock);
	list_append(&sinks, &s->node);
	pthread_mutex_unlock(&lock);
	return s;
}

void log_sink_unref(struct log_sink *s)
{
	void (*call)(void);

	if (!s)
		return;
	pthread_mutex_lock(&lock);
	call = attendant;
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		call = NULL;
	else if (!call)
		destroy(s);
	pthread_mutex_unlock(&lock);
	if (call)
		call();
}

uint64_t log_sinks_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}

static void lose(struct log_sink *s, size_t lines, int err)
{
	unsigned held = 0;

	atomic_fetch_add_explicit(&lost, lines, memory_order_relaxed);
	if (log_limit_ok(&s->limit, &held))
		log_error("log: lines of an access log are lost target=%s lines=%zu error=\"%s\"",
			  s->path ? s->path : "stdout", lines, strerror(err));
}

/* ---- files and standard output ---- */

static int open_file(struct log_sink *s)
{
	off_t end;

	if (s->fd >= 0)
		return 0;
	/* Not to wait for a reader where it is a pipe; one without a reader is an error. */
	s->fd = open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		     0640);
	if (s->fd < 0)
		return -errno;
	end = lseek(s->fd, 0, SEEK_END);
	s->is_file = end >= 0;
	return 0;
}

/* What is no file may be slow: a while is waited, and what is left then is lost. */
static int write_all(struct log_sink *s)
{
	size_t at = 0;

	while (at < s->len) {
		struct pollfd p = {.fd = s->fd, .events = POLLOUT};
		size_t piece = s->len - at;
		ssize_t n;

		if (!s->is_file && piece > PIPE_PIECE)
			piece = PIPE_PIECE;
		if (!s->is_file && poll(&p, 1, PIPE_MS) <= 0)
			return -EAGAIN;
		n = write(s->fd, s->buffer + at, piece);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void flush(struct log_sink *s)
{
	int err;

	if (!s->len)
		return;
	err = s->kind == SINK_FILE ? open_file(s) : 0;
	if (!err)
		err = write_all(s);
	if (err)
		lose(s, s->lines, -err);
	s->len = s->lines = 0;
}

static void close_file(struct log_sink *s)
{
	if (s->kind != SINK_FILE || s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
}

static void keep(struct log_sink *s, const char *line, size_t len)
{
	if (!s->buffer)
		s->buffer = malloc(BUFFER);
	if (!s->buffer || len >= BUFFER) {
		lose(s, 1, s->buffer ? EMSGSIZE : ENOMEM);
		return;
	}
	if (s->len + len + 1 > BUFFER)
		flush(s);
	if (!s->is_dirty) {
		s->is_dirty = true;
		s->next_dirty = dirty;
		dirty = s;
	}
	memcpy(s->buffer + s->len, line, len);
	s->len += len;
	s->buffer[s->len++] = '\n';
	s->lines++;
}

void log_sink_add(struct log_sink *s, const char *line, size_t len)
{
	const struct log_line l = {
		.severity = SEVERITY, .identifier = IDENTIFIER, .text = line, .len = len};

	switch (s->kind) {
	case SINK_FILE:
	case SINK_STDOUT: keep(s, line, len); break;
	case SINK_SYSLOG:
		if (!log_socket_syslog(&l))
			atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		break;
	case SINK_JOURNAL:
		if (!log_socket_journal(&l))
			atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		break;
	}
}

/* ---- all of them ---- */

bool log_sinks_round(bool reopen)
{
	bool again = false;

	/* Writing may take a while, in which nobody shall wait for the lock. */
	for (; dirty; dirty = dirty->next_dirty) {
		dirty->is_dirty = false;
		flush(dirty);
	}
	pthread_mutex_lock(&lock);
	list_for_each_safe (it, &sinks) {
		struct log_sink *s = list_entry(it, struct log_sink, node);

		if (reopen)
			close_file(s);
		if (s->is_doomed) {
			destroy(s);
			continue;
		}
		s->is_doomed = atomic_load_explicit(&s->refs, memory_order_acquire) == 0;
		again |= s->is_doomed;
	}
	pthread_mutex_unlock(&lock);
	return again;
}

void log_sinks_attend(void (*call)(void))
{
	pthread_mutex_lock(&lock);
	attendant = call;
	list_for_each_safe (it, &sinks) {
		struct log_sink *s = list_entry(it, struct log_sink, node);

		if (!call && !atomic_load_explicit(&s->refs, memory_order_acquire))
			destroy(s);
	}
	pthread_mutex_unlock(&lock);
}
