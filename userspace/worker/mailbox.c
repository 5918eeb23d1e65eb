/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between threads: see mailbox.h. */
#include "worker/mailbox.h"

struct list *mailbox_take(struct mailbox *m)
{
	struct list *first = NULL;

	pthread_mutex_lock(&m->lock);
	if (!list_empty(&m->queue)) {
		first = m->queue.next;
		list_unlink(first);
	}
	pthread_mutex_unlock(&m->lock);
	return first;
}

static void on_async(uv_async_t *async)
{
	struct mailbox *m = async->data;
	struct list *message;

	while (!uv_is_closing((uv_handle_t *)async) && (message = mailbox_take(m)))
		m->on_message(m, message);
}

int mailbox_init(struct mailbox *m, uv_loop_t *loop, mailbox_cb on_message, void *ctx)
{
	int err = uv_async_init(loop, &m->async, on_async);

	if (err < 0)
		return err;
	m->async.data = m;
	pthread_mutex_init(&m->lock, NULL);
	list_init(&m->queue);
	m->on_message = on_message;
	m->ctx = ctx;
	return 0;
}

void mailbox_post(struct mailbox *m, struct list *message)
{
	pthread_mutex_lock(&m->lock);
	list_append(&m->queue, message);
	pthread_mutex_unlock(&m->lock);
	(void)uv_async_send(&m->async); /* always 0 */
}

void mailbox_close(struct mailbox *m, uv_close_cb cb)
{
	uv_close((uv_handle_t *)&m->async, cb);
}

void mailbox_deinit(struct mailbox *m)
{
	pthread_mutex_destroy(&m->lock);
}
