"""Our own clients over TLS: `ringcast tail`, `ringcast health` and the bench against another's TLS, in front of a gateway's plain port.

Promise: they believe whom they are told to trust, under the name that was asked for, and nobody else; what is refused is told in words.
"""
import json
import os
import socket
import ssl
import subprocess
import threading
import unittest

from client import PATIENCE
from gateway import KEY, RINGCAST, RINGCAST_BENCH, Gateway, GatewayTest, environment
from terminator import Certificates, Terminator

NAMES = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"


def run(*command, authority=None, variables=None):
    """(exit status, standard output, standard error)"""
    variables = {**environment(), **({"SSL_CERT_FILE": authority} if authority else {}), **(variables or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=6 * PATIENCE, env=variables)
    return done.returncode, done.stdout, done.stderr


def tail(*arguments, **how):
    return run(RINGCAST, "tail", *arguments, **how)


def health(*arguments, **how):
    return run(RINGCAST, "health", *arguments, **how)


class ToolsOverTls(GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway().start()
        cls.port = cls.gateway.port
        cls.certificates = Certificates()
        cls.authority = cls.certificates.authority
        cls.pair = cls.certificates.issue("right", NAMES)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.certificates.directory.cleanup()

    def terminator(self, pair=None, **how):
        return Terminator(self.port, pair or self.pair, **how)

    def refused(self, url, words, **how):
        """By tail and health alike."""
        for status, out, said in (tail(url, "nobody.reads.this", "--count", "1", **how), health(url, **how)):
            self.assertEqual((status, out), (1, ""), said)
            self.assertIn(words, said)

    def test_tail_and_health_by_name_and_by_address_in_both_versions(self):
        topic = self.topic()
        self.gateway.publish(topic, 7)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.terminator(version=version) as server:
                for url in (f"wss://localhost:{server.port}", f"https://127.0.0.1:{server.port}", f"wss://127.0.0.1:{server.port}/v1/ws"):
                    status, out, said = tail(url, topic, "--count", "1", "--cacert", self.authority)
                    self.assertEqual((status, said), (0, ""))
                    self.assertEqual(json.loads(out)["data"], 7)
                    self.assertEqual(health(f"https://127.0.0.1:{server.port}", authority=self.authority)[0], 0)

    def test_an_ipv6_address_in_a_certificate(self):
        try:
            server = self.terminator(host="::1").__enter__()
        except OSError:
            self.skipTest("no IPv6 here")
        with server:
            self.assertEqual(health(f"https://[::1]:{server.port}", authority=self.authority)[0], 0)
        with self.terminator(self.certificates.issue("v4", "IP:127.0.0.1"), host="::1") as server:
            self.refused(f"https://[::1]:{server.port}", "another name", authority=self.authority)

    def test_chains_of_each_kind_of_key(self):
        for kind in ("rsa", "p384", "ed25519"):
            with self.terminator(self.certificates.issue(kind, NAMES, kind=kind)) as server:
                self.assertEqual(health(f"https://localhost:{server.port}", authority=self.authority), (0, "", ""), kind)

    def test_an_authority_that_is_not_trusted(self):
        other = Certificates()
        with other.directory, self.terminator() as server:
            self.refused(f"wss://127.0.0.1:{server.port}", "not trusted here", authority=other.authority)
            self.refused(f"wss://127.0.0.1:{server.port}", "not trusted here" if os.path.exists("/etc/ssl/certs/ca-certificates.crt") else "no authorities are known")

    def test_a_certificate_for_another_name(self):
        with self.terminator(self.certificates.issue("other", "DNS:other.example,IP:127.0.0.2")) as server:
            for host in ("127.0.0.1", "localhost"):
                self.refused(f"wss://{host}:{server.port}", "another name", authority=self.authority)

    def test_a_certificate_that_has_expired(self):
        with self.terminator(self.certificates.issue("expired", NAMES, days=-1)) as server:
            self.refused(f"wss://127.0.0.1:{server.port}", "expired", authority=self.authority)

    def test_a_file_that_holds_no_authority(self):
        for path in (self.certificates.path("ca.key"), self.certificates.path("nothing.pem")):
            with self.terminator() as server:
                self.refused(f"wss://127.0.0.1:{server.port}", "holds no certificate", authority=path)

    def test_what_does_not_speak_tls(self):
        self.refused(f"wss://127.0.0.1:{self.port}", "does not speak TLS", authority=self.authority)

    def test_who_never_answers_is_given_up(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            status, out, said = health(f"https://127.0.0.1:{silent.getsockname()[1]}", authority=self.authority)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("no answer in time", said)

    def test_a_handshake_that_ends_in_the_middle(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def hang_up():
                for _ in range(2):
                    connection, _ = listener.accept()
                    connection.recv(65536)
                    connection.close()
            threading.Thread(target=hang_up, daemon=True).start()
            self.refused(f"wss://127.0.0.1:{listener.getsockname()[1]}", "ended the stream", authority=self.authority)

    def test_an_end_that_nobody_signed_is_no_end(self):
        with self.terminator(most=20) as server:
            status, _, said = tail(f"wss://127.0.0.1:{server.port}", "a", "--count", "1", authority=self.authority)
            self.assertEqual(status, 1)
            self.assertIn("reset", said)

    def test_the_bench_checks_every_update_over_tls(self):
        with self.terminator() as server:
            status, out, said = run(RINGCAST_BENCH, "fanout", "--url", f"wss://127.0.0.1:{server.port}", "--key", KEY, "--subscribers", "20", "--seconds", "0.3", "--warmup", "0.1", "--json",
                                    "--metrics-url", "none", "--cacert", self.authority)
            self.assertEqual(status, 0, said)
            told = json.loads(out)
            self.assertGreater(told["updates_checked"], 100)
            self.assertEqual((told["lost"], told["doubled"], told["changed"]), (0, 0, 0))
        with self.terminator() as server:  # --tls says the same as the scheme
            for url in (f"ws://127.0.0.1:{server.port}", f"127.0.0.1:{server.port}"):
                status, out, said = run(RINGCAST_BENCH, "idle", "--tls", "--url", url, "--key", KEY, "--connections", "3", "--seconds", "0.2", "--json", "--cacert", self.authority)
                self.assertEqual(status, 0, said)
                self.assertEqual(json.loads(out)["connections"], 3)
            status, _, said = run(RINGCAST_BENCH, "idle", "--url", f"ws://127.0.0.1:{server.port}", "--key", KEY, "--connections", "3", "--seconds", "0.2")
            self.assertNotEqual(status, 0, said)
        with self.terminator() as server:
            status, _, said = run(RINGCAST_BENCH, "fanout", "--url", f"wss://127.0.0.1:{server.port}", "--key", KEY, "--subscribers", "2", "--seconds", "0.1")
            self.assertEqual(status, 1)
            self.assertRegex(said, "not trusted|no authorities are known")  # the latter where there is no ca-certificates


if __name__ == "__main__":
    unittest.main()
