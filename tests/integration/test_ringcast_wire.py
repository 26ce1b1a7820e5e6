"""The client /ringcast.js in Node against a gateway of the test's own, which says what the real one says seldom."""
import json
import unittest

from fake_gateway import FakeGateway
from javascript import WHY_NO_NODE, Node
from proxy import Proxy


@unittest.skipIf(WHY_NO_NODE, WHY_NO_NODE or "")
class WireTest(unittest.TestCase):
    maxDiff = None

    def js(self, port):
        node = Node(f"ws://127.0.0.1:{port}")
        self.addCleanup(node.close)
        return node

    def test_the_wire_carries_the_liveliest_mode_of_those_that_overlap_and_no_more(self):
        """What a gateway is asked for over the life of three subscriptions."""
        asked = []
        with FakeGateway(asked) as fake:
            js = self.js(fake.port)
            js.run("""
                const rc = client();
                const one = rc.subscribe("w.a"); await one.ready;
                const two = rc.subscribe("w.*", { mode: "every" }); await two.ready;
                await until(() => one); const three = rc.subscribe(["x.a", "x.>"], {}); await three.ready;
                two.unsubscribe(); await rc.ping();
                one.unsubscribe(); await rc.ping();
                rc.close();""")
        wire = [(m["op"], m["topics"], m.get("mode")) for m in asked if m["op"] != "ping"]
        self.assertEqual(wire[0], ("subscribe", ["w.a"], "latest"))
        self.assertCountEqual(wire[1:3], [("subscribe", ["w.a"], "every"), ("subscribe", ["w.*"], "every")])
        self.assertCountEqual(wire[3:5], [("subscribe", ["x.a"], "latest"), ("subscribe", ["x.>"], "latest")])
        self.assertEqual(wire[5:], [("subscribe", ["w.a"], "latest"), ("unsubscribe", ["w.*"], None), ("unsubscribe", ["w.a"], None)])

    def test_the_rate_on_the_wire_is_the_highest_of_those_that_overlap(self):
        asked = []
        with FakeGateway(asked) as fake:
            self.js(fake.port).run("""
                const rc = client({ maxHz: 4 });
                await rc.subscribe("h.a").ready;
                const two = rc.subscribe("h.*", { maxHz: 10.5 }); await two.ready; await rc.ping();
                await rc.subscribe("h.a", { maxHz: 0 }).ready;
                two.unsubscribe(); await rc.ping(); rc.close();""")
        wire = [(m["topics"], m.get("max_hz")) for m in asked if m["op"] == "subscribe"]
        self.assertEqual((wire[0], wire[3:]), ((["h.a"], 4), [(["h.a"], None)]))
        self.assertCountEqual(wire[1:3], [(["h.a"], 10.5), (["h.*"], 10.5)])

    def test_the_token_is_renewed_before_it_expires(self):
        asked = []
        with FakeGateway(asked, expires_ms=400) as fake:
            js = self.js(fake.port)
            got = js.run("let n = 0; const rc = client({ getToken: () => 'token-' + ++n }); await rc.connect(); await until(() => n >= 3); const state = rc.told.state.map(s => s.state); rc.close(); return state;")
        self.assertEqual(got, ["connecting", "open"])
        self.assertEqual([m["token"] for m in asked if m["op"] == "auth"][:2], ["token-1", "token-2"])

    def test_close_codes_that_forbid_coming_back(self):
        for code, error in ((4400, "bad_request"), (4401, "unauthorized"), (4403, "forbidden")):
            with FakeGateway([], close=code) as fake:
                got = self.js(fake.port).run("const rc = client(); const code = (await outcome(rc.connect())).code; return [code, rc.state, rc.error.message, rc.told.reconnect]")
                self.assertEqual(got, [error, "closed", "as the test wants it", []])
        with FakeGateway([], close=4408) as fake:
            self.js(fake.port).run("const rc = client(); rc.connect(); await until(() => rc.told.reconnect.length > 3); rc.close();")

    def test_a_gateway_that_never_says_hello_is_left(self):
        with FakeGateway([]) as fake, Proxy(fake.port) as proxy:
            proxy.silent = True
            js = self.js(proxy.port)
            self.assertIn("no hello within 300 ms", js.run("const rc = client({ timeoutMs: 300 }); const p = outcome(rc.publish('a', 1)); await until(() => rc.told.reconnect.length === 2); rc.close(); return rc.told.reconnect[0].reason + (await p).code"))

    def test_several_lines_in_a_message(self):
        with FakeGateway([], batch=True) as fake:
            got = self.js(fake.port).run("const rc = client(), kept = follow(rc, 'a', { mode: 'every' }); await until(() => kept.updates.length === 3); rc.close(); return [kept.updates.map(u => u.data), kept.gaps.map(g => [g.from, g.to])]")
        self.assertEqual(got, [[1, 2, 5], [[3, 4]]])

    def test_the_waits_grow_and_are_random_in_full(self):
        with FakeGateway([], close=4408) as fake:
            got = self.js(fake.port).run("""
                Math.random = () => 0.5;
                const rc = client({ backoff: { minMs: 10, maxMs: 100 } });
                rc.connect(); await until(() => rc.told.reconnect.length >= 6); rc.close();
                return rc.told.reconnect.slice(0, 6);""")
        self.assertEqual([(one["attempt"], one["delayMs"], one["reason"]) for one in got], [(n + 1, ms, "as the test wants it") for n, ms in enumerate((5, 10, 20, 40, 50, 50))])

    def test_mode_every_begins_with_its_own_acknowledgement(self):
        """Not with that of an earlier request in mode latest, after which updates may still be skipped."""
        held = []

        def acknowledge_late(request, say, _):
            if request["op"] != "subscribe":
                return False
            held.append(request)
            if len(held) == 2:
                acks = [{"op": "subscribed", "id": one["id"], "topics": [{"topic": "a", "epoch": "epoch-of", "seq": 1}]} for one in held]
                update = [{"topic": "a", "seq": n, "ts": n, "data": n} for n in range(8)]
                say(acks[0], update[1], update[5], acks[1], update[6], update[7])
            return True

        with FakeGateway([], script=acknowledge_late) as fake:
            got = self.js(fake.port).run("""
                const rc = client(); await rc.connect();
                const one = follow(rc, "a"); await sleep(0);
                const two = follow(rc, "a", { mode: "every" });
                await until(() => two.updates.length && two.updates.at(-1).seq === 7); rc.close();
                return [two.updates.map(u => u.seq), two.gaps, one.updates.map(u => u.seq), one.gaps];""")
        self.assertEqual(got, [[5, 6, 7], [], [5, 6, 7], []])

    def test_busy_is_asked_again(self):
        asked = []

        def busy_once(request, say, _):
            if request["op"] != "subscribe" or len([m for m in asked if m["op"] == "subscribe"]) > 1:
                return False
            say({"op": "error", "id": request["id"], "code": "busy", "message": "no room just now"})
            return True

        with FakeGateway(asked, script=busy_once) as fake:
            got = self.js(fake.port).run("const rc = client(), kept = follow(rc, 'a'); await kept.ready; rc.close(); return [kept.errors, rc.told.error]")
        self.assertEqual(got, [[], []])
        self.assertEqual([m["topics"] for m in asked], [["a"], ["a"]])

    def test_rights_that_end(self):
        def revoke(request, say, _):
            if request["op"] == "ping":
                say({"op": "unsubscribed", "topics": ["a"], "code": "forbidden"})
            return False

        with FakeGateway([], script=revoke) as fake:
            got = self.js(fake.port).run("""
                const rc = client(), both = follow(rc, ["a", "b"]), one = follow(rc, "a");
                await Promise.all([both.ready, one.ready]); await rc.ping();
                await until(() => one.errors.length && both.errors.length);
                const ended = await outcome(rc.subscribe("b").ready);
                return [both.errors, one.errors, both.subscription.topics, one.subscription.topics, ended.code ?? "goes on"];""")
        error = [{"code": "forbidden", "topic": "a"}]
        self.assertEqual(got, [error, error, ["b"], [], "goes on"])

    def test_what_a_pattern_brought_once_is_forgotten_when_the_gateway_has_forgotten_it(self):
        asked = []

        def announce(request, say, connection):
            if request["op"] != "subscribe":
                return False
            say({"op": "subscribed", "id": request["id"], "topics": [{"topic": "p.*"}]})
            for name in ("p.a", "p.b") if connection == 1 else ("p.a",):
                say({"op": "topic", "topic": name, "epoch": "epoch-of", "seq": 1, "by": "p.*"}, {"topic": name, "seq": 1, "ts": 1, "data": 1})
            return True

        with FakeGateway(asked, script=announce) as fake, Proxy(fake.port) as proxy:
            js = self.js(proxy.port)
            js.run("""
                const real = performance.now.bind(performance); globalThis.ahead = 0; Object.defineProperty(globalThis, "performance", { value: { now: () => real() + ahead } });
                globalThis.rc = client(); globalThis.kept = follow(rc, "p.*"); await until(() => kept.updates.length === 2);""")
            for cuts in range(1, 4):
                js.run("await until(() => rc.state === 'open'); await rc.ping(); ahead += 6000;")  # it was a good connection
                proxy.cut()
                js.run(f"await until(() => rc.told.reconnect.length >= {cuts} && rc.state === 'open'); await rc.ping();")
        a = {"epoch": "epoch-of", "seq": 1}
        self.assertEqual([m.get("resume") for m in asked if m["op"] == "subscribe"], [None, {"p.a": a, "p.b": a}, {"p.a": a}, {"p.a": a}])

    def test_positions_are_sent_once_and_only_where_they_count(self):
        """With the first pattern after a break; not for what the connection follows already."""
        asked = []

        def announce(request, say, _):
            if request["op"] != "subscribe":
                return False
            say({"op": "subscribed", "id": request["id"], "topics": [{"topic": name} for name in request["topics"]]})
            say({"op": "topic", "topic": "p.a", "epoch": "epoch-of", "seq": 1, "by": request["topics"][0]}, {"topic": "p.a", "seq": 1, "ts": 1, "data": 1})
            return True

        with FakeGateway(asked, script=announce) as fake, Proxy(fake.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client(); globalThis.kept = follow(rc, 'p.*'); await until(() => kept.updates.length); await rc.subscribe('>').ready;")
            proxy.cut()
            js.run("await until(() => rc.told.reconnect.length && rc.state === 'open'); await rc.ping(); await rc.subscribe('*.a').ready;")
        subscribes = [m for m in asked if m["op"] == "subscribe"]
        self.assertEqual([m["topics"] for m in subscribes[:2]] + [m["topics"] for m in subscribes[4:]], [["p.*"], [">"], ["*.a"]])
        self.assertCountEqual([m.get("resume") for m in subscribes[2:4]], [None, {"p.a": {"epoch": "epoch-of", "seq": 1}}])
        self.assertEqual([m.get("resume") for m in subscribes[:2] + subscribes[4:]], [None] * 3)

    def test_many_topics_are_asked_for_in_parts(self):
        asked = []
        names = [f"t{n}" for n in range(1300)]
        with FakeGateway(asked) as fake:
            self.js(fake.port).run("const rc = client(); const s = rc.subscribe(%s); await s.ready; s.unsubscribe(); await rc.ping(); rc.close();" % json.dumps(names))
        for op in ("subscribe", "unsubscribe"):
            parts = [m["topics"] for m in asked if m["op"] == op]
            self.assertEqual((sorted(sum(parts, [])), max(map(len, parts))), (sorted(names), 500))

    def test_the_epoch_event_names_the_epoch_before_even_if_the_topic_was_away_for_a_while(self):
        def forget(request, say, connection):
            if request["op"] == "subscribe":
                ack = {"epoch": "epoch-one", "seq": 1} if connection == 1 else {"seq": 0, "resumed": False}
                say({"op": "subscribed", "id": request["id"], "topics": [{"topic": "a", **ack}]})
                if connection == 1:
                    say({"topic": "a", "seq": 1, "ts": 1, "data": 1})
            elif request["op"] == "ping":
                say({"op": "topic", "topic": "a", "epoch": "epoch-two", "seq": 0}, {"topic": "a", "seq": 1, "ts": 2, "data": 2})
            return request["op"] == "subscribe"

        with FakeGateway([], script=forget) as fake, Proxy(fake.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client(); globalThis.kept = follow(rc, 'a', { mode: 'every' }); await until(() => kept.updates.length);")
            proxy.cut()
            got = js.run("""
                await until(() => rc.told.reconnect.length && rc.state === "open"); await sleep(50);
                const before = [rc.told.epoch.length, rc.last("a").data];
                await rc.ping(); await until(() => kept.updates.length === 2); rc.close();
                return [before, rc.told.epoch.map(e => [e.previous, e.epoch]), kept.topics.map(t => [t.previous, t.epoch]), kept.updates.map(u => [u.epoch, u.seq]), kept.gaps];""")
        change = [["epoch-one", "epoch-two"]]
        self.assertEqual(got, [[0, 1], change, change, [["epoch-one", 1], ["epoch-two", 1]], []])

    def test_a_snapshot_is_not_older_than_what_is_known_to_be_lost(self):
        """A gap came after the newest update: who comes later does not get what came before the gap."""
        def lose(request, say, _):
            if request["op"] == "subscribe":
                say({"op": "subscribed", "id": request["id"], "topics": [{"topic": "a", "epoch": "epoch-of", "seq": 0}]})
                if request["mode"] == "every":
                    say({"topic": "a", "seq": 1, "ts": 1, "data": 1}, {"op": "gap", "topic": "a", "from": 2, "to": 4})
                return True
            if request["op"] == "ping":
                say({"topic": "a", "seq": 5, "ts": 5, "data": 5})
            return False

        with FakeGateway([], script=lose) as fake:
            got = self.js(fake.port).run("""
                const rc = client(), one = follow(rc, "a", { mode: "every" });
                await until(() => one.gaps.length);
                const two = follow(rc, "a", { mode: "every" }); await two.ready; await rc.ping();
                rc.close();
                return [one, two].map(kept => kept.order.map(u => u.seq ?? [u.from, u.to]));""")
        self.assertEqual(got, [[1, [2, 4], 5], [5]])


if __name__ == "__main__":
    unittest.main()
