"""TLS under attack: handshakes that end at every byte, records that were altered at every byte, ends that nobody signed.

Promise: nothing of it is ever answered as if it were right, nobody else notices, and the gateway keeps nothing of those who did it.
"""
import socket
import ssl
import time
import unittest

from certificates import Authority
from client import PATIENCE, Ws, fetch
from gateway import GatewayTest
from test_tls import TlsGateway

ADMIN = "integration-admin-5d1c"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


class Session:
    """A client whose every byte is in the test's hands."""

    def __init__(self, authority, version):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = authority.context(version=version).wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def flight(self):
        """What the handshake has to say next; (bytes, whether it is over)."""
        try:
            self.tls.do_handshake()
            return self.outgoing.read(), True
        except ssl.SSLWantReadError:
            return self.outgoing.read(), False

    def request(self):
        self.tls.write(REQUEST)
        return self.outgoing.read()


class Wire:
    """The socket beneath."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def answer(self):
        """What comes next; empty at the end."""
        try:
            return self.socket.recv(1 << 16)
        except ConnectionError:
            return b""


class Attacks(GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.addClassCleanup(cls.authority.directory.cleanup)
        cls.gateway = TlsGateway(cls.authority, *cls.authority.issue("server"), "--auth.admin-key", ADMIN).start()
        cls.port, cls.secure = cls.gateway.port, cls.gateway.secure()

    def setUp(self):
        self.neighbour = Ws(self.secure)
        self.neighbour.read()
        self.addCleanup(self.neighbour.close)

    def tearDown(self):
        """Whoever was there is still served, and nothing is left of the others."""
        topic = self.topic()
        self.neighbour.ask("subscribe", topics=[topic])
        self.publish(topic, 3)
        while "data" not in (message := self.neighbour.read()):
            pass  # the topic's birth
        self.assertEqual(message["data"], 3)
        deadline = time.monotonic() + 3 * PATIENCE
        while (left := self.level("tls_connections")) != 1:
            self.assertLess(time.monotonic(), deadline, f"{left} connections over TLS are left, one is ours")
            time.sleep(0.02)  # between two looks; what ends the wait is the number

    def level(self, name):
        rows = fetch(self.port, "GET", "/metrics", [("X-API-Key", ADMIN)]).body.decode().splitlines()
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith(f"ringcast_{name} ") or row.startswith(f"ringcast_{name}{{"))

    def flights(self, version):
        """The client's flights of an honest handshake, and its request, each as long as any of that version."""
        session, sizes = Session(self.authority, version), []
        with Wire(int(self.secure)) as wire:
            flight, over = session.flight()
            sizes.append(len(flight))
            wire.socket.sendall(flight)
            while not over:
                session.incoming.write(wire.answer())
                flight, over = session.flight()
                if flight:
                    sizes.append(len(flight))
                    wire.socket.sendall(flight)
            request = session.request()
            sizes.append(len(request))
        return sizes

    def play(self, version, number, change, wire):
        """An honest handshake as far as flight `number`, which `change` gets; then honest again. What was said within TLS; None: the client itself saw that something was wrong."""
        session, sent = Session(self.authority, version), 0
        asked, said = False, b""
        try:
            while True:
                pieces = []
                if not asked:
                    flight, over = session.flight()
                    pieces = [flight] if flight else []
                    if over:
                        asked = True
                        pieces.append(session.request())
                for piece in pieces:
                    changed = change(piece) if sent == number else piece
                    sent += 1
                    if changed:
                        wire.socket.sendall(changed)
                    if changed is None or len(changed) < len(piece):
                        wire.socket.shutdown(socket.SHUT_WR)
                        while wire.answer():
                            pass
                        return said
                data = wire.answer()
                if not data:
                    return said
                session.incoming.write(data)
                if asked:
                    try:
                        while more := session.tls.read(1 << 16):
                            said += more
                    except ssl.SSLWantReadError:
                        pass
        except (ssl.SSLError, ConnectionError):
            return None

    def test_an_honest_one_is_served(self):
        for version in VERSIONS:
            with Wire(int(self.secure)) as wire:
                self.assertIn(b"200 OK", self.play(version, 99, lambda piece: piece, wire))

    def test_cut_at_every_byte(self):
        for version in VERSIONS:
            for number, size in enumerate(self.flights(version)):
                for at in range(size):
                    with self.subTest(version=version, flight=number, at=at), Wire(int(self.secure)) as wire:
                        self.assertIn(self.play(version, number, lambda piece, at=at: piece[:at], wire), (b"", None))

    def test_altered_at_every_byte(self):
        """Each byte of each flight and of the request, all bits turned and one alone; but for the first record's minor version, which says nothing (RFC 8446, 5.1)."""
        for version in VERSIONS:
            for number, size in enumerate(self.flights(version)):
                for at in (at for at in range(size) if (number, at) != (0, 2)):
                    for bits in (0xff, 0x01):
                        with self.subTest(version=version, flight=number, at=at, bits=bits), Wire(int(self.secure)) as wire:
                            wire.socket.settimeout(0.5)  # a length that grew waits for what never comes
                            try:
                                said = self.play(version, number, lambda piece, at=at, bits=bits: piece[:at] + bytes([piece[at] ^ bits]) + piece[at + 1:], wire)
                            except TimeoutError:
                                said = None
                            self.assertIn(said, (b"", None))

    def test_a_record_that_was_altered_is_told_by_an_alert(self):
        for version in VERSIONS:
            session = Session(self.authority, version)
            with Wire(int(self.secure)) as wire:
                flight, over = session.flight()
                wire.socket.sendall(flight)
                while not over:
                    session.incoming.write(wire.answer())
                    flight, over = session.flight()
                    wire.socket.sendall(flight)
                request = bytearray(session.request())
                request[-1] ^= 1
                wire.socket.sendall(request)
                while data := wire.answer():
                    session.incoming.write(data)
                with self.assertRaisesRegex(ssl.SSLError, "BAD_RECORD_MAC|bad record mac"):
                    session.tls.read(1 << 16)

    def test_records_of_every_type_and_of_any_length_before_a_handshake(self):
        for kind in range(256):
            for length in (0, 1, 5, 16384, 65535):
                with self.subTest(kind=kind, length=length), Wire(int(self.secure)) as wire:
                    try:
                        wire.socket.sendall(bytes([kind, 3, 1]) + length.to_bytes(2, "big") + bytes(min(length, 64)))
                        wire.socket.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass  # it was let go before
                    said = b""
                    while data := wire.answer():
                        said += data
                    self.assertTrue(said == b"" or said[0] == 21 or said.startswith(b"HTTP/1.1 400"), said[:40])

    def test_records_that_say_nothing_are_not_taken_for_ever(self):
        """Warnings, empty records, and what TLS 1.3 keeps for middleboxes: in the middle of a handshake, a thousand of them end it at once."""
        for record in (bytes([21, 3, 3, 0, 2, 1, 90]), bytes([22, 3, 3, 0, 0]), bytes([20, 3, 3, 0, 1, 1])):
            with self.subTest(record=record), Wire(int(self.secure)) as wire:
                begin = time.monotonic()
                try:
                    wire.socket.sendall(Session(self.authority, None).flight()[0] + record * 1000)
                except OSError:
                    pass  # it hung up
                while wire.answer():
                    pass
                self.assertLess(time.monotonic() - begin, 9)  # deadline.handshake-ms would end it after 10


if __name__ == "__main__":
    unittest.main()
