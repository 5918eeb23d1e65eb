/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of the process, the workers and the kernel's tables: see metrics.h. */
#include "control/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/metrics_int.h"
#include "control/ready.h"
#include "core/clock.h"
#include "l4/guard.h"
#include "l4/l4.h"
#include "l4/nat_sweep.h"
#include "loader/loader.h"
#include "loader/maps.h"
#include "log/sink.h"
#include "worker/worker.h"

bool counter_is_of_class(const char *text)
{
	return !strncmp(text, "responses-", 10);
}

const char *counter_family(struct counter_name *name, const char *prefix, const char *text)
{
	/* Bytes are the unit, and stand where units do. */
	static const struct {
		const char *text, *name;
	} odd[] = {
		{"bytes-in", "received_bytes"},
		{"bytes-out", "sent_bytes"},
		{"reply-bytes", "reply_bytes"},
	};
	const char *word = text;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (!strcmp(text, odd[i].text))
			word = odd[i].name;
	(void)snprintf(name->s, sizeof(name->s), "%s%s_total", prefix, word); /* fits */
	for (char *c = name->s; *c; c++)
		if (*c == '-')
			*c = '_';
	return name->s;
}

static void one(struct exposition *e, const char *name, enum metric_kind kind, const char *help,
		double value)
{
	exposition_family(e, name, kind, help);
	exposition_number(e, NULL, value);
}

/* ---- the process ---- */

static double seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* -1: the system does not say. */
static double resident_bytes(void)
{
	unsigned long long size, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	int n = f ? fscanf(f, "%llu %llu", &size, &resident) : 0;

	if (f)
		fclose(f);
	return n == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : -1;
}

static double open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	double n = -3; /* ".", "..", and this directory */

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void add_process(struct exposition *e, const struct commands_env *env)
{
	double age = (double)(clock_now_ms() - env->started_ms) / 1e3;
	double now = (double)clock_read_ns(CLOCK_REALTIME) / 1e9, value;
	struct rlimit files;
	struct rusage use;

	one(e, "process_start_time_seconds", METRIC_GAUGE,
	    "When the first configuration took effect, in seconds since 1970.", now - age);
	if (!getrusage(RUSAGE_SELF, &use))
		one(e, "process_cpu_seconds_total", METRIC_COUNTER,
		    "Processor time of all threads.",
		    seconds_of(&use.ru_utime) + seconds_of(&use.ru_stime));
	value = resident_bytes();
	if (value >= 0)
		one(e, "process_resident_memory_bytes", METRIC_GAUGE, "Memory in use.", value);
	value = open_files();
	if (value >= 0)
		one(e, "process_open_fds", METRIC_GAUGE, "Open file descriptors.", value);
	if (!getrlimit(RLIMIT_NOFILE, &files))
		one(e, "process_max_fds", METRIC_GAUGE, "Limit of open file descriptors.",
		    (double)files.rlim_cur);
}

static void add_state(struct exposition *e, const struct commands_env *env,
		      const struct snapshot *snap)
{
	const struct label build[] = {{"version", SHUNT_VERSION}, {0}};
	struct ready r;
	bool is_ready = ready_check(env, &r);

	exposition_family(e, "shunt_build_info", METRIC_GAUGE, "Version of the daemon, always 1.");
	exposition_count(e, build, 1);
	one(e, "shunt_config_generation", METRIC_GAUGE,
	    "Number of the configuration in force, 1 for the first.", (double)snap->generation);
	one(e, "shunt_ready", METRIC_GAUGE, "1: as /readyz says, 0: not ready.", is_ready);
	one(e, "shunt_access_lines_unwritten_total", METRIC_COUNTER,
	    "Lines of access logs that files or loggers did not take.", (double)log_sinks_lost());
	one(e, "shunt_stopping", METRIC_GAUGE, "1 while connections are waited for at the end.",
	    env->stopping);
}

/* ---- workers ---- */

static void add_workers(struct exposition *e, const struct commands_env *env)
{
	struct workers_status w = {0};
	struct worker_facts facts;
	char number[16];
	const struct label labels[] = {{"worker", number}, {0}};

	workers_status(env->workers, &w);
	one(e, "shunt_workers", METRIC_GAUGE, "Threads of the proxy.", w.count);
#define FAMILY(name, kind, help, value)                                                            \
	exposition_family(e, name, kind, help);                                                    \
	for (unsigned i = 0; i < w.count; i++) {                                                   \
		workers_facts(env->workers, i, &facts);                                            \
		(void)snprintf(number, sizeof(number), "%u", i);                                   \
		exposition_number(e, labels, (double)(value));                                     \
	}
	FAMILY("shunt_worker_open_connections", METRIC_GAUGE, "Open client connections.",
	       facts.connections)
	FAMILY("shunt_worker_idle_backend_connections", METRIC_GAUGE,
	       "Connections to backends that are kept for later.", facts.upstream_idle)
	FAMILY("shunt_worker_config_generation", METRIC_GAUGE,
	       "Number of the configuration that the worker serves.", facts.generation)
	FAMILY("shunt_worker_loop_lag_seconds", METRIC_GAUGE,
	       "How late the last timer of the loop was, of one a second.", facts.lag_us / 1e6)
	FAMILY("shunt_worker_loop_lag_max_seconds", METRIC_GAUGE,
	       "The most that it was since the start.", facts.lag_max_us / 1e6)
	FAMILY("shunt_worker_batched_calls_total", METRIC_COUNTER,
	       "Reads and writes of sockets that were made many at once, by io_uring.",
	       facts.batched)
#undef FAMILY
}

/* ---- the kernel ---- */

static void add_table(struct exposition *e, const char *table, uint64_t n)
{
	const struct label labels[] = {{"table", table}, {0}};

	exposition_count(e, labels, n);
}

/* How full they are, where that is known without going through them. */
static void add_tables(struct exposition *e, struct l4 *l4, const struct snapshot *snap)
{
	const struct nat_use *nat = l4_nat_use(l4);
	struct guard_counters guard = {0};
	struct loader_sizes sizes = {0};
	uint64_t listens = 0;

	maps_sizes(l4_loader(l4), &sizes);
	guard_counters(l4_guard(l4), &guard);
	for (size_t i = 0; i < snap->service_count; i++)
		listens +=
			snap->services[i].mode == SERVICE_L4 ? snap->services[i].listen_count : 0;
	exposition_family(e, "shunt_table_size_entries", METRIC_GAUGE,
			  "Entries that a kernel table has room for (guard, nat: of each family).");
	add_table(e, "services", sizes.services);
	add_table(e, "backends", sizes.backends);
	add_table(e, "ring_slots", sizes.ring_slots);
	add_table(e, "flows", sizes.flows);
	add_table(e, "pending_flows", sizes.pending);
	add_table(e, "guard", guard.room);
	add_table(e, "nat", sizes.nat);
	exposition_family(e, "shunt_table_used_entries", METRIC_GAUGE,
			  "Entries in use, of tables that count them.");
	add_table(e, "services", listens);
	add_table(e, "guard", guard.entries[0] + guard.entries[1]);
	if (nat)
		add_table(e, "nat", nat->flows[0] + nat->flows[1]);
	one(e, "shunt_table_memory_bytes", METRIC_GAUGE, "Kernel memory of all tables.",
	    (double)maps_memory(l4_loader(l4)));
	one(e, "shunt_guard_blocked_total", METRIC_COUNTER,
	    "Sources that were blocked by themselves.", (double)guard.blocked);
	one(e, "shunt_guard_unlisted_total", METRIC_COUNTER,
	    "Of them, those that the list had no room for.", (double)guard.lost);
}

static void add_kernel(struct exposition *e, const struct commands_env *env,
		       const struct snapshot *snap)
{
	uint64_t sum[SHUNT_VERDICT_COUNT];

	if (!env->l4)
		return;
	if (!maps_verdicts(l4_loader(env->l4), sum)) {
		exposition_family(e, "shunt_packets_total", METRIC_COUNTER,
				  "Packets that the program saw, by what became of them.");
#define X(name, text)                                                                              \
	exposition_count(e, (const struct label[]){{"verdict", text}, {0}},                        \
			 sum[SHUNT_VERDICT_##name]);
		SHUNT_VERDICTS(X)
#undef X
	}
	add_tables(e, env->l4, snap);
	one(e, "shunt_kernel_tables_behind", METRIC_GAUGE,
	    "1 while the kernel's tables are not what the configuration says.",
	    reload_is_behind(env->reload));
	one(e, "shunt_lingering_backends", METRIC_GAUGE,
	    "Backends that were removed and have flows still.", reload_lingering(env->reload));
}

/* ---- all of it ---- */

static void add_omitted(struct exposition *e, size_t services, size_t routes, size_t labels,
			size_t backends)
{
	exposition_family(e, "shunt_metrics_omitted", METRIC_GAUGE,
			  "Objects without series of their own (admin.metrics).");
	exposition_count(e, (const struct label[]){{"object", "service"}, {0}}, services);
	exposition_count(e, (const struct label[]){{"object", "route"}, {0}}, routes);
	exposition_count(e, (const struct label[]){{"object", "label"}, {0}}, labels);
	exposition_count(e, (const struct label[]){{"object", "backend"}, {0}}, backends);
}

char *metrics_render(const struct commands_env *env)
{
	const struct snapshot *snap = reload_current(env->reload);
	const struct metrics_conf *conf = &snap->admin.metrics;
	size_t services = snap->service_count, routes, labels = 0, backends;
	struct exposition e;
	bool failed = false;

	if (services > conf->services)
		services = conf->services;
	exposition_init(&e);
	add_process(&e, env);
	add_state(&e, env, snap);
	add_workers(&e, env);
	add_kernel(&e, env, snap);
	metrics_services(&e, env, snap, services, &failed);
	metrics_certificates(&e, snap, services);
	routes = metrics_routes(&e, snap, conf->routes, &labels, &failed);
	backends = metrics_backends(&e, env, snap, conf->backends, &failed);
	metrics_discover(&e, env->discover, conf->services);
	add_omitted(&e, snap->service_count - services, routes, labels, backends);
	if (!failed)
		return strbuf_take(&e.text);
	strbuf_deinit(&e.text);
	return NULL;
}
