#!/usr/bin/env python3
"""Looks for marked messages in sensors' capture files, in a folder and those beneath it: each exactly once, and under no
Service's address.

  judge.py FOLDER [--through ADDRESS[,ADDRESS...]] [HIDDEN-CIDR...] <MARKERS
  judge.py FOLDER --unseen <MARKERS

Standard input: the JSON lines of `traffic.py ask`; those of one flow are counted together. Prints a table; exits 1 when
a message was lost, came twice, shows an address of a HIDDEN-CIDR, or was sent to the sensor by somebody else than these
ADDRESSes. With --unseen, exits 1 when any message is there. Waits up to JUDGE_PATIENCE (20) seconds for what is still on
its way.
"""
import argparse
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


def survey(folder, wanted, hidden, through=()):
    """How often each wanted marker came, which came under a hidden address, and which of another peer than those."""
    seen, wrong_view, wrong_way = {}, set(), set()
    for path in sorted(folder.rglob("*.pcap")):
        # The reference sensor calls it PEER-NUMBER.pcap.
        stranger = bool(through) and path.stem.rpartition("-")[0] not in through
        for frame in frames(path):
            for match in MARKER.findall(frame):
                marker = match.decode()
                if marker not in wanted:
                    continue
                seen[marker] = seen.get(marker, 0) + 1
                if stranger:
                    wrong_way.add(marker)
                if any(address in network for address in addresses(frame) for network in hidden
                       if network.version == address.version):
                    wrong_view.add(marker)
    return seen, wrong_view, wrong_way


def wait_and_survey(folder, wanted, hidden, through=(), unseen=False):
    """The survey once everything is there that is still on its way."""
    deadline = time.monotonic() + PATIENCE
    while (unseen or len(survey(folder, wanted, hidden)[0]) < len(wanted)) and time.monotonic() < deadline:
        time.sleep(1)
    # What comes twice comes a little later.
    time.sleep(min(1.0, PATIENCE))
    return survey(folder, wanted, hidden, through)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--through", default="", metavar="ADDRESS[,ADDRESS...]")
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("hidden", nargs="*", type=ipaddress.ip_network, metavar="HIDDEN-CIDR")
    return parser.parse_intermixed_args()


def main():
    options = arguments()
    through = [address for address in options.through.split(",") if address]
    flows = {}
    for line in filter(str.strip, sys.stdin):
        asked = json.loads(line)
        flows.setdefault(asked["flow"], []).extend(asked["markers"])
    wanted = {marker for markers in flows.values() for marker in markers}
    if not wanted:
        sys.exit("judge.py: no markers on standard input")
    seen, wrong_view, wrong_way = wait_and_survey(options.folder, wanted, options.hidden, through, options.unseen)

    faults = 0
    print(f"{'flow':<44} {'sent':>6} {'forwarded':>9} {'lost':>6} {'doubled':>7} {'wrong view':>10} {'wrong way':>9}")
    for flow, markers in flows.items():
        counts = [seen.get(marker, 0) for marker in markers]
        lost = 0 if options.unseen else sum(count == 0 for count in counts)
        doubled = sum(count - 1 for count in counts if count > 1)
        view = sum(marker in wrong_view for marker in markers)
        way = sum(marker in wrong_way for marker in markers)
        faults += sum(counts) if options.unseen else lost + doubled + view + way
        print(f"{flow:<44} {len(counts):>6} {sum(counts):>9} {lost:>6} {doubled:>7} {view:>10} {way:>9}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
