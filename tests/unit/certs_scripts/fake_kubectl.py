#!/usr/bin/python3 -S
"""A cluster for the scripts of certs-scripts/: keeps a Secret, a MutatingWebhookConfiguration and two pods in a folder.

FAKE_CLUSTER names the folder. A file no-pods in it hides the pods from the Service, a file mute-pods makes them end
each connection; fail-on holds the words of the calls that fail. The pods take up a new Secret late, one after the other,
as kubelets do. Whenever anything is asked, each pod's certificate must be trusted by the caBundle of the moment, as the
API server would check it; what is not trusted is written to FAKE_CLUSTER/failed-handshakes. The process of each
port-forward is written to FAKE_CLUSTER/forwards. It is begun a thousand times: what few calls need they import.
"""
import base64
import fcntl
import json
import os
import sys

STATE = os.environ["FAKE_CLUSTER"]
PODS = ["webhook-a", "webhook-b"]
ENTRIES = ["namespace.inject.sidetap.io", "pod.inject.sidetap.io"]


def path(name):
    return f"{STATE}/{name}"


def exists(name):
    return os.path.exists(path(name))


def read(name):
    with open(path(name)) as file:
        return file.read()


def write(name, text):
    with open(path(name), "w") as file:
        file.write(text)


def append(name, line):
    with open(path(name), "a") as file:
        file.write(f"{line}\n")


def load(name, default):
    return json.loads(read(name)) if exists(name) else default


def save(name, value):
    write(name, json.dumps(value))


def is_trusted(bundle, certificate):
    """What openssl says of the two; it is asked once."""
    known, key = load("verified.json", {}), bundle + certificate
    if key not in known:
        import subprocess
        write("bundle.crt", base64.b64decode(bundle).decode())
        write("leaf.crt", certificate)
        known[key] = subprocess.run(["/usr/bin/openssl", "verify", "-purpose", "sslserver", "-CAfile",
                                     path("bundle.crt"), path("leaf.crt")], capture_output=True).returncode == 0
        save("verified.json", known)
    return known[key]


def check_handshakes():
    for entry, bundle in load("bundles.json", {}).items():
        for pod, served in load("pods.json", {}).items():
            if not is_trusted(bundle, served["tls.crt"]):
                append("failed-handshakes", f"{entry} {pod}: after {' '.join(sys.argv[1:4])}")


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
    import socket
    import ssl
    import time
    served = load("pods.json", {})[pod]
    paths = {}
    for name in ("tls.crt", "tls.key"):
        paths[name] = path(f"{pod}-{name}")
        write(f"{pod}-{name}", served[name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths["tls.crt"], paths["tls.key"])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    print(f"Forwarding from 127.0.0.1:{listener.getsockname()[1]} -> 10250", flush=True)
    connection, _ = listener.accept()
    if not exists("mute-pods"):
        context.wrap_socket(connection, server_side=True)
    else:
        connection.close()
    time.sleep(30)


def main():
    arguments = sys.argv[1:]
    # Scripts run two at once in a pipe: what comes by it is read before the lock.
    applied = json.load(sys.stdin) if arguments[0] == "apply" else None
    lock = open(path("lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    if exists("fail-on") and read("fail-on") in " ".join(arguments):
        sys.exit("fake kubectl: no route to the cluster")
    kubelets(None)
    if arguments[:3] == ["create", "secret", "generic"]:
        files = dict(a.removeprefix("--from-file=").split("=", 1) for a in arguments if a.startswith("--from-file="))
        print(json.dumps({name: open(file).read() for name, file in files.items()}))
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
        print("" if exists("no-pods") else " ".join(PODS), end="")
    elif arguments[:2] == ["get", "pod"]:
        print("10250", end="")
    elif arguments[0] == "port-forward":
        pod = next(a for a in arguments if a.startswith("pod/")).removeprefix("pod/")
        kubelets(pod)
        append("forwards", os.getpid())
        check_handshakes()
        lock.close()
        serve(pod)
        return
    else:
        sys.exit(f"fake kubectl: unexpected {arguments}")
    check_handshakes()


if __name__ == "__main__":
    main()
