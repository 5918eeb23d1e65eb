/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where lines of an access log end up: a file, standard output, or a logger of the system. Made with a
 * configuration, opened by the thread that writes (log/writer.h) when the first line comes.
 */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sink_kind { SINK_FILE, SINK_STDOUT, SINK_SYSLOG, SINK_JOURNAL };

struct log_sink;

/* path: of a file. With one reference, which is the configuration's. NULL: out of memory. */
struct log_sink *log_sink_new(enum sink_kind kind, const char *path);

/* The last line must have been pushed before. Any thread; NULL is fine. */
void log_sink_unref(struct log_sink *s);

/* ---- by the thread that writes ---- */

/* Write, or keep for the end of the round. A line without its end. */
void log_sink_add(struct log_sink *s, const char *line, size_t len);

/* What was kept is written; reopen: files are closed, and opened by their names for the next line. What
 * has no reference any more is freed, if it had none in the round before: then nothing of it is left in
 * a ring. */
bool log_sinks_round(bool reopen); /* true: some are to be freed by the next one */

/* Whoever writes is called when a sink has no reference any more; NULL: nobody writes, and those are
 * freed at once. */
void log_sinks_attend(void (*call)(void));

/* Lines that could not be written, of all sinks ever. Any thread. */
uint64_t log_sinks_lost(void);

#endif
