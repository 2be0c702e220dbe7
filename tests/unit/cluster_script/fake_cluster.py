#!/usr/bin/python3 -S
"""kubectl, helm and sleep of a cluster that does what it is told, for the test of tests/cluster/run.sh.

FAKE_CLUSTER names its folder. The file "fault" in it names what goes wrong: lost, doubled, wrong-view, untapped,
admission, left-over, job, disconnected, api-token, helm-test, alone, late-configuration, broken-image, lost-ca.
"""
import json
import os
import pathlib
import secrets
import struct
import subprocess
import sys

STATE = pathlib.Path(os.environ["FAKE_CLUSTER"])
CLUSTER_TESTS = pathlib.Path(os.environ["CLUSTER_TESTS"])
FAULT = (STATE / "fault").read_text().strip() if (STATE / "fault").exists() else ""
IPS = {"sensor": "10.244.9.9", "client": "10.244.1.1", "opted-out": "10.244.1.2", "server-a": "10.244.1.3"}


def address(text):
    return bytes(int(part) for part in text.split("."))


def capture(markers, peer):
    """Appends a frame for each marker to the sensor's capture, as taps would forward them."""
    path = STATE / "captures/10.244.1.1-1.pcap"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    with open(path, "ab") as out:
        for index, marker in enumerate(markers):
            copies = 1
            if index == 3 and FAULT in ("lost", "doubled"):
                copies = 0 if FAULT == "lost" else 2
            target = "10.96.0.7" if FAULT == "wrong-view" and index == 3 else peer
            frame = bytes(12) + b"\x08\x00" + b"\x45" + bytes(11) + address("10.244.1.1") + address(target)
            frame += bytes(20) + marker.encode()
            out.write((struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame) * copies)


def markers(count):
    made = []
    for _ in range(count):
        digits = secrets.token_hex(9)
        made += [f"<{digits}>", f"[{digits}]"]
    return made


def certificate():
    path = STATE / "tls.crt"
    if not path.exists():
        path.write_text(secrets.token_hex(8))
    return path.read_text()


def read(name):
    return (STATE / name).read_text() if (STATE / name).exists() else ""


def of_new_tap(line):
    """What a new pod's tap has: what the last release says, unless nobody of it came up."""
    if "SNAPLEN" in line:
        return "1000" if "snaplen=1000" in read("release") and FAULT != "late-configuration" else "262144"
    return "sidetap-not-there" if "sidetap-not-there" in read("release") and FAULT == "broken-image" else "sidetap-sidecar"


def names(pod):
    if FAULT == "untapped" and pod == "client":
        return " client"
    return {"sensor": " sensor", "opted-out": " server"}.get(pod, f"sidetap {pod}")


def get(arguments, line):
    if "--raw" in arguments:
        if "metrics" in line:
            print("sidetap_captures{interface=\"eth0\"}", 0 if FAULT == "disconnected" else 1)
            print("sidetap_registry_alone_total", 1 if FAULT == "alone" else 0)
    elif "nodes" in arguments:
        print("10.244.0.0/24 10.244.1.0/24", end="")
    elif "servicecidrs" in arguments:
        print("10.96.0.0/12", end="")
    elif "volumeMounts" in line:
        print("kube-api-access-x7k2p" if FAULT == "api-token" else "sidetap-nothing", end="")
    elif "podIP" in line:
        print(IPS[arguments[2]], end="")
    elif "initContainers" in line:
        print(names(arguments[2]), end="")
    elif "job-name=batch" in line:
        print("batch-x", end="")
    elif "app=server" in line:
        print("server-a", end="")
    elif "component=webhook" in line:
        print("pod/sidetap-webhook-a")
    elif arguments[1] == "pods" and "sidetap-not-there" in read("release"):
        print("sidetap-webhook-b   0/1   Init:ErrImagePull   0   9s")
    elif "ca\\.crt" in line:
        print("another" if FAULT == "lost-ca" and read("release") == "removed" else "authority", end="")
    elif "spec.replicas" in line:
        print(1, end="")
    elif "tls" in line:
        print(certificate(), end="")
    elif "--selector" in arguments and FAULT == "left-over" and "clusterroles" in line:
        print("clusterrole.rbac.authorization.k8s.io/left-over")


def kubectl(arguments):
    line = " ".join(arguments)
    if arguments[0] == "get":
        get(arguments, line)
    elif arguments[0] == "create" and "--dry-run=server" in arguments:
        sys.stdin.read()
        if "?(@.name" in line:
            print(of_new_tap(line), end="")
            return
        print(" application" if FAULT == "admission" else "sidetap application")
    elif arguments[0] == "exec" and "traffic.py" in line:
        flow, _, host, _, count = arguments[-5:]
        made = markers(int(count))
        capture(made, host if host[0].isdigit() else IPS["server-a"])
        print(json.dumps({"flow": flow, "markers": made}))
    elif arguments[0] == "exec":
        hidden = arguments[arguments.index("/captures") + 1:]
        judge = [sys.executable, CLUSTER_TESTS / "judge.py", STATE / "captures", *hidden]
        sys.exit(subprocess.run(judge).returncode)
    elif arguments[0] == "logs" and "sidetap-test" in arguments:
        print("Allow TCP 10250 from the control plane")
    elif arguments[0] == "logs" and "sensor" in arguments:
        print("listening 0.0.0.0:2003")
    elif arguments[0] == "logs":
        made = markers(3)
        capture(made, IPS["server-a"])
        print(json.dumps({"flow": "Job -> Service", "markers": made}))
    elif arguments[0] == "wait" and "job/batch" in line and FAULT == "job":
        sys.exit("error: timed out waiting for the condition on jobs/batch")
    elif arguments[0] == "patch":
        (STATE / "tls.crt").unlink()


def main():
    program = pathlib.Path(sys.argv[0]).name
    with open(STATE / "calls", "a") as log:
        log.write(f"{program} {' '.join(sys.argv[1:])}\n")
    if program == "kubectl":
        kubectl(sys.argv[1:])
    elif sys.argv[1] in ("install", "upgrade", "rollback", "uninstall"):
        (STATE / "release").write_text("removed" if sys.argv[1] == "uninstall" else " ".join(sys.argv[1:]))
    elif sys.argv[1] == "test" and FAULT == "helm-test":
        sys.exit("Error: pod sidetap-test failed")


if __name__ == "__main__":
    main()
