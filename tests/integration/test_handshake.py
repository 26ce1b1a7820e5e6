"""The opening handshake (RFC 6455, 4.2): what is let in, what is not, and that no byte after it is lost."""
import unittest

from client import CLOSE, CONTINUATION, PING, TEXT, Http, Ws, accept_of, close_payload, deadline_in, frame, handshake, http_request
from gateway import API_KEY, KEY, GatewayTest


class HandshakeTest(GatewayTest):
    flags = ("--echo",)

    def answer(self, **how):
        """The answer to one handshake, and the connection it came on."""
        http = self.http()
        http.send(handshake(self.port, **how))
        return http.response(), http

    def test_the_example_of_the_rfc_is_accepted(self):
        for path in ("/v1/ws", "/v1/echo"):
            with self.subTest(path):
                response, _ = self.answer(path=path)
                self.assertEqual(response.status, 101, response)
                self.assertEqual(response.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
                self.assertEqual(response.header("Upgrade").lower(), "websocket")
                self.assertEqual(response.header("Connection").lower(), "upgrade")
                self.assertIsNone(response.header("Sec-WebSocket-Extensions"), "none was offered")

    def test_the_subprotocol_is_chosen_where_it_is_offered(self):
        for offers, chosen, why in [
            ([], None, "none offered"), (["ringcast.v1"], "ringcast.v1", "the one"), (["chat, ringcast.v1"], "ringcast.v1", "second of a list"), (["ringcast.v1,chat"], "ringcast.v1", "first of a list without a blank"),
            (["chat", "ringcast.v1"], "ringcast.v1", "in a header of its own"), (["chat"], None, "another"), (["ringcast.v2"], None, "another version"), (["ringcast.v11"], None, "a longer name"), (["xringcast.v1"], None, "a name that ends so"),
            ([f"ringcast.v1, ringcast.token.{KEY}"], "ringcast.v1", "with a token"), ([f"ringcast.token.{KEY}, ringcast.v1"], "ringcast.v1", "a token before it"),
        ]:
            with self.subTest(why):
                response, _ = self.answer(add=[("Sec-WebSocket-Protocol", offer) for offer in offers])
                self.assertEqual(response.status, 101, response)
                self.assertEqual(response.header("Sec-WebSocket-Protocol"), chosen)

    def test_what_browsers_and_proxies_write_differently_is_accepted(self):
        for change, add, why in [
            ({"Upgrade": "WebSocket"}, [], "Upgrade in capitals"), ({"Connection": "keep-alive, Upgrade"}, [], "Connection as a list"), ({"Connection": "upgrade"}, [], "Connection in small letters"), ({"Connection": "keep-alive"}, [("Connection", "Upgrade")], "Connection twice"),
            ({"Sec-WebSocket-Key": None}, [("SEC-WEBSOCKET-KEY", "dGhlIHNhbXBsZSBub25jZQ==")], "a header name in capitals"), ({}, [("Sec-WebSocket-Extensions", "x-unknown-extension; a=1")], "an unknown extension"), ({}, [("Cookie", "a=b")], "a header we do not know"),
        ]:
            with self.subTest(why):
                response, _ = self.answer(change=change, add=add)
                self.assertEqual(response.status, 101, response)
                self.assertEqual(response.header("Sec-WebSocket-Accept"), accept_of("dGhlIHNhbXBsZSBub25jZQ=="))
                self.assertIsNone(response.header("Sec-WebSocket-Extensions"))

    def test_every_fault_gets_its_status(self):
        for how, status, codes, why in [
            ({"change": {"Sec-WebSocket-Version": None}}, 426, ["bad_request"], "no version"), ({"change": {"Sec-WebSocket-Version": "8"}}, 426, ["bad_request"], "version 8"), ({"change": {"Sec-WebSocket-Version": "14"}}, 426, ["bad_request"], "version 14"),
            ({"change": {"Sec-WebSocket-Version": "x"}}, (400, 426), ["bad_request"], "a version that is none"), ({"change": {"Sec-WebSocket-Key": None}}, 400, ["bad_request"], "no key"), ({"change": {"Sec-WebSocket-Key": ""}}, 400, ["bad_request"], "an empty key"),
            ({"change": {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ="}}, 400, ["bad_request"], "a key of 23 characters"), ({"change": {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j"}}, 400, ["bad_request"], "a key of 15 bytes"),
            ({"change": {"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}}, 400, ["bad_request"], "a key that is not base64"), ({"add": [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]}, 400, ["bad_request"], "two keys"),
            ({"change": {"Upgrade": None}}, (400, 426), ["bad_request"], "no Upgrade"), ({"change": {"Upgrade": "h2c"}}, (400, 426), ["bad_request"], "an upgrade to something else"), ({"change": {"Connection": None}}, (400, 426), ["bad_request"], "no Connection"),
            ({"change": {"Connection": "close"}}, (400, 426), ["bad_request"], "Connection without upgrade"), ({"method": "POST", "add": [("Content-Length", "0")]}, 405, ["bad_request"], "POST"), ({"method": "PUT", "add": [("Content-Length", "0")]}, 405, ["bad_request"], "PUT"),
            ({"version": "HTTP/1.0"}, (400, 426, 505), ["bad_request"], "HTTP/1.0 is never upgraded"), ({"path": "/v1/nowhere"}, 404, ["not_found"], "another path"),
            ({"add": [("Origin", "http://elsewhere.example")]}, 403, ["forbidden"], "a foreign Origin"), ({"add": [("Origin", "null")]}, 403, ["forbidden"], "the Origin null"), ({"add": [("Origin", "http://127.0.0.1.elsewhere.example")]}, 403, ["forbidden"], "an Origin that begins like ours"),
            ({"add": [("Origin", "http://elsewhere.example/127.0.0.1")]}, 403, ["forbidden"], "an Origin that ends like ours"), ({"add": [("Origin", "")]}, (400, 403), ["forbidden", "bad_request"], "an empty Origin"),
            ({"add": [("Authorization", "Bearer wrong")]}, 401, ["unauthorized"], "a wrong token in a header"), ({"add": [("X-API-Key", "wrong")]}, 401, ["unauthorized"], "a wrong key in a header"),
        ]:
            with self.subTest(why):
                response, _ = self.answer(**how)
                self.assertError(response, status, *codes)
                if response.status == 426:
                    self.assertEqual(response.header("Sec-WebSocket-Version"), "13")
        self.assertServing()

    def test_an_origin_of_the_same_host_is_welcome(self):
        for host, origin in [(f"127.0.0.1:{self.port}", f"http://127.0.0.1:{self.port}"), (f"localhost:{self.port}", f"http://localhost:{self.port}"), (f"LocalHost:{self.port}", f"http://localhost:{self.port}"), ("board.example", "http://board.example")]:
            with self.subTest(origin):
                response, _ = self.answer(change={"Host": host}, add=[("Origin", origin)])
                self.assertEqual(response.status, 101, response)

    def test_bytes_in_the_packet_of_the_handshake_are_served(self):
        ws = self.ws("/v1/echo", with_it=frame(TEXT, b"early") + frame(PING, b"ping"))
        self.assertEqual(ws.read_message(), (TEXT, b"early"))
        ws.expect_pong(b"ping")
        ws = self.ws(with_it=frame(TEXT, b'{"op":"ping","id":1}') + frame(TEXT, b'{"op":"ping","id":2}')[:9])
        self.assertEqual(ws.read()["id"], 1)
        ws.send(frame(TEXT, b'{"op":"ping","id":2}')[9:])
        self.assertEqual(ws.read()["id"], 2, "half a frame in that packet is no loss")

    def test_a_whole_conversation_in_one_packet(self):
        rest = frame(TEXT, b"all") + frame(TEXT, b"at once", fin=False) + frame(PING, b"!") + frame(CONTINUATION, b".") + frame(CLOSE, close_payload(1000))
        ws = self.ws("/v1/echo", with_it=rest)
        self.assertEqual(ws.expect_close(1000, reason=False), [b"all", b"at once."])
        self.assertEqual(ws.pongs, [b"!"])

    def test_a_handshake_may_come_byte_by_byte(self):
        for piece in (1, 2, 3, 17):
            with self.subTest(piece=piece):
                ws = self.ws("/v1/echo", piece=piece, with_it=frame(TEXT, b"late"))
                self.assertEqual(ws.read_message(), (TEXT, b"late"))

    def test_a_connection_kept_alive_may_be_upgraded(self):
        http = self.http()
        http.send(http_request(self.port, "GET", "/healthz") + handshake(self.port, "/v1/echo") + frame(TEXT, b"x"))
        self.assertEqual([http.response().status, http.response().status], [200, 101])
        self.assertEqual(http.take(3, deadline_in()), b"\x81\x01x")

    def test_a_refused_handshake_leaves_nothing_behind(self):
        for _ in range(50):
            with Http(self.port) as http:
                http.send(handshake(self.port, add=[("Origin", "null")])).response()
        self.assertServing()

    def test_a_credential_in_the_handshake_is_in_force_from_the_start(self):
        with Ws(self.port, add=[API_KEY], with_it=frame(TEXT, b'{"op":"publish","id":1,"topic":"handshake.early","data":1}')) as ws:
            self.assertEqual(ws.read()["op"], "hello")
            self.assertEqual(ws.read()["op"], "published")


class WithoutEchoTest(GatewayTest):
    def test_echo_is_there_only_when_asked_for(self):
        http = self.http()
        self.assertError(http.send(handshake(self.port, "/v1/echo")).response(), 404, "not_found")


if __name__ == "__main__":
    unittest.main()
