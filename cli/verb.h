/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command line has: verbs and options, each in one table (main.c). */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include <getopt.h>
#include <stddef.h>

#include "cli/cli.h"

/* args is for people and for completion: what stands in brackets with a dash is an option; capitals
 * name a kind of word, small letters a word as it is, | parts alternatives. */
struct verb {
	const char *noun;
	const char *verb; /* NULL: the noun alone is the command */
	const char *args;
	const char *help;
	int args_min, args_max;
	unsigned takes; /* enum option_flag */
	int (*run)(const struct cli *cli);
};

const struct verb *verb_table(size_t *ret_count);

/* The last one has no name. */
const struct option *option_table(void);

/* Which flag of verbs an option stands for (enum option_flag); 0: every verb takes it. */
unsigned option_flag_of(int option);

#endif
