/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One non-blocking socket of a poller: reads and writes directly, asks for readiness only when told
 * to. Nothing else in l7/ knows how readiness is learnt. Owner: whoever embeds it. One thread.
 */
#ifndef L7_SOCK_H
#define L7_SOCK_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/addr.h"
#include "core/list.h"

#define SOCK_READ  1
#define SOCK_WRITE 2

struct poller;
struct sock;

/* events: SOCK_READ, SOCK_WRITE; both after an error, which the next read or write returns. */
typedef void (*sock_event_cb)(struct sock *s, int events);
typedef void (*sock_closed_cb)(struct sock *s);

struct sock {
	struct poller *poller;
	struct list node; /* of those that were closed */
	int fd;		  /* -1: closed */
	uint8_t watched;  /* what readiness is asked for */
	uint8_t told;	  /* what the kernel knows of that; too much, until it happens */
	sock_event_cb on_event;
	sock_closed_cb on_closed;
};

/* Takes fd. Watches nothing yet. */
void sock_open(struct sock *s, struct poller *poller, int fd, sock_event_cb on_event);

/* A new socket, connecting; SOCK_WRITE is to be watched, then sock_error() asked. ret_fd: for
 * sock_open(). 0, or -errno where it failed at once. */
int sock_connect(const struct endpoint *ep, int *ret_fd);
int sock_error(struct sock *s);

/* Be told when one of events holds. Where that is more than before: a system call. 0, or -errno. */
int sock_watch(struct sock *s, int events);

/* Bytes moved; 0 from a read: the peer closed its side. -EAGAIN, or another -errno. */
ssize_t sock_read(struct sock *s, void *data, size_t len);
/* is_parting: sock_shutdown() follows at once, and the kernel may send its last bytes and its end in
 * one packet. */
ssize_t sock_write(struct sock *s, const struct iovec *iov, size_t count, bool is_parting);

/* Looks without reading: false where the peer closed, failed, or sent something. */
bool sock_is_quiet(struct sock *s);

void sock_shutdown(struct sock *s); /* no more writes */

/* Closing it will reset the connection: the kernel forgets what the peer did not take. */
void sock_reset(struct sock *s);

/* Events of it come no more, whoever else has the socket: before sock_close() of one that another process
 * has too, as its events would go on otherwise. */
void sock_forget(struct sock *s);

/* From now on there may be a child process, which has all sockets for as long as it takes it to
 * execute something: each is forgotten before it is closed. Any thread. */
void sock_expect_children(void);

/* cb, once the memory of s is no longer in use. */
void sock_close(struct sock *s, sock_closed_cb cb);

/* For the poller: happened, as epoll says it. */
void sock_dispatch(struct sock *s, uint32_t happened);

#endif
