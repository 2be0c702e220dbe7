"""A running sidetap-webhook for tests: certificates, the process, its ports, its log, and a client."""
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

SOURCE = pathlib.Path(os.environ.get("SIDETAP_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
PROGRAM = os.environ.get("SIDETAP_WEBHOOK", str(SOURCE / "build/release/bin/sidetap-webhook"))
PATIENCE = 30  # Seconds after which something that must happen has not.


def eventually(condition, what):
    """Waits until `condition()` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("never happened: " + what)
        time.sleep(0.02)


def review(uid="11111111-2222-3333-4444-555555555555", namespace="shop", pod=None):
    """An AdmissionReview as API servers send it, for a pod of one container."""
    pod = pod or {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "labels": {"app": "web"},
                     "annotations": {"sidetap.io/inject": "true"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }
    return json.dumps({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "dryRun": False,
        },
    }).encode()


def environment_of_pod(port):
    """With the API server at this port."""
    return {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}


class Secret:
    """A folder of certificates as the kubelet mounts it: files are links into a folder that is swapped whole."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sidetap-live-"))
        self.mount = self.root / "mount"
        self.mount.mkdir()
        self.generations = 0
        self.make("ca1")
        self.configuration = self.root / "defaults.yaml"
        self.configuration.write_text("sensor: {address: 192.0.2.1}\n")

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def make(self, name, *options):
        """A CA of its own and a leaf, in a folder."""
        subprocess.run([SOURCE / "certs-scripts/generate.sh", "--out", self.root / name, "--san", "127.0.0.1",
                        *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self.root / name

    def make_client(self, name):
        """A certificate for a client, signed by the CA made under this name."""
        folder = self.root / name
        (folder / "use").write_text("extendedKeyUsage=clientAuth\n")
        for command in (["req", "-new", "-key", "tls.key", "-subj", "/CN=client", "-out", "csr"],
                        ["x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "1", "-extfile",
                         "use", "-out", "client.crt"]):
            subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)

    def publish(self, files):
        """Swaps in new contents, {name: bytes}, in the kubelet's way."""
        self.generations += 1
        folder = self.mount / f"..{self.generations}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        link = self.mount / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(self.mount / "..data")
        for name in files:
            if not (self.mount / name).is_symlink():
                (self.mount / name).symlink_to(f"..data/{name}")

    def publish_made(self, name, **more):
        folder = self.root / name
        self.publish({"tls.crt": (folder / "tls.crt").read_bytes(), "tls.key": (folder / "tls.key").read_bytes(),
                      **{key.replace("_", "."): value for key, value in more.items()}})

    def account(self, name):
        """A service account's folder, for an API server with the certificate made under this name."""
        folder = self.root / "account"
        folder.mkdir()
        (folder / "ca.crt").write_bytes((self.root / name / "ca.crt").read_bytes())
        (folder / "token").write_text("the-token")
        (folder / "namespace").write_text("sidetap-system")
        return folder

    def trust(self, *names):
        """A client's TLS settings that trust the CAs made under these names."""
        context = ssl.create_default_context()
        for name in names:
            context.load_verify_locations(self.root / name / "ca.crt")
        return context


class Webhook:
    """The process. Ports are the kernel's choice and are read from the log."""

    def __init__(self, secret, *options, ready=True, environment=None, configuration=None, most_files=None):
        """`most_files`: a hard limit of its open files."""
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))) if most_files else None
        self.log = []
        files = [] if secret is None else ["--tls-cert", secret.mount / "tls.crt", "--tls-key", secret.mount / "tls.key"]
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0", *files,
             "--config", configuration or secret.configuration, "--drain-seconds", "1", *map(str, options)],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment, preexec_fn=limit)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        eventually(lambda: self.port_of("serving health and metrics") or self.process.poll() is not None,
                   "the webhook serves")
        if self.process.poll() is not None:
            self.close()
            raise AssertionError(f"the webhook ended: {self.log}")
        self.port = self.review_port()
        self.status_port = self.port_of("serving health and metrics")
        if ready:
            eventually(self.ready, "the webhook is ready")

    def _read(self):
        for line in self.process.stderr:
            self.log.append(json.loads(line))

    def port_of(self, message):
        return next((event["port"] for event in list(self.log) if event["message"] == message), None)

    def review_port(self):
        return self.port_of("serving admission reviews")

    def logged(self, message):
        return [event for event in list(self.log) if event["message"] == message]

    def status(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self):
        try:
            return self.status("/readyz")[0] == 200
        except OSError:
            return False

    def metric(self, name):
        """The sum over all labels."""
        lines = self.status("/metrics")[1].splitlines()
        found = [float(line.rsplit(" ", 1)[1]) for line in lines
                 if line.startswith(name + " ") or line.startswith(name + "{")]
        return sum(found)

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def resident_peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))

    def alive(self):
        return self.process.poll() is None

    def terminate(self):
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return code

    def close(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
        self.reader.join(PATIENCE)
        self.process.stderr.close()


class Client:
    """One keep-alive connection that counts what it sees."""

    def __init__(self, port, context):
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closing = False

    def post(self, body, path="/inject/pod?timeout=3s", content_type="application/json"):
        headers = {"Content-Type": content_type} if content_type else {}
        self.connection.request("POST", path, body, headers)
        answer = self.connection.getresponse()
        self.closing = answer.getheader("Connection") == "close"
        return answer.status, answer.read()

    def admit(self, uid="u-1"):
        """Raises unless a review is answered as it must be."""
        status, body = self.post(review(uid))
        response = json.loads(body)["response"]
        if status != 200 or response["uid"] != uid or response["allowed"] is not True:
            raise AssertionError(f"{status} {body}")
        return response

    def serial(self):
        return self.connection.sock.getpeercert()["serialNumber"]

    def close(self):
        self.connection.close()


class Load:
    """Threads that admit pods without a pause, as API servers do: keep-alive, a new connection when told to close."""

    def __init__(self, ports, context, threads=6):
        self.ports = ports  # A function: the endpoints at present.
        self.context = context  # A function: the TLS settings at present.
        self.stopping = threading.Event()
        self.failures = []
        self.admitted = 0
        self.dialled = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        client, turn = None, number
        while not self.stopping.is_set():
            try:
                if client is None:
                    ports = self.ports()
                    client = Client(ports[turn % len(ports)], self.context())
                    with self.lock:
                        self.dialled += 1
                turn += 1
                client.admit(f"u-{number}-{turn}")
                with self.lock:
                    self.admitted += 1
                # Some new connections besides those that a drain asks for.
                if client.closing or turn % 20 == 0:
                    client.close()
                    client = None
            except Exception as failure:  # pylint: disable=broad-except
                with self.lock:
                    self.failures.append(repr(failure))
                client = None
        if client:
            client.close()

    def wait_for_more(self, number):
        goal = self.admitted + number
        eventually(lambda: self.admitted >= goal or self.failures, f"{number} more admissions")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE)
