/* SPDX-License-Identifier: BSD-2-Clause */
/* What several verbs do alike. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/cli.h"

/* GET path. With -o json the reply is printed here; then and after an error *ret_shown is true, and
 * the caller only passes the exit code on. ret_reply: to be released in any case. */
int cmd_get(const struct cli *cli, const char *path, struct reply *ret_reply, bool *ret_shown);

/* GET prefix/name. */
int cmd_get_named(const struct cli *cli, const char *prefix, const char *name,
		  struct reply *ret_reply, bool *ret_shown);

/* GET path, of the pool that the first argument names, or of all without one. */
int cmd_get_of_pool(const struct cli *cli, const char *path, struct reply *ret_reply,
		    bool *ret_shown);

/* Tables of backends, from an array of them: one of those that are steered to, one of those that are
 * proxied to, as far as there are such. */
int cmd_print_backends(const json_t *backends);

/* "+ backend web/web-3" and so on, a line each, on standard output. */
void cmd_print_changes(const json_t *changes);

/* Of generations that the arguments name: what differs, and one as it was. */
int cmd_compare_generations(const struct cli *cli);
int cmd_show_generation(const struct cli *cli);

/* Send a change, say what came of it, and save where --save is given. */
int cmd_change(const struct cli *cli, const struct request *rq);

/* Wait until nothing of a backend that drains is under way (--timeout, --quiet). An exit code. */
int cmd_wait_drained(const struct cli *cli, const char *pool, const char *name);

/* Elements of an array of texts with commas between them, malloc'ed. NULL: out of memory. */
char *cmd_join(const json_t *list);

/* "2 of 3", with what is the matter where something is. buf of at least 64 bytes; returns buf. */
const char *cmd_usable(const json_t *backend_states, char *buf, size_t len);

#endif
