/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/wait.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/print.h"
#include "core/clock.h"

#define LOOK_EVERY_MS 100U
#define LOOK_SECONDS  10 /* for one answer */

static void pause_ms(uint64_t ms)
{
	struct timespec ts = {.tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000L};

	(void)nanosleep(&ts, NULL); /* a signal: it looks earlier */
}

/* Over the line before; says "": takes that away. */
static void show_progress(const struct wait_for *w, const char *says, uint64_t ms)
{
	char age[PRINT_UNIT_MAX];

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	if (says[0])
		print_safe(stderr, "%s: %s (%s)", w->what, says, format_age(ms, age));
	(void)fflush(stderr);
}

static enum wait_state look(const struct cli *cli, const struct wait_for *w, char *says)
{
	struct request rq = {.socket = cli->socket,
			     .method = "GET",
			     .path = w->path,
			     .seconds = LOOK_SECONDS,
			     .quiet = true};
	struct reply r;
	enum wait_state state = WAIT_NOT_YET;

	if (client_ask(&rq, &r) == API_EXIT_UNREACHABLE)
		(void)snprintf(says, WAIT_TEXT_MAX, "shuntd does not answer at %s", cli->socket);
	else
		state = w->look(w->ctx, &r, says, WAIT_TEXT_MAX);
	reply_deinit(&r);
	return state;
}

int wait_for(const struct cli *cli, const struct wait_for *w)
{
	char says[WAIT_TEXT_MAX] = "";
	uint64_t started = clock_now_ms(), limit = cli->timeout_ms, passed;
	enum wait_state state;

	(void)fflush(stdout); /* what was said before is read before */
	for (;;) {
		state = look(cli, w, says);
		passed = clock_now_ms() - started;
		if (state != WAIT_NOT_YET || passed >= limit)
			break;
		show_progress(w, says, passed);
		pause_ms(limit - passed < LOOK_EVERY_MS ? limit - passed : LOOK_EVERY_MS);
	}
	show_progress(w, "", passed);
	if (state == WAIT_DONE)
		return API_EXIT_OK;
	tell_error("%s: %s%s", w->what, state == WAIT_NEVER ? "" : "not in time: ", says);
	return state == WAIT_NEVER ? API_EXIT_FAILED : API_EXIT_TIMEOUT;
}
