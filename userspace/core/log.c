/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: see log.h. */
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log_fields.h"
#include "core/log_socket.h"

static const struct {
	const char *name;
	int syslog;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARNING] = {"warning", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

static atomic_int current_level = LOG_LEVEL_INFO;
static bool to_journal;
static atomic_int current_format = LOG_FORMAT_TEXT, current_target = LOG_TARGET_STDERR;

#define IDENTIFIER "shuntd"

void log_init(void)
{
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!strcmp(text, levels[i].name)) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

void log_set_output(enum log_format format, enum log_target target)
{
	atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
	atomic_store_explicit(&current_target, (int)target, memory_order_relaxed);
}

#define TIME_MAX 48

static void format_time(char buf[TIME_MAX])
{
	struct timespec ts;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(buf, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + len, TIME_MAX - len, ".%03ldZ", ts.tv_nsec / 1000000 % 1000);
}

static int format_prefix(char *buf, size_t len, enum log_level level)
{
	char when[TIME_MAX];

	if (to_journal)
		return snprintf(buf, len, "<%d>", levels[level].syslog);
	format_time(when);
	return snprintf(buf, len, "%s %s ", when, levels[level].name);
}

/* One write(2) a line, so that lines of several threads do not mix. */
static void write_line(const char *line, size_t len)
{
	/* A log that cannot be written has nowhere to say so. */
	(void)!write(STDERR_FILENO, line, len);
}

/* Control bytes are masked. Returns where the message begins, behind the prefix. */
static size_t format_text(char line[LOG_MESSAGE_MAX], enum log_level level, size_t *ret_len,
			  const char *fmt, va_list ap)
{
	size_t room = LOG_MESSAGE_MAX - 1; /* for the newline */
	size_t prefix = (size_t)format_prefix(line, room, level), len = prefix;
	int n = vsnprintf(line + len, room - len, fmt, ap);

	if (n < 0)
		n = 0;
	line[len + ((size_t)n < room - len ? (size_t)n : room - len - 1)] = '\0';
	for (char *p = line + len; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	len += (size_t)n < room - len ? (size_t)n : room - len - 1;
	line[len++] = '\n';
	*ret_len = len;
	return prefix;
}

static void write_text(enum log_level level, enum log_target target, const char *fmt, va_list ap)
{
	char line[LOG_MESSAGE_MAX];
	size_t len, prefix = format_text(line, level, &len, fmt, ap);
	const struct log_line out = {.severity = (unsigned)levels[level].syslog,
				     .identifier = IDENTIFIER,
				     .text = line + prefix,
				     .len = len - prefix - 1};

	if (target != LOG_TARGET_SYSLOG || !log_socket_syslog(&out))
		write_line(line, len);
}

/* What knows fields gets them. */
static void write_fields(enum log_level level, enum log_format format, enum log_target target,
			 const char *fmt, va_list ap)
{
	char when[TIME_MAX], line[2 * LOG_MESSAGE_MAX];
	struct log_fields f;
	struct log_line out = {.severity = (unsigned)levels[level].syslog,
			       .identifier = IDENTIFIER,
			       .fields = line};
	size_t len;

	log_fields_read(&f, fmt, ap);
	if (target == LOG_TARGET_JOURNALD) {
		out.text = f.message.ptr;
		out.len = f.message.len;
		out.fields_len = log_fields_journal(&f, line, sizeof(line));
		if (log_socket_journal(&out))
			return;
	}
	format_time(when);
	len = log_fields_json(&f, when, levels[level].name, line, sizeof(line));
	out.text = line;
	out.len = len - 1;
	if (format == LOG_FORMAT_JSON && target == LOG_TARGET_SYSLOG && log_socket_syslog(&out))
		return;
	write_line(line, len);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	enum log_format format =
		(enum log_format)atomic_load_explicit(&current_format, memory_order_relaxed);
	enum log_target target =
		(enum log_target)atomic_load_explicit(&current_target, memory_order_relaxed);
	va_list ap;

	if (level > log_get_level())
		return;
	va_start(ap, fmt);
	if (format == LOG_FORMAT_JSON || target == LOG_TARGET_JOURNALD)
		write_fields(level, format, target, fmt, ap);
	else
		write_text(level, target, fmt, ap);
	va_end(ap);
}

bool log_limit_ok(struct log_limit *limit, unsigned *ret_held)
{
	uint64_t now = clock_now_ms();

	if (now < limit->next_ms) {
		limit->held++;
		return false;
	}
	limit->next_ms = now + 1000;
	*ret_held = limit->held;
	limit->held = 0;
	return true;
}
