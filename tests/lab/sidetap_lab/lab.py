"""The lab itself: the cluster with programs in every pod, the sensor, the taps and the judge."""
import contextlib
import itertools
import os
import time

from . import cluster as places
from .agent import Agent
from .capture import PcapFolder, PcapWriter, WireCapture
from .cluster import Cluster, Pod, Service
from .collectors import Collectors, ledger_of
from .judge import Judge
from .payload import reply_marker
from .taps import Sensor, Tap, environment

GRPC, MQ, WEB, DNS, SCTP_PORT = 50051, 61616, 8080, 53, 2905


def make_cluster():
    """Four tapped pods on two nodes, one without a tap; a's address is the lowest of all."""
    pods = [Pod("a", 1, 10), Pod("b", 1, 20), Pod("c", 2, 10), Pod("d", 2, 20), Pod("u", 1, 30, tapped=False)]
    services = [
        Service("grpc", 10, "tcp", 80, [("a", GRPC)], node_port=30080),
        Service("web", 11, "tcp", 80, [("b", WEB)]),
        Service("mq", 12, "tcp", MQ, [("c", MQ)]),
        Service("spread", 13, "tcp", 80, [("a", WEB), ("c", WEB), ("d", WEB)]),
        Service("statsd", 14, "udp", 8125, [("d", 8125)]),
        Service("sigtran", 15, "sctp", SCTP_PORT, [("c", SCTP_PORT)]),
        Service("dns", 53, "udp", DNS, [("b", DNS)], node_port=30053),
        Service("dns-tcp", 53, "tcp", DNS, [("b", DNS)]),
        Service("plain", 90, "tcp", 80, [("u", WEB)]),
        Service("plain-dns", 91, "udp", DNS, [("u", DNS)]),
    ]
    return Cluster(pods, services)


class Lab:
    """Everything a scenario needs. Use as a context; leaving it ends every process it started."""

    def __init__(self, binaries, folder, data="udp", keep=False, tapped_peers=None, service_view="auto", collectors=0):
        """collectors: how many there are between taps and sensor; 0: the taps send to the sensor."""
        self._binaries, self._folder, self._keep = binaries, folder, keep
        self._data = data
        self._tapped_peers, self._service_view = tapped_peers, service_view
        self._collector_count = collectors
        self.collectors = None
        self._markers = itertools.count(1)
        self._names = itertools.count(1)
        self._closing = contextlib.ExitStack()
        self.taps = {}

    def __enter__(self):
        with self._closing:
            self.cluster = self._plan()
            self._closing.callback(self.cluster.close)
            self.cluster.build()
            self.pods = self.cluster.pods
            self.tapped = [pod for pod in self.pods.values() if pod.tapped]
            # The agents are forked before there is a thread.
            self.agents = {}
            for name, namespace in self.cluster.namespaces().items():
                self.agents[name] = Agent(name, namespace)
                self._closing.callback(self.agents[name].close)
            self._wire = WireCapture({pod.name: pod.namespace for pod in self.pods.values()})
            self._closing.callback(self._wire.close)
            self.sensor = Sensor(self._binaries, self.cluster, self._folder, self._data)
            self._closing.callback(self.sensor.stop)
            if self._collector_count:
                self._start_collectors()
            plain = [service for service in self.cluster.services.values()
                     if not any(self.pods[pod].tapped for pod, _ in service.backends)]
            self._untapped_services = [address for service in plain for address in (service.v4, service.v6)]
            self.judge = self._make_judge()
            if self._keep:
                writer = PcapWriter(os.path.join(self._folder, "wire.pcap"))
                self._closing.callback(writer.close)
                self.judge.keep_truth(writer)
            self._start_servers()
            self._closing.callback(self.stop_taps)
            self._closing = self._closing.pop_all()
        return self

    def __exit__(self, *details):
        return self._closing.__exit__(*details)

    def _plan(self):
        return make_cluster()

    def _make_judge(self):
        return Judge(self._wire, PcapFolder(self.sensor.captures), [pod.name for pod in self.tapped],
                     {pod.name: pod.mac for pod in self.pods.values()},
                     {pod.name: (pod.v4, pod.v6) for pod in self.pods.values()},
                     () if self._service_view == "always" else places.SERVICE_SUBNETS,
                     self._untapped_services, [*places.SENSOR, *(self.collectors.all_addresses() if self.collectors else ())])

    def _start_collectors(self):
        self.collectors = Collectors(self._binaries, self.cluster, self._folder, self._collector_count, self._data)
        self._closing.callback(self.collectors.close)
        self.collectors.start_all()

    def _start_servers(self):
        for name in [*self.pods, "outside"]:
            for family in (4, 6):
                for protocol, port in (("tcp", WEB), ("tcp", GRPC), ("tcp", MQ), ("tcp", DNS),
                                       ("udp", DNS), ("udp", 8125), ("udp", 7946), ("udp", 21000), ("udp", 50000)):
                    self.agents[name].call("listen", protocol=protocol, port=port, family=family)
            self.agents[name].call("silence", protocol=132)
            self.agents[name].call("silence", protocol=253)

    # Taps.

    def start_tap(self, name):
        pod = self.pods[name]
        variables = environment(pod, self.tapped, self._untapped_services) | {"SERVICE_VIEW": self._service_view}
        if self._tapped_peers:
            variables["TAPPED_PEERS"] = self._tapped_peers
        if self.collectors:
            variables |= self.collectors.variables()
        self.taps[name] = Tap(self._binaries, pod, variables, self._folder)

    def stop_tap(self, name):
        """Ends a tap as the kubelet does; it has to end by itself and with success."""
        tap = self.taps.pop(name)
        status = tap.stop()
        if status != 0:
            raise RuntimeError(f"{tap.name} ended with status {status} on SIGTERM: {tap.log()}")

    def start_taps(self):
        for pod in self.tapped:
            if pod.name not in self.taps:
                self.start_tap(pod.name)
        for tap in self.taps.values():
            tap.wait_forwarding()

    def stop_taps(self):
        for name in list(self.taps):
            self.stop_tap(name)

    @contextlib.contextmanager
    def unwatched(self):
        """While taps come and go nobody can say what is due: what passes meanwhile is left out."""
        self.judge.settle()
        account = self.judge.account
        self.judge.open()
        yield
        self.judge.calm()
        self.judge.open()
        self.judge.account = account

    def restart_tap(self, name):
        with self.unwatched():
            self.stop_tap(name)
            self.start_taps()

    def restart_tap_at_once(self, name):
        """Without a pause: what the tap has still to send is due."""
        self.stop_tap(name)
        with self.unwatched():
            self.start_taps()

    def dead_taps(self):
        """Taps, and collectors, that ended by themselves."""
        return [tap.name for tap in self.taps.values() if tap.ended()] + (self.collectors.ended() if self.collectors else [])

    def close_ledger(self):
        """Ends taps, collectors and the sensor, and gives the ledger over both hops."""
        logs = [os.path.join(self._folder, f"tap-{pod.name}.log") for pod in self.tapped]
        self.stop_taps()
        self.collectors.stop_all()
        if (status := self.sensor.stop()) != 0:
            raise RuntimeError(f"the sensor ended with status {status}: {self.sensor.log()}")
        return ledger_of(logs, self.collectors.logs(), self.sensor.totals(), self.collectors.killed)

    def truth_dropped(self):
        return self._wire.dropped()

    # Traffic. Each returns the markers that have to be seen at the sensor.

    def mark(self, count):
        return list(itertools.islice(self._markers, count))

    def address(self, to, family):
        """The address of a pod, a Service or the outside host."""
        if to in self.pods:
            return self.pods[to].address(family)
        if to in self.cluster.services:
            return self.cluster.services[to].address(family)
        if to == "outside":
            return places.OUTSIDE[family == 6]
        return to

    def open(self, client, protocol, to, port, family=4, **options):
        """An open conversation: (client, its name there)."""
        name = f"{client}-{next(self._names)}"
        self.agents[client].call("open", name=name, protocol=protocol, address=self.address(to, family), port=port,
                                 **options)
        return client, name

    def talk(self, conversation, count=3, size=64):
        client, name = conversation
        markers = self.mark(count)
        self.agents[client].call("talk", name=name, markers=markers, size=size)
        return markers + [reply_marker(marker) for marker in markers]

    def close(self, conversation):
        client, name = conversation
        self.agents[client].call("close", name=name)

    def exchange(self, client, protocol, to, port, family=4, count=3, size=64, **options):
        """A whole conversation."""
        conversation = self.open(client, protocol, to, port, family, **options)
        markers = self.talk(conversation, count, size)
        self.close(conversation)
        return markers

    @contextlib.contextmanager
    def serving(self, server, protocol, port, family):
        """Somebody who answers, for a while."""
        self.agents[server].call("listen", protocol=protocol, port=port, family=family)
        yield
        self.agents[server].call("unlisten", protocol=protocol, port=port, family=family)

    def ping(self, client, to, family=4, count=3, size=64):
        markers = self.mark(count)
        self.agents[client].call("ping", address=self.address(to, family), markers=markers, size=size)
        return markers

    def pause(self, seconds):
        time.sleep(seconds)
