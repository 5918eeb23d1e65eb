/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The admin HTTP server: the commands of the control socket for whoever reaches its address, as far as
 * admin.* allows. Off unless admin.http says where. Main thread.
 */
#ifndef CONTROL_ADMIN_HTTP_H
#define CONTROL_ADMIN_HTTP_H

#include "control/commands.h"

struct admin_http {
	struct commands_env *env;
	struct control_socket socket; /* fd -1: none, or the server has it */
	struct server *server;	      /* NULL: it is off */
	bool is_loopback;	      /* or a unix socket: nobody from elsewhere */
};

/* Listen as conf says; nothing is answered yet. 0 also where it says nothing, or -errno with d filled.
 * a: zeroed but for socket.fd -1; conf outlives it. */
int admin_http_open(struct admin_http *a, const struct admin_conf *conf, struct diag *d);

/* Serve. 0, or -errno. */
int admin_http_start(struct admin_http *a, uv_loop_t *loop, struct commands_env *env);

/* Listen on fd, which another process hands over with what its users call it (a path, or NULL), where
 * that is what conf says; takes fd. Else as admin_http_open(). */
int admin_http_adopt(struct admin_http *a, const struct admin_conf *conf, int fd, const char *path,
		     struct diag *d);

/* The listening descriptor, borrowed; -1: there is none. */
int admin_http_fd(const struct admin_http *a);

/* Another process has the socket too, whose file is its from now on. */
void admin_http_quiesce(struct admin_http *a);

/* Frees all in the loop's next turns. What was never opened is fine. */
void admin_http_close(struct admin_http *a);

#endif
