"""WebSocket (RFC 6455) as far as tests speak it: how a connection begins, and whole frames of both ends."""
import base64
import hashlib

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def request(path, host="x", token=None):
    """A client's, which asks for a WebSocket."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return (f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n").encode()


def accept(key):
    """What a server answers to Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def frame(opcode, payload, masked=False):
    """masked: by a client. The mask is zeros, which leaves the payload as it is."""
    size, longer = len(payload), b""
    if size >= 1 << 16:
        size, longer = 127, size.to_bytes(8, "big")
    elif size >= 126:
        size, longer = 126, size.to_bytes(2, "big")
    return bytes([0x80 | opcode, 0x80 * masked | size]) + longer + bytes(4 * masked) + payload


def _read(stream, size):
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionError("the other end has closed the connection")
    return data


def read_frame(stream):
    """(opcode, payload, whether its message ends here) of the next frame."""
    first, second = _read(stream, 2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(_read(stream, 2 if size == 126 else 8), "big")
    mask = _read(stream, 4) if second & 0x80 else bytes(4)
    payload = _read(stream, size)
    if any(mask):
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return first & 0x0F, payload, bool(first & 0x80)


def until(connection, words):
    """Receives everything up to `words`, and what came with them."""
    received = b""
    while words not in received:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"the other end has closed the connection after {received}")
        received += piece
    return received
