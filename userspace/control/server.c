/* SPDX-License-Identifier: BSD-2-Clause */
/* libmicrohttpd in the main loop: see server.h. It runs without a thread of its own; its epoll
 * descriptor and its time-outs are watched by libuv. */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/list.h"
#include "core/log.h"

#define IDLE_SECONDS 10
#define PAUSE_MS     100  /* without descriptors */
#define REVIEW_MS    1000 /* of connections whose time may be over */

struct request_io {
	struct request rq;
	struct list node;      /* of server.requests */
	struct server *server; /* NULL: closed, the reply goes nowhere */
	struct MHD_Connection *conn;
	size_t body_room;
	bool called;	/* the handler has it */
	bool suspended; /* waits for its reply */
	bool gone;	/* libmicrohttpd is done with it, the handler is not */
	unsigned status;
	struct MHD_Response *response; /* NULL: not answered yet */
};

/* A connection, which has until due_ms for what it is at: an idle limit alone, which the library has,
 * could be met byte by byte for ever. */
struct link {
	struct list node; /* of server.links */
	int fd;
	uint64_t due_ms; /* in the loop's time; UINT64_MAX: the handler is at work */
};

struct server {
	uv_loop_t *loop;
	const struct server_rules *rules;
	struct MHD_Daemon *mhd;
	unsigned connections;
	bool was_full; /* at some moment of the last MHD_run() */
	uv_poll_t poll;
	uv_timer_t timer;
	uv_timer_t review;
	struct list links;
	unsigned open; /* handles not closed yet */
	gid_t gid;
	server_handler handler;
	void *ctx;
	struct list requests;
	void (*done_cb)(void *ctx);
	void *done_ctx;
};

/* ---- the loop ---- */

static void run(struct server *s);

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status; /* MHD_run() meets the error itself */
	(void)events;
	run(poll->data);
}

static bool has_descriptor(const struct server *s)
{
	uv_os_fd_t fd;
	int copy;

	if (uv_fileno((const uv_handle_t *)&s->poll, &fd))
		return true;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy >= 0)
		close(copy);
	return copy >= 0;
}

static void run(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	/* Once it had as many connections as it may, the library looks at its listening socket again only
	 * when it is run after some have gone: no event would come of that by itself. */
	do {
		s->was_full = s->connections >= s->rules->connections;
		if (MHD_run(s->mhd) != MHD_YES)
			log_error("control: a server of HTTP failed via=%s", s->rules->name);
	} while (s->was_full && s->connections < s->rules->connections);
	if (MHD_get_timeout(s->mhd, &wait_ms) == MHD_YES)
		(void)uv_timer_start(&s->timer, on_timer, wait_ms, 0);
	else
		(void)uv_timer_stop(&s->timer);
	/* The library leaves whom it cannot accept in the queue: its set would be ready for ever.
	 * Neither call fails before the handle is closed. */
	if (has_descriptor(s)) {
		(void)uv_poll_start(&s->poll, UV_READABLE, on_poll);
	} else {
		(void)uv_poll_stop(&s->poll);
		(void)uv_timer_start(&s->timer, on_timer, PAUSE_MS, 0);
	}
}

static void on_library_log(void *ctx, const char *fmt, va_list ap)
{
	char text[256];

	(void)ctx;
	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut where too long */
	log_debug("control: %s", text);
}

/* ---- time ---- */

static void on_review(uv_timer_t *timer)
{
	struct server *s = timer->data;
	uint64_t now = uv_now(s->loop);

	list_for_each (it, &s->links) {
		struct link *link = list_entry(it, struct link, node);

		if (link->due_ms <= now)
			(void)shutdown(link->fd, SHUT_RDWR); /* the library meets its end */
	}
	if (list_empty(&s->links))
		(void)uv_timer_stop(timer);
}

static void on_connection(void *ctx, struct MHD_Connection *conn, void **link_ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = ctx;
	const union MHD_ConnectionInfo *info;
	struct link *link = *link_ctx;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		s->connections--;
		if (link)
			list_unlink(&link->node);
		free(link);
		*link_ctx = NULL;
		return;
	}
	s->was_full |= ++s->connections >= s->rules->connections;
	info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	link = info ? calloc(1, sizeof(*link)) : NULL;
	if (!link)
		return; /* the idle limit alone, then */
	link->fd = info->connect_fd;
	link->due_ms = uv_now(s->loop) + s->rules->request_ms;
	list_append(&s->links, &link->node);
	*link_ctx = link;
	if (!uv_is_active((uv_handle_t *)&s->review))
		(void)uv_timer_start(&s->review, on_review, REVIEW_MS, REVIEW_MS);
}

/* The connection has ms from now on. */
static void give_time(struct server *s, struct MHD_Connection *conn, uint64_t ms)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct link *link = info ? info->socket_context : NULL;

	if (link)
		link->due_ms = ms == UINT64_MAX ? ms : uv_now(s->loop) + ms;
}

/* ---- requests ---- */

static void free_io(struct request_io *io)
{
	list_unlink(&io->node);
	if (io->response)
		MHD_destroy_response(io->response);
	free(io->rq.method);
	free(io->rq.path);
	free(io->rq.body);
	free(io);
}

static void identify_peer(struct server *s, struct request_io *io)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(io->conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (s->rules->is_tcp)
		return;
	if (!info || !peer_is_allowed(info->connect_fd, s->gid, &io->rq.peer)) {
		log_warning("control: peer refused via=%s uid=%ld pid=%ld", s->rules->name,
			    peer_uid(&io->rq.peer), (long)io->rq.peer.pid);
		io->rq.fault = REQUEST_FORBIDDEN;
	}
}

/* Is more announced than is taken? What is not announced is counted as it comes. */
static bool announces_too_much(struct MHD_Connection *conn)
{
	const char *text = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Content-Length");
	char *end;
	unsigned long long len;

	if (!text)
		return false;
	errno = 0;
	len = strtoull(text, &end, 10);
	return errno || *end || len > SERVER_BODY_MAX;
}

static struct request_io *new_io(struct server *s, struct MHD_Connection *conn, const char *path,
				 const char *method)
{
	struct request_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	list_init(&io->node);
	io->server = s;
	io->conn = conn;
	io->rq.io = io;
	io->rq.peer.uid = (uid_t)-1;
	io->rq.via = s->rules->name;
	io->rq.method = strdup(method);
	io->rq.path = strdup(path);
	io->rq.body = calloc(1, 1);
	if (!io->rq.method || !io->rq.path || !io->rq.body) {
		free_io(io);
		return NULL;
	}
	list_append(&s->requests, &io->node);
	identify_peer(s, io);
	if (!io->rq.fault && announces_too_much(conn))
		io->rq.fault = REQUEST_TOO_LARGE;
	return io;
}

/* Collect a piece of the body. False: far more than is taken, the connection is to be cut. */
static bool add_body(struct request *rq, const char *data, size_t len)
{
	size_t need = rq->body_len + len + 1;

	if (rq->fault == REQUEST_TOO_LARGE)
		return false;
	if (need > SERVER_BODY_MAX + 1) {
		rq->fault = REQUEST_TOO_LARGE;
		return true;
	}
	if (need > rq->io->body_room) {
		size_t room = need < 4096 ? 4096 : need + need / 2;
		char *body = realloc(rq->body, room);

		if (!body) {
			rq->fault = REQUEST_NO_MEMORY;
			return true;
		}
		rq->body = body;
		rq->io->body_room = room;
	}
	memcpy(rq->body + rq->body_len, data, len);
	rq->body_len += len;
	rq->body[rq->body_len] = '\0';
	return true;
}

static enum MHD_Result answer(struct request_io *io)
{
	struct server *s = io->server;

	if (!io->called) {
		io->called = true;
		give_time(s, io->conn, UINT64_MAX);
		s->handler(s->ctx, &io->rq);
	}
	if (!io->response) {
		io->suspended = true;
		MHD_suspend_connection(io->conn);
		return MHD_YES;
	}
	give_time(s, io->conn, s->rules->reply_ms);
	return MHD_queue_response(io->conn, io->status, io->response);
}

/* Called by libmicrohttpd with the header, with each piece of the body, with its end, and again
 * when a suspended connection goes on. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *conn, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **conn_ctx)
{
	struct request_io *io = *conn_ctx;

	(void)version;
	if (!io) {
		io = new_io(ctx, conn, path, method);
		if (!io)
			return MHD_NO;
		*conn_ctx = io;
		give_time(ctx, conn, io->server->rules->request_ms);
		/* An answer before the body is only possible here; it closes the connection. */
		return io->rq.fault ? answer(io) : MHD_YES;
	}
	if (*len > 0) {
		bool ok = add_body(&io->rq, data, *len);

		*len = 0;
		return ok ? MHD_YES : MHD_NO;
	}
	return answer(io);
}

static void on_completed(void *ctx, struct MHD_Connection *conn, void **conn_ctx,
			 enum MHD_RequestTerminationCode why)
{
	struct request_io *io = *conn_ctx;

	struct server *s = ctx;

	(void)why;
	give_time(s, conn, IDLE_SECONDS * 1000ULL + s->rules->request_ms);
	*conn_ctx = NULL;
	if (!io)
		return;
	if (io->called && !io->response)
		io->gone = true; /* request_reply() frees it */
	else
		free_io(io);
}

const char *request_query(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->io->conn, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->io->conn, MHD_HEADER_KIND, name);
}

/* The library looks at no connection that waits for its answer. */
bool request_is_abandoned(const struct request *rq)
{
	const union MHD_ConnectionInfo *info;
	struct pollfd p = {0};

	if (rq->io->gone)
		return true;
	info = MHD_get_connection_info(rq->io->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info)
		return false;
	p.fd = info->connect_fd;
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static struct MHD_Response *make_response(const char *content_type, const char *allow, char *body,
					  size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);

	if (!r) {
		free(body);
		return NULL;
	}
	/* A header that does not fit in memory is left out: the body still says all. */
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	if (allow)
		(void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
	return r;
}

void request_reply(struct request *rq, unsigned status, const char *content_type, const char *allow,
		   char *body, size_t len)
{
	static char no_memory[] = "{\"error\":{\"reason\":\"no-memory\",\"message\":"
				  "\"shuntd is out of memory\",\"diagnostics\":[]}}\n";
	struct request_io *io = rq->io;

	if (rq->on_reply)
		rq->on_reply(rq, body ? status : MHD_HTTP_INTERNAL_SERVER_ERROR, rq->on_reply_ctx);
	if (io->gone) {
		free(body);
		free_io(io);
		return;
	}
	io->status = status;
	io->response = body ? make_response(content_type, allow, body, len) : NULL;
	if (!io->response) {
		io->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		io->response = MHD_create_response_from_buffer(sizeof(no_memory) - 1, no_memory,
							       MHD_RESPMEM_PERSISTENT);
	}
	if (!io->suspended)
		return;
	io->suspended = false;
	MHD_resume_connection(io->conn);
	/* Without a thread nothing wakes the library by itself. */
	(void)uv_timer_start(&io->server->timer, on_timer, 0, 0);
}

/* ---- start and end ---- */

static int start_library(struct server *s, int fd)
{
	const union MHD_DaemonInfo *info;

	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
				  NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
				  on_library_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				  MHD_OPTION_CONNECTION_LIMIT, s->rules->connections,
				  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->rules->header_bytes,
				  MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
				  MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
	if (!s->mhd)
		return -EIO;
	info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? uv_poll_init(s->loop, &s->poll, info->epoll_fd) : -EIO;
}

int server_start(uv_loop_t *loop, struct control_socket *socket, const struct server_rules *rules,
		 server_handler handler, void *ctx, struct server **ret_server)
{
	struct server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->rules = rules;
	s->handler = handler;
	s->ctx = ctx;
	list_init(&s->links);
	s->gid = socket->gid;
	list_init(&s->requests);
	err = start_library(s, socket->fd);
	if (err) {
		if (s->mhd)
			socket->fd = -1;
		MHD_stop_daemon(s->mhd);
		free(s);
		return err;
	}
	socket->fd = -1; /* closed by MHD_stop_daemon() */
	(void)uv_timer_init(loop, &s->timer);
	(void)uv_timer_init(loop, &s->review);
	s->poll.data = s->timer.data = s->review.data = s;
	s->open = 3;
	run(s);
	*ret_server = s;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct server *s = handle->data;

	if (--s->open > 0)
		return;
	if (s->done_cb)
		s->done_cb(s->done_ctx);
	free(s);
}

/* The library refuses to stop while a connection is suspended. */
static void resume_all(struct server *s)
{
	list_for_each (it, &s->requests) {
		struct request_io *io = list_entry(it, struct request_io, node);

		if (!io->suspended)
			continue;
		io->suspended = false;
		MHD_resume_connection(io->conn);
	}
}

int server_listen_fd(const struct server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_LISTEN_FD);

	return info ? info->listen_fd : -1;
}

void server_quiesce(struct server *s)
{
	MHD_socket fd = MHD_quiesce_daemon(s->mhd);

	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

bool server_is_idle(const struct server *s)
{
	return list_empty(&s->requests);
}

void server_close(struct server *s, void (*done_cb)(void *ctx), void *ctx)
{
	if (!s) {
		if (done_cb)
			done_cb(ctx);
		return;
	}
	s->done_cb = done_cb;
	s->done_ctx = ctx;
	(void)uv_poll_stop(&s->poll);
	resume_all(s);
	MHD_stop_daemon(s->mhd); /* on_completed() for each request */
	list_for_each_safe (it, &s->requests)
		list_unlink(it); /* these have gone; their request_reply() frees them */
	uv_close((uv_handle_t *)&s->poll, on_closed);
	uv_close((uv_handle_t *)&s->timer, on_closed);
	uv_close((uv_handle_t *)&s->review, on_closed);
}
