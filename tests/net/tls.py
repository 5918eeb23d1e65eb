# SPDX-License-Identifier: BSD-2-Clause
"""TLS from outside: certificates, servers that are openssl's, ClientHellos to cut to pieces."""
import ssl
import struct
import subprocess

from lab import TIMEOUT_S, wait_until

ALERTS = {10: "unexpected_message", 47: "illegal_parameter", 50: "decode_error",
          70: "protocol_version", 80: "internal_error", 112: "unrecognized_name"}


def certificate(lab, name):
    """A new one for this name; the paths of certificate and key."""
    cert, key = lab.path(f"{name}.pem"), lab.path(f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


class OpensslServer:
    """openssl s_server that answers HTTP; its certificate says who it is."""

    def __init__(self, lab, name, port, *args):
        self.cert, key = certificate(lab, name)
        self.target = f"127.0.0.1:{port}"
        self.log_path = lab.path(f"{name}.log")
        with open(self.log_path, "wb") as log:
            lab.popen(["openssl", "s_server", "-accept", self.target, "-cert", self.cert,
                       "-key", key, "-www", *args], stdout=log, stderr=log,
                      stdin=subprocess.DEVNULL)
        wait_until(lambda: b"ACCEPT" in open(self.log_path, "rb").read())


def context(alpn=None, newest=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(alpn)
    if newest:
        made.maximum_version = newest
    return made


def hello(name, alpn=None, newest=None):
    """The bytes of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    conn = context(alpn, newest).wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        conn.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def hello_name(data):
    """The name in it, found the simple way."""
    at = data.find(b"\0\0\0", 43)
    while at >= 0:
        size, listed, kind, length = struct.unpack_from(">HHBH", data, at + 2)
        if size == listed + 2 and listed == length + 3 and kind == 0:
            return data[at + 9:at + 9 + length].decode()
        at = data.find(b"\0\0", at + 1)
    return None


def in_records(data, size):
    """The same message in records of this size."""
    message = data[5:]
    return b"".join(b"\x16\3\1" + struct.pack(">H", len(message[at:at + size])) +
                    message[at:at + size] for at in range(0, len(message), size))


def peer_name(port, name, addr="127.0.0.1", **kw):
    """Whose certificate a handshake for this name brings."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{addr}:{port}",
         *(["-servername", name] if name else ["-noservername"]), *kw.get("args", ())],
        input=b"", capture_output=True, timeout=TIMEOUT_S, check=False)
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("subject="):
            return line.rpartition("CN = ")[2]
    return done.stderr.decode(errors="replace")


def alert(peer):
    """The alert that ends the connection, by name."""
    record = peer.to_end()
    assert record[:5] == b"\x15\3\1\0\2" and record[5] == 2, record
    return ALERTS[record[6]]
