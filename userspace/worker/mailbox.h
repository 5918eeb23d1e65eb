/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to a loop from other threads. A message is memory of the sender's until it is posted,
 * and of the receiver's from then on; posting cannot fail. Not for the data path.
 */
#ifndef WORKER_MAILBOX_H
#define WORKER_MAILBOX_H

#include <pthread.h>
#include <uv.h>

#include "core/list.h"

struct mailbox;
typedef void (*mailbox_cb)(struct mailbox *m, struct list *message);

struct mailbox {
	uv_async_t async;
	pthread_mutex_t lock;
	struct list queue;
	mailbox_cb on_message; /* on the loop's thread, in the order of posting */
	void *ctx;
};

/* On the loop's thread, or before it runs. 0, or -errno. */
int mailbox_init(struct mailbox *m, uv_loop_t *loop, mailbox_cb on_message, void *ctx);

/* Any thread. */
void mailbox_post(struct mailbox *m, struct list *message);

/* The next message without waiting; NULL: none. For those that are left after the end. */
struct list *mailbox_take(struct mailbox *m);

/* On the loop's thread. Messages posted from now on are not delivered. */
void mailbox_close(struct mailbox *m, uv_close_cb cb);
void mailbox_deinit(struct mailbox *m); /* after cb, when nobody posts any more */

#endif
