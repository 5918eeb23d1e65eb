/* SPDX-License-Identifier: BSD-2-Clause */
/* OCSP responses: see staple.h. */
#include "tls/staple.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tls/file.h"

/* Clients need not take more, and it must fit into what is written at once in a handshake. */
#define RESPONSE_MAX (16U << 10)
/* A responder's clock may be ahead of ours by so much. */
#define SKEW_S 300

struct response {
	struct tls_blob der;
	int status; /* V_OCSP_CERTSTATUS_... */
	int64_t this_update, next_update;
};

/* Tells one version of a file from another. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct tls_staple {
	char *path;
	atomic_uint refs;
	pthread_mutex_t lock; /* of the response: while it is copied or replaced */
	struct response response;
	/* Main thread: */
	struct stamp stamp;	       /* of the file that it came from */
	char problem[TLS_PROBLEM_MAX]; /* with the file since; empty: none */
	bool said_expired;
};

/* ---- is it a response for that certificate? ---- */

static int refuse(char *text, const char *path, const char *what)
{
	(void)snprintf(text, TLS_PROBLEM_MAX, "%s: %s", path, what);
	ERR_clear_error();
	return -EINVAL;
}

static X509 *certificate(const struct tls_cert *c, size_t i)
{
	const unsigned char *der = i < c->chain_count ? c->chain[i].data : NULL;

	return der ? d2i_X509(NULL, &der, (long)c->chain[i].len) : NULL;
}

static bool is_digest(const ASN1_OCTET_STRING *s, const unsigned char *digest, unsigned len)
{
	return ASN1_STRING_length(s) == (int)len && !memcmp(ASN1_STRING_get0_data(s), digest, len);
}

/* issuer: NULL where it is not known; then its name alone is compared. */
static bool is_about(const OCSP_CERTID *id, X509 *x, X509 *issuer)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	ASN1_OCTET_STRING *name, *key;
	ASN1_INTEGER *serial;
	ASN1_OBJECT *algorithm;
	const EVP_MD *md;
	unsigned len;

	OCSP_id_get0_info(&name, &algorithm, &key, &serial, (OCSP_CERTID *)id);
	md = EVP_get_digestbyobj(algorithm);
	if (!md || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(x)) != 0 ||
	    !X509_NAME_digest(X509_get_issuer_name(x), md, digest, &len) ||
	    !is_digest(name, digest, len))
		return false;
	return !issuer ||
	       (X509_pubkey_digest(issuer, md, digest, &len) && is_digest(key, digest, len));
}

static OCSP_SINGLERESP *find_answer(OCSP_BASICRESP *basic, X509 *x, X509 *issuer)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

		if (is_about(OCSP_SINGLERESP_get0_id(single), x, issuer))
			return single;
	}
	return NULL;
}

/* By the issuer, or by a responder that it has authorised (RFC 6960, 4.2.2.2). */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *known = sk_X509_new_null();
	bool ok = store && known && X509_STORE_add_cert(store, issuer) &&
		  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) &&
		  sk_X509_push(known, issuer) && OCSP_basic_verify(basic, known, store, 0) == 1;

	sk_X509_free(known);
	X509_STORE_free(store);
	return ok;
}

static int64_t seconds(const ASN1_GENERALIZEDTIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static const char *examine_answer(OCSP_BASICRESP *basic, X509 *x, X509 *issuer, struct response *r)
{
	OCSP_SINGLERESP *single = find_answer(basic, x, issuer);
	ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;

	if (!single)
		return "the OCSP response is not for that certificate";
	if (issuer && !is_signed(basic, issuer))
		return "the OCSP response is not signed by the certificate's issuer, or for it";
	r->status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
	r->this_update = seconds(this_update);
	r->next_update = seconds(next_update);
	return r->next_update ? NULL : "the OCSP response does not say when it expires";
}

/* NULL, or what is wrong with it. */
static const char *examine(const struct tls_cert *cert, struct response *r)
{
	const unsigned char *der = r->der.data;
	OCSP_RESPONSE *whole = d2i_OCSP_RESPONSE(NULL, &der, (long)r->der.len);
	OCSP_BASICRESP *basic = NULL;
	X509 *x = certificate(cert, 0), *issuer = certificate(cert, 1);
	const char *wrong;

	if (issuer && X509_check_issued(issuer, x) != X509_V_OK) {
		X509_free(issuer);
		issuer = NULL;
	}
	if (!whole || der != r->der.data + r->der.len)
		wrong = "expected an OCSP response in DER form";
	else if (OCSP_response_status(whole) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		wrong = "the OCSP responder answered with an error";
	else if (!x || !(basic = OCSP_response_get1_basic(whole)))
		wrong = "the OCSP response is of no kind that is known";
	else
		wrong = examine_answer(basic, x, issuer, r);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(whole);
	X509_free(x);
	X509_free(issuer);
	ERR_clear_error();
	return wrong;
}

static int read_response(const char *path, const struct tls_cert *cert,
			 struct response *ret_response, char *text)
{
	struct response r = {0};
	const char *wrong;
	int err = tls_file_read(path, &r.der, NULL, text);

	if (err < 0)
		return err;
	wrong = r.der.len > RESPONSE_MAX ? "an OCSP response must not be larger than 16 KiB"
					 : examine(cert, &r);
	if (wrong) {
		tls_blob_free(&r.der);
		return refuse(text, path, wrong);
	}
	*ret_response = r;
	return 0;
}

/* ---- one for each certificate ---- */

static struct stamp stamp_of(const char *path)
{
	struct stamp stamp;
	struct stat st;

	memset(&stamp, 0, sizeof(stamp)); /* compared as bytes */
	if (stat(path, &st) < 0)
		return stamp;
	stamp.dev = st.st_dev;
	stamp.ino = st.st_ino;
	stamp.size = st.st_size;
	stamp.mtime = st.st_mtim;
	stamp.ctime = st.st_ctim;
	return stamp;
}

int tls_staple_load(const char *path, const struct tls_cert *cert, struct tls_staple **ret_staple,
		    char *text)
{
	struct tls_staple *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		(void)refuse(text, path, "out of memory");
		return -ENOMEM;
	}
	atomic_init(&s->refs, 1);
	(void)pthread_mutex_init(&s->lock, NULL); /* always 0 */
	s->path = strdup(path);
	s->stamp = stamp_of(path); /* before it is read: what comes meanwhile is newer */
	err = s->path ? read_response(path, cert, &s->response, text) : -ENOMEM;
	if (err < 0) {
		tls_staple_unref(s);
		return err;
	}
	*ret_staple = s;
	return 0;
}

struct tls_staple *tls_staple_ref(struct tls_staple *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void tls_staple_unref(struct tls_staple *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	(void)pthread_mutex_destroy(&s->lock);
	tls_blob_free(&s->response.der);
	free(s->path);
	free(s);
}

static enum tls_staple_state state_of(const struct response *r)
{
	int64_t now = time(NULL);

	if (r->status == V_OCSP_CERTSTATUS_REVOKED)
		return TLS_STAPLE_REVOKED;
	if (r->status != V_OCSP_CERTSTATUS_GOOD)
		return TLS_STAPLE_UNKNOWN;
	if (r->next_update <= now)
		return TLS_STAPLE_EXPIRED;
	return r->this_update > now + SKEW_S ? TLS_STAPLE_EARLY : TLS_STAPLE_GOOD;
}

void tls_staple_info(struct tls_staple *s, struct tls_staple_info *ret_info)
{
	pthread_mutex_lock(&s->lock);
	*ret_info = (struct tls_staple_info){state_of(&s->response), s->response.this_update,
					     s->response.next_update};
	pthread_mutex_unlock(&s->lock);
}

const char *tls_staple_state_text(enum tls_staple_state state)
{
	static const char *const texts[] = {"good", "expired", "not valid yet", "revoked",
					    "unknown"};

	return texts[state];
}

unsigned char *tls_staple_take(struct tls_staple *s, size_t *ret_len)
{
	unsigned char *copy = NULL;

	pthread_mutex_lock(&s->lock);
	if (state_of(&s->response) == TLS_STAPLE_GOOD) {
		*ret_len = s->response.der.len;
		copy = OPENSSL_memdup(s->response.der.data, *ret_len);
	}
	pthread_mutex_unlock(&s->lock);
	return copy;
}

/* ---- a new one in the file ---- */

static void replace(struct tls_staple *s, const struct response *r)
{
	struct tls_blob old = s->response.der;

	pthread_mutex_lock(&s->lock);
	s->response = *r;
	pthread_mutex_unlock(&s->lock);
	tls_blob_free(&old);
	s->said_expired = false;
}

/* A file that is bad is read each time, as it may be one that is being written. */
static enum tls_staple_news read_again(struct tls_staple *s, const struct tls_cert *cert,
				       const struct stamp *stamp, char *text)
{
	struct response r;

	if (read_response(s->path, cert, &r, text) < 0) {
		bool is_known = !strcmp(s->problem, text);

		(void)snprintf(s->problem, sizeof(s->problem), "%s", text);
		return is_known ? TLS_STAPLE_SAME : TLS_STAPLE_FAILED;
	}
	s->problem[0] = 0;
	s->stamp = *stamp;
	replace(s, &r);
	return TLS_STAPLE_RENEWED;
}

enum tls_staple_news tls_staple_refresh(struct tls_staple *s, const struct tls_cert *cert,
					char *text)
{
	struct stamp stamp = stamp_of(s->path);
	enum tls_staple_news news = TLS_STAPLE_SAME;

	if (s->problem[0] || memcmp(&stamp, &s->stamp, sizeof(stamp)) != 0)
		news = read_again(s, cert, &stamp, text);
	if (news == TLS_STAPLE_SAME && !s->said_expired &&
	    state_of(&s->response) == TLS_STAPLE_EXPIRED) {
		s->said_expired = true;
		news = TLS_STAPLE_RAN_OUT;
	}
	return news;
}

const char *tls_staple_problem(const struct tls_staple *s)
{
	return s->problem[0] ? s->problem : NULL;
}
