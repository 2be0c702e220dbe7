#!/usr/bin/env python3
"""Shows what a sensor sees of one request to a pod in a service mesh: without the mesh's plaintext, with it, and with it alone.

The pod has the rules of Istio's init container, and HAProxy as its proxy, with mutual TLS."""
import argparse
import os
import signal
import sys

DEMO = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(DEMO))
sys.dont_write_bytecode = True

TEXTS = {
    "off": "--mesh off: the wire, as every network sensor sees it",
    "both": "--mesh both: and what passes between proxy and application",
    "plaintext": "--mesh plaintext: the same without the ciphertext",
}
SECRET = "what-only-the-application-should-see"


def load(binaries):
    """The lab of the tests, with Istio's data path."""
    os.environ["SIDETAP_BINARIES"] = binaries
    sys.path.insert(0, os.path.join(ROOT, "tests", "mesh"))
    import meshes  # pylint: disable=import-outside-toplevel
    from mesh_lab import MeshTest  # pylint: disable=import-outside-toplevel

    class Shown(MeshTest):
        MESH = meshes.ISTIO

        def runTest(self):  # noqa: N802
            """Not as a test."""

        def keep_for_checksums(self):
            """The tests look at them."""

    return Shown


def shown(payload):
    if len(payload) > 2 and payload[0] in (0x14, 0x15, 0x16, 0x17) and payload[1] == 3:
        return f"TLS, {len(payload)} bytes"
    return payload.split(b"\r\n")[0].decode(errors="replace") if payload else ""


def show(lab, mode):
    """Sends one request, and prints the packets that the sensor has got of it. Returns how many of them show the request."""
    lab.start_application()
    lab.start_proxy()
    lab.start_tap(mode, wait_for_mesh=mode != "off")
    with lab.connect() as connection:
        lab.ask(connection, SECRET)
    packets = [packet for packet in lab.finish() if packet.payload]
    print(f"\n{TEXTS[mode]}")
    for packet in packets:
        ends = f"{packet.source}:{packet.source_port} > {packet.destination}:{packet.destination_port}"
        print(f"  {ends:42} {shown(packet.payload)}")
    return sum(SECRET.encode() in packet.payload and packet.payload.startswith(b"GET") for packet in packets)


def main():
    parser = argparse.ArgumentParser(prog="deploy/demo/run.sh --mesh", description=__doc__)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"), help="where the programs are")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    Lab = load(options.bin)
    seen = {}
    for mode in TEXTS:
        lab = Lab()
        try:
            lab.setUp()
            seen[mode] = show(lab, mode)
        except KeyboardInterrupt:
            print("interrupted; everything is cleaned up", file=sys.stderr)
            return 130
        except (AssertionError, RuntimeError, OSError) as error:
            print(f"the demo failed: {error}", file=sys.stderr)
            return 1
        finally:
            lab.doCleanups()
    right = seen == {"off": 0, "both": 1, "plaintext": 1}
    print(f"\nthe request was seen in the clear {', '.join(f'{count} times with {mode}' for mode, count in seen.items())}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
