"""Each kind of bad input gets the documented answer, and the next client is served as if nothing had happened."""
import unittest

from client import BINARY, CLOSE, CONTINUATION, PING, TEXT, Http, Tcp, Ws, chunked, frame, handshake, http_request
from gateway import API_KEY, KEY, GatewayTest

CLIENT_HELLO = bytes.fromhex(
    "16030100c8010000c40303" + "5a" * 32 + "20" + "a5" * 32 + "0008130213031301c02f" + "0100" + "0073"
    "0000000e000c0000096c6f63616c686f7374" "000b00020100" "000a00060004001d0017" "0010000b000908687474702f312e31" "000d00080006040308040401" "002b00050403040303"
    "002d00020101" "003300260024001d0020" + "c3" * 32)


class BadInputTest(GatewayTest):
    flags = ("--echo", "--deadline.head-ms", "2000", "--deadline.close-ms", "500")  # whoever is served here must have its head there by then

    def tearDown(self):
        super().tearDown()
        self.assertServing()

    def test_what_is_no_http_is_refused_and_the_connection_ends(self):
        asked = []
        for bad, why in [
            (b"\x00", "NUL"), (b"\xff" * 100, "0xff"), (bytes(range(256)) * 8, "every byte"), (b"\r\n" * 5000, "empty lines"), (b"\n" * 20000, "line feeds"), (b" " * 20000, "blanks"), (b"GET /\r\n", "HTTP/0.9"), (b"GET / HTTP/1.1", "no end of the line"),
            (b"a" * 100000, "a word without end"), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/2"), (CLIENT_HELLO, "a TLS ClientHello"), (CLIENT_HELLO[:20], "half a TLS ClientHello"), (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY version 1"), (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", "PROXY version 2"), (b"SUB a 1\r\nPING\r\n", "NATS"), (b"*1\r\n$4\r\nPING\r\n", "Redis"), (frame(TEXT, b"{}"), "a frame without a handshake"),
        ]:
            asked.append((self.http(), why))
            asked[-1][0].send_as_far_as_taken(bad)
            self.assertServing()
        for http, why in asked:  # some wait for their deadline, all at once
            with self.subTest(why):
                answer = http.read_to_end()  # an error, or nothing at all, but an end
                if answer:
                    self.assertRegex(answer, rb"^HTTP/1\.[01] (400|408|414|431|505) ")

    def test_a_connection_may_break_off_at_any_byte_of_a_handshake(self):
        whole = handshake(self.port, "/v1/ws?topics=a")
        for cut in [0, 1, 3, 4, 14, len(whole) // 2, len(whole) - 3, len(whole) - 1, len(whole)]:
            for end in ("reset", "close", "half_close"):
                with self.subTest(cut=cut, end=end):
                    tcp = Tcp(self.port)
                    tcp.send(whole[:cut])
                    getattr(tcp, end)()
                    if end == "half_close":
                        tcp.read_to_end()
                        tcp.close()

    def test_a_connection_may_break_off_at_any_byte_of_a_request(self):
        for whole in (http_request(self.port, "POST", "/v1/topics/broken", [API_KEY], b'{"a":1}'), http_request(self.port, "POST", "/v1/publish", [API_KEY, ("Transfer-Encoding", "chunked")], chunked(b'{"topic":"broken","data":1}'))):
            for cut in range(0, len(whole), 5):
                for end in ("reset", "close"):
                    with self.subTest(cut=cut, end=end):
                        tcp = Tcp(self.port)
                        tcp.send(whole[:cut])
                        getattr(tcp, end)()
        self.assertEqual(self.fetch("GET", "/v1/topics/broken").status, 404, "half a request publishes nothing")

    def test_a_connection_may_break_off_at_any_byte_of_a_frame(self):
        whole = frame(TEXT, b'{"op":"publish","topic":"broken","data":1}', fin=False) + frame(PING, b"x") + frame(CONTINUATION, b" ")
        for cut in range(0, len(whole) - 1, 3):
            for end in ("reset", "close", "half_close"):
                with self.subTest(cut=cut, end=end):
                    ws = Ws(self.port, add=[API_KEY])
                    ws.send(whole[:cut])
                    getattr(ws, end)()
                    if end == "half_close":
                        ws.read_to_end()
                        ws.close()
        self.assertEqual(self.fetch("GET", "/v1/topics/broken").status, 404, "half a message publishes nothing")

    def test_many_may_come_and_go_at_once(self):
        for _ in range(10):
            open_ones = [Tcp(self.port) for _ in range(50)]
            for at, tcp in enumerate(open_ones):
                tcp.send([b"", b"GET ", handshake(self.port), handshake(self.port) + frame(BINARY, b"x")][at % 4])
            for at, tcp in enumerate(open_ones):
                tcp.reset() if at % 3 else tcp.close()
            self.assertServing()

    def test_a_connection_that_says_nothing_is_ended_or_left_alone(self):
        silent = [Tcp(self.port) for _ in range(20)]
        self.assertServing()
        for tcp in silent:
            tcp.close()

    def test_every_illegal_message_is_answered_while_others_are_served(self):
        bystander = self.ws("/v1/ws?topics=bystander&mode=every")
        self.assertEqual(bystander.read()["op"], "subscribed")
        for seq, (bad, code, why) in enumerate([
            (frame(TEXT, b"{}", mask=None), 1002, "unmasked"), (frame(3, b""), 1002, "an opcode that is none"), (frame(BINARY, b"x"), 1003, "binary"), (frame(TEXT, b"\xff"), 1007, "not UTF-8"), (frame(TEXT, b"", length=1 << 40), 1009, "too large"),
            (frame(TEXT, b"", length=1 << 63), 1002, "a length that is none"), (frame(CLOSE, b"\x03"), 1002, "half a code"), (frame(CONTINUATION, b""), 1002, "a continuation of nothing"), (handshake(self.port), 1002, "a second handshake"), (CLIENT_HELLO, 1002, "a TLS ClientHello"),
        ], 1):
            with self.subTest(why):
                ws = self.ws()
                ws.send_as_far_as_taken(bad)
                ws.expect_close(code)
                self.publish("bystander", seq)
                if seq == 1:
                    self.assertEqual(bystander.read()["op"], "topic")
                self.assertUpdate(bystander.read(), "bystander", seq)

    def test_every_illegal_request_is_answered_on_a_connection_that_goes_on(self):
        ws = self.publisher()
        for text, codes, why in [
            ("{", ["bad_json"], "half an object"), ("\x00", ["bad_json"], "NUL"), ("[" * 200000, ["bad_json", "bad_request"], "200,000 open brackets"), ('{"op":' * 100000, ["bad_json", "bad_request"], "100,000 open objects"), ('{"op":"' + "x" * 500000 + '"}', ["unknown_op"], "a long op"),
            ('{"op":"ping","id":"' + "x" * 500000 + '"}', ["bad_request"], "a long id"), ('{"op":"subscribe","topics":["' + "x" * 500000 + '"]}', ["bad_topic"], "a long topic"), ('{"op":"publish","topic":"x","data":1e}', ["bad_json", "bad_payload"], "data that is no JSON"),
            ('{"op":"publish","topic":"x","data":"' + "x" * 900000 + '"}', ["too_large"], "a large payload"), ('{"op":"auth","token":"' + "x" * 500000 + '"}', ["unauthorized", "bad_request", "too_large"], "a long token"), ('"' + "\\u0000" * 1000 + '"', ["bad_request"], "a string of NULs"),
        ]:
            with self.subTest(why):
                ws.send_text(text)
                self.assertRefusal(ws.read(), *codes)
                self.assertEqual(ws.ask("ping")["op"], "pong")

    def test_a_thousand_illegal_lines_are_a_thousand_errors(self):
        ws = self.ws()
        ws.send_text("\n".join(["{"] * 1000))
        came = [ws.read() for _ in range(1000)]
        self.assertEqual([m["line"] for m in came], list(range(1, 1001)))

    def test_an_upgrade_with_what_does_not_belong_there(self):
        for request, why in [
            (handshake(self.port, add=[("Content-Length", "5")]) + b"hello", "a body"), (handshake(self.port, add=[("Transfer-Encoding", "chunked")]) + b"0\r\n\r\n", "a chunked body"), (handshake(self.port, path="/v1/ws?" + "topics=" + "a," * 5000), "a long query"),
            (handshake(self.port, path="/v1/ws?topics=%"), "half an escape"), (handshake(self.port, path="/v1/ws?%00=%ff"), "an unknown parameter of strange bytes"), (handshake(self.port, add=[("Sec-WebSocket-Protocol", "," * 1000)]), "protocols that are none"), (handshake(self.port, add=[("Sec-WebSocket-Extensions", ";;;=,")]), "extensions that are none"),
        ]:
            with self.subTest(why):
                http = self.http()
                http.send_as_far_as_taken(request)
                status = http.response().status
                self.assertTrue(status == 101 or 400 <= status < 500, status)
                http.reset()
                self.assertServing()

    def test_the_key_is_never_told(self):
        with Http(self.port) as http:
            http.request("POST", "/v1/topics/a..b", [("X-API-Key", KEY + "x")], b"1")
            self.assertNotIn(KEY.encode(), http.response().body)
        ws = self.ws()
        self.assertNotIn(KEY, ws.ask("auth", token=KEY + "x").raw)


if __name__ == "__main__":
    unittest.main()
