/* SPDX-License-Identifier: BSD-2-Clause */
/* Tickets that early data came with: see replay.h. */
#include "tls/replay.h"

#include <string.h>

void tls_replay_init(struct tls_replay *r)
{
	(void)pthread_mutex_init(&r->lock, NULL); /* always 0 */
}

void tls_replay_deinit(struct tls_replay *r)
{
	(void)pthread_mutex_destroy(&r->lock);
}

static void forget(struct tls_replay_set *set)
{
	if (set->count)
		memset(set, 0, sizeof(*set));
}

/* The older set is over when the newer one has been filled for long enough. */
static void turn(struct tls_replay *r, uint64_t now_ms)
{
	uint64_t passed = now_ms - r->began_ms;

	if (passed < TLS_REPLAY_KEPT_MS)
		return;
	if (passed >= 2 * TLS_REPLAY_KEPT_MS)
		forget(&r->sets[r->newer]);
	r->newer ^= 1;
	forget(&r->sets[r->newer]);
	r->began_ms = now_ms;
}

/* Where it is, or would be. */
static unsigned char *find(struct tls_replay_set *set, const unsigned char *key)
{
	static const unsigned char none[TLS_REPLAY_KEY_LEN];
	uint32_t at;

	memcpy(&at, key, sizeof(at));
	for (;; at++) {
		unsigned char *place = set->keys[at & (TLS_REPLAY_PLACES - 1)];

		if (!memcmp(place, key, TLS_REPLAY_KEY_LEN) ||
		    !memcmp(place, none, TLS_REPLAY_KEY_LEN))
			return place;
	}
}

static bool has(struct tls_replay_set *set, const unsigned char *key)
{
	return !memcmp(find(set, key), key, TLS_REPLAY_KEY_LEN);
}

bool tls_replay_is_first(struct tls_replay *r, const unsigned char key[TLS_REPLAY_KEY_LEN],
			 uint64_t now_ms)
{
	struct tls_replay_set *newer;
	bool is_first;

	pthread_mutex_lock(&r->lock);
	turn(r, now_ms);
	newer = &r->sets[r->newer];
	/* A key of zeros would be taken for a free place: it is found there, and refused. */
	is_first = newer->count < TLS_REPLAY_PLACES / 2 && !has(newer, key) &&
		   !has(&r->sets[r->newer ^ 1], key);
	if (is_first) {
		memcpy(find(newer, key), key, TLS_REPLAY_KEY_LEN);
		newer->count++;
	}
	pthread_mutex_unlock(&r->lock);
	return is_first;
}
