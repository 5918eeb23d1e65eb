/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the daemon: one request on the control socket, one reply. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct reply {
	long status;  /* HTTP */
	char *body;   /* with a zero behind it */
	json_t *json; /* NULL: the body is not JSON */
};

/* body NULL: none. API_EXIT_OK: the daemon did what was asked; else the exit code, and what went
 * wrong was told on standard error (as_json: an error of the daemon as it came). file: what to call
 * the body in diagnostics, or NULL. ret_reply: to be released in any case. */
struct request {
	const char *socket;
	const char *method;
	const char *path;
	const char *type;
	const char *body;
	size_t body_len;
	const char *file;
	const char *if_generation; /* NULL: whatever is in force */
	bool strict;		   /* warnings are errors */
	bool as_json;
	bool quiet;   /* nothing is told on standard error */
	long seconds; /* that it may take; 0: the usual */
};
int client_ask(const struct request *rq, struct reply *ret_reply);

void reply_deinit(struct reply *r);

/* Escaped for a path or a query, malloc'ed; NULL: out of memory. */
char *client_escape(const char *text);

/* Append to *path, a malloc'ed text or NULL, a slash and the segment, escaped. 0, or -ENOMEM. */
int client_add_segment(char **path, const char *segment);

/* The "diagnostics" of a reply, a line each, on standard error. */
void client_print_diagnostics(const json_t *list, const char *file);

#endif
