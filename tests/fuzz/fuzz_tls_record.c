/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client can say in records once the handshake is over. The first byte of the input chooses
 * version and cipher; then come records: a byte for the type, two for the length, the content. Type 255
 * is for bytes that are put on the wire as they are, others are sealed with the client's keys, which
 * follow each KeyUpdate.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/traffic.h"

#define RAW	    255
#define CONTENT_MAX (16384U + 512)
#define WIRE_MAX    (CONTENT_MAX + TLS_RECORD_OVERHEAD)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const unsigned char secret[TLS_HASH_MAX] = "of a client";

struct world {
	struct tls_ciphers ciphers;
	struct tls_traffic traffic;
	struct tls_keys client;
	unsigned char wire[WIRE_MAX], out[WIRE_MAX];
};

static bool begin(struct world *w, uint8_t choice)
{
	struct tls_keys_12 from = {.master = secret, .master_len = sizeof(secret)};
	struct tls_keys unused = {0};
	enum tls_aead aead = choice / 2 % TLS_AEAD_COUNT;

	if (!tls_ciphers_init(&w->ciphers))
		return false;
	w->traffic.ciphers = &w->ciphers;
	w->traffic.out.is_sealing = w->client.is_sealing = true;
	return choice % 2 ? tls_keys_init_13(&w->traffic.in, aead, secret) &&
				    tls_keys_init_13(&w->traffic.out, aead, secret) &&
				    tls_keys_init_13(&w->client, aead, secret)
			  : tls_keys_init_12(&w->traffic.in, &w->traffic.out, aead, &from) &&
				    tls_keys_init_12(&w->client, &unused, aead, &from);
}

/* False: the connection is over. */
static bool take(struct world *w, size_t len)
{
	struct tls_traffic *t = &w->traffic;
	unsigned char answer[TLS_ANSWER_ROOM];
	int size = len < TLS_RECORD_HEADER ? 0 : tls_record_size(&t->in, w->wire), heard;
	uint8_t alert = 0;

	assert(size <= (int)(TLS_RECORD_HEADER + 16384 + 256));
	if (size <= 0 || (size_t)size > len)
		return false;
	heard = tls_traffic_take(t, w->wire, (size_t)size, w->out, &alert);
	assert(heard != 0 && heard >= TLS_HEARD_BAD && heard <= 16384);
	assert((heard == TLS_HEARD_BAD) == (alert != 0));
	assert(t->useless <= TLS_USELESS_MAX || heard == TLS_HEARD_BAD);
	assert(t->message_len < sizeof(t->message) || heard == TLS_HEARD_BAD);
	if (t->in.is_13 && memcmp(t->in.traffic, w->client.traffic, sizeof(secret)) != 0) {
		assert(tls_keys_update(&w->ciphers, &w->client));
		assert(!memcmp(t->in.key, w->client.key, TLS_KEY_MAX));
	}
	while (tls_traffic_owes(t)) {
		size_t n = tls_traffic_answer(t, answer);

		assert(n > 0 && n <= sizeof(answer));
	}
	return heard > 0 || heard == TLS_HEARD_NOTHING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world *w = calloc(1, sizeof(*w));
	bool open = w && len > 0 && begin(w, data[0]);
	size_t at = 1;

	while (open && at + 3 <= len) {
		uint8_t type = data[at];
		size_t n = (size_t)data[at + 1] << 8 | data[at + 2];

		at += 3;
		if (n > len - at)
			n = len - at;
		if (n > CONTENT_MAX)
			n = CONTENT_MAX;
		if (type == RAW)
			memcpy(w->wire, data + at, n);
		open = take(w, type == RAW ? n
					   : tls_seal(&w->ciphers, &w->client, type, data + at, n,
						      w->wire));
		at += n;
	}
	if (w && w->traffic.ciphers) {
		tls_traffic_wipe(&w->traffic);
		tls_keys_wipe(&w->ciphers, &w->client);
		tls_ciphers_deinit(&w->ciphers);
	}
	free(w);
	return 0;
}
