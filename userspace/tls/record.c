/* SPDX-License-Identifier: BSD-2-Clause */
/* Records: see record.h. */
#include "tls/record.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "tls/prf.h"
#include "tls/provider.h"

#define TEXT_MAX	 16384U
#define EXPANSION_MAX_13 256U /* of a text by its record (RFC 8446, 5.2) */
#define SALT_LEN	 4U   /* the part of a nonce of AES-GCM that no record of TLS 1.2 has */
#define AAD_MAX		 13U
#define NO_SLOT		 TLS_SLOTS

static const struct aead {
	const char *name;
	enum tls_hash hash;
	uint8_t key_len;
} aeads[] = {
	[TLS_AES_128_GCM] = {"AES-128-GCM", TLS_SHA256, 16},
	[TLS_AES_256_GCM] = {"AES-256-GCM", TLS_SHA384, 32},
	[TLS_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", TLS_SHA256, 32},
};

/* ---- contexts ------------------------------------------------------------------------------ */

bool tls_ciphers_init(struct tls_ciphers *c)
{
	bool ok;

	*c = (struct tls_ciphers){.slots = calloc(TLS_SLOTS, sizeof(*c->slots)),
				  .free = calloc(TLS_SLOTS, sizeof(*c->free))};
	ok = c->slots && c->free && tls_provider_init();
	for (int i = 0; ok && i < TLS_AEAD_COUNT; i++) {
		c->ciphers[i] = EVP_CIPHER_fetch(NULL, aeads[i].name, NULL);
		ok = c->ciphers[i];
	}
	if (!ok) {
		tls_ciphers_deinit(c);
		return false;
	}
	for (unsigned i = TLS_SLOTS; i > 0; i--)
		c->free[c->free_count++] = (uint16_t)(i - 1);
	return true;
}

void tls_ciphers_deinit(struct tls_ciphers *c)
{
	for (unsigned i = 0; c->slots && i < TLS_SLOTS; i++)
		EVP_CIPHER_CTX_free(c->slots[i].ctx);
	for (int i = 0; i < TLS_AEAD_COUNT; i++)
		EVP_CIPHER_free(c->ciphers[i]);
	free(c->slots);
	free(c->free);
	*c = (struct tls_ciphers){0};
}

static bool has_slot(const struct tls_ciphers *c, const struct tls_keys *k)
{
	return k->slot < TLS_SLOTS && c->slots[k->slot].owner == k;
}

/* Nothing of the key stays behind. */
static void leave_slot(struct tls_ciphers *c, struct tls_keys *k)
{
	if (has_slot(c, k)) {
		(void)EVP_CIPHER_CTX_reset(c->slots[k->slot].ctx); /* always 1; of NULL, too */
		c->slots[k->slot].owner = NULL;
		c->free[c->free_count++] = k->slot;
	}
	k->slot = NO_SLOT;
}

/* A context with this key; NULL: OpenSSL failed. */
static EVP_CIPHER_CTX *context_of(struct tls_ciphers *c, struct tls_keys *k)
{
	struct tls_slot *slot;

	if (has_slot(c, k))
		return c->slots[k->slot].ctx;
	k->slot = c->free_count ? c->free[--c->free_count] : (uint16_t)(c->next++ % TLS_SLOTS);
	slot = &c->slots[k->slot];
	slot->owner = k;
	if (!slot->ctx)
		slot->ctx = EVP_CIPHER_CTX_new();
	if (slot->ctx &&
	    EVP_CipherInit_ex(slot->ctx, c->ciphers[k->aead], NULL, k->key, NULL, k->is_sealing))
		return slot->ctx;
	leave_slot(c, k);
	return NULL;
}

void tls_keys_wipe(struct tls_ciphers *c, struct tls_keys *k)
{
	leave_slot(c, k);
	OPENSSL_cleanse(k, sizeof(*k));
	k->slot = NO_SLOT;
}

/* ---- keys ---------------------------------------------------------------------------------- */

bool tls_aead_of(uint16_t suite, enum tls_aead *ret_aead)
{
	switch (suite) {
	case TLS1_3_CK_AES_128_GCM_SHA256 & 0xffff:
	case TLS1_CK_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 & 0xffff:
	case TLS1_CK_ECDHE_RSA_WITH_AES_128_GCM_SHA256 & 0xffff:
		*ret_aead = TLS_AES_128_GCM;
		return true;
	case TLS1_3_CK_AES_256_GCM_SHA384 & 0xffff:
	case TLS1_CK_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 & 0xffff:
	case TLS1_CK_ECDHE_RSA_WITH_AES_256_GCM_SHA384 & 0xffff:
		*ret_aead = TLS_AES_256_GCM;
		return true;
	case TLS1_3_CK_CHACHA20_POLY1305_SHA256 & 0xffff:
	case TLS1_CK_ECDHE_ECDSA_WITH_CHACHA20_POLY1305 & 0xffff:
	case TLS1_CK_ECDHE_RSA_WITH_CHACHA20_POLY1305 & 0xffff:
		*ret_aead = TLS_CHACHA20_POLY1305;
		return true;
	default: return false;
	}
}

/* Those of k->traffic. */
static bool expand_keys(struct tls_keys *k)
{
	enum tls_hash hash = aeads[k->aead].hash;

	k->sequence = 0;
	k->slot = NO_SLOT;
	return tls_expand_label(hash, k->traffic, "key", k->key, aeads[k->aead].key_len) &&
	       tls_expand_label(hash, k->traffic, "iv", k->iv, TLS_IV_LEN);
}

bool tls_keys_init_13(struct tls_keys *k, enum tls_aead aead, const unsigned char *traffic)
{
	k->aead = (uint8_t)aead;
	k->is_13 = true;
	memcpy(k->traffic, traffic, tls_hash_len(aeads[aead].hash));
	return expand_keys(k);
}

bool tls_keys_update(struct tls_ciphers *c, struct tls_keys *k)
{
	enum tls_hash hash = aeads[k->aead].hash;

	leave_slot(c, k);
	return tls_expand_label(hash, k->traffic, "traffic upd", k->traffic, tls_hash_len(hash)) &&
	       expand_keys(k);
}

static bool is_explicit(const struct tls_keys *k)
{
	return !k->is_13 && k->aead != TLS_CHACHA20_POLY1305;
}

/* The key block of RFC 5246, 6.3. */
static bool derive_12(const struct tls_keys_12 *from, enum tls_hash hash, unsigned char *out,
		      size_t len)
{
	static const char label[] = "key expansion";
	unsigned char seed[sizeof(label) - 1 + 2 * TLS_RANDOM_LEN];

	memcpy(seed, label, sizeof(label) - 1);
	memcpy(seed + sizeof(label) - 1, from->server_random, TLS_RANDOM_LEN);
	memcpy(seed + sizeof(label) - 1 + TLS_RANDOM_LEN, from->client_random, TLS_RANDOM_LEN);
	return tls_prf(hash, (struct tls_piece){from->master, from->master_len},
		       (struct tls_piece){seed, sizeof(seed)}, out, len);
}

bool tls_keys_init_12(struct tls_keys *in, struct tls_keys *out, enum tls_aead aead,
		      const struct tls_keys_12 *from)
{
	unsigned char block[2 * (TLS_KEY_MAX + TLS_IV_LEN)];
	size_t key_len = aeads[aead].key_len;
	size_t iv_len = aead == TLS_CHACHA20_POLY1305 ? TLS_IV_LEN : SALT_LEN;
	bool ok = derive_12(from, aeads[aead].hash, block, 2 * (key_len + iv_len));

	in->is_13 = out->is_13 = false;
	in->aead = out->aead = (uint8_t)aead;
	in->slot = out->slot = NO_SLOT;
	in->sequence = out->sequence = 1; /* Finished was 0 */
	out->explicit_nonce = from->explicit_nonce;
	memcpy(in->key, block, key_len);
	memcpy(out->key, block + key_len, key_len);
	memcpy(in->iv, block + 2 * key_len, iv_len);
	memcpy(out->iv, block + 2 * key_len + iv_len, iv_len);
	OPENSSL_cleanse(block, sizeof(block));
	return ok;
}

/* ---- records ------------------------------------------------------------------------------- */

static void put16(unsigned char *at, size_t n)
{
	at[0] = (unsigned char)(n >> 8);
	at[1] = (unsigned char)n;
}

static void put64(unsigned char *at, uint64_t n)
{
	for (int i = 0; i < 8; i++)
		at[i] = (unsigned char)(n >> (56 - 8 * i));
}

size_t tls_record_text(const struct tls_keys *k)
{
	return TLS_RECORD_HEADER + (is_explicit(k) ? TLS_RECORD_EXPLICIT : 0);
}

/* explicit_part: counts where is_explicit(). */
static void make_nonce(const struct tls_keys *k, const unsigned char *explicit_part,
		       unsigned char out[TLS_IV_LEN])
{
	unsigned char sequence[8];

	memcpy(out, k->iv, TLS_IV_LEN);
	if (is_explicit(k)) {
		memcpy(out + SALT_LEN, explicit_part, TLS_RECORD_EXPLICIT);
		return;
	}
	put64(sequence, k->sequence);
	for (size_t i = 0; i < sizeof(sequence); i++)
		out[TLS_IV_LEN - sizeof(sequence) + i] ^= sequence[i];
}

/* What is authenticated besides the text of len bytes. */
static size_t make_aad(const struct tls_keys *k, const unsigned char *header, size_t len,
		       unsigned char out[AAD_MAX])
{
	if (k->is_13) {
		memcpy(out, header, TLS_RECORD_HEADER);
		return TLS_RECORD_HEADER;
	}
	put64(out, k->sequence);
	memcpy(out + 8, header, 3);
	put16(out + 11, len);
	return AAD_MAX;
}

size_t tls_seal(struct tls_ciphers *c, struct tls_keys *k, uint8_t type, const void *text,
		size_t len, unsigned char *out)
{
	size_t at = tls_record_text(k), whole = len + k->is_13, aad_len;
	unsigned char nonce[TLS_IV_LEN], aad[AAD_MAX], *body = out + at;
	EVP_CIPHER_CTX *ctx = context_of(c, k);
	int n;

	out[0] = k->is_13 ? SSL3_RT_APPLICATION_DATA : type;
	put16(out + 1, TLS1_2_VERSION);
	put16(out + 3, at - TLS_RECORD_HEADER + whole + TLS_RECORD_TAG);
	if (is_explicit(k))
		put64(out + TLS_RECORD_HEADER, k->explicit_nonce++);
	make_nonce(k, out + TLS_RECORD_HEADER, nonce);
	aad_len = make_aad(k, out, len, aad);
	if (!ctx || !EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) ||
	    !EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len))
		return 0;
	if (text == body) {
		if (k->is_13)
			body[len] = type;
		if (whole && !EVP_EncryptUpdate(ctx, body, &n, body, (int)whole))
			return 0;
	} else {
		if (len && !EVP_EncryptUpdate(ctx, body, &n, text, (int)len))
			return 0;
		if (k->is_13 && !EVP_EncryptUpdate(ctx, body + len, &n, &type, 1))
			return 0;
	}
	if (!EVP_EncryptFinal_ex(ctx, body + whole, &n) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TLS_RECORD_TAG, body + whole))
		return 0;
	k->sequence++;
	return at + whole + TLS_RECORD_TAG;
}

int tls_record_size(const struct tls_keys *k, const unsigned char *record)
{
	size_t len = (size_t)record[3] << 8 | record[4];
	size_t least = tls_record_text(k) - TLS_RECORD_HEADER + TLS_RECORD_TAG;
	size_t most = k->is_13 ? TEXT_MAX + EXPANSION_MAX_13 : least + TEXT_MAX;

	/* The version in a record of TLS 1.3 means nothing. */
	if (k->is_13 ? record[0] != SSL3_RT_APPLICATION_DATA
		     : record[0] != SSL3_RT_APPLICATION_DATA && record[0] != SSL3_RT_ALERT &&
			       record[0] != SSL3_RT_HANDSHAKE)
		return -SSL_AD_UNEXPECTED_MESSAGE;
	if (!k->is_13 && (record[1] != TLS1_2_VERSION_MAJOR || record[2] != TLS1_2_VERSION_MINOR))
		return -SSL_AD_PROTOCOL_VERSION;
	if (len > most)
		return -SSL_AD_RECORD_OVERFLOW;
	if (len < least + k->is_13)
		return -SSL_AD_BAD_RECORD_MAC;
	return (int)(TLS_RECORD_HEADER + len);
}

size_t tls_record_room(const struct tls_keys *k, size_t size)
{
	return size - tls_record_text(k) - TLS_RECORD_TAG;
}

/* Of TLS 1.3: behind the content are its type and any number of zeros. */
static int find_content(const unsigned char *text, size_t len, uint8_t *ret_type)
{
	if (len > TEXT_MAX + 1)
		return -SSL_AD_RECORD_OVERFLOW;
	while (len && !text[len - 1])
		len--;
	if (!len)
		return -SSL_AD_UNEXPECTED_MESSAGE;
	*ret_type = text[len - 1];
	return (int)len - 1;
}

int tls_open(struct tls_ciphers *c, struct tls_keys *k, const unsigned char *record, size_t size,
	     unsigned char *out, uint8_t *ret_type)
{
	const unsigned char *text = record + tls_record_text(k);
	size_t len = tls_record_room(k, size), aad_len;
	unsigned char nonce[TLS_IV_LEN], aad[AAD_MAX];
	EVP_CIPHER_CTX *ctx = context_of(c, k);
	int n;

	*ret_type = record[0];
	make_nonce(k, record + TLS_RECORD_HEADER, nonce);
	aad_len = make_aad(k, record, len, aad);
	if (!ctx || !EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TLS_RECORD_TAG,
				 (void *)(text + len)) ||
	    !EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) ||
	    (len && !EVP_DecryptUpdate(ctx, out, &n, text, (int)len)))
		return -SSL_AD_INTERNAL_ERROR;
	if (EVP_DecryptFinal_ex(ctx, out + len, &n) <= 0)
		return -SSL_AD_BAD_RECORD_MAC;
	k->sequence++;
	return k->is_13 ? find_content(out, len, ret_type) : (int)len;
}
