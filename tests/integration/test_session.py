"""The protocol ringcast.v1 on /v1/ws, a test for each promise: requests, modes, acks, resuming, keys, rights, liveness, drain."""
import json
import select
import signal
import threading
import time
import unittest

from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Http, Ws, close_payload, frame, handshake, path_of
from gateway import API_KEY, BEARER, KEY, Gateway, GatewayTest
from test_http import BAD_NAMES, GOOD_NAMES, GOOD_PAYLOADS


class SessionTest(GatewayTest):
    """What several classes below use."""

    def subscribe(self, ws, *topics, **fields):
        """Subscribes and returns the ack's entries by topic."""
        ack = ws.ask("subscribe", topics=list(topics), **fields)
        self.assertEqual(ack["op"], "subscribed", ack)
        return {entry["topic"]: entry for entry in ack["topics"]}

    def assertNextUpdates(self, ws, topic, seqs):
        for seq in seqs:
            self.assertUpdate(ws.read(), topic, seq)

    def assertGap(self, message, topic, first, last):
        self.assertEqual(dict(message), {"op": "gap", "topic": topic, "from": first, "to": last})

    def subscriptions(self, ws):
        """What `list` answers, by topic."""
        listed = ws.ask("list")
        self.assertEqual(listed["op"], "subscriptions", listed)
        return {entry["topic"]: entry for entry in listed["topics"]}


class HelloTest(SessionTest):
    def test_hello_comes_first_with_version_and_heartbeat(self):
        for path, heartbeat_ms in [("/v1/ws", 25000), ("/v1/ws?heartbeat_ms=1000", 1000), ("/v1/ws?heartbeat_ms=60000", 60000), ("/v1/ws?heartbeat_ms=1234&topics=a.b", 1234)]:
            with self.subTest(path):
                hello = self.ws(path, hello=False).read()
                self.assertEqual((hello["op"], hello["heartbeat_ms"]), ("hello", heartbeat_ms))
                self.assertTrue(hello["version"])
                self.assertIs(type(hello["version"]), str)

    def test_faults_of_the_query_are_an_error_and_a_close(self):
        for query, code, close, why in [
            ("mode=fast", "bad_request", 4400, "an unknown mode"), ("snapshot=maybe", "bad_request", 4400, "no boolean"), ("heartbeat_ms=999", "bad_request", 4400, "heartbeat_ms too small"), ("heartbeat_ms=60001", "bad_request", 4400, "heartbeat_ms too large"),
            ("heartbeat_ms=x", "bad_request", 4400, "heartbeat_ms that is no number"), ("heartbeat_ms=", "bad_request", 4400, "heartbeat_ms empty"), ("topics=A&topics=B", "bad_request", 4400, "topics twice"), ("mode=every&mode=every", "bad_request", 4400, "mode twice"),
            ("topics=a..b", "bad_topic", 4400, "a bad topic"), ("topics=A,,B", "bad_topic", 4400, "an empty one between"), ("topics=A,a%20b", "bad_topic", 4400, "a good and a bad topic"), ("topics=%ff", "bad_topic", 4400, "a topic that is not UTF-8"),
            ("token=wrong", "unauthorized", 4401, "a wrong token"), ("token=wrong&topics=A", "unauthorized", 4401, "a wrong token and a good topic"),
        ]:
            with self.subTest(why):
                ws = self.ws("/v1/ws?" + query, hello=False)
                before = ws.expect_close(close)
                self.assertEqual([m for m in before if m.is_update or m["op"] == "subscribed"], [])
                errors = [m for m in before if m.get("op") == "error"]
                self.assertEqual(len(errors), 1, before)
                self.assertRefusal(errors[0], code)
                self.assertNotIn("id", errors[0])
                closing = before[-1]
                self.assertEqual(closing.get("op"), "closing", before)
                self.assertTrue(closing["reason"])
        self.assertServing()

    def test_what_the_query_may_leave_open(self):
        for query in ("", "?", "?topics=", "?unknown=1", "?unknown=%20&mode=latest", "?snapshot=true", "?snapshot=0", "?mode=every&snapshot=false"):
            with self.subTest(query):
                ws = self.ws("/v1/ws" + query)
                self.assertEqual(ws.quiet(), [])
                self.assertEqual(self.subscriptions(ws), {})


class SubscribeTest(SessionTest):
    def test_the_ack_carries_epoch_and_seq_and_comes_before_the_snapshot(self):
        for mode in ("every", "latest", None):
            with self.subTest(mode=mode):
                topic = self.topic()
                epoch = [self.publish(topic, n) for n in (1, 2, 3)][-1]["epoch"]
                ws = self.ws()
                ws.send_json({"op": "subscribe", "id": 7, "topics": [topic], **({"mode": mode} if mode else {})})
                self.assertEqual(dict(ws.read()), {"op": "subscribed", "id": 7, "topics": [{"topic": topic, "epoch": epoch, "seq": 3}]})
                self.assertUpdate(ws.read(), topic, 3, "3")
                self.publish(topic, 4)
                self.assertUpdate(ws.read(), topic, 4, "4")

    def test_latest_is_the_default_mode(self):
        ws, topic = self.ws(), self.topic()
        self.subscribe(ws, topic)
        self.assertEqual(self.subscriptions(ws)[topic]["mode"], "latest")

    def test_without_snapshot_the_next_update_is_the_first(self):
        for mode in ("every", "latest"):
            with self.subTest(mode=mode):
                topic, ws = self.topic(), self.ws()
                self.publish(topic, 1)
                self.assertEqual(self.subscribe(ws, topic, mode=mode, snapshot=False)[topic]["seq"], 1)
                self.assertEqual(ws.quiet(), [])
                self.publish(topic, 2)
                self.assertUpdate(ws.read(), topic, 2)

    def test_several_topics_of_one_request_are_acknowledged_together(self):
        topics, ws = [self.topic() for _ in range(100)], self.ws()
        self.gateway.publish_many((topic, "1") for topic in topics[:50])
        acked = self.subscribe(ws, *topics)
        self.assertEqual({t: e["seq"] for t, e in acked.items()}, {t: int(t in topics[:50]) for t in topics})
        self.assertEqual({t for t, e in acked.items() if "epoch" in e}, set(topics[:50]))
        self.assertEqual(sorted(ws.read()["topic"] for _ in range(50)), sorted(topics[:50]))
        self.assertEqual(ws.quiet(), [])

    def test_a_repeated_topic_counts_once(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic)
        ack = ws.ask("subscribe", topics=[topic, topic, topic], mode="every")
        self.assertEqual([entry["topic"] for entry in ack["topics"]], [topic])
        self.publish(topic)
        self.assertNextUpdates(ws, topic, [1, 2])
        self.assertEqual(ws.quiet(), [])

    def test_a_subscription_from_the_query_is_acknowledged_without_an_id(self):
        for mode in ("every", "latest"):
            for snapshot in ("", "&snapshot=true", "&snapshot=1", "&snapshot=false", "&snapshot=0"):
                with self.subTest(mode=mode, snapshot=snapshot):
                    born, unborn = self.topic("query/a+b"), self.topic()
                    epoch = self.publish(born)["epoch"]
                    ws = self.ws(f"/v1/ws?topics={born.replace('/', '%2F')},{unborn}&mode={mode}{snapshot}")
                    ack = ws.read()
                    self.assertEqual((ack["op"], "id" in ack), ("subscribed", False), ack)
                    self.assertEqual({e["topic"]: e for e in ack["topics"]}, {born: {"topic": born, "epoch": epoch, "seq": 1}, unborn: {"topic": unborn, "seq": 0}})
                    if not snapshot.endswith(("false", "0")):
                        self.assertUpdate(ws.read(), born, 1)
                    self.publish(born)
                    self.assertUpdate(ws.read(), born, 2)
                    self.assertEqual(self.subscriptions(ws)[born]["mode"], mode)

    def test_an_unborn_topic_is_acked_with_seq_0_and_announced_at_its_birth(self):
        for mode in ("every", "latest"):
            with self.subTest(mode=mode):
                topic, ws = self.topic(), self.ws()
                self.assertEqual(self.subscribe(ws, topic, mode=mode), {topic: {"topic": topic, "seq": 0}})
                epoch = self.publish(topic)["epoch"]
                self.assertEqual(dict(ws.read()), {"op": "topic", "topic": topic, "epoch": epoch, "seq": 0})
                self.assertUpdate(ws.read(), topic, 1)
                self.publish(topic)
                self.assertUpdate(ws.read(), topic, 2)

    def test_a_subscribe_without_id_is_followed_by_a_word_on_each_topic(self):
        born, unborn, ws = self.topic(), self.topic(), self.ws()
        self.publish(born)
        epoch = self.publish(born)["epoch"]
        ws.send_json({"op": "subscribe", "topics": [born, unborn], "mode": "every"})
        self.assertEqual(dict(ws.read()), {"op": "topic", "topic": born, "epoch": epoch, "seq": 2})
        self.assertNextUpdates(ws, born, [2])
        self.assertEqual(ws.quiet(), [])
        epoch = self.publish(unborn)["epoch"]
        self.assertEqual(dict(ws.read()), {"op": "topic", "topic": unborn, "epoch": epoch, "seq": 0})
        self.assertNextUpdates(ws, unborn, [1])
        self.publish(born)
        self.assertNextUpdates(ws, born, [3])

    def test_a_subscribe_without_id_and_snapshot_tells_of_the_topic_before_its_first_update(self):
        topic, ws = self.topic(), self.ws()
        epoch = self.publish(topic)["epoch"]
        ws.send_json({"op": "subscribe", "topics": [topic], "snapshot": False})
        came = ws.quiet()
        self.publish(topic)
        came.append(ws.read())
        if not came[-1].is_update:
            came.append(ws.read())
        self.assertEqual([dict(m) for m in came[:-1]], [{"op": "topic", "topic": topic, "epoch": epoch, "seq": 1}])
        self.assertUpdate(came[-1], topic, 2)

    def test_the_ack_is_exact_while_the_topic_moves(self):
        topic = self.topic()
        head = seen = self.publish(topic)["seq"]
        stop = threading.Event()
        failures = []

        def pump():
            nonlocal head
            try:
                with Ws(self.port, add=[API_KEY]) as publisher:
                    self.assertEqual(publisher.read()["op"], "hello")
                    lines = [{"op": "publish", "topic": topic, "data": 1}] * 9
                    while not stop.is_set():
                        if head - seen > 500:  # half the window: whoever holds the reader up, it must not get a gap
                            time.sleep(0.001)
                            continue
                        publisher.send_json(*lines, {"op": "publish", "id": 1, "topic": topic, "data": 1})
                        answer = publisher.read()
                        self.assertEqual(answer["op"], "published")
                        head = answer["seq"]
            except BaseException as error:  # told by the main thread
                failures.append(error)

        def update():
            nonlocal seen
            seen = ws.read()["seq"]
            return seen

        thread = threading.Thread(target=pump)
        thread.start()
        try:
            ws = self.ws()
            for turn in range(120):
                mode, snapshot = ("every", "latest")[turn % 2], turn % 4 < 2
                ws.send_json({"op": "subscribe", "id": turn, "topics": [topic], "mode": mode, "snapshot": snapshot})
                ack = ws.read()
                self.assertEqual((ack.get("op"), ack.get("id")), ("subscribed", turn), "no update of the old subscription, none before the ack")
                first = seen = ack["topics"][0]["seq"]
                if not snapshot:
                    first += 1
                seqs = [update() for _ in range(30)]
                if mode == "every":
                    self.assertEqual(seqs, list(range(first, first + 30)))
                else:
                    self.assertGreaterEqual(seqs[0], first)
                    self.assertEqual(seqs, sorted(set(seqs)), "strictly increasing")
                ws.send_json({"op": "unsubscribe", "id": "u", "topics": [topic]})
                while "op" not in (message := ws.read()):
                    seen = message["seq"]
                self.assertEqual(message["op"], "unsubscribed")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])

    def test_unsubscribing_ends_the_updates(self):
        topic, other, ws = self.topic(), self.topic(), self.ws()
        self.subscribe(ws, topic, other, mode="every")
        self.assertEqual({k: v for k, v in ws.ask("unsubscribe", topics=[topic]).items() if k != "id"}, {"op": "unsubscribed", "topics": [topic]})
        self.assertEqual(set(self.subscriptions(ws)), {other})
        self.publish(topic)
        self.publish(other)
        self.assertEqual(ws.read()["op"], "topic")
        self.assertUpdate(ws.read(), other, 1)
        self.assertEqual(ws.quiet(), [])

    def test_subscribing_after_unsubscribing_begins_anew(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic)
        for _ in range(3):
            self.assertEqual(self.subscribe(ws, topic, mode="every")[topic]["seq"], 1)
            self.assertUpdate(ws.read(), topic, 1)
            self.assertEqual(ws.ask("unsubscribe", topics=[topic])["op"], "unsubscribed")
        self.assertEqual(ws.quiet(), [])

    def test_unsubscribing_what_is_not_subscribed_is_acknowledged_all_the_same(self):
        topic, followed, ws = self.topic(), self.topic(), self.ws()
        self.subscribe(ws, followed)
        answer = ws.ask("unsubscribe", topics=[topic])
        self.assertEqual((answer["op"], answer["topics"]), ("unsubscribed", [topic]))
        self.assertEqual(set(self.subscriptions(ws)), {followed})

    def test_list_tells_mode_and_position(self):
        every, latest, unborn, ws = self.topic(), self.topic(), self.topic(), self.ws()
        self.assertEqual(self.subscriptions(ws), {})
        for _ in range(2):
            self.publish(every)
        self.publish(latest)
        self.subscribe(ws, every, mode="every")
        self.subscribe(ws, latest, unborn)
        self.assertUpdate(ws.read(), every, 2)
        self.assertUpdate(ws.read(), latest, 1)
        listed = self.subscriptions(ws)
        self.assertEqual({t: (e["mode"], e.get("max_hz", 0), e["seq"]) for t, e in listed.items()}, {every: ("every", 0, 2), latest: ("latest", 0, 1), unborn: ("latest", 0, 0)})

    def test_two_subscribers_see_the_same(self):
        topic, a, b = self.topic(), self.ws(), self.ws()
        self.subscribe(a, topic, mode="every")
        self.subscribe(b, topic, mode="every")
        self.gateway.publish_many((topic, '{"n":%d}' % n) for n in range(1, 201))
        self.assertEqual([a.read().raw for _ in range(201)], [b.read().raw for _ in range(201)])

    def test_stamps_never_decrease_within_a_topic(self):
        topic, ws = self.topic(), self.ws()
        self.subscribe(ws, topic, mode="every")
        self.gateway.publish_many((topic, "1") for _ in range(500))
        self.assertEqual(ws.read()["op"], "topic")
        stamps = [ws.read()["ts"] for _ in range(500)]
        self.assertEqual(stamps, sorted(stamps))
        self.assertLess(abs(stamps[-1] / 1e6 - time.time()), 60, "microseconds since the Unix epoch")


class AgainTest(SessionTest):
    def test_subscribing_again_keeps_the_position(self):
        for first in ("every", "latest"):
            for second in ("every", "latest", None):
                for snapshot in (True, False):
                    with self.subTest(first=first, second=second, snapshot=snapshot):
                        topic, ws = self.topic(), self.ws()
                        self.publish(topic)
                        self.subscribe(ws, topic, mode=first)
                        self.assertUpdate(ws.read(), topic, 1)
                        again = self.subscribe(ws, topic, snapshot=snapshot, **({"mode": second} if second else {}))
                        self.assertEqual(again[topic]["seq"], 1)
                        self.assertEqual(ws.quiet(), [], "no second snapshot")
                        self.assertEqual({t: e["mode"] for t, e in self.subscriptions(ws).items()}, {topic: second or "latest"})
                        self.publish(topic)
                        self.assertUpdate(ws.read(), topic, 2)

    def test_a_resume_for_what_is_already_followed_is_ignored(self):
        topic, ws = self.topic(), self.ws()
        for _ in range(3):
            epoch = self.publish(topic)["epoch"]
        self.subscribe(ws, topic, mode="every")
        self.assertUpdate(ws.read(), topic, 3)
        self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": 1}})
        self.assertEqual(ws.quiet(), [], "its position is kept")
        self.publish(topic)
        self.assertUpdate(ws.read(), topic, 4)

    def test_subscribing_again_before_the_birth_changes_nothing(self):
        topic, ws = self.topic(), self.ws()
        for _ in range(3):
            self.assertEqual(self.subscribe(ws, topic, mode="every")[topic], {"topic": topic, "seq": 0})
        self.publish(topic)
        self.assertEqual(ws.read()["op"], "topic")
        self.assertUpdate(ws.read(), topic, 1)
        self.assertEqual(ws.quiet(), [])


class PublishTest(SessionTest):
    def test_a_credential_by_any_way_may_publish(self):
        for how, why in [
            ({"add": [BEARER]}, "a bearer token"), ({"add": [API_KEY]}, "an API key"), ({"path": f"/v1/ws?token={KEY}"}, "token in the query"), ({"protocols": ["ringcast.v1", f"ringcast.token.{KEY}"]}, "a sub-protocol"),
            ({"protocols": [f"ringcast.token.{KEY}", "ringcast.v1"]}, "a sub-protocol, offered first"), ({"add": [BEARER, ("X-API-Key", "wrong")]}, "Authorization counts"),
        ]:
            with self.subTest(why):
                ws, topic = self.ws(**how), self.topic()
                if "protocols" in how:
                    self.assertEqual(ws.answer.header("Sec-WebSocket-Protocol"), "ringcast.v1", "the token is not answered")
                ws.send_json({"op": "publish", "id": 10, "topic": topic, "data": {"p": 189.4}})
                published = ws.read()
                self.assertEqual((published["op"], published["id"], published["topic"], published["seq"], len(published["epoch"])), ("published", 10, topic, 1, 8))
                self.assertEqual(set(published), {"op", "id", "topic", "epoch", "seq"})
        ws, topic = self.ws(), self.topic()
        authenticated = ws.ask("auth", token=KEY)
        self.assertEqual(authenticated["op"], "authenticated")
        self.assertNotIn("expires_ms", authenticated, "keys do not expire")
        self.assertEqual(ws.ask("publish", topic=topic, data=1)["seq"], 1)

    def test_without_a_credential_publishing_is_unauthorized(self):
        ws, topic = self.ws(), self.topic()
        for fields in ({"topic": topic, "data": 1}, {"topic": "a..b", "data": 1}, {"topic": topic, "data": json.loads("[" * 65 + "]" * 65)}):
            self.assertRefusal(ws.ask("publish", **fields), "unauthorized")
        ws.send_json({"op": "publish", "topic": topic, "data": 1})
        self.assertRefusal(ws.read(), "unauthorized")
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 404)

    def test_a_wrong_token_in_the_subprotocol_is_an_error_and_4401(self):
        ws = self.ws(protocols=["ringcast.v1", "ringcast.token.wrong"], hello=False)
        self.assertEqual(ws.answer.header("Sec-WebSocket-Protocol"), "ringcast.v1")
        before = ws.expect_close(4401)
        self.assertIn("unauthorized", [m.get("code") for m in before])

    def test_a_wrong_token_in_op_auth_is_an_error_and_nothing_else(self):
        for had in (False, True):
            with self.subTest(had=had):
                ws, topic = self.ws(add=[API_KEY] if had else []), self.topic()
                self.assertRefusal(ws.ask("auth", token="wrong"), "unauthorized")
                answer = ws.ask("publish", topic=topic, data=1)
                if had:
                    self.assertEqual(answer["op"], "published", "the connection keeps what it had")
                else:
                    self.assertRefusal(answer, "unauthorized")

    def test_an_auth_without_a_token_is_a_bad_request(self):
        ws = self.ws()
        for fields in ({}, {"token": 1}, {"token": None}):
            with self.subTest(fields):
                self.assertRefusal(ws.ask("auth", **fields), "bad_request")

    def test_published_comes_before_the_publishers_own_update(self):
        topic, ws = self.topic(), self.publisher()
        self.subscribe(ws, topic, mode="every")
        for seq in range(1, 51):
            ws.send_json({"op": "publish", "id": seq, "topic": topic, "data": seq})
            published = ws.read()
            self.assertEqual((published.get("op"), published.get("id"), published["seq"]), ("published", seq, seq))
            if seq == 1:
                self.assertEqual(ws.read()["op"], "topic")
            self.assertUpdate(ws.read(), topic, seq, str(seq))

    def test_a_publish_without_id_is_not_acknowledged_but_its_error_is_told(self):
        topic, ws = self.topic(), self.publisher()
        ws.send_json({"op": "publish", "topic": topic, "data": 1})
        self.assertEqual(ws.quiet(), [])
        self.assertEqual(self.fetch("GET", path_of(topic)).json()["seq"], 1)
        ws.send_json({"op": "publish", "topic": "a..b", "data": 1})
        refusal = ws.read()
        self.assertRefusal(refusal, "bad_topic")
        self.assertNotIn("id", refusal)

    def test_requests_take_effect_in_order_for_each_topic(self):
        topic, ws = self.topic(), self.publisher()
        lines = [{"op": "publish", "id": n, "topic": topic, "data": n} for n in range(1, 301)]
        ws.send_json(*lines[:100])
        for line in lines[100:200]:
            ws.send_json(line)
        ws.send(b"".join(frame(TEXT, json.dumps(line).encode()) for line in lines[200:]))
        self.assertEqual([(m["id"], m["seq"]) for m in (ws.read() for _ in lines)], [(n, n) for n in range(1, 301)])
        self.assertEqual([u["data"] for u in self.gateway.history(topic)], list(range(1, 301)))

    def test_subscribe_publish_unsubscribe_in_one_message(self):
        topic, ws = self.topic(), self.publisher()
        ws.send_json({"op": "subscribe", "id": 1, "topics": [topic], "mode": "every"}, {"op": "publish", "id": 2, "topic": topic, "data": 1}, {"op": "unsubscribe", "id": 3, "topics": [topic]},
                     {"op": "publish", "id": 4, "topic": topic, "data": 2}, {"op": "ping", "id": 5})
        came = []
        while len([m for m in came if "id" in m]) < 5:
            came.append(ws.read())
        came += ws.quiet()
        of_topic = [m for m in came if m.get("id") != 5]
        self.assertEqual([m["id"] for m in of_topic if "id" in m], [1, 2, 3, 4])
        self.assertEqual(of_topic[0]["topics"], [{"topic": topic, "seq": 0}])
        updates = [at for at, m in enumerate(of_topic) if m.is_update]
        ended = next(at for at, m in enumerate(of_topic) if m.get("id") == 3)
        self.assertTrue(all(at < ended for at in updates), of_topic)
        self.assertTrue(all(of_topic[at]["seq"] == 1 for at in updates), of_topic)

    def test_payloads_are_passed_on_byte_for_byte(self):
        publisher, subscriber = self.publisher(), self.ws()
        for payload, passed_on, why in GOOD_PAYLOADS:
            with self.subTest(why):
                topic = self.topic()
                self.subscribe(subscriber, topic, mode="every")
                publisher.send_text('{"op":"publish","id":1,"topic":"%s","data":%s}' % (topic, payload))
                self.assertEqual(publisher.read()["op"], "published")
                self.assertEqual(subscriber.read()["op"], "topic")
                self.assertUpdate(subscriber.read(), topic, 1, passed_on or payload)
                fresh = self.ws()
                self.subscribe(fresh, topic)
                self.assertUpdate(fresh.read(), topic, 1, passed_on or payload)
                fresh.close()

    def test_members_may_stand_in_any_order_and_spelling(self):
        topic, ws = self.topic(), self.publisher()
        for seq, text in enumerate([
            '{"data":{"op":"x"},"topic":"%s","id":1,"op":"publish"}', ' \t\r\n{ "op" : "publish" ,\n"id" : 1 , "topic" : "%s" , "data" : { "op" : "x" } }\r\n ', r'{"\u006fp":"publish","id":1,"topic":"%s","d\u0061ta":{"op":"x"}}',
            r'{"op":"pub\u006cish","id":1,"topic":"%s","data":{"op":"x"}}', '{"unknown":{"op":[1,2]},"op":"publish","id":1,"topic":"%s","unknown":null,"data":{"op":"x"}}',
        ], 1):
            with self.subTest(text):
                ws.send_text(text % topic)
                published = ws.read()
                self.assertEqual((published.get("op"), published.get("seq")), ("published", seq), published)
        self.assertEqual({json.dumps(u["data"]) for u in self.gateway.history(topic)}, {'{"op": "x"}'})

    def test_a_topic_is_compared_after_unescaping(self):
        for spelled, topic in [(r"\u0041BC.1", "ABC.1"), (r"a\/b.1", "a/b.1"), (r"\ud83d\ude00.1", "😀.1"), (r"\u00e9.1", "é.1"), ("\U0001f601.1", "😁.1")]:
            with self.subTest(topic):
                subscriber, publisher = self.ws(), self.publisher()
                subscriber.send_text('{"op":"subscribe","id":1,"topics":["%s"],"mode":"every"}' % spelled)
                self.assertEqual(subscriber.read()["topics"][0]["topic"], topic)
                publisher.send_text('{"op":"publish","id":1,"topic":"%s","data":1}' % spelled)
                self.assertEqual(publisher.read()["topic"], topic)
                self.assertEqual(subscriber.read()["op"], "topic")
                self.assertUpdate(subscriber.read(), topic, 1)
                self.assertEqual(self.fetch("GET", path_of(topic)).json()["topic"], topic)

    def test_every_good_name_works(self):
        ws = self.publisher()
        for name in GOOD_NAMES:
            with self.subTest(name):
                self.assertEqual(list(self.subscribe(ws, name, mode="every")), [name])
                self.assertEqual(ws.ask("publish", topic=name, data=1)["topic"], name)
                self.assertEqual(ws.read()["op"], "topic")
                self.assertUpdate(ws.read(), name, 1)
                self.assertEqual(ws.ask("unsubscribe", topics=[name])["topics"], [name])

    def test_every_bad_name_is_a_bad_topic(self):
        ws = self.publisher()
        for name, why in BAD_NAMES + [("", "empty"), ("\ud800", "an unpaired surrogate"), ("a\udc00b", "the other half of one")]:
            with self.subTest(why):
                self.assertRefusal(ws.ask("publish", topic=name, data=1), "bad_topic")
                if name[:1] != "$" and not ("*" in name.split(".") or name.split(".")[-1] == ">"):
                    for op in ("subscribe", "unsubscribe"):
                        self.assertRefusal(ws.ask(op, topics=[name]), "bad_topic")
        self.assertEqual(self.subscriptions(ws), {})

    def test_one_bad_topic_refuses_the_whole_request_and_is_named(self):
        ws, good = self.ws(), self.topic()
        refusal = ws.ask("subscribe", topics=[good, "a..b", good + "x"])
        self.assertRefusal(refusal, "bad_topic")
        self.assertIn("a..b", refusal["message"])
        self.assertEqual(self.subscriptions(ws), {})
        self.subscribe(ws, good)
        self.assertRefusal(ws.ask("unsubscribe", topics=[good, "a..b"]), "bad_topic")
        self.assertEqual(set(self.subscriptions(ws)), {good})

    def test_rights_before_the_topic_and_the_topic_before_the_payload(self):
        topic = self.topic()
        deep, large = json.loads("[" * 65 + "]" * 65), "x" * 65536
        for add, name, data, code in [
            ([], "a..b", deep, "unauthorized"), ([], topic, large, "unauthorized"), ([API_KEY], "a..b", deep, "bad_topic"), ([API_KEY], "$sys.x", large, "bad_topic"), ([API_KEY], topic, deep, "bad_payload"), ([API_KEY], topic, large, "too_large"),
        ]:
            with self.subTest(code=code, name=name):
                self.assertRefusal(self.ws(add=add).ask("publish", topic=name, data=data), code)

    def test_a_payload_may_have_64_kib_and_64_levels(self):
        topic, ws = self.topic(), self.publisher()
        self.assertEqual(ws.ask("publish", topic=topic, data="x" * 65534)["seq"], 1)
        self.assertRefusal(ws.ask("publish", topic=topic, data="x" * 65535), "too_large")
        self.assertEqual(ws.ask("publish", topic=topic, data=json.loads("[" * 64 + "]" * 64))["seq"], 2)
        self.assertRefusal(ws.ask("publish", topic=topic, data=json.loads("[" * 65 + "]" * 65)), "bad_payload")

    def test_a_refused_publish_leaves_the_others_of_its_message(self):
        topic, ws = self.topic(), self.publisher()
        ws.send_text("\n".join(['{"op":"publish","id":%d,"topic":"%s","data":%s}' % (n, topic, data) for n, data in enumerate(["1", "[" * 65 + "]" * 65, '"' + "x" * 65536 + '"', "4"], 1)]))
        self.assertEqual(sorted((m["id"], m["op"], m.get("code"), m.get("seq")) for m in (ws.read() for _ in range(4))),
                         [(1, "published", None, 1), (2, "error", "bad_payload", None), (3, "error", "too_large", None), (4, "published", None, 2)])


class RequestTest(SessionTest):
    """The form of requests: lines, ids, faults."""

    def test_ping_is_answered_with_the_time(self):
        ws = self.ws()
        ws.send_json({"op": "ping", "id": 13})
        pong = ws.read()
        self.assertEqual((pong["op"], pong["id"], set(pong)), ("pong", 13, {"op", "id", "ts"}))
        self.assertLess(abs(pong["ts"] / 1e6 - time.time()), 60)

    def test_ids_come_back_as_they_went(self):
        ws = self.ws()
        for text in ("0", "1", "-1", "7", "9007199254740992", "-9007199254740992", '""', '"a"', '"' + "x" * 64 + '"', '"' + "é" * 32 + '"', r'"\"\\\u0041\n"', '"😀"', '"1"'):
            with self.subTest(text):
                ws.send_text('{"op":"ping","id":%s}' % text)
                pong = ws.read()
                self.assertEqual((pong["op"], pong["id"]), ("pong", json.loads(text)))
                self.assertIs(type(pong["id"]), type(json.loads(text)))

    def test_ids_that_are_none_are_bad_requests_without_id(self):
        ws = self.ws()
        for text in ("1.0", "1e3", "1E0", "0.5", "9007199254740993", "-9007199254740993", "123456789012345678901234567890", '"' + "x" * 65 + '"', '"' + "é" * 33 + '"', "true", "false", "null", "[]", "[1]", "{}", '{"id":1}'):
            with self.subTest(text):
                ws.send_text('{"op":"ping","id":%s}' % text)
                refusal = ws.read()
                self.assertRefusal(refusal, "bad_request")
                self.assertNotIn("id", refusal)

    def test_a_message_holds_a_request_a_line(self):
        ping = '{"op":"ping","id":%d}'
        for text, ids, why in [
            (ping % 1, [1], "one"), (f"{ping % 1}\n{ping % 2}", [1, 2], "two"), (f"{ping % 1}\n{ping % 2}\n", [1, 2], "a line end after the last"), (f"{ping % 1}\r\n{ping % 2}\r\n", [1, 2], "CR LF"), (f"\n\n{ping % 1}\n\n\n{ping % 2}\n\n", [1, 2], "empty lines are ignored"),
            (f"  {ping % 1}  \n\t{ping % 2}\t", [1, 2], "blanks around"), ('{\n"op"\n:\n"ping"\r\n,\n"id":1\n}', [1], "one object over several lines"), ("\n".join(ping % n for n in range(1, 501)), list(range(1, 501)), "500 of them"), ("", [], "an empty message"), ("\n\r\n\n", [], "empty lines alone"),
        ]:
            with self.subTest(why):
                ws = self.ws()
                ws.send_text(text)
                self.assertEqual([ws.read()["id"] for _ in ids], ids)
                self.assertEqual(ws.quiet(), [])

    def test_a_line_that_is_no_json_is_told_with_its_number_and_the_others_are_served(self):
        ping = '{"op":"ping","id":1}'
        for text, expected, why in [
            ("nonsense", [("bad_json", 1)], "alone"), (f"{ping}\nnonsense\n{ping}", ["pong", ("bad_json", 2), "pong"], "in the middle"), (f"{{\n{ping}\n}}", [("bad_json", 1), "pong", ("bad_json", 3)], "around"), (f"{ping}{ping}", [("bad_json", 1)], "two objects in a line"),
            (f"{ping} x", [("bad_json", 1)], "an object and more"), ('{"op":"ping","id":1,}', [("bad_json", 1)], "a comma too many"), ("{'op':'ping'}", [("bad_json", 1)], "single quotation marks"), (ping[:-1], [("bad_json", 1)], "cut short"), (f"\ufeff{ping}", [("bad_json", 1)], "a byte order mark"),
            ('{"op":"ping","id":1,"x":"\x01"}', [("bad_json", 1)], "a control character in a string"), ('{"op":"ping","id":1,"x":"\\q"}', [("bad_json", 1)], "an unknown escape"), ('{"op":"ping","id":1,"x":01}', [("bad_json", 1)], "a leading nought"),
        ]:
            with self.subTest(why):
                ws = self.ws()
                ws.send_text(text)
                came = [ws.read() for _ in expected]
                self.assertEqual([(m["code"], m["line"]) if m["op"] == "error" else m["op"] for m in came], expected)
                self.assertEqual(ws.quiet(), [])

    def test_a_line_that_is_no_object_is_a_bad_request(self):
        ws = self.ws()
        for text in ("[1]", "1", '"x"', "null", "true", "[]", '[{"op":"ping","id":1}]'):
            with self.subTest(text):
                ws.send_text(text)
                self.assertRefusal(ws.read(), "bad_request")
        ws.send_text('[]\n{"op":"ping","id":1}\n2')
        self.assertEqual([ws.read().get("code", "pong") for _ in range(3)], ["bad_request", "pong", "bad_request"])

    def test_an_unknown_op_is_told_with_its_id(self):
        ws = self.ws()
        for op in ("foo", "Ping", "ping ", "", "subscribed", "hello", "p" * 1000):
            with self.subTest(op[:10]):
                self.assertRefusal(ws.ask(op), "unknown_op")
        for text in ('{"id":1}', '{"op":1,"id":1}', '{"op":null,"id":1}', '{"op":["ping"],"id":1}'):
            with self.subTest(text):
                ws.send_text(text)
                refusal = ws.read()
                self.assertRefusal(refusal, "unknown_op", "bad_request")
                self.assertEqual(refusal["id"], 1)

    def test_a_known_member_twice_is_a_bad_request_an_unknown_one_is_not(self):
        ws, topic = self.publisher(), self.topic()
        for text, why in [
            ('{"op":"ping","op":"ping"}', "op"), ('{"op":"ping","id":1,"id":1}', "id"), (r'{"op":"ping","id":1,"\u0069d":2}', "id, once escaped"), (r'{"op":"ping","\u006f\u0070":"ping"}', "op, once escaped"), ('{"op":"subscribe","topics":["%s"],"topics":["%s"]}' % (topic, topic), "topics"),
            ('{"op":"publish","topic":"%s","data":1,"data":2}' % topic, "data"), (r'{"op":"publish","topic":"%s","data":1,"d\u0061ta":2}' % topic, "data, once escaped"), ('{"op":"publish","topic":"%s","topic":"%s","data":1}' % (topic, topic), "topic"),
            ('{"op":"subscribe","topics":["%s"],"mode":"every","mode":"latest"}' % topic, "mode"), ('{"op":"subscribe","topics":["%s"],"resume":{},"resume":{}}' % topic, "resume"), ('{"op":"auth","token":"x","token":"x"}', "token"),
        ]:
            with self.subTest(why):
                ws.send_text(text)
                self.assertRefusal(ws.read(), "bad_request")
        self.assertEqual(self.subscriptions(ws), {})
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 404)
        ws.send_text('{"op":"ping","id":1,"x":1,"x":2,"Op":"publish","ID":7,"x":{"op":1,"op":2}}')
        self.assertEqual((ws.read()["op"], ws.quiet()), ("pong", []))

    def test_malformed_fields_are_bad_requests(self):
        ws, topic = self.publisher(), self.topic()
        for request, codes, why in [
            ({"op": "subscribe"}, ["bad_request"], "no topics"), ({"op": "subscribe", "topics": []}, ["bad_request"], "empty topics"), ({"op": "subscribe", "topics": topic}, ["bad_request"], "topics that are a string"), ({"op": "subscribe", "topics": {topic: 1}}, ["bad_request"], "topics that are an object"),
            ({"op": "subscribe", "topics": None}, ["bad_request"], "topics that are null"), ({"op": "subscribe", "topics": [1]}, ["bad_request", "bad_topic"], "a topic that is a number"), ({"op": "subscribe", "topics": [[topic]]}, ["bad_request", "bad_topic"], "a topic in a list"),
            ({"op": "subscribe", "topics": [topic], "mode": "fast"}, ["bad_request"], "an unknown mode"), ({"op": "subscribe", "topics": [topic], "mode": 1}, ["bad_request"], "a mode that is a number"), ({"op": "subscribe", "topics": [topic], "snapshot": "yes"}, ["bad_request"], "a snapshot that is a string"),
            ({"op": "unsubscribe"}, ["bad_request"], "unsubscribe without topics"), ({"op": "unsubscribe", "topics": []}, ["bad_request"], "unsubscribe with empty topics"), ({"op": "publish", "data": 1}, ["bad_request", "bad_topic"], "publish without topic"),
            ({"op": "publish", "topic": topic}, ["bad_request", "bad_payload"], "publish without data"), ({"op": "publish", "topic": [topic], "data": 1}, ["bad_request", "bad_topic"], "publish to a list"), ({"op": "publish", "topic": topic, "data": 1, "key": "yes"}, ["bad_request"], "a key that is a string"),
            *[({"op": "subscribe", "topics": [topic], "resume": resume}, ["bad_request"], f"resume {resume}") for resume in ([], 1, "x", {topic: 1}, {topic: []}, {topic: {}}, {topic: {"epoch": "k3J9aQ0z"}}, {topic: {"seq": 1}}, {topic: {"epoch": 1, "seq": 1}}, {topic: {"epoch": "k3J9aQ0z", "seq": -1}},
                                                                                              {topic: {"epoch": "k3J9aQ0z", "seq": "1"}}, {topic: {"epoch": "k3J9aQ0z", "seq": 1.5}}, {topic: {"epoch": "k3J9aQ0z", "seq": None}})],
        ]:
            with self.subTest(why):
                ws.send_json({**request, "id": "malformed"})
                refusal = ws.read()
                self.assertRefusal(refusal, *codes)
                self.assertEqual(refusal["id"], "malformed")
        self.assertEqual(self.subscriptions(ws), {})
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 404)

    def test_a_request_may_be_nested_70_deep(self):
        ws = self.publisher()
        for levels, code in [(60, None), (69, None), (71, "bad_request"), (100, "bad_request"), (100000, "bad_request")]:
            for opened, closed in ("[]", ("{\"a\":", "}")):
                with self.subTest(levels=levels, opened=opened):
                    ws.send_text('{"op":"ping","id":1,"x":%s1%s}' % (opened * levels, closed * levels))
                    answer = ws.read()
                    self.assertRefusal(answer, code) if code else self.assertEqual(answer["op"], "pong", answer)
        ws.send_text('{"op":"publish","id":1,"topic":"deep","data":%s1%s}' % ("[" * 5000, "]" * 5000))
        self.assertRefusal(ws.read(), "bad_payload", "bad_request")

    def test_a_message_may_have_1_mib_and_not_a_byte_more(self):
        ws = self.ws()
        ping = '{"op":"ping","id":1,"x":"%s"}'
        ws.send_text(ping % ("x" * ((1 << 20) - len(ping) + 2)))
        self.assertEqual(ws.read()["op"], "pong")
        for bad, why in [(frame(TEXT, b"", length=(1 << 20) + 1), "by the header alone"), (frame(TEXT, b"x" * (1 << 20), fin=False) + frame(CONTINUATION, b"x"), "by its last fragment"), (frame(TEXT, b"", length=(1 << 63) - 1), "by far")]:
            with self.subTest(why):
                ws = self.ws()
                ws.send_as_far_as_taken(bad)
                ws.expect_close(1009)
        self.assertServing()

    def test_a_binary_message_is_closed_1003(self):
        for bad in (frame(BINARY, b'{"op":"ping","id":1}'), frame(BINARY), frame(BINARY, b"x", fin=False)):
            with self.subTest(bad):
                ws = self.ws()
                ws.send_as_far_as_taken(bad)
                self.assertEqual([m for m in ws.expect_close(1003) if m.get("op") == "pong"], [])

    def test_a_request_may_come_in_fragments_with_a_ping_between(self):
        ws = self.ws()
        text = '{"op":"ping","id":"é😀"}'.encode()
        for at, byte in enumerate(text):
            ws.send_frame(CONTINUATION if at else TEXT, bytes([byte]), fin=at == len(text) - 1)
            if at == 10:
                ws.send_frame(PING, b"between")
        self.assertEqual(ws.read()["id"], "é😀")
        ws.expect_pong(b"between")

    def test_faults_of_frames_and_text_are_closed_here_as_on_echo(self):
        for bad, code, why in [(frame(TEXT, b"{}", mask=None), 1002, "unmasked"), (frame(TEXT, b"{}", rsv=4), 1002, "a reserved bit"), (frame(3), 1002, "opcode 3"), (frame(TEXT, b"\xff"), 1007, "not UTF-8"), (frame(TEXT, b'"\xed\xa0\x80"'), 1007, "a surrogate"), (frame(CLOSE, b"\x00"), 1002, "a close of 1 byte")]:
            with self.subTest(why):
                ws = self.ws()
                ws.send_as_far_as_taken(bad)
                ws.expect_close(code)

    def test_a_client_may_leave_by_the_closing_handshake(self):
        for code in (1000, 1001, 3000, 4999):
            ws = self.ws("/v1/ws?topics=leaving")
            self.assertEqual(ws.read()["op"], "subscribed")
            ws.send_frame(CLOSE, close_payload(code, b"bye"))
            ws.expect_close(code, reason=False)


class FloodTest(SessionTest):
    flags = ("--limits.requests-per-second", "0")

    def test_requests_sent_without_reading_are_all_answered_in_the_end(self):
        ws, count = self.ws(), 50000
        requests = memoryview(b"".join(frame(TEXT, b'{"op":"ping","id":%d}' % n) for n in range(count)))
        sent = 0
        ws.socket.setblocking(False)
        while sent < len(requests) and select.select([], [ws.socket], [], 0.2)[1]:  # until the gateway takes no more
            sent += ws.socket.send(requests[sent:])
        rest = threading.Thread(target=ws.send, args=(requests[sent:],))
        rest.start()
        try:
            ids = [ws.read()["id"] for _ in range(count)]
        finally:
            rest.join()
        self.assertEqual(sorted(ids), list(range(count)))


class ResumeTest(SessionTest):
    def numbered(self, count):
        """A topic with that many updates, and its epoch."""
        topic = self.topic()
        self.gateway.publish_many((topic, str(n)) for n in range(1, count + 1))
        return topic, self.fetch("GET", path_of(topic)).json()["epoch"]

    def test_every_resumed_gets_all_after_its_seq_and_no_snapshot(self):
        topic, epoch = self.numbered(9)
        for seq in range(0, 10):
            with self.subTest(seq=seq):
                ws = self.ws()
                ws.send_json({"op": "subscribe", "id": 8, "topics": [topic], "mode": "every", "resume": {topic: {"epoch": epoch, "seq": seq}}})
                head = self.fetch("GET", path_of(topic)).json()["seq"]
                self.assertEqual(dict(ws.read()), {"op": "subscribed", "id": 8, "topics": [{"topic": topic, "epoch": epoch, "seq": head, "resumed": True}]})
                self.publish(topic)
                self.assertNextUpdates(ws, topic, range(seq + 1, head + 2))
                self.assertEqual(ws.quiet(), [])

    def test_latest_resumed_gets_the_newest_if_it_is_newer(self):
        topic, epoch = self.numbered(9)
        for seq, first in ((8, 9), (3, 9), (0, 9), (9, None)):
            with self.subTest(seq=seq):
                ws = self.ws()
                acked = self.subscribe(ws, topic, resume={topic: {"epoch": epoch, "seq": seq}})
                self.assertEqual(acked[topic], {"topic": topic, "epoch": epoch, "seq": 9, "resumed": True})
                self.assertEqual([m["seq"] for m in ws.quiet()], [first] if first else [])

    def test_another_epoch_or_a_seq_beyond_the_head_begins_afresh(self):
        topic, epoch = self.numbered(5)
        other = "A" * 8 if epoch != "A" * 8 else "B" * 8
        for resume, why in [({"epoch": other, "seq": 3}, "another epoch"), ({"epoch": other, "seq": 5}, "another epoch at the head"), ({"epoch": epoch, "seq": 6}, "one beyond the head"), ({"epoch": epoch, "seq": 2 ** 53}, "far beyond the head"), ({"epoch": epoch.swapcase(), "seq": 3}, "letters in another case")]:
            for mode in ("every", "latest"):
                for snapshot in (True, False):
                    with self.subTest(why, mode=mode, snapshot=snapshot):
                        if resume["epoch"] == epoch.swapcase() == epoch:
                            continue
                        ws = self.ws()
                        acked = self.subscribe(ws, topic, mode=mode, snapshot=snapshot, resume={topic: resume})
                        self.assertEqual(acked[topic], {"topic": topic, "epoch": epoch, "seq": 5, "resumed": False})
                        self.assertEqual([m["seq"] for m in ws.quiet()], [5] if snapshot else [])

    def test_resuming_an_unborn_topic_begins_afresh(self):
        topic, ws = self.topic(), self.ws()
        acked = self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": "k3J9aQ0z", "seq": 3}})
        self.assertEqual((acked[topic]["seq"], "epoch" in acked[topic], acked[topic].get("resumed", False)), (0, False, False))
        self.publish(topic)
        self.assertEqual(ws.read()["op"], "topic")
        self.assertUpdate(ws.read(), topic, 1)

    def test_a_resume_for_what_is_not_asked_for_is_ignored(self):
        topic, epoch = self.numbered(5)
        ws, other = self.ws(), self.topic()
        acked = self.subscribe(ws, topic, mode="every", resume={other: {"epoch": epoch, "seq": 1}, topic: {"epoch": epoch, "seq": 4}})
        self.assertEqual(acked, {topic: {"topic": topic, "epoch": epoch, "seq": 5, "resumed": True}})
        self.assertNextUpdates(ws, topic, [5])
        self.assertEqual(ws.quiet(), [])

    def test_what_is_not_resumed_in_the_same_request_begins_afresh(self):
        (a, epoch), (b, _) = self.numbered(5), self.numbered(3)
        ws = self.ws()
        acked = self.subscribe(ws, a, b, mode="every", resume={a: {"epoch": epoch, "seq": 3}})
        self.assertEqual((acked[a].get("resumed"), acked[b].get("resumed", False)), (True, False))
        came = ws.quiet()
        self.assertEqual([m["seq"] for m in came if m["topic"] == a], [4, 5])
        self.assertEqual([m["seq"] for m in came if m["topic"] == b], [3])

    def test_a_client_that_leaves_and_resumes_again_and_again_gets_each_update_once(self):
        topic, epoch = self.numbered(1)
        got = [1]
        for turn in range(40):
            self.gateway.publish_many((topic, "1") for _ in range(7))
            ws = self.ws()
            self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": got[-1]}})
            for _ in range(turn % 9):
                got.append(ws.read()["seq"])
            ws.reset() if turn % 2 else ws.close()
        ws = self.ws()
        self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": got[-1]}})
        while got[-1] < 281:
            got.append(ws.read()["seq"])
        self.assertEqual(got, list(range(1, 282)))


class OutrunTest(SessionTest):
    flags = ("--topics.window", "50", "--topics.window-bytes", "65536")
    PAYLOAD = '"' + "x" * 1000 + '"'

    def outrun(self, count=4000, key_every=None):
        """A topic whose window holds only the end of what was published."""
        topic = self.topic()
        self.gateway.publish_many((topic, self.PAYLOAD, bool(key_every) and n % key_every == 1) for n in range(1, count + 1))
        epoch = self.fetch("GET", path_of(topic)).json()["epoch"]
        return topic, epoch, self.gateway.oldest(topic)

    def test_the_window_is_bounded_and_ends_on_the_newest(self):
        topic, _, oldest = self.outrun()
        seqs = [u["seq"] for u in self.gateway.history(topic)]
        self.assertGreater(oldest, 1, "4 MB are not held in a window of 64 KiB")
        self.assertLessEqual(oldest, 3951, "at least 50")
        self.assertEqual(seqs, list(range(oldest, oldest + len(seqs))))

    def test_every_resumed_outside_the_window_gets_a_gap_with_exact_numbers(self):
        topic, epoch, oldest = self.outrun()
        for seq in (0, 1, 17, oldest - 3, oldest - 2):
            with self.subTest(seq=seq):
                ws = self.ws()
                self.assertTrue(self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": seq}})[topic]["resumed"])
                self.assertGap(ws.read(), topic, seq + 1, oldest - 1)
                self.assertNextUpdates(ws, topic, range(oldest, 4001))
                self.assertEqual(ws.quiet(), [])

    def test_every_resumed_at_the_edge_of_the_window_gets_no_gap(self):
        topic, epoch, oldest = self.outrun()
        ws = self.ws()
        self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": oldest - 1}})
        self.assertNextUpdates(ws, topic, range(oldest, 4001))

    def test_latest_resumed_outside_the_window_jumps_without_a_gap(self):
        topic, epoch, _ = self.outrun()
        ws = self.ws()
        self.assertTrue(self.subscribe(ws, topic, resume={topic: {"epoch": epoch, "seq": 1}})[topic]["resumed"])
        self.assertUpdate(ws.read(), topic, 4000)
        self.assertEqual(ws.quiet(), [])

    def test_the_window_always_holds_the_newest_update(self):
        topic = self.topic()
        for n in (1, 2, 3):
            self.publish(topic, '"' + "%d" % n * 65000 + '"')
        self.assertEqual(self.gateway.history(topic)[-1]["seq"], 3)
        ws = self.ws()
        self.subscribe(ws, topic, mode="every")
        self.assertUpdate(ws.read(), topic, 3)

    def test_the_window_keeps_the_last_key_and_all_after_it_beyond_its_count(self):
        topic = self.topic()
        self.gateway.publish_many([(topic, "1"), (topic, "2", True)] + [(topic, str(n)) for n in range(3, 201)])
        ws = self.ws()
        self.assertEqual(self.subscribe(ws, topic, mode="every")[topic]["seq"], 200)
        self.assertNextUpdates(ws, topic, range(2, 201))
        self.assertEqual(ws.quiet(), [])

    def test_a_snapshot_whose_key_has_left_the_window_is_preceded_by_a_gap(self):
        topic, _, oldest = self.outrun(key_every=5000)
        self.assertGreater(oldest, 1)
        for mode in ("every", "latest"):
            with self.subTest(mode=mode):
                ws = self.ws()
                self.assertEqual(self.subscribe(ws, topic, mode=mode)[topic]["seq"], 4000)
                self.assertGap(ws.read(), topic, 1, oldest - 1)
                self.assertNextUpdates(ws, topic, range(oldest, 4001))
                self.assertEqual(ws.quiet(), [])

    def test_every_outrun_on_a_keyed_topic_goes_on_from_the_oldest_key(self):
        topic, epoch, oldest = self.outrun(key_every=10)
        oldest_key = oldest + (1 - oldest) % 10
        ws = self.ws()
        self.assertTrue(self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": 5}})[topic]["resumed"])
        self.assertGap(ws.read(), topic, 6, oldest_key - 1)
        self.assertNextUpdates(ws, topic, range(oldest_key, 4001))


class KeyTest(SessionTest):
    def test_a_snapshot_is_the_range_from_the_last_key_to_the_head(self):
        for marks, first, why in [("k", 1, "a key"), ("kd", 1, "a key and a delta"), ("kddkd", 4, "a second key"), ("kddk", 4, "a key at the head"), ("ddd", 3, "no mark: each is key"), ("ddk", 3, "the first mark at the head"), ("ddkd", 3, "the first mark, then a delta"), ("kk", 2, "two keys")]:
            for mode in ("every", "latest"):
                with self.subTest(why, mode=mode):
                    topic = self.topic()
                    self.gateway.publish_many((topic, str(n), mark == "k") for n, mark in enumerate(marks, 1))
                    ws = self.ws()
                    self.assertEqual(self.subscribe(ws, topic, mode=mode)[topic]["seq"], len(marks))
                    self.assertNextUpdates(ws, topic, range(first, len(marks) + 1))
                    self.publish(topic)
                    self.assertNextUpdates(ws, topic, [len(marks) + 1])
                    self.assertEqual(ws.quiet(), [])

    def test_a_publisher_on_the_socket_may_mark_keys_too(self):
        topic, publisher, ws = self.topic(), self.publisher(), self.ws()
        for key in (False, True, False):
            self.assertEqual(publisher.ask("publish", topic=topic, data=1, key=key)["op"], "published")
        self.publish(topic)
        self.subscribe(ws, topic, mode="every")
        self.assertNextUpdates(ws, topic, [2, 3, 4])

    def test_without_snapshot_only_what_is_new_comes(self):
        for mode in ("every", "latest"):
            with self.subTest(mode=mode):
                topic, ws = self.topic(), self.ws()
                self.publish(topic, 1, key=True)
                self.publish(topic, 2)
                self.subscribe(ws, topic, mode=mode, snapshot=False)
                self.assertEqual(ws.quiet(), [])
                self.publish(topic, 3)
                self.assertUpdate(ws.read(), topic, 3)

    def test_latest_that_keeps_up_gets_every_delta(self):
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 1, key=True)
        self.subscribe(ws, topic)
        for n in range(2, 40):
            self.publish(topic, n)
        self.assertNextUpdates(ws, topic, range(1, 40))

    def test_every_gets_keys_and_deltas_alike(self):
        topic, ws = self.topic(), self.ws()
        self.subscribe(ws, topic, mode="every")
        self.gateway.publish_many((topic, str(n), n % 7 == 0) for n in range(1, 101))
        self.assertEqual(ws.read()["op"], "topic")
        self.assertNextUpdates(ws, topic, range(1, 101))

    def test_resuming_goes_on_from_the_seq_not_from_the_key(self):
        topic = self.topic()
        self.gateway.publish_many((topic, str(n), n == 3) for n in range(1, 9))
        epoch = self.fetch("GET", path_of(topic)).json()["epoch"]
        for seq in (1, 3, 5, 8):
            with self.subTest(seq=seq):
                ws = self.ws()
                self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": seq}})
                self.assertEqual([m["seq"] for m in ws.quiet()], list(range(seq + 1, 9)))

    def test_newest_and_history_know_no_keys(self):
        topic = self.topic()
        self.gateway.publish_many((topic, str(n), n == 2) for n in range(1, 6))
        self.assertEqual(self.fetch("GET", path_of(topic)).json()["seq"], 5)
        self.assertEqual([u["seq"] for u in self.gateway.history(topic)], [1, 2, 3, 4, 5])


class LivenessTest(SessionTest):
    flags = ("--heartbeat-ms", "1000")

    def test_the_setting_is_the_default(self):
        self.assertEqual(self.ws(hello=False).read()["heartbeat_ms"], 1000)

    def test_heartbeats_pings_and_the_end_of_a_client_that_shows_no_life(self):
        """Both clients at once, since what they wait for is time: one answers pings, the other is silent."""
        began = time.monotonic()  # before the gateway's own time begins
        silent, alive = self.ws(), self.ws()
        record = {}

        def watch():
            silent.answers_pings = False
            came = []
            try:
                while True:
                    came.append((silent.read(), time.monotonic() - began))
            except Closed as closed:
                record.update(came=came, closed=closed, after=time.monotonic() - began)
            except BaseException as error:  # told by the main thread
                record.update(error=error)

        thread = threading.Thread(target=watch)
        thread.start()
        beats = [(alive.read(), time.monotonic() - began) for _ in range(4)]
        thread.join()
        self.assertNotIn("error", record)
        for beat, _ in beats:
            self.assertEqual((beat["op"], set(beat)), ("heartbeat", {"op", "ts"}))
        self.assertGreater(beats[0][1], 0.8, "not before heartbeat_ms of silence")
        self.assertGreater(beats[3][1], 3.5)
        self.assertTrue(alive.pings, "the gateway pings when nothing was received")
        self.assertEqual(alive.ask("ping")["op"], "pong", "whoever answers pings stays")
        self.assertEqual(record["closed"].code, 4408)
        self.assertTrue(record["closed"].reason)
        self.assertTrue(silent.pings, "it was pinged before")
        self.assertGreater(record["after"], 1.8, "not before twice heartbeat_ms")
        self.assertEqual(record["came"][-1][0]["op"], "closing")
        self.assertEqual([m["op"] for m, _ in record["came"][:-1]], ["heartbeat"] * (len(record["came"]) - 1))

    def test_updates_keep_heartbeats_away_and_any_frame_is_a_sign_of_life(self):
        topic, ws = self.topic(), self.ws()
        ws.answers_pings = False
        self.subscribe(ws, topic, mode="every")
        until = time.monotonic() + 3.2
        count, before = 0, time.monotonic()
        while (now := time.monotonic()) < until:
            self.publish(topic)
            count += 1
            while not (message := ws.read()).is_update:
                if message["op"] != "heartbeat" or time.monotonic() - before < 1:  # else the machine held the feed up
                    self.assertEqual(message["op"], "topic", "no heartbeat where updates flow")
            before = now
            ws.send_frame(PONG)  # unasked for, and a sign of life all the same
            threading.Event().wait(0.1)  # the pace of the feed, nothing is awaited here
        self.assertEqual(self.subscriptions(ws)[topic]["seq"], count)


class DrainTest(unittest.TestCase):
    def closing(self, ws):
        """Reads up to the close frame of a drain."""
        came = []
        with self.assertRaises(Closed) as closed:
            while True:
                came.append(ws.read())
        self.assertEqual(closed.exception.code, 1001)
        self.assertTrue(closed.exception.reason)
        self.assertEqual((came[-1]["op"], came[-1]["reason"]), ("closing", "shutdown"))
        self.assertIs(type(came[-1]["reconnect_ms"]), int)
        self.assertGreaterEqual(came[-1]["reconnect_ms"], 0)

    def test_a_drain_says_so_to_everybody_and_ends(self):
        with Gateway("--deadline.close-ms", "8000", "--deadline.head-ms", "8000") as gateway, Ws(gateway.port, "/v1/ws?topics=drained&mode=every") as first, Ws(gateway.port) as second:
            gateway.publish("drained")
            self.assertEqual(first.read()["op"], "hello")
            self.assertEqual(gateway.fetch("GET", "/readyz").status, 200)
            gateway.signal(signal.SIGTERM)
            self.closing(first)
            self.closing(second)
            second.send_frame(CLOSE, close_payload(1001))
            second.expect_end()
            # the first has not answered its close yet: the drain goes on, and so does HTTP
            ready = gateway.fetch("GET", "/readyz")
            self.assertEqual(ready.status, 503)
            gateway.publish("drained")
            self.assertEqual(gateway.fetch("GET", "/v1/topics/drained").json()["seq"], 2)
            with Http(gateway.port) as http:
                refused = http.send(handshake(gateway.port)).response()
            self.assertEqual(refused.status, 503)
            self.assertEqual(refused.code, "shutting_down")
            self.assertIsNotNone(refused.header("Retry-After"))
            first.send_frame(CLOSE, close_payload(1001))
            first.expect_end()
            gateway.wait(8)

    def test_clients_that_do_not_answer_do_not_hold_up_a_drain(self):
        gateway = Gateway("--deadline.close-ms", "300").start()
        with Ws(gateway.port) as ws:
            self.assertEqual(ws.read()["op"], "hello")
            gateway.signal(signal.SIGTERM)
            gateway.wait(15)

    def test_sigint_drains_too(self):
        gateway = Gateway().start()
        with Ws(gateway.port) as ws:
            self.assertEqual(ws.read()["op"], "hello")
            gateway.signal(signal.SIGINT)
            self.closing(ws)
            ws.send_frame(CLOSE, close_payload(1001))
            gateway.wait()

    def test_the_next_life_of_a_gateway_has_other_epochs(self):
        epochs = []
        for _ in range(2):
            with Gateway() as gateway:
                epochs.append(gateway.publish("again")["epoch"])
                with Ws(gateway.port) as ws:
                    self.assertEqual(ws.read()["op"], "hello")
                    ack = ws.ask("subscribe", topics=["again"], mode="every", resume={"again": {"epoch": epochs[0], "seq": 1}})
                    self.assertEqual(ack["topics"], [{"topic": "again", "epoch": epochs[-1], "seq": 1, "resumed": len(epochs) == 1}])
                    self.assertEqual([m["seq"] for m in ws.quiet()], [1] if len(epochs) == 2 else [])
        self.assertNotEqual(*epochs)


if __name__ == "__main__":
    unittest.main()
