/* SPDX-License-Identifier: BSD-2-Clause */
/* Records and what is said in them: against RFC 8448, against OpenSSL, against what nobody should send. */
#include "tls_peer.h"

/* ---- RFC 8448, section 3 ------------------------------------------------------------------- */

static const char client_secret[] =
	"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
	"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
static const char client_data[] =
	"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20"
	"441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
static const char server_data[] =
	"17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb50"
	"1a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
static const char client_alert[] = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
static const char server_alert[] = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

static size_t from_hex(const char *hex, unsigned char *out, size_t max)
{
	size_t len;

	assert_int_equal(OPENSSL_hexstr2buf_ex(out, max, &len, hex, '\0'), 1);
	return len;
}

static void begin_8448(struct tls_ciphers *c, struct tls_traffic *t)
{
	unsigned char secret[TLS_HASH_MAX];

	assert_true(tls_ciphers_init(c));
	memset(t, 0, sizeof(*t));
	t->ciphers = c;
	t->out.is_sealing = true;
	from_hex(client_secret, secret, sizeof(secret));
	assert_true(tls_keys_init_13(&t->in, TLS_AES_128_GCM, secret));
	from_hex(server_secret, secret, sizeof(secret));
	assert_true(tls_keys_init_13(&t->out, TLS_AES_128_GCM, secret));
	t->out.sequence = 1; /* a ticket */
}

static void assert_hex(const unsigned char *bytes, size_t len, const char *hex)
{
	unsigned char want[256];

	assert_int_equal(from_hex(hex, want, sizeof(want)), len);
	assert_memory_equal(bytes, want, len);
}

static void test_the_records_of_rfc_8448(void **state)
{
	struct tls_ciphers c;
	struct tls_traffic t;
	unsigned char wire[256], out[256], text[50];
	uint8_t alert;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)i;
	begin_8448(&c, &t);
	n = from_hex(client_data, wire, sizeof(wire));
	assert_int_equal(tls_record_size(&t.in, wire), n);
	assert_int_equal(tls_traffic_take(&t, wire, n, out, &alert), sizeof(text));
	assert_memory_equal(out, text, sizeof(text));
	n = tls_seal(&c, &t.out, SSL3_RT_APPLICATION_DATA, text, sizeof(text), wire);
	assert_hex(wire, n, server_data);
	n = from_hex(client_alert, wire, sizeof(wire));
	assert_int_equal(tls_traffic_take(&t, wire, n, wire + tls_record_text(&t.in), &alert),
			 TLS_HEARD_END);
	assert_hex(wire, tls_traffic_alert(&t, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY, wire),
		   server_alert);
	tls_traffic_wipe(&t);
	tls_ciphers_deinit(&c);
}

/* ---- OpenSSL ------------------------------------------------------------------------------- */

static const struct suite suites[] = {
	{"TLS_AES_128_GCM_SHA256", TLS1_3_VERSION, "EC", 0},
	{"TLS_AES_256_GCM_SHA384", TLS1_3_VERSION, "EC", 0},
	{"TLS_CHACHA20_POLY1305_SHA256", TLS1_3_VERSION, "RSA", 0},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", TLS1_2_VERSION, "EC", 0},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", TLS1_2_VERSION, "EC", 0},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", TLS1_2_VERSION, "EC", SSL_OP_NO_TICKET},
	{"ECDHE-RSA-AES128-GCM-SHA256", TLS1_2_VERSION, "RSA", SSL_OP_NO_TICKET},
	{"ECDHE-RSA-AES256-GCM-SHA384", TLS1_2_VERSION, "RSA", 0},
	{"ECDHE-RSA-CHACHA20-POLY1305", TLS1_2_VERSION, "RSA", 0},
};

static unsigned char text[16384], sealed[16384 + TLS_RECORD_OVERHEAD], opened[16384 + 256];

/* From us to OpenSSL. in_place: the text is where the record is made. */
static void say(struct peers *p, size_t len, bool in_place)
{
	struct tls_keys *k = &p->h.traffic.out;
	unsigned char *body = sealed + tls_record_text(k), heard[16384];
	size_t n, got = 0;

	if (in_place)
		memcpy(body, text, len);
	n = tls_seal(&p->ciphers, k, SSL3_RT_APPLICATION_DATA, in_place ? body : text, len, sealed);
	assert_int_equal(n, tls_record_text(k) + len + k->is_13 + TLS_RECORD_TAG);
	assert_true(n <= len + TLS_RECORD_OVERHEAD);
	assert_int_equal(BIO_write(p->to_client, sealed, (int)n), n);
	if (len)
		assert_int_equal(SSL_read_ex(p->client, heard, sizeof(heard), &got), 1);
	else
		assert_int_equal(SSL_read_ex(p->client, heard, sizeof(heard), &got), 0);
	assert_int_equal(got, len);
	assert_memory_equal(heard, text, len);
}

/* Records of the client that are here; the last one's meaning. */
static int listen(struct peers *p, uint8_t *ret_alert)
{
	static unsigned char wire[2 * WIRE_MAX];
	int len = BIO_read(p->to_server, wire, sizeof(wire)), at = 0, heard = TLS_HEARD_NOTHING;

	while (at < len && heard != TLS_HEARD_BAD) {
		int size = tls_record_size(&p->h.traffic.in, wire + at);

		assert_true(size > 0 && at + size <= len);
		heard = tls_traffic_take(&p->h.traffic, wire + at, (size_t)size, opened, ret_alert);
		at += size;
	}
	return heard;
}

static void hear(struct peers *p, size_t len)
{
	uint8_t alert = 0;
	size_t n;

	assert_int_equal(SSL_write_ex(p->client, text, len, &n), 1);
	assert_int_equal(listen(p, &alert), len);
	assert_memory_equal(opened, text, len);
}

static void answer(struct peers *p)
{
	unsigned char wire[TLS_ANSWER_ROOM], none;
	size_t n = tls_traffic_answer(&p->h.traffic, wire);

	assert_true(n > 0 && n <= sizeof(wire));
	assert_int_equal(BIO_write(p->to_client, wire, (int)n), n);
	assert_int_equal(SSL_read(p->client, &none, 1), -1);
}

static void talk(struct peers *p)
{
	static const size_t lens[] = {1, 2, 15, 16, 17, 1000, 16383, 16384};

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		say(p, lens[i], i % 2);
		hear(p, lens[i]);
		say(p, lens[i], !(i % 2));
	}
	say(p, 0, true);
	say(p, 0, false);
}

static void update_keys(struct peers *p)
{
	uint64_t sequence;
	uint8_t alert;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_key_update(p->client, i % 2), 1);
		hear(p, 100);
		assert_int_equal(tls_traffic_owes(&p->h.traffic), i % 2);
		if (i % 2)
			answer(p);
		say(p, 100, true);
	}
	sequence = p->h.traffic.out.sequence;
	p->h.traffic.out.sequence = TLS_RECORDS_PER_KEY;
	assert_true(tls_traffic_owes(&p->h.traffic));
	p->h.traffic.out.sequence = sequence;
	assert_int_equal(listen(p, &alert), TLS_HEARD_NOTHING);
}

/* Of our own will, as when a key is worn out. */
static void wear_out(struct peers *p)
{
	answer(p);
	assert_int_equal(p->h.traffic.out.sequence, 0);
	say(p, 5, false);
}

static void end(struct peers *p)
{
	unsigned char wire[TLS_ALERT_ROOM], none;
	uint8_t alert;
	size_t n;

	assert_int_equal(SSL_shutdown(p->client), 0);
	assert_int_equal(listen(p, &alert), TLS_HEARD_END);
	say(p, 7, false); /* there is still something to say */
	n = tls_traffic_alert(&p->h.traffic, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY, wire);
	assert_true(n > 0 && n <= sizeof(wire));
	assert_int_equal(BIO_write(p->to_client, wire, (int)n), n);
	assert_int_equal(SSL_read(p->client, &none, 1), 0);
	assert_int_equal(SSL_get_error(p->client, 0), SSL_ERROR_ZERO_RETURN);
}

static void test_openssl_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
		struct peers p;

		peers_prepare(&p, &suites[i]);
		for (int resumed = 0; resumed < 2; resumed++) {
			assert_true(peers_connect(&p));
			assert_int_equal(SSL_session_reused(p.client), resumed);
			talk(&p);
			if (suites[i].version == TLS1_3_VERSION) {
				update_keys(&p);
				wear_out(&p);
			}
			end(&p);
			peers_part(&p);
		}
		peers_free(&p);
	}
}

static void test_nonces_go_on_where_openssl_stopped(void **state)
{
	struct peers p;
	uint64_t nonce = 0;

	(void)state;
	peers_prepare(&p, &suites[3]);
	assert_true(peers_connect(&p));
	for (size_t i = 0; i < TLS_RECORD_EXPLICIT; i++)
		nonce = nonce << 8 | p.h.tail[TLS_RECORD_HEADER + i];
	assert_int_equal(p.h.traffic.out.explicit_nonce, nonce + 1);
	say(&p, 1, false);
	assert_int_equal(p.h.traffic.out.explicit_nonce, nonce + 2);
	peers_part(&p);
	peers_free(&p);
}

static void test_what_is_not_taken(void **state)
{
	static const struct suite ccm = {"TLS_AES_128_CCM_SHA256", TLS1_3_VERSION, "EC", 0},
				  cbc = {"ECDHE-ECDSA-AES128-SHA", TLS1_2_VERSION, "EC", 0};
	struct peers p;

	(void)state;
	peers_prepare(&p, &ccm);
	SSL_CTX_set_ciphersuites(p.server_ctx, ccm.name);
	assert_false(peers_connect(&p));
	peers_part(&p);
	peers_free(&p);
	peers_prepare(&p, &cbc);
	assert_false(peers_connect(&p));
	peers_part(&p);
	peers_free(&p);
	peers_prepare(&p, &suites[3]); /* smaller records were agreed on */
	SSL_CTX_set_tlsext_max_fragment_length(p.client_ctx, TLSEXT_max_fragment_length_512);
	assert_false(peers_connect(&p));
	peers_part(&p);
	peers_free(&p);
}

/* More keys than contexts are held for. */
static void test_more_connections_than_contexts(void **state)
{
	static struct tls_keys in[TLS_SLOTS], out[TLS_SLOTS];
	unsigned char secret[TLS_HASH_MAX] = {0}, wire[64], plain[64];
	struct tls_ciphers c;
	uint8_t type;
	size_t n;

	(void)state;
	assert_true(tls_ciphers_init(&c));
	for (unsigned i = 0; i < TLS_SLOTS; i++) {
		memcpy(secret, &i, sizeof(i));
		out[i].is_sealing = true;
		assert_true(tls_keys_init_13(&in[i], i % TLS_AEAD_COUNT, secret));
		assert_true(tls_keys_init_13(&out[i], i % TLS_AEAD_COUNT, secret));
	}
	for (unsigned i = 0; i < 3 * TLS_SLOTS; i++) {
		unsigned a = i * 7 % TLS_SLOTS;

		n = tls_seal(&c, &out[a], SSL3_RT_APPLICATION_DATA, &i, sizeof(i), wire);
		assert_int_equal(tls_open(&c, &in[a], wire, n, plain, &type), sizeof(i));
		assert_memory_equal(plain, &i, sizeof(i));
	}
	for (unsigned i = 0; i < TLS_SLOTS; i++) {
		tls_keys_wipe(&c, &in[i]);
		tls_keys_wipe(&c, &out[i]);
	}
	for (unsigned i = 0; i < TLS_SLOTS; i++)
		assert_null(c.slots[i].owner);
	tls_ciphers_deinit(&c);
}

/* ---- what nobody should send --------------------------------------------------------------- */

struct pair {
	struct tls_ciphers c;
	struct tls_traffic t;
	struct tls_keys peer; /* seals what t opens */
};

static const unsigned char some_secret[TLS_HASH_MAX] = "of a client";

static void pair_begin(struct pair *p, bool is_13)
{
	struct tls_keys unused = {0};
	struct tls_keys_12 from = {.master = some_secret, .master_len = TLS_HASH_MAX};

	memset(p, 0, sizeof(*p));
	assert_true(tls_ciphers_init(&p->c));
	p->t.ciphers = &p->c;
	p->t.out.is_sealing = p->peer.is_sealing = true;
	if (is_13) {
		assert_true(tls_keys_init_13(&p->t.in, TLS_AES_128_GCM, some_secret));
		assert_true(tls_keys_init_13(&p->t.out, TLS_AES_128_GCM, some_secret));
		assert_true(tls_keys_init_13(&p->peer, TLS_AES_128_GCM, some_secret));
	} else {
		assert_true(tls_keys_init_12(&p->t.in, &p->t.out, TLS_AES_128_GCM, &from));
		assert_true(tls_keys_init_12(&p->peer, &unused, TLS_AES_128_GCM, &from));
	}
}

static void pair_end(struct pair *p)
{
	tls_traffic_wipe(&p->t);
	tls_keys_wipe(&p->c, &p->peer);
	tls_ciphers_deinit(&p->c);
}

/* What one sealed record with this type and content means; -alert for TLS_HEARD_BAD. */
static int tell(struct pair *p, uint8_t type, const void *content, size_t len)
{
	static unsigned char wire[20000], out[20000];
	size_t n = tls_seal(&p->c, &p->peer, type, content, len, wire);
	int size = tls_record_size(&p->t.in, wire), heard;
	uint8_t alert;

	if (size < 0)
		return size;
	assert_int_equal(size, n);
	heard = tls_traffic_take(&p->t, wire, n, out, &alert);
	return heard == TLS_HEARD_BAD ? -alert : heard;
}

#define TELL(p, type, ...)                                                                         \
	tell(p, type, (const unsigned char[]){__VA_ARGS__},                                        \
	     sizeof((const unsigned char[]){__VA_ARGS__}))

static void test_each_bit_counts(void **state)
{
	(void)state;
	for (int is_13 = 0; is_13 < 2; is_13++)
		for (size_t i = 0; i < 64 * 8; i++) {
			unsigned char wire[64 + TLS_RECORD_OVERHEAD], out[64 + 32];
			struct pair p;
			int size;
			uint8_t alert = 0;
			size_t n;

			pair_begin(&p, is_13);
			n = tls_seal(&p.c, &p.peer, SSL3_RT_APPLICATION_DATA, "hello", 5, wire);
			if (i / 8 >= n) {
				pair_end(&p);
				break;
			}
			wire[i / 8] ^= (unsigned char)(1U << i % 8);
			size = tls_record_size(&p.t.in, wire);
			if (size > 0 && (size_t)size == n) {
				assert_int_equal(tls_traffic_take(&p.t, wire, n, out, &alert),
						 TLS_HEARD_BAD);
				assert_int_equal(alert, SSL_AD_BAD_RECORD_MAC);
			} else {
				assert_true(i / 8 < TLS_RECORD_HEADER);
			}
			pair_end(&p);
		}
}

static void test_headers(void **state)
{
	static const struct {
		bool is_13;
		unsigned char header[TLS_RECORD_HEADER];
		int size;
	} cases[] = {
		{true, {23, 3, 3, 0x41, 0x00}, 5 + 16384 + 256},
		{true, {23, 3, 3, 0x41, 0x01}, -SSL_AD_RECORD_OVERFLOW},
		{true, {23, 3, 3, 0, 17}, 22},
		{true, {23, 3, 3, 0, 16}, -SSL_AD_BAD_RECORD_MAC},
		{true, {23, 3, 3, 0, 0}, -SSL_AD_BAD_RECORD_MAC},
		{true, {20, 3, 3, 0, 1}, -SSL_AD_UNEXPECTED_MESSAGE},
		{true, {21, 3, 3, 0, 2}, -SSL_AD_UNEXPECTED_MESSAGE},
		{true, {22, 3, 3, 0, 50}, -SSL_AD_UNEXPECTED_MESSAGE},
		{true, {23, 3, 1, 0, 17}, 22}, /* nobody looks at it */
		{false, {23, 3, 3, 0x40, 24}, 5 + 16384 + 24},
		{false, {23, 3, 3, 0x40, 25}, -SSL_AD_RECORD_OVERFLOW},
		{false, {23, 3, 3, 0, 24}, 29},
		{false, {22, 3, 3, 0, 23}, -SSL_AD_BAD_RECORD_MAC},
		{false, {20, 3, 3, 0, 25}, -SSL_AD_UNEXPECTED_MESSAGE},
		{false, {24, 3, 3, 0, 25}, -SSL_AD_UNEXPECTED_MESSAGE},
		{false, {23, 3, 1, 0, 25}, -SSL_AD_PROTOCOL_VERSION},
		{false, {'G', 'E', 'T', ' ', '/'}, -SSL_AD_UNEXPECTED_MESSAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct tls_keys k = {.is_13 = cases[i].is_13};

		assert_int_equal(tls_record_size(&k, cases[i].header), cases[i].size);
	}
}

static void test_padding_and_types_of_1_3(void **state)
{
	static unsigned char large[16384 + 300];
	struct pair p;

	(void)state;
	pair_begin(&p, true);
	/* The type of tell() stands behind the content: as zero it makes all of it padding. */
	assert_int_equal(TELL(&p, 0, 'h', 'i', SSL3_RT_APPLICATION_DATA, 0, 0), 2);
	assert_int_equal(TELL(&p, 0, SSL3_RT_APPLICATION_DATA, 0), TLS_HEARD_NOTHING);
	assert_int_equal(TELL(&p, 0, SSL3_AL_WARNING, SSL_AD_USER_CANCELLED, SSL3_RT_ALERT, 0),
			 TLS_HEARD_NOTHING);
	large[16383] = SSL3_RT_APPLICATION_DATA; /* behind 16383 bytes */
	assert_int_equal(tell(&p, 0, large, 16384), 16383);
	assert_int_equal(tell(&p, SSL3_RT_APPLICATION_DATA, large, 16384), 16384);
	assert_int_equal(tell(&p, SSL3_RT_APPLICATION_DATA, large, 16385), -SSL_AD_RECORD_OVERFLOW);
	assert_int_equal(TELL(&p, 0, 0, 0), -SSL_AD_UNEXPECTED_MESSAGE);
	assert_int_equal(tell(&p, 0, "", 0), -SSL_AD_UNEXPECTED_MESSAGE);
	assert_int_equal(TELL(&p, SSL3_RT_CHANGE_CIPHER_SPEC, 1), -SSL_AD_UNEXPECTED_MESSAGE);
	assert_int_equal(TELL(&p, 24, 1), -SSL_AD_UNEXPECTED_MESSAGE);
	assert_int_equal(tell(&p, SSL3_RT_ALERT, "", 0), -SSL_AD_UNEXPECTED_MESSAGE);
	assert_int_equal(tell(&p, SSL3_RT_HANDSHAKE, "", 0), -SSL_AD_UNEXPECTED_MESSAGE);
	pair_end(&p);
}

static void test_alerts(void **state)
{
	struct pair p;

	(void)state;
	for (int is_13 = 0; is_13 < 2; is_13++) {
		pair_begin(&p, is_13);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 1, 0), TLS_HEARD_END);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 2, 0), TLS_HEARD_END);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 1, 90), TLS_HEARD_NOTHING);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 2, 20), TLS_HEARD_ALERT);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 1, 20),
				 is_13 ? TLS_HEARD_ALERT : TLS_HEARD_NOTHING);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 3, 20),
				 is_13 ? TLS_HEARD_ALERT : -SSL_AD_ILLEGAL_PARAMETER);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 1, 100),
				 is_13 ? TLS_HEARD_ALERT : -SSL_AD_HANDSHAKE_FAILURE);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 1), -SSL_AD_DECODE_ERROR);
		assert_int_equal(TELL(&p, SSL3_RT_ALERT, 1, 0, 0), -SSL_AD_DECODE_ERROR);
		pair_end(&p);
	}
}

static void follow(struct pair *p)
{
	assert_true(tls_keys_update(&p->c, &p->peer));
}

static void test_key_updates(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, true);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 24, 0, 0, 1, 0), TLS_HEARD_NOTHING);
	assert_false(tls_traffic_owes(&p.t));
	follow(&p);
	/* In pieces, of which the last one may be alone. */
	for (size_t at = 0; at < 5; at++)
		assert_int_equal(tell(&p, SSL3_RT_HANDSHAKE, "\x18\0\0\1\1" + at, 1),
				 TLS_HEARD_NOTHING);
	assert_true(tls_traffic_owes(&p.t));
	assert_int_equal(TELL(&p, SSL3_RT_APPLICATION_DATA, 1), -SSL_AD_BAD_RECORD_MAC);
	pair_end(&p);

	pair_begin(&p, true);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 24, 0), TLS_HEARD_NOTHING);
	assert_int_equal(TELL(&p, SSL3_RT_APPLICATION_DATA, 1), -SSL_AD_UNEXPECTED_MESSAGE);
	pair_end(&p);
	pair_begin(&p, true);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 24, 0, 0, 1, 0, 24),
			 -SSL_AD_UNEXPECTED_MESSAGE);
	pair_end(&p);
	pair_begin(&p, true);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 24, 0, 0, 1, 2), -SSL_AD_ILLEGAL_PARAMETER);
	pair_end(&p);
	pair_begin(&p, true);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 24, 0, 0, 2, 0, 0), -SSL_AD_DECODE_ERROR);
	pair_end(&p);
	for (int type = 0; type < 24; type++) {
		pair_begin(&p, true);
		assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, (unsigned char)type, 0, 0, 1, 0),
				 -SSL_AD_UNEXPECTED_MESSAGE);
		pair_end(&p);
	}
}

static void test_what_is_useless_has_an_end(void **state)
{
	struct pair p;
	int n;

	(void)state;
	pair_begin(&p, true);
	for (n = 0; tell(&p, SSL3_RT_APPLICATION_DATA, "", 0) == TLS_HEARD_NOTHING; n++)
		assert_true(n < 100);
	assert_int_equal(n, TLS_USELESS_MAX);
	pair_end(&p);
	pair_begin(&p, true);
	for (n = 0; TELL(&p, SSL3_RT_HANDSHAKE, 24, 0, 0, 1, 1) == TLS_HEARD_NOTHING; n++)
		follow(&p);
	assert_int_equal(n, TLS_USELESS_MAX);
	pair_end(&p);
	pair_begin(&p, false);
	for (n = 0; TELL(&p, SSL3_RT_ALERT, 1, 90) == TLS_HEARD_NOTHING; n++)
		assert_true(n < 100);
	assert_int_equal(n, TLS_USELESS_MAX);
	pair_end(&p);
	/* Content between makes it good. */
	pair_begin(&p, true);
	for (n = 0; n < 4 * TLS_USELESS_MAX; n++) {
		assert_int_equal(tell(&p, SSL3_RT_APPLICATION_DATA, "", 0), TLS_HEARD_NOTHING);
		assert_int_equal(TELL(&p, SSL3_RT_APPLICATION_DATA, 1), 1);
	}
	pair_end(&p);
}

static void test_no_renegotiation(void **state)
{
	static unsigned char hello[3000] = {1, 0, 0x0b, 0xb4}; /* and 2996 bytes */
	struct pair p;
	unsigned char wire[TLS_ANSWER_ROOM], out[32];
	uint8_t type;
	size_t n;

	(void)state;
	pair_begin(&p, false);
	assert_int_equal(tell(&p, SSL3_RT_HANDSHAKE, hello, 2000), TLS_HEARD_NOTHING);
	assert_int_equal(tell(&p, SSL3_RT_HANDSHAKE, hello + 2000, 1000), TLS_HEARD_NOTHING);
	assert_int_equal(TELL(&p, SSL3_RT_APPLICATION_DATA, 1), 1);
	assert_true(tls_traffic_owes(&p.t));
	n = tls_traffic_answer(&p.t, wire);
	assert_false(tls_traffic_owes(&p.t));
	/* The other direction's keys, to read what was written. */
	p.t.out.is_sealing = false;
	p.t.out.sequence--;
	p.t.out.slot = TLS_SLOTS;
	assert_int_equal(tls_open(&p.c, &p.t.out, wire, n, out, &type), 2);
	assert_int_equal(type, SSL3_RT_ALERT);
	assert_memory_equal(out, ((unsigned char[]){1, SSL_AD_NO_RENEGOTIATION}), 2);
	assert_int_equal(tell(&p, SSL3_RT_HANDSHAKE, hello, 3), TLS_HEARD_NOTHING);
	assert_int_equal(TELL(&p, SSL3_RT_APPLICATION_DATA, 1), -SSL_AD_UNEXPECTED_MESSAGE);
	pair_end(&p);
	pair_begin(&p, false);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 1, 0xff, 0, 0), -SSL_AD_ILLEGAL_PARAMETER);
	pair_end(&p);
	pair_begin(&p, false);
	assert_int_equal(TELL(&p, SSL3_RT_HANDSHAKE, 24, 0, 0, 1, 0), -SSL_AD_UNEXPECTED_MESSAGE);
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_records_of_rfc_8448),
		cmocka_unit_test(test_openssl_both_ways),
		cmocka_unit_test(test_nonces_go_on_where_openssl_stopped),
		cmocka_unit_test(test_what_is_not_taken),
		cmocka_unit_test(test_more_connections_than_contexts),
		cmocka_unit_test(test_each_bit_counts),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_padding_and_types_of_1_3),
		cmocka_unit_test(test_alerts),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_what_is_useless_has_an_end),
		cmocka_unit_test(test_no_renegotiation),
	};

	memset(text, 'x', sizeof(text));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
