"""Random traffic: any ends, protocols, ports, sizes and fragmentation, the same for the same seed.

Left out are the cases that deploy/docs/ownership.md lists as exceptions, and nothing else.
"""
import ipaddress
import random
import struct

from . import packets
from . import payload as marked
from .lab import DNS, GRPC, MQ, SCTP_PORT, WEB
from .taps import STATUS_PORT

_EPHEMERAL = range(32768, 61000)
_REAL, _CRAFTED = 60, 140  # flows of a round, through sockets and made by hand
_PODS = ["a", "b", "c", "d"]
# Ports on which every program listens. A segment out of nowhere to a port that listens is among the exceptions: its
# sender cannot know.
_LISTENING = {WEB, GRPC, MQ, DNS}
_SERVICE_PORTS = {DNS, 8125}  # of UDP


class RandomTraffic:
    """One object a run. Each round() sends some hundred flows and returns (markers, flows)."""

    def __init__(self, lab, seed):
        self._lab, self._random = lab, random.Random(seed)
        self._identification = 1
        self.told = {}  # marker -> what carries it, for a person

    def round(self):
        serving, sending, markers = {}, {}, []
        self._used = {name: agent.call("used_ports") for name, agent in self._lab.agents.items()}
        for _ in range(_REAL):
            self._real_flow(serving, sending)
        for _ in range(_CRAFTED):
            listening = {call["port"] for calls in serving.values() for call in calls}
            markers += self._crafted_flow(sending, _LISTENING | listening)
        self._everywhere("batch", {name: [("listen", call) for call in calls] for name, calls in serving.items()})
        for calls in sending.values():
            self._random.shuffle(calls)
        markers += self._everywhere("batch", sending)
        self._everywhere("batch", {name: [("unlisten", call) for call in calls] for name, calls in serving.items()})
        return markers, _REAL + _CRAFTED

    def _everywhere(self, method, calls):
        """Runs the calls of all agents at the same time; everything they return, in one list."""
        for name, list_ in calls.items():
            self._lab.agents[name].start(method, calls=list_)
        results, failures = [], []
        for name in calls:
            try:
                results += self._lab.agents[name].wait()
            except RuntimeError as error:
                failures.append(str(error))
        if failures:
            raise RuntimeError("\n".join(failures))
        return results

    def _port(self, lowest=0):
        port = self._any_port(lowest)
        return port if port != STATUS_PORT else port + 1  # the tap's own

    def _any_port(self, lowest):
        kind = self._random.random()
        if kind < 0.35:
            return self._random.randint(max(lowest, 32768), 60999)
        if kind < 0.55:
            return max(lowest, self._random.choice([0, 1, 53, 80, 443, 1023, 1024, 32767, 32768, 60999, 61000, 65535]))
        return self._random.randint(lowest, 65535)

    def _service_client_port(self):
        """An odd one. To a Service's port there is no other way with an odd one.

        A node that translates addresses gives the second of two conversations that would look alike to the backend
        another port: on the two sides of the node they are different conversations then, one of the documented exceptions.
        """
        return self._port(8126) | 1

    def _size(self):
        kind = self._random.random()
        if kind < 0.1:
            return self._random.randint(0, 16)
        return self._random.randint(8, 1400) if kind < 0.8 else self._random.randint(1401, 6000)

    def _ends(self):
        """Two different ends, one of them a tapped pod."""
        one = self._random.choice(_PODS)
        other = self._random.choice([name for name in [*_PODS, *_PODS, "u", "outside"] if name != one])
        if other != "outside" and self._random.random() < 0.5:
            one, other = other, one
        return one, other

    def _real_flow(self, serving, sending):
        protocol, family = self._random.choice(["tcp", "tcp", "udp"]), self._random.choice([4, 6])
        client, to = self._ends()
        source_port = 0 if self._random.random() < 0.5 else self._port(1)
        if source_port in self._used[client]:
            source_port = 0
        if self._random.random() < 0.3:
            to, port = self._random.choice([("grpc", 80), ("web", 80), ("mq", MQ), ("spread", 80), ("plain", 80)]
                                           if protocol == "tcp" else [("dns", DNS), ("statsd", 8125), ("plain-dns", DNS)])
            if client not in _PODS and to in ("plain", "plain-dns"):
                return  # no tap would see it
            if protocol == "udp" and source_port:
                source_port = self._service_client_port()
        else:
            port = self._port(1)
            taken = serving.setdefault(to, [])
            if port in _LISTENING or port in self._used[to] or port in (8125, 7946, 21000, 50000) or any(call["port"] == port for call in taken):
                return
            taken.append({"protocol": protocol, "port": port, "family": family})
        name = f"random-{self._identification}"
        self._identification += 1
        size = self._size() if protocol == "udp" else max(8, self._size())
        markers = self._lab.mark(self._random.randint(1, 4))
        self.told |= dict.fromkeys(markers, f"{protocol} over IPv{family} {client} {source_port} > {to} {port}, {size} bytes")
        sending.setdefault(client, []).append(("try_exchange", {
            "name": name, "markers": markers, "size": size, "protocol": protocol,
            "address": self._lab.address(to, family), "port": port, "source_port": source_port}))

    def _crafted_flow(self, sending, listening):
        """Packets of one flow, both ways, without a program at either end; the kernels may answer what they like."""
        family = self._random.choice([4, 6])
        one, other = self._ends()
        kind = self._random.choice(["udp", "udp", "udp", "udp-vip", "tcp-midway", "tcp-syn", "sctp", "icmp", "other", "udplite", "dccp"])
        ports = (self._port(), self._port())
        if kind == "udp-vip":
            return self._crafted_vip(sending, family)
        if kind == "tcp-midway":
            if all(port in _EPHEMERAL for port in ports) or any(port in listening for port in ports):
                return []
        if kind == "udp" and (ports[0] in _SERVICE_PORTS and ports[1] & 1 or ports[1] in _SERVICE_PORTS and ports[0] & 1):
            return []
        addresses = [ipaddress.ip_address(self._lab.address(end, family)) for end in (one, other)]
        both_ways = kind in ("udp", "sctp", "other", "tcp-midway") and other != "outside"
        markers = []
        for number in range(self._random.randint(1, 4)):
            away = not both_ways or number == 0 or self._random.random() < 0.5
            ends = addresses if away else addresses[::-1]
            marker = self._lab.mark(1)[0]
            sender, receiver = (one, other) if away else (other, one)
            whole, recognisable = self._craft(kind, ends, ports if away else ports[::-1], marker)
            sending.setdefault(sender, []).append(("raw", {"whole_packets": whole}))
            if recognisable:
                markers.append(marker)
                self.told[marker] = f"crafted {kind} {sender} {ends[0]} > {receiver} {ends[1]}, {len(whole)} packets"
        return markers

    def _crafted_vip(self, sending, family):
        client = self._random.choice(_PODS)
        service, port = self._random.choice([("dns", DNS), ("statsd", 8125), ("plain-dns", DNS)])
        ends = [ipaddress.ip_address(self._lab.address(end, family)) for end in (client, service)]
        marker = self._lab.mark(1)[0]
        whole, recognisable = self._craft("udp", ends, (self._service_client_port(), port), marker)
        sending.setdefault(client, []).append(("raw", {"whole_packets": whole}))
        self.told[marker] = f"crafted udp-vip {client} {ends[0]} > {service} {ends[1]}, {len(whole)} packets"
        return [marker] if recognisable else []

    def _craft(self, kind, ends, ports, marker):
        """(IP packets, whether the marker can be found in them)."""
        size = self._size()
        fits = kind in ("udp", "icmp") and self._random.random() < 0.5
        fragment = self._random.randint(4, 180) * 8 if fits else 1432 if kind in ("udp", "icmp") else 0
        if not fragment:
            size = min(size, 1400)
        data = marked.make(marker, size)
        if kind == "udp":
            protocol, body = packets.UDP, packets.udp(*ends, *ports, data)
        elif kind == "udplite":
            protocol, body = packets.UDPLITE, packets.udp(*ends, *ports, data, packets.UDPLITE)
        elif kind == "tcp-midway":
            protocol = packets.TCP
            body = packets.tcp(*ends, *ports, 0x18, self._random.getrandbits(32), self._random.getrandbits(32), data)
        elif kind == "tcp-syn":
            protocol, data = packets.TCP, b""
            body = packets.tcp(*ends, *ports, 0x02, self._random.getrandbits(32), 0)
        elif kind == "sctp":
            protocol = packets.SCTP
            chunk = struct.pack(">BBHIHHI", 0, 3, 16 + size, 1, 0, 1, 0) + data + bytes(-size % 4)
            body = packets.sctp(*ports, self._random.getrandbits(32), chunk)
        elif kind == "icmp":
            protocol = packets.ICMP if ends[0].version == 4 else packets.ICMP6
            request = 8 if ends[0].version == 4 else 128
            body = packets.icmp_echo(*ends, request, ports[0], ports[1], data)
        elif kind == "dccp":
            protocol = packets.DCCP
            body = packets.dccp(*ends, *ports, marker & 0xFFFF, data)
        else:
            protocol, body = 253, data
        self._identification += 1
        return list(packets.ip_packets(*ends, protocol, body, self._identification, fragment)), len(data) >= 8
