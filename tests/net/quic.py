# SPDX-License-Identifier: BSD-2-Clause
"""QUIC packets as far as a balancer can read them (RFC 8999, RFC 9000): hexadecimal text."""

VERSION_1 = "00000001"
SECRET = "c0ffee" * 8  # what would be encrypted


def long_header(cid, first=0xc0, source_cid="0102030405"):
    """A long header: 0xc0 Initial, 0xe0 Handshake."""
    return (f"{first:02x}{VERSION_1}{len(cid) // 2:02x}{cid}"
            f"{len(source_cid) // 2:02x}{source_cid}{SECRET}")


def short_header(cid):
    return f"40{cid}{SECRET}"


def lb_cid(server_id, config=0, nonce="a1b2c3d4"):
    """A connection id of QUIC-LB without encryption, its length in the first octet."""
    rest = server_id + nonce
    return f"{config << 5 | len(rest) // 2:02x}{rest}"
