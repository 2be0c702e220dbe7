#!/usr/bin/env python3
"""Asks the registry what it knows of taps, as somebody who may, and compares.

  registry.py HOST:PORT taps NAMESPACE SENSOR         each tap of the namespace forwards to this sensor alone
  registry.py HOST:PORT identities <RECORDS           each pod had its address, and nobody else

Standard input begins with a line of a bearer token, and one of the registry's CA, as base64. A record is a line "TIME ADDRESS
NAMESPACE/POD UID": what kubectl said at that time. Exits 1 where the registry says something else.
"""
import base64
import http.client
import json
import ssl
import sys
import urllib.parse

PATIENCE = 10


def wrong_taps(answer, namespace, sensor):
    """What is wrong with the taps of a namespace in an answer of /v1/taps, a line for each fault."""
    taps = [tap for tap in answer["taps"] if tap["namespace"] == namespace and tap["to"] is None]
    faults = [] if taps else [f"no tap in {namespace}"]
    for tap in taps:
        sensors = {(item["sensor"], item["state"]) for item in tap["sensors"] or []}
        if sensors != {(sensor, "capturing")} or not tap["forwarding"]:
            faults.append(f"{tap['pod']} is {tap.get('standing')} with {sorted(sensors)} instead of {sensor}")
    return faults


def wrong_identity(answer, record):
    """What is wrong with an answer of /v1/identities about a record, or None."""
    time, address, pod, uid = record
    if answer["state"] != "held":
        return f"{address} at {time}: {answer['state']} instead of {pod}"
    holder = answer["holder"]
    if holder["uid"] != uid or f"{holder['namespace']}/{holder['pod']}" != pod:
        return f"{address} at {time}: {holder['namespace']}/{holder['pod']} ({holder['uid']}) instead of {pod} ({uid})"
    return None


class Registry:
    def __init__(self, where, token, authority):
        self.host, _, port = where.rpartition(":")
        self.port = int(port)
        self.token = token
        self.context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())

    def ask(self, path):
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=PATIENCE, context=self.context)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            sys.exit(f"{path}: {response.status} {text.strip()}")
        return json.loads(text)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    where, command, *arguments = sys.argv[1:]
    lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if len(lines) < 2:
        sys.exit("registry.py: no token and CA on standard input")
    registry = Registry(where, lines[0].strip(), lines[1])
    if command == "taps" and len(arguments) == 2:
        faults = wrong_taps(registry.ask("/v1/taps"), *arguments)
    elif command == "identities" and not arguments:
        records = [line.split() for line in lines[2:]]
        faults = [] if records else ["nothing to compare"]
        for record in records:
            query = urllib.parse.urlencode({"address": record[1], "at": record[0]})
            faults.append(wrong_identity(registry.ask(f"/v1/identities?{query}"), record))
        print(f"{len(records)} records")
    else:
        sys.exit(__doc__)
    faults = [fault for fault in faults if fault]
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
