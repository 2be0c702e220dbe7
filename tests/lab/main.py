#!/usr/bin/env python3
"""The ownership lab: sends traffic of every kind between pods made of network namespaces, and counts at the sensor."""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab.collector_scenarios import EVENTS  # noqa: E402
from sidetap_lab.judge import Verdict  # noqa: E402
from sidetap_lab.lab import Lab  # noqa: E402
from sidetap_lab.namespaces import why_not  # noqa: E402
from sidetap_lab.payload import MAX_MARKER  # noqa: E402
from sidetap_lab.random_traffic import RandomTraffic  # noqa: E402
from sidetap_lab.runs import SKIPPED, add_arguments, are_built, in_folder  # noqa: E402
from sidetap_lab.scenarios import SCENARIOS  # noqa: E402


def run_scenario(lab, name):
    lab.judge.open()
    try:
        if event := EVENTS.get(name):
            messages = event.happen(lab)
            lab.judge.settle()
            return lab.judge.verdict(name, messages, event.may_lose)
        messages = SCENARIOS[name](lab)
        lab.judge.settle()
        return lab.judge.verdict(name, messages)
    except RuntimeError as error:
        return Verdict(name, notes=[" ".join(str(error).split())[-300:]])


def report(lab, verdict):
    print(verdict.line(), flush=True)
    if not verdict.exact:
        for kind, lines in lab.judge.faults.items():
            for text, times in lines:
                print(f"    {kind}: {text}{f' ({times} times)' if times > 1 else ''}", flush=True)


def run_random(lab, seconds, seed):
    """Rounds of random traffic until the time is over; returns (the number of rounds that were not exact, packets lost)."""
    traffic = RandomTraffic(lab, seed)
    total, rounds, flows, wrong = Verdict(f"random, seed {seed}"), 0, 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lab.judge.open()
        messages, sent = traffic.round()
        lab.judge.settle()
        rounds, flows = rounds + 1, flows + sent
        verdict = lab.judge.verdict(f"random, seed {seed}, round {rounds}", messages)
        if not verdict.exact:
            wrong += 1
            report(lab, verdict)
            for marker in verdict.absent[:5]:
                print(f"    message not seen: {traffic.told.get(marker & MAX_MARKER)}", flush=True)
        for field in ("wire", "forwarded", "lost", "doubled", "stray", "spoiled", "absent"):
            setattr(total, field, getattr(total, field) + getattr(verdict, field))
    print(f"{total.line()}  {flows} flows in {rounds} rounds", flush=True)
    return wrong, total.lost


def report_ledger(lab, lost):
    """Ends the taps, the collectors and the sensor; returns the number of faults in what they say."""
    ledger = lab.close_ledger()
    faults = ledger.faults(lost)
    print(f"{'ledger over both hops':<44} {'adds up' if not faults else 'WRONG'}: {ledger.line()}", flush=True)
    for fault in faults:
        print(f"    {fault}", flush=True)
    return len(faults)


def run(options, names, folder):
    wrong = lost = 0
    with Lab(options.bin, folder, options.data, options.keep, options.tapped_peers, options.service_view,
             options.collectors) as lab:
        lab.start_taps()
        lab.judge.calm()
        print(Verdict.heading(), flush=True)
        for name in names:
            if options.verbose:
                print(f"... {name}", flush=True)
            verdict = run_scenario(lab, name)
            report(lab, verdict)
            wrong += not verdict.exact
            lost += verdict.lost + verdict.spared
            if dead := lab.dead_taps():
                raise RuntimeError(f"ended by itself: {', '.join(dead)}; logs are in {folder}")
        if options.random:
            rounds, packets = run_random(lab, options.random, options.seed)
            wrong, lost = wrong + rounds, lost + packets
        if lab.collectors:
            wrong += report_ledger(lab, lost)
        if dropped := lab.truth_dropped():
            raise RuntimeError(f"the lab's own capture has lost {dropped} packets; the comparison is void")
    return wrong


def arguments():
    parser = argparse.ArgumentParser(prog="tests/lab/run.sh", description=__doc__)
    parser.add_argument("--scenario", action="append", metavar="NAME", help="run this one only, or those whose names begin so; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios and end")
    parser.add_argument("--random", type=float, default=0, metavar="SECONDS", help="random traffic for so long (default 0); alone: no scenarios")
    parser.add_argument("--with-scenarios", action="store_true", help="the scenarios too, where --random is given")
    parser.add_argument("--seed", type=int, help="seed of the random traffic (default: a fresh one, printed)")
    parser.add_argument("--data", choices=["udp", "tcp"], default="udp", help="how the sensor asks for packets (default udp)")
    parser.add_argument("--tapped-peers", metavar="VALUE", help="TAPPED_PEERS of every tap (default: each tapped pod by its addresses)")
    parser.add_argument("--service-view", choices=["auto", "never", "always"], default="auto", help="SERVICE_VIEW of every tap (default auto)")
    parser.add_argument("--collectors", type=int, choices=range(10), default=0, metavar="NUMBER",
                        help="collectors between taps and sensor (default 0); with any, what can happen to them is among the scenarios")
    add_arguments(parser)
    parser.add_argument("--verbose", action="store_true", help="name each scenario before it starts")
    return parser.parse_args()


def main():
    options = arguments()
    names = [*SCENARIOS, *(name for name, event in EVENTS.items() if event.least <= options.collectors)]
    if options.list:
        print("\n".join(names))
        return 0
    if reason := why_not():
        print(f"skipped: {reason}")
        return SKIPPED
    if not are_built(options.bin, ("sidetap-sidecar", "sidetap-sensor")):
        return 2
    if options.scenario:
        names = [name for name in names if any(name.startswith(wanted) for wanted in options.scenario)]
        if not names:
            print(f"no scenario is called {', '.join(options.scenario)} (see --list)", file=sys.stderr)
            return 2
    elif options.random and not options.with_scenarios:
        names = []
    if options.seed is None:
        options.seed = random.SystemRandom().getrandbits(32)
    return in_folder(lambda folder: run(options, names, folder), options.keep)


if __name__ == "__main__":
    sys.exit(main())
