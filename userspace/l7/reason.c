/* SPDX-License-Identifier: BSD-2-Clause */
/* Reasons and their words: see reason.h. */
#include "l7/reason.h"

#include <stddef.h>

static const struct {
	unsigned status;
	const char *text;
} reasons[REASON_COUNT] = {
#define X(name, status, text) {status, text},
	REASONS(X)
#undef X
};

static const struct {
	unsigned status;
	const char *text;
} phrases[] = {
	{400, "Bad Request"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{431, "Request Header Fields Too Large"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

unsigned reason_status(enum reason r)
{
	return reasons[r].status;
}

const char *reason_text(enum reason r)
{
	return reasons[r].text;
}

const char *status_phrase(unsigned status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].text;
	return "";
}
