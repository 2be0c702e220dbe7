#!/usr/bin/env python3
"""The results of forward.sh: a row of its table, and a line of JSON, from what one measurement left in its folder.

There are figures.json (forward.sh), sensor.json (the sensor's totals), tap.log (the tap's last words) and, where
traffic.py sent, traffic.log.
"""
import argparse
import json
import os
import re

COLUMNS = (("tap", 10), ("kind", 14), ("kpkt/s", 7), ("Mbit/s", 7), ("offered", 9), ("arrived", 9), ("bytes %", 7),
           ("ring", 8), ("tap", 8), ("socket", 7), ("way", 8), ("CPU %", 6), ("ns/byte", 8), ("ns/pkt", 7), ("RSS idle", 8),
           ("peak", 7), ("p50 us", 7), ("p99 us", 8))
# Headers of a packet: Ethernet, IPv4, and TCP with time stamps or UDP.
TCP_HEADERS, UDP_HEADERS = 66, 42
UDP_KINDS = {"udp1400", "udp18", "low", "startup", "life", "away"}


def line(values):
    cells = [str(value).ljust(width) if i < 2 else str(value).rjust(width)
             for i, (value, (_, width)) in enumerate(zip(values, COLUMNS))]
    return " ".join(cells).rstrip()


def last_words(log):
    """Name to number of the ledger that sidetap-sidecar logs at its end; empty for other taps."""
    return {name: int(value) for name, value in re.findall(r"dropped_(\w+)=(\d+)", log)}


def payload(size, packets, kind):
    """Bytes without headers. A piece of several segments that is captured whole has them once, one that the tap split
    for each: without headers both are the same."""
    return size - packets * (UDP_HEADERS if kind.split("+")[0] in UDP_KINDS else TCP_HEADERS)


def results(figures, sensor, log, traffic=""):
    """One measurement, as report.py reads it. What is not known is None."""
    ledger = last_words(log)
    cpu = figures["ticks"] / figures["ticks_per_second"]
    session = max(sensor["taps"], key=lambda tap: tap["packets"], default=None)
    wire = payload(figures["wire_bytes"], figures["wire_packets"], figures["kind"])
    arrived = payload(sensor["bytes"], sensor["packets"], figures["kind"])
    # Another tap's STATS are of the moment when the sensor asked last, if it did.
    ring = session["stats"]["dropped_by_kernel"] if session and session["stats"]["received"] else None
    measured = {name: figures[name] for name in (
        "tap", "kind", "run", "limits", "elapsed", "wire_packets", "wire_bytes", "died", "idle_kib", "peak_kib", "machine",
        "throttled_ms", "limited_peak_kib", "oom_kills") if name in figures}
    if traffic:  # without the time that its interpreter took to start
        measured["elapsed"] = json.loads(traffic)["seconds"]
    return measured | {
        "arrived_packets": sensor["packets"], "arrived_bytes": sensor["bytes"],
        "percent": 100 * arrived / wire if wire > 0 else None,
        "ring": ledger.get("kernel_ring", ring),
        "tap_dropped": sum(value for name, value in ledger.items() if name != "kernel_ring") if ledger else None,
        "socket": figures["socket_drops"], "way": sensor["missing_packets"], "cpu_seconds": cpu,
        "ns_per_byte": cpu * 1e9 / sensor["bytes"] if sensor["bytes"] else None,
        "ns_per_packet": cpu * 1e9 / sensor["packets"] if sensor["packets"] else None,
        "p50_us": session["latency_us"]["p50"] if session else None,
        "p99_us": session["latency_us"]["p99"] if session else None}


def row(result):
    def shown(value, form):
        return "-" if value is None else form.format(value)
    elapsed = result["elapsed"]
    return line((
        result["tap"], result["kind"], f"{result['arrived_packets'] / elapsed / 1e3:.1f}",
        f"{result['arrived_bytes'] * 8 / elapsed / 1e6:.0f}", result["wire_packets"], result["arrived_packets"],
        shown(result["percent"], "{:.2f}"), shown(result["ring"], "{}"), shown(result["tap_dropped"], "{}"),
        result["socket"], result["way"], f"{100 * result['cpu_seconds'] / elapsed:.0f}",
        shown(result["ns_per_byte"], "{:.2f}"), shown(result["ns_per_packet"], "{:.0f}"),
        f"{result['idle_kib'] / 1024:.1f}M", f"{result['peak_kib'] / 1024:.1f}M",
        shown(result["p50_us"], "{}"), shown(result["p99_us"], "{}")))


def read(folder, name):
    if not os.path.exists(os.path.join(folder, name)):
        return ""
    with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--head", action="store_true", help="print the names of the columns")
    what.add_argument("--row", metavar="FOLDER", help="print the row of one measurement")
    parser.add_argument("--results", metavar="FILE", help="append the measurement to FILE as a line of JSON")
    arguments = parser.parse_args()
    if arguments.head:
        print(line([name for name, _ in COLUMNS]), flush=True)
        return
    result = results(json.loads(read(arguments.row, "figures.json")), json.loads(read(arguments.row, "sensor.json")),
                     read(arguments.row, "tap.log"), read(arguments.row, "traffic.log"))
    if arguments.results:
        with open(arguments.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
    print(row(result), flush=True)


if __name__ == "__main__":
    main()
