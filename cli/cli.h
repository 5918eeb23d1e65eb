/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs of shuntctl share: the command line as it was understood, and their entry points. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/client.h"
#include "control/message.h"

enum output { OUTPUT_TABLE, OUTPUT_JSON };

/* Options that not every verb takes. */
enum option_flag {
	TAKES_SAVE = 1 << 0,
	TAKES_WEIGHT = 1 << 1,
	TAKES_FLOWS = 1 << 2,
	TAKES_FOR = 1 << 3,
	TAKES_NOTE = 1 << 4,
	TAKES_ALLOW = 1 << 5,
	TAKES_SERVICE = 1 << 6,
	TAKES_HEADER = 1 << 7,
	TAKES_SOURCE = 1 << 8,
	TAKES_GENERATION = 1 << 9,
	TAKES_STRICT = 1 << 10,
	TAKES_CHECK = 1 << 11,
	TAKES_WAIT = 1 << 12,
	TAKES_TIMEOUT = 1 << 13,
	TAKES_QUIET = 1 << 14,
	TAKES_BINARY = 1 << 15,
	TAKES_SYN = 1 << 16,
	TAKES_VLAN = 1 << 17,
	TAKES_IFACE = 1 << 18,
	TAKES_BACKEND = 1 << 19,
	TAKES_LIMIT = 1 << 20,
	TAKES_ALL = 1 << 21,
	TAKES_SORT = 1 << 22,
	TAKES_ONCE = 1 << 23,
	TAKES_CAPTURE = 1 << 24, /* all that capture alone takes */
};

#define CLI_HEADERS_MAX 64

/* What only capture takes; zero: not given. */
struct cli_capture {
	const char *write, *format, *destination, *protocol; /* as given */
	unsigned port, count, snaplen;
	uint64_t bytes;
	bool drops, before, after;
};

struct cli {
	const char *socket;
	enum output output;
	unsigned given; /* enum option_flag */
	unsigned weight;
	const char *for_time, *note, *service, *source; /* as given */
	const char *generation;				/* the same; NULL: any */
	const char *binary;				/* the same */
	uint64_t timeout_ms, quiet_ms;
	const char *headers[CLI_HEADERS_MAX]; /* NAME: VALUE */
	unsigned header_count;
	const char *iface, *backend, *sort;
	unsigned vlan, limit;
	struct cli_capture capture;
	int argc; /* after the verbs */
	char **argv;
};

/* Each returns an exit code (enum api_exit) and has told what went wrong. */
int cmd_status(const struct cli *cli);
int cmd_version(const struct cli *cli);
int cmd_health(const struct cli *cli);
int cmd_service_list(const struct cli *cli);
int cmd_service_show(const struct cli *cli);
int cmd_pool_list(const struct cli *cli);
int cmd_pool_show(const struct cli *cli);
int cmd_backend_list(const struct cli *cli);
int cmd_backend_add(const struct cli *cli);
int cmd_backend_remove(const struct cli *cli);
int cmd_backend_drain(const struct cli *cli);
int cmd_backend_undrain(const struct cli *cli);
int cmd_backend_disable(const struct cli *cli);
int cmd_backend_enable(const struct cli *cli);
int cmd_backend_weight(const struct cli *cli);
int cmd_config_check(const struct cli *cli);
int cmd_config_apply(const struct cli *cli);
int cmd_config_show(const struct cli *cli);
int cmd_config_diff(const struct cli *cli);
int cmd_config_fmt(const struct cli *cli);
int cmd_config_schema(const struct cli *cli);
int cmd_config_save(const struct cli *cli);
int cmd_config_history(const struct cli *cli);
int cmd_config_rollback(const struct cli *cli);
int cmd_route_list(const struct cli *cli);
int cmd_route_test(const struct cli *cli);
int cmd_limit_list(const struct cli *cli);
int cmd_guard_list(const struct cli *cli);
int cmd_guard_add(const struct cli *cli);
int cmd_guard_remove(const struct cli *cli);
int cmd_guard_flush(const struct cli *cli);
int cmd_conn_list(const struct cli *cli);
int cmd_conn_count(const struct cli *cli);
int cmd_conn_kill(const struct cli *cli);
int cmd_top(const struct cli *cli);
int cmd_explain(const struct cli *cli);
int cmd_capture(const struct cli *cli);
int cmd_log_level(const struct cli *cli);
int cmd_log_reopen(const struct cli *cli);
int cmd_wait_ready(const struct cli *cli);
int cmd_wait_health(const struct cli *cli);
int cmd_wait_generation(const struct cli *cli);
int cmd_doctor(const struct cli *cli);
int cmd_cert_list(const struct cli *cli);
int cmd_completion(const struct cli *cli);
int cmd_upgrade(const struct cli *cli);

#endif
