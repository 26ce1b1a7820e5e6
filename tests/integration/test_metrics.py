"""/metrics: a page that Prometheus takes, whose figures follow what happened."""
import re
import shutil
import subprocess
import unittest

from client import Ws, frame
from gateway import Gateway, GatewayTest

ADMIN_KEY = "admin-key-of-the-metrics-test"

LINE = re.compile(r'^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[^}]*)\})? (?P<value>[0-9.e+-]+)$')


class MetricsTest(GatewayTest):
    flags = ("--shards", "2", "--auth.admin-key", ADMIN_KEY)

    def page(self):
        response = self.gateway.fetch("GET", "/metrics", [("X-API-Key", ADMIN_KEY)])
        self.assertEqual(response.status, 200)
        return response.body.decode()

    def values(self):
        """{(name, labels without the shard): sum}"""
        values = {}
        for line in self.page().splitlines():
            if line.startswith("#"):
                continue
            match = LINE.match(line)
            self.assertTrue(match, line)
            labels = re.sub(r'shard="\d+",?', "", match["labels"] or "")
            values[match["name"], labels] = values.get((match["name"], labels), 0) + float(match["value"])
        return values

    def test_each_name_has_one_help_and_one_type_before_its_rows_and_no_row_stands_twice(self):
        seen_help, seen_type, rows = set(), {}, set()
        for line in self.page().splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                self.assertNotIn(name, seen_help)
                seen_help.add(name)
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, seen_type)
                seen_type[name] = kind
            else:
                match = LINE.match(line)
                self.assertTrue(match, line)
                family = match["name"] if match["name"] in seen_type else re.sub(r"_(bucket|sum|count)$", "", match["name"])
                self.assertIn(family, seen_help, line)
                self.assertIn(family, seen_type, line)
                self.assertNotIn((match["name"], match["labels"]), rows)
                rows.add((match["name"], match["labels"]))

    @unittest.skipUnless(shutil.which("promtool"), "promtool (package prometheus) is not installed")
    def test_promtool_finds_nothing_to_say(self):
        checked = subprocess.run(["promtool", "check", "metrics"], input=self.page(), text=True, capture_output=True, timeout=60)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_deliveries_are_counted_with_their_delay(self):
        topic = self.topic("measured")
        before = self.values()
        ws = self.ws(f"/v1/ws?topics={topic}&mode=every")
        ws.read()
        for n in range(10):
            self.publish(topic, n)
        self.assertEqual(ws.read()["op"], "topic")
        for n in range(10):
            self.assertUpdate(ws.read(), topic, n + 1)
        after = self.values()

        def grew(name, labels=""):
            return after[name, labels] - before.get((name, labels), 0)
        self.assertEqual(grew("ringcast_updates_published_total"), 10)
        self.assertEqual(grew("ringcast_frames_sent_total"), 10)
        self.assertEqual(grew("ringcast_send_frames_sum"), 10)
        self.assertEqual(grew("ringcast_delivery_delay_seconds_count"), grew("ringcast_send_frames_count"))
        self.assertEqual(grew("ringcast_delivery_delay_seconds_bucket", 'le="+Inf"'), grew("ringcast_delivery_delay_seconds_count"))
        self.assertGreater(grew("ringcast_delivery_delay_seconds_sum"), 0)
        buckets = [value for (name, _), value in after.items() if name == "ringcast_delivery_delay_seconds_bucket"]
        self.assertEqual(buckets, sorted(buckets), "cumulative")

    def test_closes_and_limits_are_counted_by_name(self):
        before = self.values()
        with Ws(self.port) as ws:
            ws.send_frame(2, b"binary")
            ws.expect_close(1003)
        with Ws(self.port) as ws:
            ws.send(frame(1, b"", length=1 << 21))
            ws.expect_close(1009)
        after = self.values()
        for key in (("ringcast_closes_total", 'code="1003"'), ("ringcast_closes_total", 'code="1009"'), ("ringcast_limit_hits_total", 'limit="message"')):
            self.assertEqual(after[key] - before[key], 1, key)

    def test_the_limits_in_force_stand_beside_what_they_bound(self):
        values = self.values()
        limits = {labels: value for (name, labels), value in values.items() if name == "ringcast_limit"}
        self.assertEqual(limits['limit="log-bytes"'], 1 << 30)
        self.assertEqual(limits['limit="payload"'], 64 << 10)
        self.assertLessEqual(limits['limit="connections"'], 16000)
        with Gateway("--shards", "1", "--limits.connections", "7", key=None) as few:
            self.assertIn('ringcast_limit{limit="connections"} 7\n', few.fetch("GET", "/metrics").body.decode())

    def test_neither_topics_nor_clients_add_a_row(self):
        before = set(self.values())
        topics = [self.topic("cardinality") for _ in range(300)]
        self.gateway.publish_many([(topic, "1") for topic in topics])
        clients = [self.ws(f"/v1/ws?topics={topic}", hello=True) for topic in topics[:50]]
        for ws in clients:
            ws.read()
        self.assertEqual(set(self.values()), before)


if __name__ == "__main__":
    unittest.main()
