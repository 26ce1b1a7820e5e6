"""PROTOCOL.md, "Endpoints", held to the letter over plain HTTP and Server-Sent Events, on one shard and on three. The index goes on here
(see test_protocol.py); `:` alone stands for this file.

  GET /v1/ws …, its query                        test_protocol Wire, test_session HelloTest
  GET /v1/stream …                               :Streams, test_stream; in browsers test_stream_browser
  GET /v1/topics/{topic} …                       :Reading.test_newest_update…
  DELETE /v1/topics/{topic} …                    :Reading.test_delete_…, test_patterns DeleteTest, test_shards test_deleting_is_seen…
  GET …/history …                                :Reading.test_history_…, test_http ReadingTest.test_history_…
  GET /v1/last …                                 :Reading.test_last_…
  GET /v1/topics?prefix=&after=&limit=           :Reading.test_names_…, test_http ReadingTest.test_names_…
  POST /v1/topics/{topic} …                      :Publishing.test_publish_answers…
  POST /v1/publish …                             :Publishing.test_lines_are_counted…, …test_publish_many…, …test_no_credential_at_all…, test_http PublishManyTest
  GET /healthz, /readyz                          :Reading.test_healthz_and_readyz…, test_protocol Drain
  GET /metrics                                   :Reading.test_healthz_and_readyz…, test_metrics
  GET /v1/echo                                   test_frames, test_handshake
  HTTP errors are {"error":…} with the status    :Http11.test_each_status…, :Deadlines; 503: test_protocol Drain, test_stream, test_breakage
  The request line and headers together …        :Http11.test_the_request_line…
  an error is still readable …                   :Http11.test_a_declared_body…, test_http ConnectionTest.test_an_error_is_readable…
  Unknown query parameters are ignored, …        :Reading.test_unknown_query_parameters…, test_protocol Wire.test_unknown_query_parameters…
  a `limit` outside 1 to 1000, an empty `topics=` :Reading.test_history_…, …test_last_…, …test_names_…
  `/healthz` and `/readyz` don't look at credentials; Authorization counts   :Reading.test_healthz…, …test_where_both_headers…
  HEAD is answered where GET is                  :Reading.test_head_…
  keep-alive and pipelining; HTTP/1.0            :Http11.test_pipelining…, …test_http_1_0…, test_http ConnectionTest
  Rights are judged before the topic, …          :Publishing.test_rights_before…
"""
import json
import unittest
from urllib.parse import quote

from client import chunked, handshake, http_request, path_of
from contract import on_one_shard_and_three
from gateway import API_KEY, BEARER, KEY, Gateway, GatewayTest
from sse import Sse, query_of

ADMIN = "protocol-admin-key-55d0"
ADMIN_KEY = ("X-API-Key", ADMIN)


@on_one_shard_and_three
class Reading:
    flags = ("--auth.admin-key", ADMIN)

    def pages(self, **query):
        """All names, page by page, and how many each page had."""
        names, sizes, after = [], [], None
        while True:
            rest = {**query, **({"after": after} if after is not None else {})}
            page = self.fetch("GET", "/v1/topics?" + "&".join(f"{k}={quote(str(v), safe='')}" for k, v in rest.items())).json()
            names += page["topics"]
            sizes.append(len(page["topics"]))
            self.assertLessEqual(set(page), {"topics", "next"})
            if "next" not in page:
                return names, sizes
            self.assertEqual(page["next"], page["topics"][-1])
            after = page["next"]

    def test_newest_update_404_where_there_is_none(self):
        topics, _ = self.several("newest")
        for topic in topics:
            self.assertError(self.fetch("GET", path_of(topic)), 404, "not_found")
            self.assertEqual(self.fetch("HEAD", path_of(topic)).status, 404)
            self.ws(f"/v1/ws?topics={topic}").read()
            self.assertError(self.fetch("GET", path_of(topic)), 404, "not_found")
            epoch = self.fill(topic, "kdd")
            got = self.fetch("GET", path_of(topic))
            self.assertEqual(list(got.json()), ["topic", "epoch", "seq", "ts", "data"])
            self.assertEqual({k: v for k, v in got.json().items() if k != "ts"}, {"topic": topic, "epoch": epoch, "seq": 3, "data": 3})

    def test_delete_forgets_the_topic_204_or_404_and_its_next_life_has_a_new_epoch(self):
        topics, base = self.several("del")
        for topic in topics:
            self.assertError(self.fetch("DELETE", path_of(topic), [API_KEY]), 404, "not_found")
            epochs = {self.fill(topic, "ddd")}
            for _ in range(3):
                response = self.fetch("DELETE", path_of(topic), [API_KEY])
                self.assertEqual((response.status, response.body), (204, b""))
                self.assertError(self.fetch("DELETE", path_of(topic), [API_KEY]), 404, "not_found")
                for path in (path_of(topic), path_of(topic, "/history")):
                    self.assertError(self.fetch("GET", path), 404, "not_found")
                self.assertEqual(self.fetch("GET", f"/v1/last?topics={topic}").json(), {"updates": []})
                self.assertNotIn(topic, self.fetch("GET", f"/v1/topics?prefix={base}").json()["topics"])
                acked = self.publish(topic)
                self.assertEqual(acked["seq"], 1)
                self.assertNotIn(acked["epoch"], epochs)
                epochs.add(acked["epoch"])

    def test_delete_asks_for_the_publishing_right_before_the_topic(self):
        topic = self.topic()
        self.publish(topic)
        for path in (path_of(topic), path_of("a..b"), path_of("never.was")):
            self.assertError(self.fetch("DELETE", path), 401, "unauthorized")
            self.assertError(self.fetch("DELETE", path, [("X-API-Key", "wrong")]), 401, "unauthorized")
        self.assertError(self.fetch("DELETE", path_of("a..b"), [API_KEY]), 400, "bad_topic")
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 200)

    def test_history_oldest_first_those_after_after_at_most_limit(self):
        topics, _ = self.several("history", 3)
        for topic in topics:
            epoch = self.fill(topic, "d" * 150)
            for query, seqs in (("", range(1, 101)), ("limit=1000", range(1, 151)), ("after=149", [150]), ("after=150", []), ("after=9223372036854775807", []), ("after=9007199254740993", []), ("after=0&limit=1", [1]), ("after=50&limit=7", range(51, 58)), ("limit=1&after=149&x=1", [150]), ("l%69mit=2", [1, 2])):
                with self.subTest(query):
                    response = self.fetch("GET", path_of(topic, f"/history?{query}"))
                    self.assertEqual(response.status, 200, response)
                    got = response.json()
                    self.assertEqual((got["topic"], got["epoch"], [u["seq"] for u in got["updates"]]), (topic, epoch, list(seqs)))
                    self.assertTrue(all(set(u) == {"seq", "ts", "data"} for u in got["updates"]))
            for query in ("limit=0", "limit=1001", "limit=", "limit=-1", "limit=+1", "limit=1.0", "limit=1e2", "limit=0x10", "limit=%201", "after=", "after=-1", "after=x", "after=1&after=1", "limit=5&l%69mit=5"):
                with self.subTest(query):
                    self.assertError(self.fetch("GET", path_of(topic, f"/history?{query}")), 400, "bad_request")

    def test_last_in_the_order_asked_those_without_an_update_left_out_a_pattern_is_bad_topic(self):
        topics, base = self.several("last")
        for topic in topics[:4]:
            self.publish(topic, json.dumps(topic))
        for order in (topics, topics[::-1], [topics[2], topics[5], topics[0]], [topics[1]] * 3, [topics[4]]):
            with self.subTest(order):
                got = self.fetch("GET", "/v1/last?topics=" + ",".join(order)).json()["updates"]
                self.assertEqual([u["topic"] for u in got], [t for t in dict.fromkeys(order) if t in topics[:4]])
                self.assertEqual([u["data"] for u in got], [u["topic"] for u in got])
        for bad, code in ((f"{base}.*", "bad_topic"), (f"{topics[0]},{base}.%3E", "bad_topic"), ("*", "bad_topic"), ("a.>.b", "bad_topic"), ("", "bad_request"), ("a,", "bad_topic"), (",a", "bad_topic"), ("a%00b", "bad_topic")):
            with self.subTest(bad):
                self.assertError(self.fetch("GET", f"/v1/last?topics={bad}"), 400, code)
        self.assertError(self.fetch("GET", "/v1/last"), 400, "bad_request")

    def test_names_that_have_an_update_in_byte_order_greater_than_after_and_next_only_when_there_is_more(self):
        base = self.topic("names").replace(".", "-")
        tails = ["", "!", "-", ".0", ".00", ".a", ".a.b", "/", "A", "Z", "_", "a", "aa", "z", "~", "é", "ÿ", "日", "﷽", "😀", "\U0010ffff"]
        names = sorted((base + tail for tail in tails), key=str.encode)
        for name in reversed(names):
            self.publish(name)
        deleted = f"{base}.deleted"
        self.publish(deleted)
        self.delete(deleted)
        for limit in (1, 2, 3, 7, len(names) - 1, len(names), len(names) + 1):
            with self.subTest(limit=limit):
                got, sizes = self.pages(prefix=base, limit=limit)
                self.assertEqual(got, names)
                self.assertEqual(len(sizes), -(-len(names) // limit), "no empty last page")
        self.assertEqual(self.pages(prefix=base)[0], names)
        for after in ("", base, names[4], names[4] + "\x01", base + "m", names[-1]):
            with self.subTest(after=after):
                got = self.fetch("GET", f"/v1/topics?prefix={quote(base, safe='')}&after={quote(after, safe='')}").json()
                self.assertEqual(got, {"topics": [n for n in names if n.encode() > after.encode()]})
        for admin in ([], [ADMIN_KEY]):
            self.assertLessEqual(set(names), set(self.fetch("GET", "/v1/topics?limit=1000", admin).json()["topics"]))
        for query in ("limit=0", "limit=1001", "limit=", "limit=x", "prefix=a&prefix=a", "after=a&after=a"):
            self.assertError(self.fetch("GET", f"/v1/topics?{query}"), 400, "bad_request")

    def test_head_is_answered_where_get_is(self):
        topic = self.topic()
        self.publish(topic)
        for path, headers in (("/", []), ("/healthz", []), ("/readyz", []), ("/ringcast.js", []), ("/metrics", []), ("/metrics", [ADMIN_KEY]), (path_of(topic), []), (path_of("never.was"), []), (path_of("a..b"), []), (path_of(topic, "/history?limit=1"), []), (path_of(topic, "/history?limit=0"), []),
                              (f"/v1/last?topics={topic}", []), ("/v1/last", []), ("/v1/topics?limit=3", []), ("/nowhere", []), ("/v1/ws", []), ("/v1/stream", []), ("/v1/publish", []), (path_of(topic), [("X-API-Key", "wrong")])):
            with self.subTest(path, headers=headers):
                http = self.http()
                http.request("HEAD", path, headers).request("GET", path, headers)
                head, get = http.response(to_head=True), http.response()
                self.assertEqual((head.status, head.header("Content-Type")), (get.status, get.header("Content-Type")))
                if not path.startswith(("/metrics", "/v1/topics?")):
                    self.assertEqual(head.header("Content-Length"), get.header("Content-Length"))

    def test_healthz_and_readyz_do_not_look_at_credentials_others_do(self):
        for headers in ([], [("X-API-Key", "wrong")], [("Authorization", "Bearer wrong")], [("Authorization", "Basic eDp5")]):
            for path in ("/healthz", "/readyz"):
                self.assertEqual(self.fetch("GET", path, headers).status, 200)
            if headers:
                for path in (path_of("a"), "/v1/topics", "/v1/last?topics=a", "/v1/stream?topics=a", path_of("a", "/history"), "/metrics"):
                    with self.subTest(path, headers=headers):
                        self.assertError(self.fetch("GET", path, headers), 401, "unauthorized")
        for headers, status in (([], 401), ([API_KEY], 403), ([ADMIN_KEY], 200)):
            self.assertEqual(self.fetch("GET", "/metrics", headers).status, status)

    def test_token_in_the_query_works_everywhere_and_a_header_counts_before_it(self):
        topic = self.topic()
        for query, headers, status in ((f"token={KEY}", [], 200), (f"key=1&t%6fken={KEY}", [], 200), ("token=wrong", [], 401), ("token=", [], 401), (f"token={KEY}&token={KEY}", [], 400), ("token=wrong", [API_KEY], 200), (f"token={KEY}", [("X-API-Key", "wrong")], 401)):
            with self.subTest(query, headers=headers):
                self.assertEqual(self.fetch("POST", path_of(topic, f"?{query}"), headers, b"1").status, status)
                self.assertEqual(self.fetch("POST", f"/v1/publish?{query}", headers, b"").status, status)
                self.assertEqual(self.fetch("GET", path_of(topic, f"?{query}"), headers).status, status)
                self.assertEqual(self.fetch("GET", f"/healthz?{query}", headers).status, 200)
        self.assertEqual(self.fetch("GET", f"/metrics?token={ADMIN}").status, 200)
        self.assertEqual(self.fetch("DELETE", path_of(topic, f"?token={KEY}")).status, 204)

    def test_the_path_of_a_topic_is_one_segment_percent_encoded(self):
        for path, topic in (("/v1/topics/history", "history"), ("/v1/topics/a%2fhistory", "a/history"), ("/v1/topics/%61%2Eb", "a.b"), ("/v1/topics/a+b%2Bc", "a+b+c"), ("/v1/topics/a%25", "a%"), ("/v1/topics/x:y@z;v=1", "x:y@z;v=1"), ("/v1/topics/" + "%C3%A9" * 64, "é" * 64)):
            with self.subTest(path):
                self.assertEqual(self.fetch("POST", path, [API_KEY], b"1").json()["topic"], topic)
                self.assertEqual(self.fetch("GET", path).json()["topic"], topic)
                self.assertEqual(self.fetch("GET", path + "/history").json()["topic"], topic)
                self.assertEqual(self.fetch("DELETE", path, [API_KEY]).status, 204)
        for path, status in (("/v1/topics/a/b", 404), ("/v1/topics//history", 404), ("/v1/topics/", 404), ("/v1/topics/a/", 404), ("/v1/topics/a/history/", 404), ("//v1/topics/a", 404), ("/v1/topics/%2e%2e", 400), ("/v1/topics/a%", 400), ("/v1/topics/a%0", 400), ("/v1/topics/%g0", 400), ("/v1/topics/" + "%C3%A9" * 65, 400), ("/v1/topics/" + "%41" * 600, 400)):
            with self.subTest(path):
                self.assertEqual(self.fetch("GET", path).status, status)

    def test_where_both_headers_are_sent_authorization_counts(self):
        for headers, status in (([BEARER, ("X-API-Key", "x")], 200), ([("X-API-Key", "x"), BEARER], 200), ([("Authorization", "Bearer x"), API_KEY], 401), ([("Authorization", ""), API_KEY], 401), ([("authorization", f"bearer {KEY}")], 200), ([("Authorization", f"Bearer   {KEY}")], 200), ([("Authorization", KEY)], 401)):
            with self.subTest(headers=headers):
                self.assertEqual(self.fetch("POST", path_of("cred"), headers, b"1").status, status)

    def test_unknown_query_parameters_are_ignored_one_given_twice_is_bad_request(self):
        topic = self.topic()
        self.publish(topic)
        for path in (path_of(topic, "?x=1"), path_of(topic, "/history?x=%zz&%zz=1&limit=1"), f"/v1/last?x&x&topics={topic}", "/v1/topics?=&&&limit=1&LIMIT=0", "/healthz?x=1&x=1", f"/v1/topics?prefix={topic}&limit=1"):
            with self.subTest(path):
                self.assertEqual(self.fetch("GET", path).status, 200)
        for path in (path_of(topic, "/history?limit=1&limit=1"), f"/v1/last?topics={topic}&topics={topic}", "/v1/topics?prefix=&prefix=", f"/v1/stream?topics={topic}&mode=every&mode=every"):
            with self.subTest(path):
                self.assertError(self.fetch("GET", path), 400, "bad_request")
        self.assertError(self.fetch("POST", path_of(topic, "?key=1&key=1"), [API_KEY], b"1"), 400, "bad_request")


@on_one_shard_and_three
class Publishing:
    flags = ("--auth.admin-key", ADMIN)

    def many(self, body, headers=(API_KEY,)):
        response = self.fetch("POST", "/v1/publish", list(headers), body)
        self.assertEqual(response.status, 200, response)
        answer = response.json()
        self.assertEqual(list(answer), ["published", "errors"])
        for error in answer["errors"]:
            self.assertEqual(list(error), ["line", "code", "message"])
            self.assertTrue(error["message"])
        return answer["published"], [(error["line"], error["code"]) for error in answer["errors"]]

    def test_publish_answers_topic_epoch_seq_and_key_marks_it(self):
        topics, _ = self.several("pub")
        for topic in topics:
            epoch = None
            for seq, query in enumerate(("", "?key=1", "?key=0", "?k%65y=true", "?key=false&x=1"), 1):
                response = self.fetch("POST", path_of(topic, query), [API_KEY], b"%d" % seq)
                answer = response.json()
                epoch = epoch or answer["epoch"]
                self.assertEqual(answer, {"topic": topic, "epoch": epoch, "seq": seq})
            ws = self.ws()
            self.subscribe(ws, topic, mode="every")
            self.assertSeqs(ws, topic, [4, 5])

    def test_rights_before_the_topic_the_topic_before_the_payload_and_the_query(self):
        big = b'"' + b"x" * 100000 + b'"'
        for headers, path, body, status, code in [
            ([], path_of("a..b"), b"{", 401, "unauthorized"), ([], path_of("a", "?key=x"), b"1", 401, "unauthorized"), ([], "/v1/topics/%zz", b"1", 401, "unauthorized"), ([], path_of("a"), big, 401, "unauthorized"), ([], path_of("$x"), big, 401, "unauthorized"),
            ([API_KEY], path_of("a..b"), b"{", 400, "bad_topic"), ([API_KEY], path_of("a..b"), big, 400, "bad_topic"), ([API_KEY], path_of("$x"), big, 400, "bad_topic"), ([API_KEY], path_of("x" * 129), big, 400, "bad_topic"), ([API_KEY], path_of("a.*"), b"", 400, "bad_topic"),
            ([API_KEY], path_of("a"), b"{", 400, "bad_payload"), ([API_KEY], path_of("a"), b"", 400, "bad_payload"), ([API_KEY], path_of("a"), big, 413, "too_large"), ([API_KEY], path_of("a"), b'"' + b"x" * 65535 + b'"', 413, "too_large"),
        ]:
            with self.subTest(path=path[:40], code=code, size=len(body)):
                http = self.http()
                http.send_as_far_as_taken(http_request(self.port, "POST", path, headers, body))
                self.assertError(http.response(), status, code)

    def test_lines_are_counted_from_1_empty_ones_skipped_but_counted_a_bad_line_stops_none(self):
        topics, _ = self.several("lines", 9)
        good = [b'{"topic":"%s","data":1}' % topic.encode() for topic in topics]
        for body, expected, why in [
            (b"\n".join(good), (9, []), "of all shards"), (b"\n\n" + good[0] + b"\n\r\n \t\nx\n" + good[1], (2, [(6, "bad_json")]), "empty lines, of blanks too"), (b"\xef\xbb\xbf" + good[0] + b"\n" + good[1], (1, [(1, "bad_json")]), "a byte order mark"),
            (good[0] + b"\r" + good[1], (0, [(1, "bad_json")]), "CR alone is no line end"), (b'{"topic":"lines.x",\n"data":1}\n' + good[0], (1, [(1, "bad_json"), (2, "bad_json")]), "an object over two lines is two bad ones"),
            (b'"x"\n[]\nnull\n7\n{}\n', (0, [(n, "bad_request") for n in (1, 2, 3, 4, 5)]), "what is no object"), (b'{"topic":"a","topic":"a","data":1}\n{"topic":"lines.y","data":1,"d\\u0061ta":2}', (0, [(1, "bad_request"), (2, "bad_request")]), "a known key twice"),
            (b'{"topic":"$x","data":1}\n{"topic":"a..b","data":1}\n{"topic":"q.*","data":1}\n{"topic":"%s","data":1}' % (b"x" * 129), (0, [(n, "bad_topic") for n in (1, 2, 3, 4)]), "bad names"),
            (b'{"topic":"lines.z","data":"%s"}\n' % (b"x" * 65535) + good[0], (1, [(1, "too_large")]), "a payload a byte too large"), (b'{"topic":"lines.z","data":"%s"}\n' % (b"x" * (1 << 20)) + good[0], (1, [(1, "too_large")]), "a line beyond limits.message"),
            (b'{"topic":"lines.z","data":%s1%s}\n' % (b"[" * 65, b"]" * 65) + good[0], (1, [(1, "bad_payload")]), "too deep"), (b'{"topic":"lines.z","data":\xff}\n' + good[0], (1, [(1, "bad_json")]), "no UTF-8"), (b'{"topic":"lines.z","data":1,"key":1}', (0, [(1, "bad_request")]), "a key that is no boolean"),
            (b'{"op":"ping","id":[],"topic":"lines.w","data":1}', None, "members of other requests"), (b"\n" * 5000 + b"x", (0, [(5001, "bad_json")]), "thousands of empty lines"), (b"x\n" * 3 + b"\n" + b"y", (0, [(1, "bad_json"), (2, "bad_json"), (3, "bad_json"), (5, "bad_json")]), "the last line without an end"),
        ]:
            with self.subTest(why):
                got = self.many(body)
                if expected is not None:
                    self.assertEqual((got[0], sorted(got[1])), expected)
        self.assertEqual(self.many(b"".join(b"%s\nx\n" % line for line in good * 20))[0], 180)

    def test_publish_many_marks_keys_and_keeps_the_order_of_each_topic(self):
        topics, _ = self.several("many")
        lines = [b'{"topic":"%s","data":%d,"key":%s}' % (topic.encode(), n, b"true" if n == 30 else b"false") for n in range(1, 41) for topic in topics]
        self.assertEqual(self.many(b"\n".join(lines)), (240, []))
        for topic in topics:
            self.assertEqual([(u["seq"], u["data"]) for u in self.gateway.history(topic)], [(n, n) for n in range(1, 41)])
            ws = self.ws()
            self.subscribe(ws, topic, mode="every")
            self.assertSeqs(ws, topic, range(30, 41))

    def test_no_credential_at_all_is_401_for_the_whole(self):
        for headers in ([], [("X-API-Key", "wrong")], [("Authorization", "Bearer ")]):
            for body in (b"", b"x", b'{"topic":"whole","data":1}'):
                self.assertError(self.fetch("POST", "/v1/publish", headers, body), 401, "unauthorized")
        self.assertEqual(self.many(b'{"topic":"whole","data":1}', [ADMIN_KEY]), (1, []))


@on_one_shard_and_three
class Http11:
    """Statuses, codes, and how connections live."""
    flags = ("--echo",)

    def test_each_status_with_its_code(self):
        for request, status, code, why in [
            (http_request(self.port, "GET", "/v1/topics/%zz"), 400, ("bad_request", "bad_topic"), "a broken escape"), (b"GET / HTTP/1.1\r\n\r\n", 400, ("bad_request",), "no Host"), (http_request(self.port, "POST", path_of("a"), [], b"1"), 401, ("unauthorized",), "no key"),
            (handshake(self.port, add=[("Origin", "http://elsewhere.example")]), 403, ("forbidden",), "a foreign page"), (http_request(self.port, "GET", "/v1/"), 404, ("not_found",), "nothing there"), (http_request(self.port, "GET", "/v1/topics/"), 404, ("not_found",), "no topic"),
            (http_request(self.port, "PUT", path_of("a"), [API_KEY], b"1"), 405, ("bad_request",), "PUT"), (http_request(self.port, "DELETE", "/healthz"), 405, ("bad_request",), "DELETE of no topic"), (http_request(self.port, "PATCH", "/v1/ws", [], b""), 405, ("bad_request",), "PATCH"),
            (http_request(self.port, "POST", path_of("a"), [API_KEY]), 411, ("bad_request",), "no length"), (http_request(self.port, "POST", "/v1/publish", [API_KEY]), 411, ("bad_request",), "no length of lines"),
            (http_request(self.port, "POST", "/v1/publish", [API_KEY, ("Content-Length", str(8 * 1024 * 1024 + 1))]), 413, ("too_large",), "a body declared too large"), (http_request(self.port, "POST", path_of("a"), [API_KEY, ("Content-Length", "1000000")]), 413, ("too_large",), "a payload declared too large"),
            (http_request(self.port, "GET", "/" + "x" * 17000), 414, ("too_large",), "a long line"), (http_request(self.port, "GET", "/" + "x" * 9000, [("X", "x" * 9000)]), 431, ("too_large",), "line and headers together"), (http_request(self.port, "GET", "/", [("X", "x" * 17000)]), 431, ("too_large",), "a long header"),
            (http_request(self.port, "GET", "/v1/ws"), 426, ("bad_request",), "no upgrade"), (handshake(self.port, change={"Sec-WebSocket-Version": "12"}), 426, ("bad_request",), "an old version"), (handshake(self.port, change={"Sec-WebSocket-Key": "x"}), 400, ("bad_request",), "no key of a handshake"),
        ]:
            with self.subTest(why):
                http = self.http()
                http.send_as_far_as_taken(request)
                response = http.response()
                self.assertError(response, status, *code)
                self.assertEqual(set(response.json()), {"error"})
                self.assertEqual(set(response.json()["error"]), {"code", "message"})
                if status == 405:
                    self.assertIn("GET", response.header("Allow"))
                if status == 413:
                    self.assertEqual(response.header("Connection").lower(), "close")
                if status == 426:
                    self.assertEqual((response.header("Upgrade"), response.header("Sec-WebSocket-Version")), ("websocket", "13"))

    def test_the_request_line_and_headers_together_are_at_most_limits_head(self):
        fixed = len(http_request(self.port, "GET", "/healthz", [("X", "")]))
        for size, status in ((16 * 1024, 200), (16 * 1024 + 1, 431)):
            self.assertEqual(self.fetch("GET", "/healthz", [("X", "x" * (size - fixed))]).status, status)
        fixed = len("GET /healthz? HTTP/1.1\r\n")
        for size, status in ((16 * 1024 - 30, (200, 431)), (16 * 1024 + 1, (414,))):
            self.assertIn(self.fetch("GET", "/healthz?" + "x" * (size - fixed)).status, status)

    def test_a_declared_body_beyond_its_limit_is_refused_at_once_and_read_by_who_sends_all_first(self):
        for path in ("/v1/publish", path_of("a")):
            for sent in (0, 9 << 20):
                with self.subTest(path, sent=sent):
                    http = self.http()
                    http.send_as_far_as_taken(http_request(self.port, "POST", path, [API_KEY, ("Content-Length", str(9 << 20))]) + b"\n" * sent)
                    response = http.response()
                    self.assertError(response, 413, "too_large")
                    self.assertEqual(response.header("Connection").lower(), "close")
                    http.half_close().expect_end()

    def test_who_waits_with_the_body_for_100_gets_the_error_at_once(self):
        for path, headers, status in ((path_of("a"), [], 401), (path_of("a..b"), [API_KEY], 400), ("/nowhere", [], 404), ("/v1/publish", [], 401), ("/healthz", [], 405), ("/v1/publish", [API_KEY, ("Content-Length", str(9 << 20))], 413)):
            for length in ([("Content-Length", "10")], [("Transfer-Encoding", "chunked")]):
                with self.subTest(path, status=status, length=length):
                    http = self.http()
                    http.request("POST", path, [*headers, ("Expect", "100-continue"), *(length if status != 413 else [])])
                    self.assertEqual(http.response(3).status, status)
                    http.half_close().expect_end()

    def test_pipelining_of_all_kinds_of_requests_is_answered_in_order(self):
        topics, base = self.several("pipe", 9)
        http = self.http()
        requests, expected = [], []
        for n, topic in enumerate(topics * 3):
            for method, path, headers, body, status in (("POST", path_of(topic), [API_KEY], b"%d" % n, 200), ("HEAD", path_of(topic), [], None, 200), ("GET", path_of(topic), [], None, 200), ("POST", path_of(topic), [API_KEY, ("Transfer-Encoding", "chunked")], chunked(b"{", b"}"), 200),
                                                        ("POST", path_of(topic), [API_KEY], b"{", 400), ("POST", path_of(topic), [], b"x" * 1000, 401), ("GET", "/nowhere", [], None, 404), ("PUT", path_of(topic), [API_KEY], b"x", 405), ("GET", f"/v1/last?topics={','.join(topics)}", [], None, 200),
                                                        ("POST", "/v1/publish", [API_KEY], b"x\n\n", 200), ("GET", f"/v1/topics?prefix={base}&limit=2", [], None, 200), ("GET", "/v1/topics?limit=0", [], None, 400), ("DELETE", path_of(topic), [API_KEY], None, 204)):
                requests.append(http_request(self.port, method, path, headers, body))
                expected.append((method, status))
        http.send(b"".join(requests))
        self.assertEqual([(method, http.response(to_head=method == "HEAD").status) for method, _ in expected], expected)

    def test_http_1_0_is_answered_and_closed_never_upgraded(self):
        topic = self.topic()
        for method, path, headers, body, status in (("POST", path_of(topic), [API_KEY], b"1", 200), ("GET", path_of(topic), [("Connection", "keep-alive")], None, 200), ("GET", "/nowhere", [], None, 404), ("POST", "/v1/publish", [API_KEY], b"x", 200), ("HEAD", "/healthz", [], None, 200)):
            with self.subTest(path):
                http = self.http()
                http.request(method, path, headers, body, version="HTTP/1.0")
                self.assertEqual(http.response(to_head=method == "HEAD").status, status)
                http.expect_end()
        for path in ("/v1/ws", "/v1/echo"):
            http = self.http()
            http.send(handshake(self.port, path, version="HTTP/1.0"))
            self.assertError(http.response(), (400, 426), "bad_request")
            http.expect_end()

    def test_a_body_where_none_is_asked_for_does_not_become_the_next_request(self):
        for method, path in (("GET", "/healthz"), ("GET", "/v1/topics"), ("HEAD", "/healthz"), ("DELETE", path_of("never.was")), ("GET", "/nowhere")):
            with self.subTest(method=method, path=path):
                http = self.http()
                http.request(method, path, [API_KEY], b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").half_close()
                http.response(to_head=method == "HEAD")
                http.expect_end()


class Deadlines(GatewayTest):
    flags = ("--deadline.head-ms", "300", "--deadline.body-ms", "300")

    def test_408_carries_bad_request_for_a_head_and_for_a_body(self):
        for begun in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", http_request(self.port, "POST", "/v1/topics/a", [API_KEY, ("Content-Length", "10")]) + b"1", http_request(self.port, "POST", "/v1/publish", [API_KEY, ("Transfer-Encoding", "chunked")]) + b"5\r\n12"):
            with self.subTest(begun[:20]):
                http = self.http()
                self.assertError(http.send(begun).response(), 408, "bad_request")
                http.expect_end()
        self.assertEqual(self.fetch("GET", "/v1/topics/a").status, 404)


@on_one_shard_and_three
class Streams:
    """/v1/stream."""
    flags = ("--topics.window", "50", "--topics.window-bytes", "65536")
    LARGE = '"' + "x" * 1000 + '"'

    def stream(self, query, **how):
        sse = Sse(self.port, query, **how)
        self.addCleanup(sse.close)
        self.assertEqual(sse.status, 200)
        hello = sse.read()
        self.assertEqual((hello["op"], type(hello["heartbeat_ms"])), ("hello", int))
        return sse

    def test_the_same_stream_with_the_same_query_byte_for_byte(self):
        topics, base = self.several("same")
        for topic in topics[:3]:
            self.fill(topic, "kdd")
        for query in (f"topics={topics[0]},{topics[5]}&mode=every", f"topics={base}.*&mode=every", f"topics={topics[0]}&snapshot=0", f"topics={topics[1]}&mode=latest&max_hz=1000", f"topics={topics[1]}&heartbeat_ms=30000&x=1&format=raw&batch=x"):
            with self.subTest(query):
                sse, ws = self.stream(query), self.ws("/v1/ws?" + query.split("&x=")[0])
                until = self.publish(topics[0] if topics[0] in query or "*" in query else topics[1], '{"end":true}')["seq"]
                streams = []
                for reader in (sse, ws):
                    came = []
                    while not (came and came[-1].is_update and came[-1]["seq"] == until and came[-1]["data"] == {"end": True}):
                        came.append(reader.read())
                    by_topic = {}
                    for message in came:
                        by_topic.setdefault(message.get("topic"), []).append(message.raw)
                    streams.append(by_topic)
                self.assertEqual(streams[0][None], streams[1][None], "the ack")
                for topic in set(streams[0]) & set(streams[1]):
                    shorter = min(len(streams[0][topic]), len(streams[1][topic]))
                    self.assertEqual(streams[0][topic][:shorter], streams[1][topic][:shorter])

    def test_faults_of_its_query_get_a_status(self):
        for query, status, code in (("", 400, "bad_request"), ("topics=", 400, "bad_request"), ("topics=a&mode=x", 400, "bad_request"), ("topics=a&max_hz=1&mode=every", 400, "bad_request"), ("topics=a&snapshot=2", 400, "bad_request"), ("topics=a&heartbeat_ms=999", 400, "bad_request"), ("topics=a&heartbeat_ms=60001", 400, "bad_request"),
                                    ("topics=a,,b", 400, "bad_topic"), ("topics=a.>.b", 400, "bad_topic"), ("topics=a&topics=b", 400, "bad_request"), ("topics=a&token=x", 401, "unauthorized"), ("topics=" + ",".join(f"a{n}" for n in range(101)), 400, "bad_request")):
            with self.subTest(query[:40]):
                self.assertError(self.fetch("GET", f"/v1/stream?{query}"), status, code)
                self.assertEqual(self.fetch("HEAD", f"/v1/stream?{query}").status, status)

    def test_last_event_id_resumes_into_deltas_and_out_of_the_window(self):
        topic = self.topic()
        epoch = self.fill(topic, "kddkdd")
        for seq, mode, seqs in ((1, "every", range(2, 7)), (5, "every", [6]), (6, "every", []), (1, "latest", range(4, 7)), (5, "latest", [6])):
            with self.subTest(seq=seq, mode=mode):
                sse = self.stream(query_of(topic, mode=mode), last_id=f"{epoch}:{seq}:{topic}")
                self.assertOp(sse.read(), op="subscribed", topics=[{"topic": topic, "epoch": epoch, "seq": 6, "resumed": True}])
                self.assertSeqs(sse, topic, seqs)
                sse.close()
        self.gateway.publish_many((topic, self.LARGE, n % 10 == 0) for n in range(7, 607))
        oldest = self.gateway.oldest(topic)
        sse = self.stream(query_of(topic, mode="every"), last_id=f"{epoch}:5:{topic}")
        self.assertEqual(sse.read()["op"], "subscribed")
        gap = sse.read()
        self.assertEqual((gap["op"], gap["topic"], gap["from"]), ("gap", topic, 6))
        self.assertGreaterEqual(gap["to"] + 1, oldest)
        self.assertEqual((gap["to"] + 1) % 10, 0, "it goes on from a key")
        self.assertSeqs(sse, topic, range(gap["to"] + 1, 607))


class FullTest(unittest.TestCase):
    def test_without_any_key_publishing_over_the_network_is_off_and_the_error_says_how_to_turn_it_on(self):
        with Gateway("--shards", "3", key=None) as gateway:
            for method, path, body in (("POST", "/v1/topics/a", b"1"), ("POST", "/v1/publish", b""), ("DELETE", "/v1/topics/a", None)):
                response = gateway.fetch(method, path, [], body)
                self.assertIn(response.status, (401, 403))
                self.assertIn("auth.publish-key", response.message)
            self.assertEqual(gateway.fetch("GET", "/metrics").status, 200, "no key is set and the listener is loopback")


if __name__ == "__main__":
    unittest.main()
