"""Reads packets as far as it takes to recognise the same packet in two places.

On its way a packet keeps everything but its TTL, its checksums (offloads), its link header and, where it is put
together and fragmented again, the identification of its fragments. What it keeps is its unit, a hashable value.
A fragment's units are the marked blocks in it. A TCP packet longer than the MTU (offloads) is cut first as the
network card would cut it, so that both sides of a comparison speak of packets of the wire.
"""
import hashlib
import ipaddress
import struct
from dataclasses import dataclass, field

from . import payload as marked

TCP, UDP, SCTP, ICMP, ICMP6, UDPLITE, DCCP = 6, 17, 132, 1, 58, 136, 33
_CHECKSUM_AT = {TCP: (16, 2), UDP: (6, 2), UDPLITE: (6, 2), ICMP: (2, 2), ICMP6: (2, 2), SCTP: (8, 4), DCCP: (6, 2)}
_EXTENSIONS = {0, 43, 60}
_FRAGMENTED = (UDP, ICMP, ICMP6)  # protocols of which datagrams longer than the MTU are sent


@dataclass
class Packet:
    frame: bytes = field(repr=False)
    group: bool  # to many: multicast or broadcast on the link
    source_mac: bytes
    family: int = 0  # 4, 6, or 0 for what is not IP
    source: object = None
    destination: object = None
    protocol: int = -1
    source_port: int = -1
    destination_port: int = -1
    fragment: bool = False
    units: list = field(default_factory=list)
    message: tuple = None  # (marker, index) of the first block of the payload
    blocks: list = field(default_factory=list)  # units of a whole datagram, had it been fragmented
    checksum_ok: bool = True

    def describe(self):
        if not self.family:
            return f"ethertype {self.frame[12:14].hex()} {self.source_mac.hex(':')}"
        names = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP", ICMP: "ICMP", ICMP6: "ICMPv6"}
        ports = f" {self.source_port} > {self.destination_port}" if self.source_port >= 0 else ""
        return (f"{names.get(self.protocol, self.protocol)} {self.source} > {self.destination}{ports}"
                f"{' fragment' if self.fragment else ''} {len(self.frame)} bytes")


def _digest(*parts):
    return hashlib.blake2b(b"|".join(bytes(part) for part in parts), digest_size=12).digest()


def _sum_ok(source, destination, protocol, segment):
    """Whether the ones' complement sum over the pseudo header and the segment is right."""
    at, width = _CHECKSUM_AT.get(protocol, (0, 0))
    if width != 2 or protocol == UDPLITE:
        return True
    if protocol == UDP and segment[at:at + 2] == b"\0\0":
        return True
    pseudo = b"" if protocol == ICMP else source.packed + destination.packed + struct.pack(">II", len(segment), protocol)
    data = pseudo + segment
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    return total % 0xFFFF == 0 and total != 0


def read(frame, mtu=1500):
    """The packets of the wire that a captured frame stands for: one, unless it is longer than the MTU."""
    packet = _read(frame)
    if packet.protocol != TCP or packet.fragment or len(frame) - 14 <= mtu:
        return [packet]
    return [_read(part) for part in _cut(frame, packet, mtu)]


def _cut(frame, packet, mtu):
    ip = 20 if packet.family == 4 else 40
    if packet.family == 4:
        ip = (frame[14] & 15) * 4
    start = 14 + ip
    header = (frame[start + 12] >> 4) * 4
    data, step = frame[start + header:], mtu - ip - header
    sequence, flags = struct.unpack_from(">I", frame, start + 4)[0], frame[start + 13]
    for number, at in enumerate(range(0, len(data), step)):
        part = bytearray(frame[:start + header] + data[at:at + step])
        if packet.family == 4:
            struct.pack_into(">H", part, 16, len(part) - 14)
            identification = struct.unpack_from(">H", frame, 18)[0]
            struct.pack_into(">H", part, 18, (identification + number) & 0xFFFF)
        else:
            struct.pack_into(">H", part, 18, len(part) - 54)
        struct.pack_into(">I", part, start + 4, (sequence + at) & 0xFFFFFFFF)
        last = at + step >= len(data)
        part[start + 13] = flags if last else flags & ~0x09  # FIN and PSH belong to the last one
        yield bytes(part)


def _read(frame):
    packet = Packet(frame=frame, group=bool(frame[0] & 1), source_mac=frame[6:12])
    ethertype = struct.unpack_from(">H", frame, 12)[0]
    if ethertype == 0x0800 and len(frame) >= 34:
        _read_v4(packet, frame[14:])
    elif ethertype == 0x86DD and len(frame) >= 54:
        _read_v6(packet, frame[14:])
    else:
        packet.units = [("link", _digest(frame[:60]))]
    return packet


def _read_v4(packet, data):
    header = (data[0] & 15) * 4
    total, identification, offset = struct.unpack_from(">HHH", data, 2)
    packet.family, packet.protocol = 4, data[9]
    packet.source, packet.destination = ipaddress.IPv4Address(data[12:16]), ipaddress.IPv4Address(data[16:20])
    body = data[header:total]
    more, offset = offset & 0x2000, (offset & 0x1FFF) * 8
    if more or offset:
        _read_fragment(packet, body, offset)
    else:
        _read_transport(packet, body, (identification, bytes(data[20:header])))


def _read_v6(packet, data):
    length, protocol = struct.unpack_from(">HB", data, 4)
    packet.family = 6
    packet.source, packet.destination = ipaddress.IPv6Address(data[8:24]), ipaddress.IPv6Address(data[24:40])
    at, end = 40, 40 + length
    while protocol in _EXTENSIONS or protocol == 44:
        if protocol == 44:
            field_ = struct.unpack_from(">H", data, at + 2)[0]
            packet.protocol = data[at]
            offset, more = field_ & 0xFFF8, field_ & 1
            _read_fragment(packet, data[at + 8:end], offset) if offset or more else \
                _read_transport(packet, data[at + 8:end], (44,))
            return
        protocol, at = data[at], at + (data[at + 1] + 1) * 8
    packet.protocol = protocol
    _read_transport(packet, data[at:end], (bytes(data[40:at]),))


def _read_transport(packet, body, kept):
    at, width = _CHECKSUM_AT.get(packet.protocol, (0, 0))
    normal = body
    if width and len(body) >= at + width:
        normal = body[:at] + bytes(width) + body[at + width:]
    ends = (packet.source.packed, packet.destination.packed, packet.protocol)
    packet.units = [(*ends, *kept, _digest(normal))]
    packet.checksum_ok = _sum_ok(packet.source, packet.destination, packet.protocol, body)
    if packet.protocol in (TCP, UDP, SCTP, UDPLITE, DCCP) and len(body) >= 4:
        packet.source_port, packet.destination_port = struct.unpack_from(">HH", body)
    packet.message = marked.block(body, _payload_at(packet.protocol, body))
    if packet.message and packet.protocol in _FRAGMENTED:
        packet.blocks = _blocks(packet, body, 8)


def _payload_at(protocol, body):
    if protocol == TCP and len(body) > 12:
        return (body[12] >> 4) * 4
    return {SCTP: 28, DCCP: 16, UDP: 8, UDPLITE: 8, ICMP: 8, ICMP6: 8}.get(protocol, 0)


def _read_fragment(packet, body, offset):
    packet.fragment = True
    if offset:
        packet.units = _blocks(packet, body, 0)
        return
    if packet.protocol in (UDP, UDPLITE):
        packet.source_port, packet.destination_port = struct.unpack_from(">HH", body)
    packet.message = marked.block(body, 8)
    packet.units = _blocks(packet, body, 8)


def _blocks(packet, body, start):
    """The marked blocks from `start` on. Before the first eight bytes of a datagram there is a header of eight."""
    ends = (packet.source.packed, packet.destination.packed, packet.protocol)
    units = [(*ends, "first", packet.message)] if start else []
    for at in range(start, len(body) - 7, 8):
        found = marked.block(body, at)
        if found:
            units.append((*ends, "block", *found))
    return units


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    value = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    rest = value % 0xFFFF
    return 0xFFFF - rest if rest or not value else 0


_CRC32C = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _CRC32C.append(_byte)


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _sealed(source, destination, protocol, segment, at):
    """The segment with its checksum over the pseudo header written at `at`."""
    pseudo = source.packed + destination.packed + struct.pack(">II", len(segment), protocol)
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack(">H", value) + segment[at + 2:]


def udp(source, destination, source_port, destination_port, data, protocol=UDP):
    length = 8 + len(data)
    segment = struct.pack(">HHHH", source_port, destination_port, length, 0) + data
    return _sealed(source, destination, protocol, segment, 6)


def dccp(source, destination, source_port, destination_port, sequence, data):
    """A DATA packet with a short sequence number (RFC 4340): data offset 4 words, 12 bytes and 4 of options."""
    segment = struct.pack(">HHBBHBBH", source_port, destination_port, 4, 0, 0, 2 << 1, 0, sequence) + bytes(4) + data
    return _sealed(source, destination, DCCP, segment, 6)


def tcp(source, destination, source_port, destination_port, flags, sequence, acknowledged, data=b""):
    segment = struct.pack(">HHIIBBHHH", source_port, destination_port, sequence, acknowledged, 0x50, flags, 4096, 0, 0)
    return _sealed(source, destination, TCP, segment + data, 16)


def sctp(source_port, destination_port, tag, chunks):
    packet = struct.pack(">HHII", source_port, destination_port, tag, 0) + chunks
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


def icmp_echo(source, destination, kind, identifier, sequence, data):
    """kind: the ICMP or ICMPv6 type."""
    message = struct.pack(">BBHHH", kind, 0, 0, identifier, sequence) + data
    if source.version == 6:
        return _sealed(source, destination, ICMP6, message, 2)
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


def ip_packets(source, destination, protocol, body, identification, fragment_size=0):
    """The IP packet with that body, or its fragments of `fragment_size` bytes (a multiple of 8) of body each."""
    if not fragment_size or len(body) <= fragment_size:
        pieces = [(0, body, False)]
    else:
        pieces = [(at, body[at:at + fragment_size], at + fragment_size < len(body))
                  for at in range(0, len(body), fragment_size)]
    for at, piece, more in pieces:
        if source.version == 4:
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(piece), identification & 0xFFFF or 1,
                               at >> 3 | (0x2000 if more else 0), 64, protocol, 0)
            head += source.packed + destination.packed
            yield head[:10] + struct.pack(">H", checksum(head)) + head[12:] + piece
        else:
            extension = b""
            if len(pieces) > 1:
                extension = struct.pack(">BBHI", protocol, 0, at | more, identification & 0xFFFFFFFF)
            yield struct.pack(">IHBB", 6 << 28, len(extension) + len(piece), 44 if extension else protocol, 64) + \
                source.packed + destination.packed + extension + piece
