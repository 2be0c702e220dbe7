"""The lab with the registry: taps, sensors and replicas come and go, steady traffic runs, and each change is timed."""
import contextlib
import functools
import os
import signal
import time
from collections import Counter

from . import cluster as places
from . import control
from .capture import PcapFolders
from .cluster import Cluster, Pod, Service
from .control import ControlPlane
from .lab import DNS, GRPC, WEB, Lab
from .registry_judge import RegistryJudge, Span, Whose, Window
from .service_model import told
from .taps import Sensor, Tap, environment, metrics

MOVING = "b"  # the pod whose tap comes and goes
TWIN = "r"  # a pod without a tap that gets the address of that one
GRACE = 4  # seconds
INTERVAL = 1 / 60  # between two messages of a flow, each of which is answered: over 120 packets a second
CALM = 0.8  # seconds of traffic before, between and after the changes
SENSOR_OF_MOVING = places.SENSOR_PORT + 1
_MARKERS_OF_A_FLOW = 1 << 16
_PATIENCE = 40.0  # seconds; what has not been told by then never will be
_POLL = 0.02
_RING = "16M"  # a busy machine must not make taps lose packets here

# What the documents say (deploy/docs/registry.md, "The windows"), in seconds.
TOLD_WITHIN = 1.0  # what a tap does no more reaches every other one
COUNTS_WITHIN = 1.25  # its peers count on a tap that begins to forward
LEAVES_WITHIN = 1.5  # a tap that is told to stop goes on forwarding until nobody counts on it,
LEAVES_AT_LAST = 3.0  # or so long, where a replica does not answer
SILENCE = 6.0  # a connection is given up when nothing was heard for so long; a ping asks after half of it
# A loaded machine may be late by so much; longer than that is not what is documented.
LATE = 5.0
# Packets that passed before a tap was told may be looked at after it.
IN_FLIGHT = 0.3
# What a process had still to send is lost with it when it is killed.
UNSENT = 1.0


def make_cluster():
    """Four tapped pods on two nodes, one without a tap, and one that has no link until it gets another's address."""
    pods = [Pod("a", 1, 10), Pod(MOVING, 1, 20), Pod("c", 2, 10), Pod("d", 2, 20), Pod("u", 1, 30, tapped=False),
            Pod(TWIN, 1, 20, tapped=False)]
    services = [
        Service("grpc", 10, "tcp", 80, [("a", GRPC)]),
        Service("web", 11, "tcp", 80, [(MOVING, WEB)]),
        Service("dns", 53, "udp", DNS, [(MOVING, DNS)]),
        Service("plain", 90, "tcp", 80, [("u", WEB)]),
        Service("plain-dns", 91, "udp", DNS, [("u", DNS)]),
        Service("blend", 92, "tcp", 80, [(MOVING, WEB), ("u", WEB)]),
    ]
    return Cluster(pods, services)


class RegistryLab(Lab):
    """What a scenario changes is kept as spans and windows for the judge (see registry_judge.py)."""

    def __init__(self, binaries, folder, keep=False):
        super().__init__(binaries, folder, keep=keep)
        self.captures = PcapFolders()
        self.services = True  # whether the replicas watch Services
        self.variables = {}  # more of the taps' environment, by pod
        self.spans, self.windows, self.notes = [], [], []
        self._overrun = Counter()  # packets that the kernel dropped before a busy machine let a tap look at them
        self._sensors = 0
        self._sensor_of_moving = None
        self._forwarding = set()
        self._flows, self._conversations = [], []

    def _plan(self):
        return make_cluster()

    def _make_judge(self):
        self.captures.add(self.sensor.captures)
        return RegistryJudge(self._wire, self.captures, {pod.name: (pod.v4, pod.v6) for pod in self.tapped},
                             places.SERVICE_SUBNETS, [*places.SENSOR, *control.addresses()])

    def start_control(self):
        """The registry and what it needs; taps can start then."""
        self.link(TWIN, False)
        self._start_registry()
        self.start_sensor_of_moving()
        self._closing.callback(self.stop_taps)

    def _start_registry(self):
        self.control = ControlPlane(self._binaries, self.cluster, self._folder)
        self._closing.callback(self.control.stop)
        self.control.start()
        self.start_replicas()

    # Taps and sensors.

    def start_tap(self, name):
        self.taps[name] = Tap(self._binaries, self.pods[name], self._environment(name), self._folder)

    def _environment(self, name):
        """Of a pod's tap."""
        variables = environment(self.pods[name], [])
        variables.update({
            "SENSOR": f"{places.SENSOR[0]}:{self._sensor_port(name)}",
            "REGISTRY": f"{control.REGISTRY}:{control.REGISTRY_PORT}", "REGISTRY_CA": self.control.authority,
            "BUFFER_SIZE": _RING, "REGISTRY_TOKEN_FILE": self.control.token_file(name), "REGISTRY_GRACE": f"{GRACE}s",
            **self.variables.get(name, {})})
        return variables

    def _sensor_port(self, name):
        return SENSOR_OF_MOVING if name == MOVING else places.SENSOR_PORT

    def start_taps(self):
        super().start_taps()
        self._forwarding = set(self.taps)
        self.wait_until_told()

    def start_sensor_of_moving(self, *extra):
        """The one tap has a sensor of its own, which can fail without the others'."""
        folder = os.path.join(self._folder, f"sensor-{self._sensors}")
        self._sensors += 1
        self._sensor_of_moving = Sensor(self._binaries, self.cluster, folder, extra=extra, port=SENSOR_OF_MOVING)
        self._closing.callback(self._sensor_of_moving.stop)
        self.captures.add(self._sensor_of_moving.captures)

    def reconfigure(self, services, variables):
        """Starts replicas and taps anew. services: whether the replicas watch Services; variables: by pod."""
        self.stop_taps()
        self.control.stop_replicas()
        self.services, self.variables = services, variables
        self.start_replicas()
        self.start_taps()

    def whose(self, pod, address, _protocol):
        """Which view of this Service is right for a client in this pod, while all taps forward."""
        kept = self.variables.get(pod, {})
        if kept.get("SERVICE_VIEW") == "always" or str(address) in kept.get("UNTAPPED_SERVICES", "").split(","):
            return Whose.BOTH
        service = next(each for each in self.cluster.services.values() if str(address) in (each.v4, each.v6))
        return Whose.CLIENTS if self.services and service.object in self._facts.partly else Whose.BACKENDS

    @functools.cached_property
    def _facts(self):
        """What the registry tells of Services while all taps forward."""
        return told(self.cluster.services.values(), {each.name for each in self.tapped})

    def verdict(self, name):
        verdict = self.judge.verdict(name, self.spans, self.windows, self.whose)
        verdict.notes += self.notes
        verdict.overrun = self._overrun.total()
        return verdict

    def start_replicas(self):
        for number in range(len(control.REPLICAS)):
            self.control.start_replica(number, self.services)
        for number in range(len(control.REPLICAS)):
            self.control.wait_for_replica(number)

    # What taps know.

    def _told(self, name):
        """Whether a tap knows exactly what holds now, from every replica."""
        known = metrics(self.pods[name].namespace)
        peers = 2 * len(self._forwarding - {name})
        facts = told(self.cluster.services.values() if self.services else (), self._forwarding)
        # Each has an address of both families.
        return (known.get("sidetap_registry_peers") == peers and
                known.get("sidetap_registry_tapped_services") == 2 * len(facts.hidden) and
                known.get("sidetap_registry_client_owned_endpoints") == 2 * len(facts.client_owned) and
                known.get("sidetap_registry_replicas") == len(self._replicas_up()))

    def _replicas_up(self):
        return [replica for replica in self.control.replicas if not replica.ended()]

    def _wait_until(self, condition, what):
        """When it came to hold."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"never: {what}")
            time.sleep(_POLL)
        return time.time()

    def wait_until_told(self):
        """Until every tap knows what holds now; returns when."""
        waiting = list(self.taps)

        def all_told():
            waiting[:] = [name for name in waiting if not self._told(name)]
            return not waiting
        return self._wait_until(all_told, "every tap knows which peers are tapped")

    # Changes. Each ends when all who have to know of it do.

    def _window(self, change, may, event, told_at, documented=None, pods=(MOVING,), before=0.0):
        window = Window(change, may, event, told_at, documented, pods and frozenset(pods), before, IN_FLIGHT)
        self.windows.append(window)
        if documented is not None and window.length > documented + LATE:
            self.notes.append(f"{change}: {window.length:.1f} s instead of {documented:.1f} s")

    def _count_overruns(self, name, sign=1):
        self._overrun[name] += sign * int(sum(value for label, value in metrics(self.pods[name].namespace).items()
                                              if 'cause="kernel-ring"' in label))

    def _no_more(self, name, when):
        """From now on nobody counts on this tap to forward."""
        [span for span in self.spans if span.pod == name][-1].end = when
        self._forwarding.discard(name)

    def _kill_tap(self, name):
        """Returns when."""
        self._count_overruns(name)
        killed = time.time()
        self._no_more(name, killed)
        self.taps.pop(name).stop(number=signal.SIGKILL)
        return killed

    def tap_starts(self, name=MOVING, change="a tap begins to forward"):
        begun = time.time()
        self.start_tap(name)
        self._begins_to_forward(name, begun, change)

    def _begins_to_forward(self, name, begun, change, pods=()):
        """pods: others that it concerns."""
        self.taps[name].wait_forwarding()
        forwarding = time.time()
        self.spans.append(Span(name, forwarding))
        self._forwarding.add(name)
        self._window(change, ("doubled",), forwarding, self.wait_until_told(), COUNTS_WITHIN, [name, *pods],
                     before=forwarding - begun)

    def tap_ends(self, name=MOVING, documented=LEAVES_WITHIN):
        """SIGTERM: nothing may be lost."""
        asked, ended = self._end_tap(name)
        self._window("a tap ends in good order", ("doubled",), asked, ended, documented, [name])
        self.wait_until_told()

    def _end_tap(self, name):
        """(when it was asked to, when it had ended)."""
        self._count_overruns(name)
        asked = time.time()
        self.stop_tap(name)
        ended = time.time()
        self.judge.collect()
        peer = f"{self.pods[name].v4}-"
        last = max((when for place, when in self.judge.last_of.items() if place.startswith(peer)), default=0)
        self._no_more(name, max(asked, last))
        return asked, ended

    def tap_dies(self, name=MOVING, change="a tap dies", documented=TOLD_WITHIN, meanwhile=lambda: None):
        killed = self._kill_tap(name)
        meanwhile()
        self._window(change, ("lost", "doubled"), killed, self.wait_until_told(), documented, [name], before=UNSENT)

    def sensor_dies(self):
        """The sensor of the one tap is killed."""
        killed = time.time()
        self._no_more(MOVING, killed)
        self._sensor_of_moving.stop(number=signal.SIGKILL)
        self._window("a tap loses its sensor", ("lost", "doubled"), killed, self.wait_until_told(), TOLD_WITHIN, before=UNSENT)

    def sensor_refuses(self):
        """For a while a sensor is there that refuses the tap: that changes nothing."""
        self.start_sensor_of_moving("--fault", "refuse")
        refused = 'sidetap_session_ends_total{kind="refused"}'
        self._wait_until(lambda: self.taps[MOVING].metric(refused), "the sensor refuses the tap")
        self.calm()
        if self._sensor_of_moving.stop() != 0:
            raise RuntimeError(f"the sensor did not end in good order on SIGTERM: {self._sensor_of_moving.log()}")

    def sensor_returns(self):
        begun = time.time()
        self.start_sensor_of_moving()
        self._begins_to_forward(MOVING, begun, "a tap gets its sensor back")

    def replica_dies(self, number):
        """Nothing may come of it."""
        self.control.replicas[number].stop(number=signal.SIGKILL)
        self.wait_until_told()

    def replica_returns(self, number):
        """Until it knows all taps, those that it tells keep the views of Services."""
        begun = time.time()
        self.control.start_replica(number, self.services)
        self.control.wait_for_replica(number)
        self._window("a replica comes back", ("doubled",), begun, self.wait_until_told(), pods=None)

    def replicas_die_and_a_tap(self, name=MOVING):
        """Nobody can tell of the tap: its peers count on it until the grace ends. Returns when the replicas died."""
        killed = time.time()
        for replica in self.control.replicas:
            replica.stop(number=signal.SIGKILL)
        self.calm()
        died = self._kill_tap(name)
        alone = self._wait_until(lambda: all(tap.metric("sidetap_registry_peers") == 0 for tap in self.taps.values()),
                                 "nobody counts as tapped")
        self._window("a tap dies while every replica is away", ("lost", "doubled"), died, alone, GRACE, [name], before=UNSENT)
        return killed

    def replicas_return(self, killed):
        self.start_replicas()
        # The grace counts from the last byte heard.
        self._window("every replica is away, and comes back", ("doubled",), killed, self.wait_until_told(), pods=None,
                     before=SILENCE / 2 - GRACE)

    def link(self, name, up):
        """Plugs a pod's cable into its node, or pulls it without a word to anybody."""
        pod = self.pods[name]
        self.cluster.nodes[pod.node].ip(*([f"link set v-{name} master cbr0", f"link set v-{name} type bridge_slave hairpin on"]
                                          if up else [f"link set v-{name} nomaster"]))

    # Traffic.

    def _start_flow(self, client, kind, to, port=0, family=4, source_port=0):
        """Messages at a steady rate, each answered (those of SCTP are not), until the traffic ends."""
        agent, address = self.agents[client], self.address(to, family)
        steady = {"first": (len(self._flows) + 1) * _MARKERS_OF_A_FLOW, "interval": INTERVAL}
        if kind == "icmp":
            agent.call("repeat", what="ping", **steady, address=address, timeout=0.2)
        elif kind == "sctp":
            agent.call("repeat", what="sctp", **steady, source=self.address(client, family), destination=address,
                       source_port=source_port, destination_port=port)
        else:
            conversation = self.open(client, kind, to, port, family, timeout=2 if kind == "tcp" else 0.2)
            agent.call("repeat", what="talk", **steady, name=conversation[1])
            self._conversations.append(conversation)
        self._flows.append((client, f"{kind} {client} > {to} {port} IPv{family}"))

    @contextlib.contextmanager
    def watched(self):
        """What passes meanwhile is judged."""
        self.judge.calm()
        self.judge.open()
        self.spans, self.windows, self.notes = [Span(name) for name in self._forwarding], [], []
        self._overrun.clear()
        for name in self.taps:
            self._count_overruns(name, -1)
        yield
        self.judge.calm()
        for name in self.taps:
            self._count_overruns(name)

    @contextlib.contextmanager
    def traffic(self, flows):
        """Flows that run while changes happen, and some time before and after."""
        self._flows, self._conversations = [], []
        with self.watched():
            for flow in flows:
                self._start_flow(*flow)
            self.calm()
            yield
            self.calm()
            self._end_flows()

    def _end_flows(self):
        for client in {client for client, _ in self._flows}:
            names = [name for owner, name in self._flows if owner == client]
            for name, (answered, unanswered) in zip(names, self.agents[client].call("end_repeating")):
                if not answered:
                    self.notes.append(f"{name}: {unanswered} messages, and none was answered")
        for conversation in self._conversations:
            self.close(conversation)

    def calm(self):
        """Traffic without a change."""
        time.sleep(CALM)
