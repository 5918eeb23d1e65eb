/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes to header fields: see header_edit.h. */
#include "route/header_edit.h"

#include <ctype.h>
#include <errno.h>

#define NAME_LEN_MAX 128

/* A proxy writes them itself; what a rule would put there could be read as another message. */
static const char *const ours[] = {
	"connection",	    "content-length",	 "expect",  "host",
	"http2-settings",   "keep-alive",	 "te",	    "trailer",
	"proxy-connection", "transfer-encoding", "upgrade",
};

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) &&
		    (!s.ptr[i] || !strchr("!#$%&'*+-.^_`|~", s.ptr[i])))
			return false;
	return s.len && s.len <= NAME_LEN_MAX;
}

int header_edit_compile(const struct route_scope *scope, enum header_op op, struct slice name,
			struct slice value, const struct pos *pos, struct header_edit *ret_edit)
{
	struct header_edit e = {.op = op};
	int err;

	if (!is_token(name)) {
		diag_error(scope->diag, pos, "%s%s is no name of a header field",
			   route_object(scope), route_quote(name).s);
		return -EINVAL;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (slice_eq_nocase(name, (struct slice){ours[i], strlen(ours[i])})) {
			diag_error(scope->diag, pos, "%s%s is not for rules: the proxy writes it",
				   route_object(scope), ours[i]);
			return -EINVAL;
		}
	e.name = route_mem_copy(scope->mem, name);
	if (!e.name.ptr)
		return -ENOMEM;
	for (char *c = (char *)e.name.ptr; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	err = op == HEADER_REMOVE ? 0
				  : template_compile(scope, TEMPLATE_VALUE, value, pos, &e.value);
	if (!err)
		*ret_edit = e;
	return err;
}
