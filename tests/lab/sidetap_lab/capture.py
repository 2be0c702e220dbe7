"""The truth of the wire: everything that passes the pods' interfaces, seen from beside the taps.

Also reads capture files while they are being written.
"""
import mmap
import os
import select
import socket
import struct
import threading
from dataclasses import dataclass

ETH_P_ALL = 3
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4
SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, TPACKET_V3 = 263, 5, 6, 10, 2
_BLOCK, _BLOCKS = 1 << 20, 24
_RETIRE_MS = 50  # a block is used up by each, however little came: so the reader may be late by 24 times that


@dataclass
class Frame:
    place: str
    outgoing: bool
    data: bytes
    other_host: bool = False  # flooded by the bridge, for somebody else
    time: float = 0.0


class _Ring:
    """A TPACKET_V3 ring (linux/if_packet.h).

    It copies each packet as it passes. A plain packet socket would not do: it shares the bytes with the packet, and a
    node that fragments it once more rewrites them before we can read.
    """

    def __init__(self, name, namespace, interface):
        self.name = name
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack(
            "7I", _BLOCK, _BLOCKS, 2048, _BLOCK // 2048 * _BLOCKS, _RETIRE_MS, 0, 0))
        self._memory = mmap.mmap(self.socket.fileno(), _BLOCK * _BLOCKS, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._next = 0
        self.socket.bind((interface, ETH_P_ALL))

    def take(self):
        frames = []
        while True:
            block = self._next * _BLOCK
            status, count, first = struct.unpack_from("III", self._memory, block + 8)
            if not status & 1:
                return frames
            at = block + first
            for _ in range(count):
                step, seconds, nanoseconds, captured, _, _, mac = struct.unpack_from("6IH", self._memory, at)
                kind = self._memory[at + 48 + 10]  # sockaddr_ll.sll_pkttype
                frames.append(Frame(self.name, kind == PACKET_OUTGOING, self._memory[at + mac:at + mac + captured],
                                    kind == PACKET_OTHERHOST, seconds + nanoseconds / 1e9))
                at += step
            struct.pack_into("I", self._memory, block + 8, 0)
            self._next = (self._next + 1) % _BLOCKS

    def close(self):
        self._memory.close()
        self.socket.close()


class WireCapture:
    """Captures in many namespaces. take() gives what came since the last take(). A thread sees to it that no ring becomes full
    meanwhile; on a busy machine it may be late, so take() does not rely on it."""

    def __init__(self, namespaces, interface="eth0"):
        self._rings = {}
        self._frames = []
        self._lock = threading.Lock()
        self._poll = select.epoll()
        for name, namespace in namespaces.items():
            ring = _Ring(name, namespace, interface)
            self._rings[ring.socket.fileno()] = ring
            self._poll.register(ring.socket.fileno(), select.EPOLLIN)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping:
            for descriptor, _ in self._poll.poll(0.2):
                with self._lock:
                    self._frames.extend(self._rings[descriptor].take())

    def take(self):
        with self._lock:
            for ring in self._rings.values():
                self._frames.extend(ring.take())
            frames, self._frames = self._frames, []
        return frames

    def dropped(self):
        """Frames the kernel could not keep for us: with any of them the truth is not the truth."""
        return sum(struct.unpack("III", ring.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))[1]
                   for ring in self._rings.values())

    def close(self):
        self._stopping = True
        self._thread.join()
        for ring in self._rings.values():
            ring.close()


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
            seconds, microseconds, captured = struct.unpack_from(self._order + "III", data, at)
            if len(data) - at - 16 < captured:
                break
            frames.append(Frame(os.path.basename(self.path), False, data[at + 16:at + 16 + captured],
                                time=seconds + microseconds / 1e6))
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


class PcapFolders:
    """The folders of several sensors; a sensor may come later."""

    def __init__(self):
        self._folders = []

    def add(self, folder):
        self._folders.append(PcapFolder(folder))

    def take(self):
        return [frame for folder in self._folders for frame in folder.take()]


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
