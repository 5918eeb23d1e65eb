/* SPDX-License-Identifier: BSD-2-Clause */
/* PROXY headers for backends: see proxy_out.h. */
#include "l7/proxy_out.h"

#include "l7/conn.h"

/* What both ends will speak is only known where there is no choice. */
static struct slice only_alpn(struct slice list)
{
	struct slice protocol = {0};

	if (!client_hello_next_alpn(&list, &protocol) || list.len)
		return (struct slice){0};
	return protocol;
}

size_t proxy_out_write(char out[PROXY_WRITE_MAX], const struct conn *c, enum proxy_out version,
		       const struct client_hello *hello)
{
	struct proxy_header h = {
		.has_endpoints = true, .source = *conn_peer(c), .destination = *conn_local(c)};

	if (version == PROXY_OUT_OFF)
		return 0;
	if (version == PROXY_OUT_V1)
		return proxy_header_write_v1(out, &h);
	if (c->proxied) {
		h.alpn = proxied_alpn(c->proxied);
		h.authority = proxied_authority(c->proxied);
		h.unique_id = proxied_unique_id(c->proxied);
	}
	if (hello) { /* what is seen counts more than what was said */
		h.alpn = only_alpn(hello->alpn);
		h.authority = (struct slice){hello->name, hello->name_len};
	}
	return proxy_header_write_v2(out, &h);
}

int proxy_out_queue(struct stream *to, const struct conn *c, enum proxy_out version)
{
	char header[PROXY_WRITE_MAX];

	return buf_append(to->pool, &to->out, header, proxy_out_write(header, c, version, NULL));
}
