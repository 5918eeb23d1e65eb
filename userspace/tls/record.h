/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of TLS 1.3 and of the AEAD suites of TLS 1.2, sealed and opened in buffers of the caller's:
 * no input or output is made here. Keys are those of one direction of one connection. One thread.
 */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/schedule.h"

#define TLS_RECORD_HEADER   5U
#define TLS_RECORD_EXPLICIT 8U /* of a nonce, before the text; TLS 1.2 with AES-GCM */
#define TLS_RECORD_TAG	    16U
#define TLS_RECORD_OVERHEAD                                                                        \
	(TLS_RECORD_HEADER + TLS_RECORD_EXPLICIT + 1 + TLS_RECORD_TAG) /* at most */
#define TLS_KEY_MAX    32
#define TLS_IV_LEN     12
#define TLS_RANDOM_LEN 32

/* Records that one key of AES-GCM is good for (RFC 8446, 5.5: 2^24.5). */
#define TLS_RECORDS_PER_KEY (1ULL << 24)

enum tls_aead { TLS_AES_128_GCM, TLS_AES_256_GCM, TLS_CHACHA20_POLY1305, TLS_AEAD_COUNT };

struct tls_keys {
	uint64_t sequence;		     /* of the next record */
	uint64_t explicit_nonce;	     /* of the next record; TLS 1.2 with AES-GCM */
	unsigned char traffic[TLS_HASH_MAX]; /* TLS 1.3: the next keys come from it */
	unsigned char key[TLS_KEY_MAX];
	unsigned char iv[TLS_IV_LEN];
	uint16_t slot; /* of tls_ciphers, while it is these keys' */
	uint8_t aead;  /* enum tls_aead */
	bool is_13, is_sealing;
};

/* Contexts of OpenSSL's, which are far larger than keys: those of the keys that were used last are
 * held ready. One for each worker. */
struct tls_slot {
	EVP_CIPHER_CTX *ctx; /* made when it is first used */
	const struct tls_keys *owner;
};

#define TLS_SLOTS 1024U

struct tls_ciphers {
	EVP_CIPHER *ciphers[TLS_AEAD_COUNT];
	struct tls_slot *slots;
	uint16_t *free; /* slots of nobody, the last ones left on top */
	unsigned free_count;
	unsigned next; /* to be taken from whom it belongs to, where none is free */
};

bool tls_ciphers_init(struct tls_ciphers *c); /* false: no memory; then nothing is to be undone */
void tls_ciphers_deinit(struct tls_ciphers *c);

/* Of a suite by its number; false: none of ours. */
bool tls_aead_of(uint16_t suite, enum tls_aead *ret_aead);

/* The secrets are copied. The caller says is_sealing before. False: OpenSSL failed. */
bool tls_keys_init_13(struct tls_keys *k, enum tls_aead aead, const unsigned char *traffic);

/* Of a server, behind the messages Finished. explicit_nonce: of the next record that the server
 * sends; counts with AES-GCM. */
struct tls_keys_12 {
	const unsigned char *master;
	size_t master_len;
	unsigned char client_random[TLS_RANDOM_LEN], server_random[TLS_RANDOM_LEN];
	uint64_t explicit_nonce;
};
bool tls_keys_init_12(struct tls_keys *in, struct tls_keys *out, enum tls_aead aead,
		      const struct tls_keys_12 *from);

/* TLS 1.3: the keys that follow these. False: OpenSSL failed. */
bool tls_keys_update(struct tls_ciphers *c, struct tls_keys *k);

/* Forget them. */
void tls_keys_wipe(struct tls_ciphers *c, struct tls_keys *k);

/* Where in a record the text stands, in front of which and TLS_RECORD_TAG + 1 behind which there must
 * be room. */
size_t tls_record_text(const struct tls_keys *k);

/* Make a record at out of len bytes of text, at most 2^14: those at out + tls_record_text(), if that
 * is text, or any others. Bytes of the record; 0: OpenSSL failed. */
size_t tls_seal(struct tls_ciphers *c, struct tls_keys *k, uint8_t type, const void *text,
		size_t len, unsigned char *out);

/* How long the record is that begins with these TLS_RECORD_HEADER bytes, or -alert. */
int tls_record_size(const struct tls_keys *k, const unsigned char *record);

/* Bytes that a record of this size, which tls_record_size() has found good, takes where it is opened. */
size_t tls_record_room(const struct tls_keys *k, size_t size);

/* Open a whole record to out, which has room; it may be record + tls_record_text(). Bytes of the
 * content, or -alert: then those at out are anything. */
int tls_open(struct tls_ciphers *c, struct tls_keys *k, const unsigned char *record, size_t size,
	     unsigned char *out, uint8_t *ret_type);

#endif
