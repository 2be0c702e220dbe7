"""The truth of the wire: everything that passes the pods' interfaces, seen from beside the taps.

Also reads capture files while they are being written.
"""
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

ETH_P_ALL = 3
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4
SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 33, 263, 6


@dataclass
class Frame:
    place: str
    outgoing: bool
    data: bytes
    other_host: bool = False  # flooded by the bridge, for somebody else
    time: float = 0.0


class WireCapture:
    """Captures in many namespaces with one thread. take() gives what came since the last take()."""

    def __init__(self, namespaces, interface="eth0"):
        self._sockets = {}
        self._frames = []
        self._lock = threading.Lock()
        self._poll = select.epoll()
        for name, namespace in namespaces.items():
            opened = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            try:
                opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            except PermissionError:  # in a user namespace the system's limit holds
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
            opened.setblocking(False)
            opened.bind((interface, ETH_P_ALL))
            self._sockets[opened.fileno()] = (name, opened)
            self._poll.register(opened.fileno(), select.EPOLLIN)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping:
            for descriptor, _ in self._poll.poll(0.2):
                name, opened = self._sockets[descriptor]
                self._drain(name, opened)

    def _drain(self, name, opened):
        fresh = []
        try:
            while True:
                data, (_, _, kind, _, _) = opened.recvfrom(1 << 17)
                fresh.append(Frame(name, kind == PACKET_OUTGOING, data, kind == PACKET_OTHERHOST, time.time()))
        except BlockingIOError:
            pass
        except OSError:
            if not self._stopping:
                raise
        with self._lock:
            self._frames.extend(fresh)

    def take(self):
        with self._lock:
            frames, self._frames = self._frames, []
        return frames

    def dropped(self):
        """Frames the kernel could not keep for us: with any of them the truth is not the truth."""
        return sum(struct.unpack("II", opened.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
                   for _, opened in self._sockets.values())

    def close(self):
        self._stopping = True
        self._thread.join()
        for _, opened in self._sockets.values():
            opened.close()


class GrowingPcap:
    """The records of a classic pcap file, whole ones only, as they are written."""

    def __init__(self, path):
        self.path = path
        self._at = 0
        self._order = ""
        self._rest = b""

    def take(self):
        with open(self.path, "rb") as file:
            file.seek(self._at)
            fresh = file.read()
        self._at += len(fresh)
        data = self._rest + fresh
        if not self._order:
            if len(data) < 24:
                self._rest = data
                return []
            self._order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
            link_type = struct.unpack_from(self._order + "I", data, 20)[0]
            if link_type != 1:
                raise ValueError(f"{self.path}: link type {link_type}, Ethernet (1) was expected")
            data = data[24:]
        frames, at = [], 0
        while len(data) - at >= 16:
            captured = struct.unpack_from(self._order + "IIII", data, at)[2]
            if len(data) - at - 16 < captured:
                break
            frames.append(Frame(os.path.basename(self.path), False, data[at + 16:at + 16 + captured]))
            at += 16 + captured
        self._rest = data[at:]
        return frames


class PcapFolder:
    """Every capture file of a folder, those that appear later too."""

    def __init__(self, folder):
        self._folder = folder
        self._files = {}

    def take(self):
        frames = []
        for name in sorted(os.listdir(self._folder)):
            if name.endswith(".pcap"):
                file = self._files.setdefault(name, GrowingPcap(os.path.join(self._folder, name)))
                frames.extend(file.take())
        return frames


class PcapWriter:
    """Keeps the truth as a file, for a person who has to find out what went wrong."""

    def __init__(self, path):
        self._file = open(path, "wb")
        self._file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))

    def write(self, frame):
        seconds = int(frame.time)
        self._file.write(struct.pack("<IIII", seconds, int((frame.time - seconds) * 1e6), len(frame.data), len(frame.data)))
        self._file.write(frame.data)

    def close(self):
        self._file.close()
