#!/usr/bin/env python3
"""Looks for marked messages in sensors' capture files, in a folder and those beneath it: each exactly once, and under no
Service's address.

  judge.py FOLDER [HIDDEN-CIDR...] <MARKERS

Standard input: the JSON lines of `traffic.py ask`; those of one flow are counted together. Prints a table; exits 1 when
a message was lost, came twice, or shows an address of a HIDDEN-CIDR. Waits up to JUDGE_PATIENCE (20) seconds for what is
still on its way.
"""
import ipaddress
import json
import os
import pathlib
import re
import struct
import sys
import time

MARKER = re.compile(rb"<[0-9a-f]{18}>|\[[0-9a-f]{18}\]")
PATIENCE = float(os.environ.get("JUDGE_PATIENCE", "20"))


def frames(path):
    """Frames of a pcap file; an unfinished one at its end is left out."""
    data = path.read_bytes()
    if len(data) < 24:
        return
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[data[:4]]
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        if at + 16 + length > len(data):
            return
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def addresses(frame):
    """Source and destination of an Ethernet frame with IPv4 or IPv6."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        return [ipaddress.ip_address(frame[26:30]), ipaddress.ip_address(frame[30:34])]
    if kind == b"\x86\xdd":
        return [ipaddress.ip_address(frame[22:38]), ipaddress.ip_address(frame[38:54])]
    return []


def survey(folder, wanted, hidden):
    """How often each wanted marker came, and which came under a hidden address."""
    seen, wrong_view = {}, set()
    for path in sorted(folder.rglob("*.pcap")):
        for frame in frames(path):
            for match in MARKER.findall(frame):
                marker = match.decode()
                if marker not in wanted:
                    continue
                seen[marker] = seen.get(marker, 0) + 1
                if any(address in network for address in addresses(frame) for network in hidden
                       if network.version == address.version):
                    wrong_view.add(marker)
    return seen, wrong_view


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    hidden = [ipaddress.ip_network(text) for text in sys.argv[2:]]
    flows = {}
    for line in filter(str.strip, sys.stdin):
        asked = json.loads(line)
        flows.setdefault(asked["flow"], []).extend(asked["markers"])
    wanted = {marker for markers in flows.values() for marker in markers}
    if not wanted:
        sys.exit("judge.py: no markers on standard input")

    deadline = time.monotonic() + PATIENCE
    seen, wrong_view = survey(folder, wanted, hidden)
    while len(seen) < len(wanted) and time.monotonic() < deadline:
        time.sleep(1)
        seen, wrong_view = survey(folder, wanted, hidden)
    # What comes twice comes a little later.
    time.sleep(min(1.0, PATIENCE))
    seen, wrong_view = survey(folder, wanted, hidden)

    faults = 0
    print(f"{'flow':<44} {'sent':>6} {'forwarded':>9} {'lost':>6} {'doubled':>7} {'wrong view':>10}")
    for flow, markers in flows.items():
        counts = [seen.get(marker, 0) for marker in markers]
        lost = sum(count == 0 for count in counts)
        doubled = sum(count - 1 for count in counts if count > 1)
        view = sum(marker in wrong_view for marker in markers)
        faults += lost + doubled + view
        print(f"{flow:<44} {len(counts):>6} {sum(counts):>9} {lost:>6} {doubled:>7} {view:>10}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
