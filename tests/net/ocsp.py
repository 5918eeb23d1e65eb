# SPDX-License-Identifier: BSD-2-Clause
"""OCSP responses that say what a test wants, for any time: openssl signs them, but makes none that
have expired."""
import os
import subprocess
import time

from certs import openssl

BASIC = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def inside(data):
    """The content of the first element."""
    if data[1] < 128:
        return data[2:2 + data[1]]
    n = data[1] & 0x7f
    return data[2 + n:2 + n + int.from_bytes(data[2:2 + n], "big")]


def when(seconds):
    return der(0x18, time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


STATUS = {"good": lambda: b"\x80\0", "unknown": lambda: b"\x82\0",
          "revoked": lambda: der(0xa1, when(time.time() - 3600))}


def response(ca, pair, status="good", since=-60, until=3600, signer=None):
    """The bytes. since, until: seconds from now; None: for ever. signer: another authority."""
    request = pair["cert"] + ".req"
    openssl("ocsp", "-issuer", ca.pem, "-cert", pair["cert"], "-no_nonce", "-reqout", request)
    with open(request, "rb") as f:
        about = inside(inside(inside(inside(f.read()))))
    now = time.time()
    single = der(0x30, about, STATUS[status](), when(now + since),
                 b"" if until is None else der(0xa0, when(now + until)))
    key = openssl("x509", "-in", ca.pem, "-noout", "-ocspid").decode()
    key = bytes.fromhex(key.split("Public key OCSP hash: ")[1].strip())
    data = der(0x30, der(0xa2, der(0x04, key)), when(now), der(0x30, single))
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", (signer or ca).key], input=data,
                            capture_output=True, check=True).stdout
    basic = der(0x30, data, ECDSA_SHA256, der(0x03, b"\0", signed))
    return der(0x30, b"\x0a\x01\0", der(0xa0, der(0x30, BASIC, der(0x04, basic))))


def put(path, data):
    """In one go, as those who keep such files fresh should do it."""
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.rename(path + ".new", path)


def staple(ca, pair, **kw):
    """The pair with a response in a file beside it."""
    path = pair["cert"][:-4] + ".ocsp"
    put(path, response(ca, pair, **kw))
    return {**pair, "ocsp": path}
