/* SPDX-License-Identifier: BSD-2-Clause */
/* Readiness: see ready.h. */
#include "control/ready.h"

#include <stdlib.h>

#include "control/steering.h"
#include "l4/l4.h"
#include "loader/loader.h"
#include "worker/worker.h"

/* All interfaces that the configuration names have the program. Those that it named at the start: they
 * are opened then. */
static bool is_attached(const struct commands_env *env, const struct snapshot *snap)
{
	struct attachment *list = NULL;
	size_t count = 0;
	bool is_good;

	if (!env->l4)
		return true;
	is_good = loader_attachments(l4_loader(env->l4), &list, &count) == 0 &&
		  count >= snap->node.interface_count;
	free(list);
	return is_good;
}

bool ready_check(const struct commands_env *env, struct ready *ret_ready)
{
	const struct snapshot *snap = reload_current(env->reload);
	struct workers_status w = {0};
	struct ready r;

	workers_status(env->workers, &w);
	r.running = !env->stopping;
	r.config = w.generation == snap->generation;
	r.kernel = !reload_is_behind(env->reload) && is_attached(env, snap);
	r.sockets = !steering_is_behind(env->steering);
	*ret_ready = r;
	return r.running && r.config && r.kernel && r.sockets;
}
