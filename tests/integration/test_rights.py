"""Who may do what: keys and tokens by every way they are carried, rights for reading and publishing, their time, their end."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from urllib.parse import quote

from client import PATIENCE, Http, TooLate, Ws, path_of
from gateway import RINGCAST, Gateway, GatewayTest, environment
from sse import Sse
from tokens import SECRET, Signer, claims_of, hs256, token

ADMIN = "admin-key-93b6"
PUBLISHER = "publish-key-11c7"
READER = "reader-key-5a02"
SLOW = "slow-key-77f1"


def key_line(name, key, rights):
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}:{rights}\n"


class Folder:
    """Files that settings name."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name) + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path(name) + ".new", self.path(name))
        return self.path(name)

    def remove(self):
        shutil.rmtree(self.folder)


def bearer(text):
    return [("Authorization", f"Bearer {text}")]


class ShutTest(GatewayTest):
    """A gateway that lets nobody read without a right."""
    shards = "1"
    key = None
    more = ()

    @classmethod
    def setUpClass(cls):
        cls.files = Folder()
        keys = cls.files.write("keys", key_line("reader", READER, "sub=AAPL,crypto.*,n.>") + "# a comment\n" + key_line("slow", SLOW, "sub=> max_hz=5"))
        cls.signers = {kind: Signer(cls.files.folder, kind, kind) for kind in ("RS256", "ES256", "EdDSA")}
        jwks = cls.files.write("jwks", json.dumps({"keys": [cls.signers["ES256"].jwk("e1"), cls.signers["EdDSA"].jwk("d1")]}))
        cls.flags = ("--shards", cls.shards, "--auth.required", "--auth.admin-key", ADMIN, "--auth.publish-key", PUBLISHER, "--auth.keys", keys, "--auth.jwt-secret", SECRET,
                     "--auth.jwt-key", cls.signers["RS256"].public, "--auth.jwks", jwks, *cls.more)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.files.remove()
        super().tearDownClass()

    def put(self, topic, data=1):
        response = self.fetch("POST", path_of(topic), bearer(PUBLISHER), str(data).encode())
        self.assertEqual(response.status, 200, response)

    def session(self, shown=None, path="/v1/ws"):
        return self.ws(path, add=bearer(shown) if shown else ())

    def subscribe_code(self, ws, *topics, **how):
        return ws.ask("subscribe", topics=list(topics), **how).get("code")


class RightsTest(ShutTest):
    # ---- reading

    def test_without_a_credential_nothing_is_read(self):
        self.put("AAPL")
        for path in ("/v1/topics/AAPL", "/v1/topics/AAPL/history", "/v1/last?topics=AAPL", "/v1/topics", "/v1/stream?topics=AAPL", "/v1/topics/%21..%21", "/metrics"):
            response = self.fetch("GET", path)
            self.assertError(response, 401, "unauthorized")
            self.assertEqual(response.header("WWW-Authenticate"), "Bearer", path)
        self.assertError(self.fetch("POST", path_of("AAPL"), (), b"1"), 401, "unauthorized")
        self.assertError(self.fetch("POST", "/v1/publish", (), b'{"topic":"a","data":1}'), 401, "unauthorized")
        self.assertError(self.fetch("DELETE", path_of("AAPL")), 401, "unauthorized")
        for path in ("/", "/ringcast.js", "/healthz", "/readyz"):
            self.assertEqual(self.fetch("GET", path).status, 200, path)
        ws = self.session()
        self.assertEqual(self.subscribe_code(ws, "AAPL"), "unauthorized")
        self.assertEqual(self.subscribe_code(ws, "a b"), "unauthorized", "rights are judged before the topic")
        self.assertEqual(ws.ask("publish", topic="AAPL", data=1)["code"], "unauthorized")
        self.assertEqual(ws.ask("unsubscribe", topics=["AAPL"])["op"], "unsubscribed")

    def test_reading_is_by_topic_and_pattern(self):
        for topic in ("AAPL", "MSFT", "crypto.BTC", "crypto.a.b"):
            self.put(topic)
        for shown in (READER, token(["AAPL", "crypto.*", "n.>"])):
            for topic, status in (("AAPL", 200), ("crypto.BTC", 200), ("crypto.new", 404), ("MSFT", 403), ("crypto.a.b", 403), ("AAPLE", 403)):
                for rest in ("", "/history"):
                    response = self.fetch("GET", path_of(topic, rest), bearer(shown))
                    self.assertEqual(response.status, status, (topic, rest, response))
                    if status == 403:
                        self.assertError(response, 403, "forbidden")
                        self.assertIn(topic, response.message)
            self.assertEqual([one["topic"] for one in self.fetch("GET", "/v1/last?topics=crypto.BTC,AAPL", bearer(shown)).json()["updates"]], ["crypto.BTC", "AAPL"])
            response = self.fetch("GET", "/v1/last?topics=AAPL,MSFT", bearer(shown))
            self.assertError(response, 403, "forbidden")
            self.assertIn("MSFT", response.message)
            self.assertError(self.fetch("GET", "/v1/stream?topics=AAPL,crypto.%3E", bearer(shown)), 403, "forbidden")
            self.assertError(self.fetch("GET", "/metrics", bearer(shown)), 403, "forbidden")
            ws = self.session(shown)
            for topics in (["MSFT"], [">"], ["*"], ["crypto.>"], ["AAPL", "MSFT"], ["crypto.*", "*.BTC"], ["$sys.>"]):
                reply = ws.ask("subscribe", topics=topics)
                self.assertRefusal(reply, "forbidden")
                self.assertIn(topics[-1], reply["message"])
            self.assertEqual(ws.ask("list")["topics"], [], "a refusal is of the whole request")
            self.assertIsNone(self.subscribe_code(ws, "AAPL", "crypto.*", "n.>", "n.*.a", "crypto.BTC"))
            ws.hang_up()

    def test_names_are_listed_to_who_may_read_them_all(self):
        self.put("n.a")
        self.put("n.b")
        for prefix, status in (("n.", 200), ("n.a", 200), ("n", 403), ("", 403), ("crypto.", 403), ("x.", 403)):
            self.assertEqual(self.fetch("GET", f"/v1/topics?prefix={prefix}", bearer(READER)).status, status, prefix)
        self.assertEqual(self.fetch("GET", "/v1/topics?prefix=n.", bearer(READER)).json()["topics"][:2], ["n.a", "n.b"])
        self.assertEqual(self.fetch("GET", "/v1/topics", bearer(SLOW)).status, 200)
        self.assertEqual(self.fetch("GET", "/v1/topics", bearer(ADMIN)).status, 200)

    def test_the_publishing_key_does_not_read_and_the_admin_does_all(self):
        self.put("AAPL")
        self.assertError(self.fetch("GET", path_of("AAPL"), bearer(PUBLISHER)), 403, "forbidden")
        self.assertError(self.fetch("GET", "/metrics", bearer(PUBLISHER)), 403, "forbidden")
        self.assertEqual(self.subscribe_code(self.session(PUBLISHER), "AAPL"), "forbidden")
        self.assertEqual(self.fetch("GET", "/metrics", bearer(ADMIN)).status, 200)
        self.assertEqual(self.fetch("GET", path_of("AAPL"), bearer(ADMIN)).status, 200)
        self.assertEqual(self.fetch("POST", path_of("AAPL"), bearer(ADMIN), b"1").status, 200)
        ws = self.session(ADMIN)
        self.assertIsNone(self.subscribe_code(ws, ">", "$sys.>", "$sys.a"))

    # ---- publishing

    def test_publishing_is_by_topic(self):
        shown = token(pub=["chat.>", "exact"])
        for topic, status in (("chat.a", 200), ("chat.a.b", 200), ("exact", 200), ("chat", 403), ("exact.x", 403), ("AAPL", 403)):
            response = self.fetch("POST", path_of(topic), bearer(shown), b"1")
            self.assertEqual(response.status, status, (topic, response))
            if status == 403:
                self.assertIn(topic, response.message)
        self.assertError(self.fetch("DELETE", path_of("AAPL"), bearer(shown)), 403, "forbidden")
        self.assertIn(self.fetch("DELETE", path_of("exact"), bearer(shown)).status, (204,))
        body = b'{"topic":"chat.a","data":1}\n{"topic":"AAPL","data":1}\n{"topic":"exact","data":1}\n'
        answer = self.fetch("POST", "/v1/publish", bearer(shown), body).json()
        self.assertEqual((answer["published"], [(error["line"], error["code"]) for error in answer["errors"]]), (2, [(2, "forbidden")]))
        self.assertIn("AAPL", answer["errors"][0]["message"])
        answer = self.fetch("POST", "/v1/publish", bearer(READER), body).json()
        self.assertEqual((answer["published"], len(answer["errors"])), (0, 3))
        ws = self.session(shown)
        self.assertEqual(ws.ask("publish", topic="chat.x", data=1)["op"], "published")
        reply = ws.ask("publish", topic="AAPL", data=1)
        self.assertRefusal(reply, "forbidden")
        self.assertIn("AAPL", reply["message"])
        self.assertEqual(ws.ask("publish", topic="x..y", data=1)["code"], "forbidden", "rights are judged before the topic")
        self.assertEqual(ws.ask("publish", topic="chat..y", data=1)["code"], "bad_topic")
        self.assertEqual(self.session(PUBLISHER).ask("publish", topic="$sys.a", data=1)["code"], "bad_topic")
        self.assertEqual(self.session(token(["a"])).ask("publish", topic="a", data=1)["code"], "forbidden")

    # ---- ways of carrying it

    def test_every_way_of_carrying_it(self):
        self.put("AAPL")
        for shown in (READER, token(["AAPL"])):
            for headers in (bearer(shown), [("X-API-Key", shown)], [("authorization", f"bEARER   {shown}")], [("Authorization", f"Bearer {shown}"), ("X-API-Key", "wrong")]):
                self.assertEqual(self.fetch("GET", path_of("AAPL"), headers).status, 200, headers)
                self.assertIsNone(self.subscribe_code(self.ws(add=headers), "AAPL"))
            self.assertEqual(self.fetch("GET", path_of("AAPL", f"?token={quote(shown)}")).status, 200)
            for path in ("/v1/last?topics=AAPL&", "/v1/topics/AAPL/history?limit=1&"):
                self.assertEqual(self.fetch("GET", f"{path}token={quote(shown)}").status, 200)
            with Sse(self.port, f"topics=AAPL&token={quote(shown)}") as stream:
                self.assertEqual(stream.read()["op"], "hello")
            ws = self.ws(f"/v1/ws?topics=AAPL&token={quote(shown)}")
            self.assertEqual(ws.read()["op"], "subscribed")
            ws = self.ws("/v1/ws?topics=AAPL", protocols=["ringcast.v1", f"ringcast.token.{shown}"])
            self.assertEqual(ws.answer.header("Sec-WebSocket-Protocol"), "ringcast.v1")
            self.assertEqual(ws.read()["op"], "subscribed")
            ws = self.session()
            self.assertEqual(ws.ask("auth", token=shown)["op"], "authenticated")
            self.assertIsNone(self.subscribe_code(ws, "AAPL"))
        self.assertEqual(self.fetch("POST", path_of("AAPL", f"?token={PUBLISHER}"), (), b"1").status, 200)

    def test_a_wrong_one_is_told_where_it_was_shown(self):
        expired = token(["AAPL"], ttl=-1000)
        for wrong, words in (("nobody's", "not right"), (expired, "expired"), (token(["a"])[:-5] + "AAAAA", "signature"), (hs256(claims_of(["a"]), "x" * 32), "signature")):
            for headers in (bearer(wrong), [("X-API-Key", wrong)], [("Authorization", f"Bearer {wrong}"), ("X-API-Key", ADMIN)]):
                for path in ("/v1/topics/AAPL", "/v1/stream?topics=AAPL", "/metrics"):
                    response = self.fetch("GET", path, headers)
                    self.assertError(response, 401, "unauthorized")
                    self.assertIn(words, response.message)
                self.assertEqual(self.fetch("GET", "/healthz", headers).status, 200)
            for path, protocols in ((f"/v1/ws?topics=AAPL&token={quote(wrong)}", ()), ("/v1/ws", ["ringcast.v1", f"ringcast.token.{quote(wrong)}"])):
                ws = self.ws(path, protocols=protocols)
                messages = ws.expect_close(4401)
                self.assertEqual([one["op"] for one in messages], ["error", "closing"])
                self.assertEqual(messages[0]["code"], "unauthorized")
            ws = self.session(READER)
            reply = ws.ask("auth", token=wrong)
            self.assertRefusal(reply, "unauthorized")
            self.assertIn(words, reply["message"])
            self.assertIsNone(self.subscribe_code(ws, "AAPL"), "it keeps what it had")
            self.assertError(self.fetch("GET", f"/v1/topics/AAPL?token={quote(wrong)}"), 401, "unauthorized")
        self.assertError(self.fetch("GET", "/v1/topics/AAPL", [("Authorization", f"Basic {READER}")]), 401, "unauthorized")
        self.assertError(self.fetch("GET", "/v1/topics/AAPL", [("Authorization", "Bearer")]), 401, "unauthorized")

    def test_each_request_shows_its_own(self):
        self.put("AAPL")
        http, path = self.http(), path_of("AAPL")
        for headers, status in ((bearer(ADMIN), 200), ((), 401), (bearer(READER), 200), (bearer(PUBLISHER), 403), ([("X-API-Key", "x")], 401), ((), 401), (bearer(ADMIN), 200)):
            http.request("GET", path, headers)
            self.assertEqual(http.response().status, status, headers)
        http.request("GET", path, bearer(ADMIN)).request("GET", path).request("POST", path, bearer(PUBLISHER), b"1").request("POST", path, (), b"1")  # in one go
        self.assertEqual([http.response().status for _ in range(4)], [200, 401, 200, 401])
        ws = Ws.__new__(Ws)
        Http.__init__(ws, self.port)
        self.addCleanup(ws.close)
        ws.request("GET", path, bearer(ADMIN))
        self.assertEqual(ws.response().status, 200)
        ws.upgrade()
        self.assertEqual(ws.read()["op"], "hello")
        self.assertEqual(self.subscribe_code(ws, "AAPL"), "unauthorized")

    def test_topics_of_the_query_need_their_right(self):
        for add, code, close in (((), "unauthorized", 4401), (bearer(READER), "forbidden", 4403)):
            messages = self.ws("/v1/ws?topics=AAPL,MSFT", add=add).expect_close(close)
            self.assertEqual(messages[0].get("code"), code)
        messages = self.ws("/v1/ws?topics=a..b", add=bearer(READER)).expect_close(4400)
        self.assertEqual(messages[0].get("code"), "bad_topic")

    def test_all_algorithms_of_openssl_are_known(self):
        self.put("AAPL")
        claims = claims_of(["AAPL"])
        for shown in (self.signers["RS256"].sign(claims), self.signers["RS256"].sign(claims, kid="whatever"), self.signers["ES256"].sign(claims, kid="e1"),
                      self.signers["ES256"].sign(claims), self.signers["EdDSA"].sign(claims, kid="d1")):
            self.assertEqual(self.fetch("GET", path_of("AAPL"), bearer(shown)).status, 200)
            head, middle, tail = shown.split(".")
            for bad in (head + "." + middle + "." + ("B" if tail[0] == "A" else "A") + tail[1:], head + "." + middle + ".", head + "." + middle[:-4] + "." + tail):
                self.assertError(self.fetch("GET", path_of("AAPL"), bearer(bad)), 401, "unauthorized")
        for shown in (self.signers["ES256"].sign(claims, kid="d1"), self.signers["EdDSA"].sign(claims, kid="e1"), self.signers["RS256"].sign(claims, alg="HS256"),
                      self.signers["ES256"].sign(claims, alg="EdDSA"), self.signers["RS256"].sign(claims, alg="none"), self.signers["RS256"].sign(claims, alg="PS256")):
            self.assertError(self.fetch("GET", path_of("AAPL"), bearer(shown)), 401, "unauthorized")
        with open(self.signers["RS256"].public, encoding="ascii") as file:  # the public key as a secret
            self.assertError(self.fetch("GET", path_of("AAPL"), bearer(hs256(claims, file.read()))), 401, "unauthorized")

    # ---- time

    def test_the_ack_tells_the_time_that_is_left(self):
        ws = self.session()
        self.assertNotIn("expires_ms", ws.ask("auth", token=READER))
        self.assertNotIn("expires_ms", ws.ask("auth", token=token(["a"], ttl=None)))
        left = ws.ask("auth", token=token(["a"], ttl=100))["expires_ms"]
        self.assertTrue(100_000 - 1000 * PATIENCE < left <= 100_000, left)
        self.assertEqual(ws.ask("auth", token=token(["a"], ttl=-5))["expires_ms"], 0, "within the skew")
        self.assertEqual(ws.ask("auth", token=token(["a"], ttl=-31))["code"], "unauthorized", "beyond it")
        self.assertEqual(ws.ask("auth", token=token(["a"], nbf=time.time() + 20))["op"], "authenticated")
        self.assertEqual(ws.ask("auth", token=token(["a"], nbf=time.time() + 50))["code"], "unauthorized")

    # ---- fewer rights

    def test_fewer_rights_end_what_they_no_longer_cover(self):
        ws = self.session(token(["AAPL", "n.>", "MSFT"]))
        self.assertIsNone(self.subscribe_code(ws, "AAPL", "MSFT", "n.>", "n.x.*", "n.x.1", snapshot=False))
        self.assertTrue(all(one["op"] == "topic" for one in ws.quiet()))
        self.assertEqual(ws.ask("auth", token=token(["AAPL", "n.x.*", "GOOG"]))["op"], "authenticated")
        message = ws.read()
        self.assertEqual((message["op"], message["code"], sorted(message["topics"])), ("unsubscribed", "forbidden", ["MSFT", "n.>"]))
        self.assertNotIn("id", message)
        self.assertEqual(sorted(one["topic"] for one in ws.ask("list")["topics"]), ["AAPL", "n.x.*", "n.x.1"])
        for topic in ("MSFT", "n.other", "n.x.1", "AAPL"):
            self.put(topic, 77)
        got = []
        while len(got) < 2:
            message = ws.read()
            if message.is_update:
                got.append((message["topic"], message["data"]))
        self.assertEqual(sorted(got), [("AAPL", 77), ("n.x.1", 77)])
        self.assertEqual(ws.quiet(), [])
        self.assertEqual(ws.ask("auth", token=token([], ["AAPL"]))["op"], "authenticated")
        self.assertEqual(sorted(ws.read()["topics"]), ["AAPL", "n.x.*", "n.x.1"])
        self.assertEqual(ws.ask("list")["topics"], [])
        self.assertEqual(ws.ask("auth", token=READER)["op"], "authenticated")
        self.assertEqual(ws.quiet(), [])

    def test_max_hz_caps_each_subscription(self):
        topic = self.topic()
        for shown in (SLOW, token([">"], max_hz=5)):
            ws = self.session(shown)
            self.assertEqual(self.subscribe_code(ws, topic, mode="every"), "forbidden")
            for asked, got in ((None, 5), (2, 2), (0, 5), (100, 5)):
                self.assertIsNone(self.subscribe_code(ws, topic, **({} if asked is None else {"max_hz": asked})))
                self.assertEqual(ws.ask("list")["topics"][0]["max_hz"], got, asked)
            ws.hang_up()
        ws = self.ws(f"/v1/ws?topics={topic}", add=bearer(SLOW))
        self.assertEqual(ws.read()["op"], "subscribed")
        self.assertEqual(ws.ask("list")["topics"][0]["max_hz"], 5)
        self.assertEqual(self.ws(f"/v1/ws?topics={topic}&mode=every", add=bearer(SLOW)).expect_close(4403)[0]["code"], "forbidden")
        ws = self.session(token([">"]))
        self.assertIsNone(self.subscribe_code(ws, "c.1", "c.*"))
        self.assertIsNone(self.subscribe_code(ws, "c.2", max_hz=0.5))
        self.assertIsNone(self.subscribe_code(ws, "c.3", "d.>", mode="every"))
        ws.ask("auth", token=token([">"], max_hz=4))
        self.assertEqual(sorted(ws.read()["topics"]), ["c.3", "d.>"])
        self.put("c.9")
        self.assertEqual(ws.read()["op"], "topic")
        self.assertEqual(ws.read()["topic"], "c.9")
        self.assertEqual({one["topic"]: one["max_hz"] for one in ws.ask("list")["topics"]}, {"c.*": 4, "c.1": 4, "c.2": 0.5, "c.3": 4, "c.9": 4}, "c.3 goes on by c.*")

    def test_a_cap_is_kept(self):
        topic = self.topic()
        ws = self.session(token([topic], max_hz=10))
        self.assertIsNone(self.subscribe_code(ws, topic, snapshot=False))
        began = time.monotonic()
        for n in range(100):
            self.put(topic, n)
        spent, got = time.monotonic() - began, 0
        while True:
            message = ws.read()
            got += message.is_update
            if message.get("data") == 99:
                break
        self.assertLessEqual(got, (spent + time.monotonic() - began) * 10 + 2)


class RightsOfTwoShardsTest(RightsTest):
    shards = "2"


class DeadlineTest(ShutTest):
    """What is shown in time must come in time: the deadline is long for a machine that has other things to do."""
    shards = "2"
    more = ("--deadline.auth-ms", "3s")

    def test_who_shows_nothing_is_closed(self):
        shown = self.session()
        self.assertEqual(shown.ask("auth", token=READER)["op"], "authenticated")
        trying, silent = self.session(), self.session()
        self.assertEqual(trying.ask("auth", token="wrong")["code"], "unauthorized")
        for ws in (silent, trying):  # who came after the one that stays, so that its time is over too
            messages = ws.expect_close(4401)
            self.assertEqual(messages[-1]["op"], "closing")
            self.assertIn("deadline.auth-ms", ws.close_reason)
        self.assertEqual(shown.ask("ping")["op"], "pong")


class ExpiryTest(ShutTest):
    """Half a minute is waited for once."""
    shards = "2"

    def test_a_token_that_expires_leaves_half_a_minute(self):
        self.put("AAPL", 1)
        began = time.monotonic()
        late, renewed, by_key = (self.session(token(["AAPL"], ttl=1)) for _ in range(3))
        stream = Sse(self.port, f"topics=AAPL&token={token(['AAPL'], ttl=1)}")
        self.addCleanup(stream.close)
        for ws in (late, renewed, by_key):
            self.assertIsNone(self.subscribe_code(ws, "AAPL", snapshot=False))
        time.sleep(3)
        self.put("AAPL", 2)
        for ws in (late, renewed, by_key):  # its time is over, and it goes on for now
            self.assertEqual(ws.read()["data"], 2)
        self.assertEqual(renewed.ask("auth", token=token(["AAPL"], ttl=600))["op"], "authenticated")
        self.assertEqual(by_key.ask("auth", token=READER)["op"], "authenticated")
        messages = late.expect_close(4401, seconds=31 + PATIENCE)
        self.assertGreater(time.monotonic() - began, 30)
        self.assertIn("expired", late.close_reason)
        self.assertEqual(messages[-1]["op"], "closing")
        while (message := stream.read()).get("op") != "closing":
            pass
        self.put("AAPL", 3)
        for ws in (renewed, by_key):
            while (message := ws.read()).get("op") == "heartbeat":
                pass
            self.assertEqual(message["data"], 3)


class OpenTest(GatewayTest):
    """Reading is open where auth.required is not set."""
    flags = ("--auth.jwt-secret", SECRET, "--auth.admin-key", ADMIN, "--shards", "2")

    def test_reading_is_open_to_all_and_publishing_is_not(self):
        self.publish("AAPL")
        limited = token(["MSFT"], ["x"])
        for headers in ((), bearer(limited)):
            self.assertEqual(self.fetch("GET", "/v1/topics", headers).status, 200)
            self.assertEqual(self.fetch("GET", path_of("AAPL"), headers).status, 200)
            ws = self.ws("/v1/ws?topics=AAPL", add=headers)
            self.assertEqual(ws.read()["op"], "subscribed")
            self.assertEqual(ws.ask("publish", topic="AAPL", data=1)["code"], "forbidden" if headers else "unauthorized")
            self.assertEqual(ws.ask("subscribe", topics=["$sys.>"])["code"], "forbidden" if headers else "unauthorized")
            self.assertError(self.fetch("GET", "/metrics", headers), 403 if headers else 401, "forbidden" if headers else "unauthorized")
        self.assertEqual(self.ws(add=bearer(limited)).ask("publish", topic="x", data=1)["op"], "published")
        self.assertEqual(self.ws().ask("subscribe", topics=["$sys.>"])["code"], "unauthorized")

    def test_a_cap_counts_all_the_same(self):
        ws = self.ws()
        self.assertNotIn("code", ws.ask("subscribe", topics=["cap"], snapshot=False))
        self.assertEqual(ws.ask("auth", token=token(max_hz=3))["op"], "authenticated")
        self.assertEqual(ws.ask("list")["topics"][0]["max_hz"], 3)


class NoKeyTest(GatewayTest):
    key = None
    flags = ("--shards", "1")

    def test_without_any_key_publishing_is_off_and_all_else_open(self):
        response = self.fetch("POST", path_of("a"), (), b"1")
        self.assertError(response, 401, "unauthorized")
        self.assertIn("--auth.publish-key", response.message)
        self.assertIn("--auth.publish-key", self.ws().ask("auth", token="x")["message"])
        self.assertEqual(self.fetch("GET", "/metrics").status, 200)
        self.assertEqual(self.ws().ask("subscribe", topics=["$sys.>"])["op"], "subscribed")


class ReloadTest(unittest.TestCase):
    """Files of keys change under the connections that came in by them."""

    def setUp(self):
        self.files = Folder()
        self.addCleanup(self.files.remove)
        self.keys(reader="sub=AAPL,MSFT", other="sub=> pub=>")
        self.files.write("revoked", "")
        self.settings()
        self.gateway = Gateway("--config", self.files.path("ini"), "--shards", "2", key=None).start()
        self.addCleanup(lambda: None if self.gateway.ended else self.gateway.kill())

    def settings(self, **more):
        values = {"required": "true", "keys": self.files.path("keys"), "revoked": self.files.path("revoked"), "jwt-secret": SECRET, "admin-key": ADMIN, **more}
        self.files.write("ini", "[auth]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()) + "[deadline]\nauth-ms = 700\n")

    def keys(self, **rights):
        self.files.write("keys", "".join(key_line(name, name + "-key", words) for name, words in rights.items()))

    def reload(self, words="settings were read again"):
        before = sum(words in line for line in self.gateway.logged().splitlines())
        self.gateway.signal(signal.SIGHUP)
        return self.gateway.await_logged(words, before + 1)[-1]

    def until(self, holds, what):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise TooLate(what)
            time.sleep(0.01)

    def session(self, shown):
        ws = Ws(self.gateway.port, add=bearer(shown))
        self.addCleanup(ws.close)
        self.assertEqual(ws.read()["op"], "hello")
        return ws

    def status(self, shown, topic="AAPL"):
        return self.gateway.fetch("GET", path_of(topic), bearer(shown)).status

    def test_rights_in_the_file_change(self):
        reader, other = self.session("reader-key"), self.session("other-key")
        for ws in (reader, other):
            self.assertEqual(ws.ask("subscribe", topics=["AAPL", "MSFT"])["op"], "subscribed")
        self.keys(reader="sub=AAPL", other="sub=> pub=>", fresh="sub=AAPL")
        line = self.reload()
        self.assertIn("changed=0", line)
        self.assertIn("keys=changed", line)
        message = reader.read()
        self.assertEqual((message["op"], message["topics"], message["code"]), ("unsubscribed", ["MSFT"], "forbidden"))
        self.until(lambda: self.status("fresh-key") == 404, "the fresh key")
        self.assertEqual(other.quiet(), [])
        self.assertEqual(other.ask("publish", topic="AAPL", data=1)["op"], "published")
        self.assertEqual((reader.read()["op"], reader.read()["data"]), ("topic", 1))
        self.assertNotIn("keys=changed", self.reload(), "nothing has changed")
        self.close(reader, other)

    def close(self, *sessions):
        for ws in sessions:
            ws.close()
        self.gateway.stop()

    def test_a_key_that_is_gone_ends_what_it_allowed(self):
        gone, stays, comes_back = self.session("reader-key"), self.session("other-key"), self.session("reader-key")
        for ws in (gone, stays, comes_back):
            self.assertEqual(ws.ask("subscribe", topics=["AAPL"])["op"], "subscribed")
        self.keys(other="sub=> pub=>")
        self.reload()
        for ws in (gone, comes_back):
            message = ws.read()
            self.assertEqual((message["op"], message["topics"], message["code"]), ("unsubscribed", ["AAPL"], "forbidden"))
        self.assertEqual(comes_back.ask("subscribe", topics=["AAPL"])["code"], "forbidden")
        self.assertEqual(comes_back.ask("auth", token="reader-key")["code"], "unauthorized")
        self.assertEqual(comes_back.ask("auth", token=token(["AAPL"]))["op"], "authenticated")
        gone.expect_close(4401)
        self.assertIn("not right any more", gone.close_reason)
        self.assertEqual(stays.quiet(), [])
        self.assertEqual(comes_back.ask("subscribe", topics=["AAPL"])["op"], "subscribed")
        self.close(stays, comes_back)

    def test_a_revoked_token_ends_and_others_go_on(self):
        shown, other = token(["AAPL"], ["AAPL"], jti="bad one"), token(["AAPL"], jti="good")
        revoked, stays = self.session(shown), self.session(other)
        for ws in (revoked, stays):
            self.assertEqual(ws.ask("subscribe", topics=["AAPL"])["op"], "subscribed")
        self.files.write("revoked", "# leaked\nbad one\n")
        self.reload()
        self.assertEqual(revoked.read()["op"], "unsubscribed")
        self.assertEqual(revoked.ask("publish", topic="AAPL", data=1)["code"], "forbidden")
        self.assertIn("revoked", revoked.ask("auth", token=shown)["message"])
        self.until(lambda: self.status(shown) == 401, "the revoked one")
        self.assertEqual(self.status(other), 404)
        revoked.expect_close(4401)
        self.assertEqual(stays.quiet(), [])
        self.close(stays)

    def test_another_secret_and_issuer(self):
        old, new = self.session(token(["AAPL"])), hs256(claims_of(["AAPL"]), SECRET + "2")
        self.assertEqual(self.status(new), 401)
        self.settings(**{"jwt-secret": SECRET + "2"})
        self.reload()
        self.until(lambda: self.status(new) == 404, "the new secret")
        self.assertEqual(self.status(token(["AAPL"])), 401)
        old.expect_close(4401)
        holds = self.session(hs256(claims_of(["AAPL"], iss="me"), SECRET + "2"))
        ends = self.session(new)
        self.settings(**{"jwt-secret": SECRET + "2", "jwt-issuer": "me"})
        self.reload()
        ends.expect_close(4401)
        self.assertEqual(holds.ask("subscribe", topics=["AAPL"])["op"], "subscribed")
        self.close(holds)

    def test_a_wrong_file_leaves_all_as_it_was(self):
        ws = self.session("reader-key")
        self.assertEqual(ws.ask("subscribe", topics=["AAPL"])["op"], "subscribed")
        for text, words in (("reader:abc:sub=AAPL\n", "line 1"), (key_line("a", "b", "sub=AAPL everything"), "line 1"), ("x\n", "name:sha256:rights")):
            self.files.write("keys", text)
            line = self.reload("settings were not reloaded")
            self.assertIn(words, line)
            self.assertIn(self.files.path("keys"), line)
        os.unlink(self.files.path("keys"))
        self.assertIn("No such file", self.reload("settings were not reloaded"))
        self.assertEqual(self.status("reader-key"), 404)
        self.assertEqual(ws.quiet(), [])
        self.close(ws)

    def test_doors_may_be_shut_and_opened(self):
        self.settings(required="false")
        self.reload()
        path = path_of("AAPL")
        self.until(lambda: self.gateway.fetch("GET", path).status == 404, "open")
        anonymous, shown = Ws(self.gateway.port), self.session("reader-key")
        self.addCleanup(anonymous.close)
        self.assertEqual(anonymous.read()["op"], "hello")
        for ws in (anonymous, shown):
            self.assertEqual(ws.ask("subscribe", topics=["AAPL", "GOOG"])["op"], "subscribed")
        self.settings()
        self.reload()
        self.assertEqual(shown.read()["topics"], ["GOOG"])
        message = anonymous.read()
        self.assertEqual((message["op"], sorted(message["topics"]), message["code"]), ("unsubscribed", ["AAPL", "GOOG"], "unauthorized"))
        anonymous.expect_close(4401)
        self.assertEqual(shown.ask("ping")["op"], "pong")
        self.close(shown)


class StartTest(unittest.TestCase):
    """What is wrong with keys stops the start, and `ringcast check` finds it."""

    def check(self, *flags, status=1):
        result = subprocess.run([RINGCAST, "check", *flags], capture_output=True, text=True, env=environment(), check=False)
        self.assertEqual(result.returncode, status, result)
        return result.stderr

    def test_wrong_files_are_named(self):
        files = Folder()
        self.addCleanup(files.remove)
        keys = files.write("keys", "\n# x\nreader:0123:sub=AAPL\n")
        for words in (self.check("--auth.keys", keys), subprocess.run([RINGCAST, "--auth.keys", keys, "--listen", "127.0.0.1:1"], capture_output=True, text=True, env=environment(), check=False).stderr):
            self.assertIn(f"auth.keys, {keys}: line 3:", words)
        self.assertIn("32 bytes", self.check("--auth.jwt-secret", "short"))
        self.assertNotIn("short", self.check("--auth.jwt-secret", "short"))
        private = Signer(files.folder, "ES256", "k").private
        self.assertIn("private key", self.check("--auth.jwt-key", private))
        self.assertIn("JSON Web Key Set", self.check("--auth.jwks", keys))
        self.assertIn("no regular file", self.check("--auth.revoked", "/dev/null"))
        self.check("--auth.keys", files.write("keys", key_line("a", "b", "admin")), status=0)


class TokenTest(unittest.TestCase):
    """`ringcast token` makes what a gateway takes."""

    def token(self, *arguments, status=0, **variables):
        result = subprocess.run([RINGCAST, "token", *arguments], capture_output=True, text=True, env={**environment(), **variables}, check=False)
        self.assertEqual(result.returncode, status, result)
        return result.stdout.strip(), result.stderr

    def test_keys_and_tokens_that_it_makes_are_taken(self):
        files = Folder()
        self.addCleanup(files.remove)
        key, line = self.token("key", "feed", "sub=a.*", "pub=a.>")
        admin, more = self.token("key", "boss", "admin")
        secret, _ = self.token("secret")
        self.assertGreaterEqual(len(secret), 43)
        self.assertNotEqual(secret, self.token("secret")[0])
        self.assertNotIn(key, line)
        keys = files.write("keys", line + more)
        flags = ["--auth.jwt-issuer", "me", "--auth.jwt-audience", "us"]
        made = {name: self.token("jwt", *flags, *arguments, RINGCAST_AUTH_JWT_SECRET=secret)[0] for name, arguments in {
            "reads": ["sub=a.*,b", "max_hz=0.5"], "gone": ["--ttl", "-1h", "sub=b"], "long": ["--ttl=none", "sub=b"], "out": ["--jti", "x y", "sub=b"]}.items()}
        with Gateway("--auth.required", "--auth.keys", keys, "--auth.jwt-secret", secret, *flags, "--auth.revoked", files.write("revoked", "x y\n"), key=None) as gateway:
            def status(shown, topic, method="GET"):
                return gateway.fetch(method, path_of(topic), bearer(shown), b"1" if method == "POST" else None).status
            self.assertEqual([status(key, "a.b", "POST"), status(key, "b", "POST"), status(key, "a.b"), status(key, "b")], [200, 403, 200, 403])
            self.assertEqual([status(admin, "b", "POST"), status(made["reads"], "a.b"), status(made["reads"], "b"), status(made["reads"], "c")], [200, 200, 200, 403])
            self.assertEqual([status(made["gone"], "b"), status(made["long"], "b"), status(made["out"], "b")], [401, 200, 401])
            with Ws(gateway.port, add=bearer(made["reads"])) as ws:
                self.assertEqual(ws.read()["op"], "hello")
                left = ws.ask("auth", token=made["reads"])["expires_ms"]
                self.assertTrue(3_600_000 - 1000 * PATIENCE - 1000 < left <= 3_600_000, left)
                ws.ask("subscribe", topics=["b"])
                self.assertEqual([one for one in ws.ask("list")["topics"]][0]["max_hz"], 0.5)

    def test_what_is_wrong_is_told(self):
        for arguments, words in ((["key"], "name"), (["key", "a:b"], "name"), (["key", "a", "sub=a b"], "rights"), (["jwt"], "auth.jwt-secret"), (["jwt", "--auth.jwt-secret", "x" * 32, "admin"], "admin"),
                                 (["jwt", "--auth.jwt-secret", "x" * 32, "--ttl", "soon"], "--ttl"), (["jwt", "--auth.jwt-secret", "x" * 32, "sub="], "right"), (["jwt", "--no-such", "1"], "--no-such")):
            self.assertIn(words, self.token(*arguments, status=1)[1], arguments)
        self.token("nothing", status=2)
        self.assertIn("auth.jwt-secret", self.token("help")[0])


if __name__ == "__main__":
    unittest.main()
