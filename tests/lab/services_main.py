#!/usr/bin/env python3
"""The lab of Services: conversations by every way to a Service, between pods with and without taps, and a rollout of taps in
the middle of flows. No tap is told the subnets of pods and Services. Each packet has to come once, in the view that is right."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab.registry_runs import parser, run_all, status  # noqa: E402
from sidetap_lab.services_lab import ServicesLab  # noqa: E402
from sidetap_lab.services_scenarios import FILTERED, SCENARIOS  # noqa: E402


def steps(lab, names, settings):
    """Every scenario in each setting of the bridges (net.bridge.bridge-nf-call-iptables) that it can be run in."""
    for setting in settings:
        lab.filter_bridges(setting == 1)
        for name in names:
            if setting == 1 or name not in FILTERED:
                yield f"{name}/{setting}", SCENARIOS[name]


def main():
    made = parser("services", __doc__)
    made.add_argument("--bridge-nf", type=int, choices=[0, 1], action="append",
                      help="net.bridge.bridge-nf-call-iptables of the nodes, shown behind the names (default: 1, then 0)")
    options = made.parse_args()
    settings = options.bridge_nf or [1, 0]

    def run(names, folder):
        return run_all(lambda: ServicesLab(options.bin, folder, keep=options.keep),
                       lambda lab: steps(lab, names, settings), folder)
    return status(options, SCENARIOS, run)


if __name__ == "__main__":
    sys.exit(main())
