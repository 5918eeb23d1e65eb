/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines to the system's loggers by their sockets: syslog (/dev/log), and journald in its own protocol,
 * which knows fields. Nothing ever waits. Any thread.
 */
#ifndef CORE_LOG_SOCKET_H
#define CORE_LOG_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/* A line: its severity as syslog counts, and who says it. fields (may be NULL): journald's, more of them,
 * "KEY=VALUE\n" each, of one line each. */
struct log_line {
	unsigned severity;
	const char *identifier;
	const char *text;
	size_t len;
	const char *fields;
	size_t fields_len;
};

/* False: it could not be sent, or not at once. */
bool log_socket_syslog(const struct log_line *line);
bool log_socket_journal(const struct log_line *line);

#endif
