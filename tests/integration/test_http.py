"""HTTP/1.1 as a user meets it: reading, publishing, faults; and as an attacker does: framing that two readers could take differently."""
import json
import time
import unittest
from urllib.parse import quote

from client import PATIENCE, Http, TooLate, chunked, deadline_in, http_request, path_of
from gateway import API_KEY, BEARER, KEY, Gateway, GatewayTest

GOOD_NAMES = [
    "A", "AAPL", "crypto.BTC/USD", "chat.room-7", "a+b", "a&b=c", "a%b", "a?b#c", "a;b:c@d", "'a'", "{a}", "[a]", "a|b^c`d~e", "x/history", "é", "日本.東京", "😀.a",
    "\u00a1", "\u2027", "\u2030", "\ufeff", "-", "_", "0", "a.$b", "x" * 128, "é" * 64, ".".join("a" * 64),
]
BAD_NAMES = [
    (".", "no token at all"), ("a.", "the last token is empty"), (".a", "the first token is empty"), ("a..b", "a token between is empty"),
    (" ", "a space"), ("a b", "a space within"), ("a,b", "a comma"), ("a*", "a star"), ("*", "a star alone"), ("a.*", "a star as token"),
    (">", "a greater-than alone"), ("a.>", "a greater-than at the end"), ("a>b", "a greater-than within"), ('a"b', "a quotation mark"), ("a\\b", "a backslash"),
    ("\x00", "NUL"), ("a\tb", "a tabulator"), ("a\nb", "a line feed"), ("a\rb", "a carriage return"), ("a\x1fb", "U+001F"), ("a\x7f", "DEL"),
    ("a\u0080", "U+0080"), ("a\u0085b", "U+0085"), ("a\u009f", "U+009F"), ("a\u00a0b", "U+00A0"), ("a\u2028b", "U+2028"), ("a\u2029b", "U+2029"),
    ("x" * 129, "129 bytes"), ("é" * 64 + "x", "129 bytes of UTF-8"), ("$sys.x", "the gateway's own names"), ("$", "the gateway's own names, the shortest"),
]
GOOD_PAYLOADS = [
    ('{"p":189.32}', None, "an object"), ("[1,2]", None, "an array"), ('"x"', None, "a string"), ("0", None, "a number"), ("null", None, "null"), ("true", None, "true"), ("false", None, "false"),
    ("{}", None, "an empty object"), ("[]", None, "an empty array"), ('""', None, "an empty string"), ("1e400", None, "a number beyond a double"), ("-0", None, "minus nought"), ("1.50E-07", None, "a number keeps its spelling"),
    ("123456789012345678901234567890", None, "a number beyond 64 bits"), ('{"a":1,"a":2}', None, "duplicate names are passed on"), (r'"\ud800"', None, "an unpaired escape is passed on"), (r'"\u0041\/\n"', None, "escapes keep their spelling"),
    ('"é日😀\u2028\ufeff"', None, "UTF-8 as it came"), ('"\x7f"', None, "DEL is no control character of JSON"), ('{ "a" :\t[ 1 , 2 ] }', None, "blanks within stay"),
    ("  \t{}\t ", "{}", "blanks around go"), ("\r\n{}\r\n", "{}", "lines around go"), ('{\r\n"a":\n1\r}', '{  "a": 1 }', "CR and LF between tokens become spaces"),
    (r'"a\r\nb"', None, "escaped line ends stay"), ("[" * 64 + "]" * 64, None, "64 levels"), ('{"a":' * 64 + "1" + "}" * 64, None, "64 levels of objects"), ('"[[[[{{{{"', None, "brackets in a string are no levels"),
]
BAD_PAYLOADS = [
    (b"", "nothing"), (b"  ", "blanks alone"), (b"{", "an open object"), (b"}", "a lone bracket"), (b"{]", "brackets that do not match"), (b"[1,]", "a comma before the end"), (b"[1 2]", "no comma"), (b"{1:2}", "a name that is no string"),
    (b'{"a"}', "a name without a value"), (b'{"a":1,}', "a comma before the brace"), (b"{} {}", "two values"), (b"1 2", "two numbers"), (b"nul", "a word cut short"), (b"True", "a word of Python"), (b"NaN", "NaN"), (b"Infinity", "Infinity"),
    (b"01", "a leading nought"), (b"+1", "a plus"), (b".5", "no digit before the point"), (b"5.", "no digit after the point"), (b"1e", "no digit in the exponent"), (b"0x10", "hexadecimal"), (b"-", "a minus alone"), (b"'a'", "single quotation marks"),
    (b'"a', "an open string"), (b'"\\x41"', "an unknown escape"), (b'"\\u12g4"', "an escape that is not hexadecimal"), (b'"a\nb"', "a line end in a string"), (b'"\x00"', "NUL in a string"), (b'"\x1f"', "a control character in a string"),
    (b"\xef\xbb\xbf{}", "a byte order mark"), (b'"\xff"', "not UTF-8"), (b'"\xc0\x80"', "overlong UTF-8"), (b'"\xed\xa0\x80"', "a surrogate in UTF-8"), (b'"\xf4\x90\x80\x80"', "beyond U+10FFFF"), (b'"\xe2\x82"', "UTF-8 cut short"),
    (b"[" * 65 + b"]" * 65, "65 levels"), (b'{"a":' * 65 + b"1" + b"}" * 65, "65 levels of objects"), (b"[" * 60000, "60,000 open brackets"), (b"/**/1", "a comment"), (b"\x0b1", "a vertical tabulator"), (b"\xc2\xa01", "a no-break space"),
]


class ReadingTest(GatewayTest):
    flags = ("--topics.window", "2000", "--topics.window-bytes", "4194304")

    def test_newest_is_the_last_update_published(self):
        topic = self.topic()
        for n in range(1, 4):
            acked = self.publish(topic, '{"n":%d}' % n)
        response = self.fetch("GET", path_of(topic))
        self.assertEqual(response.status, 200, response)
        self.assertIn("application/json", response.header("Content-Type"))
        newest = response.json()
        self.assertEqual(set(newest), {"topic", "epoch", "seq", "ts", "data"})
        self.assertEqual((newest["topic"], newest["epoch"], newest["seq"], newest["data"]), (topic, acked["epoch"], 3, {"n": 3}))
        self.assertEqual(len(newest["epoch"]), 8)

    def test_a_topic_without_an_update_is_not_found(self):
        for path in (path_of("never.was"), path_of("never.was", "/history")):
            with self.subTest(path):
                self.assertError(self.fetch("GET", path), 404, "not_found")

    def test_history_is_oldest_first_after_a_seq_and_at_most_limit(self):
        topic = self.topic()
        self.gateway.publish_many((topic, str(n)) for n in range(1, 1201))
        for query, first, count in [
            ("", 1, 100), ("?limit=1", 1, 1), ("?limit=1000", 1, 1000), ("?after=0", 1, 100), ("?after=1", 2, 100), ("?after=1000&limit=1000", 1001, 200), ("?limit=3&after=7", 8, 3),
            ("?after=1199", 1200, 1), ("?after=1200", 0, 0), ("?after=5000", 0, 0), ("?after=4&limit=2&unknown=x", 5, 2), ("?", 1, 100),
        ]:
            with self.subTest(query):
                response = self.fetch("GET", path_of(topic, "/history" + query))
                self.assertEqual(response.status, 200, response)
                got = response.json()
                self.assertEqual(set(got), {"topic", "epoch", "updates"})
                self.assertEqual([u["seq"] for u in got["updates"]], list(range(first, first + count)))
                self.assertEqual([u["data"] for u in got["updates"]], list(range(first, first + count)))
        stamps = [u["ts"] for u in self.gateway.history(topic)]
        self.assertEqual(stamps, sorted(stamps), "ts never decreases within a topic")

    def test_queries_out_of_bounds_are_bad_requests(self):
        topic = self.topic()
        self.publish(topic)
        for path in [
            path_of(topic, "/history?limit=0"), path_of(topic, "/history?limit=1001"), path_of(topic, "/history?limit=x"), path_of(topic, "/history?limit=-1"), path_of(topic, "/history?limit="),
            path_of(topic, "/history?limit=99999999999999999999"), path_of(topic, "/history?limit=1.5"), path_of(topic, "/history?after=x"), path_of(topic, "/history?after=-1"), path_of(topic, "/history?after=1&after=2"), path_of(topic, "/history?limit=1&limit=1"),
            "/v1/topics?limit=0", "/v1/topics?limit=1001", "/v1/topics?limit=x", "/v1/topics?prefix=a&prefix=b", "/v1/topics?limit=5&limit=5", "/v1/last?topics=", "/v1/last?topics=A&topics=B", "/v1/last",
        ]:
            with self.subTest(path):
                self.assertError(self.fetch("GET", path), 400, "bad_request")

    def test_names_come_in_byte_order_page_by_page(self):
        prefix = self.topic("names") + "."
        names = sorted((prefix + tail for tail in ["a", "A", "Z", "z", "10", "9", "é", "ﬀ", "😀", "a.b", "a-b", "aa", "a/b"]), key=str.encode)
        for name in reversed(names):
            self.publish(name)
        self.ws(path="/v1/ws?topics=" + prefix + "unborn")  # followed, but without an update: not a name

        def page(**query):
            response = self.fetch("GET", "/v1/topics?" + "&".join(f"{k}={quote(str(v), safe='')}" for k, v in query.items()))
            self.assertEqual(response.status, 200, response)
            return response.json()

        self.assertEqual(page(prefix=prefix), {"topics": names})
        for limit in (1, 2, 5, len(names) - 1):
            with self.subTest(limit=limit):
                got, after = [], ""
                while True:
                    one = page(prefix=prefix, after=after, limit=limit)
                    got += one["topics"]
                    self.assertLessEqual(len(one["topics"]), limit)
                    if "next" not in one:
                        break
                    self.assertEqual(one["next"], one["topics"][-1])
                    after = one["next"]
                self.assertEqual(got, names)
        self.assertEqual(page(prefix=prefix, limit=len(names)), {"topics": names}, "next only when there is more")
        self.assertEqual(page(prefix=prefix, after=names[-1]), {"topics": []})
        self.assertEqual(page(prefix=prefix, after=names[3] + "!")["topics"], [n for n in names if n.encode() > names[3].encode() + b"!"], "after need not be a name")
        self.assertEqual(page(prefix=prefix + "nothing"), {"topics": []})
        everything = page(limit=1000)["topics"]
        self.assertTrue(set(names) <= set(everything), "no prefix: all names")
        self.assertFalse([n for n in everything if n.startswith("$")], "$ names are for the admin key")

    def test_last_answers_in_the_order_asked_and_leaves_out_the_unborn(self):
        a, b, c = (self.topic("last") for _ in "abc")
        for name in (a, b, c, c):
            self.publish(name, json.dumps(name))
        response = self.fetch("GET", f"/v1/last?topics={c},never.was,{a},{b}&unknown=1")
        self.assertEqual(response.status, 200, response)
        updates = response.json()["updates"]
        self.assertEqual([(u["topic"], u["seq"], u["data"]) for u in updates], [(c, 2, c), (a, 1, a), (b, 1, b)])
        self.assertEqual({frozenset(u) for u in updates}, {frozenset({"topic", "epoch", "seq", "ts", "data"})})
        self.assertEqual(self.fetch("GET", "/v1/last?topics=never.was").json(), {"updates": []})
        for bad in ("a..b", "a,,b", "a.*", "%3E", "a%20b", "%ff"):
            with self.subTest(bad):
                self.assertError(self.fetch("GET", "/v1/last?topics=" + bad), 400, "bad_topic")

    def test_plus_in_a_query_stands_for_itself(self):
        topic = self.topic("a+b")
        self.publish(topic)
        for spelled in (topic, topic.replace("+", "%2B"), topic.replace("+", "%2b")):
            with self.subTest(spelled):
                self.assertEqual(self.fetch("GET", "/v1/last?topics=" + spelled).json()["updates"][0]["topic"], topic)

    def test_a_slash_in_a_topic_is_percent_encoded_in_the_path(self):
        topic = self.topic("crypto.BTC/USD")
        self.publish(topic)
        self.assertEqual(self.fetch("GET", path_of(topic)).json()["topic"], topic)
        self.assertEqual(self.fetch("GET", path_of(topic, "/history")).json()["topic"], topic)
        self.assertError(self.fetch("GET", "/v1/topics/" + topic), 404, "not_found")

    def test_percent_encoding_that_is_none_is_refused(self):
        for path in ("/v1/topics/%zz", "/v1/topics/a%2", "/v1/topics/a%", "/v1/topics/%00", "/v1/topics/%ff", "/v1/topics/a%20b"):
            with self.subTest(path):
                self.assertError(self.fetch("GET", path), 400, "bad_topic", "bad_request")

    def test_bad_names_are_bad_topics_for_reading_too(self):
        for name, why in BAD_NAMES:
            if not name.startswith("$") and name != ".":  # a client may take away a path that is one dot
                with self.subTest(why):
                    self.assertError(self.fetch("GET", path_of(name)), 400, "bad_topic")

    def test_health_and_readiness_are_200_and_look_at_no_credentials(self):
        for path in ("/healthz", "/readyz"):
            for headers in ([], [("Authorization", "Bearer wrong")], [("X-API-Key", "wrong")]):
                with self.subTest(path, headers=headers):
                    self.assertEqual(self.fetch("GET", path, headers).status, 200)

    def test_the_root_serves_a_page(self):
        response = self.fetch("GET", "/")
        self.assertEqual(response.status, 200)
        self.assertIn("text/html", response.header("Content-Type"))
        self.assertIn(b"<html", response.body.lower())

    def test_a_page_that_the_browser_has_is_304(self):
        types = {"/": "text/html", ".js": "text/javascript", "css": "text/css"}
        for path in ("/", "/board.css", "/board.js", "/board_table.js", "/board_history.js", "/board_topic.js", "/board_values.js", "/ringcast.js"):
            with self.subTest(path):
                whole = self.fetch("GET", path)
                self.assertEqual((whole.status, whole.header("Content-Type")), (200, types[path[-3:]] + "; charset=utf-8"))
                etag, policy = whole.header("ETag"), whole.header("Content-Security-Policy")
                self.assertRegex(etag, '^"[0-9a-f]{16}"$')
                self.assertIn("default-src 'none'", policy)
                self.assertNotIn("unsafe", policy)
                for asked in (etag, "W/" + etag, f'"other", {etag}', "*"):
                    again = self.fetch("GET", path, [("If-None-Match", asked)])
                    self.assertEqual((again.status, again.body, again.header("ETag")), (304, b"", etag), asked)
                for asked in ('"other"', etag.strip('"'), etag[:-2] + 'x"', ""):
                    self.assertEqual(self.fetch("GET", path, [("If-None-Match", asked)]).status, 200, asked)
        with self.subTest("with a body, which is read first"):
            self.assertEqual(self.fetch("GET", "/", [("If-None-Match", self.fetch("GET", "/").header("ETag"))], b"body").status, 304)
        with self.subTest("what follows a 304 on the connection"):
            http = self.http()
            http.request("GET", "/", [("If-None-Match", "*")]).request("GET", "/healthz")
            self.assertEqual([http.response().status, http.response().status], [304, 200])

    def test_head_is_answered_where_get_is_without_a_body(self):
        topic = self.topic()
        self.publish(topic, '{"n":1}')
        for path in ("/healthz", "/", path_of(topic), path_of(topic, "/history"), f"/v1/last?topics={topic}", "/v1/topics", path_of("never.was")):
            with self.subTest(path):
                http = self.http()
                http.request("HEAD", path).request("GET", path)
                head, get = http.response(to_head=True), http.response()
                self.assertEqual(head.status, get.status)
                self.assertEqual(head.header("Content-Type"), get.header("Content-Type"))

    def test_a_foreign_origin_is_served_without_cors_headers(self):
        topic = self.topic()
        self.publish(topic)
        response = self.fetch("GET", path_of(topic), [("Origin", "http://elsewhere.example")])
        self.assertEqual(response.status, 200)
        self.assertFalse([name for name, _ in response.headers if name.lower().startswith("access-control-")])
        preflight = [("Origin", "http://elsewhere.example"), ("Access-Control-Request-Method", "POST")]
        self.assertEqual(self.fetch("OPTIONS", path_of(topic), preflight).status, 403)

    def test_a_preflight_of_the_same_host_is_answered(self):
        preflight = [("Origin", f"http://127.0.0.1:{self.port}"), ("Access-Control-Request-Method", "POST")]
        response = self.fetch("OPTIONS", path_of("a"), preflight)
        self.assertEqual(response.status, 204)
        self.assertIn("POST", response.header("Access-Control-Allow-Methods"))
        self.assertIsNone(response.header("Access-Control-Allow-Origin"), "of its own host a browser needs none")

    def test_a_wrong_credential_in_a_header_is_401_even_where_reading_is_open(self):
        topic = self.topic()
        self.publish(topic)
        for headers in ([("Authorization", "Bearer wrong")], [("X-API-Key", "wrong")]):
            with self.subTest(headers=headers):
                self.assertError(self.fetch("GET", path_of(topic), headers), 401, "unauthorized")

    def test_a_window_holds_at_least_its_newest_updates(self):
        topic = self.topic()
        self.gateway.publish_many((topic, str(n)) for n in range(1, 3001))
        seqs = []
        while (more := [u["seq"] for u in self.gateway.history(topic, after=seqs[-1] if seqs else 0)]):
            seqs += more
        self.assertEqual(seqs, list(range(seqs[0], 3001)), "contiguous to the newest")
        self.assertLessEqual(seqs[0], 1001, "at least 2000 of them")


class PublishingTest(GatewayTest):
    def test_publishing_one_answers_with_its_seq(self):
        topic = self.topic()
        first, second = self.publish(topic, "{}"), self.publish(topic, "{}")
        self.assertEqual(set(first), {"topic", "epoch", "seq"})
        self.assertEqual((first["topic"], first["seq"], second["seq"]), (topic, 1, 2))
        self.assertEqual((len(first["epoch"]), second["epoch"]), (8, first["epoch"]))

    def test_every_credential_in_a_header_counts_as_it_should(self):
        wrong = "not-" + KEY
        for headers, status, why in [
            ([BEARER], 200, "a bearer token"), ([API_KEY], 200, "an API key"), ([("authorization", f"Bearer {KEY}")], 200, "header names know no case"), ([], 401, "none at all"),
            ([("Authorization", f"Bearer {wrong}")], 401, "a wrong bearer token"), ([("X-API-Key", wrong)], 401, "a wrong API key"), ([("X-API-Key", "")], 401, "an empty API key"),
            ([("X-API-Key", KEY[:-1])], 401, "all but the last character"), ([("X-API-Key", KEY + "x")], 401, "a character too many"), ([("X-API-Key", KEY.upper())], 401, "another case"),
            ([BEARER, ("X-API-Key", wrong)], 200, "Authorization counts: right"), ([("Authorization", f"Bearer {wrong}"), API_KEY], 401, "Authorization counts: wrong"),
        ]:
            with self.subTest(why):
                for path, body in ((path_of(self.topic()), b"1"), ("/v1/publish", b'{"topic":"cred","data":1}\n')):
                    response = self.fetch("POST", path, headers, body)
                    if status == 200:
                        self.assertEqual(response.status, 200, response)
                    else:
                        self.assertError(response, 401, "unauthorized")

    def test_a_refused_publish_leaves_no_trace(self):
        topic = self.topic()
        self.fetch("POST", path_of(topic), [], b"1")
        self.fetch("POST", path_of(topic), [API_KEY], b"{")
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 404)

    def test_every_good_name_can_be_published_to(self):
        for name in GOOD_NAMES:
            with self.subTest(name):
                self.assertEqual(self.publish(name)["topic"], name)
                self.assertEqual(self.fetch("GET", path_of(name)).json()["topic"], name)

    def test_every_bad_name_is_a_bad_topic(self):
        for name, why in BAD_NAMES:
            with self.subTest(why):
                if name != ".":
                    self.assertError(self.fetch("POST", path_of(name), [API_KEY], b"1"), 400, "bad_topic")
                line = json.dumps({"topic": name, "data": 1}).encode()
                answer = self.fetch("POST", "/v1/publish", [API_KEY], line).json()
                self.assertEqual((answer["published"], [e["code"] for e in answer["errors"]]), (0, ["bad_topic"]))

    def test_a_payload_is_passed_on_byte_for_byte(self):
        for payload, passed_on, why in GOOD_PAYLOADS:
            with self.subTest(why):
                topic = self.topic()
                self.publish(topic, payload)
                for path in (path_of(topic), path_of(topic, "/history"), f"/v1/last?topics={topic}"):
                    self.assertData(self.fetch("GET", path).body.decode(), passed_on or payload)

    def test_a_payload_that_is_no_json_is_refused(self):
        for payload, why in BAD_PAYLOADS:
            with self.subTest(why):
                self.assertError(self.fetch("POST", path_of("refused"), [API_KEY], payload), 400, "bad_payload")
        self.assertEqual(self.fetch("GET", path_of("refused")).status, 404)

    def test_a_payload_may_have_64_kib_and_not_a_byte_more(self):
        topic = self.topic()
        self.publish(topic, '"' + "x" * 65534 + '"')
        self.assertError(self.fetch("POST", path_of(topic), [API_KEY], b'"' + b"x" * 65535 + b'"'), 413, "too_large")
        self.assertEqual(self.fetch("GET", path_of(topic)).json()["seq"], 1)

    def test_rights_are_judged_before_the_topic_and_the_topic_before_the_payload(self):
        for headers, topic, body, status, code in [
            ([], "a..b", b"{", 401, "unauthorized"), ([], "a", b"{", 401, "unauthorized"), ([API_KEY], "a..b", b"{", 400, "bad_topic"), ([API_KEY], "a", b"{", 400, "bad_payload"),
        ]:
            with self.subTest(topic=topic, code=code):
                self.assertError(self.fetch("POST", path_of(topic), headers, body), status, code)

    def test_key_is_a_boolean_of_the_query(self):
        for query, status in [("?key=1", 200), ("?key=true", 200), ("?key=0", 200), ("?key=false", 200), ("", 200), ("?unknown=1", 200), ("?key=maybe", 400), ("?key=", 400), ("?key=1&key=1", 400)]:
            with self.subTest(query):
                response = self.fetch("POST", path_of(self.topic(), query), [API_KEY], b"1")
                self.assertEqual(response.status, status, response)
                if status == 400:
                    self.assertError(response, 400, "bad_request")

    def test_a_chunked_body_is_a_body(self):
        topic = self.topic()
        coding = [API_KEY, ("Transfer-Encoding", "chunked")]
        for body, data, why in [
            (chunked(b'{"a":1}'), '{"a":1}', "one chunk"), (chunked(*(b'{"a":1}'[i:i + 1] for i in range(7))), '{"a":1}', "a chunk a byte"), (chunked(b"2", trailer=b"X-Trailer: yes\r\n"), "2", "a trailer"),
            (b"1;name=value\r\n3\r\n0\r\n\r\n", "3", "an extension"), (b"001\r\n4\r\n000\r\n\r\n", "4", "noughts before the size"), (b"A\r\n1234567890\r\n0\r\n\r\n", "1234567890", "upper case"), (b"a\r\n1234567890\r\n0\r\n\r\n", "1234567890", "lower case"),
        ]:
            with self.subTest(why):
                http = self.http()
                http.request("POST", path_of(topic), coding, body).request("GET", path_of(topic))
                self.assertEqual(http.response().status, 200)
                self.assertData(http.response().body.decode(), data)


class PublishManyTest(GatewayTest):
    """One body of many lines."""

    def many(self, body, headers=(API_KEY,)):
        response = self.fetch("POST", "/v1/publish", list(headers) + [("Content-Type", "application/x-ndjson")], body)
        self.assertEqual(response.status, 200, response)
        answer = response.json()
        for error in answer["errors"]:
            self.assertTrue({"line", "code", "message"} <= set(error), error)
            self.assertTrue(error["message"])
        return answer["published"], [(e["line"], e["code"]) for e in answer["errors"]]

    def test_lines_are_published_in_their_order(self):
        topic = self.topic()
        body = b"".join(b'{"topic":"%s","data":{"n":%d}}\n' % (topic.encode(), n) for n in range(1, 501))
        self.assertEqual(self.many(body), (500, []))
        self.assertEqual([u["data"]["n"] for u in self.gateway.history(topic)], list(range(1, 501)))

    def test_bodies_and_the_errors_of_their_lines(self):
        good = b'{"topic":"many","data":1}'
        for body, published, errors, why in [
            (b"", 0, [], "an empty body"), (good, 1, [], "no line end after the last"), (good + b"\n", 1, [], "a line end after the last"), (good + b"\r\n" + good + b"\r\n", 2, [], "CR LF"),
            (b"\n\n\n", 0, [], "empty lines alone"), (b"\n" + good + b"\n\nnonsense\n\n" + good, 2, [(4, "bad_json")], "empty lines are skipped but counted"), (b"\r\n\r\nnonsense\r\n", 0, [(3, "bad_json")], "so are those of CR LF"),
            (b"{\n" + good + b"\n}\n", 1, [(1, "bad_json"), (3, "bad_json")], "a bad line stops none of the others"), (good + b"\n[1]\n", 1, [(2, "bad_request")], "an array"), (b"1\n" + good, 1, [(1, "bad_request")], "a number"),
            (good + b" " + good + b"\n" + good, 1, [(1, "bad_json")], "two objects in a line"), (b'{"topic":"a..b","data":1}\n' + good, 1, [(1, "bad_topic")], "a bad topic"),
            (b'{"topic":"many","data":' + b"[" * 65 + b"]" * 65 + b"}\n" + good, 1, [(1, "bad_payload")], "a payload too deep"), (b'{"topic":"many","data":"' + b"x" * 65536 + b'"}\n' + good, 1, [(1, "too_large")], "a payload too large"),
            (b'{"topic":"$sys.x","data":1}\n', 0, [(1, "bad_topic")], "a name of the gateway's own"), (b'{"topic":"many","data":1,"key":true,"unknown":[1]}\n', 1, [], "a key, and an unknown member"),
            (b'{"data":{"a":1},"topic":"many"}\n', 1, [], "in another order"), (b' \t{ "topic" : "many" , "data" : 1 } \t\n', 1, [], "blanks"), (b'{"topic":"\\u006dany","data":1}\n', 1, [], "an escape in the topic"),
        ]:
            with self.subTest(why):
                self.assertEqual(self.many(body), (published, errors))
        seqs = [u["seq"] for u in self.gateway.history("many")]
        self.assertEqual(seqs, list(range(1, len(seqs) + 1)))

    def test_lines_that_lack_something_are_refused(self):
        for line, codes, why in [
            (b'{"topic":"lack"}', ("bad_request", "bad_payload"), "no data"), (b'{"data":1}', ("bad_request", "bad_topic"), "no topic"), (b"{}", ("bad_request", "bad_topic"), "nothing"), (b'{"topic":1,"data":1}', ("bad_request", "bad_topic"), "a topic that is a number"),
            (b'{"topic":"lack","data":1,"key":"x"}', ("bad_request",), "a key that is no boolean"), (b'{"topic":"lack","data":\xff}', ("bad_json", "bad_payload"), "not UTF-8"), (b'{"topic":"lack","data":nul}', ("bad_json", "bad_payload"), "data that is no JSON"),
        ]:
            with self.subTest(why):
                published, errors = self.many(line + b"\n")
                self.assertEqual((published, len(errors)), (0, 1))
                self.assertIn(errors[0][1], codes)
        self.assertEqual(self.fetch("GET", path_of("lack")).status, 404)

    def test_payloads_are_passed_on_byte_for_byte(self):
        for payload, passed_on, why in GOOD_PAYLOADS:
            if "\n" not in payload:  # a line holds no line end
                with self.subTest(why):
                    topic = self.topic()
                    self.assertEqual(self.many(b'{"topic":"%s","data":%s}\n' % (topic.encode(), payload.encode())), (1, []))
                    self.assertData(self.fetch("GET", path_of(topic)).body.decode(), passed_on or payload)

    def test_no_credential_or_a_wrong_one_is_401_for_the_whole(self):
        topic = self.topic()
        body = b'{"topic":"%s","data":1}\n' % topic.encode()
        for headers in ([], [("X-API-Key", "wrong")]):
            with self.subTest(headers=headers):
                self.assertError(self.fetch("POST", "/v1/publish", headers, body), 401, "unauthorized")
        self.assertEqual(self.fetch("GET", path_of(topic)).status, 404)

    def test_a_chunked_body_may_be_cut_anywhere(self):
        topic = self.topic()
        body = b"".join(b'{"topic":"%s","data":%d}\r\n' % (topic.encode(), n) for n in range(1, 41))
        for size in (1, 2, 7, 64, len(body)):
            with self.subTest(size=size):
                chunks = [body[i:i + size] for i in range(0, len(body), size)]
                response = self.fetch("POST", "/v1/publish", [API_KEY, ("Transfer-Encoding", "chunked")], chunked(*chunks))
                self.assertEqual(response.json(), {"published": 40, "errors": []})

    def test_a_body_may_have_8_mib(self):
        topic = self.topic()
        line = b'{"topic":"%s","data":"%s"}\n' % (topic.encode(), b"x" * 30000)
        body = line * ((8 << 20) // len(line))
        body += b"\n" * ((8 << 20) - len(body))
        self.assertEqual(self.many(body)[0], (8 << 20) // len(line))

    def test_a_body_beyond_8_mib_is_refused(self):
        http = self.http()
        http.request("POST", "/v1/publish", [API_KEY, ("Content-Length", str((8 << 20) + 1))])
        response = http.response()
        self.assertError(response, 413, "too_large")
        self.assertEqual((response.header("Connection") or "").lower(), "close", "refused at once, before the body")
        http.half_close().expect_end()
        http = self.http()
        http.request("POST", "/v1/publish", [API_KEY, ("Transfer-Encoding", "chunked")])
        http.send_as_far_as_taken(chunked(*[b"\n" * (1 << 20)] * 9))
        self.assertError(http.response(), 413, "too_large")

    def test_an_image_published_by_lines_is_a_key(self):
        topic = self.topic()
        self.gateway.publish_many([(topic, "1"), (topic, "2", True), (topic, "3")])
        ws = self.ws(path=f"/v1/ws?topics={topic}&mode=every")
        self.assertEqual(ws.read()["op"], "subscribed")
        self.assertUpdate(ws.read(), topic, 2, "2")
        self.assertUpdate(ws.read(), topic, 3, "3")


class ConnectionTest(GatewayTest):
    """Keep-alive, pipelining, HTTP/1.0, and faults of the request."""

    def test_a_connection_serves_many_requests_one_after_another(self):
        http = self.http()
        for path, status in [("/healthz", 200), (path_of("never.was"), 404), ("/readyz", 200), ("/nowhere", 404), ("/v1/topics", 200)]:
            self.assertEqual(http.request("GET", path).response().status, status)

    def test_pipelined_requests_are_answered_in_their_order(self):
        topics = [self.topic("pipe") for _ in range(50)]
        for topic in topics:
            self.publish(topic)
        http = self.http()
        http.send(b"".join(http_request(self.port, "GET", path_of(topic)) for topic in topics))
        self.assertEqual([http.response().json()["topic"] for _ in topics], topics)

    def test_a_pipelined_read_sees_the_publish_before_it(self):
        topic, http = self.topic(), self.http()
        requests = b"".join(http_request(self.port, "POST", path_of(topic), [API_KEY], b"%d" % n) + http_request(self.port, "GET", path_of(topic)) for n in range(1, 21))
        http.send(requests)
        for n in range(1, 21):
            self.assertEqual(http.response().json()["seq"], n)
            self.assertEqual(http.response().json()["data"], n)

    def test_a_request_may_come_in_any_pieces(self):
        topic = self.topic()
        requests = (http_request(self.port, "POST", path_of(topic), [API_KEY], b'{"a":1}') +
                    http_request(self.port, "POST", path_of(topic), [API_KEY, ("Transfer-Encoding", "chunked")], chunked(b'{"a"', b":2}")) + http_request(self.port, "GET", path_of(topic)))
        for size in (1, 2, 3, 7, 50):
            with self.subTest(size=size):
                http = self.http()
                http.send_in_pieces(requests, size)
                answers = [http.response() for _ in range(3)]
                self.assertEqual([a.status for a in answers], [200, 200, 200])
                self.assertEqual(answers[2].json()["data"], {"a": 2})

    def test_connection_close_is_obeyed(self):
        http = self.http()
        self.assertEqual(http.request("GET", "/healthz", [("Connection", "close")]).response().status, 200)
        http.expect_end()

    def test_http_1_0_is_answered_and_closed(self):
        for headers in ([], [("Connection", "keep-alive")]):
            for host in (True, False):
                with self.subTest(headers=headers, host=host):
                    http = self.http()
                    response = http.request("GET", "/healthz", headers, version="HTTP/1.0", host=host).response()
                    self.assertEqual(response.status, 200)
                    self.assertIsNone(response.header("Transfer-Encoding"))
                    http.expect_end()

    def test_a_client_that_expects_100_is_not_left_waiting(self):
        http = self.http()
        topic = self.topic()
        http.request("POST", path_of(topic), [API_KEY, ("Expect", "100-continue"), ("Content-Length", "1")])
        self.assertEqual(http.take_line(deadline_in()).split(b" ")[1], b"100")
        self.assertEqual(http.take_line(deadline_in()), b"")
        self.assertEqual(http.send(b"1").response().json()["seq"], 1)

    def test_what_is_not_there_and_what_may_not_be_done(self):
        for method, path, status, codes in [
            ("GET", "/nowhere", 404, ["not_found"]), ("GET", "/v1", 404, ["not_found"]), ("GET", "/v1/topics/a/b", 404, ["not_found"]), ("GET", "/v1/topics/a/history/b", 404, ["not_found"]), ("GET", "/v2/topics", 404, ["not_found"]),
            ("GET", "/HEALTHZ", 404, ["not_found"]), ("GET", "/v1/echo", 404, ["not_found"]), ("POST", "/nowhere", 404, ["not_found"]),
            ("POST", "/healthz", 405, ["bad_request"]), ("PUT", "/v1/topics/a", 405, ["bad_request"]), ("PATCH", "/v1/topics/a", 405, ["bad_request"]), ("GET", "/v1/publish", 405, ["bad_request"]), ("POST", "/v1/topics", 405, ["bad_request"]),
            ("POST", "/v1/last?topics=a", 405, ["bad_request"]), ("POST", "/v1/topics/a/history", 405, ["bad_request"]), ("DELETE", "/v1/publish", 405, ["bad_request"]), ("POST", "/v1/ws", 405, ["bad_request"]), ("BREW", "/healthz", (400, 405), ["bad_request"]),
        ]:
            with self.subTest(f"{method} {path}"):
                self.assertError(self.fetch(method, path, [API_KEY], b"" if method in ("POST", "PUT", "PATCH") else None), status, *codes)

    def test_a_post_must_say_how_long_it_is(self):
        for path in (path_of("x"), "/v1/publish"):
            with self.subTest(path):
                self.assertError(self.fetch("POST", path, [API_KEY]), 411, "bad_request")

    def test_heads_have_a_limit(self):
        line_only = "/v1/topics/" + "a" * 20000
        for path, headers, status, codes, why in [
            ("/healthz", [("X-Fill", "x" * 16000)], 200, (), "just below 16 KiB"), ("/healthz", [("X-Fill", "x" * 17000)], 431, ("too_large",), "one long header"), ("/healthz", [(f"X-{n}", "x" * 100) for n in range(200)], 431, ("too_large",), "many headers"),
            (line_only, [], 414, ("too_large",), "a long line"), ("/healthz?x=" + "a" * 20000, [], 414, ("too_large",), "a long query"),
        ]:
            with self.subTest(why):
                response = self.fetch("GET", path, headers)
                self.assertError(response, status, *codes) if codes else self.assertEqual(response.status, status, response)

    def test_an_error_is_readable_by_a_client_that_sends_all_before_it_reads(self):
        big = b"x" * (20 << 20)
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Fill: "
        for request, status, code, why in [
            (http_request(self.port, "POST", "/v1/publish", [API_KEY], big), 413, "too_large", "20 MiB of lines"), (http_request(self.port, "POST", path_of("x"), [API_KEY], big), 413, "too_large", "a payload of 20 MiB"),
            (http_request(self.port, "POST", "/v1/publish", [], big[:4 << 20]), 401, "unauthorized", "4 MiB without a credential"), (head + big[:1 << 20] + b"\r\n\r\n", 431, "too_large", "a header of 1 MiB"), (b"GET /" + big[:1 << 20] + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "too_large", "a line of 1 MiB"),
            (b"nonsense\r\n\r\n" + big[:1 << 20], 400, "bad_request", "1 MiB after nonsense"), (http_request(self.port, "POST", "/nowhere", [API_KEY], big[:4 << 20]), 404, "not_found", "4 MiB to nowhere"),
        ]:
            with self.subTest(why):
                http = self.http()
                http.send_as_far_as_taken(request)
                response = http.response()
                self.assertError(response, status, code)
                if status == 413:
                    self.assertEqual((response.header("Connection") or "").lower(), "close")
        self.assertServing()

    def test_what_smuggling_lives_from_is_refused_and_the_connection_closed(self):
        get = b"GET /healthz HTTP/1.1\r\n"
        post = b"POST /v1/topics/smuggled HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n" % KEY.encode()
        te = post + b"Transfer-Encoding: chunked\r\n\r\n"
        for request, why in [
            (post + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both lengths"), (post + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", "both lengths, the other way round"),
            (post + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12", "two lengths"), (post + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n1", "the same length twice"), (post + b"Content-Length: 1, 2\r\n\r\n12", "a list of lengths"),
            (post + b"Content-Length: +1\r\n\r\n1", "a length with a plus"), (post + b"Content-Length: -1\r\n\r\n1", "a negative length"), (post + b"Content-Length: 0x1\r\n\r\n1", "a hexadecimal length"), (post + b"Content-Length: 1x\r\n\r\n1", "a length and more"),
            (post + b"Content-Length: \r\n\r\n1", "an empty length"), (post + b"Content-Length: 1 1\r\n\r\n1", "two numbers"), (post + b"Content-Length : 1\r\n\r\n1", "a blank before the colon"), (post + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "a blank before the other colon"),
            (get + b"Host: x\r\nA: b\r\n c\r\n\r\n", "a folded line"), (get + b"Host: x\r\nA: b\r\n\tc\r\n\r\n", "a line folded by a tabulator"), (get + b" Host: x\r\n\r\n", "a blank before the first header"), (get + b"Host: x\r\nA: b\x00c\r\n\r\n", "NUL in a value"),
            (get + b"Host: x\r\nA\x00: b\r\n\r\n", "NUL in a name"), (get + b"Host: x\r\nA: b\rc\r\n\r\n", "a bare CR in a value"), (get + b"Host: x\r\nA(: b\r\n\r\n", "a name that is no token"), (get + b"Host: x\r\n: b\r\n\r\n", "no name"), (get + b"Host: x\r\nnocolon\r\n\r\n", "no colon"),
            (get + b"Host: x\r\n\xc3\xa9: b\r\n\r\n", "a name beyond ASCII"), (get + b"\r\n", "no Host"), (get + b"Host: x\r\nHost: x\r\n\r\n", "Host twice"), (get + b"Host: x\r\nHost: y\r\n\r\n", "two Hosts"),
            (b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "two blanks in the line"), (b"GET /healthz\r\nHost: x\r\n\r\n", "no version"), (b"GET /healthz HTTP/1.1 x\r\nHost: x\r\n\r\n", "a word too many"), (b"GET /healthz http/1.1\r\nHost: x\r\n\r\n", "a version in small letters"),
            (b"GET /healthz HTTP/1.11\r\nHost: x\r\n\r\n", "a version of two digits"), (b"GET /health\x00z HTTP/1.1\r\nHost: x\r\n\r\n", "NUL in the target"), (b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", "a target without a slash"), (b" GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "a blank before the method"),
            (b"G\x01T /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "a control character in the method"), (te + b"x\r\n1\r\n0\r\n\r\n", "a chunk size that is none"), (te + b"-1\r\n1\r\n0\r\n\r\n", "a negative chunk"), (te + b"1 1\r\n1\r\n0\r\n\r\n", "a blank in the chunk size"),
            (te + b"0x1\r\n1\r\n0\r\n\r\n", "a chunk size as in C"), (te + b"\r\n1\r\n0\r\n\r\n", "an empty chunk size"), (te + b"1\r\n12\r\n0\r\n\r\n", "a chunk longer than it says"), (te + b"2\r\n1\r\n0\r\n\r\n", "a chunk shorter than it says"),
        ]:
            with self.subTest(why):
                http = self.http()
                http.send_as_far_as_taken(request + http_request(self.port, "GET", "/readyz"))
                response = http.response()
                self.assertError(response, 400, "bad_request")
                http.half_close().expect_end()  # and what followed is not served
        for request, statuses, why in [
            (post + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, 501), "another coding"), (post + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", (400, 501), "chunked not last"), (post + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (400, 501), "an unknown coding"),
            (post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 501), "chunked twice"), (post + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n1", (400, 501), "identity and a length"), (post + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", (400, 501), "a vertical tabulator"),
            (post.replace(b"1.1", b"1.0", 1) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 501), "chunked in HTTP/1.0"), (post + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413), "a length beyond 64 bits"), (te + b"FFFFFFFFFFFFFFFFF\r\n", (400, 413), "a chunk beyond 64 bits"),
            (te + b"7FFFFFFFFFFFFFFF\r\n", (400, 413), "a chunk just within 64 bits"), (b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", (400, 505), "HTTP/2.0"), (b"GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n", (400, 505), "HTTP/0.9"),
        ]:
            with self.subTest(why):
                http = self.http()
                http.send_as_far_as_taken(request + http_request(self.port, "GET", "/readyz"))
                self.assertIn(http.response().status, statuses)
                http.half_close().expect_end()
        self.assertEqual(self.fetch("GET", path_of("smuggled")).status, 404, "nothing of it was published")


class DeadlineTest(GatewayTest):
    flags = ("--deadline.head-ms", "1000")  # whoever is served here must have its head there by then

    def test_half_a_head_is_answered_408_at_its_deadline(self):
        for begun in (b"G", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: "):
            with self.subTest(begun):
                http = self.http()
                response = http.send(begun).response()
                self.assertError(response, 408, "bad_request")
                http.expect_end()

    def test_a_bare_line_feed_is_a_fault_or_a_line_end_but_nothing_between(self):
        for request in (b"GET /healthz HTTP/1.1\nHost: x\n\n", b"GET /healthz HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"):
            with self.subTest(request):
                http = self.http()
                self.assertIn(http.send(request).response().status, (200, 400, 408))
        self.assertServing()

    def test_a_head_that_drips_does_not_outlive_its_deadline(self):
        http = self.http()
        http.send(b"GET /healthz HTTP/1.1\r\nX-Drip: ")
        deadline = time.monotonic() + PATIENCE
        while not http.ended and time.monotonic() < deadline:
            http.send_as_far_as_taken(b"x")
            try:
                http.fill(time.monotonic() + 0.05)
            except TooLate:
                pass  # nothing yet: the next drop
        self.assertTrue(http.ended, "a drop now and then does not keep it open")
        with self.assertRaises(ConnectionError, msg="nor does it afterwards, unseen"):
            while time.monotonic() < deadline:
                http.send(b"x")
                time.sleep(0.05)  # the next drop


class WithoutKeyTest(GatewayTest):
    key = None

    def test_publishing_is_off_and_the_error_says_how_to_turn_it_on(self):
        for path, body in ((path_of("a"), b"1"), ("/v1/publish", b'{"topic":"a","data":1}')):
            with self.subTest(path):
                response = self.fetch("POST", path, [], body)
                self.assertError(response, (401, 403), "unauthorized", "forbidden")
                self.assertIn("auth.publish-key", response.message)
                self.assertEqual(self.fetch("POST", path, [API_KEY], body).status, 401, "no key is right where there is none")
        with self.ws() as ws:
            refusal = ws.ask("publish", topic="a", data=1)
            self.assertRefusal(refusal, "unauthorized", "forbidden")
            self.assertIn("auth.publish-key", refusal["message"])


class LimitsTest(unittest.TestCase):
    def test_limits_are_settings(self):
        with Gateway("--limits.payload", "1000", "--limits.body", "100000", "--limits.head", "2048") as gateway:
            gateway.publish("x", '"' + "x" * 998 + '"')
            for method, path, headers, body, status in [
                ("POST", "/v1/topics/x", [API_KEY], b'"' + b"x" * 999 + b'"', 413), ("POST", "/v1/publish", [API_KEY], b"\n" * 100000, 200), ("POST", "/v1/publish", [API_KEY], b"\n" * 100001, 413),
                ("GET", "/healthz", [("X-Fill", "x" * 1500)], None, 200), ("GET", "/healthz", [("X-Fill", "x" * 2500)], None, 431), ("GET", "/healthz?" + "x" * 2500, [], None, 414),
            ]:
                with self.subTest(f"{method} {path[:20]} {status}"), Http(gateway.port) as http:
                    http.send_as_far_as_taken(http_request(gateway.port, method, path, headers, body))
                    self.assertEqual(http.response().status, status)

    def test_a_client_that_sends_all_before_it_reads_meets_no_broken_pipe(self):
        """A refused body is thrown away at 16 MB/s: of this one more than deadline.close-ms is long in each."""
        with Gateway("--deadline.close-ms", "1500") as gateway:
            for path in ("/v1/publish", "/v1/topics/x"):
                with self.subTest(path), Http(gateway.port) as http:
                    http.send(http_request(gateway.port, "POST", path, [API_KEY], b"\n" * (48 << 20)))
                    self.assertEqual(http.response().status, 413)


if __name__ == "__main__":
    unittest.main()
