/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of TLS: see schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

static const struct keyword certificate_keys[] = {
	{.name = "cert",
	 .text = "PEM file of a certificate, then of those that it was signed with, the root apart",
	 .type = KEY_TEXT,
	 FIELD(struct tls_files, cert),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .required = true},
	{.name = "key",
	 .text = "PEM file of its private key, without a passphrase; it is warned of one that "
		 "every user of the host may read",
	 .type = KEY_TEXT,
	 FIELD(struct tls_files, key),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .fallback_text = "the file of the certificate has it too"},
	{.name = "ocsp",
	 .text = "file of an OCSP response for it, in DER form, for clients that ask: looked at "
		 "each "
		 "second, so that a new one is taken without a reload. What has expired, or says "
		 "anything but good, is not sent",
	 .type = KEY_TEXT,
	 FIELD(struct tls_files, ocsp),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .fallback_text = "none is sent"},
};
#define PAIR_KEY_COUNT 2 /* the first ones: those of any certificate */
static const struct section client_files = {.name = "client certificate of a pool",
					    .text = "A certificate and its key",
					    .keys = certificate_keys,
					    .count = PAIR_KEY_COUNT};
static const struct section certificate = {.name = "certificate of a service",
					   .text = "A certificate and its key",
					   KEYS(certificate_keys)};

static const struct keyword client_keys[] = {
	{.name = "ca",
	 .text = "PEM file of the authorities that clients' certificates must be signed by",
	 .type = KEY_TEXT,
	 FIELD(struct client_tls, ca),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .required = true},
	{.name = "crl",
	 .text = "PEM file of their revocation lists: one of each authority, or its clients are "
		 "refused",
	 .type = KEY_TEXT,
	 FIELD(struct client_tls, crl),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .fallback_text = "no certificate is revoked"},
	{.name = "verify",
	 .text = "must a client have a certificate; one that it has must be good either way",
	 .type = KEY_CHOICE,
	 FIELD(struct client_tls, verify),
	 .words = client_verify_words,
	 .fallback = "required"},
};
static const struct section clients = {
	.name = "clients of a service",
	.text = "Certificates of clients. Backends get the subject in X-Forwarded-Client-Subject, "
		"which no client can say itself",
	KEYS(client_keys)};

static const char *const early_data_words[] = {"off", "on", NULL};

static const struct keyword tls_keys[] = {
	{.name = "certificates",
	 .text = "the one for the name that a client asks for is taken, an exact name before a "
		 "wildcard, an RSA, ECDSA or Ed25519 one by what the client can; the first one "
		 "where none is for that name. The files are read at the start, and with each "
		 "change of the configuration",
	 .type = KEY_SPECIAL,
	 .read = field_read_certificates,
	 .format = field_format_certificates,
	 .form = "a list of mappings {cert: FILE, key: FILE, ocsp: FILE}",
	 .section = &certificate,
	 .required = true},
	{.name = "policy",
	 .text = "what may be negotiated. modern: TLS 1.3; intermediate: 1.2 too, with forward "
		 "secrecy and AES-GCM or ChaCha20; fips: as that, with P-256 and AES-GCM alone",
	 .type = KEY_CHOICE,
	 FIELD(struct service_tls, policy),
	 .words = tls_policy_words,
	 .fallback = "intermediate"},
	{.name = "early_data",
	 .text = "are requests taken in the first message of a client that comes back (0-RTT). "
		 "Somebody else can send them again, though to this daemon only once: safe ones "
		 "without a body (GET, HEAD, OPTIONS) are passed on at once, with Early-Data: 1, "
		 "and "
		 "a backend may answer 425; all others wait for the end of the handshake",
	 .type = KEY_CHOICE,
	 FIELD(struct service_tls, early_data),
	 .words = early_data_words,
	 .fallback = "off"},
	{.name = "clients",
	 .text = "certificates of clients",
	 .type = KEY_SECTION,
	 FIELD(struct service_tls, clients),
	 .section = &clients,
	 .fallback_text = "they are asked for none"},
};
const struct section schema_tls = {
	.name = "tls of a service",
	.text = "Certificates of an http service, whose clients then speak TLS",
	KEYS(tls_keys)};

static const struct keyword pool_tls_keys[] = {
	{.name = "ca",
	 .text = "PEM file of the authorities that backends' certificates must be signed by; none: "
		 "whoever answers is believed",
	 .type = KEY_TEXT,
	 FIELD(struct pool_tls, ca),
	 .form = "the absolute path of a file, or none",
	 .refuse_text = field_refuse_ca,
	 .required = true},
	{.name = "name",
	 .text = "name that backends are asked for (SNI) and that their certificates must have",
	 .type = KEY_TEXT,
	 FIELD(struct pool_tls, name),
	 .form = "a DNS name",
	 .refuse_text = field_refuse_sni,
	 .fallback_text = "none is asked for, and a certificate must have the backend's address"},
	{.name = "client",
	 .text = "certificate and key of ours, for backends that ask for them",
	 .type = KEY_SECTION,
	 FIELD(struct pool_tls, client),
	 .section = &client_files,
	 .fallback_text = "none"},
	{.name = "policy",
	 .text = "what may be negotiated, as in a service's tls",
	 .type = KEY_CHOICE,
	 FIELD(struct pool_tls, policy),
	 .words = tls_policy_words,
	 .fallback = "intermediate"},
};
const struct section schema_pool_tls = {
	.name = "tls of a pool",
	.text = "Backends that are spoken TLS to, and who they must be",
	KEYS(pool_tls_keys)};
