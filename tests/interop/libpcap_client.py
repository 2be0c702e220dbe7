"""What libpcap's client (pcap-rpcap.c of 1.10) sends and expects when a program opens rpcap://HOST/INTERFACE.

Debian builds libpcap without remote capture, so that its client is played here: the same messages in the same order
with the same fields, one connection to list the interfaces and another to capture.
"""
import socket
import struct

ERROR, FINDALLIF, OPEN, STARTCAP, UPDATEFILTER, CLOSE, PACKET, AUTH, STATS, ENDCAP, SETSAMPLING = range(1, 12)
IS_REPLY = 128
PROMISCUOUS, DATAGRAM = 1, 2
AF_INET_ON_THE_WIRE, AF_INET6_ON_THE_WIRE = 2, 23
MILLISECONDS = 100


class RpcapError(Exception):
    """An ERROR message; its code is the first argument."""


def program(instructions):
    """A filter as STARTCAP and UPDATEFILTER carry it."""
    return struct.pack(">HHI", 1, 0, len(instructions)) + b"".join(struct.pack(">HBBI", *i) for i in instructions)


ALL = program([(6, 0, 0, 262144)])


def udp_to_port(port):
    """Ethernet, IPv4 without options, UDP to this port."""
    return program([(0x28, 0, 0, 12), (0x15, 0, 5, 0x800), (0x30, 0, 0, 23), (0x15, 0, 3, 17), (0x28, 0, 0, 36),
                    (0x15, 0, 1, port), (6, 0, 0, 262144), (6, 0, 0, 0)])


class Control:
    """rpcap_setup_session(): a connection whose authentication has passed."""

    def __init__(self, connect, host, port=2002, user=None, password=""):
        self.sock = connect((host, port))
        self.host = host
        if user is None:
            request = struct.pack(">HHHH", 0, 0, 0, 0)
        else:
            request = struct.pack(">HHHH", 1, 0, len(user), len(password)) + user.encode() + password.encode()
        reply = self.ask(AUTH, request)[1]
        # Old servers send nothing, new ones their versions and perhaps a byte-order magic: rpcap_doauth() takes these.
        if len(reply) not in (0, 2, 6):
            raise AssertionError(f"libpcap refuses an authentication reply of {len(reply)} bytes")
        if reply and not reply[0] == 0 <= reply[1]:
            raise AssertionError(f"version 0 is not among those of the tap: {reply}")

    def read(self, size):
        got = b""
        while len(got) < size:
            part = self.sock.recv(size - len(got))
            if not part:
                raise EOFError("the tap closed")
            got += part
        return got

    def send(self, kind, payload=b""):
        self.sock.sendall(struct.pack(">BBHI", 0, kind, 0, len(payload)) + payload)

    def ask(self, kind, payload=b""):
        self.send(kind, payload)
        version, got, value, length = struct.unpack(">BBHI", self.read(8))
        reply = self.read(length)
        if got == ERROR:
            raise RpcapError(value, reply.decode())
        if (version, got) != (0, kind | IS_REPLY):
            raise AssertionError(f"reply {got} of version {version} to request {kind}")
        return value, reply

    def close(self):
        """pcap_cleanup_rpcap() in passive mode: CLOSE, to which there is no answer."""
        self.send(CLOSE)
        self.sock.close()


def _address(raw):
    (family,) = struct.unpack(">H", raw[:2])
    if family == AF_INET_ON_THE_WIRE:
        return socket.inet_ntop(socket.AF_INET, raw[4:8])
    if family == AF_INET6_ON_THE_WIRE:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24])
    if family == 0:
        return None
    raise AssertionError(f"libpcap leaves out an address of family {family}")


def find_interfaces(control):
    """pcap_findalldevs_ex_remote(): {name: (description, flags, addresses)}."""
    count, reply = control.ask(FINDALLIF)
    found, at = {}, 0
    for _ in range(count):
        name_size, description_size, flags, addresses, _ = struct.unpack(">HHIHH", reply[at:at + 12])
        at += 12
        name = reply[at:at + name_size].decode()
        at += name_size
        description = reply[at:at + description_size].decode()
        at += description_size
        parts = [_address(reply[at + 512 * i:at + 512 * i + 128]) for i in range(addresses)]
        at += 512 * addresses
        found[name] = (description, flags, parts)
    if at != len(reply):
        raise AssertionError(f"{len(reply) - at} bytes follow the interfaces")
    return found


class Capture:
    """pcap_open_rpcap(), pcap_startcapture_remote() and pcap_read_nocb_remote() in passive mode."""

    def __init__(self, control, interface, datagram=False, snaplen=262144, filter_program=ALL):
        self.control, self.datagram = control, datagram
        link_type, _ = struct.unpack(">ii", control.ask(OPEN, interface.encode())[1])
        self.link_type = link_type
        port = 0
        if datagram:
            self.data = socket.socket(control.sock.family, socket.SOCK_DGRAM)
            self.data.bind(("", 0))
            port = self.data.getsockname()[1]
        request = struct.pack(">IIHH", snaplen, MILLISECONDS, DATAGRAM if datagram else 0, port)
        self.buffer_size, tap_port, _ = struct.unpack(">iHH", control.ask(STARTCAP, request + filter_program)[1])
        if not datagram:
            self.data = socket.create_connection((control.host, tap_port), timeout=10)
        self.data.settimeout(10)
        self.pending = b""

    def packet(self):
        """(number, captured bytes). A message must hold a packet that fits its length exactly, as libpcap checks."""
        if self.datagram:
            message = self.data.recv(70_000)
        else:
            message = self._stream(8)
            message += self._stream(struct.unpack(">I", message[4:])[0])
        version, kind, _, length = struct.unpack(">BBHI", message[:8])
        if (version, kind, length) != (0, PACKET, len(message) - 8):
            raise AssertionError(f"message {kind} of {length} bytes in {len(message)}")
        _, _, captured, size, number = struct.unpack(">IIIII", message[8:28])
        body = message[28:]
        if captured != len(body) or captured > size:
            raise AssertionError(f"{captured} captured bytes of {size}, {len(body)} came")
        return number, body

    def _stream(self, size):
        while len(self.pending) < size:
            part = self.data.recv(65_536)
            if not part:
                raise EOFError("the data connection ended")
            self.pending += part
        part, self.pending = self.pending[:size], self.pending[size:]
        return part

    def set_filter(self, filter_program):
        if self.control.ask(UPDATEFILTER, filter_program)[1]:
            raise AssertionError("the reply to UPDATEFILTER is empty in libpcap")

    def stats(self):
        return struct.unpack(">IIII", self.control.ask(STATS)[1])

    def close(self):
        self.control.close()
        self.data.close()
