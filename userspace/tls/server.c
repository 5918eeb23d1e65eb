/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts of a service, and which of them a name gets: see server.h. */
#include "tls/server.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tls/context.h"
#include "tls/provider.h"

#define ALPN_HTTP2  "\x02h2"
#define ALPN_HTTP11 "\x08http/1.1"
#define HOST_MAX    253

/* At most one certificate of each kind of key; the client's abilities decide among them. */
struct set {
	const struct tls_cert *certs[TLS_KEY_KIND_COUNT];
	struct tls_staple *staples[TLS_KEY_KIND_COUNT]; /* of the server's */
	SSL_CTX *ctx;
};

struct name {
	const char *text; /* of a certificate: exact, or "*.example.org" */
	size_t set;
};

struct tls_server {
	struct tls_cert **certs;     /* references */
	struct tls_staple **staples; /* the same, of each of them; NULL among them: none */
	size_t cert_count;
	enum tls_policy policy;
	bool http2;
	struct tls_authorities *authorities, *crls; /* references; NULL: none */
	bool clients_may_have_none, early_data;
	struct tls_resumption resumption;
	struct set *sets; /* the first one serves who names nothing known */
	size_t set_count;
	struct name *names; /* sorted */
	size_t name_count;
	unsigned refs;
};

/* ---- names ---- */

static int compare_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static const struct name *find_name(const struct tls_server *s, const char *text)
{
	const struct name key = {.text = text};

	return s->name_count ? bsearch(&key, s->names, s->name_count, sizeof(key), compare_name)
			     : NULL;
}

/* Lower case, without a dot at the end. False: it cannot be a name of any certificate. */
static bool canonical(const char *host, char ret_name[HOST_MAX + 1])
{
	size_t len = strlen(host);

	if (len && host[len - 1] == '.')
		len--;
	if (!len || len > HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		ret_name[i] = (char)tolower((unsigned char)host[i]);
	ret_name[len] = 0;
	return true;
}

/* The set for a host: an exact name goes before a wildcard, which stands for one label. */
static const struct set *find_set(const struct tls_server *s, const char *host)
{
	char name[HOST_MAX + 1];
	const struct name *found;
	char *dot;

	if (!host || !canonical(host, name) || strchr(name, '*'))
		return NULL;
	found = find_name(s, name);
	dot = found ? NULL : strchr(name, '.');
	if (dot && dot > name) {
		dot[-1] = '*';
		found = find_name(s, dot - 1);
	}
	return found ? &s->sets[found->set] : NULL;
}

/* Does the certificate name the host, exactly, or by a wildcard where that counts? */
static bool names(const struct tls_cert *c, const char *host, bool wildcard)
{
	const char *dot = strchr(host, '.');

	for (size_t i = 0; i < c->name_count; i++) {
		const char *n = c->names[i];

		if (!wildcard ? !strcmp(n, host) : dot && n[0] == '*' && !strcmp(n + 1, dot))
			return true;
	}
	return false;
}

/* Do the certificates of a set name the host? One of them is the client's. */
static bool set_names(const struct set *set, const char *host)
{
	for (int kind = 0; kind < TLS_KEY_KIND_COUNT; kind++)
		if (set->certs[kind] &&
		    (names(set->certs[kind], host, false) || names(set->certs[kind], host, true)))
			return true;
	return false;
}

bool tls_server_is_misdirected(const struct tls_server *s, const char *asked, const char *host,
			       size_t len)
{
	char text[HOST_MAX + 2], name[HOST_MAX + 1], asked_name[HOST_MAX + 1];
	const struct set *own, *other;

	if (!len) /* none said: HTTP/1.0 */
		return false;
	if (asked && strlen(asked) == len && !strncasecmp(asked, host, len))
		return false;
	if (len >= sizeof(text)) /* no name, and none that was asked for */
		return s->authorities && asked;
	memcpy(text, host, len);
	text[len] = 0;
	if (!canonical(text, name))
		return false;
	other = find_set(s, name);
	own = find_set(s, asked);
	if (!own)
		own = &s->sets[0];
	if (s->authorities && asked)
		return !canonical(asked, asked_name) || strcmp(asked_name, name) != 0;
	/* Who asked for nothing, an address for example, was promised nothing. */
	return (asked || s->authorities) && other && other != own && !set_names(own, name);
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *s = arg;
	const struct set *set = find_set(s, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));

	(void)alert;
	if (!set)
		return SSL_TLSEXT_ERR_NOACK;
	if (!SSL_set_SSL_CTX(ssl, set->ctx))
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

/* A client that offers protocols, but none of ours, must not be talked to in another one. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char both[] = ALPN_HTTP2 ALPN_HTTP11;
	const struct tls_server *s = arg;
	unsigned skipped = s->http2 ? 0 : sizeof(ALPN_HTTP2) - 1;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_len, both + skipped, sizeof(both) - 1 - skipped, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- OCSP responses ---- */

/* The one of the certificate that was chosen; NULL: none. */
static struct tls_staple *chosen_staple(SSL *ssl, const struct set *set)
{
	X509 *x = SSL_get_certificate(ssl);
	EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
	enum tls_key_kind kind;

	return key && tls_key_kind_of(key, &kind) ? set->staples[kind] : NULL;
}

static int on_status(SSL *ssl, void *arg)
{
	struct tls_staple *staple = chosen_staple(ssl, arg);
	size_t len;
	unsigned char *response = staple ? tls_staple_take(staple, &len) : NULL;

	if (!response)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, response, (long)len);
	return SSL_TLSEXT_ERR_OK;
}

enum tls_stapled tls_server_stapled(SSL *ssl)
{
	const unsigned char *response;
	void *set;

	if (SSL_get_tlsext_status_type(ssl) != TLSEXT_STATUSTYPE_ocsp || SSL_session_reused(ssl))
		return TLS_STAPLED_NOTHING;
	if (SSL_get_tlsext_status_ocsp_resp(ssl, &response) > 0) {
		/* Else the connection would keep its copy to its end. */
		SSL_set_tlsext_status_ocsp_resp(ssl, NULL, 0);
		return TLS_STAPLED_RESPONSE;
	}
	SSL_CTX_get_tlsext_status_arg(SSL_get_SSL_CTX(ssl), &set);
	return chosen_staple(ssl, set) ? TLS_STAPLED_WITHHELD : TLS_STAPLED_NOTHING;
}

/* ---- contexts ---- */

/* Clients are told the names of the authorities, to choose their certificate by. */
static bool ask_for_certificates(const struct tls_server *s, SSL_CTX *ctx)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	STACK_OF(X509_OBJECT) * objects;
	bool ok = tls_authorities_add(s->authorities, store);

	SSL_CTX_set_verify(ctx,
			   SSL_VERIFY_PEER |
				   (s->clients_may_have_none ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
			   NULL);
	if (s->crls)
		ok = ok && tls_authorities_add(s->crls, store) &&
		     X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	objects = X509_STORE_get0_objects(store);
	for (int i = 0; ok && i < sk_X509_OBJECT_num(objects); i++) {
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		ok = !x || SSL_CTX_add_client_CA(ctx, x);
	}
	return ok;
}

static int make_context(struct tls_server *s, struct set *set, const struct tls_cert **ret_bad)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(NULL, TLS_PROVIDER_PROPERTIES, TLS_server_method());

	set->ctx = ctx;
	if (!ctx || !tls_context_prepare(ctx, s->policy) ||
	    !tls_resumption_enable(ctx, &s->resumption))
		return -ENOMEM;
	if (s->authorities && !ask_for_certificates(s, ctx))
		return -ENOMEM;
	if (s->early_data)
		tls_resumption_allow_early_data(ctx, &s->resumption);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, s);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, s);
	SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	SSL_CTX_set_tlsext_status_arg(ctx, set);
	for (int kind = 0; kind < TLS_KEY_KIND_COUNT; kind++) {
		if (!set->certs[kind] || tls_context_use(ctx, set->certs[kind]))
			continue;
		*ret_bad = set->certs[kind];
		return ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EINVAL;
	}
	return 0;
}

/* ---- sets ---- */

/* Of each kind the first certificate that names the host; an exact name goes first. */
static struct set choose(const struct tls_server *s, const char *host)
{
	struct set set = {0};

	for (int wildcard = 0; wildcard < 2; wildcard++)
		for (size_t i = 0; i < s->cert_count; i++)
			if (!set.certs[s->certs[i]->kind] && names(s->certs[i], host, wildcard))
				set.certs[s->certs[i]->kind] = s->certs[i];
	return set;
}

/* The index of a set like this one. */
static size_t add_set(struct tls_server *s, const struct set *set)
{
	for (size_t i = 0; i < s->set_count; i++)
		if (!memcmp(s->sets[i].certs, set->certs, sizeof(set->certs)))
			return i;
	s->sets[s->set_count] = *set;
	return s->set_count++;
}

/* The set of who names nothing: the first certificate, and those of other kinds for its name. */
static struct set default_set(const struct tls_server *s)
{
	const struct tls_cert *first = s->certs[0];
	struct set set = {0};

	if (first->name_count)
		set = choose(s, first->names[0]);
	set.certs[first->kind] = first;
	return set;
}

static int make_sets(struct tls_server *s)
{
	size_t count = 0;
	struct set set = default_set(s);

	for (size_t i = 0; i < s->cert_count; i++)
		count += s->certs[i]->name_count;
	s->sets = calloc(count + 1, sizeof(*s->sets));
	s->names = calloc(count + 1, sizeof(*s->names));
	if (!s->sets || !s->names)
		return -ENOMEM;
	(void)add_set(s, &set);
	for (size_t i = 0; i < s->cert_count; i++)
		for (size_t k = 0; k < s->certs[i]->name_count; k++)
			s->names[s->name_count++].text = s->certs[i]->names[k];
	qsort(s->names, s->name_count, sizeof(*s->names), compare_name);
	for (size_t i = 0; i < s->name_count; i++) {
		set = choose(s, s->names[i].text);
		s->names[i].set = add_set(s, &set);
	}
	return 0;
}

/* ---- all of it ---- */

/* A session is good where the same is asked of clients: else one could come in with what others asked. */
static bool make_id(const struct tls_server_conf *conf, unsigned char ret_id[TLS_DIGEST_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const unsigned char none[TLS_DIGEST_LEN] = {0};
	const unsigned char may_have_none = conf->clients_may_have_none;
	const struct tls_authorities *a = conf->authorities, *crls = conf->crls;
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
		  EVP_DigestUpdate(ctx, conf->name, strlen(conf->name) + 1) &&
		  EVP_DigestUpdate(ctx, a ? a->digest : none, TLS_DIGEST_LEN) &&
		  EVP_DigestUpdate(ctx, crls ? crls->digest : none, TLS_DIGEST_LEN) &&
		  EVP_DigestUpdate(ctx, &may_have_none, 1) && EVP_DigestFinal_ex(ctx, ret_id, NULL);

	EVP_MD_CTX_free(ctx);
	return ok;
}

static size_t index_of(const struct tls_server *s, const struct tls_cert *cert)
{
	size_t i = 0;

	while (i < s->cert_count && s->certs[i] != cert)
		i++;
	return i;
}

static int fill(struct tls_server *s, const struct tls_server_conf *conf,
		const struct tls_cert **ret_bad)
{
	int err = 0;

	s->certs = calloc(conf->cert_count, sizeof(struct tls_cert *));
	s->staples = calloc(conf->cert_count, sizeof(struct tls_staple *));
	if (!s->certs || !s->staples || !make_id(conf, s->resumption.id))
		return -ENOMEM;
	for (; s->cert_count < conf->cert_count; s->cert_count++)
		s->certs[s->cert_count] = tls_cert_ref(conf->certs[s->cert_count]);
	err = make_sets(s);
	for (size_t i = 0; err == 0 && i < s->set_count; i++)
		err = make_context(s, &s->sets[i], ret_bad);
	if (err == 0)
		tls_server_staple(s, conf);
	return err;
}

void tls_server_staple(struct tls_server *s, const struct tls_server_conf *conf)
{
	for (size_t i = 0; i < s->cert_count; i++) {
		struct tls_staple *old = s->staples[i], *new = conf->staples[i];

		s->staples[i] = new ? tls_staple_ref(new) : NULL;
		tls_staple_unref(old);
	}
	for (size_t i = 0; i < s->set_count; i++)
		for (int kind = 0; kind < TLS_KEY_KIND_COUNT; kind++) {
			const struct tls_cert *c = s->sets[i].certs[kind];

			s->sets[i].staples[kind] = c ? s->staples[index_of(s, c)] : NULL;
		}
}

int tls_server_new(const struct tls_server_conf *conf, struct tls_resumer *r,
		   struct tls_server **ret_server, size_t *ret_bad)
{
	struct tls_server *s = calloc(1, sizeof(*s));
	const struct tls_cert *bad = NULL;
	int err;

	*ret_bad = conf->cert_count;
	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->policy = conf->policy;
	s->http2 = conf->http2;
	s->authorities = conf->authorities ? tls_authorities_ref(conf->authorities) : NULL;
	s->crls = conf->crls ? tls_authorities_ref(conf->crls) : NULL;
	s->clients_may_have_none = conf->clients_may_have_none;
	s->early_data = conf->early_data;
	s->resumption.resumer = r;
	ERR_clear_error();
	err = fill(s, conf, &bad);
	if (err < 0) {
		*ret_bad = bad ? index_of(s, bad) : conf->cert_count;
		tls_server_unref(s);
		return err;
	}
	*ret_server = s;
	return 0;
}

struct tls_server *tls_server_ref(struct tls_server *s)
{
	s->refs++;
	return s;
}

void tls_server_unref(struct tls_server *s)
{
	if (!s || --s->refs)
		return;
	for (size_t i = 0; i < s->set_count; i++)
		SSL_CTX_free(s->sets[i].ctx);
	for (size_t i = 0; i < s->cert_count; i++) {
		tls_cert_unref(s->certs[i]);
		tls_staple_unref(s->staples[i]);
	}
	tls_authorities_unref(s->authorities);
	tls_authorities_unref(s->crls);
	free(s->sets);
	free(s->names);
	free(s->certs);
	free(s->staples);
	free(s);
}

bool tls_server_is_of(const struct tls_server *s, const struct tls_server_conf *conf)
{
	unsigned char id[TLS_DIGEST_LEN];

	if (s->policy != conf->policy || s->http2 != conf->http2 ||
	    s->early_data != conf->early_data || s->cert_count != conf->cert_count ||
	    !make_id(conf, id) || memcmp(s->resumption.id, id, sizeof(id)) != 0)
		return false;
	for (size_t i = 0; i < s->cert_count; i++)
		if (memcmp(s->certs[i]->digest, conf->certs[i]->digest, TLS_DIGEST_LEN) != 0)
			return false;
	return true;
}

SSL *tls_server_connection(struct tls_server *s)
{
	SSL *ssl = SSL_new(s->sets[0].ctx);

	if (ssl)
		SSL_set_accept_state(ssl);
	return ssl;
}

void tls_server_forget_session(struct tls_server *s, const unsigned char *id, size_t len)
{
	tls_resumption_forget(&s->resumption, id, len);
}

bool tls_server_asks_the_same(const struct tls_server *a, const struct tls_server *b)
{
	return !memcmp(a->resumption.id, b->resumption.id, sizeof(a->resumption.id));
}

bool tls_server_takes_early_data(const struct tls_server *s)
{
	return s->early_data;
}
