"""The lab of Services: what the registry tells of them is settled before packets flow, and taps roll out while they do."""
import contextlib
import functools
import itertools
import time
from dataclasses import dataclass

from . import cluster as places
from . import control, packets
from .registry_judge import RegistryJudge, Whose
from .registry_lab import LEAVES_WITHIN, RegistryLab
from .service_model import told
from .services_plan import GRPC, ROLLING, STEADY, make_cluster

NUMBERS = {"tcp": packets.TCP, "udp": packets.UDP, "sctp": packets.SCTP}
# Other ways to a Service than its cluster IP, from a pod.
WAYS = ("own node", "other node", "external", "balancer")
# Seconds for an answer that may never come, and for one that has to come.
_SHORT, _LONG = 0.06, 2.0


@dataclass(frozen=True)
class FrontEnd:
    """An address of a Service besides its cluster IP."""
    service: str  # NAMESPACE/NAME
    masqueraded: bool  # backends see a node instead of the client


def front_ends(cluster):
    """(address, protocol, port) to FrontEnd."""
    found = {}
    for service, family in itertools.product(cluster.services.values(), (4, 6)):
        front_end, protocol = FrontEnd(service.object, not service.local), NUMBERS[service.protocol]
        if service.node_port:
            found.update({(places.node_address(node, family), protocol, service.node_port): front_end for node in (1, 2)})
        if service.outside:
            found[service.external_address(family), protocol, service.port] = front_end
            found[service.balancer_address(family), protocol, service.port] = front_end
    return found


class ServicesLab(RegistryLab):
    """No tap is told the subnets of pods and of Services."""

    bridges_filter = True  # see Cluster.filter_bridges()

    def _plan(self):
        return make_cluster()

    def _make_judge(self):
        self.captures.add(self.sensor.captures)
        return RegistryJudge(self._wire, self.captures, {pod.name: (pod.v4, pod.v6) for pod in self.tapped},
                             places.SERVICE_SUBNETS, [*places.SENSOR, *control.addresses()], front_ends(self.cluster))

    def _start_servers(self):
        ends = {(pod, service.protocol, port) for service in self.cluster.services.values() for pod, port in service.backends
                if service.protocol != "sctp"}
        for pod, protocol, port in sorted(ends):
            for family in (4, 6):
                self.agents[pod].call("listen", protocol=protocol, port=port, family=family)
        for service in self.cluster.services.values():
            if not service.translated:
                self._answer_at_nodes(service)
        for pod in self.pods:
            self.agents[pod].call("silence", protocol=packets.SCTP)

    def _answer_at_nodes(self, service):
        for node in self.cluster.nodes:
            for family in (4, 6):
                self.agents[f"node{node}"].call("listen", protocol=service.protocol, port=service.port,
                                                address=service.address(family))

    def start_control(self):
        self._start_registry()
        self._closing.callback(self.stop_taps)

    def start_taps(self):
        """Those that forward all the time. Connections that are older than they are open then."""
        self._open_older()
        for name in STEADY:
            self.start_tap(name)
        for name in STEADY:
            self.taps[name].wait_forwarding()
        self._forwarding = set(STEADY)
        self.wait_until_told()

    def _open_older(self):
        """`older`: (conversation, whether its server may be beside the client)."""
        self.older = []
        for family in (4, 6):
            for client, to, port, source_port in (
                    ("c", "grpc", 80, 0), ("c", "grpc", 80, 2000), ("a", "grpc", 80, 0), ("c", "b", GRPC, 0),
                    ("c", "b", GRPC, 2001), ("c", "part-grpc", 80, 0), ("c", "part-grpc", 80, 2002)):
                conversation = self.open(client, "tcp", to, port, family, source_port=source_port)
                self.talk(conversation)
                self.older.append((conversation, client == "a" or to == "part-grpc"))

    def _environment(self, name):
        variables = super()._environment(name)
        del variables["PODNET"], variables["SVCNET"]
        return variables

    def _sensor_port(self, _name):
        return places.SENSOR_PORT

    def filter_bridges(self, on):
        self.bridges_filter = on
        self.cluster.filter_bridges(on)

    def whose(self, _pod, service, protocol):
        """Which view of a Service is right. service: its cluster IP, or a FrontEnd."""
        if protocol in (packets.ICMP, packets.ICMP6):
            return Whose.CLIENTS  # no backend gets it
        front_end = service if isinstance(service, FrontEnd) else None
        name = front_end.service if front_end else next(
            each.object for each in self.cluster.services.values() if str(service) in (each.v4, each.v6))
        if name == self.cluster.services["roll"].object:
            return Whose.EITHER
        if name in self._facts.partly:
            return Whose.BOTH if front_end and front_end.masqueraded else Whose.CLIENTS
        return Whose.BACKENDS if name in self._facts.hidden else Whose.CLIENTS

    @functools.cached_property
    def _facts(self):
        """What the registry tells of Services but for the rollout."""
        return told(self.cluster.services.values(), set(STEADY))

    # Traffic.

    @contextlib.contextmanager
    def steady(self):
        """Conversations, all of which have to be answered, while nothing changes."""
        with self.watched():
            try:
                yield
            except RuntimeError as error:
                self.notes.append(" ".join(str(error).split())[-300:])

    def front(self, service, way, client, family):
        """(address, port) of that way to a Service, for a client."""
        service, node = self.cluster.services[service], self.pods[client].node
        if way == "external":
            return service.external_address(family), service.port
        if way == "balancer":
            return service.balancer_address(family), service.port
        return places.node_address(node if way == "own node" else 3 - node, family), service.node_port

    def converse(self, client, service, family, way=None, **options):
        """A whole conversation with a Service, by its cluster IP or another way."""
        wanted = self.cluster.services[service]
        address, port = self.front(service, way, client, family) if way else (service, wanted.port)
        beside = any(self.pods[pod].node == self.pods[client].node for pod, _ in wanted.backends)
        masqueraded = way is not None and not wanted.local
        if self.bridges_filter or masqueraded or not beside or not wanted.translated:
            self.exchange(client, wanted.protocol, address, port, family, **options)
            return
        # If the one that answers is beside the client, the client refuses the answer: it counts all the same.
        try:
            self.exchange(client, wanted.protocol, address, port, family, timeout=_SHORT, **options)
        except RuntimeError:
            pass

    def echo(self, client, service, family, answered):
        """Echo requests to a cluster IP."""
        for marker in self.mark(2):
            try:
                self.agents[client].call("ping", address=self.address(service, family), markers=[marker],
                                         timeout=_LONG if answered else _SHORT)
            except RuntimeError:
                if answered:
                    raise

    # A rollout. Where the first or the last tap of a Service comes or goes, that concerns all its backends.

    def roll_out(self, name):
        begun = time.time()
        self.start_tap(name)
        self._begins_to_forward(name, begun, f"a rollout: {self._rolled()} of {len(ROLLING)} tapped, one more", ROLLING)

    def roll_back(self, name):
        change = f"a rollout: {self._rolled()} of {len(ROLLING)} tapped, one less"
        asked, ended = self._end_tap(name)
        self._window(change, ("doubled",), asked, max(ended, self.wait_until_told()), LEAVES_WITHIN, ROLLING)

    def _rolled(self):
        return len(self._forwarding.intersection(ROLLING))
