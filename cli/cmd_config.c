/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl config. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

#define FILE_MAX (8U << 20)

static int read_all(FILE *in, char **ret_text, size_t *ret_len)
{
	size_t len = 0, room = 1 << 16;
	char *text = malloc(room), *longer;

	while (text) {
		len += fread(text + len, 1, room - len, in);
		if (len < room || len > FILE_MAX)
			break;
		room *= 2;
		longer = realloc(text, room);
		if (!longer)
			free(text);
		text = longer;
	}
	if (!text)
		return -ENOMEM;
	if (ferror(in) || len > FILE_MAX) {
		free(text);
		return ferror(in) ? -EIO : -EFBIG;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* FILE, or standard input for "-". An exit code. */
static int read_file(const char *path, char **ret_text, size_t *ret_len)
{
	FILE *in = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	int err = in ? read_all(in, ret_text, ret_len) : -errno;

	if (in && in != stdin)
		fclose(in);
	if (!err)
		return API_EXIT_OK;
	tell_error("%s: %s", path, strerror(-err));
	return API_EXIT_FAILED;
}

static void init_request(const struct cli *cli, struct request *rq, const char *path)
{
	*rq = (struct request){.socket = cli->socket,
			       .method = "GET",
			       .path = path,
			       .type = API_YAML,
			       .as_json = cli->output == OUTPUT_JSON};
}

/* Have FILE, or without one the daemon's own, checked and compared. */
static int compare(const struct cli *cli, const char *path, struct reply *ret_reply)
{
	struct request rq;
	char *text = NULL;
	int code = API_EXIT_OK;

	memset(ret_reply, 0, sizeof(*ret_reply));
	init_request(cli, &rq, path);
	rq.strict = cli->given & TAKES_STRICT;
	if (cli->argc) {
		code = read_file(cli->argv[0], &text, &rq.body_len);
		rq.method = "POST";
		rq.body = text;
		rq.file = strcmp(cli->argv[0], "-") != 0 ? cli->argv[0] : "(standard input)";
	}
	if (!code)
		code = client_ask(&rq, ret_reply);
	if (!code && cli->output == OUTPUT_JSON)
		print_json(stdout, ret_reply->json);
	else if (!code)
		client_print_diagnostics(json_object_get(ret_reply->json, "diagnostics"), rq.file);
	free(text);
	return code;
}

int cmd_config_check(const struct cli *cli)
{
	struct reply r;
	int code = compare(cli, cli->argc ? "/v1/config/check" : "/v1/config/diff", &r);
	size_t n = json_array_size(json_object_get(r.json, "changes"));

	if (!code && cli->output == OUTPUT_TABLE)
		print_safe(stdout, "%s: good, would change %zu %s",
			   cli->argc ? cli->argv[0] : "the daemon's file", n,
			   n == 1 ? "thing" : "things");
	if (!code && cli->output == OUTPUT_TABLE)
		putchar('\n');
	reply_deinit(&r);
	return code;
}

int cmd_config_diff(const struct cli *cli)
{
	const json_t *changes;
	struct reply r;
	int code;

	if (cli->argc == 2)
		return cmd_compare_generations(cli);
	code = compare(cli, "/v1/config/diff", &r);
	changes = json_object_get(r.json, "changes");
	if (!code && cli->output == OUTPUT_TABLE) {
		cmd_print_changes(changes);
		if (!json_array_size(changes))
			puts("no difference");
	}
	reply_deinit(&r);
	return code;
}

int cmd_config_apply(const struct cli *cli)
{
	struct request rq;
	char *text = NULL;
	int code;

	init_request(cli, &rq, "/v1/config/apply");
	rq.strict = cli->given & TAKES_STRICT;
	rq.method = "POST";
	rq.file = strcmp(cli->argv[0], "-") != 0 ? cli->argv[0] : "(standard input)";
	code = read_file(cli->argv[0], &text, &rq.body_len);
	rq.body = text;
	if (!code)
		code = cmd_change(cli, &rq);
	free(text);
	return code;
}

int cmd_config_show(const struct cli *cli)
{
	struct request rq;
	struct reply r;
	int code;

	if (cli->argc)
		return cmd_show_generation(cli);
	init_request(cli, &rq,
		     cli->output == OUTPUT_JSON ? "/v1/config?format=json" : "/v1/config");
	code = client_ask(&rq, &r);
	if (!code)
		fputs(r.body ? r.body : "", stdout);
	reply_deinit(&r);
	return code;
}

/* In place of path, with its mode; standard output for "-". An exit code. */
static int write_formatted(const char *path, const char *text)
{
	char *temporary = NULL;
	struct stat st;
	FILE *out;
	int err = 0;

	if (!strcmp(path, "-"))
		return fputs(text, stdout) < 0 ? API_EXIT_FAILED : API_EXIT_OK;
	if (asprintf(&temporary, "%s.new.%d", path, (int)getpid()) < 0)
		temporary = NULL;
	out = temporary ? fopen(temporary, "wxe") : NULL;
	if (!out || stat(path, &st) || fchmod(fileno(out), st.st_mode & 07777) ||
	    fchown(fileno(out), st.st_uid, st.st_gid) || fputs(text, out) < 0 || fflush(out) ||
	    fsync(fileno(out)))
		err = -errno;
	if (out && fclose(out) && !err)
		err = -errno;
	if (!err && rename(temporary, path))
		err = -errno;
	if (err) {
		tell_error("%s: %s", path, strerror(-err));
		if (out)
			(void)unlink(temporary);
	}
	free(temporary);
	return err ? API_EXIT_FAILED : API_EXIT_OK;
}

int cmd_config_fmt(const struct cli *cli)
{
	const char *path = cli->argv[0];
	struct request rq;
	struct reply r = {0};
	char *text = NULL;
	int code;

	init_request(cli, &rq, "/v1/config/format");
	rq.method = "POST";
	rq.file = strcmp(path, "-") != 0 ? path : "(standard input)";
	code = read_file(path, &text, &rq.body_len);
	rq.body = text;
	if (!code)
		code = client_ask(&rq, &r);
	if (!code && r.body) {
		bool same = strlen(r.body) == rq.body_len && !memcmp(r.body, text, rq.body_len);

		if (cli->given & TAKES_CHECK) {
			if (!same)
				print_safe(stdout, "%s: another form", rq.file);
			if (!same)
				putchar('\n');
			code = same ? API_EXIT_OK : API_EXIT_FAILED;
		} else if (!same || !strcmp(path, "-")) {
			code = write_formatted(path, r.body);
		}
	}
	reply_deinit(&r);
	free(text);
	return code;
}

int cmd_config_schema(const struct cli *cli)
{
	struct request rq;
	struct reply r;
	int code;

	init_request(cli, &rq, "/v1/config/schema");
	code = client_ask(&rq, &r);
	if (!code)
		fputs(r.body ? r.body : "", stdout);
	reply_deinit(&r);
	return code;
}

int cmd_config_save(const struct cli *cli)
{
	struct request rq;
	struct reply r;
	int code;

	init_request(cli, &rq, "/v1/config/save");
	rq.method = "POST";
	rq.body = "";
	code = client_ask(&rq, &r);
	if (!code && cli->output == OUTPUT_JSON) {
		print_json(stdout, r.json);
	} else if (!code) {
		print_safe(stdout,
			   "saved to %s; the former file is %s.bak, its comments are not "
			   "in the new one",
			   field_text(r.json, "file"), field_text(r.json, "file"));
		putchar('\n');
	}
	reply_deinit(&r);
	return code;
}
