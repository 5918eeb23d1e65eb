/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl top: what services or backends do now, asked for each second. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/print.h"
#include "cli/top_rows.h"

#define PERIOD_MS   1000
#define LINES_ABOVE 3  /* the table's first row is behind so many, its headings among them */
#define ROWS_USUAL  20 /* where the terminal does not say its size */

#define CONTROL_C      3
#define TERMINAL_ENTER "\033[?1049h\033[?25l" /* another screen, no cursor */
#define TERMINAL_LEAVE "\033[?25h\033[?1049l"
#define TERMINAL_CLEAR "\033[H\033[J"

struct top {
	const struct cli *cli;
	bool backends;
	enum top_column sort;
	size_t first; /* row that is shown first */
	struct reply before, now;
	double before_s, now_s; /* of a clock that does not jump; 0: not asked yet */
	bool done;
};

/* Who sent it ends the terminal's view with it; it is raised again once the terminal is given back. */
static volatile sig_atomic_t ended_by;

static void on_end(int number)
{
	ended_by = number;
}

static void catch_ends(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	(void)sigaction(SIGTERM, &action, NULL); /* 0, as the number and the place are good */
	(void)sigaction(SIGHUP, &action, NULL);
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const json_t *list_of(const struct top *top, const struct reply *r)
{
	return json_object_get(r->json, top->backends ? "backends" : "services");
}

/* The answer of before makes place. */
static int ask(struct top *top)
{
	struct cli plain = *top->cli;
	struct reply r = {0};
	bool shown;
	int code;

	plain.output = OUTPUT_TABLE; /* the reply is not what is to be shown */
	code = cmd_get(&plain, top->backends ? "/v1/backends" : "/v1/services", &r, &shown);
	if (code != API_EXIT_OK) {
		reply_deinit(&r);
		return code;
	}
	reply_deinit(&top->before);
	top->before = top->now;
	top->before_s = top->now_s;
	top->now = r;
	top->now_s = seconds_now();
	return API_EXIT_OK;
}

static void forget(struct top *top)
{
	reply_deinit(&top->before);
	reply_deinit(&top->now);
	top->before = top->now = (struct reply){0};
	top->now_s = top->before_s = 0;
}

/* ---- what is shown ---- */

static void add_value(struct table *t, enum top_column column, double value)
{
	uint64_t n = (uint64_t)(value + 0.5);
	char buf[PRINT_UNIT_MAX];

	if (n == 0)
		table_add(t, "-");
	else if (column == TOP_BYTES)
		table_add(t, "%s", format_bytes(n, buf));
	else if (column >= TOP_LATENCY)
		table_add(t, "%.1fms", value / 1000);
	else
		table_add(t, "%s", format_count(n, buf));
}

static int print_rows(const struct top *top, const struct top_row *rows, size_t count, size_t most)
{
	const char *headings[2 + TOP_COLUMN_COUNT] = {top->backends ? "BACKEND" : "SERVICE",
						      top->backends ? "STATE" : "MODE",
#define X(name, key, heading) heading,
						      TOP_COLUMNS(X)
#undef X
	};
	struct table t;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = top->first; i < count && i - top->first < most; i++) {
		table_add(&t, "%s", rows[i].name);
		table_add(&t, "%s", rows[i].state);
		for (enum top_column c = 0; c < TOP_COLUMN_COUNT; c++)
			add_value(&t, c, rows[i].value[c]);
	}
	return table_print(&t);
}

static void print_as_json(const struct top *top, const struct top_row *rows, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *o = json_pack("{s:s, s:s}", "name", rows[i].name, "state", rows[i].state);

		for (enum top_column c = 0; c < TOP_COLUMN_COUNT; c++)
			(void)json_object_set_new(o, top_column_key(c),
						  json_real(rows[i].value[c]));
		(void)json_array_append_new(list, o);
	}
	list = json_pack("{s:o}", top->backends ? "backends" : "services", list);
	print_json(stdout, list);
	json_decref(list);
}

static int show(struct top *top, size_t most)
{
	struct top_row *rows;
	size_t count;
	int code = API_EXIT_OK;

	if (!top_rows(list_of(top, &top->before), list_of(top, &top->now),
		      top->before_s > 0 ? top->now_s - top->before_s : 0, top->sort, &rows,
		      &count)) {
		tell_error("out of memory");
		return API_EXIT_FAILED;
	}
	if (top->first && top->first >= count)
		top->first = count ? count - 1 : 0;
	if (top->cli->output == OUTPUT_JSON)
		print_as_json(top, rows, count);
	else
		code = print_rows(top, rows, count, most);
	free(rows);
	return code;
}

/* ---- once ---- */

static int run_once(struct top *top)
{
	int code = ask(top);

	if (code == API_EXIT_OK) {
		(void)poll(NULL, 0, PERIOD_MS);
		code = ask(top);
	}
	return code == API_EXIT_OK ? show(top, SIZE_MAX) : code;
}

/* ---- on a terminal ---- */

static size_t rows_of_terminal(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row <= LINES_ABOVE)
		return ROWS_USUAL;
	return size.ws_row - LINES_ABOVE;
}

static int draw(struct top *top)
{
	int code;

	printf(TERMINAL_CLEAR "shuntctl top: %s by %s%s\n"
			      "q quit, s or left/right sort, up/down scroll, b services or "
			      "backends\n",
	       top->backends ? "backends" : "services", top_column_key(top->sort),
	       top->before_s > 0 ? "" : " (rates in a second)");
	code = show(top, rows_of_terminal());
	(void)fflush(stdout);
	return code;
}

static void turn_sort(struct top *top, unsigned by)
{
	top->sort = (top->sort + by) % TOP_COLUMN_COUNT;
}

static void on_key(struct top *top, const char *key, size_t len)
{
	bool arrow = len >= 3 && key[0] == '\033' && key[1] == '[';

	if (arrow) {
		if (key[2] == 'C')
			turn_sort(top, 1);
		else if (key[2] == 'D')
			turn_sort(top, TOP_COLUMN_COUNT - 1);
		else if (key[2] == 'B')
			top->first++;
		else if (key[2] == 'A' && top->first)
			top->first--;
	} else if (key[0] == 'q' || key[0] == CONTROL_C) {
		top->done = true;
	} else if (key[0] == 's') {
		turn_sort(top, 1);
	} else if (key[0] == 'b') {
		top->backends = !top->backends;
		top->first = 0;
		forget(top);
	}
}

/* Until the next second begins. */
static void wait_for_keys(struct top *top)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
	double end = top->now_s + PERIOD_MS / 1000.0;
	char keys[16];
	ssize_t n;

	while (!top->done && !ended_by && top->now_s > 0) {
		double left = end - seconds_now();

		if (left <= 0 || poll(&fd, 1, (int)(left * 1000) + 1) <= 0)
			return;
		n = read(STDIN_FILENO, keys, sizeof(keys));
		if (n <= 0) {
			top->done = true;
			return;
		}
		on_key(top, keys, (size_t)n);
		if (!top->done && top->now_s > 0 && draw(top) != API_EXIT_OK)
			top->done = true;
	}
}

static int run_live(struct top *top)
{
	struct termios former, raw;
	int code;

	if (tcgetattr(STDIN_FILENO, &former) < 0)
		return run_once(top);
	/* Signals of the keyboard come as keys do, so that the terminal is always given back. */
	raw = former;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	code = ask(top);
	if (code != API_EXIT_OK)
		return code;
	catch_ends(on_end);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(TERMINAL_ENTER, stdout);
	while (code == API_EXIT_OK && !top->done && !ended_by) {
		code = draw(top);
		wait_for_keys(top);
		if (code == API_EXIT_OK && !top->done && !ended_by)
			code = ask(top);
	}
	fputs(TERMINAL_LEAVE, stdout);
	(void)fflush(stdout);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &former);
	catch_ends(SIG_DFL);
	if (ended_by)
		(void)raise(ended_by);
	if (code != API_EXIT_OK) /* what was told went with the other screen */
		tell_error("shuntd does not answer any more");
	return code;
}

int cmd_top(const struct cli *cli)
{
	struct top top = {.cli = cli, .sort = TOP_BYTES};
	bool live = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !(cli->given & TAKES_ONCE) &&
		    cli->output == OUTPUT_TABLE;
	int code;

	if (cli->argc && strcmp(cli->argv[0], "services") != 0 &&
	    strcmp(cli->argv[0], "backends") != 0) {
		tell_error("top: expected services or backends, not '%s'", cli->argv[0]);
		return API_EXIT_USAGE;
	}
	top.backends = cli->argc && cli->argv[0][0] == 'b';
	if (cli->sort)
		top.sort = top_column_of(cli->sort);
	if (top.sort == TOP_COLUMN_COUNT) {
		tell_error("--sort: expected one of packets, new_flows, requests, bytes, errors, "
			   "active, latency_us, p50_us and p99_us");
		return API_EXIT_USAGE;
	}
	code = live ? run_live(&top) : run_once(&top);
	forget(&top);
	return code;
}
