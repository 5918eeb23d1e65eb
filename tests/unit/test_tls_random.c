/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes of OpenSSL's, which are ours: that they are, and that nobody draws what another did. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "tls/provider.h"
#include "tls/random.h"

#define DRAW	32
#define THREADS 8
#define DRAWS	2000 /* of each thread: many pools */

static void test_openssl_draws_from_it(void **state)
{
	EVP_RAND_CTX *const all[] = {RAND_get0_primary(NULL), RAND_get0_public(NULL),
				     RAND_get0_private(NULL)};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		assert_non_null(all[i]);
		assert_true(EVP_RAND_is_a(EVP_RAND_CTX_get0_rand(all[i]), TLS_RANDOM_NAME));
		assert_int_equal(EVP_RAND_get_state(all[i]), EVP_RAND_STATE_READY);
		assert_int_equal(EVP_RAND_get_strength(all[i]), 256);
	}
	assert_int_equal(RAND_status(), 1);
}

/* Every length, also those at which a pool is left and the kernel asked: bytes behind stay, no byte of it is always
 * the same. */
static void test_lengths(void **state)
{
	static unsigned char out[3000];

	(void)state;
	for (size_t len = 1; len <= 2100; len += len < 200 ? 1 : 311) {
		unsigned char seen[2100] = {0};

		for (int i = 0; i < 12; i++) {
			memset(out, 0, sizeof(out));
			assert_int_equal(RAND_bytes(out, (int)len), 1);
			for (size_t k = 0; k < len; k++)
				seen[k] |= out[k];
			for (size_t k = len; k < len + 64; k++)
				assert_int_equal(out[k], 0);
		}
		for (size_t k = 0; k < len; k++) /* zero twelve times: once in 2^96 */
			assert_int_not_equal(seen[k], 0);
	}
	memset(out, 0, sizeof(out));
	assert_int_equal(RAND_bytes(out, 0), 1);
	assert_int_equal(out[0], 0);
}

/* More than what OpenSSL asks for at once: its pieces meet. */
static void test_a_large_draw(void **state)
{
	size_t len = (3U << 20) + 5;
	unsigned char *out = calloc(1, len);
	size_t counts[256] = {0};

	(void)state;
	assert_non_null(out);
	assert_int_equal(RAND_bytes_ex(NULL, out, len, 256), 1);
	for (size_t i = 0; i < len; i++)
		counts[out[i]]++;
	for (int i = 0; i < 256; i++) /* 12,288 each, deviation 111: twelve of them */
		assert_in_range(counts[i], 10900, 13700);
	free(out);
}

struct drawn {
	unsigned char (*bytes)[DRAW];
	size_t count;
};

static void *draw_many(void *ctx)
{
	struct drawn *d = ctx;

	for (size_t i = 0; i < d->count; i++)
		if ((i % 2 ? RAND_bytes : RAND_priv_bytes)(d->bytes[i], DRAW) != 1)
			return NULL;
	return ctx;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, DRAW);
}

static void check_all_differ(unsigned char (*bytes)[DRAW], size_t count)
{
	qsort(bytes, count, DRAW, compare);
	for (size_t i = 1; i < count; i++)
		assert_memory_not_equal(bytes[i - 1], bytes[i], DRAW);
}

/* Many threads at once: none draws what another did. */
static void check_threads(void *(*draw)(void *ctx))
{
	unsigned char(*bytes)[DRAW] = calloc((size_t)THREADS * DRAWS, DRAW);
	struct drawn of[THREADS];
	pthread_t threads[THREADS];

	assert_non_null(bytes);
	for (size_t i = 0; i < THREADS; i++) {
		of[i] = (struct drawn){bytes + i * DRAWS, DRAWS};
		assert_int_equal(pthread_create(&threads[i], NULL, draw, &of[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *ok;

		assert_int_equal(pthread_join(threads[i], &ok), 0);
		assert_non_null(ok);
	}
	check_all_differ(bytes, (size_t)THREADS * DRAWS);
	free(bytes);
}

static void test_threads_draw_their_own(void **state)
{
	(void)state;
	check_threads(draw_many);
}

/* All draw from one, as OpenSSL's primary is shared. */
static void *draw_from_primary(void *ctx)
{
	struct drawn *d = ctx;
	EVP_RAND_CTX *primary = RAND_get0_primary(NULL);

	for (size_t i = 0; i < d->count; i++)
		if (EVP_RAND_generate(primary, d->bytes[i], DRAW, 256, 0, NULL, 0) != 1)
			return NULL;
	return ctx;
}

static void test_threads_share_one(void **state)
{
	(void)state;
	check_threads(draw_from_primary);
}

/* Parent and children have the same pool when they part: they draw, by both generators, and none draws the same. */
static void test_a_child_draws_its_own(void **state)
{
	enum { CHILDREN = 3, EACH = 8 };
	size_t size = (CHILDREN + 1) * EACH * DRAW;
	unsigned char(*bytes)[DRAW] =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char before[DRAW];

	(void)state;
	assert_ptr_not_equal(bytes, MAP_FAILED);
	assert_int_equal(RAND_bytes(before, DRAW), 1); /* so that there is a pool, and more in it */
	assert_int_equal(RAND_priv_bytes(before, DRAW), 1);
	for (size_t i = 0; i <= CHILDREN; i++) {
		pid_t pid = i < CHILDREN ? fork() : -1;
		struct drawn d = {bytes + i * EACH, EACH};
		int status;

		if (pid == 0)
			_exit(draw_many(&d) ? 0 : 1);
		if (i == CHILDREN) {
			assert_non_null(draw_many(&d));
			break;
		}
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	check_all_differ(bytes, (CHILDREN + 1) * EACH);
	assert_int_equal(munmap(bytes, size), 0);
}

/* A generator of its own, so that nobody else draws from it meanwhile. */
static EVP_RAND_CTX *generator_new(void)
{
	EVP_RAND *type = EVP_RAND_fetch(NULL, TLS_RANDOM_NAME, "provider=" TLS_PROVIDER);
	EVP_RAND_CTX *ctx = EVP_RAND_CTX_new(type, NULL);

	assert_non_null(ctx);
	EVP_RAND_free(type);
	return ctx;
}

static void test_states(void **state)
{
	EVP_RAND_CTX *ctx = generator_new();
	unsigned char out[DRAW];

	(void)state;
	assert_int_equal(EVP_RAND_get_state(ctx), EVP_RAND_STATE_UNINITIALISED);
	assert_true(EVP_RAND_generate(ctx, out, DRAW, 0, 0, NULL, 0) <= 0);
	assert_true(EVP_RAND_instantiate(ctx, 257, 0, NULL, 0, NULL) <= 0);
	assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
	assert_int_equal(EVP_RAND_generate(ctx, out, DRAW, 256, 0, NULL, 0), 1);
	assert_true(EVP_RAND_generate(ctx, out, DRAW, 257, 0, NULL, 0) <= 0);
	assert_int_equal(EVP_RAND_reseed(ctx, 0, NULL, 0, NULL, 0), 1);
	assert_int_equal(EVP_RAND_generate(ctx, out, DRAW, 0, 1, out, DRAW), 1);
	assert_int_equal(EVP_RAND_uninstantiate(ctx), 1);
	assert_true(EVP_RAND_generate(ctx, out, DRAW, 0, 0, NULL, 0) <= 0);
	EVP_RAND_CTX_free(ctx);
	ERR_clear_error();
}

/* ---- where it keeps what it has not handed out ---- */

#define PAGES_MAX 64

struct pages {
	unsigned char *at[PAGES_MAX];
	size_t count;
};

/* Those of this process that a child has empty and a core dump has not. */
static struct pages find_pages(void)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	unsigned long from = 0, to = 0;
	struct pages p = {0};
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long begin, end;

		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2) {
			from = begin;
			to = end;
		}
		if (strncmp(line, "VmFlags:", 8) != 0 || !strstr(line, " wf") ||
		    !strstr(line, " dd"))
			continue;
		for (; from < to; from += size) {
			assert_true(p.count < PAGES_MAX);
			p.at[p.count++] = (unsigned char *)from; /* NOLINT: of the kernel */
		}
	}
	(void)fclose(maps);
	return p;
}

static bool has_page(const struct pages *p, const unsigned char *page)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->at[i] == page)
			return true;
	return false;
}

/* NULL: no page came. */
static unsigned char *new_page(const struct pages *before)
{
	struct pages now = find_pages();

	for (size_t i = 0; i < now.count; i++)
		if (!has_page(before, now.at[i]))
			return now.at[i];
	return NULL;
}

/* How many bytes of a pool are there: of random ones one in 256 is zero. */
static size_t count_bytes(const unsigned char *page)
{
	size_t n = 0;

	for (size_t i = sizeof(size_t); i < sizeof(size_t) + 1024; i++)
		n += page[i] != 0;
	return n;
}

/* Eight bytes of what was drawn: that they are there by chance is once in 2^54. */
static bool is_in(const unsigned char *page, const unsigned char *bytes)
{
	return memmem(page, 2048, bytes, 8) != NULL;
}

static void test_what_was_drawn_is_wiped(void **state)
{
	EVP_RAND_CTX *ctx = generator_new();
	struct pages before = find_pages();
	unsigned char out[DRAW], *page;
	size_t left;

	(void)state;
	assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
	page = new_page(&before);
	assert_non_null(page);
	assert_int_equal(count_bytes(page), 0);
	for (int i = 1; i <= 4; i++) {
		assert_int_equal(EVP_RAND_generate(ctx, out, DRAW, 0, 0, NULL, 0), 1);
		assert_false(is_in(page, out) || is_in(page, out + DRAW / 2) ||
			     is_in(page, out + DRAW - 8));
	}
	left = count_bytes(page);
	assert_in_range(left, 850, 1024 - 4 * DRAW);
	assert_int_equal(EVP_RAND_generate(ctx, out, 7, 0, 0, NULL, 0), 1);
	/* of the seven two may have been zero: three once in 480,000 */
	assert_in_range(count_bytes(page), left - 7, left - 5);
	assert_int_equal(EVP_RAND_reseed(ctx, 0, NULL, 0, NULL, 0), 1);
	assert_int_equal(count_bytes(page), 0);
	assert_int_equal(EVP_RAND_generate(ctx, out, DRAW, 0, 0, NULL, 0), 1);
	assert_true(count_bytes(page) > 0);
	EVP_RAND_CTX_free(ctx);
	before = find_pages();
	assert_false(has_page(&before, page));
}

/* ---- a kernel that refuses ---- */

static struct {
	ssize_t most; /* bytes it gives at once; 0: what was asked for */
	int error, calls;
	int interrupted; /* so many times first */
	bool no_wipe;	 /* it has no MADV_WIPEONFORK */
} kernel;

ssize_t __real_getrandom(void *buf, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);

/* Threads call it: what is not set up is only read. */
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	__atomic_add_fetch(&kernel.calls, 1, __ATOMIC_RELAXED);
	if (kernel.interrupted) {
		kernel.interrupted--;
		errno = EINTR;
		return -1;
	}
	if (kernel.error) {
		errno = kernel.error;
		return -1;
	}
	return __real_getrandom(
		buf, kernel.most && len > (size_t)kernel.most ? (size_t)kernel.most : len, flags);
}

int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (!kernel.no_wipe || advice != MADV_WIPEONFORK)
		return __real_madvise(addr, len, advice);
	errno = EINVAL;
	return -1;
}

static void assert_draws(EVP_RAND_CTX *ctx, size_t len, bool is_had)
{
	unsigned char out[2048] = {0};

	assert_int_equal(EVP_RAND_generate(ctx, out, len, 0, 0, NULL, 0), is_had);
	for (size_t i = 0; is_had && i + 8 <= len; i += 8)
		assert_memory_not_equal(out + i, "\0\0\0\0\0\0\0", 8);
	ERR_clear_error();
}

/* What a pool has is handed out, and then it is an error: neither zeros nor what was handed out. */
static void test_a_kernel_that_refuses(void **state)
{
	EVP_RAND_CTX *ctx = generator_new();
	unsigned char out[DRAW];

	(void)state;
	assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
	assert_draws(ctx, 24, true);
	kernel.error = EIO;
	assert_true(EVP_RAND_generate(ctx, out, DRAW, 0, 1, NULL, 0) <= 0); /* fresh ones */
	for (int i = 1; i < 1024 / 24; i++)
		assert_draws(ctx, 24, true);
	for (int i = 0; i < 2; i++) {
		assert_draws(ctx, 24, false); /* 16 were left, which are not handed out any more */
		assert_draws(ctx, 1, false);
		assert_draws(ctx, 64, false);
		assert_draws(ctx, 65, false);
	}
	kernel.error = 0;
	assert_draws(ctx, 24, true);
	kernel.error = EIO;
	assert_int_equal(EVP_RAND_reseed(ctx, 0, NULL, 0, NULL, 0),
			 1); /* of no use are those from before */
	assert_draws(ctx, 1, false);
	kernel.error = 0;
	assert_draws(ctx, 24, true);
	EVP_RAND_CTX_free(ctx);
}

/* A little at a time, or not at once. */
static void test_a_kernel_that_is_slow(void **state)
{
	static const ssize_t most[] = {1, 7, 300};
	EVP_RAND_CTX *ctx = generator_new();

	(void)state;
	assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
	for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
		kernel.most = most[i];
		kernel.interrupted = 3;
		for (int n = 0; n < 40; n++)
			assert_draws(ctx, 64, true);
		kernel.interrupted = 3;
		assert_draws(ctx, 2000, true);
	}
	kernel.most = 0;
	EVP_RAND_CTX_free(ctx);
}

static int count_calls(EVP_RAND_CTX *ctx, size_t len, int times)
{
	int before = kernel.calls;

	for (int i = 0; i < times; i++)
		assert_draws(ctx, len, true);
	return kernel.calls - before;
}

/* A pool is what makes the calls few; larger draws, and all where a child would have its pages, do without. */
static void test_calls(void **state)
{
	EVP_RAND_CTX *ctx = generator_new();

	(void)state;
	assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
	assert_int_equal(count_calls(ctx, 32, 320), 10);
	assert_int_equal(count_calls(ctx, 64, 160), 10);
	assert_int_equal(count_calls(ctx, 65, 10), 10);
	assert_int_equal(count_calls(ctx, 1025, 10), 10);
	EVP_RAND_CTX_free(ctx);
	kernel.no_wipe = true;
	ctx = generator_new();
	assert_int_equal(EVP_RAND_instantiate(ctx, 256, 0, NULL, 0, NULL), 1);
	kernel.no_wipe = false;
	assert_int_equal(count_calls(ctx, 32, 10), 10);
	EVP_RAND_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssl_draws_from_it),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_a_large_draw),
		cmocka_unit_test(test_threads_draw_their_own),
		cmocka_unit_test(test_threads_share_one),
		cmocka_unit_test(test_a_child_draws_its_own),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_what_was_drawn_is_wiped),
		cmocka_unit_test(test_a_kernel_that_refuses),
		cmocka_unit_test(test_a_kernel_that_is_slow),
		cmocka_unit_test(test_calls),
	};

	if (!tls_provider_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
