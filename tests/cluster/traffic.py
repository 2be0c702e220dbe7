#!/usr/bin/env python3
"""Marked traffic for the test in a cluster: servers, and a client whose every message can be found again.

  traffic.py serve --tcp PORT --udp PORT           answers each message with its marker turned round
  traffic.py ask FLOW KIND HOST PORT COUNT         sends COUNT messages and prints a JSON line of their markers
  traffic.py tls HOST PORT <CA                     whether a server proves its name by this CA, a line of base64

A marker is 20 bytes: "<" + 18 hexadecimal digits + ">" for a request, "[" + the same digits + "]" for its answer. A
message is one packet: the next one is sent when the answer to the last has come.
"""
import base64
import json
import secrets
import socket
import socketserver
import ssl
import sys
import threading
import time

SIZE = 20
PATIENCE = 3.0


def answer_to(request):
    return b"[" + request[1:SIZE - 1] + b"]"


class TcpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pending = b""
        while data := self.request.recv(4096):
            pending += data
            while len(pending) >= SIZE:
                self.request.sendall(answer_to(pending[:SIZE]))
                pending = pending[SIZE:]


class UdpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(answer_to(data), self.client_address)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    address_family = socket.AF_INET6


class UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    address_family = socket.AF_INET6


def serve(tcp, udp):
    threads = []
    for server in (TcpServer(("::", tcp), TcpHandler), UdpServer(("::", udp), UdpHandler)):
        threads.append(threading.Thread(target=server.serve_forever))
        threads[-1].start()
    print(f"serving TCP {tcp} and UDP {udp}", flush=True)
    for thread in threads:
        thread.join()


def connect(kind, host, port):
    """Waits for a server that is just starting."""
    deadline = time.monotonic() + 30
    while True:
        try:
            if kind == "tcp":
                sock = socket.create_connection((host, port), PATIENCE)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.settimeout(PATIENCE)
            sock.connect(address)
            return sock
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def exchange(sock, request):
    sock.sendall(request)
    answer = b""
    while len(answer) < SIZE:
        part = sock.recv(SIZE - len(answer))
        if not part:
            raise ConnectionError("the server closed")
        answer += part
    if answer != answer_to(request):
        raise ConnectionError(f"{answer!r} is no answer to {request!r}")
    return answer


def ask(flow, kind, host, port, count):
    markers = []
    with connect(kind, host, port) as sock:
        for _ in range(count):
            request = b"<" + secrets.token_hex(9).encode() + b">"
            markers += [request.decode(), exchange(sock, request).decode()]
            time.sleep(0.005)
    print(json.dumps({"flow": flow, "markers": markers}), flush=True)


def prove(host, port):
    context = ssl.create_default_context(cadata=base64.b64decode(sys.stdin.readline()).decode())
    with socket.create_connection((host, port), PATIENCE) as plain, context.wrap_socket(plain, server_hostname=host) as proved:
        print(f"{host} speaks {proved.version()}", flush=True)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and arguments[1::2] == ["--tcp", "--udp"]:
        serve(int(arguments[2]), int(arguments[4]))
    elif arguments[:1] == ["ask"] and len(arguments) == 6:
        ask(arguments[1], arguments[2], arguments[3], int(arguments[4]), int(arguments[5]))
    elif arguments[:1] == ["tls"] and len(arguments) == 3:
        prove(arguments[1], int(arguments[2]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
