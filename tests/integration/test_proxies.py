"""deploy/haproxy.cfg and deploy/nginx.conf, as they are but for addresses: what a client does works through them as without them."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from certificates import Authority
from client import PATIENCE, Closed, Ended, Http, Refused, TooLate, Ws, fetch
from gateway import API_KEY, KEY, ROOT, Gateway, environment, free_port
from sse import Sse, query_of

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def replaced(text, was, becomes):
    if was not in text:
        raise AssertionError(f"{was!r} does not stand in the configuration any more")
    return text.replace(was, becomes)


class Proxy:
    """A proxy before a gateway, by our configuration with their ports put in; a context manager."""

    def __init__(self, gateway_port, folder):
        self.port, self.folder = free_port(), folder
        with open(os.path.join(ROOT, "deploy", self.file), encoding="utf-8") as file:
            text = replaced(file.read(), "127.0.0.1:8080", f"127.0.0.1:{gateway_port}")
        self.path = os.path.join(folder, self.file)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(self.adapted(text))

    def __enter__(self):
        self.said = open(os.path.join(self.folder, "said"), "w+b")
        self.process = subprocess.Popen([shutil.which(self.program, path=PATH), *self.arguments()], stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said, env=environment())
        deadline = time.monotonic() + 2 * PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = self.words()
                self.__exit__()
                raise AssertionError(f"{self.program} does not serve: status {self.process.poll()}\n{words}")
            time.sleep(0.02)  # between two tries; what ends the wait is the answer
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.said.close()

    def answers(self):
        try:
            return fetch(self.port, "GET", "/readyz").status == 200
        except (OSError, Ended, TooLate):
            return False

    def words(self):
        with open(self.said.name, encoding="utf-8", errors="replace") as file:
            return file.read()


class Haproxy(Proxy):
    program, file = "haproxy", "haproxy.cfg"

    def adapted(self, text):
        # Fewer clients than it is made for: as many as the open files of whoever runs the test allow.
        return replaced(replaced(text, "bind :80\n", f"bind 127.0.0.1:{self.port}\n"), "maxconn 30000", "maxconn 200")

    def arguments(self):
        return ["-db", "-f", self.path]


class Nginx(Proxy):
    program, file = "nginx", "nginx.conf"

    def adapted(self, text):
        text = replaced(replaced(text, "listen 80;", f"listen 127.0.0.1:{self.port};"), "worker_connections 32768;", "worker_connections 400;")
        text = replaced(replaced(text, "worker_rlimit_nofile 65536;", ""), "worker_processes auto;", "worker_processes 1;")
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return replaced(text, "http {", "http {" + paths)  # those that it was built with may be for root alone

    def arguments(self):
        return ["-c", self.path, "-p", self.folder, "-e", "stderr", "-g", f"daemon off; pid {self.folder}/pid;"]


class Secure:
    """The same with its line for TLS: it ends TLS, and speaks plainly to the gateway."""

    def __init__(self, gateway_port, folder):
        self.authority = Authority()
        self.certificate, self.key = self.authority.issue("proxy")
        super().__init__(gateway_port, folder)
        self.port = self.authority.port(self.port)

    def __exit__(self, *_):
        super().__exit__()
        self.authority.directory.cleanup()


class SecureHaproxy(Secure, Haproxy):
    def adapted(self, text):
        both = os.path.join(self.folder, "ringcast.pem")
        with open(both, "w", encoding="ascii") as file:
            for path in (self.certificate, self.key):
                with open(path, encoding="ascii") as part:
                    file.write(part.read())
        text = replaced(text, "    bind :80\n", "")
        return replaced(replaced(text, "# bind :443 ssl crt /etc/haproxy/ringcast.pem", f"bind 127.0.0.1:{int(self.port)} ssl crt {both}"), "maxconn 30000", "maxconn 200")


class SecureNginx(Secure, Nginx):
    def adapted(self, text):
        text = super().adapted(text)
        text = replaced(text, f"listen 127.0.0.1:{int(self.port)};", "")
        return replaced(replaced(replaced(text, "# listen 443 ssl;", f"listen 127.0.0.1:{int(self.port)} ssl;"), "/etc/nginx/ringcast.crt", self.certificate), "/etc/nginx/ringcast.key", self.key)


class TellingHaproxy(Haproxy):
    """Whom it speaks for it says by the PROXY protocol, as the configuration's last lines tell."""
    flags = ("--listen.proxy-protocol", "require", "--proxies.trusted", "127.0.0.1/32")

    def adapted(self, text):
        text = replaced(text, "    http-request set-header X-Forwarded-For %[src]\n", "")
        return super().adapted(re.sub(r"(server gateway-1 \S+ check)$", r"\1 send-proxy-v2 check-send-proxy", text, flags=re.M))


class Stream(Sse):
    """A stream that a proxy may have cut into chunks."""

    def head(self):
        super().head()
        self.coded = None
        if "chunked" in (self.header("Transfer-Encoding") or ""):
            self.coded, self.buffer = self.buffer, bytearray()
            self.decode()
        return self

    def fill(self, deadline):
        if getattr(self, "coded", None) is None:
            return super().fill(deadline)
        plain, self.buffer = self.buffer, self.coded
        try:
            return super().fill(deadline)
        finally:
            self.coded, self.buffer = self.buffer, plain
            self.decode()

    def decode(self):
        while (end := self.coded.find(b"\r\n")) >= 0:
            size = int(self.coded[:end], 16)
            if len(self.coded) < end + 2 + size + 2:
                return
            self.buffer += self.coded[end + 2:end + 2 + size]
            del self.coded[:end + 2 + size + 2]


class TellingGateway(Gateway):
    """One that only a proxy can ask: that it serves is seen by its refusal."""

    def answers(self):
        try:
            return fetch(self.port, "GET", "/healthz").status == 400
        except (OSError, Ended, TooLate):
            return False


class ThroughProxy:
    """What a client does. One gateway and one proxy for all tests of a class."""
    proxy_of = None
    scheme = "http"

    @classmethod
    def gateway_of(cls):
        return Gateway("--deadline.close-ms", "500")

    @classmethod
    def setUpClass(cls):
        if not shutil.which(cls.proxy_of.program, path=PATH):
            raise unittest.SkipTest(f"{cls.proxy_of.program} is not installed")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)  # nginx's worker is another user where root runs this
        cls.gateway = cls.enterClassContext(cls.gateway_of())
        cls.proxy = cls.enterClassContext(cls.proxy_of(cls.gateway.port, folder.name))
        cls.port = cls.proxy.port

    def publish(self, topic, data):
        answer = fetch(self.port, "POST", f"/v1/topics/{topic}", [API_KEY], str(data).encode())
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["seq"]

    def test_a_websocket_gets_every_update_at_once_and_publishes(self):
        with Ws(self.port, "/v1/ws?topics=ws.every&mode=every", add=[API_KEY]) as ws:
            self.assertEqual([ws.read()["op"], ws.read()["op"]], ["hello", "subscribed"])
            self.publish("ws.every", 0)
            self.assertEqual([ws.read()["op"], ws.read()["data"]], ["topic", 0])
            for n in range(1, 200):
                ws.ask("publish", topic="ws.every", data=n)
            self.assertEqual([ws.read()["data"] for _ in range(199)], list(range(1, 200)))
            self.assertEqual(ws.ask("ping")["op"], "pong")

    def test_a_large_message_comes_whole_in_both_directions(self):
        with Ws(self.port, "/v1/ws?topics=ws.large", add=[API_KEY]) as ws:
            self.assertEqual([ws.read()["op"], ws.read()["op"]], ["hello", "subscribed"])
            text = "x" * 60000
            self.assertEqual(ws.ask("publish", topic="ws.large", data=text)["op"], "published")
            self.assertEqual([ws.read()["op"], ws.read()["data"]], ["topic", text])

    def test_heartbeats_come_through(self):
        with Ws(self.port, "/v1/ws?heartbeat_ms=1000") as ws:
            self.assertEqual([ws.read()["op"], ws.read()["op"]], ["hello", "heartbeat"])

    def test_a_close_comes_through_with_its_code_and_reason(self):
        with Ws(self.port) as ws:
            ws.read()
            ws.send_frame(2, b"binary")
            ws.expect_close(1003)

    def test_a_stream_leaves_at_once_and_beats(self):
        with Stream(self.port, query_of("sse.every", mode="every", heartbeat_ms=1000)) as stream:
            self.assertEqual((stream.status, stream.header("Content-Type").split(";")[0]), (200, "text/event-stream"))
            self.assertEqual(stream.read()["op"], "hello")
            self.assertEqual(stream.read()["op"], "subscribed")
            self.publish("sse.every", 0)
            self.assertEqual([stream.read()["op"], stream.read()["data"]], ["topic", 0])
            for n in range(1, 20):
                self.publish("sse.every", n)
                self.assertEqual(stream.read()["data"], n)  # it comes before the next is published: nothing holds it back
            deadline = time.monotonic() + PATIENCE
            while stream.heartbeats == 0 and time.monotonic() < deadline:
                self.assertEqual(stream.quiet(1), [])
            self.assertGreater(stream.heartbeats, 0)

    def test_http_is_answered_as_without_it(self):
        self.publish("http.one", 17)
        with Http(self.port) as http:  # kept alive
            for _ in range(3):
                self.assertEqual(http.request("GET", "/v1/topics/http.one").response().json()["data"], 17)
        lines = b"".join(b'{"topic":"http.many","data":%d}\n' % n for n in range(50000))
        answer = fetch(self.port, "POST", "/v1/publish", [API_KEY, ("Content-Type", "application/x-ndjson")], lines)
        self.assertEqual(answer.json(), {"published": 50000, "errors": []})
        self.assertEqual(len(fetch(self.port, "GET", "/v1/topics/http.many/history?after=49900").json()["updates"]), 100)
        for method, path, headers, status, code in [("GET", "/v1/topics/nobody", [], 404, "not_found"), ("POST", "/v1/topics/x", [], 401, "unauthorized"), ("GET", "/v1/topics?limit=0", [], 400, "bad_request")]:
            answer = fetch(self.port, method, path, headers, b"1" if method == "POST" else None)
            self.assertEqual((answer.status, answer.code), (status, code))

    def test_a_page_of_the_proxys_own_origin_may_connect_and_no_other(self):
        with Ws(self.port, add=[("Origin", f"{self.scheme}://127.0.0.1:{int(self.port)}")]) as ws:
            self.assertEqual(ws.read()["op"], "hello")
        with self.assertRaises(Refused) as refused:
            Ws(self.port, add=[("Origin", "https://elsewhere.example")])
        self.assertEqual(refused.exception.response.status, 403)

    def test_a_token_in_the_query_stands_in_no_log(self):
        with Ws(self.port, f"/v1/ws?token={KEY}") as ws:
            self.assertEqual(ws.read()["op"], "hello")
        self.assertEqual(fetch(self.port, "GET", f"/v1/topics/http.logged?token={KEY}").status, 404)
        deadline = time.monotonic() + PATIENCE
        while "/v1/topics/http.logged" not in self.proxy.words() and time.monotonic() < deadline:
            time.sleep(0.02)  # until the line is written
        self.assertIn("/v1/topics/http.logged", self.proxy.words())
        self.assertNotIn(KEY, self.proxy.words())

    def test_a_drain_is_told_through_it(self):
        with tempfile.TemporaryDirectory() as folder, Gateway("--deadline.close-ms", "500") as gateway:
            os.chmod(folder, 0o755)
            with self.proxy_of(gateway.port, folder) as proxy, Ws(proxy.port) as ws:
                ws.read()
                gateway.signal(signal.SIGTERM)
                self.assertEqual(ws.read()["op"], "closing")
                with self.assertRaises(Closed) as closed:
                    ws.read()
                self.assertEqual(closed.exception.code, 1001)
                gateway.wait()


class HaproxyTest(ThroughProxy, unittest.TestCase):
    proxy_of = Haproxy

    def test_it_has_nothing_to_say_against_its_configuration(self):
        checked = subprocess.run([shutil.which("haproxy", path=PATH), "-c", "-f", self.proxy.path], capture_output=True, text=True, timeout=60)
        self.assertEqual((checked.returncode, re.findall("WARNING|ALERT", checked.stdout + checked.stderr)), (0, []), checked)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class SecureHaproxyTest(ThroughProxy, unittest.TestCase):
    proxy_of, scheme = SecureHaproxy, "https"


class TellingHaproxyTest(ThroughProxy, unittest.TestCase):
    proxy_of = TellingHaproxy

    @classmethod
    def gateway_of(cls):
        return TellingGateway("--deadline.close-ms", "500", *TellingHaproxy.flags)

    test_a_drain_is_told_through_it = None  # its gateway would be asked directly

    def test_who_comes_directly_is_refused(self):
        self.assertEqual(fetch(self.gateway.port, "GET", "/readyz").status, 400)


class NginxTest(ThroughProxy, unittest.TestCase):
    proxy_of = Nginx

    def test_it_has_nothing_to_say_against_its_configuration(self):
        checked = subprocess.run([shutil.which("nginx", path=PATH), "-t", *self.proxy.arguments()], capture_output=True, text=True, timeout=60)
        self.assertEqual((checked.returncode, re.findall(r"\[(warn|emerg|alert)\]", checked.stderr)), (0, []), checked)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class SecureNginxTest(ThroughProxy, unittest.TestCase):
    proxy_of, scheme = SecureNginx, "https"


if __name__ == "__main__":
    unittest.main()
