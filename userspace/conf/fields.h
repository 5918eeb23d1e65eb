/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys whose values are neither a number nor a word: read and format functions, and checks of
 * text, for the keyword table (conf/schema.c) alone. Main thread.
 */
#ifndef CONF_FIELDS_H
#define CONF_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

struct keyword;
struct reader;
struct strbuf;
struct tree;

#define FIELD_FUNCTIONS(name)                                                                      \
	void field_read_##name(struct reader *r, const struct keyword *k,                          \
			       const struct tree *value, void *object);                            \
	void field_format_##name(struct strbuf *b, const void *object)

FIELD_FUNCTIONS(interfaces);	/* struct node */
FIELD_FUNCTIONS(workers);	/* struct node */
FIELD_FUNCTIONS(hash_seed);	/* struct node */
FIELD_FUNCTIONS(tunnel_source); /* struct node */
FIELD_FUNCTIONS(source_nat);	/* struct pool */
FIELD_FUNCTIONS(source_ports);	/* struct pool */
FIELD_FUNCTIONS(admin_http);	/* struct admin_conf */
FIELD_FUNCTIONS(admin_hosts);	/* struct admin_conf */
FIELD_FUNCTIONS(sample);	/* struct access_conf */
FIELD_FUNCTIONS(log_headers);	/* struct access_conf */
FIELD_FUNCTIONS(redact);	/* struct access_conf */
FIELD_FUNCTIONS(port);		/* struct health_conf */
FIELD_FUNCTIONS(statuses);	/* struct health_conf */
FIELD_FUNCTIONS(address);	/* struct backend */
FIELD_FUNCTIONS(listen);	/* struct service */
FIELD_FUNCTIONS(source_routes); /* struct service */
FIELD_FUNCTIONS(certificates);	/* struct service_tls */
FIELD_FUNCTIONS(from);		/* struct source_route */
FIELD_FUNCTIONS(mask);		/* struct quic_conf */
FIELD_FUNCTIONS(server_id);	/* struct backend */
FIELD_FUNCTIONS(mss);		/* struct service */
FIELD_FUNCTIONS(pool);		/* struct service: only its form; conf/build.c finds the pool */
FIELD_FUNCTIONS(trusted);	/* struct service */
FIELD_FUNCTIONS(upgrades);	/* struct service */
FIELD_FUNCTIONS(variables);	/* struct service: conf/build_route.c reads them */
FIELD_FUNCTIONS(routes);	/* struct service: the same */
FIELD_FUNCTIONS(rate_limit);  /* struct service: only names; conf/build_limit.c finds the limits */
FIELD_FUNCTIONS(rate);	      /* struct rate_limit */
FIELD_FUNCTIONS(node);	      /* any struct: the place in the document */
FIELD_FUNCTIONS(error_pages); /* struct service */
FIELD_FUNCTIONS(page_statuses); /* struct error_page */
FIELD_FUNCTIONS(sni_routes);	/* struct service */
FIELD_FUNCTIONS(sni);		/* struct sni_route */
FIELD_FUNCTIONS(alpn);		/* struct sni_route */
FIELD_FUNCTIONS(proxy_from);	/* struct proxy_in */
FIELD_FUNCTIONS(prefix);	/* struct guard_prefix */
FIELD_FUNCTIONS(resolver);	/* struct discover_conf */
FIELD_FUNCTIONS(overrides);	/* struct discover_conf */

#undef FIELD_FUNCTIONS

/* NULL where the text is good, else what is expected. */
const char *field_refuse_name(const char *text);
const char *field_refuse_path(const char *text);   /* absolute, of a file */
const char *field_refuse_ca(const char *text);	   /* the same, or none */
const char *field_refuse_sni(const char *text);	   /* DNS name of a server */
const char *field_refuse_socket(const char *text); /* the same, short enough for a socket */
const char *field_refuse_log_target(const char *text);
const char *field_refuse_target(const char *text); /* of an HTTP request */
const char *field_refuse_host(const char *text);   /* Host header */
const char *field_refuse_content_type(const char *text);
const char *field_refuse_note(const char *text); /* of an entry of a list */
const char *field_refuse_body(const char *text); /* in an answer to a check */
const char *field_refuse_grpc_service(const char *text);
const char *field_refuse_ring_size(uint64_t n);
const char *field_refuse_load_bound(uint64_t n);
const char *field_refuse_dns_name(const char *text);
const char *field_refuse_cookie(const char *text);
const char *field_refuse_cookie_path(const char *text);

/* Is it an address that a host cannot have as its own? Then it is reported. */
struct addr;
const char *field_refuse_address(const struct addr *a); /* what it is instead; NULL: good */
bool field_report_address(struct reader *r, const struct keyword *k, const struct tree *value,
			  const struct addr *a);

/* The kernel side is opened when the daemon starts, or not at all. */
bool field_restart_interfaces(const void *old_node, const void *new_node);

#endif
