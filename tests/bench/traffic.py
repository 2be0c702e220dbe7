#!/usr/bin/env python3
"""The traffic of forward.sh that iperf3 does not make: bursts, short connections, many flows, a pod's first packets.

One or more receivers in the node's namespace share their ports; the sender is in the pod's. The sender prints a line of
JSON when it has sent all: bytes, seconds, and of bursts how long each took.
"""
import argparse
import json
import os
import selectors
import signal
import socket
import sys
import time

SINK, ANSWERS = 5301, 5302
REQUEST, ANSWER = bytes(200), bytes(2000)
FLOW_MESSAGE, DATAGRAM = bytes(100), bytes(1000)
TICK = 0.005  # seconds


def listen(kind, address, port):
    listener = socket.socket(socket.AF_INET, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address, port))
    if kind == socket.SOCK_STREAM:
        listener.listen(4096)
    listener.setblocking(False)
    return listener


class Receiver:
    """Takes everything on one port, streams and datagrams, and answers each connection to the other."""

    def __init__(self, address):
        self.ready = selectors.DefaultSelector()
        self.room = bytearray(1 << 20)
        self.watch(listen(socket.SOCK_STREAM, address, SINK), self.accept_for(self.swallow))
        self.watch(listen(socket.SOCK_DGRAM, address, SINK), self.swallow_datagrams)
        self.watch(listen(socket.SOCK_STREAM, address, ANSWERS), self.accept_for(self.answer))

    def watch(self, connection, what):
        self.ready.register(connection, selectors.EVENT_READ, what)

    def accept_for(self, what):
        def accept(listener):
            try:
                while True:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    self.watch(connection, what)
            except BlockingIOError:
                pass
        return accept

    def drop(self, connection):
        self.ready.unregister(connection)
        connection.close()

    def swallow(self, connection):
        try:
            if not connection.recv_into(self.room):
                self.drop(connection)
        except OSError:
            self.drop(connection)

    def swallow_datagrams(self, port):
        try:
            while True:
                port.recv_into(self.room)
        except BlockingIOError:
            pass

    def answer(self, connection):
        try:
            if connection.recv_into(self.room):
                connection.sendall(ANSWER)
        except OSError:
            pass
        self.drop(connection)

    def run(self):
        while True:
            for key, _ in self.ready.select():
                key.data(key.fileobj)


def connected(address, port):
    connection = socket.create_connection((address, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def finish(connection):
    """Returns when the other side has taken everything."""
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
    connection.close()


def wait_until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


def send_bursts(address, size, rate, count):
    data = memoryview(bytes(1 << 20))
    connection = connected(address, SINK)
    begin, took = time.monotonic(), []
    for number in range(count):
        wait_until(begin + number / rate)
        started = time.monotonic()
        for _ in range(size >> 20):
            connection.sendall(data)
        took.append(round((time.monotonic() - started) * 1000, 2))
    finish(connection)
    return {"bytes": size * count, "burst_ms": took}


def send_connections(address, rate, seconds):
    begin, count = time.monotonic(), int(rate * seconds)
    for number in range(count):
        wait_until(begin + number / rate)
        with connected(address, ANSWERS) as connection:
            connection.sendall(REQUEST)
            while connection.recv(65536):
                pass
    return {"bytes": count * (len(REQUEST) + len(ANSWER)), "connections": count}


def paced(rate, seconds, send):
    """Calls send() so many times a second, many at a time; returns how often."""
    begin, done = time.monotonic(), 0
    while (passed := time.monotonic() - begin) < seconds:
        while done < rate * passed:
            send(done)
            done += 1
        time.sleep(TICK)
    return done


def send_flows(address, flows, rate, seconds):
    """Opens all connections, then sends a small message on each in turn."""
    connections = [connected(address, SINK) for _ in range(flows)]
    sent = paced(rate, seconds, lambda number: connections[number % flows].sendall(FLOW_MESSAGE))
    for connection in connections:
        connection.close()
    return {"bytes": sent * len(FLOW_MESSAGE), "connections": flows}


def in_two(work):
    """A process may not have as many descriptors as there are flows; work() is done in two, and what it returns added up."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    own = work()
    with os.fdopen(reader, "rb") as file:
        other = json.loads(file.read())
    os.waitpid(child, 0)
    return {key: own[key] + other[key] for key in own}


def send_datagrams(address, bits, seconds):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.connect((address, SINK))
        sent = paced(bits / 8 / len(DATAGRAM), seconds, lambda _: port.send(DATAGRAM))
    return {"bytes": sent * len(DATAGRAM)}


def send(arguments):
    address = arguments.address
    if arguments.go:
        with open(arguments.go, encoding="ascii") as file:  # opens when the other side does
            file.read()
    begin = time.monotonic()
    if arguments.kind == "bursts":
        done = send_bursts(address, arguments.megabytes << 20, arguments.rate, arguments.count)
    elif arguments.kind == "connections":
        done = send_connections(address, arguments.rate, arguments.seconds)
    elif arguments.kind == "flows":
        half, rate = arguments.count // 2, arguments.rate / 2
        done = in_two(lambda: send_flows(address, half, rate, arguments.seconds))
    else:
        done = send_datagrams(address, arguments.rate, arguments.seconds)
    done["seconds"] = round(time.monotonic() - begin, 3)
    print(json.dumps(done), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    receiver = what.add_parser("receive", help=f"take everything on port {SINK}, answer on port {ANSWERS}")
    receiver.add_argument("address")
    sender = what.add_parser("send", help="send, and say what was sent")
    sender.add_argument("kind", choices=["bursts", "connections", "flows", "datagrams"])
    sender.add_argument("address")
    sender.add_argument("--megabytes", type=int, default=1, help="size of a burst (default 1)")
    sender.add_argument("--count", type=int, default=10, help="bursts, or flows, an even number (default 10)")
    sender.add_argument("--rate", type=float, default=1, help="bursts, connections or messages a second; of datagrams bits (default 1)")
    sender.add_argument("--seconds", type=float, default=1, help="how long, where the count does not say it (default 1)")
    sender.add_argument("--go", metavar="FIFO", help="wait until somebody has written to it and closed it")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if arguments.what == "receive":
        server = Receiver(arguments.address)
        print("ready", flush=True)
        server.run()
    else:
        send(arguments)


if __name__ == "__main__":
    sys.exit(main())
