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
	 .text = "PEM file of its private key, without a passphrase",
	 .type = KEY_TEXT,
	 FIELD(struct tls_files, key),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .fallback_text = "the file of the certificate has it too"},
};
static const struct section certificate = {.name = "certificate of a service",
					   .text = "A certificate and its key",
					   KEYS(certificate_keys)};

static const struct keyword tls_keys[] = {
	{.name = "certificates",
	 .text = "the one for the name that a client asks for is taken, an exact name before a "
		 "wildcard, an RSA, ECDSA or Ed25519 one by what the client can; the first one "
		 "where none is for that name. The files are read at the start, and with each "
		 "change of the configuration",
	 .type = KEY_SPECIAL,
	 .read = field_read_certificates,
	 .format = field_format_certificates,
	 .form = "a list of mappings {cert: FILE, key: FILE}",
	 .section = &certificate,
	 .required = true},
	{.name = "policy",
	 .text = "what may be negotiated. modern: TLS 1.3; intermediate: 1.2 too, with forward "
		 "secrecy and AES-GCM or ChaCha20; fips: as that, with P-256 and AES-GCM alone",
	 .type = KEY_CHOICE,
	 FIELD(struct service_tls, policy),
	 .words = tls_policy_words,
	 .fallback = "intermediate"},
};
const struct section schema_tls = {
	.name = "tls of a service",
	.text = "Certificates of an http service, whose clients then speak TLS",
	KEYS(tls_keys)};
