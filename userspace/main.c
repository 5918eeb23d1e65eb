/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shuntd: what is started in which order, what signals do, and what is ended in which order. All
 * on the main thread and its loop; requests are served by the workers (worker/), packets by the
 * kernel (l4/, bpf/).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "conf/runtime.h"
#include "control/admin_http.h"
#include "control/captures.h"
#include "control/commands.h"
#include "control/config_file.h"
#include "control/config_watch.h"
#include "control/diag_log.h"
#include "control/discover.h"
#include "control/guard_watch.h"
#include "control/history.h"
#include "control/notify.h"
#include "control/options.h"
#include "control/process.h"
#include "control/reconcile_watch.h"
#include "control/reload.h"
#include "control/server.h"
#include "control/socket.h"
#include "control/staple_watch.h"
#include "control/steering.h"
#include "control/summary.h"
#include "control/takeover.h"
#include "control/upgrade.h"
#include "core/clock.h"
#include "core/log.h"
#include "health/health.h"
#include "l4/l4.h"
#include "loader/loader.h"
#include "log/writer.h"
#include "tls/provider.h"
#include "worker/worker.h"

enum { SIG_RELOAD, SIG_TERMINATE, SIG_INTERRUPT, SIG_SUMMARY, SIG_UPGRADE, SIG_COUNT };

static const int signal_numbers[SIG_COUNT] = {
	[SIG_RELOAD] = SIGHUP,	 [SIG_TERMINATE] = SIGTERM, [SIG_INTERRUPT] = SIGINT,
	[SIG_SUMMARY] = SIGUSR1, [SIG_UPGRADE] = SIGUSR2,
};

struct daemon {
	struct options options;
	uv_loop_t loop;
	uv_signal_t signals[SIG_COUNT];
	uv_timer_t watchdog;
	uv_timer_t farewell; /* a daemon that has retired waits for its last answers to be read */
	struct guard_watch guard_watch;
	struct staple_watch staple_watch;
	struct reconcile_watch reconcile_watch;
	struct captures captures;
	struct runtime *runtime;
	char *socket_path;
	struct control_socket socket;
	struct snapshot *first; /* until it is in force: holds what was adopted */
	struct l4 *l4;
	struct workers *workers;
	struct health *health;
	struct steering *steering;
	struct reload *reload;
	struct server *server;
	struct admin_http admin;
	struct upgrade *upgrade;
	struct takeover takeover;
	char **argv;
	struct commands_env env;
	struct config_file file;
	struct config_watch watch;
	struct history *history;
	struct discover *discover;
	bool loop_ready;
	bool started;  /* the first configuration is in force */
	bool was_told; /* to stop, after it retired */
	uint64_t farewell_until_ms;
	int exit_code;
};

#define FAREWELL_MS	20
#define FAREWELL_MAX_MS 2000

static void on_health_change(void *ctx)
{
	struct daemon *dm = ctx;

	if (dm->reload)
		reload_health_changed(dm->reload);
}

/* ---- the end ---- */

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Reverse of the start. Kernel tables and program stay: packets keep flowing. */
static void stop_parts(struct daemon *dm)
{
	dm->env.ended = true;
	workers_stop(dm->workers);
	if (dm->started)
		reload_abort(dm->reload);
	/* Until its place is taken it is the daemon whose socket this is. */
	if (takeover_is_wanted(&dm->takeover) && !dm->started) {
		control_socket_leave(&dm->socket);
		admin_http_quiesce(&dm->admin);
	}
	upgrade_close(dm->upgrade);
	/* Removed while it still listens, so that a successor's is never taken for it. */
	control_socket_close(&dm->socket);
	server_close(dm->server, NULL, NULL);
	admin_http_close(&dm->admin);
	health_close(dm->health, NULL, NULL);
	discover_close(dm->discover);
	reload_close(dm->reload, NULL, NULL);
	history_close(dm->history);
	if (dm->loop_ready) {
		uv_walk(&dm->loop, close_handle, NULL); /* signals and watchdog */
		(void)uv_run(&dm->loop, UV_RUN_DEFAULT);
		if (uv_loop_close(&dm->loop))
			log_warning("main: the loop was not empty");
	}
	snapshot_unref(dm->first);
	steering_free(dm->steering);
	captures_deinit(&dm->captures);
	l4_close(dm->l4);
	free(dm->socket_path);
	runtime_free(dm->runtime);
	upgrade_free(dm->upgrade);
	takeover_end(&dm->takeover);
	log_writer_stop();
}

static void stop_loop(struct daemon *dm, int exit_code)
{
	dm->exit_code = exit_code;
	uv_stop(&dm->loop);
}

static void on_farewell(uv_timer_t *timer)
{
	struct daemon *dm = timer->data;

	if (server_is_idle(dm->server) || clock_now_ms() >= dm->farewell_until_ms)
		stop_loop(dm, EXIT_SUCCESS);
}

static void on_drained(void *ctx, int status)
{
	struct daemon *dm = ctx;

	if (status)
		log_warning("main: time to drain is over, the rest was closed");
	else
		log_info("main: drained");
	if (!dm->env.retired) {
		stop_loop(dm, EXIT_SUCCESS);
		return;
	}
	dm->farewell_until_ms = clock_now_ms() + FAREWELL_MAX_MS;
	(void)uv_timer_start(&dm->farewell, on_farewell, 0, FAREWELL_MS); /* has a callback: 0 */
}

static void begin_stop(struct daemon *dm)
{
	unsigned drain_ms = reload_current(dm->reload)->node.drain_ms;
	struct workers_status w;

	upgrade_abort(dm->upgrade);
	dm->env.stopping = true;
	captures_end(&dm->captures, "shuntd is stopping");
	notify_stopping(drain_ms);
	reload_quiesce(dm->reload);
	discover_quiesce(dm->discover);
	workers_status(dm->workers, &w);
	log_info("main: stopping, connections may end connections=%llu drain_timeout_ms=%u",
		 (unsigned long long)w.connections, drain_ms);
	workers_drain(dm->workers, drain_ms, on_drained, dm);
}

/* ---- upgrade: see control/upgrade.h ---- */

static bool pause_parts(void *ctx)
{
	struct daemon *dm = ctx;

	/* What is done beside the loop has the tables open. */
	if (dm->env.explaining || dm->env.asking_flows || dm->captures.state == CAPTURES_OPENING)
		return false;
	if (history_is_busy(dm->history) || !reload_pause(dm->reload))
		return false;
	captures_end(&dm->captures, "another process takes over");
	steering_let_go(dm->steering);
	if (!dm->l4)
		return true;
	guard_watch_pause(&dm->guard_watch);
	reconcile_watch_pause(&dm->reconcile_watch);
	dm->env.l4 = NULL;
	l4_close(dm->l4);
	dm->l4 = NULL;
	return true;
}

static int resume_parts(void *ctx)
{
	struct daemon *dm = ctx;
	struct snapshot *snap = reload_current(dm->reload);
	struct diag d;
	int err = 0;

	diag_init(&d);
	if (snap->node.interface_count && !dm->l4)
		err = l4_open(snap, &dm->l4, &d);
	if (!err && dm->l4) {
		dm->env.l4 = dm->l4;
		guard_watch_resume(&dm->guard_watch, dm->l4);
		reconcile_watch_resume(&dm->reconcile_watch, dm->l4);
	}
	if (!err)
		err = steering_take_back(dm->steering, dm->workers, snap, &d);
	if (!err)
		reload_resume(dm->reload, dm->l4);
	diag_log(&d);
	diag_deinit(&d);
	return err;
}

/* What the other process has now is closed; what serves connections stays until they have ended. */
static void retire(void *ctx, pid_t pid)
{
	struct daemon *dm = ctx;
	unsigned drain_ms = reload_current(dm->reload)->node.drain_ms;
	struct workers_status w;

	notify_main_pid((long)pid);
	dm->env.stopping = dm->env.retired = true;
	if (dm->file.running || dm->file.again) /* asked for meanwhile: it is the other's to read */
		(void)kill(pid, SIGHUP);
	dm->file.running = true; /* it is not read again */
	server_quiesce(dm->server);
	control_socket_leave(&dm->socket);
	admin_http_quiesce(&dm->admin);
	reload_quiesce(dm->reload);
	discover_quiesce(dm->discover);
	health_close(dm->health, NULL, NULL);
	dm->health = NULL;
	history_close(dm->history);
	dm->history = NULL;
	workers_status(dm->workers, &w);
	log_info("main: another process has taken over, connections may end pid=%ld "
		 "connections=%llu drain_timeout_ms=%u",
		 (long)pid, (unsigned long long)w.connections, drain_ms);
	workers_drain_handed_over(dm->workers, drain_ms, on_drained, dm);
}

static void describe_parts(void *ctx, struct handover_source *ret_source)
{
	const struct daemon *dm = ctx;

	*ret_source = (struct handover_source){
		.snap = reload_current(dm->reload),
		.runtime = dm->runtime,
		.workers = dm->workers,
		.control_fd = server_listen_fd(dm->server),
		.control_path = dm->socket_path,
		.admin_fd = admin_http_fd(&dm->admin),
		.admin_path = dm->admin.socket.path,
	};
}

static int prepare_upgrade(struct daemon *dm)
{
	const struct upgrade_env env = {.loop = &dm->loop,
					.argv = dm->argv,
					.pause = pause_parts,
					.resume = resume_parts,
					.retire = retire,
					.source = describe_parts,
					.ctx = dm};

	dm->upgrade = upgrade_new(&env);
	dm->env.upgrade = dm->upgrade;
	dm->env.takeover = &dm->takeover;
	return dm->upgrade ? 0 : -ENOMEM;
}

static void upgrade_by_signal(struct daemon *dm)
{
	char why[512];

	if (!dm->started || dm->env.stopping)
		log_info("main: not running, no upgrade begins");
	else if (upgrade_begin(dm->upgrade, NULL, UPGRADE_TIMEOUT_MS, NULL, NULL, why,
			       sizeof(why)) == -EBUSY)
		log_warning("main: an upgrade is under way already");
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *dm = handle->data;

	switch (number) {
	case SIGTERM:
	case SIGINT:
		/* A service manager tells all processes at once. */
		if (dm->env.retired && !dm->was_told) {
			dm->was_told = true;
			log_info("main: connections may end, as before; told again, stops at once");
		} else if (!dm->started || dm->env.stopping) {
			log_warning("main: stopping at once signal=%d", number);
			stop_loop(dm, EXIT_FAILURE);
		} else {
			begin_stop(dm);
		}
		break;
	case SIGHUP:
		if (dm->env.stopping)
			log_info("main: stopping, the file is not read again");
		else
			config_file_reload(&dm->file, "signal");
		break;
	case SIGUSR1:
		log_writer_reopen();
		if (dm->started)
			summary_log(&dm->env);
		break;
	case SIGUSR2: upgrade_by_signal(dm); break;
	default: break;
	}
}

/* ---- the start ---- */

static void on_watchdog(uv_timer_t *timer)
{
	struct daemon *dm = timer->data;

	if (!dm->workers || workers_turn(dm->workers, notify_watchdog_ms()))
		notify_alive();
	else
		log_error("main: a worker hangs, the service manager is not told that all is well");
}

static int start_loop(struct daemon *dm)
{
	unsigned watchdog_ms = notify_watchdog_ms();
	int err = uv_loop_init(&dm->loop);

	if (err)
		return err;
	dm->loop_ready = true;
	for (int i = 0; i < SIG_COUNT && !err; i++) {
		err = uv_signal_init(&dm->loop, &dm->signals[i]);
		dm->signals[i].data = dm;
		if (!err)
			err = uv_signal_start(&dm->signals[i], on_signal, signal_numbers[i]);
	}
	(void)uv_timer_init(&dm->loop, &dm->farewell); /* none of these can fail */
	dm->farewell.data = dm;
	(void)uv_timer_init(&dm->loop, &dm->watchdog);
	dm->watchdog.data = dm;
	if (watchdog_ms)
		(void)uv_timer_start(&dm->watchdog, on_watchdog, watchdog_ms, watchdog_ms);
	return err;
}

static void on_generation(void *ctx, struct snapshot *snap, const struct reload_origin *origin,
			  const struct reload_result *result)
{
	struct daemon *dm = ctx;

	history_note(dm->history, snap, origin, result);
	discover_follow(dm->discover, snap);
}

static int start_parts(struct daemon *dm, struct diag *d)
{
	const struct snapshot *snap = dm->first;
	struct reload_parts parts = {.loop = &dm->loop, .runtime = dm->runtime};
	int err = 0;

	loader_init_logging();
	if (snap->node.interface_count)
		err = l4_open(snap, &dm->l4, d);
	if (!err)
		err = start_loop(dm);
	if (!err && dm->l4)
		guard_watch_start(&dm->guard_watch, &dm->loop, dm->l4);
	if (!err)
		err = workers_start(&dm->loop, &snap->node,
				    takeover_is_wanted(&dm->takeover) ? &dm->takeover.from.legacy
								      : NULL,
				    &dm->workers, d);
	if (!err)
		err = health_start(&dm->loop, on_health_change, dm, &dm->health);
	if (!err) {
		dm->steering = steering_new();
		err = dm->steering ? 0 : -ENOMEM;
	}
	parts.steering = dm->steering;
	parts.l4 = dm->l4;
	parts.workers = dm->workers;
	parts.health = dm->health;
	parts.generation = history_last(dm->history);
	if (parts.generation < dm->takeover.from.generation)
		parts.generation = dm->takeover.from.generation;
	parts.note = on_generation;
	parts.note_ctx = dm;
	history_start(dm->history, &dm->loop);
	if (!err)
		err = prepare_upgrade(dm);
	if (!err)
		err = reload_new(&parts, &dm->reload);
	if (!err)
		discover_start(dm->discover, &dm->loop, dm->reload);
	if (!err && dm->l4)
		reconcile_watch_start(&dm->reconcile_watch, &dm->loop, dm->l4, dm->reload);
	if (!err)
		staple_watch_start(&dm->staple_watch, &dm->loop, dm->reload);
	dm->file.path = dm->options.config_path;
	dm->file.reload = dm->reload;
	dm->file.strict = dm->options.strict;
	dm->file.running = true; /* until the first configuration is in force */
	return err;
}

static int start_server(struct daemon *dm)
{
	static const struct server_rules socket_rules = {.name = "socket",
							 .connections = 1024,
							 .header_bytes = 32768,
							 .request_ms = 30000,
							 .reply_ms = 60000};
	int err;

	dm->env.loop = &dm->loop;
	captures_init(&dm->captures, &dm->loop);
	dm->env.captures = &dm->captures;
	dm->env.reload = dm->reload;
	dm->env.l4 = dm->l4;
	dm->env.workers = dm->workers;
	dm->env.steering = dm->steering;
	dm->env.history = dm->history;
	dm->env.discover = dm->discover;
	dm->env.runtime = dm->runtime;
	dm->env.file = &dm->file;
	dm->env.config_path = dm->options.config_path;
	dm->env.started_ms = clock_now_ms();
	err = server_start(&dm->loop, &dm->socket, &socket_rules, commands_handle, &dm->env,
			   &dm->server);
	return err ? err : admin_http_start(&dm->admin, &dm->loop, &dm->env);
}

/* The first configuration took effect (tables, then interfaces, listeners, checks), or did not. */
static void on_first(void *ctx, const struct reload_result *result)
{
	struct daemon *dm = ctx;
	const struct snapshot *snap = dm->first;
	int err = result->status;

	if (!err)
		err = start_server(dm);
	if (err) {
		takeover_failed(&dm->takeover, &result->diag, err);
		log_error("main: cannot start error=\"%s\"", strerror(-err));
		stop_loop(dm, EXIT_FAILURE);
		return;
	}
	dm->started = true;
	takeover_ready(&dm->takeover);
	log_info("main: ready version=" SHUNT_VERSION " services=%zu pools=%zu workers=%u "
		 "interfaces=%zu socket=%s",
		 snap->service_count, snap->pool_count, snap->node.workers,
		 snap->node.interface_count, dm->socket.path);
	notify_ready("running");
	snapshot_unref(dm->first);
	dm->first = NULL;
	dm->file.running = false;
	config_watch_start(&dm->watch, &dm->loop, &dm->file);
	if (dm->file.again)
		config_file_reload(&dm->file, dm->file.why);
}

/* What was in force in the process whose place is taken, with what it knew of health. */
static int take_document_over(struct daemon *dm, struct tree **ret_document, struct diag *d)
{
	struct handover_state *from = &dm->takeover.from;
	int err = takeover_receive(&dm->takeover, dm->runtime, d);

	if (err)
		return err;
	handover_apply_found(from, dm->runtime);
	dm->first = conf_build(from->document, dm->runtime, d);
	if (!dm->first)
		return -EINVAL;
	handover_apply_health(from, dm->first);
	*ret_document = from->document;
	from->document = NULL;
	return 0;
}

/* The file or, where that is bad, the last generation that was not. */
static int load_document(struct daemon *dm, struct tree **ret_document, struct diag *d)
{
	int err =
		config_file_load(dm->options.config_path, dm->runtime, ret_document, &dm->first, d);

	/* What was found before must not keep a good file from taking effect. */
	if (err == -EINVAL && discover_forget(dm->discover)) {
		diag_deinit(d);
		diag_init(d);
		err = config_file_load(dm->options.config_path, dm->runtime, ret_document,
				       &dm->first, d);
	}
	if (!err && dm->options.strict)
		err = diag_refuse_warnings(d);
	if (!err)
		return 0;
	snapshot_unref(dm->first);
	tree_free(*ret_document);
	*ret_document = NULL;
	dm->first = NULL;
	dm->file.fallback = history_last_good(dm->history, dm->runtime, ret_document, &dm->first);
	if (!dm->file.fallback)
		return err;
	diag_log(d);
	log_error(
		"config: the file is bad and was NOT taken; started from the last good generation "
		"generation=%llu file=%s errors=%zu",
		(unsigned long long)dm->file.fallback, dm->options.config_path, d->errors);
	return 0;
}

/* First of all: whoever has the socket has the kernel's tables. */
static int open_sockets(struct daemon *dm, struct diag *d)
{
	struct handover_state *from = &dm->takeover.from;
	const char *path =
		dm->options.socket_path ? dm->options.socket_path : dm->first->admin.socket;
	int err;

	dm->socket_path = strdup(path);
	if (!dm->socket_path)
		return -ENOMEM;
	if (!takeover_is_wanted(&dm->takeover)) {
		err = control_socket_open(dm->socket_path, &dm->socket, d);
		return err ? err : admin_http_open(&dm->admin, &dm->first->admin, d);
	}
	/* Another path takes effect when it is started again. */
	free(dm->socket_path);
	dm->socket_path = from->control_path;
	from->control_path = NULL;
	control_socket_adopt(dm->socket_path, from->control_fd, &dm->socket);
	from->control_fd = -1;
	err = admin_http_adopt(&dm->admin, &dm->first->admin, from->admin_fd, from->admin_path, d);
	from->admin_fd = -1;
	return err;
}

static int start(struct daemon *dm)
{
	struct reload_origin origin = {.what = "start", .uid = -1};
	struct tree *document = NULL;
	struct diag d;
	int err = 0;

	diag_init(&d);
	dm->discover = discover_new(dm->runtime, dm->options.state_dir);
	if (!dm->discover)
		err = -ENOMEM;
	if (!err && takeover_is_wanted(&dm->takeover)) {
		origin.what = "upgrade";
		err = take_document_over(dm, &document, &d);
	}
	if (!err)
		err = history_open(dm->options.state_dir, &dm->history, &d);
	if (!err && !document)
		err = load_document(dm, &document, &d);
	if (dm->file.fallback)
		origin.what = "last-good";
	if (!err)
		err = open_sockets(dm, &d);
	if (!err) {
		/* What the document is warned of is said when it takes effect. */
		diag_deinit(&d);
		diag_init(&d);
		err = start_parts(dm, &d);
	}
	if (err)
		takeover_failed(&dm->takeover, &d, err);
	diag_log(&d);
	if (!err) {
		err = reload_document(dm->reload, document, &origin, on_first, dm);
		document = NULL;
	}
	if (err)
		log_error("main: cannot start error=\"%s\"", strerror(-err));
	tree_free(document);
	diag_deinit(&d);
	return err;
}

int main(int argc, char **argv)
{
	struct daemon dm = {.socket.fd = -1,
			    .admin.socket.fd = -1,
			    .takeover = {.sock = -1, .from = {.control_fd = -1, .admin_fd = -1}},
			    .argv = argv,
			    .exit_code = EXIT_FAILURE};
	int code = options_parse(argc, argv, &dm.options);

	if (code >= 0)
		return code;
	log_init();
	(void)tls_provider_init(); /* without, OpenSSL has its own */
	notify_init();
	process_prepare();
	takeover_begin(&dm.takeover);
	dm.runtime = runtime_new();
	if (!dm.runtime) {
		log_error("main: out of memory");
		return EXIT_FAILURE;
	}
	if (dm.options.check) {
		dm.exit_code =
			config_file_check(dm.options.config_path, dm.runtime, dm.options.strict);
	} else if (!start(&dm)) {
		(void)uv_run(&dm.loop, UV_RUN_DEFAULT);
		log_info("main: ends exit_code=%d", dm.exit_code);
	}
	stop_parts(&dm);
	return dm.exit_code;
}
