/* SPDX-License-Identifier: BSD-2-Clause */
/* Idle connections to a backend: see upstream.h. */
#include "l7/upstream.h"

#include <assert.h>
#include <stdlib.h>

#include "l7/breaker.h"
#include "l7/h2_client.h"
#include "l7/upstream_conn.h"
#include "tls/client.h"

struct upstream *upstream_new(struct l7 *l7, struct backend_rt *rt)
{
	struct upstream *up = calloc(1, sizeof(*up));

	if (!up)
		return NULL;
	up->l7 = l7;
	up->rt = rt;
	up->counters = &rt->counters[l7->env.worker];
	list_init(&up->idle);
	list_init(&up->shared);
	up->refs = 1;
	return up;
}

struct upstream *upstream_ref(struct upstream *up)
{
	up->refs++;
	return up;
}

void upstream_unref(struct upstream *up)
{
	if (!up || --up->refs)
		return;
	assert(list_empty(&up->idle));
	tls_session_forget(&up->session);
	tls_client_unref(up->tls);
	free(up);
}

void upstream_set_tls(struct upstream *up, struct tls_client *tls)
{
	if (up->tls == tls)
		return;
	upstream_close_idle(up);
	tls_session_forget(&up->session);
	tls_client_unref(up->tls);
	up->tls = tls_client_ref(tls);
	up->session.of = tls;
}

struct upstream_conn *upstream_take_idle(struct upstream *up, uint16_t port)
{
	list_for_each (it, &up->idle) {
		struct upstream_conn *uc = list_entry(it, struct upstream_conn, node);

		if (uc->port == port) {
			upstream_conn_leave_idle(uc);
			return uc;
		}
	}
	return NULL;
}

void upstream_put_idle(struct upstream *up, struct upstream_conn *uc, unsigned idle_max,
		       unsigned idle_ms)
{
	if (uc->io.carrier || !up->keep || up->l7->is_closed || up->idle_count >= idle_max ||
	    !upstream_conn_is_clean(uc) || breaker_wants_connection(&up->limits, up->rt))
		upstream_conn_close(uc);
	else
		upstream_conn_enter_idle(uc, idle_ms);
}

void upstream_close_idle(struct upstream *up)
{
	list_for_each_safe (it, &up->idle)
		upstream_conn_close(list_entry(it, struct upstream_conn, node));
	h2_client_retire(up);
}
