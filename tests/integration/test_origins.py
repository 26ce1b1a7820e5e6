"""Pages of other origins on plain HTTP (PROTOCOL.md, "Browsers"; the Fetch standard, 3.2): who may read what is answered, and who not."""
import unittest

from client import Ws, fetch, http_request, path_of
from gateway import API_KEY, Gateway, GatewayTest
from sse import Sse

PAGE, OTHER, FOREIGN = "https://board.example", "http://127.0.0.1:9999", "https://elsewhere.example"


class OriginsTest(GatewayTest):
    flags = ("--origins", f" {PAGE} ,, {OTHER.upper()},https://third.example", "--shards", "2")

    def cors(self, response):
        """(the origin that may read it, whether caches are told that it depends on that)."""
        return response.header("Access-Control-Allow-Origin"), response.header("Vary")

    def assertReadable(self, response, origin):
        self.assertEqual(self.cors(response), (origin, "Origin"), response.headers)

    def assertNotReadable(self, response):
        self.assertEqual(self.cors(response), (None, "Origin"), response.headers)
        self.assertFalse([name for name, _ in response.headers if name.lower().startswith("access-control-")])

    def test_answers_of_every_kind_are_readable_by_a_page_of_the_list_and_by_no_other(self):
        topic = self.topic()
        self.publish(topic)
        base = self.topic("cors").replace(".", "-")
        for n in range(6):  # of both shards
            self.publish(f"{base}.{n}")
        requests = [("GET", path_of(topic), None, 200), ("HEAD", path_of(topic), None, 200), ("GET", path_of(topic, "/history"), None, 200), ("GET", "/v1/topics?prefix=" + base, None, 200),
                    ("GET", f"/v1/last?topics={base}.1,{base}.2,{base}.3,{base}.4", None, 200), ("POST", "/v1/publish", b'{"topic":"a","data":1}\nx\n', 200), ("GET", "/", None, 200),
                    ("GET", "/healthz", None, 200), ("GET", "/metrics", None, 403), ("GET", "/nowhere", None, 404), ("GET", "/v1/stream", None, 400), ("PUT", "/v1/topics/a", b"1", 405),
                    ("GET", "/v1/ws", None, 426), ("POST", path_of("bad..name"), b"1", 400), ("POST", path_of(topic), b"x" * 70000, 413), ("DELETE", path_of("never.was"), None, 404)]
        requests += [(method, path_of(f"{base}.{n}"), body, status) for n in range(6) for method, body, status in (("POST", b"7", 200), ("GET", None, 200), ("DELETE", None, 204), ("GET", None, 404))]
        for origin, sent in ((PAGE, PAGE), (OTHER, OTHER), ("https://third.example", "https://third.example"), (PAGE, "HTTPS://BOARD.example"), (None, FOREIGN), (None, "null"), (None, f"{PAGE}.evil"), (None, "https://board.exampl"), (None, None)):
            for method, path, body, status in requests:
                with self.subTest(origin=sent, method=method, path=path):
                    if status in (204, 200) and method == "DELETE":
                        self.publish(path.rpartition("/")[2])
                    response = self.fetch(method, path, [API_KEY] + ([("Origin", sent)] if sent else []), body)
                    if not (method == "GET" and status == 404 and response.status == 200):
                        self.assertEqual(response.status, status, response)
                    if origin:
                        self.assertReadable(response, origin)
                    else:
                        self.assertNotReadable(response)

    def test_an_origin_that_is_written_with_the_port_of_its_scheme_is_the_one_that_browsers_send(self):
        with Gateway("--origins", "https://a.example:443,http://b.example:80,http://c.example:443") as gateway:
            for sent, readable in (("https://a.example", True), ("http://b.example", True), ("http://a.example", False), ("https://b.example", False), ("http://c.example", False), ("http://c.example:443", True)):
                with self.subTest(sent):
                    response = fetch(gateway.port, "GET", "/healthz", [("Origin", sent)])
                    self.assertEqual(response.header("Access-Control-Allow-Origin"), sent if readable else None)

    def test_a_wrong_key_is_readable_too(self):
        response = self.fetch("GET", path_of("a"), [("Authorization", "Bearer wrong"), ("Origin", PAGE)])
        self.assertEqual(response.status, 401)
        self.assertReadable(response, PAGE)

    def test_a_preflight_says_what_may_be_asked(self):
        for path, method, methods in ((path_of("a"), "POST", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}), ("/v1/publish", "POST", {"POST", "OPTIONS"}), ("/v1/stream", "GET", {"GET", "HEAD", "OPTIONS"})):
            with self.subTest(path):
                preflight = [("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", "authorization,last-event-id")]
                response = self.fetch("OPTIONS", path, [("Origin", PAGE), *preflight])
                self.assertEqual((response.status, response.body), (204, b""))
                self.assertReadable(response, PAGE)
                self.assertEqual(set(response.header("Access-Control-Allow-Methods").split(", ")), methods)
                self.assertEqual(set(response.header("Access-Control-Allow-Headers").split(", ")), {"Authorization", "X-API-Key", "Content-Type", "Last-Event-ID"})
                self.assertGreater(int(response.header("Access-Control-Max-Age")), 0)
                response = self.fetch("OPTIONS", path, [("Origin", FOREIGN), *preflight])
                self.assertError(response, 403, "forbidden")
                self.assertNotReadable(response)
                response = self.fetch("OPTIONS", path)
                self.assertEqual((response.status, set(response.header("Allow").split(", "))), (204, methods))

    def test_one_connection_with_requests_of_several_pages_mixes_nothing_up(self):
        http = self.http()
        origins = [PAGE, FOREIGN, OTHER, None, PAGE, OTHER]
        for n in range(30):
            origin = origins[n % 6]
            headers = [API_KEY] + ([("Origin", origin)] if origin else [])
            http.send(http_request(self.port, "POST", path_of(f"mixed.{n}"), headers, b"1"))
        for n in range(30):
            response = http.response()
            self.assertEqual((response.status, self.cors(response)[0]), (200, {PAGE: PAGE, OTHER: OTHER}.get(origins[n % 6])))
        http.send(http_request(self.port, "GET", "/healthz", [("Origin", PAGE)]) + b"nonsense\r\n\r\n")
        self.assertReadable(http.response(), PAGE)
        self.assertNotReadable(http.response())

    def test_a_stream_is_readable_by_a_page_of_the_list(self):
        topic = self.topic()
        for origin, readable in ((PAGE, PAGE), (FOREIGN, None)):
            sse = Sse(self.port, f"topics={topic}", headers=[("Origin", origin)])
            self.assertEqual((sse.status, sse.header("Access-Control-Allow-Origin"), sse.header("Vary")), (200, readable, "Origin"))
            self.assertEqual([sse.read()["op"], sse.read()["op"]], ["hello", "subscribed"])
            sse.close()

    def test_a_websocket_of_the_list_is_welcome(self):
        for origin in (PAGE, OTHER.replace("http", "HTTP")):
            ws = Ws(self.port, add=[("Origin", origin)])
            self.assertEqual(ws.read()["op"], "hello")
            ws.close()


class NoOriginsTest(unittest.TestCase):
    def test_without_the_setting_nothing_is_said_of_origins(self):
        with Gateway() as gateway:
            for origin in (PAGE, f"http://127.0.0.1:{gateway.port}"):
                response = fetch(gateway.port, "GET", "/healthz", [("Origin", origin)])
                self.assertFalse([name for name, _ in response.headers if name.lower().startswith("access-control-") or name.lower() == "vary"])


if __name__ == "__main__":
    unittest.main()
