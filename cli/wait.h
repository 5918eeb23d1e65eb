/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the daemon again and again until something is so. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include <stddef.h>

#include "cli/cli.h"

enum wait_state {
	WAIT_DONE,
	WAIT_NOT_YET, /* says: what is still missing, for a person */
	WAIT_NEVER,   /* says: why it will not be any more */
};

/* What is asked, and who looks at the answer, be it an error; r->json is NULL only where it is no JSON. */
struct wait_for {
	const char *what; /* for a person: "web/b1" */
	const char *path;
	enum wait_state (*look)(void *ctx, const struct reply *r, char *says, size_t len);
	void *ctx;
};

#define WAIT_TEXT_MAX 160

/* Until w->look() is done, cli->timeout_ms have passed (API_EXIT_TIMEOUT) or it will never be. Says how it
 * stands on a terminal meanwhile. An exit code. */
int wait_for(const struct cli *cli, const struct wait_for *w);

#endif
