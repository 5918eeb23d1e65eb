/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of session tickets: see tickets.h. */
#include "tls/tickets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

/* HMAC-SHA256 of a word, and of id where there is one. */
static bool derive(const unsigned char secret[TLS_SECRET_LEN], const char *word,
		   const unsigned char *id, unsigned char out[32])
{
	unsigned char text[64];
	size_t len = strlen(word);

	memcpy(text, word, len);
	if (id) {
		memcpy(text + len, id, 32);
		len += 32;
	}
	return HMAC(EVP_sha256(), secret, TLS_SECRET_LEN, text, len, out, NULL) != NULL;
}

/* The chain is that of t->epoch: take its secret, and step on. */
static bool step(struct tls_tickets *t)
{
	unsigned char next[TLS_SECRET_LEN];
	bool ok;

	memcpy(t->secrets[1], t->secrets[0], TLS_SECRET_LEN);
	ok = derive(t->chain, "secret", NULL, t->secrets[0]) &&
	     derive(t->chain, "next", NULL, next);
	memcpy(t->chain, next, TLS_SECRET_LEN);
	OPENSSL_cleanse(next, sizeof(next));
	return ok;
}

bool tls_tickets_init(struct tls_tickets *t, const unsigned char secret[TLS_SECRET_LEN],
		      uint64_t start_ms, uint64_t rotation_ms)
{
	unsigned char label[TLS_SECRET_LEN];

	*t = (struct tls_tickets){.start_ms = start_ms, .rotation_ms = rotation_ms};
	memcpy(t->chain, secret, TLS_SECRET_LEN);
	if (!derive(secret, "label", NULL, label) || !step(t))
		return false;
	memcpy(t->label, label, sizeof(t->label));
	/* Of before the start there are no tickets; this only must not be guessed. */
	return RAND_bytes(t->secrets[1], TLS_SECRET_LEN) == 1;
}

uint64_t tls_tickets_advance(struct tls_tickets *t, uint64_t now_ms)
{
	uint64_t passed = now_ms > t->start_ms ? now_ms - t->start_ms : 0;
	uint64_t epoch = passed / t->rotation_ms;

	if (t->epoch < epoch)
		OPENSSL_cleanse(t->slots, sizeof(t->slots));
	/* A failing HMAC leaves keys that nobody knows: tickets are void, nothing else. */
	for (; t->epoch < epoch; t->epoch++)
		(void)step(t);
	return t->rotation_ms - passed % t->rotation_ms;
}

static bool make_key(const struct tls_tickets *t, unsigned age, const unsigned char id[32],
		     struct tls_ticket_key *ret_key)
{
	uint64_t epoch = t->epoch - age;

	memcpy(ret_key->name, t->label, sizeof(t->label));
	memcpy(ret_key->name + sizeof(t->label), &epoch, sizeof(epoch));
	return derive(t->secrets[age], "cipher", id, ret_key->cipher) &&
	       derive(t->secrets[age], "mac", id, ret_key->mac);
}

/* Ids are digests: any bits of them will do. */
static bool find_key(struct tls_tickets *t, unsigned age, const unsigned char id[32],
		     struct tls_ticket_key *ret_key)
{
	uint64_t epoch = t->epoch - age;
	struct tls_ticket_slot *slot = &t->slots[(id[0] + epoch) % TLS_TICKET_KEYS];

	if (!slot->is_used || memcmp(slot->id, id, sizeof(slot->id)) != 0 ||
	    memcmp(slot->key.name + sizeof(t->label), &epoch, sizeof(epoch)) != 0) {
		slot->is_used = make_key(t, age, id, &slot->key);
		memcpy(slot->id, id, sizeof(slot->id));
	}
	*ret_key = slot->key;
	return slot->is_used;
}

bool tls_tickets_key(struct tls_tickets *t, const unsigned char id[32],
		     struct tls_ticket_key *ret_key)
{
	return find_key(t, 0, id, ret_key);
}

int tls_tickets_find(struct tls_tickets *t, const unsigned char id[32],
		     const unsigned char name[TLS_TICKET_NAME_LEN], struct tls_ticket_key *ret_key)
{
	uint64_t epoch;

	memcpy(&epoch, name + sizeof(t->label), sizeof(epoch));
	if (memcmp(name, t->label, sizeof(t->label)) != 0 || epoch > t->epoch ||
	    t->epoch - epoch > 1 || !find_key(t, (unsigned)(t->epoch - epoch), id, ret_key))
		return 0;
	return epoch == t->epoch ? 1 : 2;
}

void tls_tickets_save(const struct tls_tickets *t, struct tls_ticket_state *ret_state)
{
	*ret_state = (struct tls_ticket_state){
		.start_ms = t->start_ms, .rotation_ms = t->rotation_ms, .epoch = t->epoch};
	memcpy(ret_state->chain, t->chain, sizeof(t->chain));
	memcpy(ret_state->secrets, t->secrets, sizeof(t->secrets));
	memcpy(ret_state->label, t->label, sizeof(t->label));
}

void tls_tickets_restore(struct tls_tickets *t, const struct tls_ticket_state *state)
{
	*t = (struct tls_tickets){.start_ms = state->start_ms,
				  .rotation_ms = state->rotation_ms,
				  .epoch = state->epoch};
	memcpy(t->chain, state->chain, sizeof(t->chain));
	memcpy(t->secrets, state->secrets, sizeof(t->secrets));
	memcpy(t->label, state->label, sizeof(t->label));
}

void tls_tickets_deinit(struct tls_tickets *t)
{
	OPENSSL_cleanse(t, sizeof(*t));
}
