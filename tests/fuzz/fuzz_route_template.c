/* SPDX-License-Identifier: BSD-2-Clause */
/* Templates: whatever the text and the request are, what comes out is a header field's value, a
 * path, or a URL, and nothing more. The first byte says which. */
#include <stdbool.h>

#include "route/template.h"
#include "tests/fuzz/route_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ROOM 1024

/* What l7/path.c lets through. */
static bool is_path(struct slice path)
{
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] <= ' ' || path.ptr[i] > '~' || strchr("?#", path.ptr[i]))
			return false;
	return path.len && path.ptr[0] == '/';
}

static bool has(struct slice s, const char *text)
{
	return memmem(s.ptr, s.len, text, strlen(text));
}

static bool ends(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && !memcmp(s.ptr + s.len - len, text, len);
}

static void check_path(struct slice s)
{
	assert(is_path(s));
	assert(s.len < 2 || (s.ptr[1] != '/' && s.ptr[1] != '\\'));
	assert(!has(s, "/../") && !has(s, "/./") && !ends(s, "/..") && !ends(s, "/."));
}

/* Its host holds nothing that a host cannot have; without one it is a path with a query. */
static void check_url(struct slice s)
{
	const char *query = memchr(s.ptr, '?', s.len);
	size_t at = s.ptr[0] == '/' ? 0 : 7, end;

	for (size_t i = 0; i < s.len; i++)
		assert(s.ptr[i] > ' ' && s.ptr[i] <= '~' && s.ptr[i] != '#');
	if (!at) {
		check_path((struct slice){s.ptr, query ? (size_t)(query - s.ptr) : s.len});
		return;
	}
	assert(!memcmp(s.ptr, "http://", 7) || !memcmp(s.ptr, "https://", 8));
	at += s.ptr[4] == 's';
	assert(at < s.len);
	for (end = at; end < s.len && s.ptr[end] != '/' && s.ptr[end] != '?'; end++)
		;
	assert(end > at);
}

static void check_rendered(enum template_use use, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		assert(s.ptr[i] != '\r' && s.ptr[i] != '\n' && s.ptr[i] != '\0');
	if (use == TEMPLATE_PATH)
		check_path(s);
	else if (use == TEMPLATE_URL)
		check_url(s);
}

static void render(const struct template *t, enum template_use use, const struct route_input *in)
{
	struct path_captures captures = {.count = 3};
	char whole[ROOM], part[ROOM];
	size_t len = 0, again = 0;

	captures.values[0] = in->path;
	captures.values[1] =
		in->path.len ? (struct slice){in->path.ptr + 1, in->path.len - 1} : SLICE("");
	captures.values[2] = SLICE("b");
	if (template_render(t, in, &captures, whole, sizeof(whole), &len))
		return;
	check_rendered(use, (struct slice){whole, len});
	assert(!template_render(t, in, &captures, part, len, &again));
	assert(again == len && !memcmp(whole, part, len));
	assert(!len || template_render(t, in, &captures, part, len - 1, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = {"", "rest", "b"};
	enum template_use use = len ? data[0] % 3 : TEMPLATE_VALUE;
	struct slice rest = {(const char *)data + (len > 0), len - (len > 0)}, text;
	const struct template *t = NULL;
	struct route_input in;
	struct fuzz_world w;
	int err;

	fuzz_world_init(&w);
	w.scope.captures = names;
	w.scope.capture_count = 3;
	text = next_part(&rest);
	err = template_compile(&w.scope, use, text, NULL, &t);
	assert(!err == (t != NULL));
	check_told(&w, err);
	in = fuzz_request(&w, rest);
	if (t && is_path(in.path))
		render(t, use, &in);
	fuzz_world_deinit(&w);
	return 0;
}
