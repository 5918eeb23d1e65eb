/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages of gRPC health checks: what is asked, and what counts as an answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/grpc_message.h"

static void a_request_names_the_service(void **state)
{
	char out[GRPC_REQUEST_MAX], name[GRPC_SERVICE_MAX + 1];

	(void)state;
	assert_int_equal(grpc_request_write(out, ""), 5);
	assert_memory_equal(out, "\0\0\0\0\0", 5);
	assert_int_equal(grpc_request_write(out, "a.B"), 10);
	assert_memory_equal(out, "\0\0\0\0\5\x0a\3a.B", 10);
	memset(name, 'x', GRPC_SERVICE_MAX);
	name[GRPC_SERVICE_MAX] = '\0';
	assert_int_equal(grpc_request_write(out, name), 5 + 3 + 255);
	assert_memory_equal(out, "\0\0\0\1\2\x0a\xff\1xx", 10);
}

static void an_answer_has_one_reading(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		int err;
		uint64_t serving;
	} rows[] = {
#define ROW(text, ...) {text, sizeof(text) - 1, __VA_ARGS__}
		ROW("\0\0\0\0\0", 0, GRPC_UNKNOWN),
		ROW("\0\0\0\0\2\x08\1", 0, GRPC_SERVING),
		ROW("\0\0\0\0\2\x08\2", 0, GRPC_NOT_SERVING),
		ROW("\0\0\0\0\3\x08\x81\1", 0, 129),
		/* the last one counts; fields of other numbers are skipped */
		ROW("\0\0\0\0\4\x08\2\x08\1", 0, GRPC_SERVING),
		ROW("\0\0\0\0\6\x12\2ab\x08\1", 0, GRPC_SERVING),
		ROW("\0\0\0\0\xb\x11"
		    "12345678\x08\1",
		    0, GRPC_SERVING),
		ROW("\0\0\0\0\7\x15"
		    "1234\x08\1",
		    0, GRPC_SERVING),
		ROW("\0\0\0\0\4\x18\x80\1\x08", -EBADMSG, 0),
		ROW("", -EBADMSG, 0),
		ROW("\0\0\0\0", -EBADMSG, 0),
		ROW("\1\0\0\0\2\x08\1", -EBADMSG, 0),
		ROW("\0\0\0\0\3\x08\1", -EBADMSG, 0),
		ROW("\0\0\0\0\2\x08\1\0", -EBADMSG, 0),
		ROW("\0\0\0\0\2\x08\x81", -EBADMSG, 0),
		ROW("\0\0\0\0\3\x12\2a", -EBADMSG, 0),
		ROW("\0\0\0\0\1\x0b", -EBADMSG, 0),
		ROW("\0\0\0\0\xc\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", -EBADMSG, 0),
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t serving = 0;

		assert_int_equal(grpc_reply_read(rows[i].data, rows[i].len, &serving), rows[i].err);
		assert_int_equal(serving, rows[i].serving);
	}
}

static void all_numbers_have_a_name(void **state)
{
	(void)state;
	assert_string_equal(grpc_status_name(12), "unimplemented");
	assert_string_equal(grpc_status_name(17), "");
	assert_string_equal(grpc_serving_name(2), "NOT_SERVING");
	assert_string_equal(grpc_serving_name(99), "a status that is not known");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_names_the_service),
		cmocka_unit_test(an_answer_has_one_reading),
		cmocka_unit_test(all_numbers_have_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
