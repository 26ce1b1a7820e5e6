"""The client /ringcast.js in Node, against a gateway that is cut off, silenced, drained, killed and restarted under it."""
import json
import os
import subprocess
import tempfile
import time
import unittest

from client import PATIENCE, Ws
from gateway import API_KEY, KEY, Gateway, GatewayTest
from javascript import CLIENT, NODE, WHY_NO_NODE, Node
from proxy import Proxy
from ringcast_scenarios import Publisher, Scenarios


@unittest.skipIf(WHY_NO_NODE, WHY_NO_NODE or "")
class NodeTest(Scenarios, GatewayTest):
    def js(self, port, path=""):
        node = Node(f"ws://127.0.0.1:{port}{path}")
        self.addCleanup(node.close)
        return node

    def test_the_gateway_serves_the_file(self):
        response = self.fetch("GET", "/ringcast.js")
        self.assertEqual((response.status, response.header("Content-Type")), (200, "text/javascript; charset=utf-8"))
        self.assertEqual((response.header("Cache-Control"), response.header("X-Content-Type-Options")), ("no-cache", "nosniff"))
        with open(CLIENT, "rb") as file:
            self.assertEqual(response.body, file.read())
        head = self.fetch("HEAD", "/ringcast.js")
        self.assertEqual((head.status, head.header("Content-Length"), head.body), (200, str(len(response.body)), b""))
        self.assertError(self.fetch("POST", "/ringcast.js", [API_KEY], b"x"), 405, "bad_request")

    def test_it_is_a_package(self):
        """As npm installs it: `import "ringcast"` finds it, and what package.json names is there."""
        with tempfile.TemporaryDirectory() as place:
            os.mkdir(os.path.join(place, "node_modules"))
            os.symlink(os.path.dirname(CLIENT), os.path.join(place, "node_modules", "ringcast"))
            script = os.path.join(place, "use.mjs")
            with open(script, "w", encoding="utf-8") as file:
                file.write('import * as all from "ringcast"; console.log(Object.keys(all).sort().join(" "));')
            said = subprocess.run([*NODE, script], capture_output=True, text=True, timeout=6 * PATIENCE)
        self.assertEqual(said.stdout.strip(), "Ringcast RingcastError Subscription patternExpression patternsOverlap", said.stderr)
        with open(os.path.join(os.path.dirname(CLIENT), "package.json"), encoding="utf-8") as file:
            package = json.load(file)
        self.assertEqual((package["name"], package["type"], package.get("dependencies")), ("ringcast", "module", None))

    def test_patterns_are_matched_as_the_gateway_does(self):
        pairs = [("crypto.*", "crypto.BTC", 1), ("crypto.*", "crypto", 0), ("crypto.*", "crypto.BTC.x", 0), ("fx.>", "fx.EUR.USD", 1), ("fx.>", "fx", 0), (">", "a", 1), (">", "a.b", 1),
                 ("*", "a", 1), ("*", "$sys", 0), (">", "$sys.x", 0), ("$sys.>", "$sys.x", 1), ("$sys.*", "$sys.x", 1), ("*.b", "a.b", 1), ("*.b", "$a.b", 0), ("a.*.c", "a.$x.c", 1),
                 ("a+.(x).*", "a+.(x).1", 1), ("a+.(x).*", "aa.x.1", 0), ("*.b/c", "a.b/c", 1), ("é.*", "é.ü", 1), ("*.>", "a", 0), ("*.>", "a.b.c", 1), ("a-b.*", "a-b.c", 1)]
        overlaps = [("a.*", "*.b", 1), ("a.*", "b.*", 0), (">", "a.b.*", 1), ("a.*", "a.*.c", 0), ("a.>", "a.*.c", 1), (">", "$sys.>", 0), ("*.x", "$sys.x", 0), ("$sys.*", "$sys.>", 1), ("a.>", "*", 0), ("a.>", "a", 0)]
        js = self.js(self.port)
        self.assertEqual(js.run("return %s.filter(([p, t, fits]) => ringcast.patternExpression(p).test(t) !== !!fits)" % json.dumps(pairs)), [])
        self.assertEqual(js.run("return %s.filter(([a, b, fits]) => ringcast.patternsOverlap(a, b) !== !!fits || ringcast.patternsOverlap(b, a) !== !!fits)" % json.dumps(overlaps)), [])
        # and the gateway agrees; one shard, so that a pong comes behind the update
        with Gateway("--shards", "1") as gateway:
            for pattern, topic, fits in pairs:
                if topic.startswith("$"):
                    continue
                with Ws(gateway.port) as ws:
                    ws.ask("subscribe", topics=[pattern], snapshot=False)
                    gateway.publish(topic)
                    came = [m["topic"] for m in ws.quiet() if m.is_update]
                    self.assertEqual(came, [topic] if fits else [], pattern)

    def test_iterating(self):
        topic = self.topic()
        for n in range(3):
            self.publish(topic, n)
        js = self.js(self.port)
        got = js.run("""
            const rc = client({ token: %s }), seqs = [];
            const subscription = rc.subscribe(%s, { mode: "every" });
            await subscription.ready;
            await rc.publish(%s, 3); await rc.publish(%s, 4);      // nobody takes them yet: they wait
            for await (const { seq } of subscription) { seqs.push(seq); if (seq === 5) rc.publish(%s, 5); if (seq === 6) break; }
            await sleep(0);
            const after = await subscription[Symbol.asyncIterator]().next(), forgotten = rc.last(%s) === undefined;
            const other = rc.subscribe("nothing.comes"), pending = other[Symbol.asyncIterator]().next();
            rc.close();
            return { seqs, after, forgotten, pending: await pending };""" % (json.dumps(KEY), *[json.dumps(topic)] * 5))
        self.assertEqual((got["seqs"], got["after"], got["forgotten"], got["pending"]), ([3, 4, 5, 6], {"done": True}, True, {"done": True}))

    def test_what_waits_for_an_iterator_is_bounded_and_overflow_is_a_gap(self):
        one, other = self.topic(), self.topic()
        js = self.js(self.port)
        got = js.run("""
            const rc = client({ token: %s }), gaps = [], taken = [];
            const every = rc.subscribe(%s, { mode: "every", buffer: 10, onGap: gap => gaps.push(gap) });
            const newest = rc.subscribe(%s), all = rc.subscribe(%s, { conflate: false });
            await Promise.all([every.ready, newest.ready, all.ready]);
            for (let n = 1; n <= 20; n++) for (const topic of %s) await rc.publish(topic, n);
            await rc.ping();
            const take = async (subscription, count) => { const got = [], iterator = subscription[Symbol.asyncIterator](); while (count--) got.push((await iterator.next()).value); return got; };
            return { every: await take(every, 10), gaps, newest: await take(newest, 2), all: await take(all, 40) };""" % (json.dumps(KEY), *[json.dumps([one, other])] * 4))
        gap = {"from": 1, "to": 15, "overflow": True}
        for topic in (one, other):
            mine = [u for u in got["every"] if u["topic"] == topic]
            self.assertEqual([u["seq"] for u in mine], [16, 17, 18, 19, 20])
            self.assertEqual({k: mine[0]["gap"][k] for k in gap}, gap)
            self.assertEqual([u for u in mine[1:] if "gap" in u], [])
            self.assertEqual([(g["from"], g["to"]) for g in got["gaps"] if g["topic"] == topic], [(n, n) for n in range(1, 16)])
        self.assertEqual([(u["topic"], u["seq"]) for u in got["newest"]], [(one, 20), (other, 20)])
        self.assertEqual([u["seq"] for u in got["all"]], [n for n in range(1, 21) for _ in "ab"])

    def test_subscriptions_that_overlap(self):
        base = self.topic("over")
        a, b = f"{base}.a", f"{base}.b"
        for topic in (a, b):
            for n in (1, 2, 3):
                self.publish(topic, n)
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            got = js.run("""
                globalThis.rc = client({ token: %s });
                globalThis.newest = follow(rc, %s);
                await until(() => newest.updates.length === 1);
                globalThis.every = follow(rc, %s, { mode: "every" });
                globalThis.live = follow(rc, %s, { mode: "every", snapshot: false });
                globalThis.twice = follow(rc, %s);
                await Promise.all([every.ready, live.ready, twice.ready]);
                await until(() => every.updates.length === 2 && twice.updates.length === 2);
                await rc.ping();
                return [newest, every, live, twice].map(kept => kept.updates.map(u => u.topic.at(-1) + u.seq).sort());
                """ % (json.dumps(KEY), json.dumps(a), json.dumps(f"{base}.*"), json.dumps(f"{base}.>"), json.dumps([a, b, a, f"{base}.*"])))
            self.assertEqual(got, [["a3"], ["a3", "b3"], [], ["a3", "b3"]])
            # A name beats a pattern on the wire: every update of the name reaches who follows the pattern in mode every all the same, while the reading stalls.
            js.run("""
                for (let n = 0; n < 300; n++) rc.publish(%s, n, { timeoutMs: patience_ms });
                await until(() => every.updates.length === 302 && live.updates.length === 300);""" % json.dumps(a))
            modes = js.run("""
                const seen = kept => faultsOf(kept.order).length + kept.gaps.length;
                return [seen(every), seen(live), newest.updates.at(-1).seq, twice.updates.filter(u => u.topic.endsWith("a")).at(-1).seq];""")
            self.assertEqual(modes, [0, 0, 303, 303])
            # One leaves, the others stay; the last that leaves ends it on the wire.
            got = js.run("""
                twice.subscription.unsubscribe(); newest.subscription.unsubscribe(); newest.subscription.unsubscribe();
                const before = [twice, newest, every, live].map(kept => kept.updates.length);
                await rc.publish(%s, "x"); await rc.publish(%s, "x");
                await until(() => every.updates.length === before[2] + 2);
                const stays = [twice, newest, every, live].map((kept, i) => kept.updates.length - before[i]);
                every.subscription.unsubscribe(); live.subscription.unsubscribe();
                await rc.publish(%s, "y"); await rc.ping();
                const last = [rc.last(%s) ?? null, rc.last(%s) ?? null], again = follow(rc, %s);
                await until(() => again.updates.length === 1);
                return { stays, last, again: again.updates.map(u => u.data), gaps: rc.told.gap, faults: faultsOf(every.order), errors: rc.told.error };""" % tuple(json.dumps(t) for t in (a, b, a, a, b, a)))
        self.assertEqual(got, {"stays": [0, 0, 2, 2], "last": [None, None], "again": ["y"], "gaps": [], "faults": [], "errors": []})

    def test_subscriptions_that_come_and_go_under_a_breaking_connection(self):
        """Names and patterns, both modes, at random but from a seed; each of mode every is held to its promise, none is given a gap that was none."""
        base = self.topic("churn")
        topics = [f"{base}.{a}.{b}" for a in "xy" for b in "123"]
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            with Publisher(self.port, topics, pause_s=0.001):
                got = js.run("""
                    let seed = 12345; const random = below => (seed = (seed * 48271) %% 2147483647) %% below;
                    globalThis.rc = client(); globalThis.over = false;
                    const base = %s, choices = [...%s, base + ".x.*", base + ".*.1", base + ".>", base + ".y.>"], all = [], live = [], wrong = [];
                    globalThis.work = (async () => {
                        while (!over) {
                            if (live.length > 6 || (live.length && random(3) === 0)) live.splice(random(live.length), 1)[0].subscription.unsubscribe();
                            else { const kept = follow(rc, [choices[random(choices.length)], choices[random(choices.length)]], { mode: random(2) ? "every" : "latest", snapshot: random(4) > 0 }); live.push(kept); all.push(kept); }
                            if (random(2)) await sleep(random(30));
                        }
                        return all;
                    })();""" % (json.dumps(base), json.dumps(topics)))
                for _ in range(8):
                    time.sleep(0.3)
                    proxy.cut()
                got = js.run("""
                    await until(() => rc.state === "open"); await sleep(200);
                    over = true;
                    const all = await work, wrong = [];
                    await until(() => rc.state === "open"); await rc.ping();
                    for (const { subscription: { mode, topics, snapshot }, order, updates } of all) {
                        const faults = faultsOf(order).filter(fault => mode === "every" || (([, to, from]) => +to < +from)(fault.match(/: (\\d+) instead of (\\d+)/)));
                        if (faults.length || (mode === "every" && order.length !== updates.length)) wrong.push({ mode, topics, snapshot, faults: faults.slice(0, 3), gaps: order.filter(g => g.from).slice(0, 3) });
                    }
                    return { wrong: wrong.slice(0, 5), count: all.length, updates: all.reduce((sum, kept) => sum + kept.updates.length, 0), reconnects: rc.told.reconnect.length, errors: rc.told.error, epochs: rc.told.epoch };""")
        self.assertEqual((got["wrong"], got["errors"], got["epochs"]), ([], [], []))
        self.assertGreater(got["reconnects"], 3)
        self.assertGreater(got["count"], 30)
        self.assertGreater(got["updates"], 1000)

    def test_a_second_subscription_while_the_first_is_asked_for(self):
        topic = self.topic()
        self.publish(topic, 1)
        got = self.js(self.port).run("""
            const rc = client(); await rc.connect();
            const one = follow(rc, %s); await sleep(0);
            const two = follow(rc, %s, { mode: "every" }), three = follow(rc, %s, { snapshot: false });
            await Promise.all([one.ready, two.ready, three.ready]); await rc.ping(); await rc.ping();
            await until(() => one.updates.length && two.updates.length);
            return [one, two, three].map(kept => kept.updates.length);""" % (*[json.dumps(topic)] * 3,))
        self.assertEqual(got, [1, 1, 0])

    def test_without_a_snapshot_only_what_comes_later(self):
        name, covered = self.topic("plain"), self.topic("later.covered")
        self.publish(name, 1)
        self.publish(covered, 1)
        got = self.js(self.port).run("""
            const names = %s, result = [];
            for (const mode of ["every", "latest"])
                for (const topics of [names, [names[0], "later.>"]]) {
                    const rc = client({ token: %s, mode, snapshot: false }), kept = follow(rc, topics), first = Object.fromEntries(names.map(name => [name, 0]));
                    await kept.ready;
                    for (const name of names) first[name] = (await rc.publish(name, "new")).seq;
                    await until(() => kept.updates.length >= 2);
                    result.push(kept.updates.every(u => u.seq === first[u.topic] && u.data === "new") && kept.updates.length === 2 && kept.gaps.length === 0);
                    rc.close();
                }
            return result;""" % (json.dumps([name, covered]), json.dumps(KEY)))
        self.assertEqual(got, [True] * 4)

    def test_requests_go_in_the_order_of_the_calls(self):
        topic = self.topic()
        got = self.js(self.port).run("""
            const rc = client({ token: %s }); await rc.connect();
            const kept = follow(rc, %s, { snapshot: false, mode: "every" });
            await rc.publish(%s, "mine");
            await until(() => kept.updates.length);
            kept.subscription.unsubscribe(); await rc.publish(%s, "not mine"); await rc.ping();
            return kept.updates.map(u => u.data);""" % (json.dumps(KEY), *[json.dumps(topic)] * 3))
        self.assertEqual(got, ["mine"])

    def test_a_topic_born_while_the_connection_was_away_is_told_from_its_first_update(self):
        base = self.topic("born")
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client(); globalThis.kept = follow(rc, [%s], { mode: 'every' }); await kept.ready;" % json.dumps(f"{base}.*"))
            proxy.refuses = True
            proxy.cut()
            for n in range(1, 6):
                self.publish(f"{base}.a", n)
            proxy.refuses = False
            got = js.run("await until(() => kept.updates.length); rc.close(); return [kept.gaps.map(g => [g.from, g.to]), kept.updates.map(u => u.seq), kept.topics.length]")
        self.assertEqual(got, [[[1, 4]], [5], 1])

    def test_a_refusal_ends_its_own_subscription_only(self):
        topic = self.topic()
        self.publish(topic)
        js = self.js(self.port)
        got = js.run("""
            const rc = client(), good = follow(rc, [%s]), bad = follow(rc, [%s, "a..b"]);
            const refused = await outcome(bad.ready);
            await good.ready; await until(() => good.updates.length === 1);
            const iterated = await outcome(rc.subscribe(["a b"])[Symbol.asyncIterator]().next());
            const wrong = [() => rc.subscribe([]), () => rc.subscribe("a", { mode: "all" }), () => rc.subscribe("a", { mode: "every", maxHz: 2 }), () => rc.subscribe("a", { maxHz: -1 }),
                           () => [...[good.subscription]].map(s => s[Symbol.asyncIterator]()), () => new ringcast.Ringcast("ftp://x")].map(f => { try { f(); } catch (error) { return error.name; } });
            rc.close();
            return { refused: refused.code, errors: bad.errors, bad: bad.updates.length, iterated: iterated.code, wrong, told: rc.told.error.map(e => e.code) };""" % (json.dumps(topic), json.dumps(topic)))
        self.assertEqual(got["refused"], "bad_topic")
        self.assertEqual([e["code"] for e in got["errors"]], ["bad_topic"])
        self.assertEqual((got["bad"], got["iterated"]), (0, "bad_topic"))
        self.assertEqual(got["wrong"], ["TypeError"] * 6)

    def test_publishing_without_the_right(self):
        js = self.js(self.port)
        got = js.run("""
            const rc = client();
            return [await outcome(rc.publish("a", 1)), await outcome(rc.publish("a", undefined)), await outcome(client({ token: %s }).publish("$sys.x", 1))].map(o => o.code);""" % json.dumps(KEY))
        self.assertEqual(got, ["unauthorized", "TypeError", "bad_topic"])

    def test_a_wrong_token_is_the_end_unless_a_new_one_is_given(self):
        js = self.js(self.port)
        got = js.run("""
            const fixed = client({ token: "wrong" }), kept = follow(fixed, "a");
            const ended = [(await outcome(fixed.connect())).code, (await outcome(kept.ready)).code, fixed.state, fixed.error.code, kept.errors];
            let asked = 0;
            const same = client({ getToken: () => { asked++; return "wrong"; } });
            const again = [(await outcome(same.connect())).code, asked, same.state];
            const tokens = ["wrong", "also wrong", %s], renewed = client({ getToken: async () => { if (tokens.length === 2) { await sleep(5); } return tokens.shift(); } });
            const published = await outcome(renewed.publish("a", 1, { timeoutMs: patience_ms }));
            const failing = client({ getToken: () => { if (failing.told.error.length < 2) throw new Error("no network"); return %s; } });
            const later = await outcome(failing.publish("a", 1, { timeoutMs: patience_ms }));
            const result = { ended, again, published: !!published.value, later: !!later.value, told: failing.told.error.map(e => e.message), left: tokens.length };
            renewed.close(); failing.close();
            return result;""" % (json.dumps(KEY), json.dumps(KEY)))
        self.assertEqual(got["ended"], ["unauthorized", "unauthorized", "closed", "unauthorized", [{"code": "unauthorized"}]])
        self.assertEqual(got["again"], ["unauthorized", 2, "closed"])
        self.assertEqual((got["published"], got["later"], got["left"]), (True, True, 0))
        self.assertEqual(got["told"], ["getToken gave none: no network"] * 2)

    def test_silence_is_death(self):
        topic = self.topic()
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client({ heartbeatMs: 1000 }); globalThis.kept = follow(rc, %s); await kept.ready;" % json.dumps(topic))
            js.run("await sleep(2500); if (rc.state !== 'open' || rc.told.reconnect.length) throw new Error('heartbeats are a sign of life')")
            proxy.silent = True
            got = js.run("const begin = Date.now(); await until(() => rc.told.reconnect.length === 1); return [Date.now() - begin, rc.told.reconnect[0].reason];")
            self.assertIn("silent for 2000 ms", got[1])
            self.assertGreater(got[0], 900)
            proxy.silent = False
            proxy.cut()
            self.publish(topic, '"back"')
            self.assertEqual(js.run("await until(() => kept.updates.length === 1); rc.close(); return kept.updates[0].data"), "back")

    def test_closing_says_when_to_come_back(self):
        gateway = Gateway().start()
        try:
            port = gateway.port
            js = self.js(port)
            js.run("globalThis.rc = client({ backoff: { minMs: 60000, maxMs: 60000 } }); globalThis.kept = follow(rc, 'a', { mode: 'every' }); await kept.ready;")
            gateway.stop()
            got = js.run("await until(() => rc.told.reconnect.length === 1); return [rc.told.closing, rc.told.reconnect[0]]")
            self.assertEqual(got[0][0]["reason"], "shutdown")
            self.assertEqual(got[1]["delayMs"], got[0][0]["reconnect_ms"])
        finally:
            gateway.kill()

    def test_what_was_sent_when_it_broke_has_an_unknown_outcome_and_what_was_not_goes_later(self):
        topic = self.topic()
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client({ token: %s, publishesMax: 4 }); await rc.connect();" % json.dumps(KEY))
            proxy.silent = True
            js.run("globalThis.sent = outcome(rc.publish(%s, 'sent')); globalThis.timed = outcome(rc.publish(%s, 'timed', { timeoutMs: 50 })); await timed; await sleep(50);" % (json.dumps(topic), json.dumps(topic)))
            proxy.silent, proxy.refuses = False, True
            proxy.cut()
            got = js.run("""
                const one = await sent;
                const later = ["x", "y", "z"].map(data => outcome(rc.publish(%s, data, { timeoutMs: patience_ms }))), late = await outcome(rc.publish(%s, "late", { timeoutMs: 30 }));
                globalThis.later = [...later, outcome(rc.publish(%s, "w", { timeoutMs: patience_ms }))];
                const excess = await outcome(rc.publish(%s, "excess"));
                return [one, await timed, late, excess];""" % (*[json.dumps(topic)] * 4,))
            self.assertEqual([o["code"] for o in got], ["unknown_outcome", "timeout", "timeout", "busy"])
            self.assertIn("not known", got[1]["message"])
            self.assertIn("was not sent", got[2]["message"])
            proxy.refuses = False
            self.assertEqual([o["value"]["seq"] for o in js.run("return Promise.all(later)")], [1, 2, 3, 4])
        self.assertEqual([u["data"] for u in self.gateway.history(topic)], ["x", "y", "z", "w"])

    def test_who_stayed_away_longer_than_the_window_is_told_the_gap(self):
        gateway = Gateway("--topics.window", "20").start()
        try:
            with Proxy(gateway.port) as proxy:
                js = self.js(proxy.port)
                gateway.publish("a", 1)
                js.run("globalThis.rc = client(); globalThis.kept = follow(rc, ['a'], { mode: 'every' }); globalThis.it = rc.subscribe('*', { mode: 'every' })[Symbol.asyncIterator](); await until(() => kept.updates.length === 1); await it.next();")
                proxy.refuses = True
                proxy.cut()
                gateway.publish_many(("a", "%d" % n) for n in range(2, 3001))
                oldest = gateway.oldest("a")
                self.assertGreater(oldest, 2)
                proxy.refuses = False
                got = js.run("await until(() => kept.updates.at(-1).seq === 3000); const next = (await it.next()).value; rc.close(); return { gaps: kept.gaps, faults: faultsOf(kept.order), told: rc.told.gap, next }")
            self.assertEqual([(g["from"], g["to"]) for g in got["gaps"]], [(2, oldest - 1)])
            self.assertEqual((got["faults"], got["told"]), ([], got["gaps"]))
            self.assertEqual((got["next"]["seq"], got["next"]["gap"]["from"], got["next"]["gap"]["to"]), (oldest, 2, oldest - 1))
            gateway.stop()
        finally:
            gateway.kill()

    def test_many_topics_are_asked_for_in_parts_and_all_resume(self):
        base = self.topic("many").replace(".", "-")
        names = [f"{base}.{n}" for n in range(1300)]
        self.gateway.publish_many((name, "1") for name in names)
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client(); globalThis.kept = follow(rc, %s, { mode: 'every' }); globalThis.all = follow(rc, %s, { mode: 'every' }); await until(() => kept.updates.length === 1300 && all.updates.length === 1300);" % (json.dumps(names), json.dumps(f"{base}.>")))
            proxy.cut()
            js.run("await until(() => rc.told.reconnect.length)")
            self.gateway.publish_many((f"{base}.{n}", "2") for n in range(1400))  # a hundred are born
            got = js.run("await until(() => kept.updates.length === 2600 && all.updates.length === 2700); await rc.ping(); rc.close(); return [kept, all].map(k => [k.updates.length, k.gaps, faultsOf(k.order)])")
        self.assertEqual(got, [[2600, [], []], [2700, [], []]])

    def test_a_listener_that_throws_harms_nobody_else(self):
        topic = self.topic()
        js = self.js(self.port)
        got = js.run("""
            const rc = client({ token: %s }), kept = follow(rc, %s);
            rc.on("state", () => { throw new Error("listener"); });
            rc.subscribe(%s, { onUpdate() { throw new Error("callback"); } });
            await kept.ready; await rc.publish(%s, 1); await until(() => kept.updates.length === 1 && uncaught.includes("callback"));
            rc.close();
            return [rc.told.state.at(-1).state, [...new Set(uncaught)].sort()];""" % (json.dumps(KEY), *[json.dumps(topic)] * 3))
        self.assertEqual(got, ["closed", ["callback", "listener"]])


if __name__ == "__main__":
    unittest.main()
