"""How scenarios are registered, and what most of them do. Each sends, and returns the markers that the sensor must have seen;
what else passed the wire is compared packet by packet (see judge.py)."""

SCENARIOS = {}


def scenario(name, families=(4, 6)):
    """Registers a function of (lab, family) once for each family."""
    def register(function):
        for family in families:
            full = name if len(families) == 1 else f"{name}-ipv{family}"
            SCENARIOS[full] = lambda lab, family=family: function(lab, family)
        return function
    return register


def exchanges(lab, family, *conversations, **options):
    """The markers of conversations of (client, protocol, to, port), one after the other."""
    markers = []
    for client, protocol, to, port in conversations:
        markers += lab.exchange(client, protocol, to, port, family, **options)
    return markers
