/* SPDX-License-Identifier: BSD-2-Clause */
/* Trailer sections: see http1_trailers.h. */
#include "l7/http1_trailers.h"

#include "l7/headers.h"

bool http1_is_trailer(struct slice name)
{
	static const struct slice refused[] = {
		SLICE("age"),
		SLICE("pragma"),
		SLICE("range"),
		SLICE("vary"),
		SLICE("expires"),
		SLICE("location"),
		SLICE("warning"),
		SLICE("retry-after"),
		SLICE("max-forwards"),
		SLICE("content-range"),
		SLICE("www-authenticate"),
		SLICE("proxy-authenticate"),
		SLICE("proxy-authorization"),
	};

	/* What has a meaning for a proxy has it in the header. */
	if (field_identify(name) != FIELD_OTHER)
		return false;
	if (name.len > 3 && slice_eq_nocase((struct slice){name.ptr, 3}, SLICE("if-")))
		return false;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (slice_eq_nocase(name, refused[i]))
			return false;
	return true;
}

static char *put(char *out, struct slice s)
{
	if (s.len)
		memcpy(out, s.ptr, s.len);
	return out + s.len;
}

size_t http1_write_trailers(char *out, struct slice section)
{
	const char *start = out, *end = section.ptr + section.len;

	out = put(out, SLICE(HTTP1_TRAILERS_START));
	for (const char *p = section.ptr; end - p > 2;) {
		const char *colon = memchr(p, ':', (size_t)(end - p));
		const char *cr = memchr(colon, '\r', (size_t)(end - colon));
		struct slice name = {p, (size_t)(colon - p)};
		struct slice value = {colon + 1, (size_t)(cr - colon - 1)};

		p = cr + 2;
		if (!http1_is_trailer(name))
			continue;
		out = put(out, name);
		out = put(out, SLICE(": "));
		out = put(out, slice_trim(value));
		out = put(out, SLICE("\r\n"));
	}
	out = put(out, SLICE("\r\n"));
	return (size_t)(out - start);
}
