/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes for OpenSSL: see random.h. */
#include "tls/random.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define POOL_BYTES  1024
#define DRAW_MAX    64		      /* more is asked of the kernel itself */
#define REQUEST_MAX ((size_t)1 << 20) /* OpenSSL asks again for what is above */
#define STRENGTH    256		      /* bits */
#define PAGE_BYTES  ((sizeof(struct pool) + 4095) & ~(size_t)4095)

/* In pages of its own, which are zero in a child: left is 0 there. */
struct pool {
	size_t left; /* of bytes: the first ones; behind them all is zero */
	unsigned char bytes[POOL_BYTES];
};

_Static_assert(DRAW_MAX <= POOL_BYTES, "a pool has room for a draw");

struct generator {
	struct pool *pool; /* NULL: there was none to be had, the kernel is asked each time */
	pthread_mutex_t lock;
	bool has_lock, is_ready;
};

static bool ask_kernel(unsigned char *out, size_t len)
{
	while (len) {
		ssize_t n = getrandom(out, len, 0);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			out += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static struct pool *new_pool(void)
{
	void *at =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	if (madvise(at, PAGE_BYTES, MADV_WIPEONFORK) == 0) {
		(void)madvise(at, PAGE_BYTES, MADV_DONTDUMP); /* as far as the kernel can */
		return at;
	}
	(void)munmap(at, PAGE_BYTES);
	return NULL;
}

static void forget(struct pool *p)
{
	if (!p)
		return;
	OPENSSL_cleanse(p->bytes, p->left);
	p->left = 0;
}

static bool draw(struct pool *p, unsigned char *out, size_t len)
{
	if (p->left < len) {
		forget(p);
		if (!ask_kernel(p->bytes, POOL_BYTES))
			return false;
		p->left = POOL_BYTES;
	}
	p->left -= len;
	memcpy(out, p->bytes + p->left, len);
	OPENSSL_cleanse(p->bytes + p->left, len);
	return true;
}

/* ---- as OpenSSL asks for it ---------------------------------------------------------------- */

static void *generator_new(void *of, void *parent, const OSSL_DISPATCH *parent_functions)
{
	(void)of;
	(void)parent; /* what it would be seeded from; the kernel is its own */
	(void)parent_functions;
	return calloc(1, sizeof(struct generator));
}

static int uninstantiate(void *generator)
{
	struct generator *g = generator;

	forget(g->pool);
	if (g->pool)
		(void)munmap(g->pool, PAGE_BYTES);
	g->pool = NULL;
	g->is_ready = false;
	return 1;
}

static void generator_free(void *generator)
{
	struct generator *g = generator;

	if (!g)
		return;
	(void)uninstantiate(g);
	if (g->has_lock)
		(void)pthread_mutex_destroy(&g->lock);
	free(g);
}

static int instantiate(void *generator, unsigned strength, int is_fresh, const unsigned char *name,
		       size_t name_len, const OSSL_PARAM params[])
{
	struct generator *g = generator;

	(void)is_fresh;
	(void)name; /* what tells generators of one seed apart: each has the kernel's own bytes */
	(void)name_len;
	(void)params;
	if (strength > STRENGTH)
		return 0;
	if (!g->pool)
		g->pool = new_pool();
	g->is_ready = true;
	return 1;
}

/* is_fresh: by bytes that were not there before it was asked for. */
static int generate(void *generator, unsigned char *out, size_t len, unsigned strength,
		    int is_fresh, const unsigned char *more, size_t more_len)
{
	struct generator *g = generator;

	(void)more; /* the kernel's bytes need none to be mixed in */
	(void)more_len;
	if (!g->is_ready || strength > STRENGTH)
		return 0;
	if (!g->pool || is_fresh || len > DRAW_MAX)
		return ask_kernel(out, len);
	return draw(g->pool, out, len);
}

static int reseed(void *generator, int is_fresh, const unsigned char *entropy, size_t entropy_len,
		  const unsigned char *more, size_t more_len)
{
	struct generator *g = generator;

	(void)is_fresh;
	(void)entropy;
	(void)entropy_len;
	(void)more;
	(void)more_len;
	forget(g->pool);
	return g->is_ready;
}

static int enable_locking(void *generator)
{
	struct generator *g = generator;

	if (!g->has_lock)
		g->has_lock = pthread_mutex_init(&g->lock, NULL) == 0;
	return g->has_lock;
}

static int lock(void *generator)
{
	struct generator *g = generator;

	return !g->has_lock || pthread_mutex_lock(&g->lock) == 0;
}

static void unlock(void *generator)
{
	struct generator *g = generator;

	if (g->has_lock)
		(void)pthread_mutex_unlock(&g->lock);
}

static int get(void *generator, OSSL_PARAM params[])
{
	const struct generator *g = generator;
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);

	if (p && !OSSL_PARAM_set_int(p, g->is_ready ? EVP_RAND_STATE_READY
						    : EVP_RAND_STATE_UNINITIALISED))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
	if (p && !OSSL_PARAM_set_uint(p, STRENGTH))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
	return !p || OSSL_PARAM_set_size_t(p, REQUEST_MAX);
}

static const OSSL_PARAM *gettable(void *generator, void *of)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
		OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
		OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
		OSSL_PARAM_END,
	};

	(void)generator;
	(void)of;
	return known;
}

const OSSL_DISPATCH tls_random_functions[] = {
	{OSSL_FUNC_RAND_NEWCTX, (void (*)(void))generator_new},
	{OSSL_FUNC_RAND_FREECTX, (void (*)(void))generator_free},
	{OSSL_FUNC_RAND_INSTANTIATE, (void (*)(void))instantiate},
	{OSSL_FUNC_RAND_UNINSTANTIATE, (void (*)(void))uninstantiate},
	{OSSL_FUNC_RAND_GENERATE, (void (*)(void))generate},
	{OSSL_FUNC_RAND_RESEED, (void (*)(void))reseed},
	{OSSL_FUNC_RAND_ENABLE_LOCKING, (void (*)(void))enable_locking},
	{OSSL_FUNC_RAND_LOCK, (void (*)(void))lock},
	{OSSL_FUNC_RAND_UNLOCK, (void (*)(void))unlock},
	{OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, (void (*)(void))gettable},
	{OSSL_FUNC_RAND_GET_CTX_PARAMS, (void (*)(void))get},
	{0, NULL},
};
