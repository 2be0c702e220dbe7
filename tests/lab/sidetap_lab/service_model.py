"""What the registry is to tell of Services: an account of the rules that is independent of the registry's code. Pure."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """Services by the names of their objects (NAMESPACE/NAME)."""
    hidden: frozenset  # all their backends are tapped: a client's view is left to these
    partly: frozenset  # partly tapped, or counted as such: a client keeps its view
    client_owned: frozenset  # their tapped backends, (pod, protocol, port): a tapped client owns both directions


def told(services, tapped):
    """tapped: names of the pods whose taps forward."""
    ends = {}
    for service in services:
        if not service.headless:
            ends.setdefault(service.object, set()).update((pod, service.protocol, port) for pod, port in service.backends)
    waiting = [name for name, backends in ends.items() if _is_mixed(name, backends, tapped, ends)]
    partly = set()
    while waiting:
        name = waiting.pop()
        if name not in partly:
            partly.add(name)
            waiting += [other for other, backends in ends.items() if backends & ends[name]]
    hidden = {name for name, backends in ends.items()
              if backends and name not in partly and all(pod in tapped for pod, _, _ in backends)}
    client_owned = {end for name in partly for end in ends[name] if end[0] in tapped}
    return Told(frozenset(hidden), frozenset(partly), frozenset(client_owned))


def _is_mixed(name, backends, tapped, ends):
    """Whether some backends are tapped and some are not. A node may answer itself for a Service that has an upstream
    (NodeLocal DNSCache)."""
    count = sum(pod in tapped for pod, _, _ in backends)
    return 0 < count < len(backends) or f"{name}-upstream" in ends
