#!/usr/bin/env python3
"""What tests/cluster/registry.py makes of the registry's answers. The folder of the script is the argument."""
import copy
import sys
import unittest

sys.path.insert(0, sys.argv.pop())
import registry

TAP = {"namespace": "sidetap-e2e", "pod": "client", "to": None, "forwarding": True, "standing": "forwarding",
       "sensors": [{"sensor": "10.0.0.1:2003", "state": "capturing", "reason": ""}]}
RECORD = ("2026-01-02T14:05:00Z", "10.244.1.3", "sidetap-e2e/server-a", "uid-a")
HELD = {"state": "held", "holder": {"namespace": "sidetap-e2e", "pod": "server-a", "uid": "uid-a"}}


def changed(document, **members):
    return {**copy.deepcopy(document), **members}


class Taps(unittest.TestCase):
    def faults(self, *taps):
        return registry.wrong_taps({"taps": list(taps)}, "sidetap-e2e", "10.0.0.1:2003")

    def test_taps_at_the_sensor_are_right_and_others_do_not_count(self):
        gone = changed(TAP, to="2026-01-02T14:05:00Z", sensors=[])
        elsewhere = changed(TAP, namespace="shop", sensors=[])
        self.assertEqual(self.faults(TAP, gone, elsewhere), [])

    def test_none_at_all_or_one_elsewhere_is_a_fault(self):
        self.assertTrue(self.faults())
        old, dialling = {"sensor": "10.0.0.2:2003", "state": "capturing"}, {"sensor": "10.0.0.1:2003", "state": "dialling"}
        for sensors in ([], None, [old], [dialling], [*TAP["sensors"], old]):
            self.assertEqual(len(self.faults(TAP, changed(TAP, sensors=sensors))), 1)
        self.assertTrue(self.faults(changed(TAP, forwarding=False)))


class Identities(unittest.TestCase):
    def test_the_pod_that_kubectl_named_is_right(self):
        self.assertIsNone(registry.wrong_identity(HELD, RECORD))

    def test_another_pod_the_same_name_anew_and_no_answer_are_faults(self):
        for holder in ({"uid": "uid-b"}, {"pod": "server-b"}, {"namespace": "shop"}):
            self.assertIn("instead of", registry.wrong_identity(changed(HELD, holder={**HELD["holder"], **holder}), RECORD))
        for state in ("uncertain", "unknown"):
            self.assertIn(state, registry.wrong_identity({"state": state, "holder": None}, RECORD))


if __name__ == "__main__":
    unittest.main()
