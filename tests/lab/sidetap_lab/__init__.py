"""A cluster of network namespaces, its traffic, and what the sensor should have got of it.

Shared by the lab (tests/lab) and the demo (deploy/demo). Python's standard library only.
"""
