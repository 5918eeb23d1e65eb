/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in the files of certificates and keys: see draft.h. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "conf/draft.h"
#include "conf/service_tls.h"
#include "tls/server.h"

static const struct tree *certificate_node(const struct service_draft *sd, size_t i)
{
	return tree_get(tree_get(sd->node, "tls"), "certificates")->children[i];
}

static const char *date_text(int64_t seconds, char buf[32])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	(void)strftime(buf, 32, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&when, &tm));
	return buf;
}

/* One that is not valid is served all the same: a name with an old certificate is better off than all
 * names without the change that a configuration brings. */
static void check_dates(struct draft *dr, const struct pos *pos, const struct service *s, size_t i)
{
	const struct tls_cert *c = s->tls.loaded[i];
	int64_t now = time(NULL);
	bool is_over = c->not_after < now;
	char date[32];

	if (is_over || c->not_before > now)
		diag_warning(dr->reader.diag, pos, "service %s: %s: the certificate %s %s", s->name,
			     s->tls.certificates[i].cert,
			     is_over ? "expired on" : "is not valid before",
			     date_text(is_over ? c->not_after : c->not_before, date));
}

/* whose: "service", "pool". */
static void check_key_file(struct draft *dr, const struct tree *node, const char *whose,
			   const char *name, const struct tls_files *f, const struct tls_cert *c)
{
	if (c->key_is_open)
		diag_warning(dr->reader.diag, draft_key_pos(node, f->key ? "key" : "cert"),
			     "%s %s: %s: every user of this host may read the private key", whose,
			     name, f->key ? f->key : f->cert);
}

static void check_policy(struct draft *dr, const struct pos *pos, const struct service *s, size_t i)
{
	const struct tls_cert *c = s->tls.loaded[i];
	const char *expected = tls_policy_refuses(s->tls.policy, c);

	if (expected)
		diag_error(dr->reader.diag, pos, "service %s: %s: expected %s, found %s of %u bits",
			   s->name, s->tls.certificates[i].cert, expected,
			   tls_key_kind_name(c->kind), c->bits);
}

/* A response that is no longer good is not sent; a new one is taken when it comes. */
static void check_staple(struct draft *dr, const struct pos *pos, const struct service *s, size_t i)
{
	const char *path = s->tls.certificates[i].ocsp;
	struct tls_staple_info info;
	char date[32];

	tls_staple_info(s->tls.staples[i], &info);
	switch (info.state) {
	case TLS_STAPLE_GOOD: break;
	case TLS_STAPLE_EXPIRED:
		diag_warning(dr->reader.diag, pos,
			     "service %s: %s: the OCSP response expired on %s", s->name, path,
			     date_text(info.next_update, date));
		break;
	case TLS_STAPLE_EARLY:
		diag_warning(dr->reader.diag, pos,
			     "service %s: %s: the OCSP response is not valid before %s", s->name,
			     path, date_text(info.this_update, date));
		break;
	case TLS_STAPLE_REVOKED:
	case TLS_STAPLE_UNKNOWN:
		diag_warning(dr->reader.diag, pos,
			     "service %s: %s: the OCSP response says that the certificate is %s",
			     s->name, path, tls_staple_state_text(info.state));
		break;
	}
}

/* False: not there, or an error. */
static bool load_staple(struct draft *dr, const struct pos *pos, const struct service *s, size_t i)
{
	char text[TLS_PROBLEM_MAX];
	int err = tls_staple_load(s->tls.certificates[i].ocsp, s->tls.loaded[i], &s->tls.staples[i],
				  text);

	if (err < 0)
		diag_error(dr->reader.diag, pos, "service %s: tls: %s", s->name, text);
	else
		check_staple(dr, pos, s, i);
	return err == 0;
}

/* False: not there, or an error. */
static bool load_one(struct draft *dr, const struct service_draft *sd, const struct service *s,
		     size_t i)
{
	const struct tree *node = certificate_node(sd, i);
	const struct tls_files *f = &s->tls.certificates[i];
	size_t errors = dr->reader.diag->errors;
	struct tls_problem problem;

	if (!f->cert)
		return false; /* said already */
	if (tls_cert_load(f->cert, f->key, &s->tls.loaded[i], &problem) < 0) {
		diag_error(dr->reader.diag,
			   draft_key_pos(node, problem.in_key && f->key ? "key" : "cert"),
			   "service %s: tls: %s", s->name, problem.text);
		return false;
	}
	check_key_file(dr, node, "service", s->name, f, s->tls.loaded[i]);
	check_dates(dr, draft_key_pos(node, "cert"), s, i);
	check_policy(dr, draft_key_pos(node, "cert"), s, i);
	if (f->ocsp && !load_staple(dr, draft_key_pos(node, "ocsp"), s, i))
		return false;
	return dr->reader.diag->errors == errors;
}

/* A file of what clients are verified by; path NULL: none. */
static bool load_for_clients(struct draft *dr, const struct service_draft *sd,
			     const struct service *s, const char *key, const char *path,
			     struct tls_authorities **ret_authorities)
{
	const struct tree *node = tree_get(tree_get(sd->node, "tls"), "clients");
	char text[TLS_PROBLEM_MAX];

	if (!path || tls_authorities_load(path, !strcmp(key, "crl"), ret_authorities, text) == 0)
		return true;
	diag_error(dr->reader.diag, draft_key_pos(node, key), "service %s: tls: %s", s->name, text);
	return false;
}

/* What the workers will do, once: from here on it cannot fail but for want of memory. */
static void try_all(struct draft *dr, const struct service_draft *sd, const struct service *s)
{
	struct tls_server_conf conf = service_tls_conf(s);
	struct tls_server *server = NULL;
	size_t bad;
	int err = tls_server_new(&conf, NULL, &server, &bad);

	tls_server_unref(server);
	if (err == -EINVAL && bad < s->tls.certificate_count)
		diag_error(dr->reader.diag, draft_key_pos(certificate_node(sd, bad), "cert"),
			   "service %s: %s: OpenSSL does not take it (security level, curve)",
			   s->name, s->tls.certificates[bad].cert);
	else if (err < 0)
		dr->reader.out_of_memory = true;
}

/* ---- pools ---- */

static bool load_authorities(struct draft *dr, const struct tree *node, struct pool *p)
{
	char text[TLS_PROBLEM_MAX];

	if (!strcmp(p->tls.ca, TLS_CA_NONE)) {
		diag_warning(dr->reader.diag, draft_key_pos(node, "ca"),
			     "pool %s: tls.ca: none believes whoever answers", p->name);
		return true;
	}
	if (tls_authorities_load(p->tls.ca, false, &p->tls.authorities, text) == 0)
		return true;
	diag_error(dr->reader.diag, draft_key_pos(node, "ca"), "pool %s: tls: %s", p->name, text);
	return false;
}

static bool load_client(struct draft *dr, const struct tree *node, struct pool *p)
{
	const struct tls_files *f = &p->tls.client;
	struct tls_problem problem;
	const char *expected;

	if (!f->cert)
		return true;
	node = tree_get(node, "client");
	if (tls_cert_load(f->cert, f->key, &p->tls.cert, &problem) < 0) {
		diag_error(dr->reader.diag,
			   draft_key_pos(node, problem.in_key && f->key ? "key" : "cert"),
			   "pool %s: tls: %s", p->name, problem.text);
		return false;
	}
	check_key_file(dr, node, "pool", p->name, f, p->tls.cert);
	expected = tls_policy_refuses(p->tls.policy, p->tls.cert);
	if (expected)
		diag_error(dr->reader.diag, draft_key_pos(node, "cert"),
			   "pool %s: %s: expected %s, found %s of %u bits", p->name, f->cert,
			   expected, tls_key_kind_name(p->tls.cert->kind), p->tls.cert->bits);
	return !expected;
}

static void check_pool_tls(struct draft *dr, const struct pool_draft *pd, struct pool *p)
{
	const struct tree *node = tree_get(pd->node, "tls");
	struct tls_client *client = NULL;
	struct tls_client_conf conf;
	bool loaded;
	int err;

	if (!pool_has_tls(p) || p->forward != FORWARD_PROXY) {
		if (p->health.tls == HEALTH_TLS_ON)
			diag_error(
				dr->reader.diag, draft_key_pos(tree_get(pd->node, "health"), "tls"),
				"pool %s: health.tls: its backends are not spoken TLS to", p->name);
		return;
	}
	loaded = load_authorities(dr, node, p);
	loaded &= load_client(dr, node, p);
	if (!loaded)
		return;
	conf = pool_tls_conf(p);
	err = tls_client_new(&conf, &client);
	tls_client_unref(client);
	if (err == -EINVAL)
		diag_error(dr->reader.diag, draft_key_pos(tree_get(node, "client"), "cert"),
			   "pool %s: %s: OpenSSL does not take it (security level, curve)", p->name,
			   p->tls.client.cert);
	else if (err < 0)
		dr->reader.out_of_memory = true;
}

void draft_check_tls(struct draft *dr)
{
	const struct snapshot *snap = dr->snap;

	for (size_t i = 0; i < snap->pool_count; i++)
		check_pool_tls(dr, &dr->pools[i], &snap->pools[i]);
	for (size_t i = 0; i < snap->service_count; i++) {
		struct service *s = &snap->services[i];
		struct client_tls *c = &s->tls.clients;
		bool loaded = true;

		if (s->mode != SERVICE_HTTP)
			continue;
		for (size_t k = 0; k < s->tls.certificate_count; k++)
			loaded &= load_one(dr, &dr->services[i], s, k);
		loaded &= load_for_clients(dr, &dr->services[i], s, "ca", c->ca, &c->authorities);
		loaded &= load_for_clients(dr, &dr->services[i], s, "crl", c->crl, &c->crls);
		if (loaded && service_has_tls(s))
			try_all(dr, &dr->services[i], s);
	}
}
