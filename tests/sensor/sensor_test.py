#!/usr/bin/env python3
"""The reference sensor as a program, against taps that the test plays itself, byte by byte."""
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
import unittest

from sensor_lab import (AUTH, CLOSE, DATAGRAM, ERROR, OPEN, PACKET, PROGRAM, REPLY, SETSAMPLING, STARTCAP, STATS, UPDATEFILTER,
                        SensorTest, Tap, free_udp_port, interface, message, packet, packet_header, udpstr)


class Sessions(SensorTest):
    def test_packed_datagrams_from_the_first_message_to_the_last(self):
        self.start("--output-dir", self.folder)
        tap = self.dial().start_udp()
        self.assertEqual(tap.auth, bytes(8))
        self.assertEqual(tap.flags, DATAGRAM)
        self.assertEqual(tap.snaplen, 262144)
        self.running()
        first, second, third = b"a" * 30, b"b" * 50, b"c" * 10
        tap.data.send(udpstr(0, packet_header(1, first) + first + packet_header(2, second) + second[:20]))
        tap.data.send(udpstr(1, second[20:] + packet_header(3, third) + third, first=38))
        tap.data.send(udpstr(4, packet_header(6, third) + third))
        self.terminate()
        tap.end()
        totals = self.totals()
        self.assertEqual((totals["packets"], totals["bytes"]), (4, 100))
        self.assertEqual((totals["datagrams"], totals["lost_datagrams"], totals["malformed"]), (3, 2, 0))
        self.assertEqual(totals["missing_packets"], 2)
        session = totals["taps"][0]
        self.assertEqual((session["peer"], session["interface"], session["description"]), ("127.0.0.1", "eth0", "shop/web"))
        self.assertEqual(session["addresses"], ["10.1.2.3", "fd00::7"])
        self.assertEqual(session["stats"]["received"], 9)
        self.assertEqual(session["stats"]["dropped_by_kernel"], 1)
        self.assertEqual(session["ended_by"], "sensor")
        link_type, packets = self.captured("127.0.0.1-1.pcap")
        self.assertEqual(link_type, 1)
        self.assertEqual(packets, [(1_700_000_000, 5, body) for body in (first, second, third, third)])

    def test_plain_datagrams_are_told_from_packed_ones(self):
        self.start()
        tap = self.dial().start_udp()
        self.running()
        tap.data.send(packet(1, b"x" * 40))
        tap.data.send(packet(2, b"y" * 60))
        tap.data.send(packet(3, b"z" * 60)[:-1])
        tap.data.send(b"\0\x63 neither")
        self.terminate()
        tap.end()
        totals = self.totals()
        self.assertEqual((totals["packets"], totals["bytes"], totals["malformed"]), (2, 100, 2))

    def test_tcp_with_packets_beyond_64_kib_in_any_pieces(self):
        self.start("--data", "tcp", "--output-dir", self.folder)
        tap = self.dial().start_tcp()
        self.running()
        bodies = [bytes([n]) * size for n, size in enumerate((60, 65_535, 65_536, 200_000, 1))]
        stream = b"".join(packet(n + 1, body) for n, body in enumerate(bodies))
        tap.data.sendall(stream[:5])
        time.sleep(0.05)
        tap.data.sendall(stream[5:70_001])
        time.sleep(0.05)
        tap.data.sendall(stream[70_001:])
        self.terminate()
        tap.end()
        self.assertEqual(self.totals()["malformed"], 0)
        self.assertEqual([body for _, _, body in self.captured()[1]], bodies)

    def test_tcp_stream_that_is_no_rpcap_is_not_read_on(self):
        self.start("--data", "tcp")
        tap = self.dial().start_tcp()
        tap.data.sendall(packet(1, b"good") + b"\0\x09GET / HTTP/1.1\r\n\r\n" + packet(2, b"after"))
        self.terminate()
        tap.end()
        totals = self.totals()
        self.assertEqual((totals["packets"], totals["malformed"]), (1, 1))

    def test_password_is_named(self):
        self.start("--user", "eh", "--password", "geheim")
        tap = self.dial().start_udp()
        self.assertEqual(tap.auth, struct.pack(">HHHH", 1, 0, 2, 6) + b"ehgeheim")

    def test_filter_is_compiled_for_the_link_type_and_replaced(self):
        self.start("--filter-bpf", "udp", "--update-filter", "tcp", "--update-filter-after", "1")
        ethernet = self.dial().start_udp()
        raw = self.dial().start_udp(link_type=101)
        self.assertEqual(ethernet.filter[0], (0x28, 0, 0, 12), "ldh [12]: the EtherType")
        self.assertEqual(raw.filter[0], (0x30, 0, 0, 0), "ldb [0]: the IP version")
        update = ethernet.answer(UPDATEFILTER)[1]
        kind, _, count = struct.unpack(">HHI", update[:8])
        self.assertEqual(kind, 1)
        self.assertEqual(len(update), 8 + 8 * count)

    def test_no_filter_is_a_lone_return(self):
        # An empty program is refused by rpcapd.
        self.start()
        self.assertEqual(self.dial().start_udp().filter, [(6, 0, 0, 262144)])

    def test_wrong_filter_ends_the_session_with_the_reason(self):
        self.start("--filter-bpf", "udp or or")
        tap = self.dial()
        tap.until_start()
        with self.assertRaises(EOFError):
            tap.expect(STARTCAP)
        self.terminate()
        self.assertIn("filter", self.totals()["taps"][0]["error"])

    def test_sampling_is_asked_before_the_start(self):
        self.start("--sampling", "per-ms=50")
        tap = self.dial()
        tap.until_start()
        self.assertEqual(tap.answer(SETSAMPLING)[1], struct.pack(">BBHI", 2, 0, 0, 50))
        tap.expect(STARTCAP)

    def test_statistics_are_asked_for_all_the_time(self):
        self.start("--stats-every", "1")
        tap = self.dial().start_udp()
        for received in (1, 2):
            tap.answer(STATS, struct.pack(">IIII", received, 0, 0, 0))
        tap.control.close()
        time.sleep(0.2)
        self.terminate()
        self.assertEqual(self.totals()["taps"][0]["stats"]["received"], 2)

    def test_interface_by_address_by_preselection_or_the_first_of_use(self):
        interfaces = [interface("any", "", []), interface("lo", "", ["127.0.0.1"]),
                      interface("eth0", "", ["10.1.2.3"]), interface("eth1", "", ["10.2.2.3"])]
        self.start()
        self.assertEqual(self.dial().until_start(interfaces=interfaces), b"eth0")
        preselected = [*interfaces, interface("eth9", "shop/web;preselected", ["10.9.9.9"])]
        self.assertEqual(self.dial().until_start(interfaces=preselected), b"eth9")
        self.process.kill()
        self.start("--interface", "10.2.0.0/16,fd00::/8")
        self.assertEqual(self.dial().until_start(interfaces=interfaces), b"eth1")

    def test_many_taps_share_one_port_by_their_addresses(self):
        self.start("--udp-port", str(free_udp_port()))
        taps = []
        for number in range(1, 41):
            source = f"127.0.1.{number}"
            taps.append(self.dial(source=source).start_udp(bind=source))
            self.running()
        for number, tap in enumerate(taps, 1):
            for index in range(number):
                tap.data.send(packet(index + 1, b"x" * 10))
        self.terminate()
        for tap in taps:
            tap.end()
        got = {session["peer"]: session["packets"] for session in self.totals()["taps"]}
        self.assertEqual(got, {f"127.0.1.{number}": number for number in range(1, 41)})

    def test_ipv6(self):
        self.start(listen="[::1]:0")
        tap = self.dial(host="::1").start_udp()
        self.running()
        tap.data.send(packet(1, b"six"))
        self.terminate()
        tap.end()
        totals = self.totals()
        self.assertEqual(totals["packets"], 1)
        self.assertEqual(totals["taps"][0]["peer"], "::1")

    def test_passive_mode_dials_the_tap_and_its_data_port(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.start("--data", "tcp", mode="passive", listen=f"127.0.0.1:{listener.getsockname()[1]}")
            listener.settimeout(10)
            tap = Tap(listener.accept()[0])
            self.addCleanup(tap.close)
            tap.until_start()
            tap.expect(STARTCAP)
            with socket.create_server(("127.0.0.1", 0)) as data_listener:
                data_listener.settimeout(10)
                port = data_listener.getsockname()[1]
                tap.control.sendall(message(STARTCAP + REPLY, struct.pack(">IHH", 1 << 20, port, 0)))
                tap.data = data_listener.accept()[0]
        tap.data.sendall(packet(1, b"passive"))
        self.terminate()
        tap.end()
        self.assertEqual(self.totals()["bytes"], 7)

    def test_latency_is_measured_from_the_time_stamp(self):
        self.start()
        tap = self.dial().start_udp()
        self.running()
        then = time.time() - 2
        header = packet_header(1, b"late", int(then), int(then % 1 * 1e6))
        tap.data.send(message(PACKET, header + b"late"))
        self.terminate()
        tap.end()
        latency = self.totals()["taps"][0]["latency_us"]
        self.assertGreaterEqual(latency["max"], 2_000_000)
        self.assertGreaterEqual(latency["p50"], 1_900_000)


class Peculiar(SensorTest):
    def test_tap_that_closes_ends_its_session_alone(self):
        self.start()
        going, staying = self.dial().start_udp(), self.dial().start_udp()
        self.running()
        self.running()
        going.data.send(packet(1, b"last"))
        going.control.sendall(message(CLOSE))
        staying.data.send(packet(1, b"more"))
        self.assertEqual(going.control.recv(1), b"")
        self.terminate()
        staying.end()
        self.assertEqual([(session["ended_by"], session["packets"]) for session in self.totals()["taps"]],
                         [("tap", 1), ("sensor", 1)])

    def test_tap_that_closes_instead_of_an_answer_has_ended_the_session(self):
        self.start()
        tap = self.dial()
        tap.expect(AUTH)
        tap.control.sendall(message(CLOSE))
        self.assertEqual(tap.control.recv(1), b"")
        self.terminate()
        self.assertEqual(self.totals()["taps"][0]["ended_by"], "tap")

    def test_stop_before_the_capture_ends_it_in_good_order(self):
        self.start("--fault", "start-after=300")
        tap = self.dial()
        tap.until_start()
        self.terminate()
        tap.expect(STARTCAP)
        tap.control.sendall(message(STARTCAP + REPLY, struct.pack(">IHH", 2 << 20, 0, 0)))
        tap.end()
        self.assertEqual(self.totals()["taps"][0]["ended_by"], "sensor")

    def test_reply_and_close_in_one_segment(self):
        self.start("--stats-every", "1")
        tap = self.dial().start_udp()
        tap.expect(STATS)
        tap.control.sendall(message(STATS + REPLY, struct.pack(">IIII", 7, 0, 0, 0)) + message(CLOSE))
        self.assertEqual(tap.control.recv(1), b"")
        self.terminate()
        session = self.totals()["taps"][0]
        self.assertEqual((session["ended_by"], session["stats"]["received"]), ("tap", 7))

    def test_error_instead_of_an_answer_is_reported(self):
        self.start("--data", "tcp")
        tap = self.dial()
        tap.until_start()
        tap.expect(STARTCAP)
        tap.control.sendall(message(ERROR, b"cannot dial you", 12))
        self.assertEqual(tap.control.recv(1), b"", "the sensor waits for no data connection")
        self.terminate()
        session = self.totals()["taps"][0]
        self.assertEqual(session["ended_by"], "error")
        self.assertIn("cannot dial you", session["error"])

    def test_hostile_control_messages_end_their_session_alone(self):
        self.start()
        for hostile in (struct.pack(">BBHI", 0, AUTH + REPLY, 0, 1 << 31), message(99), message(OPEN + REPLY),
                        message(AUTH + REPLY) * 100, b"\xff" * 64):
            tap = self.dial()
            tap.expect(AUTH)
            tap.control.sendall(hostile)
            try:
                while tap.control.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        good = self.dial().start_udp()
        self.running()
        self.terminate()
        good.end()
        sessions = self.totals()["taps"]
        self.assertEqual([session["ended_by"] for session in sessions], ["error"] * 5 + ["sensor"])


class Faults(SensorTest):
    def test_refuse(self):
        self.start("--fault", "refuse")
        tap = self.dial()
        self.assertIn(b"not welcome", tap.expect(ERROR)[1])
        self.assertEqual(tap.control.recv(1), b"")

    def test_close_after(self):
        self.start("--fault", "close-after=1")
        tap = self.dial().start_udp()
        tap.end()
        self.assertEqual(tap.control.recv(1), b"")

    def test_drop_every(self):
        self.start("--fault", "drop-every=3")
        tap = self.dial().start_udp()
        self.running()
        for seqno in range(9):
            tap.data.send(udpstr(seqno, packet_header(seqno + 1, b"p") + b"p"))
        self.terminate()
        tap.end()
        totals = self.totals()
        self.assertEqual(totals["packets"], 6)
        self.assertEqual(totals["taps"][0]["dropped_on_request"], 3)
        self.assertEqual(totals["lost_datagrams"], 2, "the ninth has none behind it that tells")

    def test_stop_reading_fills_the_tap_s_socket(self):
        self.start("--data", "tcp", "--fault", "stop-reading")
        tap = self.dial().start_tcp()
        tap.data.settimeout(1)
        with self.assertRaises(TimeoutError):
            for _ in range(2000):
                tap.data.sendall(packet(1, bytes(60_000)))

    def test_hang_leaves_the_connection_open_and_silent(self):
        self.start("--fault", "hang-after=1", "--stats-every", "3")
        tap = self.dial().start_udp()
        tap.control.settimeout(3.5)
        with self.assertRaises(TimeoutError):
            tap.control.recv(1)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class Tls(SensorTest):
    def setUp(self):
        super().setUp()
        self.cert, self.key = self.certificate("tap")
        self.sensor_cert, self.sensor_key = self.certificate("sensor")

    def certificate(self, name):
        cert, key = (os.path.join(self.folder, f"{name}.{kind}") for kind in ("crt", "key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "1", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        return cert, key

    def as_server(self, sock):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context.wrap_socket(sock, server_side=True)

    def as_client(self, sock):
        context = ssl.create_default_context(cafile=self.sensor_cert)
        return context.wrap_socket(sock, server_hostname="sensor")

    def capture(self, wrap):
        tap = self.dial(wrap=wrap).start_tcp(wrap)
        self.running()
        tap.data.sendall(packet(1, bytes(100_000)))
        self.terminate()
        tap.end()
        self.assertEqual(self.totals()["bytes"], 100_000)

    def test_rpcaps_the_sensor_begins_the_handshake_though_the_tap_dialled(self):
        self.start("--data", "tcp", "--tls", "rpcaps", "--tls-ca", self.cert, "--tls-name", "tap")
        self.capture(self.as_server)

    def test_the_tap_begins_the_handshake(self):
        self.start("--data", "tcp", "--tls", "server", "--tls-cert", self.sensor_cert, "--tls-key", self.sensor_key)
        self.capture(self.as_client)

    def test_a_certificate_of_another_ca_is_refused(self):
        self.start("--tls", "rpcaps", "--tls-ca", self.sensor_cert)
        with self.assertRaises((ssl.SSLError, EOFError, ConnectionError)):
            self.dial(wrap=self.as_server).until_start()

    def test_a_certificate_of_another_name_is_refused(self):
        self.start("--tls", "rpcaps", "--tls-ca", self.cert, "--tls-name", "somebody")
        with self.assertRaises((ssl.SSLError, EOFError, ConnectionError)):
            self.dial(wrap=self.as_server).until_start()


class CommandLine(unittest.TestCase):
    def test_wrong_values_get_one_line_and_exit_2(self):
        for arguments, named in ((("active",), "--listen"), (("active", "--listen", "127.0.0.1:0", "--data", "ip"), "--data"),
                                 (("active", "--listen", "127.0.0.1:0", "--fault", "drop-every=0"), "--fault"),
                                 (("active", "--listen", "127.0.0.1:0", "--sampling", "some"), "--sampling"),
                                 (("wait",), "active"), ((), "active")):
            done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=10)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(named, done.stderr)

    def test_a_tap_that_cannot_be_dialled(self):
        done = subprocess.run([PROGRAM, "passive", "--connect", "127.0.0.1:1"], capture_output=True, text=True, timeout=10)
        self.assertEqual(done.returncode, 1)
        self.assertIn("127.0.0.1:1", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
