/* SPDX-License-Identifier: BSD-2-Clause */
/* Reasons and their words: see reason.h. */
#include "l7/reason.h"

#include <stddef.h>

static const struct {
	unsigned status;
	const char *text, *name;
} reasons[REASON_COUNT] = {
#define X(name, status, text) {status, text, #name},
	REASONS(X)
#undef X
};

static const struct {
	unsigned status;
	const char *text;
} phrases[] = {
	{101, "Switching Protocols"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{206, "Partial Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{410, "Gone"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{425, "Too Early"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
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

const char *reason_name(enum reason r)
{
	return reasons[r].name;
}

const char *status_phrase(unsigned status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].text;
	return "";
}
