"""Proxies: whom they speak for is believed of proxies.trusted alone, by X-Forwarded-For and by the PROXY protocol, versions 1 and 2."""
import signal
import socket
import struct
import tempfile
import unittest

from client import Refused, Tcp, Ws, fetch
from gateway import Gateway, GatewayTest

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def v1(source, family="TCP4", destination="198.51.100.1"):
    return f"PROXY {family} {source} {destination} 56324 443\r\n".encode()


def v2(source=None, command=0x21, tail=b""):
    if source is None:
        family, addresses = 0, b""
    elif ":" in source:
        family, addresses = 0x21, socket.inet_pton(socket.AF_INET6, source) + bytes(16) + struct.pack(">HH", 56324, 443)
    else:
        family, addresses = 0x11, socket.inet_aton(source) + bytes(4) + struct.pack(">HH", 56324, 443)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, family, len(addresses) + len(tail)) + addresses + tail


class Proxied(GatewayTest):
    def status(self, data, pieces=None):
        """The status of what answers to these first bytes of a connection."""
        with Tcp(self.port) as tcp:
            if pieces:
                tcp.send_in_pieces(data, pieces)
            else:
                tcp.send_as_far_as_taken(data)
            tcp.half_close()
            line = tcp.read_to_end().split(b"\r\n", 1)[0]
        return int(line.split()[1]), line

    def open(self, start=b"", add=()):
        """A WebSocket behind these first bytes."""
        tcp = Ws.__new__(Ws)
        Tcp.__init__(tcp, self.port)
        self.addCleanup(tcp.close)
        tcp.send(start)
        tcp.upgrade(add=add)
        self.assertEqual(tcp.read()["op"], "hello")
        return tcp

    def assertTooMany(self, start=b"", add=(), address=None):
        with self.assertRaises(Refused) as refused:
            self.open(start, add)
        response = refused.exception.response
        self.assertEqual((response.status, response.code), (429, "rate_limited"), response)
        self.assertTrue(response.header("Retry-After"))
        if address:
            self.gateway.await_logged(f"address={address}")


class ForwardedTest(Proxied):
    flags = ("--shards", "1", "--proxies.trusted", "127.0.0.1, 10.0.0.0/8", "--limits.connections-per-address", "2", "--log.level", "debug")

    def forwarded(self, *values):
        return [("X-Forwarded-For", value) for value in values]

    def test_the_rightmost_hop_that_is_no_proxy_of_ours_counts(self):
        held = [self.open(add=self.forwarded("203.0.113.7")), self.open(add=self.forwarded("198.51.100.9, 203.0.113.7, 10.1.2.3"))]
        for values in (("203.0.113.7",), ("6.6.6.6, 203.0.113.7",), ("6.6.6.6", "203.0.113.7"), ("203.0.113.7:4711",), ("203.0.113.7, 10.9.9.9, 10.9.9.8",)):
            self.assertTooMany(add=self.forwarded(*values), address="203.0.113.7")
        held.append(self.open(add=self.forwarded("203.0.113.8")))
        held[0].close()
        held[0] = self.until(lambda: self.open(add=self.forwarded("203.0.113.7")))

    def until(self, attempt):
        """A place is free once the gateway has seen the close."""
        for _ in range(100):
            try:
                return attempt()
            except Refused:
                fetch(self.port, "GET", "/healthz")
        return attempt()

    def test_of_ipv6_the_prefix_counts(self):
        held = [self.open(add=self.forwarded("2001:db8:1:2::1")), self.open(add=self.forwarded("[2001:db8:1:2:ffff::2]:443"))]
        self.assertTooMany(add=self.forwarded("2001:db8:1:2:3::4"))
        self.open(add=self.forwarded("2001:db8:1:3::1"))
        self.assertEqual(len(held), 2)

    def test_a_proxy_that_names_nobody_is_not_counted(self):
        for _ in range(2):
            for values in ((), ("unknown",), ("_hidden",), ("10.1.1.1, 10.2.2.2",)):
                self.open(add=self.forwarded(*values))

    def test_streams_are_counted_too(self):
        held = [self.open(add=self.forwarded("203.0.113.70")) for _ in range(2)]
        response = fetch(self.port, "GET", "/v1/stream?topics=a", self.forwarded("203.0.113.70"))
        self.assertEqual((response.status, response.code), (429, "rate_limited"))
        self.assertEqual(fetch(self.port, "GET", "/v1/topics", self.forwarded("203.0.113.70")).status, 200, "what does not stay is not counted")
        self.assertEqual(len(held), 2)

    def test_a_proxy_header_is_a_bad_request_where_it_is_off(self):
        for start in (v1("203.0.113.7"), v2("203.0.113.7")):
            self.assertEqual(self.status(start + HEALTH)[0], 400)


class ShardsTest(Proxied):
    flags = ("--shards", "2", "--proxies.trusted", "127.0.0.1", "--limits.connections-per-address", "16")

    def test_each_counts_its_own_and_none_is_refused_early(self):
        """Half of it, an eighth of that and eight more: 17 for each, but no shard more than the whole."""
        held = []
        with self.assertRaises(Refused):
            for _ in range(16 * 2 + 1):
                held.append(self.open(add=[("X-Forwarded-For", "203.0.113.7")]))
        self.assertGreaterEqual(len(held), 16)


class UntrustedTest(Proxied):
    flags = ("--shards", "1", "--proxies.trusted", "192.0.2.0/24", "--listen.proxy-protocol", "accept", "--limits.connections-per-address", "1")

    def test_of_others_the_header_is_not_looked_at(self):
        for _ in range(5):
            self.open(add=[("X-Forwarded-For", "203.0.113.7")])

    def test_and_the_proxy_protocol_is_a_bad_request(self):
        for start in (v1("203.0.113.7"), v2("203.0.113.7"), v2(None, 0x20)):
            self.assertEqual(self.status(start + HEALTH)[0], 400)
        self.assertServing()


class AcceptTest(Proxied):
    flags = ("--shards", "1", "--proxies.trusted", "127.0.0.1", "--listen.proxy-protocol", "accept", "--limits.connections-per-address", "1")

    def test_with_and_without_the_header_in_any_pieces(self):
        for start in (b"", v1("203.0.113.50"), v1("2001:db8:50::1", "TCP6", "::1"), b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN what ever\r\n", v2("203.0.113.51"), v2("2001:db8:51::1"),
                      v2("203.0.113.52", tail=b"\x04\x00\x05hello"), v2(None, 0x20)):
            for pieces in (None, 1, 7):
                self.assertEqual(self.status(start + HEALTH, pieces)[0], 200, (start, pieces))
        self.assertEqual(self.status(b"POST /v1/topics/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1", 1)[0], 401, "it begins with a P too")
        self.assertEqual(self.status(b"\r\n" + HEALTH, 1)[0], 200, "and this like version 2")

    def test_its_address_counts(self):
        for start, other in ((v1("203.0.113.7"), v2("203.0.113.7")), (v1("2001:db8::1", "TCP6", "::1"), v2("2001:db8::ffff"))):
            self.open(start)
            self.assertTooMany(other)
            self.assertTooMany(start)

    def test_proxies_in_a_row(self):
        """The first speaks for the second, which is trusted too and speaks for the client."""
        self.open(v1("127.0.0.1"), [("X-Forwarded-For", "203.0.113.77")])
        self.assertTooMany(v1("127.0.0.1"), [("X-Forwarded-For", "203.0.113.77")])
        self.open(v1("203.0.113.78"), [("X-Forwarded-For", "203.0.113.77")])  # a client: its header is not looked at

    def test_a_header_that_does_not_end_meets_the_deadline(self):
        with Gateway("--proxies.trusted", "127.0.0.1", "--listen.proxy-protocol", "accept", "--deadline.head-ms", "200") as gateway, Tcp(gateway.port) as tcp:
            tcp.send(v2("203.0.113.7")[:20])
            self.assertIn(b" 408 ", tcp.read_to_end().split(b"\r\n", 1)[0])

    def test_malformed(self):
        for start in (b"PROXY TCP4 203.0.113.7 198.51.100.1 1\r\n", b"PROXY TCP4 203.0.113.256 198.51.100.1 1 2\r\n", b"PROXY TCP6 203.0.113.7 198.51.100.1 1 2\r\n", b"PROXY TCP4 203.0.113.7 198.51.100.1 1 65536\r\n",
                      b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", b"PROXY UNKNOWN\n", b"PROXY " + b"x" * 200, v2("203.0.113.7", 0x22), v2("203.0.113.7", 0x11), v2("203.0.113.7")[:15] + b"\x04" + bytes(4),
                      v2("203.0.113.7", tail=bytes(5000))):
            self.assertEqual(self.status(start)[0], 400, start)
        self.assertServing()


class RequireTest(Proxied):
    def test_all_must_come_by_a_proxy_that_says_so(self):
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write("[proxies]\ntrusted = 127.0.0.1\n")
            file.flush()
            with Gateway("--config", file.name, "--shards", "1") as gateway:
                self.port = gateway.port
                with open(file.name, "w") as changed:
                    changed.write("[proxies]\ntrusted = 127.0.0.1\n[listen]\nproxy-protocol = require\n")
                gateway.signal(signal.SIGHUP)
                gateway.await_logged("settings were read again")
                self.assertEqual(self.status(HEALTH)[0], 400)
                self.assertEqual(self.status(v1("203.0.113.7") + HEALTH)[0], 200)
                self.assertEqual(self.status(v2(None, 0x20) + HEALTH)[0], 200)
                with open(file.name, "w") as changed:
                    changed.write("[proxies]\ntrusted = 192.0.2.1\n[listen]\nproxy-protocol = require\n")
                gateway.signal(signal.SIGHUP)
                gateway.await_logged("settings were read again", 2)
                self.assertEqual(self.status(v1("203.0.113.7") + HEALTH)[0], 400)


class SettingsTest(unittest.TestCase):
    def test_networks_are_judged_at_the_start(self):
        for text in ("10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.0/8,,x", "::1/129"):
            with self.assertRaisesRegex(AssertionError, "proxies.trusted"):
                Gateway("--proxies.trusted", text).start()


del Proxied  # it has no tests of its own

if __name__ == "__main__":
    unittest.main()
