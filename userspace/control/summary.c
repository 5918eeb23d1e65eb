/* SPDX-License-Identifier: BSD-2-Clause */
/* What SIGUSR1 writes: see summary.h. */
#include "control/summary.h"

#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "core/clock.h"
#include "core/log.h"
#include "l4/l4.h"
#include "loader/loader.h"
#include "worker/worker.h"

static unsigned count_usable(const struct pool *pool)
{
	unsigned n = 0;

	for (size_t i = 0; i < pool->backend_count; i++)
		n += backend_is_usable(&pool->backends[i]);
	return n;
}

static void log_http(const struct service *s)
{
	struct service_counters c;

	service_rt_sum(s->rt, &c);
	log_info("status: service name=%s mode=http backends=%zu usable=%u open_connections=%llu "
		 "requests=%llu responses_5xx=%llu",
		 s->name, s->pool ? s->pool->backend_count : 0, s->pool ? count_usable(s->pool) : 0,
		 (unsigned long long)(c.connections - c.closed), (unsigned long long)c.requests,
		 (unsigned long long)c.responses_5xx);
}

static void log_relay(const struct service *s)
{
	struct service_counters c;

	service_rt_sum(s->rt, &c);
	log_info("status: service name=%s mode=%s backends=%zu usable=%u open_connections=%llu "
		 "connections=%llu connect_failures=%llu",
		 s->name, service_mode_name(s->mode), s->pool ? s->pool->backend_count : 0,
		 s->pool ? count_usable(s->pool) : 0,
		 (unsigned long long)(c.connections - c.closed), (unsigned long long)c.connections,
		 (unsigned long long)c.connect_failures);
}

static void log_l4(const struct commands_env *env, const struct service *s)
{
	struct shunt_svc_stats stats = {0};
	unsigned long long drops = 0;

	if (env->l4)
		(void)l4_service_stats(env->l4, s->name, &stats); /* no row: nothing counted */
	for (int i = 0; i < SHUNT_DROP_COUNT; i++)
		drops += stats.drop[i];
	log_info("status: service name=%s mode=l4 backends=%zu usable=%u packets=%llu bytes=%llu "
		 "new_flows=%llu drops=%llu",
		 s->name, s->pool->backend_count, count_usable(s->pool),
		 (unsigned long long)stats.count[SHUNT_COUNT_PACKETS],
		 (unsigned long long)stats.count[SHUNT_COUNT_BYTES],
		 (unsigned long long)stats.count[SHUNT_COUNT_NEW_FLOWS], drops);
}

void summary_log_interfaces(struct l4 *l4)
{
	struct attachment *list = NULL;
	size_t count = 0;
	int err = loader_attachments(l4_loader(l4), &list, &count);

	if (err)
		log_warning("l4: the kernel did not say what is attached error=\"%s\"",
			    strerror(-err));
	for (size_t i = 0; !err && i < count; i++)
		log_info("l4: attached interface=%s mode=%s kind=%s program_id=%u", list[i].ifname,
			 list[i].mode == ATTACH_NATIVE ? "native" : "generic",
			 list[i].kind == ATTACH_DISPATCHER ? "dispatcher" : "single",
			 list[i].prog_id);
	free(list);
}

void summary_log(const struct commands_env *env)
{
	const struct snapshot *snap = reload_current(env->reload);
	struct workers_status w = {0};

	workers_status(env->workers, &w);
	log_info("status: version=" SHUNT_VERSION
		 " uptime_s=%llu generation=%llu services=%zu pools=%zu workers=%u "
		 "open_connections=%llu interfaces=%zu lingering_backends=%u",
		 (unsigned long long)((clock_now_ms() - env->started_ms) / 1000),
		 (unsigned long long)snap->generation, snap->service_count, snap->pool_count,
		 w.count, (unsigned long long)w.connections, snap->node.interface_count,
		 reload_lingering(env->reload));
	if (env->l4)
		summary_log_interfaces(env->l4);
	for (size_t i = 0; i < snap->service_count; i++) {
		if (snap->services[i].mode == SERVICE_HTTP)
			log_http(&snap->services[i]);
		else if (service_is_proxied(&snap->services[i]))
			log_relay(&snap->services[i]);
		else
			log_l4(env, &snap->services[i]);
	}
}
