#!/usr/bin/env python3
"""The table of forward.sh: a row from the figures, the sensor's totals and the tap's last words of one run."""
import json
import os
import re
import sys

COLUMNS = (("tap", 10), ("kind", 8), ("kpkt/s", 8), ("Mbit/s", 8), ("offered", 10), ("arrived", 10), ("ring", 8),
           ("tap", 8), ("way", 8), ("CPU %", 6), ("ns/byte", 8), ("ns/pkt", 7), ("RSS idle", 9), ("RSS busy", 9),
           ("p50 us", 7), ("p99 us", 7))


def line(values):
    cells = [str(value).ljust(width) if i < 2 else str(value).rjust(width)
             for i, (value, (_, width)) in enumerate(zip(values, COLUMNS))]
    return " ".join(cells).rstrip()


def dropped_by_tap(log):
    """The sum of the ledger that sidetap-sidecar logs at its end, the kernel's ring left out; None for other taps."""
    found = re.findall(r"dropped_(\w+)=(\d+)", log)
    return sum(int(value) for name, value in found if name != "kernel_ring") if found else None


def row(folder):
    with open(os.path.join(folder, "figures.json"), encoding="utf-8") as file:
        figures = json.load(file)
    with open(os.path.join(folder, "sensor.json"), encoding="utf-8") as file:
        sensor = json.load(file)
    with open(os.path.join(folder, "tap.log"), encoding="utf-8", errors="replace") as file:
        tap_dropped = dropped_by_tap(file.read())
    cpu = figures["ticks"] / figures["ticks_per_second"]
    arrived, size, elapsed = sensor["packets"], sensor["bytes"], figures["elapsed"]
    session = max(sensor["taps"], key=lambda tap: tap["packets"])
    latency = session["latency_us"]
    return line((
        figures["tap"], figures["kind"], f"{arrived / elapsed / 1e3:.1f}", f"{size * 8 / elapsed / 1e6:.0f}",
        figures["offered"], arrived, session["stats"]["dropped_by_kernel"],
        "-" if tap_dropped is None else tap_dropped, sensor["missing_packets"], f"{100 * cpu / elapsed:.0f}",
        f"{cpu * 1e9 / size:.2f}" if size else "-", f"{cpu * 1e9 / arrived:.0f}" if arrived else "-",
        f"{figures['idle_kib'] / 1024:.1f}M", f"{figures['busy_kib'] / 1024:.1f}M", latency["p50"], latency["p99"]))


if __name__ == "__main__":
    if sys.argv[1:] == ["--head"]:
        print(line([name for name, _ in COLUMNS]), flush=True)
    else:
        print(row(sys.argv[2]), flush=True)
