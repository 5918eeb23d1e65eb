# SPDX-License-Identifier: BSD-2-Clause
"""Certificates for the tests, by openssl, and clients that speak TLS."""
import os
import socket
import ssl
import subprocess

from http1 import TIMEOUT_S, Peer, Script, answer_ok

KEYS = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["-newkey", "ed25519"],
    "rsa": ["-newkey", "rsa:2048"],
    "rsa1024": ["-newkey", "rsa:1024"],
}


def openssl(*args, **kw):
    done = subprocess.run(["openssl", *args], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False, **kw)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Authority:
    """One that signs; its files are in a folder of the lab."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name, self.count = folder, name, 0
        os.makedirs(folder, exist_ok=True)
        self.pem, self.key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        openssl("req", "-x509", *KEYS["ecdsa"], "-nodes", "-subj", f"/CN={name}", "-days", "30",
                "-keyout", self.key, "-out", self.pem)

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, *names, kind="ecdsa", file=None, days=30, until=None, usage=None):
        """{cert: PATH, key: PATH} for DNS names. until: "YYYYMMDDHHMMSSZ", from 2001 on."""
        self.count += 1
        stem = self.path(file or f"{self.name}-{self.count}")
        openssl("req", "-new", *KEYS[kind], "-nodes", "-subj", f"/CN={names[0]}", "-keyout",
                stem + ".key", "-out", stem + ".csr")
        with open(stem + ".ext", "w", encoding="ascii") as f:
            f.write("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
            f.write(f"extendedKeyUsage={usage}\n" if usage else "")
        when = ["-days", str(days)]
        if until:
            return self._issue_until(stem, until)
        openssl("x509", "-req", "-in", stem + ".csr", "-CA", self.pem, "-CAkey", self.key,
                "-set_serial", str(1000 + self.count), *when, "-extfile", stem + ".ext",
                "-out", stem + ".pem")
        return {"cert": stem + ".pem", "key": stem + ".key"}

    def _issue_until(self, stem, until):
        """Only `openssl ca` takes dates of the past."""
        with open(stem + ".cnf", "w", encoding="ascii") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\npolicy=p\ndefault_md=sha256\nunique_subject=no\n"
                    f"database={stem}.db\nserial={stem}.srl\nnew_certs_dir={self.folder}\n"
                    "[p]\ncommonName=supplied\n")
        for name, text in ((".db", ""), (".srl", f"{2000 + self.count}\n")):
            with open(stem + name, "w", encoding="ascii") as f:
                f.write(text)
        openssl("ca", "-batch", "-config", stem + ".cnf", "-cert", self.pem, "-keyfile", self.key,
                "-in", stem + ".csr", "-startdate", "20010101000000Z", "-enddate", until,
                "-extfile", stem + ".ext", "-notext", "-out", stem + ".pem")
        return {"cert": stem + ".pem", "key": stem + ".key"}

    def context(self, version=None, ciphers=None, alpn=None):
        """Of a client that trusts it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.pem)
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # truncation is an error
        if version:
            context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context


def connect(port, context, name="example.org", addr="127.0.0.1", session=None):
    """A connection whose handshake is done. Its end without a word of TLS is an error."""
    sock = socket.create_connection((addr, port), timeout=TIMEOUT_S)
    # Else a resumed session's first request waits for the delayed acknowledgement of the handshake.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        tls = context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False,
                                  session=session)
    except BaseException:
        sock.close()
        raise
    return Peer(tls)


def served(port, context, name):
    """The names in the certificate that a client gets."""
    with connect(port, context, name) as peer:
        return [n for _, n in peer.sock.getpeercert()["subjectAltName"]]


class TlsScript(Script):
    """A backend that speaks TLS; seen: of each handshake what it was asked for."""

    def __init__(self, pair, serve=answer_ok, version=None, ask_for=None, alpn=("http/1.1",)):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair["cert"], pair["key"])
        self.context.set_alpn_protocols(list(alpn))
        self.context.sni_callback = lambda sock, name, _: self.names.append(name)
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        if ask_for:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(ask_for.pem)
        self.names, self.reused, self.subjects, self.refused = [], [], [], []
        super().__init__(serve)

    def _run(self, peer):
        try:
            peer.sock = self.context.wrap_socket(peer.sock, server_side=True,
                                                 suppress_ragged_eofs=False)
            self.reused.append(peer.sock.session_reused)
            self.subjects.append(peer.sock.getpeercert())
        except OSError as exc:
            self.refused.append(exc)
            peer.close()
            return
        try:
            super()._run(peer)
        except OSError:
            pass
