/* SPDX-License-Identifier: BSD-2-Clause */
/* Claiming the control socket, and peer credentials: see socket.h. */
#include "control/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG	   64
#define GROUPS_MAX 1024

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int make_address(const char *path, struct sockaddr_un *ret_sun, struct diag *d)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(ret_sun->sun_path)) {
		diag_error(d, NULL, "control socket: path %s: expected 1 to %zu bytes", path,
			   sizeof(ret_sun->sun_path) - 1);
		return -EINVAL;
	}
	memset(ret_sun, 0, sizeof(*ret_sun));
	ret_sun->sun_family = AF_UNIX;
	memcpy(ret_sun->sun_path, path, len + 1);
	return 0;
}

static int make_directory(const char *dir)
{
	if (mkdir(dir, 0755))
		return errno == EEXIST ? 0 : -errno;
	return chmod(dir, 0755) ? -errno : 0; /* whatever the umask is */
}

/* The directory, made where missing and locked: one daemon at a time looks and binds. */
static int lock_directory(const char *path, int *ret_fd, struct diag *d)
{
	char copy[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *dir;
	int fd, err;

	memcpy(copy, path, strlen(path) + 1); /* make_address() looked at its length */
	dir = dirname(copy);
	err = make_directory(dir);
	if (err) {
		diag_error(d, NULL, "control socket: cannot make directory %s: %s", dir,
			   strerror(-err));
		return err;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		err = -errno;
		diag_error(d, NULL, "control socket: directory %s: %s", dir, strerror(-err));
		if (fd >= 0)
			close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int refuse_live(const char *path, int fd, struct diag *d)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && cred.pid > 0)
		diag_error(d, NULL, "another shuntd (pid %d) is using %s", (int)cred.pid, path);
	else
		diag_error(d, NULL, "another process is using %s", path);
	return -EADDRINUSE;
}

/* Is the path free, or can it be made so? */
static int clear_path(const struct sockaddr_un *sun, struct diag *d)
{
	const char *path = sun->sun_path;
	struct stat st;
	int fd, err;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		diag_error(d, NULL, "control socket: %s is there already and is not a socket",
			   path);
		return -EEXIST;
	}
	fd = new_socket();
	if (fd < 0)
		return fd;
	err = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) ? -errno : 0;
	/* EAGAIN: somebody listens and is only busy. */
	if (!err || err == -EAGAIN)
		err = refuse_live(path, fd, d);
	else if (err == -ECONNREFUSED)
		err = unlink(path) ? -errno : 0;
	close(fd);
	return err;
}

static int bind_and_listen(struct control_socket *s, const struct sockaddr_un *sun)
{
	mode_t former;
	struct stat st;
	int err;

	s->fd = new_socket();
	if (s->fd < 0)
		return s->fd;
	former = umask(0117); /* never a moment with another mode */
	err = bind(s->fd, (const struct sockaddr *)sun, sizeof(*sun)) ? -errno : 0;
	umask(former);
	if (err)
		return err;
	if (lstat(sun->sun_path, &st) || listen(s->fd, BACKLOG))
		return -errno;
	s->gid = st.st_gid;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

int control_socket_open(const char *path, struct control_socket *ret_socket, struct diag *d)
{
	struct control_socket s = {.path = path, .fd = -1};
	struct sockaddr_un sun;
	size_t told = d->count;
	int dir = -1, err;

	err = make_address(path, &sun, d);
	if (!err)
		err = lock_directory(path, &dir, d);
	if (err)
		return err;
	err = clear_path(&sun, d);
	if (!err)
		err = bind_and_listen(&s, &sun);
	close(dir); /* and with it the lock */
	if (!err) {
		*ret_socket = s;
		return 0;
	}
	if (d->count == told)
		diag_error(d, NULL, "control socket %s: %s", path, strerror(-err));
	if (s.fd >= 0)
		close(s.fd);
	return err;
}

void control_socket_adopt(const char *path, int fd, struct control_socket *ret_socket)
{
	struct stat st = {0};

	(void)lstat(path, &st); /* somebody has removed it: it is not removed again */
	*ret_socket = (struct control_socket){
		.path = path, .fd = fd, .gid = st.st_gid, .dev = st.st_dev, .ino = st.st_ino};
}

void control_socket_leave(struct control_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->path = NULL;
}

void control_socket_close(struct control_socket *s)
{
	struct stat st;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (s->path && !lstat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		(void)unlink(s->path); /* what stays is replaced by the next start */
	s->path = NULL;
}

static bool in_groups(int fd, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

bool peer_is_allowed(int fd, gid_t gid, struct peer *ret_peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	*ret_peer = (struct peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
	return cred.uid == 0 || cred.uid == geteuid() || cred.gid == gid || in_groups(fd, gid);
}
