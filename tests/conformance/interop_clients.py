"""WebSocket clients that others have written, against the real program: the same checks by each, over ws and wss, with compression and without.

Promise: each check is a test of its own, a client that is not installed is skipped by name with what would install it, and at the end stands a matrix
of clients. The programs that use the clients stand in clients/; each prints a line `check TAB ok`, or what was wrong, for each.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from client import LOCALHOST, TooLate
from gateway import KEY, Gateway, environment
from javascript import CHROMIUM, WHY_NO_CHROMIUM, Chromium
from suite import has_tls, numbers, tls_of, tls_port_of

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
CHECKS = ["connect", *[f"{kind} {size}" for size in (0, 1, 125, 126, 127, 65535, 65536, 1048576) for kind in ("text", "binary")], "many at once",
          "close 1000", "close 3000", "close 4999", "closed 1003", "closed 4400", "session", "goodbye"]
TOLD = ("compression", "version")  # lines that say something instead of judging
SECONDS = 120
matrix = {}  # client: {way: words}


def quietly(*command):
    """Whether a command succeeds."""
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def python_with(module):
    """A Python that has this module: ours, or the distribution's."""
    for python in (sys.executable, "/usr/bin/python3"):
        if quietly(python, "-c", f"import {module}"):
            return python
    return None


class Client:
    """A program in clients/. compresses: it offers permessage-deflate unless PLAIN is set."""

    def __init__(self, name, package, command, compresses=True):
        self.name, self.package, self.command, self.compresses = name, package, command, compresses

    def missing(self):
        return None if self.command() else f"{self.name} is not installed (Debian: {self.package})"

    def run(self, base, topic, certificate, plain):
        variables = {**environment(), **({"PLAIN": "1"} if plain else {}), **({"CAFILE": certificate, "NODE_EXTRA_CA_CERTS": certificate} if certificate else {})}
        done = subprocess.run([*self.command(), base, KEY, topic], capture_output=True, text=True, env=variables, timeout=SECONDS, check=False)
        lines = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
        if not lines:
            raise AssertionError(f"{self.name} said nothing: {done.stderr[-3000:]}")
        return lines


def python_client(module):
    python = python_with(module)
    return python and [python, os.path.join(CLIENTS, "python_clients.py"), module]


def node_major():
    node = shutil.which("node")
    return int(subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.lstrip("v").split(".")[0]) if node else 0


def node_builtin():
    return [shutil.which("node"), os.path.join(CLIENTS, "node_ws.mjs"), "builtin"] if node_major() >= 22 else None


def node_ws():
    return [shutil.which("node"), os.path.join(CLIENTS, "node_ws.mjs"), "ws"] if node_major() and os.path.exists("/usr/share/nodejs/ws/package.json") else None


def perl():
    return ["perl", os.path.join(CLIENTS, "mojo.pl")] if quietly("perl", "-MMojo::UserAgent", "-MIO::Socket::SSL", "-e", "1") else None


def ruby():
    return ["ruby", os.path.join(CLIENTS, "driver.rb")] if quietly("ruby", "-e", "require 'websocket/driver'") else None


class Gorilla(Client):
    """Compiled once, out of the distribution's package."""
    program = None

    def __init__(self):
        super().__init__("Go gorilla/websocket", "golang-go golang-github-gorilla-websocket-dev", self.build)

    @classmethod
    def build(cls):
        source = "/usr/share/gocode"
        if not shutil.which("go") or not os.path.isdir(source + "/src/github.com/gorilla/websocket"):
            return None
        if not cls.program:
            cls.folder = tempfile.TemporaryDirectory()
            program = os.path.join(cls.folder.name, "gorilla")
            subprocess.run(["go", "build", "-o", program, os.path.join(CLIENTS, "gorilla.go")], check=True, capture_output=True, timeout=300,
                           env={**os.environ, "GOPATH": source, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": os.path.join(cls.folder.name, "cache")})
            cls.program = [program]
        return cls.program


def page_code(base, topic):
    with open(os.path.join(CLIENTS, "checks.js"), encoding="utf-8") as checks:
        return f"{checks.read()}\nreturn await interopChecks((url, protocols) => new WebSocket(url, protocols ?? []), {json.dumps(base)}, {json.dumps(KEY)}, {json.dumps(topic)});"


class ChromiumClient:
    """A page of the gateway's own in headless Chromium."""
    name, compresses = "Chromium", False  # it always offers; there is no plain way to run it

    @staticmethod
    def missing():
        return WHY_NO_CHROMIUM

    @staticmethod
    def run(base, topic, certificate, plain):
        with Chromium() as browser:
            tab = browser.tab()
            tab.ask("Security.setIgnoreCertificateErrors", ignore=True)
            tab.ask("Page.enable")
            tab.ask("Page.navigate", url=base.replace("ws", "http", 1) + "/healthz")
            deadline = time.monotonic() + 30
            while tab.run("return location.pathname + document.readyState;") != "/healthzcomplete":
                if time.monotonic() > deadline:
                    raise TooLate("the page does not load")
                time.sleep(0.05)
            lines = dict(tab.run(page_code(base, topic)))
        version = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=False).stdout.split()
        return {**lines, "version": version[1] if len(version) > 1 else ""}


class Firefox:
    """Headless, driven over its own Marionette protocol: messages of `length:JSON` on a TCP port."""
    name, compresses = "Firefox", False
    program = shutil.which("firefox-esr") or shutil.which("firefox")

    @classmethod
    def missing(cls):
        return None if cls.program else "Firefox is not installed (Debian: firefox-esr)"

    @classmethod
    def run(cls, base, topic, certificate, plain):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            probe.close()
            with open(os.path.join(profile, "user.js"), "w", encoding="ascii") as file:
                file.write(f'user_pref("marionette.port", {port});\nuser_pref("datareporting.policy.dataSubmissionEnabled", false);\nuser_pref("app.update.enabled", false);\nuser_pref("browser.shell.checkDefaultBrowser", false);\n')
            process = subprocess.Popen([cls.program, "--headless", "--marionette", "--no-remote", "--profile", profile, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "HOME": profile, "MOZ_CRASHREPORTER_DISABLE": "1"}, start_new_session=True)
            try:
                return cls.drive(port, base, topic)
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    @classmethod
    def drive(cls, port, base, topic):
        with cls.connect(port) as marionette, marionette.makefile("rb") as stream:
            return cls.talk(cls.asker(marionette, stream), base, topic)

    @staticmethod
    def talk(ask, base, topic):
        session = ask("WebDriver:NewSession", {"acceptInsecureCerts": True})
        ask("WebDriver:SetTimeouts", {"script": SECONDS * 1000})
        ask("WebDriver:Navigate", {"url": base.replace("ws", "http", 1) + "/healthz"})
        script = f"const done = arguments[0]; (async () => {{ {page_code(base, topic)} }})().then(done, (error) => done([['connect', String(error)]]));"
        lines = dict(ask("WebDriver:ExecuteAsyncScript", {"script": script, "args": []})["value"])
        return {**lines, "version": session["capabilities"]["browserVersion"]}

    @staticmethod
    def connect(port):
        deadline = time.monotonic() + 60  # a first start fills its profile
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=SECONDS + 30)
            except OSError:
                if time.monotonic() > deadline:
                    raise TooLate("Firefox does not listen") from None
                time.sleep(0.1)

    @staticmethod
    def asker(marionette, stream):
        def message():
            length = b""
            while (byte := stream.read(1)) != b":":
                if not byte:
                    raise AssertionError("Firefox has gone")
                length += byte
            return json.loads(stream.read(int(length)))

        message()  # it greets first

        def ask(command, parameters):
            text = json.dumps([0, next(numbers), command, parameters]).encode()
            marionette.sendall(b"%d:%s" % (len(text), text))
            _, _, error, result = message()
            if error:
                raise AssertionError(f"{command}: {error}")
            return result

        return ask


class Curl:
    """What curl can: HTTP, a stream of events, and a WebSocket's messages where it was built with that."""
    name, compresses = "curl", False

    @staticmethod
    def missing():
        return None if shutil.which("curl") else "curl is not installed (Debian: curl)"

    @staticmethod
    def run(base, topic, certificate, plain):
        http, lines = base.replace("ws", "http", 1), {}
        said = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
        lines["version"], protocols = said.split()[1], said.split("Protocols:")[1].split("\n")[0].split()
        trust = ["--cacert", certificate] if certificate else []

        def curl(*arguments, seconds=20):
            return subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(seconds), *trust, *arguments], capture_output=True, text=True, check=False)

        def judge(check, fine, done):
            lines[check] = "ok" if fine else f"{done.returncode} {done.stdout[:200]!r} {done.stderr[:200]!r}"

        body = '{"p":1.5,"name":"é€😀"}'
        done = curl("-H", f"X-API-Key: {KEY}", "-d", body, f"{http}/v1/topics/{topic}")
        judge("publish", done.returncode == 0 and json.loads(done.stdout).get("seq") == 1, done)
        done = curl(f"{http}/v1/topics/{topic}")
        judge("newest", done.returncode == 0 and f'"data":{body}}}' in done.stdout, done)
        done = curl("-X", "POST", "-H", "Transfer-Encoding: chunked", "-H", f"X-API-Key: {KEY}", "--data-binary", '{"topic":"%s","data":2}\n' % topic, f"{http}/v1/publish")
        judge("publish chunked", done.returncode == 0 and '"published":1' in done.stdout, done)
        done = curl("-I", f"{http}/v1/topics/{topic}")
        judge("HEAD", done.returncode == 0 and " 200 " in done.stdout, done)
        done = curl("-N", f"{http}/v1/stream?topics={topic}", seconds=2)  # a stream has no end: its time runs out
        judge("stream", done.returncode == 28 and done.stdout.startswith('data: {"op":"hello"') and '"data":2}' in done.stdout, done)
        if base.split(":")[0] in protocols:
            done = curl("-N", f"{base}/v1/ws?topics={topic}&format=raw", seconds=2)
            judge("WebSocket", "2" in done.stdout, done)
        else:
            lines["compression"] = "no WebSocket in this build"
        return lines


class ClientTest(unittest.TestCase):
    """One client; its tests tell what its runs found."""
    client, checks = None, CHECKS

    @classmethod
    def setUpClass(cls):
        cls.found = {}
        if why := cls.client.missing():
            raise unittest.SkipTest(why)
        with tempfile.TemporaryDirectory() as folder:
            tls, flags, certificate = has_tls(), [], None
            if tls:
                flags, _ = tls_of(folder)
                certificate = flags[flags.index("--cert") + 1]
            with Gateway("--echo", "--shards", "2", "--limits.requests-per-second", "100000", *flags) as gateway:
                for way, base in [("ws", f"ws://{LOCALHOST}:{gateway.port}")] + ([("wss", f"wss://{LOCALHOST}:{tls_port_of(flags)}")] if tls else []):
                    for plain in (False, True) if cls.client.compresses else (False,):
                        topic = f"interop.n{next(numbers)}"
                        try:
                            lines = cls.client.run(base, topic, certificate if way == "wss" else None, plain)
                        except Exception as error:  # noqa: BLE001  a client that can't be run has failed all its checks here
                            lines = {check: f"{type(error).__name__}: {error}" for check in cls.checks}
                        cls.found[way + (" without compression" if plain else "")] = lines

    def judge(self, check):
        wrong = {way: lines.get(check, "was not reached") for way, lines in self.found.items() if lines.get(check) != "ok"}
        self.note(check, not wrong)
        self.assertEqual(wrong, {}, f"{self.client.name}: {check}")

    def note(self, check, fine):
        row = matrix.setdefault(self.client.name, {"passed": 0, "failed": 0})
        row["passed" if fine else "failed"] += 1
        for way, lines in self.found.items():
            row["version"] = lines.get("version", row.get("version", ""))
            if "without" not in way:
                row["compression"] = lines.get("compression", row.get("compression", "-"))
        row["ways"] = ", ".join(self.found)


def make_client_tests(namespace, clients):
    """A class for each client, a test for each check."""
    for client in clients:
        checks = ["publish", "newest", "publish chunked", "HEAD", "stream"] if client is Curl else CHECKS
        members = {"client": client, "checks": checks, "__module__": namespace["__name__"]}
        for index, check in enumerate(checks):
            def test(self, check=check):
                self.judge(check)
            test.__doc__ = f"{client.name}: {check}"
            members[f"test_{index:02}"] = test
        name = "".join(part for part in client.name.title() if part.isalnum()) + "Test"
        namespace[name] = type(name, (ClientTest,), members)
    namespace["load_tests"] = load_tests


def load_tests(loader, tests, pattern):
    unittest.addModuleCleanup(lambda: print("\n".join(f"| {name} {row['version']} | {row['ways']} | {row['compression']} | {row['passed']} checks passed, {row['failed']} failed |" for name, row in matrix.items()), flush=True))
    return tests


QUICK = [Client("Node's own WebSocket", "nodejs from 22 on", node_builtin, compresses=False), Client("Node ws", "nodejs node-ws", node_ws), Client("Python websockets", "python3-websockets", lambda: python_client("websockets")),
         Client("Python aiohttp", "python3-aiohttp", lambda: python_client("aiohttp")), Client("Python autobahn", "python3-autobahn", lambda: python_client("autobahn")), Client("Perl Mojo::UserAgent", "libmojolicious-perl libio-socket-ssl-perl", perl, compresses=False),
         Client("Ruby websocket-driver", "ruby ruby-websocket-driver", ruby, compresses=False), Curl]
SLOW = [Gorilla(), ChromiumClient, Firefox]
