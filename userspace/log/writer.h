/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that writes access logs, so that nobody who serves requests ever waits for a disk or a
 * pipe. It takes lines from a ring of each worker; where a ring is full, lines are lost, and counted.
 * Starts with the first ring that is asked for.
 */
#ifndef LOG_WRITER_H
#define LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct log_sink;

#define LOG_WRITER_RINGS 64

/* By one thread for each ring number. False: it is lost; there is no room, or no memory. */
bool log_writer_push(unsigned ring, struct log_sink *sink, const char *line, size_t len);

/* Files are closed, and opened by their names for the next lines. Any thread. */
void log_writer_reopen(void);

/* Writes what there is, and ends. Once, when nobody pushes any more. */
void log_writer_stop(void);

#endif
