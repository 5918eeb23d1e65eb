/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one line a message to standard error, "LEVEL MODULE: SENTENCE KEY=VALUE ...".
 * Under systemd (JOURNAL_STREAM set) the level is the "<N>" prefix that journald reads; elsewhere a
 * timestamp and the level's name stand in front. Or as JSON, or to a logger of the system. Any thread. Libraries (core, conf, l4, l7 parsers,
 * loader) return errors and log at debug only.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Before any thread starts. */
void log_init(void);

/* Any thread, at any time. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* What is written, and where to. Where a logger takes nothing, it goes to standard error. Any thread, at
 * any time. */
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_JOURNALD, LOG_TARGET_SYSLOG };
void log_set_output(enum log_format format, enum log_target target);

/* "error", "warning", "info", "debug". 0, or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_get_level() >= LOG_LEVEL_DEBUG)                                            \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)

/* For messages that a peer can provoke: at most one a second from one place; what was held back is
 * said with the next one. Static storage, one for each place: `static struct log_limit l;`. */
struct log_limit {
	uint64_t next_ms;
	unsigned held;
};
bool log_limit_ok(struct log_limit *limit, unsigned *ret_held);

#endif
