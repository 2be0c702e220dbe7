#!/usr/bin/env python3
"""The lab with the registry: steady traffic while taps, sensors and replicas come and go. Counts what is lost and doubled
outside of the documented windows (nothing may be) and measures the windows."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sidetap_lab.registry_lab import RegistryLab  # noqa: E402
from sidetap_lab.registry_runs import parser, run_all, status  # noqa: E402
from sidetap_lab.registry_scenarios import SCENARIOS  # noqa: E402


def main():
    options = parser("registry", __doc__).parse_args()

    def run(names, folder):
        return run_all(lambda: RegistryLab(options.bin, folder, keep=options.keep),
                       lambda lab: ((name, SCENARIOS[name]) for name in names), folder)
    return status(options, SCENARIOS, run)


if __name__ == "__main__":
    sys.exit(main())
