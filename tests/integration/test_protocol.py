"""PROTOCOL.md held to the letter on /v1/ws, on one shard and on three. This is the index of the contract: each sentence of it that can be
observed and the test that holds the program to it; `:` alone stands for this file. /v1/stream and plain HTTP: test_protocol_http.py.
test_protocol_model.py walks through all of "Acknowledged", "Resuming" and "Again" at random.

Topics and updates
  A topic is 1 to 128 bytes of UTF-8 …                    :Topics.test_a_topic_is_1_to_128_bytes_…, test_session PublishTest.test_every_good_name…, …_bad_name…
  `/` is percent-encoded in paths; `+` … stands for itself :Topics.test_plus_in_a_query…, test_protocol_http Reading.test_the_path_of_a_topic…
  Names beginning with `$` … can't be published to        :Topics.test_names_beginning_with_dollar…
  A subscription may use a pattern: …                     :Topics.test_a_subscription_may_use_a_pattern…, …_keeps_to_the_grammar…, test_patterns PatternTest.test_what_a_pattern_covers…
  It follows topics that appear later                     test_patterns PatternTest.test_a_topic_born_later…, test_shards test_patterns_cover_topics_of_all_shards…
  An update's payload is one JSON value …                 :Topics.test_a_payload_is_…, test_http PublishingTest.test_a_payload_that_is_no_json…, …_is_passed_on_byte_for_byte
  White space around it is not part of it                 :Topics.test_a_payload_is_one_json_value…, …test_at_most_limits_payload…
  The gateway gives each update the next `seq` and a `ts`  :Topics.test_seq_ts_and_epoch…, test_session SubscribeTest.test_stamps_never_decrease…
  The topic's `epoch` changes when its numbering starts again  :Acknowledged.test_op_topic_comes_when…, test_session DrainTest.test_the_next_life…
  From a topic's first marked update on …                 :Keys.test_from_the_first_marked…, …test_unmarked_ones_of_that_epoch…
  the window keeps the last key and all after it          :Keys.test_the_window_keeps…, test_session OutrunTest.test_the_window_keeps…
  a snapshot is the range from the last key to the head   :Keys.test_a_snapshot_is_the_range…, test_session KeyTest
  a `latest` subscriber that fell behind goes on from …   :Keys.test_a_latest_subscriber…, test_slow test_a_slow_latest_subscriber_of_a_keyed_topic…
  an `every` one that was outrun goes on … oldest key     :Keys.test_an_every_one_that_was_outrun…
  A snapshot whose key has left the window … `gap`        :Keys.test_a_snapshot_whose_key_has_left…, …test_who_resumes_within_the_deltas…
  On topics without marks each update is key              :Keys.test_on_topics_without_marks…
  The window … holds at least its newest `topics.window`   test_http ReadingTest.test_a_window_holds…, test_session OutrunTest

The WebSocket protocol
  RFC 6455 in full                                        test_frames, test_handshake
  Offered in Sec-WebSocket-Protocol it is chosen …        test_handshake test_the_subprotocol_is_chosen…
  hello … the one in force for this connection            :Wire.test_hello_tells…, test_session HelloTest
  A message that is one JSON object as a whole …          :Requests.test_a_message_that_is_one_json_object…
  A line that is not JSON gets `bad_json` with `line` …   the same, test_session RequestTest.test_a_line_that_is_no_json…, test_bad_input
  `id` is an integer within ±2^53 …                       :Requests.test_id_is_an_integer…
  without it a success is not acknowledged, an error is   :Requests.test_without_id…
  A known key twice …, unknown keys are ignored           :Requests.test_a_known_key_twice…, …test_values_are_compared_after_unescaping…
  A binary message closes 1003. A message is at most …    :Requests.test_a_binary_message…, test_session RequestTest.test_a_message_may_have_1_mib…
  a payload over `limits.payload` … `too_large`           :Requests.test_a_payload_over_limits_payload…
  Requests take effect in order for each topic; …         :Requests.test_requests_take_effect…, …test_what_one_connection_publishes…, …test_auth_is_in_force…
  a reply precedes the effects; `published` before own    :Requests.test_a_reply_precedes…, test_shards test_a_publisher_gets_its_acks…
  after `unsubscribed` no update of that subscription     the same, test_session SubscribeTest.test_the_ack_is_exact_while_the_topic_moves
  One bad, forbidden or excess topic refuses the whole    :Requests.test_one_bad_forbidden_or_excess…, :Limits
  Unsubscribing what is not subscribed …                  :Requests.test_unsubscribing_what_is_not_subscribed…
  An error carries the `id` wherever one could be read    :Requests.test_a_message_that_is_one_json_object…, …test_a_known_key_twice…
  Rights are judged before the topic, …                   :Requests.test_rights_are_judged…
  A payload that is no JSON or too deep … 70, `resume` …  :Requests.test_a_request_nested_deeper_than_70…, :Topics.test_a_payload_is_valid_utf8…
  a repeated topic counts once                            :Acknowledged.test_subscriptions_from_the_query…, test_session SubscribeTest.test_a_repeated_topic…
  `latest` sends each topic's newest … skips …            test_slow, test_max_hz
  `every` sends all that the window holds, and a `gap`    test_session OutrunTest, test_slow
  `max_hz` …                                              :Modes.test_max_hz_…, :Keys.test_with_keys_max_hz…, test_max_hz
  `snapshot` …; The ack's `seq` is the newest …           :Modes.test_the_acks_seq…, test_session SubscribeTest.test_the_ack_is_exact…, test_shards test_acks_are_exact…
  list                                                    :Modes.test_list_tells_all…
Acknowledged, Resuming, Again and overlapping             :Acknowledged, :Resuming, :Again, test_protocol_model, test_resume
Formats                                                   :Wire.test_array_and_batch…, …test_raw_is…, test_formats, test_batch
Liveness                                                  :Wire.test_hello_tells…, test_session LivenessTest
Errors
  Faults of the query are answered after a good handshake :Wire.test_faults_of_the_query…, test_session HelloTest
  a reason in plain words always stands with it           :Wire.test_closes_that_the_gateway_begins…, …test_the_reason_of_a_close…, test_frames
  `closing` before 1001 1008 1011 1013 or 4xxx            :Wire.test_closes_that…, …test_faults_of_the_query…, :Requests.test_a_binary_message…
Drain                                                     :Drain, test_session DrainTest, test_stream
Who may do what
  publishing needs a right, always                        test_session PublishTest.test_without_a_credential…, test_http PublishingTest
  Where it goes; a wrong one …                            :Wire.test_a_wrong_token…, test_protocol_http Reading.test_token_in_the_query…, test_session PublishTest
  Without any key configured …                            test_protocol_http FullTest, test_http WithoutKeyTest
  Browsers: the handshake's Origin …                      test_handshake, test_origins
"""
import json
import signal
import time
import unittest
from urllib.parse import quote

from client import BINARY, CLOSE, TEXT, Closed, Ws, close_payload, frame, path_of
from contract import on_one_shard_and_three
from gateway import API_KEY, KEY, Gateway

FORBIDDEN = [*range(0x21), 0x7F, *range(0x80, 0xA1), 0x2028, 0x2029, *map(ord, ',*>"\\')]
NEIGHBOURS = [0x21, 0x7E, 0xA1, 0x2027, 0x202A, 0x3000, 0xFEFF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF, *map(ord, "$/+-_:;<=?@[]^`{|}~#%&'()")]


@on_one_shard_and_three
class Topics:
    """Topics and updates."""
    flags = ()

    def test_a_topic_is_1_to_128_bytes_each_forbidden_character_wherever_it_stands(self):
        publisher = self.publisher()
        for code in FORBIDDEN:
            for name in (f"{chr(code)}ab", f"a{chr(code)}b", f"ab{chr(code)}", chr(code)):
                with self.subTest(hex(code), name=name):
                    self.assertRefusal(publisher.ask("publish", topic=name, data=1), "bad_topic")
                    self.assertError(self.fetch("POST", path_of(name), [API_KEY], b"1"), 400, "bad_topic")
                    if name not in ("*", ">"):
                        self.assertRefusal(publisher.ask("subscribe", topics=[name]), "bad_topic")

    def test_a_topic_is_1_to_128_bytes_and_what_is_not_forbidden_is_allowed(self):
        publisher = self.publisher()
        for code in NEIGHBOURS:
            for name in (f"a{chr(code)}b.{code}", f"{code}.{chr(code)}"):
                with self.subTest(hex(code), name=name):
                    self.assertEqual(publisher.ask("publish", topic=name, data=code)["topic"], name)
                    got = self.fetch("GET", path_of(name)).json()
                    self.assertEqual((got["topic"], got["data"]), (name, code))
        for name, fits in (("x" * 128, True), ("x" * 129, False), ("é" * 64, True), ("é" * 64 + "x", False), ("€" * 42 + "xx", True), ("€" * 43, False), ("𝄞" * 32, True), (".".join("a" * 64) + "a", True), ("", False)):
            with self.subTest(bytes=len(name.encode())):
                answer = publisher.ask("publish", topic=name, data=1)
                self.assertEqual(answer["op"], "published") if fits else self.assertRefusal(answer, "bad_topic")

    def test_a_topic_that_is_not_utf8_is_none(self):
        for spelled in ("%ff", "a%c3", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "a%80"):
            with self.subTest(spelled):
                self.assertError(self.fetch("POST", f"/v1/topics/{spelled}", [API_KEY], b"1"), 400, "bad_topic")
                self.assertError(self.fetch("GET", f"/v1/last?topics={spelled}"), 400, "bad_topic")

    def test_plus_in_a_query_stands_for_itself_and_so_in_a_path(self):
        base = self.topic("a+b")
        for spelled in (base, base.replace("+", "%2B")):
            self.assertEqual(self.fetch("POST", f"/v1/topics/{spelled}", [API_KEY], b"1").json()["topic"], base)
        ws = self.ws(f"/v1/ws?topics={base},%24x,{base}%2Cc+d")  # a comma is none of a name's characters, however it is spelled
        self.assertEqual([entry["topic"] for entry in ws.read()["topics"]], [base, "$x", "c+d"])
        self.assertEqual(self.fetch("GET", f"/v1/topics?prefix={base}").json(), {"topics": [base]})

    def test_names_beginning_with_dollar_cannot_be_published_to_but_the_sign_may_stand_elsewhere(self):
        publisher = self.publisher()
        for name, fits in (("$sys", False), ("$", False), ("$a.b", False), ("$$", False), ("a$", True), ("a.$", True), ("a.$sys.x", True)):
            with self.subTest(name):
                answer = publisher.ask("publish", topic=name, data=1)
                self.assertEqual(answer["op"], "published") if fits else self.assertRefusal(answer, "bad_topic")
                response = self.fetch("POST", path_of(name), [API_KEY], b"1")
                self.assertEqual(response.status, 200) if fits else self.assertError(response, 400, "bad_topic")

    def test_a_subscription_may_use_a_pattern_alone_as_its_only_token_too(self):
        (topic, *_), base = self.several("root", 1)
        deep, one = f"{topic}.x.y", f"{base}-one"
        rest, star, second = self.ws(), self.ws(), self.ws()
        self.subscribe(rest, ">", mode="every", snapshot=False)
        self.subscribe(star, "*", mode="every", snapshot=False)
        self.subscribe(second, "*.>", mode="every", snapshot=False)
        for name in (deep, one):
            self.publish(name)
        for ws, names in ((rest, {deep, one}), (star, {one}), (second, {deep})):
            came = []  # of topics of other tests too: those are told, and nothing more
            while sum(m.is_update for m in came) < len(names):
                came.append(ws.read())
            for name in names:
                self.assertEqual([m.get("op", "update") for m in came if m["topic"] == name], ["topic", "update"])
            self.assertNothing(ws)

    def test_a_pattern_keeps_to_the_grammar_of_names(self):
        ws = self.ws()
        for pattern, fits in (("a" * 126 + ".*", True), ("a" * 127 + ".*", False), ("*.*.*", True), ("a.*.b.>", True), ("a.>.b", False), ("*a", False), ("a*.b", False), ("a.b>", False), ("a..*", False), (".>", False), ("a b.*", False), ("a.*,b", False), (">.", False), ("é.*", True), ("$sysx.*", True)):
            with self.subTest(pattern):
                answer = ws.ask("subscribe", topics=[pattern])
                self.assertEqual(answer["topics"], [{"topic": pattern}]) if fits else self.assertRefusal(answer, "bad_topic")
                answer = ws.ask("unsubscribe", topics=[pattern])
                self.assertEqual(answer["topics"], [pattern]) if fits else self.assertRefusal(answer, "bad_topic")

    def test_a_payload_is_one_json_value_and_white_space_around_it_is_not_part_of_it(self):
        publisher, reader, topic = self.publisher(), self.ws(), self.topic()
        self.subscribe(reader, topic, mode="every")
        bodies = [("\t\n\r 7 \r\n\t", "7"), ("[\r\n1\r,\n2\n]", "[  1 , 2 ]"), ('{"a"\n:\r"\\n\\r"}', '{"a" : "\\n\\r"}'), (' "  a  " ', '"  a  "'), ("-0.0e-0", "-0.0e-0"), ('"\\uD800\\u0000"', '"\\uD800\\u0000"'), ('{"a":1,"a":2,"":3}', '{"a":1,"a":2,"":3}'), ("{\n}", "{ }"), ("[\r]", "[ ]")]
        for seq, (body, passed_on) in enumerate(bodies * 2, 1):
            with self.subTest(body=body, seq=seq):
                if seq <= len(bodies):
                    publisher.send_text('{"op":"publish","id":1,"topic":"%s","data":%s}' % (topic, body))
                    self.assertEqual(publisher.read()["seq"], seq)
                else:
                    self.assertEqual(self.publish(topic, body)["seq"], seq)
                if seq == 1:
                    self.assertEqual(reader.read()["op"], "topic")
                self.assertUpdate(reader.read(), topic, seq, passed_on)

    def test_a_payload_is_valid_utf8_without_a_byte_order_mark_and_at_most_64_levels_on_every_way_in(self):
        publisher, topic = self.publisher(), self.topic()
        mixed = lambda levels: '{"a":[' * (levels // 2) + "[" * (levels % 2) + "]" * (levels % 2) + "]}" * (levels // 2)
        for data, code in (("[" * 64 + "]" * 64, None), ("[" * 65 + "]" * 65, "bad_payload"), (mixed(64), None), (mixed(65), "bad_payload"), ('{"a":' * 64 + "{}" + "}" * 64, "bad_payload"), ('["' + "[" * 99 + '"]', None), ("[" + "[],{}," * 99 + "1]", None)):
            with self.subTest(data=data[:20], levels=len(data)):
                publisher.send_text('{"op":"publish","id":1,"topic":"%s","data":%s}' % (topic, data))
                self.assertEqual(publisher.read().get("code"), code)
                answer = self.fetch("POST", path_of(topic), [API_KEY], data.encode())
                self.assertEqual(answer.status, 400 if code else 200)
                line = self.fetch("POST", "/v1/publish", [API_KEY], b'{"topic":"%s","data":%s}' % (topic.encode(), data.encode())).json()
                self.assertEqual([error["code"] for error in line["errors"]], [code] if code else [])

    def test_at_most_limits_payload_without_the_white_space_around_it(self):
        publisher, topic = self.publisher(), self.topic()
        for size, code in ((65536, None), (65537, "too_large")):
            data = '"' + "x" * (size - 2) + '"'
            for around in ("", "  \t "):
                with self.subTest(size=size, around=around):
                    publisher.send_text('{"op":"publish","id":1,"topic":"%s","data":%s%s%s}' % (topic, around, data, around))
                    self.assertEqual(publisher.read().get("code"), code)
                    self.assertEqual(self.fetch("POST", path_of(topic), [API_KEY], (around + data + around).encode()).status, 413 if code else 200)
                    answer = self.fetch("POST", "/v1/publish", [API_KEY], b'{"topic":"%s","data":%s}' % (topic.encode(), (around + data + around).encode())).json()
                    self.assertEqual([error["code"] for error in answer["errors"]], [code] if code else [])

    def test_seq_ts_and_epoch_are_the_same_for_everybody(self):
        topics, _ = self.several("same")
        for topic in topics:
            acked = [self.publish(topic, n) for n in range(3)]
            self.assertEqual([a["seq"] for a in acked], [1, 2, 3])
            epoch, = {a["epoch"] for a in acked}
            self.assertRegex(epoch, r"\A[!-~]{8}\Z")
            history = self.gateway.history(topic)
            stamps = [u["ts"] for u in history]
            self.assertEqual(stamps, sorted(stamps))
            newest = self.fetch("GET", path_of(topic)).json()
            last = self.fetch("GET", f"/v1/last?topics={topic}").json()["updates"]
            self.assertEqual(last, [newest])
            self.assertEqual(newest, {"topic": topic, "epoch": epoch, **history[-1]})
            ws = self.ws()
            self.assertEqual(self.subscribe(ws, topic)[topic]["epoch"], epoch)
            self.assertEqual(dict(ws.read()), {"topic": topic, **{k: history[-1][k] for k in ("seq", "ts", "data")}})
            array = self.ws(f"/v1/ws?topics={topic}&format=array")
            array.read()
            self.assertEqual(json.loads(array.read_message()[1]), [topic, 3, newest["ts"], 2])


@on_one_shard_and_three
class Keys:
    """Updates marked as key, with everything else."""
    flags = ("--topics.window", "50", "--topics.window-bytes", "65536")
    LARGE = '"' + "x" * 1000 + '"'

    def large(self, topic, marks):
        """As fill(), but of updates so large that the window holds the last of them only. (epoch, the oldest that it holds)."""
        self.gateway.publish_many((topic, self.LARGE, mark == "k") for mark in marks)
        return self.epoch(topic), self.gateway.oldest(topic)

    def test_unmarked_ones_of_that_epoch_are_deltas_and_of_the_next_epoch_they_are_not(self):
        topic = self.topic()
        self.fill(topic, "kdd")
        self.delete(topic)
        self.fill(topic, "ddd")
        for mode in ("every", "latest"):
            ws = self.ws()
            self.subscribe(ws, topic, mode=mode)
            self.assertSeqs(ws, topic, [3])
            self.assertNothing(ws)

    def test_from_the_first_marked_update_on_what_came_before_it_is_no_delta_of_it(self):
        topic = self.topic()
        epoch = self.fill(topic, "dddkdd")
        for seq, every in ((0, range(1, 7)), (2, range(3, 7)), (3, range(4, 7)), (4, (5, 6)), (6, ())):
            for mode, seqs in (("every", every), ("latest", range(max(seq + 1, 4), 7))):
                with self.subTest(seq=seq, mode=mode):
                    ws = self.ws()
                    self.assertTrue(self.subscribe(ws, topic, mode=mode, resume={topic: {"epoch": epoch, "seq": seq}})[topic]["resumed"])
                    self.assertSeqs(ws, topic, seqs)
                    self.assertNothing(ws)

    def test_a_latest_subscriber_goes_on_from_the_newest_key_not_yet_sent_or_loses_nothing(self):
        """Resumed it is one that fell behind."""
        topic = self.topic()
        epoch = self.fill(topic, "kddkddkdd")
        for seq, first in ((0, 7), (1, 7), (3, 7), (5, 7), (6, 7), (7, 8), (8, 9), (9, 10)):
            with self.subTest(seq=seq):
                ws = self.ws()
                self.subscribe(ws, topic, resume={topic: {"epoch": epoch, "seq": seq}})
                self.assertSeqs(ws, topic, range(first, 10))
                self.publish(topic, 10)
                self.publish(topic, 11)
                self.assertSeqs(ws, topic, [10, 11])
                self.delete(topic)
                self.assertEqual(self.fill(topic, "kddkddkdd") == epoch, False)
                epoch = self.epoch(topic)

    def test_without_snapshot_deltas_come_without_their_key_and_a_new_key_as_any_update(self):
        for mode in ("every", "latest"):
            topic, ws = self.topic(), self.ws()
            self.fill(topic, "kdd")
            self.assertEqual(self.subscribe(ws, topic, mode=mode, snapshot=False)[topic]["seq"], 3)
            for key in (False, True, False):
                self.publish(topic, key=key)
            self.assertSeqs(ws, topic, [4, 5, 6])
            self.assertNothing(ws)

    def test_a_snapshot_is_the_range_for_a_pattern_and_for_the_query_too(self):
        topics, base = self.several("keyed")
        for topic in topics:
            self.fill(topic, "kdkdd")
        for mode in ("every", "latest"):
            by_query = self.ws(f"/v1/ws?topics={base}.*&mode={mode}")
            self.assertEqual(by_query.read()["op"], "subscribed")
            by_pattern = self.ws()
            self.subscribe(by_pattern, f"{base}.*", mode=mode)
            for ws in (by_query, by_pattern):
                came = self.ordered(ws, 4 * len(topics))
                for topic in topics:
                    self.assertEqual([m["seq"] for m in came[topic]], [5, 3, 4, 5], "op:topic with the head, then the range")

    def test_a_snapshot_whose_key_has_left_the_window_is_preceded_by_a_gap_in_every_way_of_subscribing(self):
        (topic, *_), base = self.several("left", 1)
        epoch, oldest = self.large(topic, "k" + "d" * 599)
        self.assertGreater(oldest, 1)
        for mode in ("every", "latest"):
            for how in ("name", "pattern", "query", "bare", "other epoch"):
                with self.subTest(mode=mode, how=how):
                    ws = self.ws(f"/v1/ws?topics={topic}&mode={mode}" if how == "query" else "/v1/ws")
                    if how == "query":
                        self.assertOp(ws.read(), op="subscribed", topics=[{"topic": topic, "epoch": epoch, "seq": 600}])
                    elif how == "bare":
                        ws.send_json({"op": "subscribe", "topics": [topic], "mode": mode})
                        self.assertOp(ws.read(), op="topic", topic=topic, epoch=epoch, seq=600)
                    elif how == "pattern":
                        self.subscribe(ws, f"{base}.*", mode=mode)
                        self.assertOp(ws.read(), op="topic", topic=topic, epoch=epoch, seq=600, by=f"{base}.*")
                    else:
                        resume = {"resume": {topic: {"epoch": "AAAAAAAA", "seq": 5}}} if how == "other epoch" else {}
                        self.assertEqual(self.subscribe(ws, topic, mode=mode, **resume)[topic].get("resumed"), False if resume else None)
                    self.assertOp(ws.read(), op="gap", topic=topic, **{"from": 1, "to": oldest - 1})
                    self.assertSeqs(ws, topic, range(oldest, 601))
                    self.assertNothing(ws)
        for mode in ("every", "latest"):
            with self.subTest("a stream and an array", mode=mode):
                array = self.ws(f"/v1/ws?topics={topic}&mode={mode}&format=array")
                self.assertEqual(array.read()["op"], "subscribed")
                gap = array.read()
                self.assertEqual((gap["op"], gap["topic"], gap["from"], gap["to"] >= oldest - 1), ("gap", topic, 1, True), "its log has segments of its own")
                self.assertEqual([json.loads(array.read_message()[1])[1] for _ in range(gap["to"] + 1, 601)], list(range(gap["to"] + 1, 601)))

    def test_who_resumes_within_the_deltas_of_a_key_that_has_left_the_window_gets_what_is_there(self):
        topic = self.topic()
        epoch, oldest = self.large(topic, "k" + "d" * 599)
        for mode in ("every", "latest"):
            for seq in (599, 560, oldest - 1):
                with self.subTest(mode=mode, seq=seq):
                    ws = self.ws()
                    self.subscribe(ws, topic, mode=mode, resume={topic: {"epoch": epoch, "seq": seq}})
                    self.assertSeqs(ws, topic, range(seq + 1, 601))
            ws = self.ws()
            self.subscribe(ws, topic, mode=mode, resume={topic: {"epoch": epoch, "seq": oldest - 2}})
            self.assertOp(ws.read(), op="gap", topic=topic, **{"from": oldest - 1, "to": oldest - 1})
            self.assertSeqs(ws, topic, range(oldest, 601))

    def test_an_every_one_that_was_outrun_goes_on_after_its_gap_from_the_oldest_key_in_the_window(self):
        topics, base = self.several("outrun")
        for topic in topics:
            epoch, oldest = self.large(topic, ("k" + "d" * 9) * 60)
            key = oldest + (1 - oldest) % 10
            for how in ("name", "pattern"):
                ws = self.ws()
                ws.send_json({"op": "subscribe", "id": 1, "topics": [topic if how == "name" else f"{base}.*"], "mode": "every", "resume": {topic: {"epoch": epoch, "seq": 3}}})
                messages = []
                while not messages or messages[-1].get("seq") != 600 or "op" in messages[-1]:
                    message = ws.read()
                    if message.get("topic") == topic:
                        messages.append(message)
                if how == "pattern":
                    self.assertOp(messages.pop(0), op="topic", topic=topic, epoch=epoch, seq=600, by=f"{base}.*", resumed=True)
                self.assertOp(messages[0], op="gap", topic=topic, **{"from": 4, "to": key - 1})
                self.assertEqual([m["seq"] for m in messages[1:]], list(range(key, 601)))

    def test_a_latest_one_resumed_before_the_window_goes_on_from_the_newest_key_without_a_gap(self):
        topic = self.topic()
        epoch, oldest = self.large(topic, "d" * 580 + "k" + "d" * 19)
        self.assertGreater(oldest, 3)
        ws = self.ws()
        self.assertTrue(self.subscribe(ws, topic, resume={topic: {"epoch": epoch, "seq": 2}})[topic]["resumed"])
        self.assertSeqs(ws, topic, range(581, 601))
        self.assertNothing(ws)

    def test_the_window_keeps_the_last_key_and_all_after_it_however_many(self):
        topic = self.topic()
        epoch = self.fill(topic, "d" * 100 + "k" + "d" * 400)
        self.assertEqual([u["seq"] for u in self.gateway.history(topic, after=100)], list(range(101, 502)))
        ws = self.ws()
        self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": 100}})
        self.assertSeqs(ws, topic, range(101, 502))

    def test_on_topics_without_marks_each_update_is_key(self):
        topic = self.topic()
        epoch, oldest = self.large(topic, "d" * 600)
        for mode, first in (("every", 600), ("latest", 600)):
            ws = self.ws()
            self.subscribe(ws, topic, mode=mode)
            self.assertSeqs(ws, topic, [600])
            self.assertNothing(ws)
        ws = self.ws()
        self.subscribe(ws, topic, resume={topic: {"epoch": epoch, "seq": 1}})
        self.assertSeqs(ws, topic, [600])
        ws = self.ws()
        self.subscribe(ws, topic, mode="every", resume={topic: {"epoch": epoch, "seq": 1}})
        self.assertOp(ws.read(), op="gap", topic=topic, **{"from": 2, "to": oldest - 1})
        self.assertSeqs(ws, topic, range(oldest, 601))

    def test_with_keys_max_hz_bounds_the_ranges_sent(self):
        topic, ws = self.topic(), self.ws()
        self.fill(topic, "kdd")
        self.subscribe(ws, topic, max_hz=2)
        self.assertSeqs(ws, topic, [1, 2, 3])
        for key in (False, False):
            self.publish(topic, key=key)
        self.assertSeqs(ws, topic, [4, 5])  # no key since the range before: nothing of it is left out
        for key in (False, True, False):
            self.publish(topic, key=key)
        self.assertSeqs(ws, topic, [7, 8])  # the newest key that was not sent and all after it
        self.assertNothing(ws)


@on_one_shard_and_three
class Requests:
    """The form of requests."""
    flags = ()

    def lines(self, ws, text, count):
        """What a message is answered: an op, or (code, line, id)."""
        ws.send_text(text)
        came = [ws.read() for _ in range(count)]
        self.assertEqual(ws.quiet(), [])
        return [(m["code"], m.get("line"), m.get("id")) if m["op"] == "error" else m["op"] for m in came]

    def test_a_message_that_is_one_json_object_as_a_whole_is_one_request_otherwise_each_line_is_one(self):
        ping = '{"op":"ping","id":1}'
        deep = '{"op":"ping",\n"id":4,\n"x":%s1%s\n}' % ("[" * 70, "]" * 70)
        for text, expected, why in [
            ("\n\n" + ping + "\n\n", ["pong"], "empty lines around one object"), ("\r\n \t\r\n" + ping, ["pong"], "lines of blanks"), ('{"op":"ping","id":1\r\n}\r\n', ["pong"], "CR LF within"),
            ("x\n\n\ny\n" + ping, [("bad_json", 1, None), ("bad_json", 4, None), "pong"], "empty lines are counted"), ("\n\n{}x\n", [("bad_json", 3, None)], "leading empty lines are counted"), (ping + "\r\n\r\nx", ["pong", ("bad_json", 3, None)], "CR LF is one line end"),
            ('{"op":"ping",\n"id":1}\n{"op":"ping","id":2}', [("bad_json", 1, None), ("bad_json", 2, None), "pong"], "an object over two lines, and another"),
            (ping + "\n[]\n1\nnull\n" + ping, ["pong", ("bad_request", 2, None), ("bad_request", 3, None), ("bad_request", 4, None), "pong"], "what is no object is told with its line too"),
            ('{"op":"ping","id":7,"x":}\n' + ping, [("bad_json", 1, 7), "pong"], "the id of a line that is broken behind it"), ('{"op":"nope","id":"a"}\n{"op":"ping","op":"ping","id":3}', [("unknown_op", 1, "a"), ("bad_request", 2, 3)], "an error tells its line, and an id that follows the fault"),
            ('{"op":"nope","id":9}', [("unknown_op", None, 9)], "one object as a whole has no lines"), (deep, [("bad_request", None, 4)], "one object as a whole, too deep"),
            ('{"op":"ping","x":%s1%s,"id":5}' % ("[" * 70, "]" * 70), [("bad_request", None, 5)], "too deep, and its id behind that"), ('{"op":"ping","x":%s1%s,"id":5}\n' % ('{"a":' * 500, "}" * 500) + ping, [("bad_request", 1, 5), "pong"], "the same in a line"),
            ('{"op":"ping","x":%s1%s,"id":5' % ("[" * 70, "]" * 70), [("bad_json", 1, 5)], "too deep and broken off"),
            ('{"op":"ping","id":{"a":1}}\n{"op":"ping","id":true}', [("bad_request", 1, None), ("bad_request", 2, None)], "ids that are none"), ("\ufeff" + ping, [("bad_json", 1, None)], "a byte order mark"), (ping + "\u2028" + ping, [("bad_json", 1, 1)], "U+2028 is no line end"),
            ("\r" + ping + "\r", ["pong"], "CR is white space"), (ping + "\r" + ping, [("bad_json", 1, 1)], "CR alone is no line end"), ("\x0b" + ping, [("bad_json", 1, None)], "a vertical tabulator is no white space"),
        ]:
            with self.subTest(why):
                self.assertEqual(self.lines(self.ws(), text, len(expected)), expected)

    def test_id_is_an_integer_within_2_to_the_53_without_point_or_exponent_or_a_string_of_at_most_64_bytes(self):
        ws = self.ws()
        for text, good in [
            ("9007199254740992", True), ("-9007199254740992", True), ("9007199254740993", False), ("-9007199254740993", False), ("9007199254740991", True), ("-0", True), ("0", True), ("1.0", False), ("1e3", False), ("1E3", False), ("0e0", False), ("-0.0", False),
            ("18446744073709551617", False), ("1" * 400, False), ('"' + "x" * 64 + '"', True), ('"' + "x" * 65 + '"', False), ('"' + "\\u00e9" * 32 + '"', True), ('"' + "\\u00e9" * 33 + '"', False), ('"' + "\\n" * 64 + '"', True), ('"' + "\\n" * 65 + '"', False),
            ('"' + "\\ud83d\\ude00" * 16 + '"', True), ('"' + "\\ud83d\\ude00" * 17 + '"', False), ('"' + "é" * 31 + "\\u00e9" + '"', True), ('"\\u0000"', True), ('""', True),
        ]:
            with self.subTest(text[:60]):
                ws.send_text('{"op":"ping","id":%s}' % text)
                answer = ws.read()
                if good:
                    self.assertEqual((answer["op"], answer["id"]), ("pong", json.loads(text)))
                else:
                    self.assertRefusal(answer, "bad_request")
                    self.assertNotIn("id", answer)

    def test_without_id_a_success_is_not_acknowledged_an_error_always_is(self):
        ws, topic, other = self.publisher(), self.topic(), self.topic()
        for request in ({"op": "subscribe", "topics": [topic]}, {"op": "unsubscribe", "topics": [other]}, {"op": "auth", "token": KEY}, {"op": "publish", "topic": other, "data": 1}):
            with self.subTest(request["op"]):
                ws.send_json(request)
                self.assertNothing(ws)
        for request, code in (({"op": "subscribe", "topics": ["a..b"]}, "bad_topic"), ({"op": "unsubscribe", "topics": []}, "bad_request"), ({"op": "auth", "token": "x"}, "unauthorized"), ({"op": "publish", "topic": "$x", "data": 1}, "bad_topic"), ({"op": "x"}, "unknown_op"), ({}, "bad_request")):
            with self.subTest(**request):
                ws.send_json(request)
                answer = ws.read()
                self.assertRefusal(answer, code)
                self.assertNotIn("id", answer)
        self.publish(topic)
        self.assertEqual(ws.read()["op"], "topic")

    def test_a_known_key_twice_is_bad_request_unknown_keys_are_ignored(self):
        ws, topic = self.publisher(), self.topic()
        for name, value in (("op", '"subscribe"'), ("id", "1"), ("topics", '["%s"]' % topic), ("mode", '"every"'), ("max_hz", "0"), ("snapshot", "true"), ("resume", "{}"), ("topic", '"%s"' % topic), ("data", "1"), ("key", "true"), ("token", '"x"')):
            escaped = "\\u%04x" % ord(name[0]) + name[1:]
            for twin in (name, escaped):
                with self.subTest(name=name, twin=twin):
                    whole = {"op": '"subscribe"', "id": "1", "topics": '["%s"]' % topic, name: value}
                    ws.send_text("{%s}" % ",".join(['"%s":%s' % pair for pair in whole.items()] + ['"%s":%s' % (twin, value)]))
                    answer = ws.read()
                    self.assertRefusal(answer, "bad_request")
                    self.assertEqual(answer["id"], 1)
        self.assertEqual(self.listed(ws), {})
        ws.send_text('{"ops":1,"ops":2,"Id":3,"":4,"":5,"op":"subscribe","id":1,"topics":["%s"],"o\\u0070s":6,"topics ":[]}' % topic)
        self.assertEqual(ws.read()["op"], "subscribed")

    def test_values_are_compared_after_unescaping_like_keys(self):
        topic, ws = self.topic(), self.publisher()
        ws.send_text('{"op":"s\\u0075bscribe","id":1,"topics":["%s","\\u002a.%s"],"mode":"\\u0065very","resume":{"%s":{"\\u0065poch":"x","s\\u0065q":0}}}' % (topic, topic, topic))
        self.assertEqual(ws.read()["op"], "subscribed")
        self.assertEqual(self.listed(ws)[topic]["mode"], "every")
        ws.send_text('{"op":"auth","id":2,"token":"%s"}' % "".join("\\u%04x" % ord(c) for c in KEY))
        self.assertEqual(ws.read()["op"], "authenticated")

    def test_a_binary_message_closes_1003_and_a_message_is_at_most_limits_message_else_1009(self):
        for bad, code in ((frame(BINARY, b"{}"), 1003), (frame(TEXT, b"", length=(1 << 20) + 1), 1009)):
            ws = self.ws()
            ws.send_as_far_as_taken(bad)
            self.assertEqual([m for m in ws.expect_close(code) if m.get("op") != "error"], [], "`closing` is said before 1001 1008 1011 1013 and 4xxx only")

    def test_a_payload_over_limits_payload_within_the_message_is_an_error_and_the_rest_is_served(self):
        topic, ws = self.topic(), self.publisher()
        ws.send_json({"op": "publish", "id": 1, "topic": topic, "data": "x" * 900000}, {"op": "publish", "id": 2, "topic": topic, "data": 2})
        answers = {m["id"]: m for m in (ws.read(), ws.read())}
        self.assertEqual((answers[1]["code"], answers[1]["line"], answers[2]["seq"]), ("too_large", 1, 1))

    def test_requests_take_effect_in_order_for_each_topic_replies_may_overtake_one_another(self):
        topics, _ = self.several("order", 9)
        ws = self.publisher()
        lines = []
        for n in range(1, 21):
            for at, topic in enumerate(topics):
                lines.append({"op": "publish", "id": f"{at}/{n}", "topic": topic, "data": n})
        ws.send_json(*lines)
        answers = [ws.read() for _ in lines]
        for at, topic in enumerate(topics):
            self.assertEqual([(m["id"], m["seq"]) for m in answers if m["topic"] == topic], [(f"{at}/{n}", n) for n in range(1, 21)])

    def test_what_one_connection_publishes_has_taken_effect_where_it_subscribes_next(self):
        topics, base = self.several("effect", 9)
        for turn in range(1, 6):
            for topic in topics:
                ws = self.publisher()
                ws.send_json({"op": "publish", "topic": topic, "data": 1}, {"op": "publish", "id": 1, "topic": topic, "data": 2}, {"op": "subscribe", "id": 2, "topics": [topic], "mode": "every"}, {"op": "publish", "id": 3, "topic": topic, "data": 3}, {"op": "unsubscribe", "id": 4, "topics": [topic]},
                             {"op": "subscribe", "id": 5, "topics": [topic], "mode": "every", "snapshot": False}, {"op": "publish", "id": 6, "topic": topic, "data": 4})
                replies, updates = {}, []
                while 6 not in replies or not updates or updates[-1] != 4 * turn:
                    message = ws.read()
                    if message.is_update:
                        updates.append(message["seq"])
                    else:
                        replies[message["id"]] = message
                with self.subTest(topic=topic, turn=turn):
                    head = 4 * turn
                    self.assertEqual([replies[n]["seq"] for n in (1, 3, 6)], [head - 2, head - 1, head])
                    self.assertEqual([replies[n]["topics"][0]["seq"] for n in (2, 5)], [head - 2, head - 1])
                    self.assertLessEqual(set(updates), {head - 2, head - 1, head})
                    self.assertEqual(updates, sorted(set(updates)))
                ws.close()
        for topic in topics:  # a pattern that no one followed a moment ago: else its birth may still be on its way, and then seq is 0
            name = f"{topic}-births.x"
            ws = self.publisher()
            ws.send_json({"op": "publish", "topic": name, "data": 1}, {"op": "subscribe", "id": 1, "topics": [f"{topic}-births.*"], "mode": "every"})
            self.assertEqual(ws.read()["op"], "subscribed")
            came = {}
            while name not in came or len(came[name]) < 2:
                message = ws.read()
                came.setdefault(message["topic"], []).append(message)
            self.assertOp(came[name][0], op="topic", topic=name, epoch=came[name][0]["epoch"], seq=1, by=f"{topic}-births.*")
            self.assertUpdate(came[name][1], name, 1)

    def test_auth_is_in_force_for_the_next_line(self):
        ws, topic = self.ws(), self.topic()
        ws.send_json({"op": "publish", "id": 1, "topic": topic, "data": 1}, {"op": "auth", "id": 2, "token": KEY}, {"op": "publish", "id": 3, "topic": topic, "data": 1})
        answers = {m["id"]: m for m in (ws.read() for _ in range(3))}
        self.assertRefusal(answers[1], "unauthorized")
        self.assertOp(answers[2], op="authenticated", id=2)
        self.assertEqual(answers[3]["seq"], 1)

    def test_a_reply_precedes_the_effects_of_its_request_and_published_the_publishers_own_update(self):
        """One message on names of all shards: subscribe, publish, publish, unsubscribe, publish, subscribe."""
        topics, base = self.several("story", 9)
        for form in ("names", "pattern"):
            ws = self.publisher()
            for topic in topics:
                name = f"{topic}-{form}"
                asked = [name] if form == "names" else [f"{base}.*"]
                ws.send_json({"op": "subscribe", "id": "s", "topics": asked, "mode": "every"}, {"op": "publish", "id": 1, "topic": name, "data": 1}, {"op": "publish", "id": 2, "topic": name, "data": 2},
                             {"op": "unsubscribe", "id": "u", "topics": asked}, {"op": "publish", "id": 3, "topic": name, "data": 3}, {"op": "ping", "id": "p"})
                came = []
                while {"s", 1, 2, 3, "u", "p"} - {m.get("id") for m in came}:
                    came.append(ws.read())
                came += self.rest(ws)
                order = [m.get("id") or m.get("op") or -m["seq"] for m in came if m.get("topic") in (None, name) and m.get("id") != "p"]
                with self.subTest(form=form, name=name, order=order):
                    self.assertEqual([x for x in order if x in ("s", 1, 2, 3, "u")], ["s", 1, 2, "u", 3])
                    for seq in (1, 2):
                        if -seq in order:
                            self.assertLess(order.index(seq), order.index(-seq), "published before its own update")
                            self.assertLess(order.index(-seq), order.index("u"), "after unsubscribed no update comes")
                    if "topic" in order:
                        self.assertLess(order.index(1), order.index("topic"))
                    self.assertNotIn(-3, order)

    def test_one_bad_forbidden_or_excess_topic_refuses_the_whole_request_naming_it(self):
        good, followed = self.topic(), self.topic()
        ws = self.ws()
        self.subscribe(ws, followed, mode="latest", max_hz=3)
        for bad in ("a..b", "x,y", "q*", "z.>.y", "é" * 65):
            with self.subTest(bad):
                refusal = ws.ask("subscribe", topics=[good, followed, bad], mode="every")
                self.assertRefusal(refusal, "bad_topic")
                self.assertIn(bad[:32], refusal["message"])
                self.assertEqual({t: (e["mode"], e["max_hz"]) for t, e in self.listed(ws).items()}, {followed: ("latest", 3)}, "not even the mode of what is followed has changed")
                self.assertIn(bad[:32], ws.ask("unsubscribe", topics=[followed, bad])["message"])
        self.assertEqual(set(self.listed(ws)), {followed})

    def test_unsubscribing_what_is_not_subscribed_is_acknowledged_all_the_same_and_changes_nothing(self):
        (topic, other, *_), base = self.several("uns")
        self.publish(topic)
        ws = self.ws()
        self.subscribe(ws, f"{base}.*", mode="every")
        came = self.ordered(ws, 2)
        self.assertEqual([m["seq"] for m in came[topic]], [1, 1])
        for names in ([topic], [other], [f"{base}.>"], [topic, "no.such", f"{topic}.*"], [topic, topic]):
            with self.subTest(names):
                answer = ws.ask("unsubscribe", topics=names)
                self.assertOp(answer, op="unsubscribed", id=answer["id"], topics=list(dict.fromkeys(names)))
                self.assertEqual(set(self.listed(ws)), {topic, f"{base}.*"}, "covered by the pattern as before")
        self.publish(topic)
        self.assertSeqs(ws, topic, [2])

    def test_rights_are_judged_before_the_topic_the_topic_before_the_payload(self):
        bad, right, topic = self.ws(), self.publisher(), self.topic()
        deep = '"data":' + "[" * 65 + "]" * 65
        for ws, member, code in [
            (bad, '"topic":"a..b",' + deep, "unauthorized"), (bad, '"topic":1,"data":1', "unauthorized"), (bad, '"data":1', "unauthorized"), (bad, '"topic":"%s"' % topic, "unauthorized"), (bad, '"topic":"$x","data":1,"key":7', "unauthorized"),
            (right, '"topic":"a..b",' + deep, "bad_topic"), (right, '"topic":"a..b"', "bad_topic"), (right, '"topic":"$x","data":"' + "x" * 70000 + '"', "bad_topic"), (right, '"topic":"a..b","data":1,"key":7', "bad_topic"), (right, '"topic":"%s",%s' % (topic, deep), "bad_payload"),
        ]:
            with self.subTest(member=member[:40], code=code):
                ws.send_text('{"op":"publish","id":1,%s}' % member)
                self.assertRefusal(ws.read(), code)

    def test_a_request_nested_deeper_than_70_a_malformed_resume_an_empty_topics_are_bad_request(self):
        ws, topic = self.publisher(), self.topic()
        for levels, code in ((69, None), (70, "bad_request")):  # the request itself is one
            for opened, closed in (("[", "]"), ('{"a":', "}")):
                ws.send_text('{"op":"ping","id":1,"x":%s0%s}' % (opened * levels, closed * levels))
                answer = ws.read()
                self.assertEqual((answer.get("code"), answer["id"]), (code, 1))
        ws.send_text('{"op":"publish","id":1,"topic":"%s","data":%s}' % (topic, "[" * 69 + "]" * 69))
        self.assertRefusal(ws.read(), "bad_payload")
        ws.send_text('{"op":"publish","id":1,"topic":"%s","data":%s}' % (topic, "[" * 70 + "]" * 70))
        self.assertRefusal(ws.read(), "bad_request", "bad_payload")
        for resume in ("null", "[]", '"x"', '{"%s":null}' % topic, '{"%s":{"epoch":"k3J9aQ0z"}}' % topic, '{"%s":{"epoch":"k3J9aQ0z","seq":1.0}}' % topic, '{"%s":{"epoch":"k3J9aQ0z","seq":1e0}}' % topic, '{"%s":{"epoch":"k3J9aQ0z","seq":-1}}' % topic,
                       '{"%s":{"epoch":null,"seq":1}}' % topic, '{"%s":{"epoch":"a","epoch":"a","seq":1}}' % topic, '{"%s":["k3J9aQ0z",1]}' % topic, '{"other.name":7}'):
            with self.subTest(resume=resume):
                ws.send_text('{"op":"subscribe","id":1,"topics":["%s"],"resume":%s}' % (topic, resume))
                self.assertRefusal(ws.read(), "bad_request")
        for op in ("subscribe", "unsubscribe"):
            self.assertRefusal(ws.ask(op, topics=[]), "bad_request")
        self.assertEqual(self.listed(ws), {})


@on_one_shard_and_three
class Limits:
    """Excess topics; small limits so that they are easily met."""
    flags = ("--limits.subscriptions", "8", "--limits.patterns", "2")

    def test_an_excess_topic_refuses_the_whole_request_naming_it_and_nothing_has_changed(self):
        topics, base = self.several("excess", 10)
        for topic in topics:
            self.publish(topic)
        ws = self.ws()
        self.subscribe(ws, *topics[:6], snapshot=False, max_hz=2)
        before = self.listed(ws)
        for asked, excess in ((topics[:9], topics[8]), (topics[3:9], topics[8]), ([f"{base}.*"], f"{base}.*"), ([topics[0], "p.*", "q.*", "r.*"], "r.*"), ([*topics, *topics], topics[8])):
            with self.subTest(asked=asked):
                refusal = ws.ask("subscribe", topics=asked, mode="every", snapshot=True)
                self.assertRefusal(refusal, "too_many_topics")
                self.assertIn(f'"{excess}"', refusal["message"])
                self.assertEqual(self.listed(ws), before)
        self.assertNothing(ws)
        self.subscribe(ws, *topics[:8], snapshot=False)
        self.assertEqual(set(self.listed(ws)), set(topics[:8]), "as many as allowed fit")

    def test_what_is_followed_already_does_not_count_twice(self):
        topics, base = self.several("twice", 5)
        for topic in topics:
            self.publish(topic)
        ws = self.ws()
        for pattern in (f"{base}.*", f"{base}.*", f"{base}.>"):
            self.assertEqual(ws.ask("subscribe", topics=[pattern])["op"], "subscribed", pattern)
        self.subscribe(ws, *topics)
        self.assertEqual(set(self.listed(ws)), {*topics, f"{base}.*", f"{base}.>"})

    def test_more_topics_than_the_gateway_holds_are_named_too(self):
        with Gateway("--shards", self.flags[-1], "--limits.topics", "4") as gateway, Ws(gateway.port) as ws:
            ws.read()
            followed = {"topic": "followed", "mode": "latest", "max_hz": 2, "seq": 0}
            ws.ask("subscribe", topics=["followed"], max_hz=2)
            names = ["followed", *("x" * 120 + f".{n:03}" for n in range(30))]  # several shards may hold a quarter more
            for _ in range(2):
                refusal = ws.ask("subscribe", topics=names, mode="every")
                self.assertRefusal(refusal, "too_many_topics")
                self.assertRegex(refusal["message"], '"' + "x" * 120 + r'\.\d{3}"')
                self.assertEqual(ws.ask("list")["topics"], [followed])

    def test_in_the_query_it_is_an_error_and_a_close(self):
        topics, _ = self.several("query", 9)
        ws = self.ws(f"/v1/ws?topics={','.join(topics)}")
        before = ws.expect_close(4400, 1008, 1013)
        self.assertEqual([m["op"] for m in before], ["error", "closing"])
        self.assertRefusal(before[0], "too_many_topics")
        self.assertIn(topics[8], before[0]["message"])


@on_one_shard_and_three
class Modes:
    flags = ()

    def test_the_acks_seq_is_the_newest_and_what_each_mode_begins_with(self):
        topics, _ = self.several("modes")
        for topic in topics:
            self.fill(topic, "ddd")
            for mode in ("every", "latest"):
                for snapshot in (True, False):
                    ws = self.ws()
                    self.assertEqual(self.subscribe(ws, topic, mode=mode, snapshot=snapshot)[topic]["seq"], 3)
                    if snapshot:
                        self.assertSeqs(ws, topic, [3])
                    self.assertNothing(ws)

    def test_max_hz_may_be_fractional_and_0_is_no_limit_above_0_with_every_is_bad_request(self):
        topic, ws = self.topic(), self.ws()
        for max_hz, mode, good in ((0, "every", True), (0.0, "every", True), (0.25, "latest", True), (1e-3, "latest", True), (4, "every", False), (0.1, "every", False), (-1, "latest", False), ("4", "latest", False), (None, "latest", False), (True, "latest", False)):
            with self.subTest(max_hz=max_hz, mode=mode):
                answer = ws.ask("subscribe", topics=[topic], mode=mode, max_hz=max_hz)
                if good:
                    self.assertEqual(self.listed(ws)[topic]["max_hz"], max_hz)
                else:
                    self.assertRefusal(answer, "bad_request")

    def test_max_hz_ends_on_the_newest_and_the_snapshot_is_one(self):
        topics, _ = self.several("hz", 4)
        ws = self.ws()
        for topic in topics:
            self.publish(topic)
        self.subscribe(ws, *topics, max_hz=4)
        came = self.ordered(ws, len(topics))
        self.assertEqual({t: [m["seq"] for m in ms] for t, ms in came.items()}, {t: [1] for t in topics})
        for topic in topics:
            self.gateway.publish_many((topic, n) for n in range(2, 50))
        came = self.ordered(ws, len(topics))
        self.assertEqual({t: [m["seq"] for m in ms] for t, ms in came.items()}, {t: [49] for t in topics}, "one each, the newest")
        self.assertNothing(ws)

    def test_list_tells_all_that_is_subscribed_and_how_far_each_is(self):
        (born, unborn, rated, *_), base = self.several("list")
        self.fill(born, "ddd")
        ws = self.ws()
        self.subscribe(ws, born, unborn, mode="every")
        self.subscribe(ws, rated, max_hz=0.5)
        self.subscribe(ws, f"{base}-p.>", max_hz=2)
        self.assertSeqs(ws, born, [3])
        self.assertEqual(self.listed(ws), {born: {"topic": born, "mode": "every", "max_hz": 0, "seq": 3}, unborn: {"topic": unborn, "mode": "every", "max_hz": 0, "seq": 0}, rated: {"topic": rated, "mode": "latest", "max_hz": 0.5, "seq": 0}, f"{base}-p.>": {"topic": f"{base}-p.>", "mode": "latest", "max_hz": 2}})
        ws.ask("unsubscribe", topics=[born, unborn, rated, f"{base}-p.>"])
        self.assertEqual(self.listed(ws), {})


@on_one_shard_and_three
class Acknowledged:
    flags = ()

    def test_subscriptions_from_the_query_are_acknowledged_by_subscribed_without_id(self):
        (born, unborn, *_), base = self.several("query")
        epoch = self.fill(born, "dd")
        ws = self.ws(f"/v1/ws?topics={born},{unborn},{born},{base}.*,{unborn}&mode=every")
        self.assertOp(ws.read(), op="subscribed", topics=[{"topic": born, "epoch": epoch, "seq": 2}, {"topic": unborn, "seq": 0}, {"topic": f"{base}.*"}])
        self.assertSeqs(ws, born, [2])
        epoch = self.publish(unborn)["epoch"]
        self.assertOp(ws.read(), op="topic", topic=unborn, epoch=epoch, seq=0)
        self.assertSeqs(ws, unborn, [1])
        self.assertNothing(ws)

    def test_a_subscribe_without_id_is_followed_by_op_topic_before_each_topics_first_update(self):
        (born, unborn, quiet, *_), base = self.several("bare")
        epoch = self.fill(born, "ddd")
        quiet_epoch = self.fill(quiet, "d")
        other, other_epoch = f"{base}-p.x", self.fill(f"{base}-p.x", "dd")
        for mode in ("every", "latest"):
            ws = self.ws()
            ws.send_json({"op": "subscribe", "topics": [born, unborn, f"{base}-p.*"], "mode": mode, "resume": {born: {"epoch": epoch, "seq": 1}}})
            came = self.ordered(ws, 4 + (mode == "every"))
            self.assertOp(came[born][0], op="topic", topic=born, epoch=epoch, seq=3, resumed=True)
            self.assertEqual([m["seq"] for m in came[born][1:]], [2, 3] if mode == "every" else [3])
            self.assertOp(came[other][0], op="topic", topic=other, epoch=other_epoch, seq=2, by=f"{base}-p.*")
            self.assertEqual([m["seq"] for m in came[other][1:]], [2])
            ws.send_json({"op": "subscribe", "topics": [born, quiet], "mode": mode, "snapshot": False})
            came = self.rest(ws)
            seq = self.publish(quiet)["seq"]
            while not came or not came[-1].is_update:
                came.append(ws.read())
            self.assertEqual([dict(m) for m in came[:-1]], [{"op": "topic", "topic": quiet, "epoch": quiet_epoch, "seq": seq - 1}], "none for what was followed already")
            self.assertUpdate(came[-1], quiet, seq)
            self.assertNothing(ws)

    def test_op_topic_comes_when_a_topics_epoch_changes_before_the_first_update_of_the_new_one(self):
        topics, base = self.several("life")
        for mode in ("every", "latest"):
            for form in ("name", "pattern", "bare name"):
                epochs = {topic: self.fill(topic, "dd") for topic in topics}
                ws = self.ws()
                asked = [f"{base}.*"] if form == "pattern" else topics
                by = {"by": f"{base}.*"} if form == "pattern" else {}
                ws.send_json({"op": "subscribe", "topics": asked, "mode": mode, **({} if form == "bare name" else {"id": 1})})
                if form != "bare name":
                    self.assertEqual(ws.read()["op"], "subscribed")
                self.ordered(ws, len(topics) * (1 if form == "name" else 2))
                for life in (1, 2):
                    for topic in topics:
                        self.delete(topic)
                    self.assertNothing(ws)
                    fresh = {topic: self.publish(topic)["epoch"] for topic in topics}
                    came = self.ordered(ws, 2 * len(topics))
                    with self.subTest(mode=mode, form=form, life=life):
                        for topic in topics:
                            self.assertNotEqual(fresh[topic], epochs[topic])
                            self.assertOp(came[topic][0], op="topic", topic=topic, epoch=fresh[topic], seq=0, **by)
                            self.assertUpdate(came[topic][1], topic, 1)
                        self.assertNothing(ws)
                    epochs = fresh
                for topic in topics:
                    self.delete(topic)
                ws.close()

    def test_a_deleted_topic_is_acked_with_seq_0_and_no_epoch_and_one_that_is_followed_too(self):
        topics, _ = self.several("gone")
        ws = self.ws()
        for topic in topics:
            self.fill(topic, "d")
        self.subscribe(ws, *topics[:3], mode="every")
        self.ordered(ws, 3)
        for topic in topics:
            self.delete(topic)
        self.rest(ws)
        self.assertEqual(list(self.subscribe(ws, *topics, mode="every").values()), [{"topic": topic, "seq": 0} for topic in topics])
        for topic in topics:
            epoch = self.publish(topic)["epoch"]
            self.assertOp(ws.read(), op="topic", topic=topic, epoch=epoch, seq=0)
            self.assertUpdate(ws.read(), topic, 1)

    def test_by_is_the_pattern_that_rules_absent_for_a_name(self):
        (topic, second, *_), base = self.several("by")
        ws = self.ws()
        self.subscribe(ws, f"{base}.*", topic, mode="every")
        self.subscribe(ws, f"{base}.>", mode="every")
        for name, by in ((topic, {}), (second, {"by": f"{base}.>"})):
            epoch = self.publish(name)["epoch"]
            self.assertOp(ws.read(), op="topic", topic=name, epoch=epoch, seq=0, **by)
            self.assertUpdate(ws.read(), name, 1)
        self.assertNothing(ws)


@on_one_shard_and_three
class Resuming:
    flags = ()

    def test_with_the_right_epoch_all_after_it_or_the_newest_if_newer_and_no_further_snapshot(self):
        topics, base = self.several("res")
        epochs = {topic: self.fill(topic, "ddddd") for topic in topics}
        for mode in ("every", "latest"):
            for seq in (0, 3, 5):
                for snapshot in (True, False):
                    ws = self.ws()
                    seqs = list(range(seq + 1, 6)) if mode == "every" else [5][:seq < 5]
                    acked = self.subscribe(ws, *topics, mode=mode, snapshot=snapshot, resume={t: {"epoch": epochs[t], "seq": seq} for t in topics})
                    with self.subTest(mode=mode, seq=seq, snapshot=snapshot):
                        self.assertEqual(list(acked.values()), [{"topic": t, "epoch": epochs[t], "seq": 5, "resumed": True} for t in topics])
                        came = self.ordered(ws, len(seqs) * len(topics))
                        self.assertEqual({t: [m["seq"] for m in ms] for t, ms in came.items()}, {t: seqs for t in topics if seqs})
                        self.assertNothing(ws)

    def test_with_another_epoch_or_a_seq_beyond_the_head_resumed_false_then_as_a_fresh_subscription(self):
        topics, base = self.several("afresh")
        epochs = {topic: self.fill(topic, "ddd") for topic in topics}
        other = {"epoch": "AAAAAAAA", "seq": 1}
        for mode in ("every", "latest"):
            for snapshot in (True, False):
                for point in (lambda t: other, lambda t: {"epoch": epochs[t], "seq": 4}, lambda t: {"epoch": epochs[t], "seq": 2 ** 53}, lambda t: {"epoch": "", "seq": 0}, lambda t: {"epoch": epochs[t] + "x", "seq": 1}, lambda t: {"epoch": "é" * 200, "seq": 1}, lambda t: {"epoch": "\ud800", "seq": 1}):
                    for asked in (topics, [f"{base}.*"]):
                        ws = self.ws()
                        acked = self.subscribe(ws, *asked, mode=mode, snapshot=snapshot, resume={t: point(t) for t in topics})
                        with self.subTest(mode=mode, snapshot=snapshot, point=point(topics[0]), asked=asked):
                            if asked is topics:
                                self.assertEqual(list(acked.values()), [{"topic": t, "epoch": epochs[t], "seq": 3, "resumed": False} for t in topics])
                            else:
                                ops = [ws.read() for _ in topics] if not snapshot else None
                                came = {m["topic"]: [m] for m in ops} if ops else self.ordered(ws, 2 * len(topics))
                                for t in topics:
                                    self.assertOp(came[t][0], op="topic", topic=t, epoch=epochs[t], seq=3, by=f"{base}.*", resumed=False)
                                    self.assertEqual([m["seq"] for m in came[t][1:]], [3] if snapshot else [])
                            if asked is topics and snapshot:
                                self.assertEqual({t: [m["seq"] for m in ms] for t, ms in self.ordered(ws, len(topics)).items()}, {t: [3] for t in topics})
                            self.assertEqual(ws.quiet(), [])
                        ws.close()

    def test_resume_may_name_topics_that_a_pattern_of_the_request_covers_and_keys_that_nothing_covers_are_ignored(self):
        topics, base = self.several("pat")
        epochs = {topic: self.fill(topic, "dddd") for topic in topics}
        resume = {topics[0]: {"epoch": epochs[topics[0]], "seq": 2}, topics[1]: {"epoch": epochs[topics[1]], "seq": 4}, topics[2]: {"epoch": "AAAAAAAA", "seq": 2},
                  "nothing.covers.this": {"epoch": "AAAAAAAA", "seq": 1}, "no name at all": {"epoch": "AAAAAAAA", "seq": 1}, "": {"epoch": "AAAAAAAA", "seq": 1}, "\ud800": {"epoch": "AAAAAAAA", "seq": 1}, f"{base}.*": {"epoch": "AAAAAAAA", "seq": 1}}
        for mode in ("every", "latest"):
            for asked in ([f"{base}.*"], [topics[1], f"{base}.*"], [f"{base}.>", f"{base}.*"]):
                ws = self.ws()
                acked = self.subscribe(ws, *asked, mode=mode, resume=resume)
                by_name = asked[0] == topics[1]
                with self.subTest(mode=mode, asked=asked):
                    self.assertEqual(list(acked.values()), [{"topic": a} if a != topics[1] else {"topic": a, "epoch": epochs[a], "seq": 4, "resumed": True} for a in asked])
                    expected = {topics[0]: [3, 4] if mode == "every" else [4], topics[1]: [], **{t: [4] for t in topics[2:]}}
                    told = [t for t in topics if not (by_name and t == topics[1])]
                    came = self.ordered(ws, sum(map(len, expected.values())) + len(told))
                    for t in told:
                        marks = {"resumed": resume[t]["epoch"] != "AAAAAAAA"} if t in resume else {}
                        self.assertIn(came[t][0].pop("by"), asked)
                        self.assertOp(came[t][0], op="topic", topic=t, epoch=epochs[t], seq=4, **marks)
                        self.assertEqual([m["seq"] for m in came[t][1:]], expected[t])
                    self.assertNothing(ws)

    def test_topics_already_followed_on_this_connection_keep_their_position(self):
        topics, base = self.several("kept")
        epochs = {topic: self.fill(topic, "dddd") for topic in topics}
        resume = {t: {"epoch": epochs[t], "seq": 1} for t in topics}
        for first in ([f"{base}.*"], topics):
            for second in ([f"{base}.>"], [f"{base}.*"], topics):
                ws = self.ws()
                self.subscribe(ws, *first, mode="every")
                self.ordered(ws, len(topics) * (1 if first is topics else 2))
                acked = self.subscribe(ws, *second, mode="every", resume=resume)
                with self.subTest(first=first, second=second):
                    self.assertEqual(list(acked.values()), [{"topic": t, "epoch": epochs[t], "seq": 4} for t in topics] if second is topics else [{"topic": second[0]}])
                    self.assertNothing(ws)
                ws.close()

    def test_resuming_a_topic_that_is_not_there_begins_with_its_birth(self):
        topics, base = self.several("unborn")
        ws = self.ws()
        acked = self.subscribe(ws, *topics[:3], f"{base}.*", mode="every", resume={t: {"epoch": "AAAAAAAA", "seq": 3} for t in topics})
        self.assertEqual([(e.get("seq"), e.get("epoch"), e.get("resumed", False)) for e in acked.values()], [(0, None, False)] * 3 + [(None, None, False)])
        for n, topic in enumerate(topics):
            epoch = self.publish(topic)["epoch"]
            self.assertOp(ws.read(), op="topic", topic=topic, epoch=epoch, seq=0, **({"by": f"{base}.*"} if n >= 3 else {}))
            self.assertUpdate(ws.read(), topic, 1)


@on_one_shard_and_three
class Again:
    """Again and overlapping."""
    flags = ()

    def test_subscribing_again_keeps_the_position_whatever_covered_before_and_covers_now(self):
        topics, base = self.several("again")
        ways = {"name": topics, "star": [f"{base}.*"], "rest": [f"{base}.>"]}
        for before in ways:
            for after in ways:
                for modes in (("every", "every"), ("every", "latest"), ("latest", "every"), ("latest", "latest")):
                    for topic in topics:
                        self.fill(topic, "ddd")
                    ws = self.ws()
                    self.subscribe(ws, *ways[before], mode=modes[0])
                    self.ordered(ws, len(topics) * (1 if before == "name" else 2))
                    self.subscribe(ws, *ways[after], mode=modes[1])
                    rules = modes[0] if before == "name" and after != "name" else modes[1]
                    with self.subTest(before=before, after=after, modes=modes):
                        self.assertEqual({self.listed(ws)[topic]["mode"] for topic in topics}, {rules})
                        for topic in topics:
                            self.publish(topic)
                        came = self.ordered(ws, len(topics))
                        self.assertEqual({t: [m.get("op", m.get("seq")) for m in ms] for t, ms in came.items()}, {t: [4] for t in topics}, "no second snapshot, no second op:topic")
                        ws.ask("unsubscribe", topics=ways[after])
                        self.assertEqual(set(self.listed(ws)) & set(topics), set(topics) if before != after else set())
                        for topic in topics:
                            self.publish(topic)
                        if before != after:
                            came = self.ordered(ws, len(topics))
                            self.assertEqual({t: [m.get("op", m.get("seq")) for m in ms] for t, ms in came.items()}, {t: [5] for t in topics}, "it falls back and misses nothing")
                            self.assertEqual({self.listed(ws)[topic]["mode"] for topic in topics}, {modes[0]})
                        self.assertEqual(ws.quiet(), [])
                    ws.close()
                    for topic in topics:
                        self.delete(topic)

    def test_of_several_patterns_the_last_subscribed_rules_and_unsubscribing_falls_back_in_that_order(self):
        topics, base = self.several("last", 3)
        patterns = {"*.0": "latest", f"{base}.*": "every", f"{base}.>": "latest"}
        topic = topics[0]
        self.publish(topic)
        ws = self.ws()
        for pattern, hz in zip((f"{base}.>", f"{base}.*", "*.0"), (1000, 0, 500)):
            self.subscribe(ws, pattern, mode=patterns[pattern], max_hz=hz, snapshot=False)
        self.subscribe(ws, topic, mode="every")
        expected = [(None, "every", 0), ("*.0", "latest", 500), (f"{base}.*", "every", 0), (f"{base}.>", "latest", 1000)]
        seq = 1
        for at, (by, mode, hz) in enumerate(expected):
            entry = self.listed(ws)[topic]
            self.assertEqual((entry.get("by"), entry["mode"], entry["max_hz"]), (by, mode, hz))
            seq += 1
            self.publish(topic)
            while not (message := ws.read()).is_update or message["topic"] != topic:
                self.assertEqual(message["op"], "topic")
            self.assertUpdate(message, topic, seq)
            self.assertEqual(ws.ask("unsubscribe", topics=[by or topic])["op"], "unsubscribed")
        self.assertNotIn(topic, self.listed(ws))
        self.publish(topic)
        self.assertNothing(ws)

    def test_subscribing_a_pattern_again_makes_it_the_last_one(self):
        topics, base = self.several("order", 3)
        for topic in topics:
            self.publish(topic)
        ws = self.ws()
        self.subscribe(ws, f"{base}.*", mode="every")
        self.subscribe(ws, f"{base}.>", mode="latest")
        self.assertEqual({self.listed(ws)[topic]["by"] for topic in topics}, {f"{base}.>"})
        self.subscribe(ws, f"{base}.*", mode="every")
        self.assertEqual({(self.listed(ws)[topic]["by"], self.listed(ws)[topic]["mode"]) for topic in topics}, {(f"{base}.*", "every")})
        self.subscribe(ws, f"{base}.*", "*.>", mode="latest")  # an old one and a new one in one request: the order is the request's
        self.assertEqual({self.listed(ws)[topic]["by"] for topic in topics}, {"*.>"})
        ws.ask("unsubscribe", topics=["*.>"])
        self.subscribe(ws, f"{base}.*", mode="every")
        fresh = f"{base}.fresh"
        epoch = self.publish(fresh)["epoch"]
        self.assertEqual([m for m in (self.rest(ws)) if m["topic"] == fresh][0], {"op": "topic", "topic": fresh, "epoch": epoch, "seq": 0, "by": f"{base}.*"})

    def test_a_name_that_was_covered_goes_on_as_a_name_and_the_other_way_round(self):
        topics, base = self.several("both")
        ws = self.ws()
        self.subscribe(ws, f"{base}.*", *topics, mode="every")  # in one request: a name beats a pattern wherever it stands
        for topic in topics:
            self.publish(topic)
        came = self.ordered(ws, 2 * len(topics))
        self.assertEqual({(m["op"], m.get("by")) for ms in came.values() for m in ms[:1]}, {("topic", None)})
        ws.ask("unsubscribe", topics=[f"{base}.*"])
        for topic in topics:
            self.publish(topic)
        came = self.ordered(ws, len(topics))
        self.assertEqual({t: [m["seq"] for m in ms] for t, ms in came.items()}, {t: [2] for t in topics})
        ws.ask("unsubscribe", topics=[*topics, f"{base}.*"])
        self.assertEqual(self.listed(ws), {})

    def test_unsubscribing_name_and_pattern_in_one_request_ends_it_and_coming_back_is_a_fresh_subscription(self):
        topics, base = self.several("back")
        for topic in topics:
            self.fill(topic, "dd")
        ws = self.ws()
        for _ in range(3):
            self.subscribe(ws, f"{base}.*", *topics, mode="every")
            self.assertEqual({t: [m["seq"] for m in ms] for t, ms in self.ordered(ws, len(topics)).items()}, {t: [2] for t in topics})
            answer = ws.ask("unsubscribe", topics=[f"{base}.*", *topics])
            self.assertEqual(answer["topics"], [f"{base}.*", *topics])
            self.assertEqual(self.listed(ws), {})
        for topic in topics:
            self.publish(topic)
        self.assertNothing(ws)

    def test_latest_to_every_goes_on_from_the_last_sent(self):
        """max_hz makes it wait: what it has not been sent comes when the mode changes, and strictly in order."""
        topic, ws = self.topic(), self.ws()
        self.publish(topic, 1)
        self.subscribe(ws, topic, max_hz=0.01)
        self.assertSeqs(ws, topic, [1])
        for n in range(2, 8):
            self.publish(topic, n)
        self.assertNothing(ws)
        self.assertEqual(self.listed(ws)[topic]["seq"], 1)
        self.subscribe(ws, topic, mode="every")
        self.assertSeqs(ws, topic, range(2, 8))
        self.subscribe(ws, topic, max_hz=0.01)
        for n in range(8, 11):
            self.publish(topic, n)
        came = [m["seq"] for m in self.rest(ws)]
        self.subscribe(ws, topic)
        came += [m["seq"] for m in self.rest(ws)]
        self.assertEqual(came[-1], 10, "ending on the newest")
        self.assertEqual(came, sorted(set(came)), "strictly increasing")


@on_one_shard_and_three
class Wire:
    """The handshake's query, formats, credentials, closes."""
    flags = ()

    def test_faults_of_the_query_are_answered_after_a_good_handshake_by_error_and_a_close(self):
        for query, code, close in [
            ("mode=every&max_hz=1", "bad_request", 4400), ("max_hz=", "bad_request", 4400), ("max_hz=NaN", "bad_request", 4400), ("max_hz=-1", "bad_request", 4400), ("snapshot=", "bad_request", 4400), ("snapshot=True", "bad_request", 4400), ("batch=2", "bad_request", 4400),
            ("mode=", "bad_request", 4400), ("mode=Latest", "bad_request", 4400), ("format=JSON", "bad_request", 4400), ("heartbeat_ms=1e3", "bad_request", 4400), ("heartbeat_ms=+1000", "bad_request", 4400), ("heartbeat_ms=60001", "bad_request", 4400), ("heartbeat_ms=999", "bad_request", 4400),
            ("topics=a&topic%73=b", "bad_request", 4400), ("mode=every&mode=every", "bad_request", 4400), ("topics=a,", "bad_topic", 4400), ("topics=,", "bad_topic", 4400), ("topics=a.>.b", "bad_topic", 4400), ("topics=%zz", "bad_request", 4400), ("token=", "unauthorized", 4401), ("token=x&mode=x", "unauthorized", 4401),
        ]:
            with self.subTest(query):
                ws = self.ws("/v1/ws?" + query, hello=False)
                before = ws.expect_close(close)
                self.assertEqual([m["op"] for m in before], ["hello", "error", "closing"] if before[0]["op"] == "hello" else ["error", "closing"])
                self.assertRefusal(before[-2], code)
                self.assertTrue(before[-1]["reason"])
                self.assertIs(type(before[-1]["reconnect_ms"]), int)

    def test_the_reason_of_a_close_is_plain_words_whatever_it_quotes(self):
        for name in ("é" * 70, "x" + "é" * 70, "xx" + "日" * 50, "xxx" + "😀" * 40, "é" * 61 + " ", "x" + "é" * 61 + " "):
            with self.subTest(name):
                ws = self.ws(f"/v1/ws?topics={quote(name)}")
                before = ws.expect_close(4400)
                self.assertIn(f'"{name[:28]}', before[0]["message"])
                self.assertNotIn("\ufffd", before[0]["message"])
                self.assertIn(name[:10], ws.close_reason)
                self.assertLessEqual(len(ws.close_reason.encode()), 123)

    def test_unknown_query_parameters_are_ignored_booleans_are_true_false_1_0(self):
        topic = self.topic()
        self.publish(topic)
        for query, snapshot in (("snapshot=true", True), ("snapshot=1", True), ("snapshot=false", False), ("snapshot=0", False), ("Snapshot=x&TOPICS=..&x=%zz&%zz=1&=&&x&x=1&x=2", True), ("batch=true&snapshot=0", False), ("batch=0", True), ("snap%73hot=%30", False), ("max_hz=0&mode=every", True), ("max_hz=2.5", True)):
            with self.subTest(query):
                ws = self.ws(f"/v1/ws?topics={topic}&{query}")
                self.assertEqual(ws.read()["op"], "subscribed")
                if snapshot:
                    self.assertSeqs(ws, topic, [1])
                self.assertEqual(ws.quiet(), [])

    def test_a_wrong_token_in_the_query_or_the_subprotocol_is_error_and_4401_in_op_auth_an_error(self):
        for how in ({"path": "/v1/ws?token=wrong"}, {"protocols": ["ringcast.v1", "ringcast.token.wrong"]}, {"protocols": ["ringcast.token.wrong"]}):
            ws = self.ws(hello=False, **how)
            before = ws.expect_close(4401)
            self.assertEqual([m.get("code") for m in before if m["op"] == "error"], ["unauthorized"])
            self.assertEqual(before[-1]["op"], "closing")
        for how in ({"protocols": [f"ringcast.token.{KEY}"]}, {"path": f"/v1/ws?token={quote(KEY)}"}):
            ws = self.ws(**how)
            self.assertIsNone(ws.answer.header("Sec-WebSocket-Protocol"))
            self.assertEqual(ws.ask("publish", topic=self.topic(), data=1)["op"], "published")
            self.assertRefusal(ws.ask("auth", token="wrong"), "unauthorized")
            self.assertEqual(ws.ask("publish", topic=self.topic(), data=1)["op"], "published", "it keeps what it had")

    def test_array_and_batch_with_everything_else(self):
        (topic, unborn, *_), base = self.several("array")
        epoch = self.fill(topic, "kdd")
        for batch in (0, 1):
            ws = self.ws(f"/v1/ws?topics={topic},{unborn}&format=array&batch={batch}&mode=every", hello=False)

            def lines(count, ws=ws, batch=batch, left=[]):
                left.clear()
                while len(left) < count:
                    more = ws.read_message()[1].decode().split("\n")
                    self.assertTrue(batch or len(more) == 1)
                    left.extend(json.loads(line) for line in more)
                self.assertEqual(len(left), count)
                return list(left)

            hello, ack, *updates = lines(5)
            self.assertEqual((hello["op"], ack["topics"]), ("hello", [{"topic": topic, "epoch": epoch, "seq": 3}, {"topic": unborn, "seq": 0}]))
            self.assertEqual([(u[0], u[1], u[3]) for u in updates], [(topic, 1, 1), (topic, 2, 2), (topic, 3, 3)])
            born = self.publish(unborn, '"x"')["epoch"]
            told, update = lines(2)
            self.assertEqual((told, update[:2] + update[3:]), ({"op": "topic", "topic": unborn, "epoch": born, "seq": 0}, [unborn, 1, "x"]))
            self.delete(unborn)
            ws.close()

    def test_raw_is_the_payloads_alone_with_patterns_keys_and_births(self):
        (topic, *_), base = self.several("raw", 1)
        self.fill(topic, "kdd")
        ws = self.ws(f"/v1/ws?topics={base}.*&format=raw&mode=every", hello=False)
        self.assertEqual([ws.read_message() for _ in range(3)], [(TEXT, b"1"), (TEXT, b"2"), (TEXT, b"3")])
        self.publish(f"{base}.new", "[1, 2]")
        self.assertEqual(ws.read_message(), (TEXT, b"[1, 2]"))
        ws.send_text('{"op":"unsubscribe","id":1,"topics":["%s.*"]}' % base)
        ws.send_frame(BINARY, b"")
        self.assertEqual(ws.expect_close(1003), [])
        self.assertTrue(ws.close_reason)

    def test_hello_tells_the_heartbeat_in_force_and_heartbeats_come_when_no_message_was_sent(self):
        began = time.monotonic()  # before the gateway's own time begins
        ws = self.ws("/v1/ws?heartbeat_ms=1500", hello=False)
        self.assertEqual(ws.read()["heartbeat_ms"], 1500)
        beat = ws.read()
        self.assertEqual((beat["op"], set(beat)), ("heartbeat", {"op", "ts"}))
        self.assertGreater(time.monotonic() - began, 1.3)

    def test_closes_that_the_gateway_begins_have_a_reason_in_plain_words(self):
        for bad, code in ((frame(BINARY, b""), 1003), (frame(TEXT, b"\xff"), 1007), (frame(3), 1002), (frame(TEXT, b"", length=1 << 21), 1009)):
            with self.subTest(code):
                ws = self.ws()
                ws.send_as_far_as_taken(bad)
                self.assertEqual(ws.expect_close(code), [], "and no `closing`, which is for 1001 1008 1011 1013 4xxx")
                self.assertGreater(len(ws.close_reason.split()), 1)


class Drain(unittest.TestCase):
    def test_from_sigterm_on_readyz_is_503_and_the_listener_goes_on_answering_http_until_the_drain_ends(self):
        for shards in ("1", "3"):
            with self.subTest(shards=shards), Gateway("--shards", shards, "--deadline.close-ms", "8000") as gateway:
                gateway.publish("drain.a")
                ws = Ws(gateway.port, "/v1/ws?topics=drain.a,drain.*&mode=every", add=[API_KEY])
                raw = Ws(gateway.port, "/v1/ws?topics=drain.a&format=raw")
                self.assertEqual([ws.read()["op"], ws.read()["op"], ws.read()["seq"], raw.read_message()[1]], ["hello", "subscribed", 1, b"1"])
                gateway.signal(signal.SIGTERM)
                closing = ws.read()
                self.assertEqual((closing["op"], closing["reason"]), ("closing", "shutdown"))
                with self.assertRaises(Closed) as closed:
                    ws.read()
                self.assertEqual(closed.exception.code, 1001)
                self.assertTrue(closed.exception.reason)
                with self.assertRaises(Closed) as closed:
                    raw.read_message()
                self.assertEqual(closed.exception.code, 1001)
                self.assertTrue(closed.exception.reason)
                ready = gateway.fetch("GET", "/readyz")
                self.assertEqual((ready.status, ready.code), (503, "shutting_down"))
                self.assertIsNotNone(ready.header("Retry-After"))
                self.assertEqual(gateway.fetch("HEAD", "/readyz").status, 503)
                self.assertEqual(gateway.fetch("GET", "/healthz").status, 200)
                gateway.publish("drain.b")
                gateway.publish_many([("drain.a", 2)])
                self.assertEqual(gateway.fetch("GET", "/v1/topics?prefix=drain").json(), {"topics": ["drain.a", "drain.b"]})
                self.assertEqual(len(gateway.history("drain.a")), 2)
                self.assertEqual(gateway.fetch("DELETE", "/v1/topics/drain.b", [API_KEY]).status, 204)
                for one in (ws, raw):
                    one.send_frame(CLOSE, close_payload(1001))
                    one.expect_end()
                    one.close()
                gateway.wait()


if __name__ == "__main__":
    unittest.main()
