/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl completion: scripts that ask `shuntctl completion words` what may stand in a place, and
 * its answer, from the tables of verbs and options and from the daemon. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"
#include "cli/verb.h"

/* Said alone: names of files, which the shell knows. */
#define FILES ":files"

/* Who presses a key does not wait for a daemon that hangs. */
#define ASK_SECONDS 2
#define WORDS_MAX   8
#define KIND_MAX    64

/* A command line as far as the word that is completed. */
struct completion {
	const char *socket;
	const char *words[WORDS_MAX]; /* no options */
	size_t count;
	const struct option *open; /* the word is its value; NULL: it is not */
	const char *before;	   /* of the word, kept as it is: "--output=" */
	int before_len;
	const char *typed;
	const struct verb *verb; /* NULL: not named yet */
};

static void offer(const struct completion *c, const char *word)
{
	if (!strncmp(word, c->typed, strlen(c->typed)))
		printf("%.*s%s\n", c->before_len, c->before, word);
}

/* ---- what the daemon knows ---- */

static bool ask(const struct completion *c, const char *path, struct reply *ret_reply)
{
	struct request rq = {.socket = c->socket,
			     .method = "GET",
			     .path = path,
			     .timeout_s = ASK_SECONDS,
			     .quiet = true};

	return client_ask(&rq, ret_reply) == API_EXIT_OK;
}

/* before: stands in front of each name. */
static void offer_names(const struct completion *c, const char *path, const char *list,
			const char *before)
{
	struct reply r;
	size_t i;
	json_t *item;
	char *word;

	if (ask(c, path, &r)) {
		json_array_foreach (json_object_get(r.json, list), i, item) {
			if (asprintf(&word, "%s%s", before, field_text(item, "name")) < 0)
				break;
			offer(c, word);
			free(word);
		}
	}
	reply_deinit(&r);
}

static void offer_generations(const struct completion *c)
{
	char number[24];
	struct reply r;
	size_t i;
	json_t *item;

	if (ask(c, "/v1/config/history", &r)) {
		json_array_foreach (json_object_get(r.json, "generations"), i, item) {
			(void)snprintf(number, sizeof(number), "%llu",
				       (unsigned long long)field_count(item, "generation"));
			offer(c, number);
		}
	}
	reply_deinit(&r);
}

static void offer_backends(const struct completion *c, const char *pool, const char *before)
{
	char *escaped = client_escape(pool), *path = NULL;

	if (escaped && asprintf(&path, "/v1/health?pool=%s", escaped) >= 0) {
		offer_names(c, path, "backends", before);
		free(path);
	}
	free(escaped);
}

/* POOL, or POOL/NAME once there is the slash. */
static void offer_pools(const struct completion *c, bool with_name)
{
	const char *slash = strchr(c->typed, '/');
	char *pool, *before = NULL;

	if (!slash || !with_name) {
		offer_names(c, "/v1/pools", "pools", "");
		return;
	}
	pool = strndup(c->typed, (size_t)(slash - c->typed));
	if (pool && asprintf(&before, "%s/", pool) >= 0) {
		offer_backends(c, pool, before);
		free(before);
	}
	free(pool);
}

/* ---- arguments ---- */

/* What verb->args calls `kind`; former: the argument in front of it, or "". */
static void offer_kind(const struct completion *c, const char *kind, const char *former)
{
	const char *args = c->verb->args;

	if (islower((unsigned char)kind[0]))
		offer(c, kind);
	else if (!strcmp(kind, "SERVICE"))
		offer_names(c, "/v1/services", "services", "");
	else if (!strcmp(kind, "POOL"))
		offer_pools(c, strstr(args, "POOL NAME") && !strstr(args, "ADDRESS"));
	else if (!strcmp(kind, "POOL[/NAME]"))
		offer_pools(c, true);
	else if (!strcmp(kind, "NAME") && !strstr(args, "ADDRESS") && !strchr(former, '/'))
		offer_backends(c, former, "");
	else if (!strcmp(kind, "GENERATION"))
		offer_generations(c);
	else if (!strcmp(kind, "FILE"))
		puts(FILES);
}

/* The word of number `place` in each of the alternatives of a group, "FILE | GENERATION GENERATION".
 * Returns of how many arguments the longest one is. */
static size_t offer_group(const struct completion *c, const char *text, size_t len, size_t place,
			  const char *former)
{
	char kinds[KIND_MAX], *rest = kinds, *alternative, *kind, *inner;
	size_t longest = 0;

	(void)snprintf(kinds, sizeof(kinds), "%.*s", (int)len, text);
	while ((alternative = strsep(&rest, "|"))) {
		size_t n = 0;

		for (kind = strtok_r(alternative, " ", &inner); kind;
		     kind = strtok_r(NULL, " ", &inner))
			if (n++ == place)
				offer_kind(c, kind, former);
		longest = n > longest ? n : longest;
	}
	return longest;
}

/* As far as the space that is in no brackets. */
static size_t group_len(const char *args)
{
	int depth = 0;
	size_t i;

	for (i = 0; args[i] && (depth || args[i] != ' '); i++)
		depth += args[i] == '[' ? 1 : args[i] == ']' ? -1 : 0;
	return i;
}

static void offer_argument(const struct completion *c, size_t place)
{
	const char *former = place ? c->words[c->count - 1] : "";
	size_t skip = place; /* arguments in front of the one that is completed, in this form */
	bool found = false;

	for (const char *args = c->verb->args; *args; args += strspn(args, " ")) {
		size_t len = group_len(args), taken;
		bool whole = args[0] == '[' && args[len - 1] == ']';

		if (len == 1 && args[0] == '|') { /* another form of the verb */
			skip = place;
			found = false;
		} else if (strncmp(args, "[-", 2) != 0 && !found) {
			taken = offer_group(c, args + whole, len - 2 * whole, skip, former);
			found = skip < taken;
			skip -= found ? 0 : taken;
		}
		args += len;
	}
}

/* ---- options ---- */

static void offer_options(const struct completion *c)
{
	char word[40];

	for (const struct option *o = option_table(); o->name; o++) {
		unsigned flag = option_flag_of(o->val);

		if (flag && !(c->verb && (c->verb->takes & flag)))
			continue;
		(void)snprintf(word, sizeof(word), "--%s", o->name);
		offer(c, word);
	}
}

static void offer_value(const struct completion *c)
{
	if (c->open->val == 's' || c->open->val == 'w') {
		puts(FILES);
	} else if (!strcmp(c->open->name, "format")) {
		offer(c, "pcapng");
		offer(c, "pcap");
	} else if (!strcmp(c->open->name, "protocol")) {
		offer(c, "tcp");
		offer(c, "udp");
		offer(c, "icmp");
	} else if (c->open->val == 'o') {
		offer(c, "table");
		offer(c, "json");
	} else if (!strcmp(c->open->name, "service")) {
		offer_names(c, "/v1/services", "services", "");
	}
}

/* "--weight", "--weight=3" or "-s"; NULL: none of ours. */
static const struct option *find_option(const char *word)
{
	size_t len = strcspn(word, "=");

	for (const struct option *o = option_table(); o->name; o++) {
		if (word[1] != '-' && o->val == (unsigned char)word[1])
			return o;
		if (word[1] == '-' && strlen(o->name) == len - 2 &&
		    !strncmp(o->name, word + 2, len - 2))
			return o;
	}
	return NULL;
}

/* ---- the line ---- */

static void take_option(struct completion *c, const char *word)
{
	const char *value = strchr(word, '=');

	c->open = find_option(word);
	if (!c->open || c->open->has_arg == no_argument) {
		c->open = NULL;
	} else if (value) {
		if (c->open->val == 's')
			c->socket = value + 1;
		c->open = NULL;
	}
}

/* One in front of the word that is completed. */
static void take_word(struct completion *c, const char *word)
{
	if (!strcmp(word, "="))
		return; /* bash makes three words of --output=json */
	if (c->open) {
		if (c->open->val == 's')
			c->socket = word;
		c->open = NULL;
	} else if (word[0] == '-' && word[1]) {
		take_option(c, word);
	} else if (c->count < WORDS_MAX) {
		c->words[c->count++] = word;
	}
}

/* The last word may itself be --output=VALUE. */
static void take_last(struct completion *c, const char *word)
{
	const char *value = strchr(word, '=');

	c->before = word;
	c->typed = word;
	if (!strcmp(word, "=")) {
		c->typed = "";
	} else if (!c->open && value && !strncmp(word, "--", 2)) {
		c->open = find_option(word);
		c->typed = value + 1;
		c->before_len = (int)(c->typed - word);
	}
}

/* How many words the verb is; 0: more than one can follow, or none is known. */
static size_t find_verb(struct completion *c)
{
	size_t n;
	const struct verb *verbs = verb_table(&n);

	for (size_t i = 0; i < n && c->count; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->noun, c->words[0]) != 0)
			continue;
		if (!v->verb || (c->count > 1 && !strcmp(v->verb, c->words[1]))) {
			c->verb = v;
			return v->verb ? 2 : 1;
		}
	}
	return 0;
}

/* Nouns, or the verbs of the noun that stands there. */
static void offer_verbs(const struct completion *c)
{
	size_t n;
	const struct verb *verbs = verb_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (c->count == 1 && verbs[i].verb && !strcmp(verbs[i].noun, c->words[0]))
			offer(c, verbs[i].verb);
		if (c->count == 0 && (!i || strcmp(verbs[i].noun, verbs[i - 1].noun) != 0))
			offer(c, verbs[i].noun);
	}
}

static int print_words(const struct cli *cli)
{
	struct completion c = {.socket = cli->socket};
	size_t taken;

	for (int i = 1; i < cli->argc - 1; i++)
		take_word(&c, cli->argv[i]);
	take_last(&c, cli->argc > 1 ? cli->argv[cli->argc - 1] : "");
	taken = find_verb(&c);
	if (c.open)
		offer_value(&c);
	else if (c.typed[0] == '-')
		offer_options(&c);
	else if (!c.verb)
		offer_verbs(&c);
	else
		offer_argument(&c, c.count - taken);
	return API_EXIT_OK;
}

/* ---- scripts ---- */

static const char bash_script[] =
	"# bash completion of shuntctl: source <(shuntctl completion bash)\n"
	"_shuntctl()\n"
	"{\n"
	"	mapfile -t COMPREPLY < <(shuntctl completion words -- \\\n"
	"		\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2> /dev/null)\n"
	"	if [[ ${COMPREPLY[0]-} == " FILES " ]]; then\n"
	"		COMPREPLY=()\n"
	"		compopt -o default 2> /dev/null\n"
	"	fi\n"
	"}\n"
	"complete -F _shuntctl shuntctl\n";

static const char zsh_script[] =
	"#compdef shuntctl\n"
	"# zsh completion of shuntctl: source <(shuntctl completion zsh), or a file _shuntctl in\n"
	"# fpath\n"
	"_shuntctl()\n"
	"{\n"
	"	local -a found\n"
	"	found=(${(f)\"$(shuntctl completion words -- \"${(@)words[2,CURRENT]}\" \\\n"
	"		2> /dev/null)\"})\n"
	"	if [[ ${found[1]-} == " FILES " ]]; then\n"
	"		_files\n"
	"	else\n"
	"		compadd -a found\n"
	"	fi\n"
	"}\n"
	"if [[ ${funcstack[1]-} == _shuntctl ]]; then\n"
	"	_shuntctl \"$@\"\n"
	"else\n"
	"	compdef _shuntctl shuntctl\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion of shuntctl: shuntctl completion fish | source\n"
	"function __shuntctl_words\n"
	"	set -l words (commandline -opc)\n"
	"	set -l typed (commandline -ct)\n"
	"	set -l found (shuntctl completion words -- $words[2..-1] \"$typed\" 2> /dev/null)\n"
	"	if test \"$found[1]\" = " FILES "\n"
	"		__fish_complete_path \"$typed\"\n"
	"	else\n"
	"		printf '%s\\n' $found\n"
	"	end\n"
	"end\n"
	"complete -c shuntctl -f -a '(__shuntctl_words)'\n";

int cmd_completion(const struct cli *cli)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	if (!strcmp(cli->argv[0], "words"))
		return print_words(cli);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]) && cli->argc == 1; i++) {
		if (!strcmp(cli->argv[0], scripts[i].shell)) {
			fputs(scripts[i].script, stdout);
			return API_EXIT_OK;
		}
	}
	tell_error("completion: expected bash, zsh or fish");
	return API_EXIT_USAGE;
}
