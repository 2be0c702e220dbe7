"""What the command lines of the labs with the registry have in common."""
import argparse
import sys
import time

from .namespaces import why_not
from .registry_judge import Verdict, Window
from .runs import SKIPPED, add_arguments, are_built, in_folder

_ATTEMPTS = 3
_PROGRAMS = ("sidetap-sidecar", "sidetap-sensor", "sidetap-webhook")


def attempt(lab, name, scenario):
    """The verdict of a scenario; it is run anew where packets were lost before any tap could look at them."""
    for _ in range(_ATTEMPTS):
        scenario(lab)
        verdict = lab.verdict(name)
        print(verdict.line(), flush=True)
        for fault in verdict.faults:
            print(f"    {fault}", flush=True)
        if verdict.within or not verdict.overrun:
            break
        print(f"    the machine is busy: the kernel has dropped {verdict.overrun} packets before the taps read them", flush=True)
    return verdict


def run_all(make_lab, steps, folder):
    """Returns how many scenarios were not as documented. make_lab: gives the lab, as a context; steps(lab): yields
    (name, scenario), and may change the lab between them."""
    wrong, windows, count, begun = 0, [], 0, time.monotonic()
    with make_lab() as lab:
        lab.start_control()
        lab.start_taps()
        print(Verdict.heading(), flush=True)
        for name, scenario in steps(lab):
            verdict = attempt(lab, name, scenario)
            count += 1
            wrong += not verdict.within
            windows += verdict.windows
            if dead := lab.dead_taps():
                raise RuntimeError(f"ended by itself: {', '.join(dead)}; logs are in {folder}")
        if dropped := lab.truth_dropped():
            raise RuntimeError(f"the lab's own capture has lost {dropped} packets; the comparison is void")
    if windows:
        print(f"\nThe windows (deploy/docs/registry.md), seconds from the change:\n{Window.heading()}")
        for window in windows:
            print(window.line())
    print(f"{count} scenarios in {time.monotonic() - begun:.0f} s, {wrong} of them not as documented", flush=True)
    return wrong


def parser(mode, description):
    made = argparse.ArgumentParser(prog=f"tests/lab/run.sh {mode}", description=description)
    made.add_argument("--scenario", action="append", metavar="NAME", help="run this one only; may be repeated")
    made.add_argument("--list", action="store_true", help="print the names of the scenarios and end")
    add_arguments(made)
    return made


def status(options, scenarios, run):
    """The exit status of a command line. run(names of the wanted scenarios, folder) returns how much was wrong."""
    if options.list:
        print("\n".join(scenarios))
        return 0
    if reason := why_not():
        print(f"skipped: {reason}")
        return SKIPPED
    if unknown := [name for name in options.scenario or () if name not in scenarios]:
        print(f"no scenario is called {', '.join(unknown)} (see --list)", file=sys.stderr)
        return 2
    if not are_built(options.bin, _PROGRAMS):
        return 2
    names = [name for name in scenarios if name in (options.scenario or scenarios)]
    return in_folder(lambda folder: run(names, folder), options.keep)
