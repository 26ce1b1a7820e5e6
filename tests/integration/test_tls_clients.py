"""TLS as real clients see it: openssl, curl, Node, Chromium, Python's libraries, our own tools; with each kind of certificate.

Promise: what is offered is this list and nothing else, chains of every kind verify, and whoever comes back by a ticket is resumed.
"""
import json
import os
import re
import ssl
import subprocess
import threading
import time
import unittest

from certificates import Authority, openssl
from client import LOCALHOST, PATIENCE, Ws, fetch
from gateway import KEY, RINGCAST, RINGCAST_BENCH, ROOT, GatewayTest, environment
from javascript import WHY_NO_CHROMIUM, WHY_NO_NODE, Chromium, Node
from test_tls import TlsGateway

GROUPS_REFUSED = ("P-384", "P-521", "X448", "ffdhe2048", "ffdhe3072")
TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
TLS13_REFUSED = ("TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256")
TLS12 = {  # by the certificate's kind
    "ecdsa": {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    "rsa": {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"},
}
ADMIN = "integration-admin-5d1c"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def run(*command, said=None, variables=None):
    """(exit status, all that it said)"""
    done = subprocess.run(command, input=said, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=6 * PATIENCE, env={**environment(), **(variables or {})})
    return done.returncode, done.stdout.decode("utf-8", "replace")


def object_in(said):
    """The report; warnings may stand around it."""
    return json.loads(said[said.index("{"):said.rindex("}") + 1])


class Kind(GatewayTest):
    """A gateway with one kind of certificate; a chain with one between it and the authority."""
    kind, more = "ecdsa", ("--auth.admin-key", ADMIN)

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.addClassCleanup(cls.authority.directory.cleanup)
        between = cls.authority.issue("between", hosts=("ringcast test intermediate",), authority=True)
        cls.pair = cls.authority.issue("server", kind=cls.kind, by=between)
        cls.gateway = TlsGateway(cls.authority, *cls.pair, *cls.more).start()
        cls.port, cls.secure = cls.gateway.port, cls.gateway.secure()

    def s_client(self, *words, said=REQUEST, port=None):
        return run("openssl", "s_client", "-connect", f"127.0.0.1:{port or int(self.secure)}", "-servername", "localhost", "-CAfile", self.authority.certificate, "-verify_return_error",
                   "-verify_hostname", "localhost", "-ign_eof", *words, said=said)

    def handshake(self, *words):
        """What was agreed to, and the answer that came over it; None: no handshake came about."""
        status, said = self.s_client(*words)
        if status != 0 or "HTTP/1.1 200" not in said:
            self.assertNotIn("HTTP/1.1", said)
            return None
        return said


class Chains:
    """What holds whatever the kind."""

    def test_openssl_verifies_the_chain(self):
        for version in ("-tls1_2", "-tls1_3"):
            said = self.handshake(version)
            self.assertIsNotNone(said, version)
            self.assertIn("Verify return code: 0 (ok)", said)
            self.assertIn("ALPN protocol: http/1.1" if "-alpn" in said else "No ALPN negotiated", said)
        self.assertIn("ALPN protocol: http/1.1", self.handshake("-alpn", "h2,http/1.1"))

    def test_curl(self):
        topic = self.topic()
        url = f"https://localhost:{int(self.secure)}/v1/topics/{topic}"
        for version in ("1.2", "1.3"):
            status, said = run("curl", "-sS", "--cacert", self.authority.certificate, "--tls-max", version, "-H", f"Authorization: Bearer {KEY}", "-d", '{"over":"TLS"}', url)
            self.assertEqual((status, json.loads(said)["topic"]), (0, topic), said)
        status, said = run("curl", "-sS", "--cacert", self.authority.certificate, url)
        self.assertEqual(json.loads(said)["data"], {"over": "TLS"})
        with Authority("another") as other:
            status, said = run("curl", "-sS", "--cacert", other.certificate, url)
        self.assertEqual(status, 60, said)  # nobody trusts it who was not told to

    def test_our_own_tools(self):
        topic = self.topic()
        self.publish(topic, 5)
        at = f"localhost:{int(self.secure)}"
        status, said = run(RINGCAST, "tail", f"wss://{at}", topic, "--count", "1", "--cacert", self.authority.certificate)
        self.assertEqual((status, json.loads(said)["data"]), (0, 5))
        status, said = run(RINGCAST, "health", f"https://127.0.0.1:{int(self.secure)}", variables={"SSL_CERT_FILE": self.authority.certificate})
        self.assertEqual((status, said), (0, ""))

    def test_python(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(fetch(self.gateway.secure(version=version), "GET", "/readyz").status, 200)


class Ecdsa(Chains, Kind):
    def test_no_version_before_1_2(self):
        for version in ("-tls1", "-tls1_1"):
            self.assertIsNone(self.handshake(version, "-cipher", "ALL:@SECLEVEL=0"), version)

    def test_groups_are_those_of_the_list(self):
        for version in ("-tls1_2", "-tls1_3"):
            # Before 1.3 a client's groups are those of certificates too (RFC 8422, 5.1), and ours is on P-256.
            for offered, taken in (("X25519:P-256", "X25519, 253 bits"), ("P-256", "ECDH, prime256v1, 256 bits"), ("P-384:P-521:P-256", "ECDH, prime256v1, 256 bits")):
                self.assertIn(f"Server Temp Key: {taken}", self.handshake(version, "-groups", offered), (version, offered))
            for group in GROUPS_REFUSED:
                self.assertIsNone(self.handshake(version, "-groups", group), (version, group))
        self.assertIn("Server Temp Key: X25519", self.handshake("-tls1_3", "-groups", "X25519"))

    def test_ciphers_of_1_3_are_those_of_the_list(self):
        for cipher in TLS13:
            self.assertIn(f"Cipher is {cipher}", self.handshake("-tls1_3", "-ciphersuites", cipher))
        for cipher in TLS13_REFUSED:
            self.assertIsNone(self.handshake("-tls1_3", "-ciphersuites", cipher), cipher)

    def test_ours_is_the_order(self):
        first = re.search(r"cipher=(\S+)", self.gateway_log()).group(1)
        wanted = {"AES-128-GCM": "TLS_AES_128_GCM_SHA256", "ChaCha20-Poly1305": "TLS_CHACHA20_POLY1305_SHA256"}[first]
        for order in (sorted(TLS13), sorted(TLS13, reverse=True)):
            self.assertIn(f"Cipher is {wanted}", self.handshake("-tls1_3", "-ciphersuites", ":".join(order)))

    def gateway_log(self):
        return os.pread(self.gateway.stderr.fileno(), 1 << 16, 0).decode()

    def test_resumption_is_counted(self):
        for version in ("-tls1_2", "-tls1_3"):
            ticket = self.authority.path(f"ticket{version}")
            self.assertIn("New, TLS", self.handshake(version, "-sess_out", ticket))
            before = self.resumed()
            for _ in range(3):
                self.assertIn("Reused, TLS", self.handshake(version, "-sess_in", ticket))
            self.assertEqual(self.resumed() - before, 3)

    def resumed(self):
        page = fetch(self.port, "GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode()
        return int(re.search(r'^ringcast_tls_handshakes_total\{kind="resumed"\} (\d+)$', page, re.M).group(1))

    def test_a_ticket_of_another_life_is_a_full_handshake(self):
        ticket = self.authority.path("ticket-of-another")
        with TlsGateway(self.authority, *self.pair) as other:
            self.assertEqual(self.s_client("-sess_out", ticket, port=other.tls_port)[0], 0)
        self.assertIn("New, TLS", self.handshake("-sess_in", ticket))

    def test_no_early_data(self):
        ticket, early = self.authority.path("ticket-early"), self.authority.path("early")
        said = self.handshake("-tls1_3", "-sess_out", ticket)
        self.assertIn("Max Early Data: 0", said + self.s_client("-tls1_3", "-sess_in", ticket)[1])
        with open(early, "wb") as file:
            file.write(REQUEST)
        said = self.handshake("-tls1_3", "-sess_in", ticket, "-early_data", early)
        self.assertIn("Early data was not sent", said)

    def test_no_renegotiation(self):
        status, said = run("openssl", "s_client", "-connect", f"127.0.0.1:{int(self.secure)}", "-tls1_2", "-CAfile", self.authority.certificate, said=b"R\n" + REQUEST)
        self.assertIn("RENEGOTIATING", said)
        self.assertNotIn("HTTP/1.1 200", said)
        self.assertRegex(said, "no renegotiation|alert|error|unexpected")

    def test_a_key_update_goes_on(self):
        """s_client's K asks for both sides' new keys; what is typed behind it goes out by them."""
        process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{int(self.secure)}", "-tls1_3", "-CAfile", self.authority.certificate], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        patience = threading.Timer(6 * PATIENCE, process.kill)
        patience.start()
        try:
            for line in (b"k\n", b"K\n", REQUEST):
                time.sleep(0.2)  # it takes commands only where they stand at the beginning of what it reads at once
                process.stdin.write(line)
                process.stdin.flush()
            said = "".join(iter(lambda: process.stdout.readline().decode("utf-8", "replace"), ""))  # Connection: close ends it
        finally:
            patience.cancel()
            process.kill()
            process.communicate()
        self.assertEqual(said.count("KEYUPDATE"), 2)
        self.assertIn("HTTP/1.1 200", said)

    def test_no_compression_and_extended_master_secret(self):
        said = self.handshake("-tls1_2")
        self.assertIn("Compression: NONE", said)
        self.assertIn("Extended master secret: yes", said)

    def test_every_way_of_carrying_a_credential(self):
        topic = self.topic()
        for how in ({"add": [("Authorization", f"Bearer {KEY}")]}, {"add": [("X-API-Key", KEY)]}, {"add": [("Sec-WebSocket-Protocol", f"ringcast.v1, ringcast.token.{KEY}")]}, {"path": f"/v1/ws?token={KEY}"}):
            with Ws(self.secure, **how) as ws:
                self.assertEqual(ws.ask("publish", topic=topic, data=1)["op"], "published", how)
        with Ws(self.secure) as ws:
            self.assertEqual(ws.ask("publish", topic=topic, data=1)["code"], "unauthorized")
            self.assertEqual(ws.ask("auth", token=KEY)["op"], "authenticated")
            self.assertEqual(ws.ask("publish", topic=topic, data=1)["op"], "published")
        self.assertEqual(fetch(self.secure, "GET", "/metrics").status, 401)

    def test_the_bench_counts_and_checks_the_same(self):
        for reader in ((), ("--sweep",)):
            for most in ("--window", "--rate"):
                status, said = run(RINGCAST_BENCH, "fanout", "--url", f"wss://127.0.0.1:{int(self.secure)}", "--key", KEY, "--subscribers", "20", "--seconds", "0.5", "--warmup", "0.1", most, "100",
                                   "--json", "--metrics-url", "none", "--cacert", self.authority.certificate, *reader)
                self.assertEqual(status, 0, said)
                told = object_in(said)
                self.assertGreater(told["least"], 20)
                self.assertTrue(told["complete"])
                self.assertTrue(told.get("exact", True))

    def test_churning_subscribers_resume_over_tls(self):
        status, said = run(RINGCAST_BENCH, "fanout", "--url", f"wss://127.0.0.1:{int(self.secure)}", "--key", KEY, "--subscribers", "10", "--churn", "5", "--churn-every", "0.2", "--rate", "300", "--seconds",
                           "2", "--warmup", "0.1", "--json", "--metrics-url", "none", "--cacert", self.authority.certificate)
        told = object_in(said)
        self.assertEqual((status, told["lost"], told["doubled"], told["changed"]), (0, 0, 0, 0), said)
        self.assertGreater(told["resumed"], 10)  # who was cut before its first update has nothing to resume

    @unittest.skipIf(WHY_NO_NODE, WHY_NO_NODE or "")
    def test_node(self):
        topic = self.topic()
        self.publish(topic, 11)
        with Node(f"wss://{LOCALHOST}:{int(self.secure)}", variables={"NODE_EXTRA_CA_CERTS": self.authority.certificate}) as node:
            self.assertEqual(node.run("const rc = client(); for await (const { data } of rc.subscribe(%s)) { rc.close(); return data; }" % json.dumps(topic)), 11)
        with Node(f"wss://{LOCALHOST}:{int(self.secure)}") as node:  # who trusts nobody is not connected
            self.assertEqual(node.run("const rc = client(); rc.connect().catch(() => {}); await sleep(500); const state = rc.state; rc.close(); return state !== 'open';"), True)

    @unittest.skipUnless(os.path.exists("/usr/lib/python3/dist-packages/websockets"), "python3-websockets is not installed")
    def test_python_websockets(self):
        topic = self.topic()
        self.publish(topic, 13)
        code = ("import asyncio, json, ssl, sys, websockets\n"
                "async def main():\n"
                "    context = ssl.create_default_context(cafile=sys.argv[2])\n"
                "    async with websockets.connect(sys.argv[1], ssl=context, subprotocols=['ringcast.v1']) as ws:\n"
                "        async for text in ws:\n"
                "            if 'data' in (message := json.loads(text)): return print(message['data'], ws.subprotocol)\n"
                "asyncio.run(main())\n")
        status, said = run("/usr/bin/python3", "-c", code, f"wss://{LOCALHOST}:{int(self.secure)}/v1/ws?topics={topic}", self.authority.certificate)
        self.assertEqual((status, said), (0, "13 ringcast.v1\n"))

    @unittest.skipIf(WHY_NO_CHROMIUM, WHY_NO_CHROMIUM or "")
    def test_chromium(self):
        """By the digest of the certificate's key, since headless Chromium has no place for an authority."""
        public = openssl("x509", "-in", self.pair[0], "-pubkey", "-noout")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, capture_output=True, check=True, timeout=60).stdout
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=der, capture_output=True, check=True, timeout=60).stdout
        pin = subprocess.run(["openssl", "base64"], input=digest, capture_output=True, check=True, timeout=60).stdout.decode().strip()
        topic = self.topic()
        self.publish(topic, 17)
        with Chromium(f"--ignore-certificate-errors-spki-list={pin}") as browser:
            page = browser.page(f"wss://{LOCALHOST}:{int(self.secure)}")
            got = page.run("""
                const rc = new ringcast.Ringcast();
                for await (const { data } of rc.subscribe(%s)) { rc.close(); return [data, location.protocol, uncaught]; }""" % json.dumps(topic))
            self.assertEqual(got, [17, "https:", []])
            page.close()


class Rsa(Chains, Kind):
    kind = "rsa"


class Ed25519(Chains, Kind):
    kind = "ed25519"


class Offered(unittest.TestCase):
    def test_ciphers_of_1_2_are_those_of_the_list(self):
        """Each that openssl knows is offered alone."""
        known = subprocess.run(["openssl", "ciphers", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True, timeout=60).stdout.strip().split(":")
        known = [cipher for cipher in known if not cipher.startswith("TLS_")]
        self.assertGreater(len(known), 60)
        for kind, wanted in TLS12.items():
            with Authority() as authority:
                with TlsGateway(authority, *authority.issue("server", kind=kind)) as gateway:
                    taken = set()
                    for cipher in known:
                        context = authority.context(version=ssl.TLSVersion.TLSv1_2)
                        context.set_ciphers(f"{cipher}:@SECLEVEL=0")
                        try:
                            response = fetch(type(gateway.secure())(gateway.tls_port, context), "GET", "/healthz")
                        except (ssl.SSLError, ConnectionError):
                            continue
                        self.assertEqual(response.status, 200)
                        taken.add(cipher)
                    self.assertEqual(taken, wanted, kind)


class RunTls(unittest.TestCase):
    def test_an_authority_of_ones_own_serves_and_is_kept(self):
        """What `make run-tls` makes."""
        with Authority() as place:
            folder = place.path("own")
            command = [os.path.join(ROOT, "deploy", "local-authority"), folder, "gateway.test", "127.0.0.9"]
            status, said = run(*command)
            self.assertEqual((status, said.count("\n")), (0, 1), said)
            self.assertEqual(run(*command), (0, ""))  # and not again
            self.assertEqual(sorted(os.listdir(folder)), ["ca.pem", "names", "server.key", "server.pem"])
            for name in os.listdir(folder):
                self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o77, 0)
            with TlsGateway(place, f"{folder}/server.pem", f"{folder}/server.key") as gateway:
                for name in ("localhost", "gateway.test"):
                    status, said = run("curl", "-sS", "--cacert", f"{folder}/ca.pem", "--resolve", f"{name}:{gateway.tls_port}:127.0.0.1", f"https://{name}:{gateway.tls_port}/healthz")
                    self.assertEqual((status, said), (0, "ok\n"))
                status, said = run("curl", "-sS", "--cacert", f"{folder}/ca.pem", "--resolve", f"other.test:{gateway.tls_port}:127.0.0.1", f"https://other.test:{gateway.tls_port}/healthz")
                self.assertEqual(status, 60, said)
            self.assertEqual(run(*command[:-1])[1].count("made a certificate"), 1)  # other names, another certificate


    def test_the_bench_compares_with_plain_by_it(self):
        with Authority() as place:
            folder = place.path("own")
            self.assertEqual(run(os.path.join(ROOT, "deploy", "local-authority"), folder)[0], 0)
            done = subprocess.run([RINGCAST_BENCH, "pair", "--gateway", RINGCAST, "--load", "tls", "--authority", folder, "--pairs", "2", "--seconds", "0.3", "--connections", "20", "--json"],
                                  capture_output=True, text=True, timeout=6 * PATIENCE, env=environment())
            self.assertEqual(done.returncode, 0, done.stderr)
            row, = json.loads(done.stdout)["variants"]
            self.assertEqual((row["name"], row["pairs"] <= 1), ("TLS, to plain", True))
            if row["pairs"]:
                self.assertAlmostEqual(row["ratio"], row["delivered_per_busy_s"] / row["floor_per_s"], 2)


if __name__ == "__main__":
    unittest.main()
