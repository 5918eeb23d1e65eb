/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands for HTTP clients: see admin_http.h. */
#include "control/admin_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/access.h"
#include "control/reply.h"
#include "core/log.h"

#define BACKLOG 64

static const struct server_rules rules_tcp = {.name = "http",
					      .is_tcp = true,
					      .connections = 64,
					      .header_bytes = 16384,
					      .request_ms = 10000,
					      .reply_ms = 30000};
static const struct server_rules rules_unix = {.name = "http-unix",
					       .connections = 64,
					       .header_bytes = 16384,
					       .request_ms = 10000,
					       .reply_ms = 30000};

/* ---- what may be asked ---- */

/* For machines that watch: says nothing that a stranger could use. */
static bool is_public(const char *path)
{
	static const char *const paths[] = {"/metrics", "/healthz", "/readyz"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!strcmp(path, paths[i]))
			return true;
	return false;
}

/* False: it was answered that this may not be. */
static bool check_token(const struct admin_conf *conf, struct request *rq)
{
	static struct log_limit limit;
	unsigned held = 0;

	if (!conf->token) {
		reply_error(rq, REPLY_FORBIDDEN, NULL,
			    "only GET is answered here: admin.token_file is not set");
		return false;
	}
	switch (access_token_check(request_header(rq, "Authorization"), conf->token)) {
	case ACCESS_TOKEN_GOOD: return true;
	case ACCESS_TOKEN_MISSING: break;
	case ACCESS_TOKEN_WRONG:
		if (log_limit_ok(&limit, &held))
			log_warning("control: wrong token via=%s method=%s path=%s held=%u",
				    rq->via, rq->method, rq->path, held);
		break;
	}
	reply_error(rq, REPLY_UNAUTHORIZED, NULL,
		    "expected Authorization: Bearer and the word in admin.token_file");
	return false;
}

static void handle(void *ctx, struct request *rq)
{
	struct admin_http *a = ctx;
	const struct admin_conf *conf = &reload_current(a->env->reload)->admin;

	if (rq->fault) {
		commands_handle(a->env, rq);
		return;
	}
	if (a->socket.path == NULL &&
	    !access_host_is_ours(request_header(rq, "Host"), conf->hosts, conf->host_count)) {
		reply_error(rq, REPLY_FORBIDDEN, NULL,
			    "the Host is neither an address nor among admin.hosts");
		return;
	}
	if (!a->is_loopback && !is_public(rq->path)) {
		reply_error(rq, REPLY_FORBIDDEN, NULL,
			    "only /metrics, /healthz and /readyz are served on this address");
		return;
	}
	if (strcmp(rq->method, "GET") != 0 && !check_token(conf, rq))
		return;
	commands_handle(a->env, rq);
}

/* ---- start and end ---- */

static int listen_tcp(const struct endpoint *ep)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int on = 1, err;
	int fd = socket(ep->addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	endpoint_to_sockaddr(ep, &ss, &len);
	if ((ep->addr.family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&ss, len) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int admin_http_open(struct admin_http *a, const struct admin_conf *conf, struct diag *d)
{
	char text[ENDPOINT_STRLEN], *path;
	int fd, err;

	if (conf->http_path) {
		a->is_loopback = true;
		path = strdup(conf->http_path); /* the configuration it is of may go */
		err = path ? control_socket_open(path, &a->socket, d) : -ENOMEM;
		if (err)
			free(path);
		return err;
	}
	if (!conf->http.port)
		return 0;
	fd = listen_tcp(&conf->http);
	if (fd < 0) {
		diag_error(d, NULL, "admin.http: cannot listen on %s: %s",
			   endpoint_format(&conf->http, text, sizeof(text)), strerror(-fd));
		return fd;
	}
	a->socket.fd = fd;
	a->is_loopback = addr_is_loopback(&conf->http.addr);
	return 0;
}

/* Is it a socket at conf's address? */
static bool is_at(const struct admin_conf *conf, int fd, const char *path)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint ep;

	if (conf->http_path)
		return path && !strcmp(path, conf->http_path);
	return !path && conf->http.port && !getsockname(fd, (struct sockaddr *)&ss, &len) &&
	       !endpoint_from_sockaddr((struct sockaddr *)&ss, &ep) &&
	       !endpoint_cmp(&ep, &conf->http);
}

int admin_http_adopt(struct admin_http *a, const struct admin_conf *conf, int fd, const char *path,
		     struct diag *d)
{
	char *copy;

	if (fd < 0 || !is_at(conf, fd, path)) {
		if (fd >= 0)
			close(fd);
		if (path)
			(void)unlink(path); /* nobody will answer there */
		return admin_http_open(a, conf, d);
	}
	if (!path) {
		a->socket.fd = fd;
		a->is_loopback = addr_is_loopback(&conf->http.addr);
		return 0;
	}
	copy = strdup(path);
	if (!copy) {
		close(fd);
		return -ENOMEM;
	}
	a->is_loopback = true;
	control_socket_adopt(copy, fd, &a->socket);
	return 0;
}

int admin_http_fd(const struct admin_http *a)
{
	return a->server ? server_listen_fd(a->server) : -1;
}

void admin_http_quiesce(struct admin_http *a)
{
	char *path = (char *)a->socket.path;

	if (a->server)
		server_quiesce(a->server);
	control_socket_leave(&a->socket);
	free(path);
}

int admin_http_start(struct admin_http *a, uv_loop_t *loop, struct commands_env *env)
{
	a->env = env;
	if (a->socket.fd < 0)
		return 0;
	return server_start(loop, &a->socket, a->socket.path ? &rules_unix : &rules_tcp, handle, a,
			    &a->server);
}

void admin_http_close(struct admin_http *a)
{
	char *path = (char *)a->socket.path;

	control_socket_close(&a->socket);
	free(path);
	server_close(a->server, NULL, NULL);
	a->server = NULL;
}
