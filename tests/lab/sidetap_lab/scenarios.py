"""Every situation in which a packet passes two taps, or one, or one twice, in the order in which they run."""
from . import flow_scenarios, link_scenarios, tap_scenarios  # noqa: F401  each registers its own
from .scenario import SCENARIOS

__all__ = ["SCENARIOS"]
