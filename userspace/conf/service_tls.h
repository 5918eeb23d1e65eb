/* SPDX-License-Identifier: BSD-2-Clause */
/* From services and pools of a snapshot to what TLS contexts are made of. Any thread. */
#ifndef CONF_SERVICE_TLS_H
#define CONF_SERVICE_TLS_H

#include "conf/route_set.h"
#include "conf/snapshot.h"
#include "tls/client.h"
#include "tls/server.h"

/* service_has_tls(s), and its files were loaded. */
static inline struct tls_server_conf service_tls_conf(const struct service *s)
{
	return (struct tls_server_conf){
		.name = s->name,
		.certs = s->tls.loaded,
		.cert_count = s->tls.certificate_count,
		.staples = s->tls.staples,
		.policy = s->tls.policy,
		.http2 = s->http2 == HTTP2_ON,
		.authorities = s->tls.clients.authorities,
		.crls = s->tls.clients.crls,
		.clients_may_have_none = s->tls.clients.verify == CLIENT_VERIFY_OPTIONAL,
		.early_data =
			s->tls.early_data == EARLY_DATA_ON || (s->routes && s->routes->takes_early),
	};
}

/* pool_has_tls(p), and its files were loaded. */
static inline struct tls_client_conf pool_tls_conf(const struct pool *p)
{
	return (struct tls_client_conf){
		.authorities = p->tls.authorities,
		.cert = p->tls.cert,
		.name = p->tls.name,
		.policy = p->tls.policy,
		.http2 = p->protocol == POOL_HTTP2,
	};
}

#endif
