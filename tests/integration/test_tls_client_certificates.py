"""Certificates of clients: who shows one by client-ca may publish as it says, who shows none is served as ever.

Promise: a right comes only from a certificate that this very handshake verified and that the client has the key of; it ends with the
authority that signed it and with its own time, and whatever else is shown counts before it.
"""
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import unittest

from certificates import Authority, openssl
from client import Ended, Http, Ws, fetch, path_of
from gateway import RINGCAST, Gateway, environment, free_port
from test_tls import ADMIN, ADMIN_KEY, TlsTest

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
DESK_KEY = "the-key-of-the-line-called-desk"


class AskingGateway(Gateway):
    """No key but what the flags name; `secure` trusts its authority."""

    def __init__(self, authority, certificate, *flags):
        self.authority, self.tls_port = authority, free_port()
        super().__init__("--tls-listen", f"127.0.0.1:{self.tls_port}", "--cert", certificate[0], "--key", certificate[1], *flags, key=None)

    def secure(self, **how):
        return self.authority.port(self.tls_port, **how)


class CertificateTest(TlsTest):
    """One gateway with no key but the admin's; clients' certificates by an authority of their own: feed publishes everywhere by its line, desk a little."""

    RIGHTS = ("feed", "pub=>"), ("desk", "pub=desk.> max_hz=5")

    @classmethod
    def setUpClass(cls):
        cls.authority, cls.clients, cls.strangers = Authority(), Authority("clients"), Authority("strangers")
        for made in (cls.authority, cls.clients, cls.strangers):
            cls.addClassCleanup(made.directory.cleanup)
        cls.feed = cls.clients.issue("feed", ["feed"], addresses=())
        cls.desk = cls.clients.issue("desk", ["desk"], addresses=())
        cls.stranger = cls.strangers.issue("feed", ["feed"], addresses=())
        cls.ca = cls.authority.path("clients.pem")
        shutil.copy(cls.clients.certificate, cls.ca)
        cls.lines = cls.authority.path("keys")
        cls.write_lines(*cls.RIGHTS)
        cls.gateway = AskingGateway(cls.authority, cls.authority.issue("server"), "--auth.admin-key", ADMIN_KEY, "--client-ca", cls.ca, "--auth.keys", cls.lines, "--log.level", "debug").start()
        cls.port = cls.gateway.port
        cls.secure = cls.gateway.secure()

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()

    @classmethod
    def write_lines(cls, *rights):
        keys = {"desk": DESK_KEY}
        with open(cls.lines, "w", encoding="ascii") as file:
            file.writelines(f"{name}:{hashlib.sha256(keys.get(name, name).encode()).hexdigest()}:{words}\n" for name, words in rights)

    def reload(self):
        before = len(self.gateway.await_logged("settings were read again", 0))
        self.gateway.signal(signal.SIGHUP)
        self.gateway.await_logged("settings were read again", before + 1)

    def by(self, certificate, **how):
        return self.gateway.secure(certificate=certificate, **how)

    def post(self, port, topic, headers=()):
        return fetch(port, "POST", path_of(topic), list(headers), b"1")

    def on(self, http, topic, headers=()):
        http.request("POST", path_of(topic), list(headers), b"1")
        return http.response()

    def session(self, port, path="/v1/ws", **how):
        ws = Ws(port, path, **how)
        self.addCleanup(ws.close)
        self.assertEqual(ws.read()["op"], "hello")
        return ws

    def put(self, ws, topic):
        return ws.ask("publish", topic=topic, data=1)


class Showing(CertificateTest):
    def test_a_certificate_publishes(self):
        for version in VERSIONS:
            port = self.by(self.feed, version=version)
            self.assertEqual(self.post(port, self.topic()).status, 200)
            self.assertEqual(self.put(self.session(port), self.topic())["op"], "published")

    def test_of_every_kind_and_through_an_intermediate(self):
        between = self.clients.issue("between", ["between"], authority=True)
        for kind in ("rsa", "ecdsa", "ed25519"):
            for version in VERSIONS:
                shown = self.clients.issue(f"of-{kind}", ["feed"], kind=kind, by=between, addresses=())
                self.assertEqual(self.post(self.by(shown, version=version), self.topic()).status, 200, (kind, version))

    def test_curl_publishes(self):
        url = f"https://localhost:{int(self.secure)}{path_of(self.topic())}"
        done = subprocess.run(["curl", "-sS", "--cacert", self.authority.certificate, "--cert", self.feed[0], "--key", self.feed[1], "-d", "1", url], capture_output=True, timeout=60)
        self.assertEqual(json.loads(done.stdout)["seq"], 1, done)

    def test_who_shows_none_is_served_and_may_not_publish(self):
        for version in VERSIONS:
            port = self.gateway.secure(version=version)
            self.assertEqual(fetch(port, "GET", "/healthz").status, 200)
            self.assertError(self.post(port, self.topic()), 401, "unauthorized")
            self.assertRefusal(self.put(self.session(port), self.topic()), "unauthorized")
        self.assertError(self.post(self.port, self.topic()), 401, "unauthorized")

    def refused(self, certificate, alert):
        for version in VERSIONS:
            with self.assertRaises((ssl.SSLError, OSError, Ended)) as caught:
                fetch(self.by(certificate, version=version), "GET", "/healthz")
            self.assertRegex(str(caught.exception).lower().replace("_", " "), alert, version)

    def test_by_another_authority_is_refused_with_an_alert_counted_and_logged(self):
        before = self.failed()
        self.refused(self.stranger, "unknown ca|bad certificate")
        self.assertEqual(self.failed() - before, 2)
        self.gateway.await_logged("closed", 2)

    def test_one_that_signed_itself_is_refused(self):
        key, certificate = self.clients.path("self.key"), self.clients.path("self.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=feed")
        self.refused((certificate, key), "unknown ca|bad certificate")

    def test_an_expired_one_is_refused(self):
        self.refused(self.clients.issue("old", ["old"], days=-1, addresses=()), "certificate expired|bad certificate")

    def test_one_for_servers_alone_is_refused(self):
        certificate, key = self.clients.path("tls-server.pem"), self.clients.path("feed.key")
        openssl("x509", "-req", "-in", self.clients.path("feed.csr"), "-CA", self.clients.certificate, "-CAkey", self.clients.key, "-CAcreateserial", "-days", "2", "-out", certificate,
                "-extfile", self.extensions("extendedKeyUsage=serverAuth\n"))
        self.refused((certificate, key), "alert")

    def extensions(self, text):
        path = self.clients.path("more.ext")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def failed(self):
        rows = fetch(self.port, "GET", "/metrics", ADMIN).body.decode().splitlines()
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith("ringcast_tls_handshakes_total") and "failed" in row)


class Rights(CertificateTest):
    def test_they_are_those_of_the_line_of_its_name(self):
        port = self.by(self.desk)
        self.assertEqual(self.post(port, self.topic("desk")).status, 200)
        answer = self.post(port, self.topic("other"))
        self.assertError(answer, 403, "forbidden")
        self.assertIn("this certificate may not publish", answer.body.decode())
        ws = self.session(port)
        self.assertEqual(self.put(ws, self.topic("desk"))["op"], "published")
        self.assertRefusal(self.put(ws, self.topic("other")), "forbidden")
        self.assertRefusal(ws.ask("subscribe", topics=[self.topic()], mode="every"), "forbidden")

    def test_it_is_no_admin(self):
        self.assertEqual(fetch(self.by(self.feed), "GET", "/metrics").status, 403)

    def test_what_the_request_shows_counts_before_it(self):
        desk = [("Authorization", f"Bearer {DESK_KEY}")]
        feed = self.by(self.feed)
        self.assertError(self.post(feed, self.topic("other"), desk), 403, "forbidden")
        self.assertError(self.post(feed, self.topic(), [("Authorization", "Bearer wrong")]), 401, "unauthorized")
        self.assertError(self.post(feed, self.topic(), [("X-API-Key", "wrong")]), 401, "unauthorized")
        self.assertRefusal(self.put(self.session(feed, add=desk), self.topic("other")), "forbidden")
        self.assertRefusal(self.put(self.session(feed, f"/v1/ws?token={DESK_KEY}"), self.topic("other")), "forbidden")
        with Http(feed) as http:  # and each request for itself
            self.assertEqual(self.on(http, self.topic("other"), desk).status, 403)
            self.assertEqual(self.on(http, self.topic("other")).status, 200)

    def test_a_later_token_takes_its_place(self):
        ws = self.session(self.by(self.feed))
        self.assertEqual(ws.ask("auth", token=DESK_KEY)["op"], "authenticated")
        self.assertRefusal(self.put(ws, self.topic("other")), "forbidden")

    def test_a_foreign_page_can_not_publish_by_it(self):
        self.assertError(self.post(self.by(self.feed), self.topic(), [("Origin", "https://elsewhere.example")]), 401, "unauthorized")

    def take_lines(self, *rights):
        self.addCleanup(self.reload)
        self.addCleanup(self.write_lines, *self.RIGHTS)
        self.write_lines(*rights)
        self.reload()

    def test_a_line_that_was_removed_widens_no_certificate(self):
        """It published everywhere then, because no line spoke of it any more."""
        port = self.by(self.desk)
        ws = self.session(port)
        for rights in ([("feed", "pub=>")], []):
            self.take_lines(*rights)
            for topic in (self.topic("desk"), self.topic("other")):
                self.assertRefusal(self.put(ws, topic), "forbidden")
                self.assertRefusal(self.put(self.session(port), topic), "forbidden")
                self.assertError(self.post(port, topic), 403, "forbidden")

    def test_one_without_a_line_reads_what_is_open_and_publishes_nothing(self):
        for version in VERSIONS:
            port = self.by(self.clients.issue("nobody", ["nobody"], addresses=()), version=version)
            self.assertError(self.post(port, self.topic()), 403, "forbidden")
            ws = self.session(port)
            self.assertRefusal(self.put(ws, self.topic()), "forbidden")
            self.assertEqual(ws.ask("subscribe", topics=[self.topic()])["op"], "subscribed")

    def test_a_reload_judges_its_rights_again(self):
        ws = self.session(self.by(self.desk))
        self.take_lines(("desk", "pub=other.>"))
        self.assertRefusal(self.put(ws, self.topic("desk")), "forbidden")
        self.assertEqual(self.put(ws, self.topic("other"))["op"], "published")


class Resuming(CertificateTest):
    def connect(self, context, session):
        """One connection by hand: (the status of a publish, whether it was resumed, the session to come back by)."""
        with socket.create_connection(("127.0.0.1", int(self.secure)), 10) as plain, context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
            topic = path_of(self.topic())
            tls.sendall(f"POST {topic} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1".encode())
            answer = b""
            while piece := tls.recv(4096):
                answer += piece
            return int(answer.split()[1]), tls.session_reused, tls.session

    def test_who_showed_none_resumes_and_has_no_right(self):
        for version in VERSIONS:
            context = self.authority.context(version=version)
            status, _, session = self.connect(context, None)
            again, resumed, _ = self.connect(context, session)
            self.assertEqual((status, again, resumed), (401, 401, True), version)

    def test_who_showed_one_shakes_hands_in_full_and_has_its_right_again(self):
        for version in VERSIONS:
            context = self.authority.context(version=version, certificate=self.feed)
            status, _, session = self.connect(context, None)
            again, resumed, _ = self.connect(context, session)
            self.assertEqual((status, again, resumed), (200, 200, False), version)

    def test_a_ticket_of_who_showed_one_gives_nobody_else_a_right(self):
        """The ticket, carried on by a client that has the certificate no more."""
        for version in VERSIONS:
            context = self.authority.context(version=version)
            context.load_cert_chain(*self.feed)
            status, _, session = self.connect(context, None)
            bare = self.authority.path(f"session-{version}.pem")
            self.assertEqual(status, 200)
            self.assertIsNotNone(session)
            flag = "-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"
            where = ["-connect", f"127.0.0.1:{int(self.secure)}", "-servername", "localhost", flag]
            subprocess.run(["openssl", "s_client", *where, "-cert", self.feed[0], "-key", self.feed[1], "-sess_out", bare, "-ign_eof"],
                           input=b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", capture_output=True, timeout=60)
            self.assertTrue(os.path.exists(bare), "a ticket came")
            done = subprocess.run(["openssl", "s_client", *where, "-sess_in", bare, "-ign_eof"],
                                  input=f"POST {path_of(self.topic())} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1".encode(), capture_output=True, timeout=60)
            self.assertIn(b"401 Unauthorized", done.stdout)
            self.assertNotIn(b"Reused, ", done.stdout)


class Changing(CertificateTest):
    def change(self, authority):
        """As people do: the file is replaced, and nobody sends a signal."""
        before = len(self.gateway.await_logged("certificates changed", 0))
        fresh = self.ca + ".new"
        shutil.copy(authority.certificate, fresh)
        os.replace(fresh, self.ca)
        self.gateway.await_logged("certificates changed", before + 1)

    def test_another_authority_is_taken_from_the_file_and_ends_what_the_one_before_allowed(self):
        self.addCleanup(self.change, self.clients)
        ws = self.session(self.by(self.feed))
        http = Http(self.by(self.feed))
        self.addCleanup(http.close)
        self.assertEqual(self.on(http, self.topic()).status, 200)
        self.change(self.strangers)
        self.assertRefusal(self.put(ws, self.topic()), "forbidden")
        self.assertEqual(self.on(http, self.topic()).status, 401)
        self.assertEqual(self.post(self.by(self.stranger), self.topic()).status, 200)
        with self.assertRaises((ssl.SSLError, OSError, Ended)):
            self.post(self.by(self.feed), self.topic())

    def test_a_file_that_is_none_leaves_the_one_before(self):
        with open(self.ca, "w", encoding="ascii") as file:
            file.write("no certificate\n")
        self.gateway.await_logged("certificates were not changed")
        self.assertEqual(self.post(self.by(self.feed), self.topic()).status, 200)
        shutil.copy(self.clients.certificate, self.ca)


class Ending(CertificateTest):
    def test_its_time_ends_on_a_connection_that_lives(self):
        """A request after the certificate's end finds it gone; a WebSocket would have the grace that a token has."""
        certificate, key = self.clients.path("short.pem"), self.clients.path("feed.key")
        database, configuration = self.clients.path("index.txt"), self.clients.path("ca.cnf")
        with open(database, "w", encoding="ascii"):
            pass
        with open(configuration, "w", encoding="ascii") as file:
            file.write(f"[ca]\ndefault_ca=c\n[c]\ndatabase={database}\nnew_certs_dir={self.clients.directory.name}\nrand_serial=yes\ndefault_md=sha256\nx509_extensions=e\npolicy=p\n[p]\ncommonName=supplied\n[e]\nbasicConstraints=CA:FALSE\n")
        end = int(time.time()) + 4
        openssl("ca", "-batch", "-notext", "-config", configuration, "-cert", self.clients.certificate, "-keyfile", self.clients.key, "-in", self.clients.path("feed.csr"), "-out", certificate,
                "-startdate", time.strftime("%y%m%d%H%M%SZ", time.gmtime(end - 3600)), "-enddate", time.strftime("%y%m%d%H%M%SZ", time.gmtime(end)))
        http = Http(self.by((certificate, key)))
        self.addCleanup(http.close)
        self.assertEqual(self.on(http, self.topic()).status, 200)
        deadline = time.monotonic() + 20
        while self.on(http, self.topic()).status != 401:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)  # between two tries; what ends the wait is the answer
        self.assertGreaterEqual(time.time(), end)


class Configuring(unittest.TestCase):
    def test_only_certificates_turn_publishing_on(self):
        with Authority() as authority:
            with AskingGateway(authority, authority.issue("server"), "--client-ca", authority.certificate) as gateway:
                gateway.await_logged("publishing=on")
                certificate = authority.issue("feed", ["feed"], addresses=())
                self.assertEqual(fetch(gateway.secure(certificate=certificate), "POST", path_of("a"), [], b"1").status, 200)

    def test_a_first_empty_file_of_lines_takes_what_all_had(self):
        with Authority() as authority:
            settings = authority.path("settings.ini")
            with open(authority.path("keys"), "w", encoding="ascii"), open(settings, "w", encoding="ascii"):
                pass
            with AskingGateway(authority, authority.issue("server"), "--client-ca", authority.certificate, "--config", settings) as gateway:
                port = gateway.secure(certificate=authority.issue("feed", ["feed"], addresses=()))
                with Ws(port) as ws:
                    self.assertEqual(ws.read()["op"], "hello")
                    self.assertEqual(ws.ask("publish", topic="a", data=1)["op"], "published")
                    with open(settings, "w", encoding="ascii") as file:
                        file.write(f"[auth]\nkeys = {authority.path('keys')}\n")
                    gateway.signal(signal.SIGHUP)
                    gateway.await_logged("settings were read again")
                    self.assertEqual(ws.ask("publish", topic="a", data=1)["code"], "forbidden")

    def check(self, *flags):
        return subprocess.run([RINGCAST, "check", *flags], capture_output=True, text=True, env=environment(), timeout=60)

    def test_what_is_wrong_is_said(self):
        with Authority() as authority:
            certificate, key = authority.issue("server")
            served = ["--tls-listen", f"127.0.0.1:{free_port()}", "--cert", certificate, "--key", key]
            self.assertEqual(self.check(*served, "--client-ca", authority.certificate).returncode, 0)
            for flags, words in (([*served, "--client-ca", authority.path("none")], "client-ca, "), ([*served, "--client-ca", key], "an authority can't be read"),
                                 (["--client-ca", authority.certificate], "client-ca is set, but not tls-listen")):
                done = self.check(*flags)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
