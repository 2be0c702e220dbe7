#!/usr/bin/python3 -S
"""A cluster for the scripts of certs-scripts/: keeps a Secret, a MutatingWebhookConfiguration and two pods in a folder.

FAKE_CLUSTER names the folder. A file no-pods in it hides the pods from the Service, a file mute-pods makes them end
each connection; fail-on holds the words of the calls that fail. The pods take up a new Secret late, one after the other,
as kubelets do. Whenever anything is asked, each pod's certificate must be trusted by the caBundle of the moment, as the
API server would check it; what is not trusted is written to FAKE_CLUSTER/failed-handshakes. The process of each
port-forward is written to FAKE_CLUSTER/forwards.
"""
import base64
import fcntl
import json
import os
import pathlib
import ssl
import socket
import subprocess
import sys
import time

STATE = pathlib.Path(os.environ["FAKE_CLUSTER"])
PODS = ["webhook-a", "webhook-b"]
ENTRIES = ["namespace.inject.sidetap.io", "pod.inject.sidetap.io"]


def load(name, default):
    path = STATE / name
    return json.loads(path.read_text()) if path.exists() else default


def save(name, value):
    (STATE / name).write_text(json.dumps(value))


def check_handshakes():
    bundles, pods = load("bundles.json", {}), load("pods.json", {})
    if not bundles or not pods:
        return
    for entry, bundle in bundles.items():
        (STATE / "bundle.crt").write_bytes(base64.b64decode(bundle))
        for pod, served in pods.items():
            (STATE / "leaf.crt").write_text(served["tls.crt"])
            result = subprocess.run(["openssl", "verify", "-purpose", "sslserver", "-CAfile", STATE / "bundle.crt",
                                     STATE / "leaf.crt"], capture_output=True)
            if result.returncode != 0:
                with open(STATE / "failed-handshakes", "a") as log:
                    log.write(f"{entry} {pod}: after {' '.join(sys.argv[1:4])}\n")


def kubelets(asked_pod):
    """Each look at a pod brings its kubelet one step nearer to the Secret; the second pod takes longer."""
    secret, pods, lag = load("secret.json", None), load("pods.json", {}), load("lag.json", {})
    if secret is None:
        return
    for index, pod in enumerate(PODS):
        if pod not in pods:
            pods[pod] = secret
        elif pods[pod]["tls.crt"] != secret["tls.crt"] and pod == asked_pod:
            lag[pod] = lag.get(pod, 0) + 1
            if lag[pod] > index + 1:
                pods[pod], lag[pod] = secret, 0
    save("pods.json", pods)
    save("lag.json", lag)


def option(name):
    for argument in sys.argv:
        if argument.startswith(f"{name}="):
            return argument.split("=", 1)[1]
    return sys.argv[sys.argv.index(name) + 1]


def serve(pod):
    served = load("pods.json", {})[pod]
    paths = {}
    for name in ("tls.crt", "tls.key"):
        paths[name] = STATE / f"{pod}-{name}"
        paths[name].write_text(served[name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths["tls.crt"], paths["tls.key"])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    print(f"Forwarding from 127.0.0.1:{listener.getsockname()[1]} -> 10250", flush=True)
    connection, _ = listener.accept()
    if not (STATE / "mute-pods").exists():
        context.wrap_socket(connection, server_side=True)
    else:
        connection.close()
    time.sleep(30)


def main():
    arguments = sys.argv[1:]
    # Scripts run two at once in a pipe: what comes by it is read before the lock.
    applied = json.load(sys.stdin) if arguments[0] == "apply" else None
    lock = open(STATE / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    if pathlib.Path(STATE / "fail-on").exists() and (STATE / "fail-on").read_text() in " ".join(arguments):
        sys.exit("fake kubectl: no route to the cluster")
    kubelets(None)
    if arguments[:3] == ["create", "secret", "generic"]:
        files = dict(a.removeprefix("--from-file=").split("=", 1) for a in arguments if a.startswith("--from-file="))
        print(json.dumps({name: pathlib.Path(path).read_text() for name, path in files.items()}))
    elif arguments[0] == "apply":
        assert "--server-side" in arguments, "client-side apply copies the key into an annotation"
        save("secret.json", applied)
        kubelets(None)
    elif arguments[:2] == ["get", "secret"]:
        secret = load("self-managed.json" if arguments[2] == "sidetap-self-managed-tls" else "secret.json", None)
        if secret is None:
            sys.exit("Error from server (NotFound)")
        key = option("-o").removeprefix("jsonpath={.data.").removesuffix("}").replace("\\.", ".")
        print(base64.b64encode(secret.get(key, "").encode()).decode(), end="")
    elif arguments[:2] == ["get", "mutatingwebhookconfiguration"]:
        bundles = load("bundles.json", {})
        print(" ".join(bundles.values() if "caBundle" in option("-o") else ENTRIES), end="")
    elif arguments[:2] == ["patch", "mutatingwebhookconfiguration"]:
        bundles = load("bundles.json", {})
        for step in json.loads(option("-p")):
            index = int(step["path"].split("/")[2])
            if step["op"] == "test":
                assert step["value"] == ENTRIES[index], step
            else:
                assert step["path"].endswith("/clientConfig/caBundle"), step
                bundles[ENTRIES[index]] = step["value"]
        save("bundles.json", bundles)
    elif arguments[:2] == ["get", "endpointslices"]:
        print("" if (STATE / "no-pods").exists() else " ".join(PODS), end="")
    elif arguments[:2] == ["get", "pod"]:
        print("10250", end="")
    elif arguments[0] == "port-forward":
        pod = next(a for a in arguments if a.startswith("pod/")).removeprefix("pod/")
        kubelets(pod)
        with open(STATE / "forwards", "a") as log:
            log.write(f"{os.getpid()}\n")
        check_handshakes()
        lock.close()
        serve(pod)
        return
    else:
        sys.exit(f"fake kubectl: unexpected {arguments}")
    check_handshakes()


if __name__ == "__main__":
    main()
