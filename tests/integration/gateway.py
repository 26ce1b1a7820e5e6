"""Starts the real program on a free loopback port and ends it again.

Promise: a test that begins finds a gateway that answers, and a gateway that ends must do so by SIGTERM, with status 0 and without
a word from a sanitizer. The program is RINGCAST (build/debug/ringcast), the bench RINGCAST_BENCH (build/debug/ringcast-bench).
RINGCAST_TEST_SHARDS says how many shards a gateway has whose test asks for no number (else as many as there are CPUs).
With RINGCAST_TEST_TLS=1 a gateway serves TLS too, and all that a test does with its `port` goes over TLS.
"""
import atexit
import functools
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from client import PATIENCE, Ended, Http, TlsPort, TooLate, Ws, fetch, path_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RINGCAST = os.path.abspath(os.environ.get("RINGCAST") or os.path.join(ROOT, "build", "debug", "ringcast"))
SHARDS = os.environ.get("RINGCAST_TEST_SHARDS")
TLS = os.environ.get("RINGCAST_TEST_TLS") == "1"
RINGCAST_BENCH = os.path.abspath(os.environ.get("RINGCAST_BENCH") or os.path.join(ROOT, "build", "debug", "ringcast-bench"))

KEY = "integration-key-7f3a9c51d2e84b60"
BEARER = ("Authorization", f"Bearer {KEY}")
API_KEY = ("X-API-Key", KEY)

SANITIZER_WORDS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:")


def environment():
    """Ours without RINGCAST_…, which the program would take for settings, and without whom this computer's user trusts."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGCAST") and name != "SSL_CERT_FILE"}


def free_port():
    """A port below the ephemeral range, so that no client's own port takes it between now and the listen."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


@functools.cache
def authority():
    """The one of this process, and a server's certificate by it; made when it is first asked for."""
    from certificates import Authority
    made = Authority()
    return made, made.issue("server")


class Gateway:
    """One running gateway; a context manager. key=None configures none."""

    def __init__(self, *flags, key=KEY, command=("serve",), variables=None, stderr=None, sockets=()):
        self.flags = list(flags) + ([] if key is None else ["--auth.publish-key", key])
        self.command = list(command)
        if SHARDS and "--shards" not in self.flags:
            self.flags += ["--shards", SHARDS]
        self.variables = variables or {}
        self.pipe = stderr  # a descriptor for its standard error; None: a file of ours
        self.sockets = sockets  # listening ones that it inherits, as systemd's socket activation hands them over
        self.process = None
        self.said = None    # (stdout, stderr) of one that has ended
        self.ended = False  # its end was seen and found clean

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            self.kill()
        elif not self.ended:
            self.stop()

    def start(self, port=None):
        """port: one of an earlier life, to come back under its clients."""
        self.port = port or free_port()
        if TLS and not isinstance(self.port, TlsPort):
            plain, (made, (certificate, key)) = self.port, authority()
            self.port = made.port(free_port())
            self.tls_flags = ["--listen", f"127.0.0.1:{plain}", "--tls-listen", f"127.0.0.1:{int(self.port)}", "--cert", certificate, "--key", key]
        endpoints = self.tls_flags if TLS else ["--listen", f"127.0.0.1:{self.port}"]
        self.said, self.ended = None, False
        self.stdout, self.stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        command = [RINGCAST, *self.command, *endpoints, *self.flags]
        if self.sockets:  # descriptors from 3 on, and the process that they are for
            moves = " ".join(f"{3 + i}<&{one.fileno()}" for i, one in enumerate(self.sockets))
            command = ["bash", "-c", f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(self.sockets)} exec "$0" "$@"', *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.stdout, stderr=self.stderr if self.pipe is None else self.pipe,
                                        env={**environment(), **self.variables}, pass_fds=[one.fileno() for one in self.sockets])
        atexit.register(self.kill)
        deadline = time.monotonic() + 2 * PATIENCE
        while not self.answers():
            if self.process.poll() is not None:
                self.forget()
                raise AssertionError(f"the gateway ended at its start: {self.last_words()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"/healthz does not answer: {self.last_words()}")
            time.sleep(0.01)  # between two tries; what ends the wait is the answer
        return self

    def answers(self):
        try:
            return fetch(self.port, "GET", "/healthz").status == 200
        except (OSError, Ended, TooLate):
            return False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=None):
        """Awaits the end; raises unless it was a clean one."""
        try:
            status = self.process.wait(2 * PATIENCE if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway does not end: {self.last_words()}") from None
        self.forget()
        if status != 0:
            raise AssertionError(f"the gateway ended with {self.last_words()}")
        if SANITIZER_WORDS.search(self.said[1]):
            raise AssertionError(f"a sanitizer spoke: {self.last_words()}")
        self.ended = True

    def stop(self):
        if not self.running():
            self.forget()
            raise AssertionError(f"the gateway had already ended with {self.last_words()}")
        self.signal(signal.SIGTERM)
        self.wait()

    def kill(self):
        """The end without manners, where the test has failed anyway."""
        if self.running():
            self.process.kill()
            self.process.wait()
        self.forget()

    def forget(self):
        """After its end: keeps what it said and gives the files back."""
        atexit.unregister(self.kill)
        if self.said is None:
            self.said = self.output(self.stdout), self.output(self.stderr)
            self.stdout.close()
            self.stderr.close()

    def logged(self):
        """What it has written to standard error so far."""
        return self.said[1] if self.said else self.output(self.stderr)

    def await_logged(self, words, count=1, seconds=None):
        """Awaits that the log holds so many lines with these words; returns those lines."""
        deadline = time.monotonic() + (PATIENCE if seconds is None else seconds)
        while True:
            lines = [line for line in self.logged().splitlines() if words in line]
            if len(lines) >= count:
                return lines
            if time.monotonic() > deadline:
                raise TooLate(f"{len(lines)} of {count} lines with {words!r}: {self.last_words()}")
            time.sleep(0.01)  # between two looks; what ends the wait is the line

    @staticmethod
    def output(file, count=1 << 20):
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), count, max(0, size - count)).decode("utf-8", "replace")

    def last_words(self, count=6000):
        words = self.said[1] if self.said else self.output(self.stderr)
        return f"status {self.process.poll()}, stderr:\n{words[-count:]}"

    # short ways to what most tests need

    def fetch(self, method, path, headers=(), body=None, **how):
        return fetch(self.port, method, path, headers, body, **how)

    def publish(self, topic, data=1, key=False):
        """Publishes one; data is JSON text as bytes or str, or a number. Returns {"topic","epoch","seq"}."""
        body = data if isinstance(data, bytes) else str(data).encode()
        response = self.fetch("POST", path_of(topic, "?key=1" if key else ""), [API_KEY], body)
        if response.status != 200:
            raise AssertionError(f"publishing to {topic!r}: {response}")
        return response.json()

    def publish_many(self, lines):
        """Publishes (topic, JSON text) or (topic, JSON text, True) in their order, in as many requests as the body's limit asks for."""
        def send(batch):
            response = self.fetch("POST", "/v1/publish", [API_KEY, ("Content-Type", "application/x-ndjson")], b"".join(batch))
            if response.status != 200 or response.json()["published"] != len(batch):
                raise AssertionError(f"publishing many: {response}")

        batch, size = [], 0
        for topic, data, *key in lines:
            line = ('{"topic":%s,"data":%s%s}\n' % (json.dumps(topic), data, ',"key":true' if key and key[0] else "")).encode()
            if size + len(line) > 4 << 20:
                send(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        if batch:
            send(batch)

    def history(self, topic, after=0, limit=1000):
        response = self.fetch("GET", path_of(topic, f"/history?after={after}&limit={limit}"))
        if response.status != 200:
            raise AssertionError(f"history of {topic!r}: {response}")
        return response.json()["updates"]

    def oldest(self, topic):
        """The lowest seq that the window of a topic holds."""
        return self.history(topic, limit=1)[0]["seq"]


class GatewayTest(unittest.TestCase):
    """A class of tests that share one gateway; each uses topics of its own."""
    flags = ()
    key = KEY
    maxDiff = None
    _numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(*cls.flags, key=cls.key).start()
        cls.port = cls.gateway.port

    @classmethod
    def tearDownClass(cls):
        cls.gateway.stop()

    def tearDown(self):
        if not self.gateway.running():
            self.fail(f"the gateway has ended: {self.gateway.last_words()}")

    def topic(self, name="t"):
        """A name that no other test uses."""
        return f"{name}.n{next(self._numbers)}"

    def fetch(self, method, path, headers=(), body=None, **how):
        return self.gateway.fetch(method, path, headers, body, **how)

    def http(self):
        http = Http(self.port)
        self.addCleanup(http.close)
        return http

    def ws(self, path="/v1/ws", hello=True, **how):
        """A connection, its hello already read unless hello=False."""
        ws = Ws(self.port, path, **how)
        self.addCleanup(ws.close)
        if hello and not path.startswith("/v1/echo"):
            message = ws.read()
            self.assertEqual(message.get("op"), "hello", "hello comes first")
        return ws

    def publisher(self):
        return self.ws(add=[API_KEY])

    def publish(self, topic, data=1, key=False):
        return self.gateway.publish(topic, data, key)

    def assertError(self, response, status, *codes):
        """An HTTP error in its documented form, with one of the codes."""
        statuses = status if isinstance(status, tuple) else (status,)
        self.assertIn(response.status, statuses, response)
        self.assertIn("json", response.header("Content-Type") or "", response)
        self.assertIn(response.code, codes, response)

    def assertUpdate(self, message, topic, seq, data=None):
        """An update of the topic with exactly this seq; data, where given, is the payload's text, byte for byte."""
        self.assertTrue(message.is_update, message)
        self.assertEqual((message["topic"], message["seq"]), (topic, seq), message)
        self.assertIs(type(message["ts"]), int)
        self.assertGreater(message["ts"], 1_600_000_000_000_000, "ts is in microseconds")
        if data is not None:
            self.assertData(message.raw, data)

    def assertData(self, text, data):
        """The text of an update carries this payload, byte for byte."""
        self.assertRegex(text, '"data":' + re.escape(data) + "[,}]")

    def assertRefusal(self, message, *codes):
        """An {"op":"error"} with one of the codes and a message in words."""
        self.assertEqual(message.get("op"), "error", message)
        self.assertIn(message["code"], codes, message)
        self.assertTrue(message["message"], message)

    def assertServing(self):
        """A new client is served as if nothing had happened."""
        self.assertEqual(self.fetch("GET", "/healthz").status, 200)
        with Ws(self.port) as ws:
            self.assertEqual(ws.read()["op"], "hello")
            self.assertEqual(ws.ask("ping")["op"], "pong")
