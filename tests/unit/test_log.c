/* SPDX-License-Identifier: BSD-2-Clause */
/* core/log: levels, the form of a line, and what is held back. Standard error is a pipe here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

static int saved_stderr;
static int log_end;

static int catch_log(void **state)
{
	int fds[2];

	(void)state;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	log_end = fds[0];
	if (dup2(fds[1], STDERR_FILENO) < 0)
		return -1;
	return close(fds[1]);
}

static int release_log(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	return close(log_end);
}

/* What was written since the last call; "" for nothing. */
static const char *caught(void)
{
	static char text[8192];
	ssize_t n = read(log_end, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void levels_have_names(void **state)
{
	enum log_level level;

	(void)state;
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
}

static void lines_over_the_level_are_not_written(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_WARNING);
	log_info("test: not this");
	log_debug("test: nor this");
	assert_string_equal(caught(), "");
	log_warning("test: this count=%d", 3);
	assert_non_null(strstr(caught(), "Z warning test: this count=3\n"));
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("test: now");
	assert_non_null(strstr(caught(), "Z debug test: now\n"));
	log_set_level(LOG_LEVEL_INFO);
}

static void journald_gets_its_prefix(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_init();
	log_error("test: bad");
	assert_string_equal(caught(), "<3>test: bad\n");
	unsetenv("JOURNAL_STREAM");
	log_init();
}

static void one_message_is_one_line(void **state)
{
	char text[4096];
	const char *line;

	(void)state;
	log_info("test: a\nb\x1b[0m");
	assert_non_null(strstr(caught(), " test: a?b?[0m\n"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_info("test: %s", text);
	line = caught();
	assert_true(strlen(line) <= 2048);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void floods_are_held_back(void **state)
{
	struct log_limit limit = {0};
	unsigned held = 77;

	(void)state;
	assert_true(log_limit_ok(&limit, &held));
	assert_int_equal(held, 0);
	for (int i = 0; i < 5; i++)
		assert_false(log_limit_ok(&limit, &held));
	limit.next_ms = 0; /* as if the second had passed */
	assert_true(log_limit_ok(&limit, &held));
	assert_int_equal(held, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test_setup_teardown(lines_over_the_level_are_not_written, catch_log,
						release_log),
		cmocka_unit_test_setup_teardown(journald_gets_its_prefix, catch_log, release_log),
		cmocka_unit_test_setup_teardown(one_message_is_one_line, catch_log, release_log),
		cmocka_unit_test(floods_are_held_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
