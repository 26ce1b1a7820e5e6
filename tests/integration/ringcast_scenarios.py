"""What holds of the client /ringcast.js in Node and in a page alike; test_ringcast_js.py and test_ringcast_browser.py run it."""
import json
import threading
import time

from client import PATIENCE, Ended, Refused, TooLate, Ws
from gateway import API_KEY, KEY, Gateway
from proxy import Proxy


class Publisher:
    """Publishes 1, 2, 3, … to topics in turn, from a thread, without an end to its patience; a context manager."""

    def __init__(self, port, topics, pause_s=0.002):
        self.port, self.topics, self.pause_s = port, topics, pause_s
        self.count = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.over.set()
        self.thread.join(2 * PATIENCE)

    def work(self):
        while not self.over.is_set():
            try:
                with Ws(self.port, add=[API_KEY]) as ws:
                    while not self.over.wait(self.pause_s):
                        self.count += 1
                        ws.send_json(*({"op": "publish", "topic": topic, "data": self.count} for topic in self.topics))
                    ws.ask("ping")
            except (OSError, Ended, Refused, TooLate):
                time.sleep(0.01)  # it is away: the next try tells


class Scenarios:
    """Who inherits says how JavaScript runs: js(port) gives a fresh world of it."""

    def test_updates_arrive_and_are_published(self):
        topic = self.topic()
        self.publish(topic, 1)
        js = self.js(self.port)
        got = js.run("""
            globalThis.rc = client({ token: %s });
            globalThis.kept = follow(rc, %s);
            const ready = await kept.ready === kept.subscription;
            await until(() => kept.updates.length === 1);
            const published = await rc.publish(%s, { p: [1, null] });
            await until(() => kept.updates.length === 2);
            return { ready, published, updates: kept.updates, last: rc.last(%s), state: rc.state, round: await rc.ping(), clock: await rc.clock() };
            """ % (json.dumps(KEY), *[json.dumps(topic)] * 3))
        self.assertEqual([(u["topic"], u["seq"], u["data"]) for u in got["updates"]], [(topic, 1, 1), (topic, 2, {"p": [1, None]})])
        self.assertEqual({u["epoch"] for u in got["updates"]}, {got["published"]["epoch"]})
        self.assertEqual((got["ready"], got["published"]["seq"], got["last"], got["state"]), (True, 2, got["updates"][1], "open"))
        self.assertGreaterEqual(got["round"], 0)
        self.assertLessEqual(abs(got["clock"]["aheadMs"]), got["clock"]["rttMs"] / 2 + 50, "one machine has one clock, but for what time has been set back or forth since the start")
        ended = js.run("""
            rc.close(); rc.close();
            const late = await outcome(rc.publish("x", 1));
            let refused; try { rc.subscribe("x"); } catch (error) { refused = error.code; }
            return { state: rc.state, states: rc.told.state.map(s => s.state), late: late.code, refused, connect: (await outcome(rc.connect())).code };""")
        self.assertEqual(ended, {"state": "closed", "states": ["connecting", "open", "closed"], "late": "closed", "refused": "closed", "connect": "closed"})

    def test_an_abort_signal_ends_a_subscription(self):
        topic = self.topic("abort")
        self.publish(topic, 1)
        got = self.js(self.port).run("""
            const rc = client({ token: %s }), leaving = new AbortController(), other = follow(rc, %s);
            const left = follow(rc, %s, { signal: leaving.signal });
            const iterated = (async () => { const seen = []; for await (const { data } of rc.subscribe(%s, { mode: "every", signal: leaving.signal })) seen.push(data); return seen; })();
            await until(() => left.updates.length === 1 && other.updates.length === 1);
            await rc.publish(%s, 2);
            await until(() => left.updates.length === 2 && other.updates.length === 2);
            leaving.abort();
            const seen = await iterated;
            await rc.publish(%s, 3);
            await until(() => other.updates.length === 3);
            const late = rc.subscribe(%s, { signal: leaving.signal });
            const result = [seen, left.updates.map(u => u.data), left.errors, (await outcome(late.ready)).code, (await late[Symbol.asyncIterator]().next()).done, other.updates.map(u => u.data)];
            await rc.close();
            return result;""" % (json.dumps(KEY), *[json.dumps(topic)] * 6))
        self.assertEqual(got, [[1, 2], [1, 2], [], "closed", True, [1, 2, 3]])

    def test_close_resolves_when_what_was_sent_has_arrived(self):
        topic = self.topic("farewell")
        js = self.js(self.port)
        codes = js.run("""
            const rc = client({ token: %s });
            await rc.connect();
            const sent = [1, 2, 3].map(n => outcome(rc.publish(%s, n)));
            await rc.close();
            await client().close();
            return (await Promise.all(sent)).map(o => o.code);""" % (json.dumps(KEY), json.dumps(topic)))
        self.assertEqual(codes, ["unknown_outcome"] * 3)  # they were not awaited
        self.assertEqual(self.fetch("GET", f"/v1/topics/{topic}").json()["data"], 3)

    def test_another_token_is_shown_on_the_connection_that_there_is(self):
        topic = self.topic("login")
        got = self.js(self.port).run("""
            const rc = client(), key = %s, topic = %s;
            const before = (await outcome(rc.publish(topic, 1))).code;
            const wrong = (await outcome(rc.setToken("wrong"))).code;
            await rc.setToken(key);
            const after = !!(await outcome(rc.publish(topic, 2))).value;
            const refused = (await outcome(rc.setToken("wrong again"))).code;
            const still = !!(await outcome(rc.publish(topic, 3))).value;
            const empty = (await outcome(rc.setToken(""))).code, connections = rc.told.state.filter(({ state }) => state === "connecting").length;
            await rc.close();
            const early = client({ token: "wrong" });
            await early.setToken(key);
            const first = !!(await outcome(early.publish(topic, 4))).value;
            await early.close();
            return [before, wrong, after, refused, still, empty, connections, first, (await outcome(rc.setToken(key))).code];""" % (json.dumps(KEY), json.dumps(topic)))
        self.assertEqual(got, ["unauthorized", "unauthorized", True, "unauthorized", True, "TypeError", 1, True, "closed"])

    def test_a_restarted_gateway_begins_new_epochs_and_every_update_or_gap_is_told(self):
        """kill -9 and a start on the same port, twice, with a publisher that goes on."""
        base = self.topic("kill")
        topics = [f"{base}.a", f"{base}.b"]
        with Gateway("--topics.window", "20000") as gateway:
            port = gateway.port
            js = self.js(port)
            js.run("""
                globalThis.rc = client();
                globalThis.byName = follow(rc, %s, { mode: "every" });
                globalThis.byPattern = follow(rc, %s, { mode: "every", snapshot: false });
                globalThis.newest = follow(rc, %s);
                await Promise.all([byName.ready, byPattern.ready, newest.ready]);""" % (json.dumps(topics), json.dumps(f"{base}.>"), json.dumps(f"{base}.*")))
            heads = {}
            with Publisher(port, topics) as publisher:
                for life in range(3):
                    if life:
                        gateway.kill()
                        js.run("await until(() => rc.state !== 'open')")
                        time.sleep(0.1)
                        gateway.start(port)
                    # Some hundred of this life, and something from before the client was back.
                    js.run("await until(() => rc.state === 'open'); const n = byName.updates.length; await until(() => byName.updates.length > n + 200);")
                    if life == 2:
                        publisher.stop()
                    heads[life] = {topic: gateway.fetch("GET", f"/v1/topics/{topic}").json() for topic in topics}
            js.run("await until(() => %s.every(([t, seq]) => rc.last(t)?.seq === seq))" % json.dumps([[t, heads[2][t]["seq"]] for t in topics]))
            got = js.run("""
                const told = rc.told;
                rc.close();
                const lives = order => order.reduce((lives, u) => { (lives[u.topic + " " + u.epoch] ??= []).push(u.seq ?? [u.from, u.to]); return lives; }, {});
                return { told, name: lives(byName.order), pattern: lives(byPattern.order), newest: lives(newest.updates), faults: [...faultsOf(byName.order, first), ...faultsOf(byPattern.order, first)],
                         rising: newest.updates.every((u, i, all) => !all.slice(0, i).some(v => v.topic === u.topic && v.epoch === u.epoch && v.seq >= u.seq)),
                         topics: byName.topics };""".replace("first)", "%s)" % json.dumps({f"{t} {heads[life][t]['epoch']}": 1 for life in heads for t in topics})))
            gateway.stop()
        self.assertEqual(got["faults"], [])
        self.assertTrue(got["rising"])
        for followed in ("name", "pattern", "newest"):
            for topic in topics:
                for life in heads:
                    seqs = got[followed][f"{topic} {heads[life][topic]['epoch']}"]
                    self.assertGreater(len(seqs), 50, (followed, topic, life))
        for topic in topics:
            epochs = [heads[life][topic]["epoch"] for life in range(3)]
            self.assertEqual(len(set(epochs)), 3)
            self.assertEqual([(e["previous"], e["epoch"]) for e in got["told"]["epoch"] if e["topic"] == topic], list(zip(epochs, epochs[1:])))
        self.assertEqual(got["told"]["error"], [])
        self.assertGreaterEqual(len(got["told"]["reconnect"]), 2)

    def test_a_cut_connection_resumes_with_every_seq_exactly_once(self):
        base = self.topic("cut")
        names, others = [f"{base}.a", f"{base}.b"], [f"{base}.x.c", f"{base}.x.d"]
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("""
                globalThis.rc = client();
                globalThis.kept = follow(rc, %s, { mode: "every" });
                globalThis.newest = follow(rc, %s);
                await Promise.all([kept.ready, newest.ready]);""" % (json.dumps(names + [f"{base}.x.*"]), json.dumps(f"{base}.>")))
            with Publisher(self.port, names + others) as publisher:
                for cuts in range(1, 7):
                    js.run("const n = kept.updates.length; await until(() => rc.state === 'open' && kept.updates.length > n + 100);")
                    proxy.cut()
                    js.run(f"await until(() => rc.told.reconnect.length >= {cuts})")
                publisher.stop()
                count = self.fetch("GET", f"/v1/topics/{names[0]}").json()["seq"]
            got = js.run("""
                await until(() => %s.every(t => rc.last(t)?.seq === %d));
                await rc.ping();
                const order = kept.order, reconnects = rc.told.reconnect.length;
                rc.close();
                return { count: kept.updates.length, gaps: kept.gaps, faults: faultsOf(order), epochs: rc.told.epoch, reconnects, starts: order.filter(u => u.seq === 1).map(u => u.topic).sort(),
                         same: kept.updates.every(u => u.data === u.seq), rising: faultsOf(newest.updates).filter(f => { const [, to, from] = f.match(/: (\\d+) instead of (\\d+)/); return +to < +from; }) };
                """ % (json.dumps(names + others), count))
        self.assertGreaterEqual(got["reconnects"], 6)
        self.assertEqual((got["faults"], got["gaps"], got["epochs"], got["rising"]), ([], [], [], []))
        self.assertEqual((got["starts"], got["count"], got["same"]), (sorted(names + others), 4 * count, True))
