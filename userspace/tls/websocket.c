/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of WebSocket handshakes: see websocket.h. */
#include "tls/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define RANDOM_LEN  16
#define SHA1_LEN    20
#define KEY_LEN_MAX 128U /* of a client's own: longer ones are nobody's */
#define GUID	    SLICE("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")

/* With the zero byte that EVP_EncodeBlock() puts behind it. */
static void encode(char *out, size_t out_len, const unsigned char *bytes, int len)
{
	unsigned char text[WEBSOCKET_ACCEPT_LEN + 1];

	(void)EVP_EncodeBlock(text, bytes, len); /* its length follows from len */
	memcpy(out, text, out_len);
}

bool websocket_key(char out[WEBSOCKET_KEY_LEN])
{
	unsigned char bytes[RANDOM_LEN];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	encode(out, WEBSOCKET_KEY_LEN, bytes, sizeof(bytes));
	return true;
}

bool websocket_accept(struct slice key, char out[WEBSOCKET_ACCEPT_LEN])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[KEY_LEN_MAX + sizeof("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")];

	if (key.len > KEY_LEN_MAX)
		return false;
	memcpy(text, key.ptr, key.len);
	memcpy(text + key.len, GUID.ptr, GUID.len);
	if (EVP_Digest(text, key.len + GUID.len, digest, NULL, EVP_sha1(), NULL) != 1)
		return false;
	encode(out, WEBSOCKET_ACCEPT_LEN, digest, SHA1_LEN);
	return true;
}
