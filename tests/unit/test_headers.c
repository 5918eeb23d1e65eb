/* SPDX-License-Identifier: BSD-2-Clause */
/* Header fields known by name: every one is found, in any case, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/headers.h"

static enum field_id identify(const char *name)
{
	return field_identify((struct slice){name, strlen(name)});
}

static void test_known_names(void **state)
{
	static const struct {
		const char *name;
		enum field_id id;
	} known[] = {
		{"host", FIELD_HOST},
		{"Content-Length", FIELD_CONTENT_LENGTH},
		{"TRANSFER-ENCODING", FIELD_TRANSFER_ENCODING},
		{"Connection", FIELD_CONNECTION},
		{"Expect", FIELD_EXPECT},
		{"te", FIELD_TE},
		{"Upgrade", FIELD_UPGRADE},
		{"Trailer", FIELD_TRAILER},
		{"Keep-Alive", FIELD_HOP},
		{"HTTP2-Settings", FIELD_HOP},
		{"Proxy-Connection", FIELD_HOP},
		{"Forwarded", FIELD_FORWARDED},
		{"X-Real-IP", FIELD_FORWARDED},
		{"X-Forwarded-For", FIELD_FORWARDED},
		{"x-forwarded-", FIELD_FORWARDED},
		{"Via", FIELD_END_TO_END},
		{"Date", FIELD_END_TO_END},
		{"Cookie", FIELD_END_TO_END},
		{"Set-Cookie", FIELD_END_TO_END},
		{"Content-Type", FIELD_END_TO_END},
		{"Authorization", FIELD_END_TO_END},
		{"Cache-Control", FIELD_END_TO_END},
		{"Content-Encoding", FIELD_END_TO_END},
		{"content_length", FIELD_ALIAS},
		{"Transfer_Encoding", FIELD_ALIAS},
		{"x_real_ip", FIELD_ALIAS},
		{"x_forwarded_for", FIELD_ALIAS},
		{"X_Forwarded-Something-That-Is-Long", FIELD_ALIAS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (identify(known[i].name) != known[i].id)
			fail_msg("%s", known[i].name);
}

static void test_other_names(void **state)
{
	static const char *const other[] = {
		"a",
		"hos",
		"hosts",
		"hast",
		"via2",
		"xpect",
		"x-forwarded",
		"x-forward-for",
		"content-lengths",
		"transfer-encodings",
		"a-name-that-is-longer-than-any-known",
		"_",
		"some_name",
		"x_forward_for",
		"X_Another_Name_That_Is_Long",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (identify(other[i]) != FIELD_OTHER)
			fail_msg("%s", other[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_names),
		cmocka_unit_test(test_other_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
