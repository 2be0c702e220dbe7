#!/usr/bin/env python3
"""Makes the tables and charts of the docs from measurements of forward.sh, and takes the measurements.

  report.py measure --out DIR [--tap NAME=COMMAND]   measures everything, which takes hours, then writes
  report.py write DIR/results.jsonl --out DIR        writes DIR/figures.md and the charts, from measurements taken before

Each figure is the median of its rounds; where they differ, the lowest and the highest stand behind it.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

import bar_chart

HERE = os.path.dirname(os.path.abspath(__file__))
BURSTS = [f"burst{size}x{rate}" for rate in (1, 10) for size in (1, 4, 16, 64)]
STEADY = ["udp1400", "udp18", "tcp", "mixed", "low"]
PODS = ["conns", "flows", "startup", "life", "away", "burst16x1+busy", "tcp+busy", "startup+busy"]
WORDS = {"udp1400": "UDP, 1400 bytes, full rate", "udp18": "UDP, 18 bytes, full rate", "tcp": "TCP, limited to 2 Gbit/s",
         "mixed": "small TCP writes and UDP", "low": "200 datagrams a second", "soak": "TCP, limited to 1 Gbit/s",
         "conns": "500 connections a second", "flows": "20,000 flows", "startup": "from the first moment",
         "life": "a life of one second", "away": "the sensor comes late"}
# Of one measurement: heading, name and form.
STAGES = (("On the wire", "wire_packets", "count"), ("Kernel's ring", "ring", "count"), ("Tap", "tap_dropped", "count"),
          ("Receiver's socket", "socket", "count"), ("On the way", "way", "count"), ("Arrived", "arrived_packets", "count"),
          ("Bytes", "percent", "percent"))
COST = (("Packets/s that arrived", "rate", "count"), ("CPU, ns/byte", "ns_per_byte", "number"),
        ("CPU, ns/packet", "ns_per_packet", "number"), ("p99 latency, ms", "p99_ms", "number"),
        ("Resident, idle, MB", "idle_mb", "number"), ("highest, MB", "peak_mb", "number"))


class Unusable(Exception):
    """Results that are none; the text names the line."""


def read_results(path):
    results = []
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                result = json.loads(text)
                result["rate"] = result["arrived_packets"] / result["elapsed"]
                result["p99_ms"] = None if result["p99_us"] is None else result["p99_us"] / 1000
                result["idle_mb"] = result["idle_kib"] / 1024 if result["idle_kib"] else None
                result["peak_mb"] = result["peak_kib"] / 1024
                if result["kind"] == "low":  # too little traffic for a figure of cost
                    result["ns_per_byte"] = result["ns_per_packet"] = None
                results.append(result | {"kind": str(result["kind"]), "tap": str(result["tap"])})
            except (ValueError, KeyError, TypeError) as error:
                raise Unusable(f"{path}, line {number}: not a result of forward.sh --results ({error!r})") from error
    if not results:
        raise Unusable(f"{path}: empty")
    return results


def words_of(kind):
    name, _, busy = kind.partition("+")
    burst = re.fullmatch(r"burst(\d+)x(\d+)", name)
    text = f"{burst[1]} MB, {burst[2]} a second" if burst else WORDS.get(name, name)
    return text + (", CPUs taken" if busy else "")


def spread(results, name):
    """(median, lowest, highest) of what is known; None when nothing is."""
    values = [result[name] for result in results if result.get(name) is not None]
    return (statistics.median(values), min(values), max(values)) if values else None


def one(value, form):
    if form == "percent":
        # What is less than all never reads as all.
        return "100" if value == 100 else f"{int(value * 100) / 100:.2f}" if 99 <= value < 100 else f"{value:.1f}"
    if form == "count":
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(value, form):
    if value is None:
        return "-"
    median, low, high = (one(part, form) for part in value)
    unit = " %" if form == "percent" else ""
    return f"{median}{unit}" if low == high else f"{median}{unit} ({low}-{high})"


class Measurements:
    """Results by kind of traffic and tap, both in the order in which they were measured first."""

    def __init__(self, results):
        self.by = {}
        for result in results:
            self.by.setdefault((result["kind"], result["tap"]), []).append(result)
        self.kinds = list(dict.fromkeys(kind for kind, _ in self.by))
        self.taps = list(dict.fromkeys(tap for _, tap in self.by))
        self.machines = list(dict.fromkeys(result["machine"] for result in results))
        self.limits = list(dict.fromkeys(json.dumps(result["limits"]) for result in results))
        self.rounds = max(len(rounds) for rounds in self.by.values())

    def among(self, kinds):
        """Those of `kinds` that were measured."""
        return [kind for kind in kinds if kind in self.kinds]

    def spread(self, kind, tap, name):
        return spread(self.by.get((kind, tap), []), name)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def arrivals(measured, kinds):
    rows = [[words_of(kind), *(shown(measured.spread(kind, tap, "percent"), "percent") for tap in measured.taps)]
            for kind in kinds]
    return table(["Traffic", *measured.taps], rows)


def details(measured, kinds, columns):
    rows = []
    for kind in kinds:
        words = words_of(kind)
        for tap in measured.taps:
            if (kind, tap) in measured.by:
                rows.append([words, tap, *(shown(measured.spread(kind, tap, name), form) for _, name, form in columns)])
                words = ""
    return table(["Traffic", "Tap", *(heading for heading, _, _ in columns)], rows)


def conditions(measured):
    text = []
    for machine in measured.machines:
        text.append(f"{machine}. Sender, receiver, tap and sensor share the CPUs.")
    for limits in map(json.loads, measured.limits):
        text.append("No limits." if limits is None else
                    f"Each tap has {limits['cpu_millicores']}m of CPU and {limits['memory_bytes'] >> 20} MiB of memory.")
    text.append(f"Each figure is the median of {measured.rounds} rounds, with the lowest and the highest behind it where they "
                "differ." if measured.rounds > 1 else "Each figure is of one round.")
    return " ".join(text) + "\n"


def deaths(measured):
    lines = []
    for (kind, tap), rounds in measured.by.items():
        for count, what in ((sum(bool(r.get("died")) for r in rounds), "died"),
                            (sum(bool(r.get("oom_kills")) for r in rounds), "met its memory limit")):
            if count:
                lines.append(f"- {tap} {what} in {count} of {len(rounds)} rounds: {words_of(kind)}")
    return "\n".join(lines) + "\n" if lines else "No tap died.\n"


def report(measured):
    """The page, as Markdown."""
    bursts = measured.among(BURSTS) or [kind for kind in measured.kinds if re.fullmatch(r"burst\d+x\d+", kind)]
    steady, pods = measured.among(STEADY), measured.among(PODS)
    others = [kind for kind in measured.kinds if kind not in bursts + steady + pods]
    parts = ["# Figures\n", conditions(measured)]
    if bursts:
        parts += ["## Bursts\n", "Ten bursts of TCP at line rate: bytes at the sensor, of bytes on the wire.\n",
                  arrivals(measured, bursts), "![Bytes of bursts that arrive](bursts.svg)\n"]
    if pods + others:
        parts += ["## What pods send\n", "Bytes at the sensor, of bytes on the wire.\n", arrivals(measured, pods + others)]
    if steady:
        parts += ["## Cost\n", details(measured, steady, COST), "![CPU time of a byte](cpu.svg)\n",
                  "![Latency](latency.svg)\n"]
    parts += ["## Losses by stage\n", "Packets. A piece that an offload joined counts once on the wire and in the ring, and at "
              "the sensor as often as the tap has split it.\n", details(measured, measured.kinds, STAGES), deaths(measured)]
    return "\n".join(parts)


def charts(measured):
    """File name to SVG; only those for which there are figures."""
    plans = (("bursts.svg", "Bytes at the sensor of bytes on the wire", "%", "percent", "percent", BURSTS, 100),
             ("cpu.svg", "CPU time of the tap for each byte that arrives", "ns", "ns_per_byte", "number", STEADY[:4], None),
             ("latency.svg", "Latency, 99th percentile", "ms", "p99_ms", "number", STEADY, None))
    made = {}
    for file, title, unit, name, form, kinds, most in plans:
        groups = [(words_of(kind), [measured.spread(kind, tap, name) for tap in measured.taps])
                  for kind in measured.among(kinds)]
        if groups:
            made[file] = bar_chart.svg(title, unit, measured.taps, groups, lambda value, form=form: one(value[0], form), most)
    return made


def write(results, folder):
    """Makes the page and the charts in the folder, out of a file of results."""
    measured = Measurements(read_results(results))
    if len(measured.taps) > len(bar_chart.COLOURS):
        raise Unusable(f"{results}: more taps than a chart has colours ({len(bar_chart.COLOURS)})")
    os.makedirs(folder, exist_ok=True)
    for name, text in ({"figures.md": report(measured)} | charts(measured)).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


def measure(arguments):
    os.makedirs(arguments.out, exist_ok=True)
    results = os.path.join(arguments.out, "results.jsonl")
    command = [os.path.join(HERE, "forward.sh"), "--limits", "--runs", str(arguments.rounds), "--seconds",
               str(arguments.seconds), "--kinds", arguments.kinds, "--results", results, "--also", "libpcap=--capture libpcap"]
    for name in ("bin", "receive_buffer"):
        if getattr(arguments, name):
            command += ["--" + name.replace("_", "-"), getattr(arguments, name)]
    for tap in arguments.tap:
        command += ["--tap", tap]
    subprocess.run(command, check=True)
    write(results, arguments.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    measuring = what.add_parser("measure", help="measure every kind of traffic at the chart's limits, and write")
    measuring.add_argument("--out", required=True, metavar="DIR", help="folder for results, tables and charts; keeps earlier results")
    measuring.add_argument("--rounds", type=int, default=5, help="default 5")
    measuring.add_argument("--seconds", type=int, default=10, help="of each steady stream (default 10)")
    measuring.add_argument("--kinds", default=",".join(BURSTS + PODS + STEADY), help="default: all that the report shows")
    measuring.add_argument("--tap", action="append", default=[], metavar="NAME=COMMAND", help="as in forward.sh; may be repeated")
    measuring.add_argument("--bin", metavar="DIR", help="folder of the programs (default build/release/bin)")
    measuring.add_argument("--receive-buffer", metavar="BYTES", help="as in forward.sh")
    writing = what.add_parser("write", help="write tables and charts")
    writing.add_argument("results", help="file that forward.sh --results wrote")
    writing.add_argument("--out", required=True, metavar="DIR", help="folder for the tables and charts")
    arguments = parser.parse_args()
    try:
        if arguments.what == "measure":
            measure(arguments)
        else:
            write(arguments.results, arguments.out)
        print(os.path.join(arguments.out, "figures.md"))
    except (Unusable, OSError) as reason:
        sys.exit(f"report.py: {reason}")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)


if __name__ == "__main__":
    main()
