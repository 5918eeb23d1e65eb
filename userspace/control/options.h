/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of shuntd. Main thread. */
#ifndef CONTROL_OPTIONS_H
#define CONTROL_OPTIONS_H

#include <stdbool.h>

struct options {
	const char *config_path; /* never NULL */
	const char *socket_path; /* NULL: as the configuration says */
	const char *state_dir;	 /* where generations are kept; NULL: nowhere */
	bool check;
	bool strict; /* warnings of the file are errors */
};

/* Parse; --log-level takes effect at once. Returns -1 to go on, else the exit code: --help and
 * --version are answered (0), what is wrong was told on standard error (2). */
int options_parse(int argc, char **argv, struct options *ret_options);

#endif
