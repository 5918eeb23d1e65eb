/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of hosts: see host.h. */
#include "route/host.h"

#include <ctype.h>
#include <errno.h>

#include "core/addr.h"

#define NAME_LEN_MAX  253
#define LABEL_LEN_MAX 63

static bool is_name(struct slice s)
{
	size_t label = 0;

	if (!s.len || s.len > NAME_LEN_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '.' ? !label : !isalnum((unsigned char)c) && c != '-' && c != '_')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_LEN_MAX)
			return false;
	}
	return label;
}

static bool is_bracketed_address(struct slice s)
{
	char text[ADDR_STRLEN];
	struct addr addr;

	if (s.len < 2 || s.len - 2 >= sizeof(text) || s.ptr[0] != '[' || s.ptr[s.len - 1] != ']')
		return false;
	memcpy(text, s.ptr + 1, s.len - 2);
	text[s.len - 2] = '\0';
	return !addr_parse(text, &addr) && addr.family == AF_INET6;
}

int host_pattern_parse(struct route_mem *m, struct slice text, struct host_pattern *ret_pattern)
{
	bool is_suffix = text.len > 2 && !memcmp(text.ptr, "*.", 2);
	struct slice name = is_suffix ? (struct slice){text.ptr + 2, text.len - 2} : text;
	struct slice copy;

	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	if (!is_name(name) && (is_suffix || !is_bracketed_address(name)))
		return -EINVAL;
	copy = route_mem_copy(m, (struct slice){name.ptr - is_suffix, name.len + is_suffix});
	if (!copy.ptr)
		return -ENOMEM;
	for (char *c = (char *)copy.ptr; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	*ret_pattern = (struct host_pattern){copy, is_suffix};
	return 0;
}

bool host_pattern_fits(const struct host_pattern *p, struct slice host)
{
	size_t len = p->text.len;

	if (!p->is_suffix)
		return slice_eq(p->text, host);
	return host.len > len && !memcmp(host.ptr + host.len - len, p->text.ptr, len);
}

bool host_pattern_covers(const struct host_pattern *outer, const struct host_pattern *inner)
{
	if (inner->is_suffix && outer->is_suffix && slice_eq(outer->text, inner->text))
		return true;
	return outer->is_suffix ? host_pattern_fits(outer, inner->text)
				: !inner->is_suffix && slice_eq(outer->text, inner->text);
}
