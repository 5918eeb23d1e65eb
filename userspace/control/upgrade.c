/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/upgrade.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/handover_wire.h"
#include "control/notify.h"
#include "control/takeover.h"
#include "core/clock.h"
#include "core/log.h"
#include "l7/sock.h"

#define CHILD_FD     3
#define PAUSE_MS     10	  /* between two tries to let go */
#define END_MS	     2000 /* for a process that has failed to end by itself */
#define TAKE_BACK_MS 1000 /* between two tries */
#define WHY_MAX	     512

enum attempt_state { CHECKING, PAUSING, SWITCHING, FAILING, TAKING_BACK };

/* One, with its process. */
struct attempt {
	struct upgrade *upgrade;
	enum attempt_state state;
	uv_process_t process;
	uv_poll_t poll;
	uv_timer_t timer;
	int sock;
	unsigned open;	  /* handles, if any the first two ... */
	bool has_process; /* ... and the process */
	uint64_t deadline_ms;
	bool has_ended; /* the process */
	bool has_paused;
	char why[WHY_MAX];
	upgrade_cb cb;
	void *ctx;
};

struct upgrade {
	struct upgrade_env env;
	struct attempt *attempt; /* NULL: none */
	char last_failure[WHY_MAX];
	bool is_aborted;
};

struct upgrade *upgrade_new(const struct upgrade_env *env)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (u)
		u->env = *env;
	return u;
}

void upgrade_free(struct upgrade *u)
{
	free(u);
}

/* ---- the end of one ---- */

static void on_closed(uv_handle_t *handle)
{
	struct attempt *a = handle->data;

	if (--a->open > 0)
		return;
	close(a->sock);
	free(a);
}

static void close_attempt(struct attempt *a)
{
	if (a->has_process)
		uv_close((uv_handle_t *)&a->process, on_closed);
	uv_close((uv_handle_t *)&a->poll, on_closed);
	uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void wait_ms(struct attempt *a, uint64_t ms);

static void finish(struct attempt *a, int status)
{
	struct upgrade *u = a->upgrade;
	pid_t pid = a->process.pid;

	u->attempt = NULL;
	(void)snprintf(u->last_failure, sizeof(u->last_failure), "%s", status ? a->why : "");
	if (status)
		log_error("main: upgrade failed, nothing changed pid=%ld reason=\"%s\"", (long)pid,
			  a->why);
	if (a->cb)
		a->cb(a->ctx, status, pid, a->why);
	close_attempt(a);
	if (!status)
		u->env.retire(u->env.ctx, pid);
}

static void take_back(struct attempt *a)
{
	struct upgrade *u = a->upgrade;

	a->state = TAKING_BACK;
	if (a->has_paused && !u->is_aborted && u->env.resume(u->env.ctx))
		wait_ms(a, TAKE_BACK_MS);
	else
		finish(a, -ECANCELED);
}

/* It is ended, if it does not by itself; what it has opened is free once it has. */
static void fail(struct attempt *a, bool at_once, const char *why)
{
	if (!a->why[0])
		(void)snprintf(a->why, sizeof(a->why), "%s", why);
	(void)uv_poll_stop(&a->poll); /* always 0 */
	a->state = FAILING;
	if (a->has_ended) {
		take_back(a);
		return;
	}
	if (at_once)
		(void)uv_process_kill(&a->process, SIGKILL); /* fails only when it has ended */
	wait_ms(a, END_MS);
}

/* ---- what the other process says ---- */

/* It has ended: on_exit_of_process() knows why. */
static bool has_gone(int err)
{
	return err == -EPIPE || err == -ECONNRESET;
}

static void switch_over(struct attempt *a)
{
	struct upgrade *u = a->upgrade;
	struct handover_source from;
	int err;

	if (clock_now_ms() >= a->deadline_ms) {
		fail(a, true, "a change of the configuration takes too long to wait for");
		return;
	}
	if (!u->env.pause(u->env.ctx)) {
		wait_ms(a, PAUSE_MS);
		return;
	}
	a->has_paused = true;
	a->state = SWITCHING;
	u->env.source(u->env.ctx, &from);
	err = handover_send_state(a->sock, &from);
	if (err && !has_gone(err)) {
		fail(a, true, strerror(-err));
		return;
	}
	wait_ms(a, a->deadline_ms - clock_now_ms() + 1);
}

static void take_message(struct attempt *a, const char *text)
{
	if (!strncmp(text, HANDOVER_FAILED, strlen(HANDOVER_FAILED))) {
		fail(a, false, text + strlen(HANDOVER_FAILED));
	} else if (a->state == CHECKING && !strcmp(text, HANDOVER_CHECKED)) {
		a->state = PAUSING;
		switch_over(a);
	} else if (a->state == SWITCHING && !strcmp(text, HANDOVER_READY)) {
		finish(a, 0);
	} else {
		fail(a, true, "the new process does not speak this daemon's language");
	}
}

static void on_message(uv_poll_t *poll, int status, int events)
{
	struct attempt *a = poll->data;
	struct handover_message m;
	int err;

	(void)status; /* is seen by who reads */
	(void)events;
	err = handover_receive(a->sock, &m);
	if (err == -EAGAIN)
		return;
	if (!err)
		take_message(a, m.text);
	else				  /* on_exit() knows more */
		(void)uv_poll_stop(poll); /* always 0 */
}

static void describe_end(char *why, size_t len, int64_t status, int signal_number)
{
	if (signal_number)
		(void)snprintf(why, len, "the new process was ended by signal %d", signal_number);
	else
		(void)snprintf(why, len,
			       "the new process ended with exit code %lld; its log says more",
			       (long long)status);
}

static void on_exit_of_process(uv_process_t *process, int64_t status, int signal_number)
{
	struct attempt *a = process->data;
	struct handover_message m;
	char why[WHY_MAX];

	a->has_ended = true;
	if (a->state == FAILING) {
		take_back(a);
		return;
	}
	describe_end(why, sizeof(why), status, signal_number);
	/* Last words may wait to be read. */
	while (!handover_receive(a->sock, &m))
		if (!strncmp(m.text, HANDOVER_FAILED, strlen(HANDOVER_FAILED)))
			(void)snprintf(why, sizeof(why), "%.500s",
				       m.text + strlen(HANDOVER_FAILED));
	fail(a, false, why);
}

static void on_timer(uv_timer_t *timer)
{
	struct attempt *a = timer->data;

	switch (a->state) {
	case CHECKING:
		fail(a, true, "the new process did not check the configuration in time");
		break;
	case PAUSING: switch_over(a); break;
	case SWITCHING: fail(a, true, "the new process was not ready in time"); break;
	case FAILING: (void)uv_process_kill(&a->process, SIGKILL); break;
	case TAKING_BACK: take_back(a); break;
	}
}

static void wait_ms(struct attempt *a, uint64_t ms)
{
	uv_update_time(a->upgrade->env.loop);
	(void)uv_timer_start(&a->timer, on_timer, ms, 0); /* fails only when closing */
}

/* ---- the beginning ---- */

/* Of this process, as it is named now: whoever installs another version puts it in its place. */
static int own_binary(char *path, size_t len)
{
	static const char deleted[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", path, len - 1);

	if (n < 0)
		return -errno;
	path[n] = '\0';
	if ((size_t)n > strlen(deleted) && !strcmp(path + n - strlen(deleted), deleted))
		path[(size_t)n - strlen(deleted)] = '\0';
	return 0;
}

static bool is_ours(const char *variable)
{
	static const char *const names[] = {TAKEOVER_VARIABLE "=",
					    "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

/* This process's, and what the service manager and the other end of the pair are. The first owned
 * entries are the caller's to free. */
static char **make_environment(size_t *ret_owned)
{
	static char takeover[64];
	size_t n = 0, count = 0;
	char **list, *text;

	while (environ[count])
		count++;
	list = calloc(count + 4, sizeof(char *));
	if (!list)
		return NULL;
	text = notify_socket_variable();
	if (text)
		list[n++] = text;
	text = notify_watchdog_variable();
	if (text)
		list[n++] = text;
	*ret_owned = n;
	(void)snprintf(takeover, sizeof(takeover), TAKEOVER_VARIABLE "=%d", CHILD_FD);
	list[n++] = takeover;
	for (size_t i = 0; i < count; i++)
		if (!is_ours(environ[i]))
			list[n++] = environ[i];
	return list;
}

static int spawn(struct attempt *a, const char *binary, int other_end)
{
	uv_stdio_container_t stdio[] = {
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		[CHILD_FD] = {.flags = UV_INHERIT_FD, .data.fd = other_end},
	};
	uv_process_options_t options = {.file = binary,
					.args = a->upgrade->env.argv,
					.stdio = stdio,
					.stdio_count = sizeof(stdio) / sizeof(stdio[0]),
					.exit_cb = on_exit_of_process};
	size_t owned;
	int err;

	options.env = make_environment(&owned);
	if (!options.env)
		return -ENOMEM;
	sock_expect_children();
	a->has_process = true; /* to be closed, also on error */
	a->open++;
	err = uv_spawn(a->upgrade->env.loop, &a->process, &options);
	for (size_t i = 0; i < owned; i++)
		free(options.env[i]);
	free(options.env);
	return err;
}

static int start_handles(struct attempt *a, const char *binary)
{
	uv_loop_t *loop = a->upgrade->env.loop;
	int ends[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	a->sock = ends[0];
	err = uv_poll_init(loop, &a->poll, a->sock); /* which makes it non-blocking */
	if (err) {
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	(void)uv_timer_init(loop, &a->timer); /* always 0 */
	a->process.data = a->poll.data = a->timer.data = a;
	a->open = 2;
	err = spawn(a, binary, ends[1]);
	close(ends[1]);
	(void)uv_poll_start(&a->poll, UV_READABLE, on_message); /* always 0 */
	return err;
}

static int send_check(struct attempt *a)
{
	struct handover_source from;

	a->upgrade->env.source(a->upgrade->env.ctx, &from);
	return handover_send_check(a->sock, &from);
}

int upgrade_begin(struct upgrade *u, const char *binary, unsigned timeout_ms, upgrade_cb cb,
		  void *ctx, char *why, size_t why_len)
{
	char own[PATH_MAX] = "";
	struct attempt *a;
	int err = binary ? 0 : own_binary(own, sizeof(own));

	(void)snprintf(why, why_len, "there is one under way already");
	if (u->attempt || u->is_aborted)
		return -EBUSY;
	binary = binary ? binary : own;
	a = err ? NULL : calloc(1, sizeof(*a));
	if (!a)
		err = err ? err : -ENOMEM;
	if (!err) {
		a->upgrade = u;
		err = start_handles(a, binary);
	}
	if (err) {
		(void)snprintf(why, why_len, "cannot start %s: %s", binary, strerror(-err));
		log_error("main: upgrade failed, nothing changed reason=\"%s\"", why);
		(void)snprintf(u->last_failure, sizeof(u->last_failure), "%s", why);
		if (a && a->open)
			close_attempt(a);
		else
			free(a);
		return err;
	}
	a->cb = cb;
	a->ctx = ctx;
	a->deadline_ms = clock_now_ms() + timeout_ms;
	u->attempt = a;
	log_info("main: upgrade begins binary=%s pid=%d timeout_ms=%u", binary, a->process.pid,
		 timeout_ms);
	wait_ms(a, timeout_ms);
	err = send_check(a);
	if (err && !has_gone(err))
		fail(a, true, strerror(-err));
	return 0;
}

/* ---- the rest ---- */

bool upgrade_is_switching(const struct upgrade *u)
{
	return u->attempt && u->attempt->has_paused;
}

void upgrade_abort(struct upgrade *u)
{
	u->is_aborted = true;
	if (u->attempt && u->attempt->state != FAILING)
		fail(u->attempt, true, "shuntd is stopping");
}

void upgrade_close(struct upgrade *u)
{
	struct attempt *a = u ? u->attempt : NULL;

	if (!a)
		return;
	if (!a->has_ended)
		(void)uv_process_kill(&a->process, SIGKILL); /* fails only when it has ended */
	finish(a, -ECANCELED);
}

const char *upgrade_state(const struct upgrade *u, pid_t *ret_pid)
{
	const struct attempt *a = u->attempt;

	*ret_pid = a && !a->has_ended ? a->process.pid : 0;
	if (!a)
		return "none";
	if (a->state == CHECKING || (a->state == FAILING && !a->has_paused))
		return "checking";
	return a->state == PAUSING || a->state == SWITCHING ? "switching" : "taking-back";
}

const char *upgrade_last_failure(const struct upgrade *u)
{
	return u->last_failure[0] ? u->last_failure : NULL;
}
