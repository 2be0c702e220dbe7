#!/usr/bin/env python3
"""The lab with the registry: steady traffic while taps, sensors and replicas come and go. Counts what is lost and doubled
outside of the documented windows (nothing may be) and measures the windows."""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab.namespaces import why_not  # noqa: E402
from sidetap_lab.registry_judge import Verdict, Window  # noqa: E402
from sidetap_lab.registry_lab import RegistryLab  # noqa: E402
from sidetap_lab.registry_scenarios import SCENARIOS  # noqa: E402
from sidetap_lab.runs import SKIPPED, add_arguments, are_built, in_folder  # noqa: E402

ATTEMPTS = 3


def attempt(lab, name):
    """The verdict of a scenario; it is run anew where packets were lost before any tap could look at them."""
    for _ in range(ATTEMPTS):
        SCENARIOS[name](lab)
        verdict = lab.verdict(name)
        print(verdict.line(), flush=True)
        for fault in verdict.faults:
            print(f"    {fault}", flush=True)
        if verdict.within or not verdict.overrun:
            break
        print(f"    the machine is busy: the kernel has dropped {verdict.overrun} packets before the taps read them", flush=True)
    return verdict


def run(options, names, folder):
    """Returns how many scenarios were not as documented."""
    wrong, windows, begun = 0, [], time.monotonic()
    with RegistryLab(options.bin, folder, keep=options.keep) as lab:
        lab.start_control()
        lab.start_taps()
        print(Verdict.heading(), flush=True)
        for name in names:
            verdict = attempt(lab, name)
            wrong += not verdict.within
            windows += verdict.windows
            if dead := lab.dead_taps():
                raise RuntimeError(f"ended by itself: {', '.join(dead)}; logs are in {folder}")
        if dropped := lab.truth_dropped():
            raise RuntimeError(f"the lab's own capture has lost {dropped} packets; the comparison is void")
    print(f"\nThe windows (deploy/docs/registry.md), seconds from the change:\n{Window.heading()}")
    for window in windows:
        print(window.line())
    print(f"{len(names)} scenarios in {time.monotonic() - begun:.0f} s, {wrong} of them not as documented", flush=True)
    return wrong


def arguments():
    parser = argparse.ArgumentParser(prog="tests/lab/run.sh registry", description=__doc__)
    parser.add_argument("--scenario", action="append", metavar="NAME", help="run this one only; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios and end")
    add_arguments(parser)
    return parser.parse_args()


def main():
    options = arguments()
    if options.list:
        print("\n".join(SCENARIOS))
        return 0
    if reason := why_not():
        print(f"skipped: {reason}")
        return SKIPPED
    if unknown := [name for name in options.scenario or () if name not in SCENARIOS]:
        print(f"no scenario is called {', '.join(unknown)} (see --list)", file=sys.stderr)
        return 2
    if not are_built(options.bin, ("sidetap-sidecar", "sidetap-sensor", "sidetap-webhook")):
        return 2
    names = [name for name in SCENARIOS if name in (options.scenario or SCENARIOS)]
    return in_folder(lambda folder: run(options, names, folder), options.keep)


if __name__ == "__main__":
    sys.exit(main())
