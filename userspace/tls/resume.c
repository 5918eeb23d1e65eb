/* SPDX-License-Identifier: BSD-2-Clause */
/* Tickets and the sessions that workers share: see resume.h, shared.h. */
#include "tls/resume.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tls/replay.h"

#define IV_LEN		16
#define SESSION_SECONDS (4 * 3600)
#define PLACES		8192U /* a power of two */
#define SESSION_MAX	4096  /* bytes; larger ones are not kept */
#define EARLY_DATA_MAX	16384 /* bytes: a request or two */

struct place {
	unsigned char id[SSL_MAX_SSL_SESSION_ID_LENGTH];
	unsigned id_len; /* 0: free */
	unsigned char *session;
	int len;
};

struct tls_shared {
	unsigned char secret[TLS_SECRET_LEN];
	uint64_t start_ms, rotation_ms;
	pthread_mutex_t
		lock; /* of the places; for clients without tickets alone; and of the keys */
	struct tls_tickets tickets;	/* of no worker: for a process that takes over */
	bool is_adopted;		/* by the workers, instead of what comes from the secret */
	_Atomic uint64_t early_from_ms; /* clock_now_ms(): no early data before */
	struct place places[PLACES];
	struct tls_replay replay; /* pages of it that nobody writes to take no memory */
};

/* ---- what is shared ------------------------------------------------------------------------ */

struct tls_shared *tls_shared_new(uint64_t rotation_ms)
{
	struct tls_shared *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (RAND_bytes(s->secret, sizeof(s->secret)) != 1) {
		free(s);
		return NULL;
	}
	s->start_ms = clock_now_ms();
	s->rotation_ms = rotation_ms;
	if (!tls_tickets_init(&s->tickets, s->secret, s->start_ms, rotation_ms)) {
		free(s);
		return NULL;
	}
	(void)pthread_mutex_init(&s->lock, NULL); /* always 0 */
	tls_replay_init(&s->replay);
	return s;
}

void tls_shared_forget_secret(struct tls_shared *s)
{
	OPENSSL_cleanse(s->secret, sizeof(s->secret));
}

void tls_shared_keys(struct tls_shared *s, struct tls_ticket_state *ret_state)
{
	pthread_mutex_lock(&s->lock);
	(void)tls_tickets_advance(&s->tickets, clock_now_ms());
	tls_tickets_save(&s->tickets, ret_state);
	pthread_mutex_unlock(&s->lock);
}

bool tls_shared_adopt(struct tls_shared *s, const struct tls_ticket_state *state)
{
	if (state->rotation_ms != s->rotation_ms || !s->rotation_ms)
		return false;
	tls_tickets_restore(&s->tickets, state);
	s->is_adopted = true;
	return true;
}

void tls_shared_hold_early_data(struct tls_shared *s)
{
	atomic_store(&s->early_from_ms, clock_now_ms() + TLS_REPLAY_KEPT_MS);
}

void tls_shared_end_early_data(struct tls_shared *s)
{
	atomic_store(&s->early_from_ms, UINT64_MAX);
}

static void clear(struct place *p)
{
	if (p->session)
		OPENSSL_clear_free(p->session, (size_t)p->len);
	*p = (struct place){0};
}

void tls_shared_free(struct tls_shared *s)
{
	if (!s)
		return;
	tls_shared_forget_secret(s);
	for (size_t i = 0; i < PLACES; i++)
		clear(&s->places[i]);
	tls_tickets_deinit(&s->tickets);
	(void)pthread_mutex_destroy(&s->lock);
	tls_replay_deinit(&s->replay);
	free(s);
}

static bool begin_tickets(struct tls_tickets *t, const struct tls_shared *s)
{
	if (!s->is_adopted)
		return tls_tickets_init(t, s->secret, s->start_ms, s->rotation_ms);
	*t = s->tickets;
	return true;
}

bool tls_resumer_init(struct tls_resumer *r, struct tls_shared *shared)
{
	r->shared = shared;
	r->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (r->cipher && begin_tickets(&r->tickets, shared))
		return true;
	EVP_CIPHER_free(r->cipher);
	return false;
}

void tls_resumer_deinit(struct tls_resumer *r)
{
	tls_tickets_deinit(&r->tickets);
	EVP_CIPHER_free(r->cipher);
}

uint64_t tls_resumer_tick(struct tls_resumer *r)
{
	uint64_t epoch = r->tickets.epoch, now = clock_now_ms();
	uint64_t wait = tls_tickets_advance(&r->tickets, now);

	if (r->tickets.epoch != epoch) { /* what is over is to be found nowhere */
		pthread_mutex_lock(&r->shared->lock);
		(void)tls_tickets_advance(&r->shared->tickets, now);
		pthread_mutex_unlock(&r->shared->lock);
	}
	return wait;
}

/* ---- tickets ------------------------------------------------------------------------------- */

static struct tls_resumption *resumption_of(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static bool set_mac_key(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* As OpenSSL asks for it: <0 failed, 0 no such key, 1 good, 2 good and to be replaced. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int encrypt)
{
	const struct tls_resumption *r = resumption_of(ssl);
	struct tls_tickets *t = &r->resumer->tickets;
	struct tls_ticket_key key;
	int found = 1;

	(void)tls_resumer_tick(r->resumer);
	if (encrypt) {
		if (!tls_tickets_key(t, r->id, &key) || RAND_bytes(iv, IV_LEN) != 1)
			return -1;
		memcpy(name, key.name, sizeof(key.name));
	} else {
		found = tls_tickets_find(t, r->id, name, &key);
		if (!found)
			return 0;
		/* Clients use a ticket of TLS 1.3 once (RFC 8446, C.4): without another one, every
		 * second of their connections would begin with a full handshake. */
		if (SSL_version(ssl) == TLS1_3_VERSION)
			found = 2;
	}
	if (!set_mac_key(mac, &key) ||
	    !EVP_CipherInit_ex(cipher, r->resumer->cipher, NULL, key.cipher, iv, encrypt))
		found = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return found;
}

/* ---- sessions by id ------------------------------------------------------------------------ */

/* Ids are random: any bits of them will do. */
static struct place *place_of(struct tls_shared *s, const unsigned char *id, unsigned len)
{
	unsigned at = 0;

	memcpy(&at, id, len < sizeof(at) ? len : sizeof(at));
	return &s->places[at & (PLACES - 1)];
}

static bool has(const struct place *p, const unsigned char *id, unsigned len)
{
	return len && p->id_len == len && !memcmp(p->id, id, len);
}

static void keep(struct tls_shared *s, const struct place *session)
{
	struct place *p = place_of(s, session->id, session->id_len);

	pthread_mutex_lock(&s->lock);
	clear(p);
	*p = *session;
	pthread_mutex_unlock(&s->lock);
}

/* 0: OpenSSL may let go of it. */
static int on_new(SSL *ssl, SSL_SESSION *session)
{
	struct place p = {0};
	const unsigned char *id = SSL_SESSION_get_id(session, &p.id_len);

	/* Those of TLS 1.3 are in tickets. */
	if (!p.id_len || SSL_SESSION_get_protocol_version(session) > TLS1_2_VERSION)
		return 0;
	memcpy(p.id, id, p.id_len);
	p.len = i2d_SSL_SESSION(session, &p.session);
	if (p.len > 0 && p.len <= SESSION_MAX)
		keep(resumption_of(ssl)->resumer->shared, &p);
	else if (p.len > 0)
		clear(&p);
	return 0;
}

static SSL_SESSION *on_get(SSL *ssl, const unsigned char *id, int len, int *copy)
{
	struct tls_shared *s = resumption_of(ssl)->resumer->shared;
	SSL_SESSION *session = NULL;
	struct place *p;

	*copy = 0; /* the reference is OpenSSL's */
	if (len <= 0 || len > SSL_MAX_SSL_SESSION_ID_LENGTH)
		return NULL;
	pthread_mutex_lock(&s->lock);
	p = place_of(s, id, (unsigned)len);
	if (has(p, id, (unsigned)len)) {
		const unsigned char *at = p->session;

		session = d2i_SSL_SESSION(NULL, &at, p->len);
	}
	pthread_mutex_unlock(&s->lock);
	return session;
}

void tls_resumption_forget(const struct tls_resumption *r, const unsigned char *id, size_t len)
{
	struct tls_shared *s = r->resumer->shared;
	struct place *p;

	pthread_mutex_lock(&s->lock);
	p = place_of(s, id, (unsigned)len);
	if (has(p, id, (unsigned)len))
		clear(p);
	pthread_mutex_unlock(&s->lock);
}

/* It ended with an error, and must not be resumed. */
static void on_remove(SSL_CTX *ctx, SSL_SESSION *session)
{
	unsigned len;
	const unsigned char *id = SSL_SESSION_get_id(session, &len);

	if (len)
		tls_resumption_forget(SSL_CTX_get_app_data(ctx), id, len);
}

bool tls_resumption_enable(SSL_CTX *ctx, struct tls_resumption *r)
{
	SSL_CTX_set_app_data(ctx, r);
	SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new);
	SSL_CTX_sess_set_get_cb(ctx, on_get);
	SSL_CTX_sess_set_remove_cb(ctx, on_remove);
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) &&
	       SSL_CTX_set_session_id_context(ctx, r->id, sizeof(r->id));
}

/* ---- early data ---------------------------------------------------------------------------- */

/* The key that a ticket brings is its own: who has the same one has the same ticket. */
static int on_early_data(SSL *ssl, void *arg)
{
	const struct tls_resumption *r = arg;
	unsigned char secret[SSL_MAX_MASTER_KEY_LENGTH], digest[EVP_MAX_MD_SIZE];
	size_t len = SSL_SESSION_get_master_key(SSL_get_session(ssl), secret, sizeof(secret));
	bool ok = len && EVP_Digest(secret, len, digest, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_cleanse(secret, sizeof(secret));
	return ok && clock_now_ms() >= atomic_load(&r->resumer->shared->early_from_ms) &&
	       tls_replay_is_first(&r->resumer->shared->replay, digest, clock_now_ms());
}

void tls_resumption_allow_early_data(SSL_CTX *ctx, struct tls_resumption *r)
{
	/* OpenSSL's own rule against replays is one session for each ticket, in a table of the
	 * context: neither other workers nor a new context would know it. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_ANTI_REPLAY);
	SSL_CTX_set_max_early_data(ctx, EARLY_DATA_MAX);
	SSL_CTX_set_recv_max_early_data(ctx, EARLY_DATA_MAX);
	SSL_CTX_set_allow_early_data_cb(ctx, on_early_data, r);
}
