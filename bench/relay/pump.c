// SPDX-License-Identifier: BSD-2-Clause
/* Ways that the relay's thread itself moves bytes by: see ways.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/proxy/tool.h"
#include "bench/relay/ways.h"

#define TURNS	   4 /* reads before others have theirs */
#define BULK_READS 8 /* as userspace/l7/stream.c */
#define PIPE_SIZE  (1U << 18)
#define RECORD_MAX 16384U

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

void watch_from(struct relay *r, struct lane *l, uint32_t events)
{
	if (events == l->events)
		return;
	epoll_watch(r->epoll, EPOLL_CTL_MOD, l->from, events, l);
	l->events = events;
}

static void set_blocked(struct relay *r, struct lane *l, bool is_blocked)
{
	if (is_blocked == l->is_blocked)
		return;
	l->is_blocked = is_blocked;
	epoll_watch(r->epoll, EPOLL_CTL_MOD, l->to, is_blocked ? EPOLLOUT : 0, l);
	watch_from(r, l, is_blocked ? 0 : EPOLLIN);
}

void pump(struct relay *r, struct lane *l, uint32_t events)
{
	bool more = true;

	if (events & (EPOLLHUP | EPOLLERR))
		die("a connection broke");
	if (l->is_blocked) {
		set_blocked(r, l, !r->way->give(r, l));
		return;
	}
	for (int i = 0; i < TURNS && more && !l->is_blocked; i++) {
		ssize_t n = r->way->take(r, l, &more);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("a source");
		set_blocked(r, l, !r->way->give(r, l));
	}
}

/* ---- through a buffer ---------------------------------------------------------------------- */

static void hold(struct relay *r, struct held *h)
{
	if (h->data)
		return;
	h->data = r->buffer_count ? r->buffers[--r->buffer_count] : malloc(LARGE);
	if (!h->data)
		die("a buffer");
	h->at = h->end = 0;
}

static void release(struct relay *r, struct held *h)
{
	r->buffers[r->buffer_count++] = h->data;
	h->data = NULL;
}

ssize_t take_copy(struct relay *r, struct lane *l, bool *ret_more)
{
	size_t room = l->bulk ? LARGE : SMALL;
	ssize_t n;

	hold(r, &l->text);
	n = recv(l->from, l->text.data, room, 0);
	if (n <= 0) {
		release(r, &l->text);
		return n;
	}
	l->text.end = (size_t)n;
	*ret_more = (size_t)n == room;
	if (n >= (ssize_t)SMALL)
		l->bulk = BULK_READS;
	else if (l->bulk)
		l->bulk--;
	return n;
}

/* Whether all of it is sent. */
static bool send_held(struct relay *r, struct lane *l, struct held *h)
{
	ssize_t n = send(l->to, h->data + h->at, h->end - h->at, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		die("a sink");
	if (n > 0)
		h->at += (size_t)n;
	if (h->at < h->end)
		return false;
	release(r, h);
	return true;
}

bool give_copy(struct relay *r, struct lane *l)
{
	return send_held(r, l, &l->text);
}

/* ---- through a pipe ------------------------------------------------------------------------ */

void pipe_open(struct relay *r, struct lane *l)
{
	(void)r;
	if (pipe2(l->pipe, O_NONBLOCK | O_CLOEXEC) < 0 ||
	    fcntl(l->pipe[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		die("a pipe");
}

void pipe_close(struct relay *r, struct lane *l)
{
	(void)r;
	close(l->pipe[0]);
	close(l->pipe[1]);
}

ssize_t take_pipe(struct relay *r, struct lane *l, bool *ret_more)
{
	size_t len = l->left < PIPE_SIZE ? l->left : PIPE_SIZE;
	ssize_t n = splice(l->from, NULL, l->pipe[1], NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	*ret_more = false;
	if (n <= 0)
		return n;
	l->piped = (size_t)n;
	l->left -= (size_t)n;
	if (!l->left)
		l->left = r->body;
	return n;
}

bool give_pipe(struct relay *r, struct lane *l)
{
	ssize_t n =
		splice(l->pipe[0], NULL, l->to, NULL, l->piped, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	(void)r;
	if (n < 0 && errno != EAGAIN)
		die("a sink");
	if (n > 0)
		l->piped -= (size_t)n;
	return l->piped == 0;
}

/* ---- in records ---------------------------------------------------------------------------- */

void seal_open(struct relay *r, struct lane *l)
{
	(void)r;
	l->keys.is_sealing = true;
	if (!tls_keys_init_13(&l->keys, TLS_AES_128_GCM, (const unsigned char *)TRAFFIC))
		die("keys");
}

void seal_close(struct relay *r, struct lane *l)
{
	tls_keys_wipe(&r->ciphers, &l->keys);
}

/* As userspace/l7/tls_record.c: whole records, as many as a buffer has room for, are sent at once. */
static void fill(struct relay *r, struct lane *l)
{
	struct held *text = &l->text, *out = &l->records;

	hold(r, out);
	while (text->at < text->end && out->end + RECORD_MAX + TLS_RECORD_OVERHEAD <= LARGE) {
		size_t len = text->end - text->at, sealed;

		if (len > RECORD_MAX)
			len = RECORD_MAX;
		sealed =
			tls_seal(&r->ciphers, &l->keys, SSL3_RT_APPLICATION_DATA,
				 text->data + text->at, len, (unsigned char *)out->data + out->end);
		if (!sealed)
			die("a record");
		out->end += sealed;
		text->at += len;
	}
	if (text->at == text->end)
		release(r, text);
}

bool give_sealed(struct relay *r, struct lane *l)
{
	for (;;) {
		if (l->records.data && !send_held(r, l, &l->records))
			return false;
		if (!l->text.data)
			return true;
		fill(r, l);
	}
}

/* ---- in records that the kernel makes ------------------------------------------------------ */

const char *ktls_lacks(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 ||
			       errno == ENOTCONN);

	if (fd < 0)
		die("socket");
	close(fd);
	return has ? NULL : "this kernel has no TLS of its own (CONFIG_TLS, module tls)";
}

void ktls_open(struct relay *r, struct lane *l)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {.version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128},
	};

	seal_open(r, l);
	memcpy(info.key, l->keys.key, sizeof(info.key));
	memcpy(info.salt, l->keys.iv, sizeof(info.salt));
	memcpy(info.iv, l->keys.iv + sizeof(info.salt), sizeof(info.iv));
	if (setsockopt(l->to, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ||
	    setsockopt(l->to, SOL_TLS, TLS_TX, &info, sizeof(info)) < 0)
		die("TLS in the kernel");
}

void ktls_pipe_open(struct relay *r, struct lane *l)
{
	ktls_open(r, l);
	pipe_open(r, l);
}
