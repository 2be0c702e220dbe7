#!/usr/bin/env python3
"""The results of collector.sh: a line of JSON from what one measurement left in its folder, and the table of the medians.

There are figures.json (collector.sh) and, as far as the row has them, load.json (tap_load), sensor.json (the sensor's
totals) and forward.jsonl (forward.sh).
"""
import argparse
import json
import os
import statistics

# Row and figure: what the table says of it, how it is written, and the target that it is not to exceed.
FIGURES = {
    ("large", "ns_per_byte"): ("large packets: collector's CPU, ns/byte", "{:.3f}", 0.35),
    ("large", "packets_per_second"): ("  packets/s", "{:.0f}", None),
    ("large", "lost"): ("  packets lost", "{:.0f}", 0),
    ("small", "ns_per_packet"): ("small packets: collector's CPU, ns/packet", "{:.1f}", 60),
    ("small", "packets_per_second"): ("  packets/s", "{:.0f}", None),
    ("small", "lost"): ("  packets lost", "{:.0f}", 0),
    ("sessions", "taps"): ("idle taps", "{:.0f}", None),
    ("sessions", "megabytes"): ("  resident memory, MB", "{:.1f}", 100),
    ("sessions", "cpu_percent"): ("  % of a CPU", "{:.2f}", 5),
    ("sessions", "first_seconds"): ("  seconds until all capture, at first", "{:.2f}", None),
    ("sessions", "storm_seconds"): ("  the same, when all come back at once", "{:.2f}", 30),
    ("sessions", "storm_p50_seconds"): ("  and until half of them do", "{:.2f}", None),
    ("sessions", "not_capturing"): ("  taps that did not come back", "{:.0f}", 0),
    ("latency", "p50_us"): ("tap to sensor, two hops: p50, us", "{:.0f}", None),
    ("latency", "p99_us"): ("  p99, us", "{:.0f}", 15_000),
    ("dies", "seconds"): ("a collector dies: seconds until its tap forwards elsewhere", "{:.2f}", 3),
    ("straight", "large_ns_per_byte"): ("straight way: the tap's CPU, large packets, ns/byte", "{:.3f}", None),
    ("straight", "small_ns_per_packet"): ("  small packets, ns/packet", "{:.1f}", None),
    ("straight", "p50_us"): ("  tap to sensor, one hop: p50, us", "{:.0f}", None),
    ("straight", "p99_us"): ("  p99, us", "{:.0f}", None),
}


def of_flow(figures, load, sensor, seconds):
    return {"ns_per_byte": figures["cpu_ns"] / sensor["bytes"] if sensor["bytes"] else None,
            "ns_per_packet": figures["cpu_ns"] / sensor["packets"] if sensor["packets"] else None,
            "packets_per_second": sensor["packets"] / seconds if seconds else None,
            "lost": load["packets"] + load["send_errors"] - sensor["packets"]}


def of_sessions(figures, load):
    storm = load["storms"][-1]
    return {"taps": load["first"]["captured"], "megabytes": figures["resident_kib"] * 1024 / 1e6,
            "cpu_percent": figures["cpu_ns"] / 1e7 / figures["seconds"], "first_seconds": load["first"]["most_seconds"],
            "storm_seconds": storm["most_seconds"], "storm_p50_seconds": storm["p50_seconds"],
            "not_capturing": load["taps"] - storm["captured"]}


def of_latency(sensor):
    session = max(sensor["taps"], key=lambda tap: tap["packets"])
    return {"p50_us": session["latency_us"]["p50"], "p99_us": session["latency_us"]["p99"]}


def of_straight(lines):
    by_kind = {line["kind"]: line for line in lines}
    low = by_kind["low"]
    return {"large_ns_per_byte": by_kind["udp1400"]["ns_per_byte"], "small_ns_per_packet": by_kind["udp18"]["ns_per_packet"],
            "p50_us": low["p50_us"], "p99_us": low["p99_us"]}


def result(row, folder):
    """One measurement by its names in FIGURES. What is not known is None."""
    def read(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return [json.loads(line) for line in file] if name.endswith("l") else json.load(file)
    figures = read("figures.json")
    if row in ("large", "small"):
        measured = of_flow(figures, read("load.json"), read("sensor.json"), figures["sent_seconds"])
    elif row == "sessions":
        measured = of_sessions(figures, read("load.json"))
    elif row == "latency":
        measured = of_latency(read("sensor.json"))
    elif row == "straight":
        measured = of_straight(read("forward.jsonl"))
    else:
        measured = figures
    return {"row": row} | measured


def table(results):
    """A line for each figure of the rows that were measured: the median, its span, and the target."""
    lines = [f"{'':62}{'median':>12}{'least':>12}{'most':>12}{'target':>12}"]
    for (row, name), (text, form, target) in FIGURES.items():
        values = [one[name] for one in results if one["row"] == row and one.get(name) is not None]
        if not values:
            continue
        cells = [form.format(value) for value in (statistics.median(values), min(values), max(values))]
        cells.append("" if target is None else f"<= {target:g}")
        lines.append(f"{text:62}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("result", help="print one measurement as a line of JSON")
    one.add_argument("row", choices=sorted({row for row, _ in FIGURES}))
    one.add_argument("folder")
    several = what.add_parser("table", help="print the table of a file of such lines")
    several.add_argument("file")
    arguments = parser.parse_args()
    if arguments.what == "result":
        print(json.dumps(result(arguments.row, arguments.folder)))
        return
    with open(arguments.file, encoding="utf-8") as file:
        print(table([json.loads(line) for line in file]))


if __name__ == "__main__":
    main()
