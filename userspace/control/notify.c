/* SPDX-License-Identifier: BSD-2-Clause */
/* The service manager's protocol: lines of KEY=VALUE in a datagram. See notify.h, sd_notify(3). */
#include "control/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"

static struct sockaddr_un address;
static socklen_t address_len; /* 0: nobody listens */
static unsigned watchdog_ms;

static void read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long n;

	if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
		return;
	n = strtoull(usec, NULL, 10) / 1000 / 2; /* twice as often as asked for */
	watchdog_ms = n > 0 && n < 3600000 ? (unsigned)n : 0;
}

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len > 1 && len < sizeof(address.sun_path) && (path[0] == '/' || path[0] == '@')) {
		address.sun_family = AF_UNIX;
		memcpy(address.sun_path, path, len);
		if (path[0] == '@')
			address.sun_path[0] = '\0'; /* abstract */
		address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
		read_watchdog();
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void send_text(const char *text)
{
	int fd;

	if (!address_len)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     address_len) < 0)
		log_debug("main: the service manager was not told error=\"%s\"", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void notify_ready(const char *status)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "READY=1\nSTATUS=%s\n", status);
	send_text(text);
}

void notify_reloading(void)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		       (unsigned long long)(clock_now_ns() / 1000));
	send_text(text);
}

/* What comes after the drain is a matter of milliseconds. */
#define STOP_EXTRA_MS 5000

void notify_stopping(unsigned drain_ms)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%llu\n",
		       (drain_ms + STOP_EXTRA_MS) * 1000ULL);
	send_text(text);
}

void notify_main_pid(long pid)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "MAINPID=%ld\nREADY=1\nSTATUS=running\n", pid);
	send_text(text);
}

char *notify_socket_variable(void)
{
	const char *name = address.sun_path;
	bool is_abstract = address_len && !name[0];
	char *text;

	if (!address_len ||
	    asprintf(&text, "NOTIFY_SOCKET=%s%.*s", is_abstract ? "@" : "",
		     (int)(address_len - offsetof(struct sockaddr_un, sun_path) - is_abstract),
		     name + is_abstract) < 0)
		return NULL;
	return text;
}

char *notify_watchdog_variable(void)
{
	char *text;

	if (!watchdog_ms || asprintf(&text, "WATCHDOG_USEC=%llu", 2000ULL * watchdog_ms) < 0)
		return NULL;
	return text;
}

unsigned notify_watchdog_ms(void)
{
	return watchdog_ms;
}

void notify_alive(void)
{
	send_text("WATCHDOG=1\n");
}
