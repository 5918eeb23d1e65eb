/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which session tickets early data has come with lately, so that each is good for it once, at
 * whatever worker. A ClientHello that comes again later than TLS_REPLAY_KEPT_MS is refused by its
 * age, which OpenSSL looks at. Any thread.
 */
#ifndef TLS_REPLAY_H
#define TLS_REPLAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define TLS_REPLAY_KEY_LEN 16
#define TLS_REPLAY_PLACES  32768U /* a power of two; half of them are used */
#define TLS_REPLAY_KEPT_MS 20000U /* at least; OpenSSL takes ages that are wrong by up to 10 s */

struct tls_replay_set {
	unsigned char keys[TLS_REPLAY_PLACES][TLS_REPLAY_KEY_LEN]; /* zero: free */
	unsigned count;
};

struct tls_replay {
	pthread_mutex_t lock;
	uint64_t began_ms; /* the newer set */
	unsigned newer;
	struct tls_replay_set sets[2];
};

/* Zeroed before, as large memory of the system's is. */
void tls_replay_init(struct tls_replay *r);
void tls_replay_deinit(struct tls_replay *r);

/* Is this the first time? key: random, unique to a ticket. False, too, where no more can be
 * remembered. */
bool tls_replay_is_first(struct tls_replay *r, const unsigned char key[TLS_REPLAY_KEY_LEN],
			 uint64_t now_ms);

#endif
