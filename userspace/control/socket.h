/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket in the file system: claimed by one daemon at a time, open to its group, and
 * who is at the other end of a connection. Main thread.
 */
#ifndef CONTROL_SOCKET_H
#define CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/diag.h"

struct control_socket {
	const char *path; /* borrowed */
	int fd;		  /* listening, non-blocking; -1: none. Whoever takes it sets it to -1 */
	gid_t gid;	  /* of the socket: whose members may use it */
	dev_t dev;	  /* the file that was made, so that only it is removed */
	ino_t ino;
};

/* Make the socket, mode 0660, and its directory, mode 0755, where that is missing. A socket that
 * nobody answers on is replaced. 0, or -errno with d filled; -EADDRINUSE: another daemon is there. */
int control_socket_open(const char *path, struct control_socket *ret_socket, struct diag *d);

/* One that another process has made at path, and hands over; takes fd. */
void control_socket_adopt(const char *path, int fd, struct control_socket *ret_socket);

/* Close it; its file is another process's. */
void control_socket_leave(struct control_socket *s);

/* Close and remove it from the file system. A zeroed one with fd -1 is fine. */
void control_socket_close(struct control_socket *s);

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* For logs: -1 where there is nobody the kernel knows. */
static inline long peer_uid(const struct peer *p)
{
	return p->uid == (uid_t)-1 ? -1 : (long)p->uid;
}

/* Who connected, and may they: root, the daemon's own user, and members of gid. False also where
 * the kernel does not say. */
bool peer_is_allowed(int fd, gid_t gid, struct peer *ret_peer);

#endif
