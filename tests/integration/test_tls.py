"""TLS: what is served over it, what is offered, how it begins and ends, and how certificates change under a gateway that runs.

Promise: everything that plain connections get, those over TLS get too, within the same bounds; nobody is let in by less than TLS 1.2.
"""
import asyncio
import concurrent.futures
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time
import unittest

from certificates import Authority
from client import BINARY, CLOSE, PATIENCE, TEXT, Closed, Http, Tcp, TooLate, Ws, close_payload, deadline_in, fetch, frame, handshake, path_of
from gateway import API_KEY, RINGCAST, Gateway, GatewayTest, environment, free_port


ADMIN_KEY = "the-admin-key-of-the-tests-of-tls"
ADMIN = [("X-API-Key", ADMIN_KEY)]


class TlsGateway(Gateway):
    """A gateway with both ports; `secure` is the one for TLS, trusting its authority."""

    def __init__(self, authority, certificate, key, *flags, **how):
        self.authority, self.tls_port = authority, free_port()
        super().__init__("--auth.admin-key", ADMIN_KEY, "--tls-listen", f"127.0.0.1:{self.tls_port}", "--cert", certificate, "--key", key, *flags, **how)

    def secure(self, name="localhost", **how):
        return self.authority.port(self.tls_port, name, **how)


class Answering(asyncio.Protocol):
    """A WebSocket client as those on asyncio are: what came wakes a task, which answers the close frame where it still can."""

    @classmethod
    async def ask(cls, port, data):
        """Sends this; (the code of the close frame that came, whether it was too late to answer it)."""
        secure = {"ssl": port.context, "server_hostname": port.name} if hasattr(port, "context") else {}
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(loop, handshake(int(port)), data), "127.0.0.1", int(port), **secure)
        try:
            return await asyncio.wait_for(client.answered, PATIENCE)
        finally:
            client.transport.abort()

    def __init__(self, loop, request, data):
        self.loop, self.request, self.data = loop, request, data
        self.answered, self.came, self.open = loop.create_future(), bytearray(), False

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        self.came += data
        if not self.open and b"\r\n\r\n" in self.came:
            del self.came[: self.came.index(b"\r\n\r\n") + 4]
            self.open = True
            self.transport.write(self.data)
        while self.open and len(self.came) >= 2 and len(self.came) >= 2 + self.came[1]:
            opcode, payload = self.came[0] & 15, bytes(self.came[2 : 2 + self.came[1]])
            del self.came[: 2 + len(payload)]
            if opcode == CLOSE:
                self.loop.call_soon(self.answer, int.from_bytes(payload[:2], "big"))

    def answer(self, code):
        late = self.transport.is_closing()
        self.transport.write(frame(CLOSE, close_payload(code)))
        self.answered.set_result((code, late))


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
        rows = fetch(self.port, "GET", "/metrics", ADMIN).body.decode().splitlines()
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith((f"ringcast_{name} ", f"ringcast_{name}{{")))

    def await_level(self, name, level):
        deadline = time.monotonic() + PATIENCE
        while self.count(name) != level:
            if time.monotonic() > deadline:
                raise TooLate(f"{name} is {self.count(name)}, awaited {level}")
            time.sleep(0.02)  # between two looks; what ends the wait is the number

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
                self.assertEqual(http.socket.version(), version.name.replace("_", "."))
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


class Offered(unittest.TestCase):
    """Several certificates in one gateway; what is offered with them."""

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        between = cls.authority.issue("between", hosts=("between",), authority=True)
        pairs = [cls.authority.issue("first", hosts=("localhost",)),
                 cls.authority.issue("second", hosts=("second.example", "*.wild.example"), kind="rsa", by=between),
                 cls.authority.issue("third", hosts=("third.example",), kind="ed25519")]
        cls.gateway = TlsGateway(cls.authority, ",".join(pair[0] for pair in pairs), ", ".join(pair[1] for pair in pairs)).start()

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()
        cls.authority.directory.cleanup()

    def test_the_name_that_is_asked_for_chooses_the_certificate(self):
        cases = (("localhost", "localhost"), ("second.example", "second.example"), ("SECOND.example", "second.example"), ("a.wild.example", "second.example"),
                 ("third.example", "third.example"))
        for name, subject in cases:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(name=name, version=version), Http(self.gateway.secure(name, version=version)) as http:
                    self.assertEqual(http.socket.getpeercert()["subject"][0][0][1], subject)
                    self.assertEqual(http.request("GET", "/healthz").response().status, 200)

    def test_a_name_that_nobody_has_gets_the_first(self):
        for name in ("unknown.example", "a.b.wild.example", "wild.example", ".".join(["x" * 60] * 4)):
            port = self.gateway.secure(name)
            port.context.check_hostname = False
            with self.subTest(name=name), Http(port) as http:
                self.assertEqual(http.socket.getpeercert()["subject"][0][0][1], "localhost")

    def test_who_speaks_no_http_1_1_is_refused(self):
        with self.assertRaises(ssl.SSLError) as caught:
            Http(self.gateway.secure(alpn=("h2",)))
        self.assertIn("no application protocol", str(caught.exception).lower().replace("_", " "))
        with Http(self.gateway.secure(alpn=("h2", "http/1.1"))) as http:
            self.assertEqual(http.socket.selected_alpn_protocol(), "http/1.1")
        with Http(self.gateway.secure(alpn=())) as http:
            self.assertIsNone(http.socket.selected_alpn_protocol())
            self.assertEqual(http.request("GET", "/healthz").response().status, 200)


class Beginning(TlsTest):
    more = ("--shards", "2", "--limits.handshakes-per-turn", "1", "--deadline.handshake-ms", "4000")

    def test_tickets_resume_on_every_shard(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            port, session = self.gateway.secure(version=version), None
            resumed = self.count("tls_handshakes_total{kind=\"resumed\"}")
            for attempt in range(9):
                with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as plain:
                    with port.context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                        tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                        while tls.recv(4096):
                            pass  # with the answer comes the ticket
                        self.assertEqual(tls.session_reused, attempt > 0, (version, attempt))
                        session = tls.session
            self.assertEqual(self.count("tls_handshakes_total{kind=\"resumed\"}") - resumed, 8)

    def test_a_ticket_that_was_altered_is_a_full_handshake(self):
        port = self.gateway.secure(version=ssl.TLSVersion.TLSv1_2)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with Http(port) as http:
            http.request("GET", "/healthz").response()
            session = http.socket.session
        client = port.context.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
        with self.assertRaises(ssl.SSLWantReadError):
            client.do_handshake()
        hello = bytearray(outgoing.read())
        at = len(hello) * 2 // 3  # within the ticket, which is most of it
        hello[at] ^= 1
        full = self.count("tls_handshakes_total{kind=\"full\"}")
        with Tcp(int(port)) as tcp:
            tcp.send(bytes(hello))
            tcp.fill(deadline_in())
            self.assertIn(tcp.buffer[0], (22, 21))  # the flight of a full handshake, which then fails as the transcripts differ; or an alert
        self.assertEqual(self.count("tls_handshakes_total{kind=\"full\"}"), full)
        self.assertEqual(fetch(self.secure, "GET", "/healthz").status, 200)

    def flights(self, version):
        """What a client sends in a handshake that was good, and what it was answered: [(sent, answered)]."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.gateway.secure(version=version).context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        return client, incoming, outgoing

    def shake(self, tcp, version, cut=None, alter=None, piece=None):
        """Shakes hands over tcp; cut: goes away after so many bytes; alter: the byte that is another one; piece: sends so many at a time.
        True: it was over."""
        client, incoming, outgoing = self.flights(version)
        sent = 0
        while True:
            try:
                client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                return False
            data = bytearray(outgoing.read())
            if alter is not None and sent <= alter < sent + len(data):
                data[alter - sent] ^= 0x40
            if cut is not None and sent + len(data) > cut:
                tcp.send(bytes(data[:cut - sent]))
                return False
            sent += len(data)
            for at in range(0, len(data), piece or max(1, len(data))):
                try:
                    tcp.send(bytes(data[at:at + (piece or len(data))]))
                except ConnectionError:
                    return False
            if done:
                return sent
            if not tcp.fill(deadline_in()):
                return False
            incoming.write(bytes(tcp.buffer))
            tcp.buffer.clear()

    def test_a_handshake_byte_by_byte(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with Tcp(int(self.secure)) as tcp:
                self.assertTrue(self.shake(tcp, version, piece=1))

    def test_a_handshake_cut_anywhere_leaves_nothing_behind(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with Tcp(int(self.secure)) as tcp:
                size = self.shake(tcp, version)
            for cut in sorted({*range(0, 12), *range(12, size, max(1, size // 40)), size - 1}):
                with Tcp(int(self.secure)) as tcp:
                    self.shake(tcp, version, cut=cut)
        self.assertEqual(fetch(self.secure, "GET", "/healthz").status, 200)
        self.await_level("tls_connections", 0)

    def test_a_handshake_with_any_byte_altered_is_refused_or_harmless(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with Tcp(int(self.secure)) as tcp:
                size = self.shake(tcp, version)
            failed = self.count("tls_handshakes_total{kind=\"failed\"}")

            def alter(at):
                with Tcp(int(self.secure)) as tcp:
                    self.shake(tcp, version, alter=at)
                    tcp.half_close()
                    tcp.read_to_end()

            with concurrent.futures.ThreadPoolExecutor(8) as pool:  # some wait for their deadline
                list(pool.map(alter, sorted({*range(0, 12), *range(12, size, max(1, size // 40)), size - 1})))
            self.assertGreater(self.count("tls_handshakes_total{kind=\"failed\"}"), failed)
        self.assertEqual(fetch(self.secure, "GET", "/healthz").status, 200)
        self.await_level("tls_connections", 0)

    def test_who_does_not_shake_hands_in_time_is_let_go(self):
        began = time.monotonic()
        with Tcp(int(self.secure)) as silent, Tcp(int(self.secure)) as slow:
            slow.send(b"\x16\x03\x01\x02")
            silent.expect_end()
            slow.expect_end()
        self.assertLess(time.monotonic() - began, PATIENCE)
        self.assertGreater(time.monotonic() - began, 1)

    def test_many_at_once_wait_for_their_turn(self):
        port = self.gateway.secure()
        socks = [socket.create_connection(("127.0.0.1", int(port)), PATIENCE) for _ in range(60)]
        clients = []
        for sock in socks:
            client, incoming, outgoing = self.flights(None)
            with self.assertRaises(ssl.SSLWantReadError):
                client.do_handshake()
            clients.append((sock, client, incoming, outgoing))
        for sock, _, _, outgoing in clients:
            sock.sendall(outgoing.read())
        for sock, client, incoming, outgoing in clients:
            while True:
                incoming.write(sock.recv(65536))
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    pass
            client.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sock.sendall(outgoing.read())
        for sock, client, incoming, _ in clients:
            answer = b""
            while b"ok\n" not in answer:
                incoming.write(sock.recv(65536))
                try:
                    answer += client.read(65536)
                except ssl.SSLWantReadError:
                    pass
            sock.close()
        self.assertGreater(self.count("tls_handshakes_postponed_total"), 0)


class Ending(TlsTest):
    def test_close_notify_is_answered(self):
        with Http(self.secure) as http:
            http.request("GET", "/healthz").response()
            http.socket.settimeout(PATIENCE)
            plain = http.socket.unwrap()  # says it, and returns when it was said to us
            self.assertEqual(plain.recv(100), b"")

    def test_the_gateway_says_close_notify(self):
        port = self.secure
        for path in ("/healthz", "/v1/ws"):
            with Http(port) as http:
                strict = port.context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
                del strict
                http.socket.suppress_ragged_eofs = False
                if path == "/healthz":
                    http.request("GET", path, [("Connection", "close")]).response()
                    self.assertEqual(http.socket.recv(100), b"", "a proper end; one without close_notify raises SSLEOFError")
        ws = Ws(port)
        ws.socket.suppress_ragged_eofs = False
        ws.read()
        ws.send_frame(8, b"\x03\xe8")
        ws.expect_close(1000, reason=False)
        self.assertEqual(ws.socket.recv(100), b"")
        ws.close()

    def test_close_notify_follows_a_close_frame_that_nobody_answers(self):
        with TlsGateway(self.authority, self.certificate, self.certificate_key, "--deadline.close-ms", "800ms") as gateway, Ws(gateway.secure()) as ws:
            ws.socket.suppress_ragged_eofs = False
            ws.read()
            ws.send_frame(BINARY, b"x")
            with self.assertRaises(Closed) as closed:
                ws.read_message()
            self.assertEqual(closed.exception.code, 1003)
            ws.expect_end()

    def test_a_client_of_asyncio_can_answer_the_close_frame_that_fails_its_connection(self):
        """close_notify came in one read with the close frame: asyncio then closes the transport before anybody has seen the frame, and
        aiohttp, which could not answer any more, told 1006 in place of 1003."""
        with TlsGateway(self.authority, self.certificate, self.certificate_key, "--deadline.close-ms", "10m") as gateway:
            for port in (gateway.port, *(gateway.secure(version=version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))):
                for wrong, code in ((frame(BINARY, b"x"), 1003), (frame(TEXT, b"\xff"), 1007), (frame(3, b""), 1002), (frame(TEXT, b"1" * (2 << 20)), 1009)):
                    with self.subTest(port=port, code=code):
                        self.assertEqual(asyncio.run(Answering.ask(port, wrong)), (code, False))

    def test_an_end_without_close_notify_is_counted(self):
        before = self.count("tls_cut_total")
        ws = Ws(self.secure)
        ws.read()
        os.close(ws.socket.detach())  # FIN alone
        self.await_count("tls_cut_total", 1, before)

    def test_a_broken_record_ends_it_with_an_alert(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.secure.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with Tcp(int(self.secure)) as tcp:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    tcp.send(outgoing.read())
                    tcp.fill(deadline_in())
                    incoming.write(bytes(tcp.buffer))
                    tcp.buffer.clear()
            client.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = bytearray(outgoing.read())
            data[-1] ^= 1
            tcp.send(bytes(data))
            incoming.write(tcp.read_to_end())
            with self.assertRaises(ssl.SSLError) as caught:
                while client.read(65536):
                    pass
            self.assertIn("bad record mac", str(caught.exception).lower().replace("_", " "))

    def test_keys_are_updated_when_the_client_asks(self):
        topic = self.topic()
        process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{int(self.secure)}", "-CAfile", self.authority.certificate, "-servername", "localhost", "-tls1_3"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.publish(topic, 4711)
        seen = b""
        try:
            for round_number in range(3):
                process.stdin.write(b"K\n")  # a fresh key for us, and one asked for from the gateway
                process.stdin.flush()
                time.sleep(0.3)  # s_client reads commands line by line, each from one read alone
                process.stdin.write(f"GET {path_of(topic)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                process.stdin.flush()
                deadline = time.monotonic() + PATIENCE
                while seen.count(b"4711") <= round_number:
                    self.assertLess(time.monotonic(), deadline, seen[-2000:])
                    ready, _, _ = select.select([process.stdout], [], [], 0.2)
                    seen += os.read(process.stdout.fileno(), 65536) if ready else b""
            self.assertEqual(seen.count(b"KEYUPDATE"), 3)
        finally:
            process.kill()
            process.communicate()


class Slow(TlsTest):
    more = ("--topics.window-bytes", "64K", "--shards", "1")

    def test_a_stalled_reader_costs_a_bound_and_gets_what_is_newest(self):
        topics = [self.topic("slow") for _ in range(4)]
        stalled = [Ws(self.secure, receive_bytes=4096) for _ in range(10)]
        for ws in stalled:
            ws.read()
            self.assertEqual(ws.ask("subscribe", topics=topics, mode="latest")["op"], "subscribed")
        payload = json.dumps("x" * 1000)
        for _ in range(60):
            self.gateway.publish_many([(topic, payload) for topic in topics for _ in range(20)])
        self.await_count("connections_blocked", len(stalled))
        time.sleep(0.6)  # levels are set four times a second, in turns, of which each look at them makes one
        self.await_count("memory_bytes{kind=\"clients\"}", 1)
        held = self.count("memory_bytes{kind=\"clients\"}")
        self.assertLess(held / len(stalled), 32 * 1024 + 2048 + 2048, "32 KiB of ciphertext and the rest of one frame")
        for topic in topics:
            self.publish(topic, '"last"')
        for ws in stalled:
            due, seqs = set(topics), {}
            while due:
                message = ws.read()
                if not message.is_update:
                    continue
                self.assertGreater(message["seq"], seqs.get(message["topic"], 0))
                seqs[message["topic"]] = message["seq"]
                if message["data"] == "last":
                    due.discard(message["topic"])
            self.assertTrue(all(seq == 1201 for seq in seqs.values()), seqs)
            ws.close()

    def test_every_update_arrives_through_a_narrow_socket(self):
        topic = self.topic("every")
        self.publish(topic, 0)
        with Ws(self.secure, receive_bytes=8192) as ws:
            ws.read()
            ws.ask("subscribe", topics=[topic], mode="every", snapshot=False)
            payload = "y" * 900
            sent = 0
            for _ in range(10):
                self.gateway.publish_many([(topic, json.dumps(payload + str(sent + i))) for i in range(50)])
                for _ in range(50):
                    message = ws.read()
                    self.assertUpdate(message, topic, sent + 2)
                    self.assertEqual(message["data"], payload + str(sent))
                    sent += 1

    def test_frames_larger_than_a_record(self):
        topic = self.topic("large")
        with Ws(self.secure) as ws:
            ws.read()
            ws.ask("subscribe", topics=[topic], mode="every")
            self.publish(topic)
            while not ws.read().is_update:
                pass
            for size in (16_000, 16_300, 16_384, 20_000, 32_700, 40_000, 64_000):
                self.publish(topic, json.dumps("z" * size))
                self.assertEqual(ws.read()["data"], "z" * size)

    def test_formats_of_lines_over_tls(self):
        topic = self.topic("lines")
        with Ws(self.secure, "/v1/ws?batch=1&format=array", receive_bytes=8192) as ws:
            ws.send_json({"op": "subscribe", "id": 1, "topics": [topic], "mode": "every"})
            count = 3000
            self.gateway.publish_many([(topic, json.dumps(f"{i}" + "w" * 30)) for i in range(400)])
            seen = []
            while len(seen) < 400:
                _, data = ws.read_message()
                seen += [json.loads(line) for line in data.decode().splitlines() if line.startswith("[")]
            self.assertEqual([one[1] for one in seen], list(range(1, 401)))


class Change(unittest.TestCase):
    """Certificates that change under a gateway that runs."""

    def setUp(self):
        self.authority = Authority()
        self.addCleanup(self.authority.directory.cleanup)
        self.first = self.authority.issue("one", hosts=("localhost", "one.example"))
        self.second = self.authority.issue("two", hosts=("two.example", "localhost"), kind="rsa")
        self.certificate, self.key = self.authority.path("now.pem"), self.authority.path("now.key")
        self.put(self.first)

    def put(self, pair):
        for source, target in zip(pair, (self.certificate, self.key)):
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)

    def subject(self, gateway):
        with Http(gateway.secure()) as http:
            return http.socket.getpeercert()["subject"][0][0][1]

    def await_subject(self, gateway, subject):
        deadline = time.monotonic() + PATIENCE
        while self.subject(gateway) != subject:
            self.assertLess(time.monotonic(), deadline, gateway.last_words())
            time.sleep(0.05)  # between two looks; what ends the wait is the certificate

    def test_the_metrics_tell_the_end_of_each_certificate_that_is_served(self):
        """Nothing told that one was about to end: the first to know were its clients."""
        def end_of(certificate):
            said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", certificate], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
            return ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter=")) + 1  # which is its last second

        def told(gateway):
            page = gateway.fetch("GET", "/metrics", ADMIN).body.decode()
            return dict(re.findall(r'^ringcast_certificate_end_time_seconds\{file="([^"]+)"\} (\d+)$', page, re.M))

        longer = self.authority.issue("longer", days=9)
        certificates, keys = zip((self.certificate, self.key), self.second, (self.certificate, self.key))
        with TlsGateway(self.authority, ",".join(certificates), ",".join(keys)) as gateway:
            self.assertEqual(told(gateway), {self.certificate: str(end_of(self.first[0])), self.second[0]: str(end_of(self.second[0]))}, "one row for each file")
            self.put(longer)
            gateway.await_logged("certificates changed")
            deadline = time.monotonic() + PATIENCE
            while told(gateway)[self.certificate] != str(end_of(longer[0])):  # each shard takes it in its turn
                self.assertLess(time.monotonic(), deadline)
            self.assertGreater(end_of(longer[0]), end_of(self.first[0]))
        with Gateway("--auth.admin-key", ADMIN_KEY) as gateway:
            self.assertNotIn("ringcast_certificate", gateway.fetch("GET", "/metrics", ADMIN).body.decode())

    def test_by_the_files_alone_and_without_dropping_anybody(self):
        with TlsGateway(self.authority, self.certificate, self.key) as gateway, Ws(gateway.secure()) as ws:
            ws.read()
            self.assertEqual(self.subject(gateway), "localhost")
            self.put(self.second)
            self.await_subject(gateway, "two.example")
            gateway.await_logged("certificates changed")
            self.assertEqual(ws.ask("ping")["op"], "pong")

    def test_by_sighup(self):
        with TlsGateway(self.authority, self.certificate, self.key) as gateway, Ws(gateway.secure()) as ws:
            ws.read()
            self.put(self.second)
            gateway.signal(signal.SIGHUP)
            gateway.await_logged("settings were read again")
            self.await_subject(gateway, "two.example")
            self.assertEqual(ws.ask("ping")["op"], "pong")

    def test_a_bad_pair_changes_nothing_and_says_why(self):
        cases = ((self.second[0], self.first[1], "the key does not belong to the certificate"), (self.first[0], None, "can't be read"), (os.devnull, self.first[1], "is no regular file"),
                 (self.first[1], self.first[1], "the certificate can't be read"))
        with TlsGateway(self.authority, self.certificate, self.key) as gateway:
            for number, (certificate, key, why) in enumerate(cases, 1):
                for source, target in ((certificate, self.certificate), (key, self.key)):
                    os.unlink(target)
                    if source == os.devnull:
                        os.mkfifo(target)
                    elif source:
                        shutil.copy(source, target)
                line = gateway.await_logged("certificates were not changed", number)[-1]
                self.assertIn(why, line)
                self.assertEqual(self.subject(gateway), "localhost")
                gateway.signal(signal.SIGHUP)
                self.assertIn(why, gateway.await_logged("settings were not reloaded", number)[-1])
                self.assertEqual(self.subject(gateway), "localhost")
                self.put(self.first)
                time.sleep(2.5)  # it is looked at each second, and what is as it was is nobody's business
            self.put(self.second)
            self.await_subject(gateway, "two.example")

    def test_tickets_go_on_after_a_change(self):
        with TlsGateway(self.authority, self.certificate, self.key) as gateway:
            port = gateway.secure()
            with Http(port) as http:
                http.request("GET", "/healthz").response()
                session = http.socket.session
            self.put(self.second)
            self.await_subject(gateway, "two.example")
            with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as plain:
                with port.context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                    self.assertTrue(tls.session_reused)

    def test_a_start_without_or_with_a_bad_pair_is_refused(self):
        cases = (((), "no certificate"), (("--cert", self.certificate), "each certificate needs its key"),
                 (("--cert", self.certificate, "--key", self.second[1]), "does not belong"),
                 (("--cert", self.certificate, "--key", "/nowhere"), "No such file"))
        for flags, why in cases:
            for command in ("serve", "check"):
                with self.subTest(why=why, command=command):
                    done = subprocess.run([RINGCAST, command, "--listen", f"127.0.0.1:{free_port()}", "--tls-listen", f"127.0.0.1:{free_port()}", *flags], capture_output=True, timeout=PATIENCE, env=environment())
                    self.assertEqual(done.returncode, 1, done)
                    self.assertIn(why, done.stderr.decode())
        done = subprocess.run([RINGCAST, "check", "--cert", self.certificate, "--key", self.key], capture_output=True, timeout=PATIENCE, env=environment())
        self.assertEqual((done.returncode, b"tls-listen" in done.stderr), (1, True))


class Around(unittest.TestCase):
    """What stands around TLS: proxies, limits, sockets that are handed over."""

    def setUp(self):
        self.authority = Authority()
        self.addCleanup(self.authority.directory.cleanup)
        self.pair = self.authority.issue("server")

    def wrapped(self, gateway, first):
        """A TLS connection that begins with these bytes in clear."""
        sock = socket.create_connection(("127.0.0.1", gateway.tls_port), PATIENCE)
        sock.sendall(first)
        return self.authority.context().wrap_socket(sock, server_hostname="localhost")

    def test_the_header_of_a_proxy_comes_before_tls(self):
        flags = ("--proxies.trusted", "127.0.0.0/8", "--listen.proxy-protocol", "accept", "--limits.connections-per-address", "2", "--shards", "1")
        with TlsGateway(self.authority, *self.pair, *flags) as gateway:
            kept = []
            for number in range(4):
                tls = self.wrapped(gateway, b"PROXY TCP4 203.0.113.7 127.0.0.1 1000 443\r\n")
                tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b" 200 " if number < 2 else b" 429 ", tls.recv(4096))
                kept.append(tls)
            self.assertEqual(fetch(gateway.secure(), "GET", "/healthz").status, 200)
            for tls in kept:
                tls.close()

    def test_a_broken_header_of_a_proxy_ends_it(self):
        flags = ("--proxies.trusted", "127.0.0.0/8", "--listen.proxy-protocol", "accept", "--log.level", "debug")
        with TlsGateway(self.authority, *self.pair, *flags) as gateway:
            with Tcp(gateway.tls_port) as tcp:
                tcp.send(b"PROXY nonsense\r\n")
                tcp.expect_end()
            gateway.await_logged("a connection was closed")

    def test_where_a_header_is_required_nobody_comes_without(self):
        for trusted, first in (("192.0.2.0/24", b""), ("127.0.0.0/8", b"\x16\x03\x01\x00\x10")):
            gateway = TlsGateway(self.authority, *self.pair, "--proxies.trusted", trusted, "--listen.proxy-protocol", "require")
            gateway.answers = lambda: "listening" in gateway.logged()
            with gateway, Tcp(gateway.tls_port) as tcp:
                tcp.send_as_far_as_taken(first)
                tcp.expect_end()

    def test_beyond_the_limit_of_connections_the_answer_is_503(self):
        with TlsGateway(self.authority, *self.pair, "--limits.connections", "3", "--shards", "1") as gateway:
            held = [Ws(gateway.secure()) for _ in range(3)]
            response = fetch(gateway.secure(), "GET", "/healthz")
            self.assertEqual((response.status, response.code), (503, "busy"))
            for ws in held:
                ws.close()

    def test_sockets_that_are_handed_over(self):
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        gateway = TlsGateway(self.authority, *self.pair, "--shards", "2", sockets=sockets, variables={"LISTEN_FDNAMES": "http:tls"})
        gateway.tls_port = sockets[1].getsockname()[1]
        gateway.start(sockets[0].getsockname()[1])
        for _ in range(8):
            self.assertEqual(fetch(gateway.secure(), "GET", "/healthz").status, 200)
            self.assertEqual(fetch(gateway.port, "GET", "/healthz").status, 200)
        gateway.stop()
        for sock in sockets:
            sock.close()

    def test_a_drain_says_goodbye_over_tls(self):
        with TlsGateway(self.authority, *self.pair) as gateway:
            ws = Ws(gateway.secure())
            ws.socket.suppress_ragged_eofs = False
            ws.read()
            gateway.signal(signal.SIGTERM)
            self.assertEqual(ws.read()["op"], "closing")
            ws.expect_close(1001)
            self.assertEqual(ws.socket.recv(100), b"")
            ws.close()
            gateway.wait()


if __name__ == "__main__":
    unittest.main()
