#!/usr/bin/env python3
"""The demo's application: serves what its arguments say and, told so on standard input, asks others.

A line of standard input is a JSON object: {"ask": "http", "url": ..., "times": N} or
{"ask": "dns", "server": ..., "name": ..., "family": 4|6, "times": N}. The answer is one line: "ok" or what went wrong.
"""
import argparse
import http.server
import ipaddress
import json
import socket
import socketserver
import struct
import sys
import threading
import urllib.request

TYPE_A, TYPE_AAAA, CLASS_IN = 1, 28, 1


class WebServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and IPv4 by mapped addresses
    request_queue_size = 128


class WebHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"you asked for {self.path}\n".encode() * 20
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class NameServer(socketserver.ThreadingUDPServer):
    address_family = socket.AF_INET6


class NameHandler(socketserver.BaseRequestHandler):
    records = {}

    def handle(self):
        data, connection = self.request
        end = data.index(0, 12) + 5
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += data[at] + 1
        wanted = struct.unpack_from(">H", data, end - 4)[0]
        found = [address for address in self.records.get(".".join(labels), ())
                 if (wanted, address.version) in ((TYPE_A, 4), (TYPE_AAAA, 6))]
        answer = data[:2] + struct.pack(">HHHHH", 0x8580 if found else 0x8583, 1, len(found), 0, 0) + data[12:end]
        for address in found:
            answer += struct.pack(">HHHIH", 0xC00C, wanted, CLASS_IN, 30, len(address.packed)) + address.packed
        connection.sendto(answer, self.client_address)


def ask_http(order):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for number in range(order["times"]):
        with opener.open(f"{order['url']}/{number}", timeout=5) as answer:
            answer.read()


def ask_dns(order):
    kind = TYPE_A if order["family"] == 4 else TYPE_AAAA
    name = b"".join(bytes([len(label)]) + label.encode() for label in order["name"].split(".")) + b"\0"
    for number in range(order["times"]):
        with socket.socket(socket.AF_INET if order["family"] == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.connect((order["server"], 53))
            asking.send(struct.pack(">HHHHHH", number + 1, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", kind, CLASS_IN))
            answer = asking.recv(4096)
            if struct.unpack_from(">HHHH", answer)[3] != 1:
                raise OSError(f"no address for {order['name']}")


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, metavar="PORT")
    parser.add_argument("--dns", type=int, metavar="PORT")
    parser.add_argument("--record", action="append", default=[], metavar="NAME=ADDRESS,...")
    options = parser.parse_args()
    if options.http:
        serve(WebServer(("::", options.http), WebHandler))
    if options.dns:
        for record in options.record:
            name, addresses = record.split("=")
            NameHandler.records[name] = [ipaddress.ip_address(address) for address in addresses.split(",")]
        serve(NameServer(("::", options.dns), NameHandler))
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            {"http": ask_http, "dns": ask_dns}[order["ask"]](order)
            print("ok", flush=True)
        except OSError as error:
            print(f"{order}: {error}", flush=True)


if __name__ == "__main__":
    main()
