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

static int format_prefix(char *buf, size_t len, enum log_level level)
{
	struct timespec ts;
	struct tm tm;
	char when[32];

	if (to_journal)
		return snprintf(buf, len, "<%d>", levels[level].syslog);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(buf, len, "%s.%03ldZ %s ", when, ts.tv_nsec / 1000000, levels[level].name);
}

/* One write(2) a line, so that lines of several threads do not mix. Control bytes are masked. */
void log_write(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	size_t room = sizeof(line) - 1; /* for the newline */
	int n;
	size_t len;
	va_list ap;

	if (level > log_get_level())
		return;
	len = (size_t)format_prefix(line, room, level);
	va_start(ap, fmt);
	n = vsnprintf(line + len, room - len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	for (char *p = line + len; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	len += (size_t)n < room - len ? (size_t)n : room - len - 1;
	line[len++] = '\n';
	/* A log that cannot be written has nowhere to say so. */
	(void)!write(STDERR_FILENO, line, len);
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
