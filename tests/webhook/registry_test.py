#!/usr/bin/env python3
"""The registry as the program serves it: its own port and limits, apart from the reviews."""
import socket
import unittest

import webhook as live

UPGRADE = (b"GET /v1/taps HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def frame(text):
    """A masked text frame; the mask is zeros."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


class Registry(unittest.TestCase):
    def setUp(self):
        self.secret = live.Secret()
        self.addCleanup(self.secret.close)
        self.secret.publish_made("ca1")
        self.context = self.secret.trust("ca1")
        self.webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none",
                                    "--registry-ca", self.secret.root / "ca1/ca.crt")
        self.addCleanup(self.webhook.close)
        self.port = self.webhook.port_of("serving the registry of taps")

    def tap(self, context=None):
        plain = socket.create_connection(("127.0.0.1", self.port), live.PATIENCE)
        sock = (context or self.context).wrap_socket(plain, server_hostname="127.0.0.1")
        self.addCleanup(sock.close)
        sock.sendall(UPGRADE)
        return sock

    def until(self, sock, words):
        received = b""
        while words not in received:
            piece = sock.recv(65536)
            if not piece:
                raise AssertionError(f"ended after {received}")
            received += piece
        return received

    def test_taps_hear_of_each_other_and_of_the_authority(self):
        first = self.tap()
        self.until(first, b" 101 ")
        first.sendall(frame(b'{"type":"hello","version":1,"addresses":["10.0.0.1"],"forwarding":true}'))
        self.until(first, b"BEGIN CERTIFICATE")
        live.eventually(lambda: self.webhook.metric("sidetap_registry_addresses") == 1, "it is listed")
        second = self.tap()
        second.sendall(frame(b'{"type":"hello","version":1,"addresses":["10.0.0.2"],"forwarding":false}'))
        self.until(second, b'"taps":["10.0.0.1"]')
        first.close()
        self.until(second, b'"remove":["10.0.0.1"]')

    def test_its_certificate_is_followed(self):
        self.secret.make("ca2")
        self.secret.publish_made("ca2")
        live.eventually(lambda: self.webhook.metric("sidetap_webhook_certificate_reloads_total") == 2, "the reload")
        self.until(self.tap(self.secret.trust("ca2")), b" 101 ")

    def test_taps_need_no_client_certificate_where_api_servers_do(self):
        webhook = live.Webhook(self.secret, "--registry-listen", "127.0.0.1:0", "--registry-auth", "none",
                               "--client-ca", self.secret.root / "ca1/ca.crt")
        self.addCleanup(webhook.close)
        self.port = webhook.port_of("serving the registry of taps")
        self.until(self.tap(), b" 101 ")
        with self.assertRaises(OSError):
            live.Client(webhook.port, self.context).admit()

    def test_open_connections_do_not_hold_the_end_up(self):
        taps = [self.tap() for _ in range(20)]
        for tap in taps:
            self.until(tap, b" 101 ")
        self.assertEqual(self.webhook.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
