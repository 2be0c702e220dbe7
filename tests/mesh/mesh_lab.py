"""A client, a pod with a mesh's proxy, an application and a tap, and the sensor, in namespaces on one bridge."""
import atexit
import functools
import glob
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from sidetap_lab.namespaces import Namespace  # noqa: E402

from meshes import APPLICATION_PORT, CLIENT_RULES, POD, POD6  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.environ.get("SIDETAP_BINARIES", "build/release/bin")
SENSOR, CLIENT = "10.97.0.1", "10.97.0.2"
CLIENT6 = "fd00:97::2"
APPLICATION_USER, DATABASE_USER = 1000, 1001
BAD_CHECKSUM = "ip.checksum.status==0 || tcp.checksum.status==0"


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    return condition()


def as_user(user, group=None):
    return ("--reuid", str(user), "--regid", str(user if group is None else group), "--clear-groups")


class Certificates:
    """A CA, and certificates of both ends."""

    def __init__(self, folder):
        self.folder = folder
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                  "-subj", "/CN=mesh", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))
        for name in ("server", "client"):
            self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
            self._run("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"), "-CAkey",
                      self.path("ca.key"), "-CAcreateserial", "-days", "2", "-out", self.path(f"{name}.crt"))
            with open(self.path(f"{name}.pem"), "w", encoding="ascii") as both:
                for part in (f"{name}.crt", f"{name}.key"):
                    with open(self.path(part), encoding="ascii") as file:
                        both.write(file.read())
        for name in os.listdir(folder):
            os.chmod(self.path(name), 0o644)  # the proxy's user reads them

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def client(self, certificate=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.path("ca.pem"))
        if certificate:
            context.load_cert_chain(self.path("client.crt"), self.path("client.key"))
        return context


@functools.cache
def certificates_of_all():
    """They are the same for all tests."""
    folder = tempfile.mkdtemp(prefix="sidetap-mesh-certificates-")
    atexit.register(shutil.rmtree, folder)
    os.chmod(folder, 0o755)
    return Certificates(folder)


def proxy_configuration(mesh, certificates, mode, upstream_protocol):
    tls = f"ssl crt {certificates.path('server.pem')} ca-file {certificates.path('ca.pem')} verify required"
    alpn = " alpn h2,http/1.1" if mode == "http" else ""
    protocol = " proto h2" if upstream_protocol == "h2" else ""
    others = "\n".join(f"  bind 0.0.0.0:{port}" for port in mesh.others)
    plain = f"  bind 0.0.0.0:{mesh.plain}\n" if mesh.plain else ""
    return f"""
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend inbound
  mode {mode}
  bind 0.0.0.0:{mesh.inbound} {mesh.bind} {tls}{alpn}
{plain}  default_backend application
backend application
  mode {mode}
  server application {mesh.upstream}:{APPLICATION_PORT} {mesh.source}{protocol}
frontend inbound6
  mode {mode}
  bind [::]:{mesh.inbound} v6only {tls}{alpn}
  default_backend application6
backend application6
  mode {mode}
  server application [{mesh.upstream6}]:{APPLICATION_PORT} {mesh.source6}{protocol}
frontend others
  mode http
{others}
  http-request return status 200 content-type text/plain string admin
"""


def client_proxy_configuration(mesh, certificates, mode):
    """Of the proxy in the client's pod: it encrypts, and speaks HTTP/2 with its peer where that is HTTP."""
    alpn = " alpn h2,http/1.1" if mode == "http" else ""
    return f"""
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend outbound
  mode {mode}
  bind 0.0.0.0:15001
  default_backend peer
backend peer
  mode {mode}
  server peer {POD}:{mesh.mutual} ssl crt {certificates.path('client.pem')} ca-file {certificates.path('ca.pem')} verify required{alpn}
"""


# An application that speaks HTTP/2 in the clear.
H2_APPLICATION = f"""
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend application
  mode http
  bind 0.0.0.0:{APPLICATION_PORT} proto h2
  http-request wait-for-body time 5s
  http-request return status 200 content-type text/plain string "answer-of-h2"
"""


class Packet:
    """One TCP packet of a capture of Ethernet frames."""

    def __init__(self, frame):
        self.frame = frame
        v6 = frame[12:14] == b"\x86\xdd"
        network = 14
        if v6:
            self.source, self.destination = (socket.inet_ntop(socket.AF_INET6, frame[at:at + 16]) for at in (22, 38))
            transport = network + 40
            end = transport + struct.unpack(">H", frame[18:20])[0]
        else:
            self.source, self.destination = (socket.inet_ntoa(frame[at:at + 4]) for at in (26, 30))
            transport = network + (frame[14] & 15) * 4
            end = network + struct.unpack(">H", frame[16:18])[0]
        self.source_port, self.destination_port, self.sequence = struct.unpack(">HHI", frame[transport:transport + 8])
        self.flags = frame[transport + 13]
        self.payload = frame[transport + (frame[transport + 12] >> 4) * 4:end]

    @property
    def is_ciphertext(self):
        return len(self.payload) > 2 and self.payload[0] in (0x14, 0x15, 0x16, 0x17) and self.payload[1] == 3


def packets_of(path):
    """The TCP packets of a pcap file."""
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at, packets = 24, []
    while at + 16 <= len(data):
        captured = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        frame = data[at + 16:at + 16 + captured]
        at += 16 + captured
        v4 = frame[12:14] == b"\x08\x00" and frame[23] == 6
        v6 = frame[12:14] == b"\x86\xdd" and frame[20] == 6
        if v4 or v6:
            packets.append(Packet(frame))
    return packets


class MeshTest(unittest.TestCase):
    MESH = None
    MODES = ("both", "plaintext")

    @classmethod
    def setUpClass(cls):
        cls.forwarded = tempfile.mkdtemp(prefix="sidetap-mesh-forwarded-")
        cls.addClassCleanup(shutil.rmtree, cls.forwarded)

    @classmethod
    def tearDownClass(cls):
        """All checksums of what the sensor got in all tests, with one start of tshark."""
        files = sorted(glob.glob(os.path.join(cls.forwarded, "*.pcap")))
        if not files:
            return
        whole = os.path.join(cls.forwarded, "whole")
        subprocess.run(["mergecap", "-a", "-F", "pcap", "-w", whole, *files], check=True)
        if cls.dissect(whole, BAD_CHECKSUM, "frame.number"):
            bad = [os.path.basename(path) for path in files if cls.dissect(path, BAD_CHECKSUM, "frame.number")]
            raise AssertionError(f"bad checksums in what the sensor got in {bad}")

    def setUp(self):
        if self.MESH is None:
            self.skipTest("the tests are those of the meshes")
        self.folder = tempfile.mkdtemp(prefix="sidetap-mesh-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.node, self.client, self.pod = (Namespace(name) for name in ("node", "client", "pod"))
        for namespace in (self.node, self.client, self.pod):
            self.addCleanup(namespace.close)
            namespace.sysctl({"ipv6/conf/default/accept_dad": 0, "ipv6/conf/all/accept_dad": 0})
            namespace.ip("link set lo up")
        self.node.ip("link add br0 type bridge", "link set br0 up", f"addr add {SENSOR}/24 dev br0")
        for namespace, address, address6 in ((self.client, CLIENT, CLIENT6), (self.pod, POD, POD6)):
            name = f"v{namespace.name}"
            self.node.ip(f"link add {name} type veth peer name eth0 netns {namespace.path}",
                         f"link set {name} master br0 up")
            namespace.ip("link set eth0 up", f"addr add {address}/24 dev eth0", f"addr add {address6}/64 dev eth0 nodad")
        self.pod.sysctl(self.MESH.sysctl)
        self.pod.ip(*self.MESH.commands)
        self.certificates = certificates_of_all()
        os.mkdir(os.path.join(self.folder, "captures"))

    def start(self, namespace, argv, user=None, log="log", group=None):
        path = os.path.join(self.folder, log)
        with open(path, "ab") as file:
            confined = as_user(user, group) if user is not None else ()
            process = namespace.popen(argv, confined, stdout=file, stderr=file)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def log(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_listening(self, namespace, *ports):
        def listening():
            shown = namespace.run("ss", "-Hltn")
            return all(re.search(rf":{port}\s", shown) for port in ports)
        self.assertTrue(wait_for(listening), f"not all of {ports} listen: {namespace.run('ss', '-Hltn')}")

    def start_proxy(self, mode="http", upstream_protocol=""):
        path = os.path.join(self.folder, "proxy.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(proxy_configuration(self.MESH, self.certificates, mode, upstream_protocol))
        group = 1337 if self.MESH.user == 0 else None
        self.start(self.pod, ["haproxy", "-db", "-f", path], user=self.MESH.user, group=group, log="proxy.log")
        self.wait_listening(self.pod, self.MESH.inbound, *self.MESH.others)
        self.pod.nft(self.MESH.rules)

    def start_client_proxy(self, mode="http"):
        """The client's own proxy, which takes over its connections to the application."""
        path = os.path.join(self.folder, "client-proxy.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(client_proxy_configuration(self.MESH, self.certificates, mode))
        self.start(self.client, ["haproxy", "-db", "-f", path], user=1337, log="client-proxy.log")
        self.wait_listening(self.client, 15001)
        self.client.nft(CLIENT_RULES)

    def start_python(self, kind, address, port, user):
        # Other users may not read the source tree.
        program = shutil.copy(os.path.join(HERE, "application.py"), self.folder)
        os.chmod(program, 0o644)
        self.start(self.pod, [sys.executable, "-B", program, kind, address, str(port)], user=user, log=f"{kind}.log")
        self.wait_listening(self.pod, port)

    def start_application(self, kind="http", address="::"):
        if kind != "h2":
            self.start_python(kind, address, APPLICATION_PORT, APPLICATION_USER)
            return
        path = os.path.join(self.folder, "application.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(H2_APPLICATION)
        self.start(self.pod, ["haproxy", "-db", "-f", path], user=APPLICATION_USER, log="application.log")
        self.wait_listening(self.pod, APPLICATION_PORT)

    def start_tap(self, mode, *arguments, wait_for_mesh=True):
        captures = os.path.join(self.folder, "captures")
        self.sensor = self.node.popen([f"{BINARIES}/sidetap-sensor", "active", "--listen", SENSOR, "--output-dir", captures],
                                      stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.sensor.stdout.close)
        self.addCleanup(self.sensor.wait)
        self.addCleanup(self.sensor.kill)
        self.assertTrue(self.sensor.stdout.readline().startswith("listening"))
        self.tap = self.start(self.pod, [f"{BINARIES}/sidetap-sidecar", "run", "--sensor", SENSOR, "--pod-ips", f"{POD},{POD6}",
                                         "--pod-subnets", "10.97.0.0/24,fd00:97::/64", "--mesh", mode, "--mesh-cleartext-ok",
                                         *arguments], log="tap.log")
        if wait_for_mesh:
            self.wait_for_mesh()
        self.wait_log("forwarding to sensor")

    def wait_log(self, text):
        self.assertTrue(wait_for(lambda: text in self.log("tap.log")), f"no {text!r}:\n{self.log('tap.log')}")

    def wait_for_mesh(self):
        self.wait_log("forwarding the plaintext of the mesh")

    def capture_files(self):
        return glob.glob(os.path.join(self.folder, "captures", "*.pcap"))

    def finish(self):
        """Ends tap and sensor; returns the TCP packets that the sensor has got."""
        time.sleep(0.5)  # what waits for its leg
        self.tap.send_signal(signal.SIGTERM)
        self.assertEqual(self.tap.wait(10), 0, self.log("tap.log"))
        self.sensor.send_signal(signal.SIGTERM)
        self.assertEqual(self.sensor.wait(10), 0)
        self.keep_for_checksums()
        return [packet for path in self.capture_files() for packet in packets_of(path)]

    def keep_for_checksums(self):
        for path in self.capture_files():
            name = f"{self.id()}-{len(os.listdir(self.forwarded))}.pcap"
            shutil.copy(path, os.path.join(self.forwarded, name))

    def ledger(self):
        summary = [line for line in self.log("tap.log").splitlines() if "what became of the packets" in line][-1]
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", summary)}

    def connect(self, port=None, certificate=True, address=POD):
        """A peer's proxy: a connection with mutual TLS."""
        raw = self.client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        raw.settimeout(10)
        raw.connect((address, port or self.MESH.mutual))
        return self.certificates.client(certificate).wrap_socket(raw)

    def connect_in_the_clear(self):
        """The client's application: what it says, its proxy encrypts, if it has one."""
        connection = self.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect((POD, APPLICATION_PORT))
        return connection

    def start_dump(self, *arguments):
        """A dump of the pod into the file self.dumped, which captures; its log is dump.log."""
        self.dumped = os.path.join(self.folder, "dump.pcapng")
        with open(self.dumped, "wb") as output, open(os.path.join(self.folder, "dump.log"), "wb") as said:
            self.dump = self.pod.popen(["env", "POD_NAME=web-1", "POD_NAMESPACE=shop", f"POD_IPS={POD},{POD6}",
                                        f"{BINARIES}/sidetap-sidecar", "dump", *arguments], stdout=output, stderr=said)
        self.addCleanup(self.dump.wait)
        self.addCleanup(self.dump.kill)
        self.assertTrue(wait_for(lambda: "capturing" in self.log("dump.log") or self.dump.poll() is not None))

    def end_dump(self):
        time.sleep(0.5)  # what waits for the first payload
        self.dump.send_signal(signal.SIGTERM)
        self.assertEqual(self.dump.wait(10), 0, self.log("dump.log"))

    @staticmethod
    def dissect(path, condition, *fields):
        """These fields of each packet that fits, as tshark reads them. It checks all checksums."""
        arguments = [argument for field in fields for argument in ("-e", field)]
        done = subprocess.run(["tshark", "-n", "-r", path, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
                               "-Y", condition, "-T", "fields", *arguments], check=True, capture_output=True, text=True)
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    @staticmethod
    def ask(connection, path, close=True):
        """One request of HTTP/1.1; returns the answer's body."""
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: web\r\n{'Connection: close' if close else 'X: y'}\r\n\r\n".encode())
        return MeshTest.read_answer(connection)

    @staticmethod
    def read_answer(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                raise AssertionError(f"no answer: {data!r}")
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        size = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        while len(body) < size:
            body += connection.recv(65536)
        return body
