"""Marked payloads: any eight aligned bytes of one say which message they belong to, and where in it.

So a packet, or a fragment of one, is recognised wherever it is found, without trust in its headers.
"""
import struct

BLOCK = struct.Struct(">IHH")
MAX_MARKER = 0x7FFFFFFF
_REPLY = 0x80000000


def _seal(marker, index):
    return (marker ^ marker >> 16 ^ index * 0x9E37 ^ 0xA55A) & 0xFFFF


def make(marker, size):
    """A payload of `size` bytes. Under 8 bytes nothing can be recognised in it."""
    blocks = range((size + 7) // 8)
    return b"".join(BLOCK.pack(marker, index, _seal(marker, index)) for index in blocks)[:size]


def block(data, at=0):
    """(marker, index) of the block at `at`, or None when there is none."""
    if len(data) - at < 8:
        return None
    marker, index, seal = BLOCK.unpack_from(data, at)
    return (marker, index) if seal == _seal(marker, index) else None


def reply_marker(marker):
    return marker ^ _REPLY


def is_reply(data):
    return bool(data) and data[0] >= _REPLY >> 24


def reply(data):
    """What a server answers: as long as what it got, with the marker of the reply as far as there is one.

    Never empty and never without the sign of a reply: two servers would answer each other for ever.
    """
    first = block(data)
    if first:
        return make(reply_marker(first[0]), len(data))
    return bytes([_REPLY >> 24]) + bytes(data[1:])


def answers(data, marker):
    """Whether a payload is the reply to a message."""
    first = block(data)
    return first is not None and first[0] == reply_marker(marker)
