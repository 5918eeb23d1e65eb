/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of session tickets of one worker. All workers start from one secret, and each goes on from
 * epoch to epoch by a one-way step: they agree without talking to each other, and what was forgotten
 * cannot be computed again. Tickets of this epoch and of the one before are good. One thread.
 */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#define TLS_SECRET_LEN	    32
#define TLS_TICKET_NAME_LEN 16 /* as OpenSSL wants it */

struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME_LEN];
	unsigned char cipher[32]; /* AES-256 */
	unsigned char mac[32];	  /* HMAC-SHA256 */
};

#define TLS_TICKET_KEYS 16 /* kept derived */

struct tls_tickets {
	uint64_t start_ms; /* of epoch 0, the same in all workers */
	uint64_t rotation_ms;
	uint64_t epoch;
	unsigned char chain[TLS_SECRET_LEN];	      /* what the next epoch comes from */
	unsigned char secrets[2][TLS_SECRET_LEN];     /* of this epoch, and of the one before */
	unsigned char label[TLS_TICKET_NAME_LEN / 2]; /* tells our tickets from others' */
	/* Of the latest that were asked for; forgotten with the epoch. */
	struct tls_ticket_slot {
		unsigned char id[32];
		struct tls_ticket_key key;
		bool is_used;
	} slots[TLS_TICKET_KEYS];
};

/* What goes from one process to the next. */
struct tls_ticket_state {
	uint64_t start_ms, rotation_ms, epoch;
	unsigned char chain[TLS_SECRET_LEN];
	unsigned char secrets[2][TLS_SECRET_LEN];
	unsigned char label[TLS_TICKET_NAME_LEN / 2];
};

/* False: OpenSSL failed. */
bool tls_tickets_init(struct tls_tickets *t, const unsigned char secret[TLS_SECRET_LEN],
		      uint64_t start_ms, uint64_t rotation_ms);

/* To the epoch of now_ms; forgets the secrets of those that are over. Milliseconds until the next. */
uint64_t tls_tickets_advance(struct tls_tickets *t, uint64_t now_ms);

/* The key for new tickets of whom id names (a service). False: OpenSSL failed. */
bool tls_tickets_key(struct tls_tickets *t, const unsigned char id[32],
		     struct tls_ticket_key *ret_key);

/* The key of that name. 0: not one that is still good; 1: for new ones too; 2: no more for those. */
int tls_tickets_find(struct tls_tickets *t, const unsigned char id[32],
		     const unsigned char name[TLS_TICKET_NAME_LEN], struct tls_ticket_key *ret_key);

void tls_tickets_save(const struct tls_tickets *t, struct tls_ticket_state *ret_state);
void tls_tickets_restore(struct tls_tickets *t, const struct tls_ticket_state *state);

void tls_tickets_deinit(struct tls_tickets *t);

#endif
