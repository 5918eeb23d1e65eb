/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams to syslog and journald: see log_socket.h. */
#include "core/log_socket.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SYSLOG_PATH	"/dev/log"
#define JOURNAL_PATH	"/run/systemd/journal/socket"
#define FACILITY_DAEMON 3U

/* One for all threads and both loggers, as each datagram names its receiver. -1: there is none. */
static int shared_socket(void)
{
	static _Atomic int made = -1;
	int fd = atomic_load(&made), none = -1;

	if (fd >= 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && !atomic_compare_exchange_strong(&made, &none, fd)) {
		close(fd);
		fd = none; /* another thread's */
	}
	return fd;
}

static bool send_to(const char *path, struct iovec *pieces, size_t count)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = pieces, .msg_iovlen = count};
	int fd = shared_socket();

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path); /* literals, which fit */
	return fd >= 0 && sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
}

bool log_socket_syslog(const struct log_line *line)
{
	char head[128], when[32];
	time_t now = time(NULL);
	struct iovec pieces[2];
	struct tm tm;
	int n;

	(void)strftime(when, sizeof(when), "%b %e %H:%M:%S", localtime_r(&now, &tm));
	n = snprintf(head, sizeof(head), "<%u>%s %s[%ld]: ", FACILITY_DAEMON * 8 + line->severity,
		     when, line->identifier, (long)getpid());
	pieces[0] = (struct iovec){head, (size_t)n < sizeof(head) ? (size_t)n : sizeof(head) - 1};
	pieces[1] = (struct iovec){(char *)line->text, line->len};
	return send_to(SYSLOG_PATH, pieces, 2);
}

bool log_socket_journal(const struct log_line *line)
{
	char head[128];
	int n = snprintf(head, sizeof(head),
			 "PRIORITY=%u\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", line->severity,
			 line->identifier);
	struct iovec pieces[] = {
		{head, (size_t)n < sizeof(head) ? (size_t)n : sizeof(head) - 1},
		{(char *)line->text, line->len},
		{"\n", 1},
		{(char *)(line->fields ? line->fields : ""), line->fields_len},
	};

	return send_to(JOURNAL_PATH, pieces, 4);
}
