/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two ends of the control socket agree on: HTTP/1.1 with JSON on a unix socket. Errors are
 * {"error": {"reason": WORD, "message": TEXT, "diagnostics": [{"file", "line", "column", "level",
 * "message"}]}} with one of the status codes below.
 */
#ifndef CONTROL_MESSAGE_H
#define CONTROL_MESSAGE_H

#define API_VERSION	   1
#define API_SOCKET_DEFAULT "/run/shunt/control.sock"
#define API_SOCKET_ENV	   "SHUNT_SOCKET"

/* In diagnostics, the "file" of what was sent in the body of the request: to be checked, or to be
 * applied. The latter is also what later messages call a document that came by this way. */
#define API_BODY_NAME	 "(request)"
#define API_APPLIED_NAME "(config apply)"
#define API_HISTORY_NAME "(generation)" /* the same of one that was in force before */

#define API_JSON "application/json"
#define API_YAML "application/yaml"

/* Exit codes of shuntctl. */
enum api_exit {
	API_EXIT_OK,
	API_EXIT_FAILED,
	API_EXIT_USAGE,
	API_EXIT_REFUSED,     /* the daemon said no */
	API_EXIT_UNREACHABLE, /* no daemon answers */
	API_EXIT_TIMEOUT,     /* what was waited for did not come */
	API_EXIT_WARNINGS,    /* doctor: no errors, but not all is well */
};

#endif
