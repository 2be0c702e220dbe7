"""Programs of a pod: one process per namespace that listens, connects and sends when told to.

Every message carries a marker (see payload.py) that the caller chose, and every server answers with the marker of
the reply, so that it is known beforehand what has to be seen on the wire.
"""
import errno
import ipaddress
import multiprocessing
import os
import signal
import socket
import struct
import threading
import time
import traceback

from . import packets
from . import payload as marked
from .namespaces import die_with_parent

_TIMEOUT = 5.0
_END = 0xFFFF  # index of the block that ends a message of a stream
IPV6_HDRINCL = 36


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _stream_message(marker, size):
    return marked.make(marker, max(8, size // 8 * 8)) + marked.BLOCK.pack(marker, _END, marked._seal(marker, _END))


def _receive_message(connection):
    """One message of a stream, without its end; empty when the peer has closed."""
    data = b""
    while True:
        part = connection.recv(1 << 16)
        if not part:
            return b""
        data += part
        if len(data) % 8 == 0:
            last = marked.block(data, len(data) - 8)
            if last and last[1] == _END:
                return data[:-8]


class _Repeater(threading.Thread):
    """Calls a function with one marker after the other, at a steady rate."""

    def __init__(self, function, first, interval, arguments):
        super().__init__(daemon=True)
        self._function, self._marker, self._interval, self._arguments = function, first, interval, arguments
        self._ended = threading.Event()
        self.done = self.failed = 0

    def run(self):
        due = time.monotonic()
        while not self._ended.is_set():
            try:
                self._function(markers=[self._marker], **self._arguments)
                self.done += 1
            except (OSError, RuntimeError):  # nobody answers, for a while; or a late answer to an earlier message comes
                self.failed += 1
            self._marker += 1
            due = max(due + self._interval, time.monotonic())
            self._ended.wait(due - time.monotonic())

    def end(self):
        self._ended.set()
        self.join()
        return self.done, self.failed


class _Programs:
    """What runs inside. Its public methods are what Agent.call() can ask for."""

    def __init__(self):
        self._listeners = {}
        self._open = {}
        self._silencers = []
        self._repeaters = []

    def listen(self, protocol, port, address="", family=4):
        """Answers on a port, of one address or of all."""
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        listener = socket.socket(_family(address) if address else (socket.AF_INET6 if family == 6 else socket.AF_INET), kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        if protocol == "tcp":
            listener.listen(128)
        serve = self._accept if protocol == "tcp" else self._answer
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        self._listeners[protocol, port, listener.family] = listener, thread
        thread.start()

    def used_ports(self):
        """Those that sockets of this place have, whosever they are: the tap's are among them."""
        ports = set()
        for table in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/thread-self/net/{table}", encoding="ascii") as file:
                ports |= {int(line.split()[1].rsplit(":", 1)[1], 16) for line in file.readlines()[1:]}
        return ports

    def unlisten(self, protocol, port, family=4):
        listener, thread = self._listeners.pop((protocol, port, socket.AF_INET6 if family == 6 else socket.AF_INET))
        # close() alone would leave the socket to the thread that waits in it.
        try:
            listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # a datagram socket without a peer
        thread.join()
        listener.close()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    @staticmethod
    def _converse(connection):
        with connection:
            try:
                while data := _receive_message(connection):
                    marker = marked.reply_marker(marked.block(data)[0])
                    connection.sendall(_stream_message(marker, len(data)))
            except OSError:
                pass  # the peer has reset the connection

    @staticmethod
    def _answer(listener):
        while True:
            try:
                data, peer = listener.recvfrom(1 << 16)
                if peer is None:  # unlisten()
                    return
                # Two servers on one port may be each other's clients: answers are not answered.
                if not marked.is_reply(data):
                    listener.sendto(marked.reply(data), peer)
            except OSError:
                if listener.fileno() < 0:
                    return

    def open(self, name, protocol, address, port, source="", source_port=0, timeout=_TIMEOUT):
        """Opens a connection, or a datagram socket with a fixed peer, under a name."""
        opened = socket.socket(_family(address), socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.settimeout(timeout)
        if source or source_port:
            opened.bind((source, source_port))
        opened.connect((address, port))
        if protocol == "tcp":
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[name] = opened

    def talk(self, name, markers, size=64):
        """Sends one message after the other, each after the answer to the one before."""
        opened = self._open[name]
        for marker in markers:
            if opened.type == socket.SOCK_STREAM:
                opened.sendall(_stream_message(marker, size))
                answer = _receive_message(opened)
            else:
                opened.send(marked.make(marker, size))
                answer = opened.recv(1 << 16)
                # Random traffic may have something else for this port.
                while size >= 8 and not marked.answers(answer, marker):
                    answer = opened.recv(1 << 16)
            if size >= 8 and not marked.answers(answer, marker):
                raise RuntimeError(f"{name}: wrong answer to message {marker:#x}")

    def tell(self, name, markers, size=64):
        """Sends datagrams without waiting for answers; refusals of earlier ones are of no interest."""
        for marker in markers:
            for _ in range(2):
                try:
                    self._open[name].send(marked.make(marker, size))
                    break
                except ConnectionRefusedError:
                    continue

    def close(self, name):
        opened = self._open.pop(name)
        with opened:
            if opened.type == socket.SOCK_STREAM:
                opened.shutdown(socket.SHUT_WR)
                while opened.recv(1 << 16):
                    pass

    def try_exchange(self, name, markers, size, **opening):
        """A whole conversation; nothing, if its source port is taken. Returns the markers that were on the wire."""
        try:
            self.open(name, **opening)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                return []
            raise
        self.talk(name, markers, size)
        self.close(name)
        return markers + [marked.reply_marker(marker) for marker in markers] if size >= 8 else []

    def knock(self, address, port):
        """A connection that must be refused."""
        with socket.socket(_family(address)) as opened:
            opened.settimeout(_TIMEOUT)
            try:
                opened.connect((address, port))
            except ConnectionRefusedError:
                return
        raise RuntimeError(f"somebody listens on {address} port {port}")

    def ping(self, address, markers, size=64, identifier=None, timeout=_TIMEOUT):
        """Echo requests, each after the reply to the one before."""
        family = _family(address)
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        request, reply, start = (8, 0, 20) if family == socket.AF_INET else (128, 129, 0)
        identifier = identifier or os.getpid() & 0xFFFF
        with socket.socket(family, socket.SOCK_RAW, protocol) as opened:
            opened.settimeout(timeout)
            opened.connect((address, 0))
            source = ipaddress.ip_address(opened.getsockname()[0])
            for sequence, marker in enumerate(markers):
                opened.send(packets.icmp_echo(source, ipaddress.ip_address(address), request, identifier, sequence,
                                              marked.make(marker, size)))
                while True:
                    answer = opened.recv(1 << 16)[start:]
                    if answer[0] == reply and marked.block(answer, 8) == (marker, 0):
                        break

    def group(self, address, port, markers, size=64):
        """Datagrams to a multicast group or a broadcast address, on eth0."""
        with socket.socket(_family(address), socket.SOCK_DGRAM) as opened:
            index = socket.if_nametoindex("eth0")
            if opened.family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            else:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                  struct.pack("4s4si", bytes(4), bytes(4), index))
            for marker in markers:
                opened.sendto(marked.make(marker, size), (address, port))

    def raw(self, whole_packets):
        """Sends IP packets as they are."""
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as v4, \
                socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as v6:
            for data in whole_packets:
                if data[0] >> 4 == 4:
                    v4.sendto(data, (socket.inet_ntoa(data[16:20]), 0))
                else:
                    v6.sendto(data, (socket.inet_ntop(socket.AF_INET6, data[24:40]), 0))

    def sctp(self, source, destination, source_port, destination_port, markers, size=64):
        """DATA chunks of an association that nobody has set up, made by hand: the kernel may not speak SCTP."""
        ends = [ipaddress.ip_address(end) for end in (source, destination)]
        for marker in markers:
            chunk = struct.pack(">BBHIHHI", 0, 3, 16 + size, marker, 0, marker & 0xFFFF, 0) + marked.make(marker, size)
            self.raw(packets.ip_packets(*ends, packets.SCTP, packets.sctp(source_port, destination_port, 1, chunk), marker))

    def silence(self, protocol):
        """Takes a protocol that the kernel does not speak off the wire, so that it complains to nobody."""
        for family in (socket.AF_INET, socket.AF_INET6):
            opened = socket.socket(family, socket.SOCK_RAW, protocol)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self._silencers.append(opened)

    def repeat(self, what, first, interval, **arguments):
        """Calls one of these methods with one marker after the other, from `first` on, every `interval` seconds, until end_repeating()."""
        self._repeaters.append(_Repeater(getattr(self, what), first, interval, arguments))
        self._repeaters[-1].start()

    def end_repeating(self):
        """(calls, calls that nobody answered) of each repeat(), in their order."""
        results = [repeater.end() for repeater in self._repeaters]
        self._repeaters.clear()
        return results

    def batch(self, calls):
        """Many calls in one go, (method, arguments) each; what they return, in one list."""
        results = []
        for method, arguments in calls:
            results += getattr(self, method)(**arguments) or []
        return results


def _serve(namespace, pipe):
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    namespace.enter()
    programs = _Programs()
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(programs, method)(**arguments)))
        except Exception:  # whatever it is, the caller has to know of it
            pipe.send((False, traceback.format_exc()))


class Agent:
    """The handle of one namespace's programs."""

    def __init__(self, name, namespace):
        self.name = name
        context = multiprocessing.get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(namespace, other), daemon=True)
        self._process.start()
        other.close()

    def call(self, method, **arguments):
        self.start(method, **arguments)
        return self.wait()

    def start(self, method, **arguments):
        """Like call(), without waiting: several agents can work at the same time."""
        self._pipe.send((method, arguments))

    def wait(self, patience=120):
        if not self._pipe.poll(patience):
            raise RuntimeError(f"{self.name}: no answer from its programs")
        done, result = self._pipe.recv()
        if not done:
            raise RuntimeError(f"{self.name}: {result}")
        return result

    def close(self):
        self._pipe.close()
        self._process.kill()
        self._process.join()
