"""TLS: what is served over it, what is offered, how it begins and ends, and how certificates change under a gateway that runs.

Promise: everything that plain connections get, those over TLS get too, within the same bounds; nobody is let in by less than TLS 1.2.
"""
import json
import os
import shutil
import signal
import ssl
import time
import unittest

from certificates import Authority
from client import PATIENCE, Ended, Http, Tcp, TlsPort, TooLate, Ws, fetch, path_of
from gateway import API_KEY, Gateway, GatewayTest, free_port


class TlsGateway(Gateway):
    """A gateway with both ports; `secure` is the one for TLS, trusting its authority."""

    def __init__(self, authority, certificate, key, *flags, **how):
        self.authority, self.tls_port = authority, free_port()
        super().__init__("--tls-listen", f"127.0.0.1:{self.tls_port}", "--cert", certificate, "--key", key, *flags, **how)

    def secure(self, name="localhost", **how):
        return self.authority.port(self.tls_port, name, **how)


class TlsTest(GatewayTest):
    """Tests that share one gateway and its authority."""
    more = ()

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.certificate, cls.certificate_key = cls.authority.issue("server")
        cls.gateway = TlsGateway(cls.authority, cls.certificate, cls.certificate_key, *cls.more).start()
        cls.port = cls.gateway.port
        cls.secure = cls.gateway.secure()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.authority.directory.cleanup()

    def count(self, name):
        """A counter or level of /metrics, summed over its shards."""
        rows = fetch(self.port, "GET", "/metrics").body.decode().splitlines()
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith(f"ringcast_{name} ") or row.startswith(f"ringcast_{name}{{"))

    def await_count(self, name, least, above=0):
        deadline = time.monotonic() + PATIENCE
        while self.count(name) - above < least:
            if time.monotonic() > deadline:
                raise TooLate(f"{name} is {self.count(name)}, awaited {least} more than {above}")
            time.sleep(0.02)  # between two looks; what ends the wait is the number


class Serving(TlsTest):
    more = ("--echo",)

    def test_http_over_tls(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            port = self.gateway.secure(version=version)
            response = fetch(port, "GET", "/healthz")
            self.assertEqual((response.status, response.body), (200, b"ok\n"))
            with Http(port) as http:
                self.assertEqual(http.socket.version(), version.name.replace("_", ".").replace("TLSv1.", "TLSv1."))
                self.assertEqual(http.socket.selected_alpn_protocol(), "http/1.1")

    def test_a_websocket_session_over_tls(self):
        topic = self.topic()
        with Ws(self.secure) as reader, Ws(self.secure, add=[API_KEY]) as writer:
            self.assertEqual(reader.read()["op"], "hello")
            self.assertEqual(writer.read()["op"], "hello")
            reader.ask("subscribe", topics=[topic], mode="every")
            for number in range(200):
                writer.send_text(json.dumps({"op": "publish", "topic": topic, "data": number}))
            seen = []
            while len(seen) < 200:
                message = reader.read()
                if message.is_update:
                    seen.append((message["seq"], message["data"]))
            self.assertEqual(seen, [(number + 1, number) for number in range(200)])

    def test_a_page_of_the_same_host_may_connect(self):
        with Ws(self.secure, add=[("Origin", f"https://127.0.0.1:{int(self.secure)}")]) as ws:
            self.assertEqual(ws.read()["op"], "hello")

    def test_plain_http_on_this_port_is_told_so(self):
        response = fetch(int(self.secure), "GET", "/healthz")
        self.assertError(response, 400, "bad_request")
        self.assertIn("https", response.message)

    def test_what_is_no_tls_is_let_go(self):
        with Tcp(int(self.secure)) as tcp:
            tcp.send(b"\x00\x01\x02\x03 nothing of the kind")
            tcp.expect_end()
        self.assertEqual(fetch(self.secure, "GET", "/healthz").status, 200)

    def test_large_messages_both_ways(self):
        for size in (1, 100, 16_383, 16_384, 16_385, 70_000, 1_000_000):
            with Ws(self.secure, "/v1/echo") as ws:
                text = "x" * size
                ws.send_text(text)
                self.assertEqual(ws.read_message(), (1, text.encode()))


if __name__ == "__main__":
    unittest.main()
