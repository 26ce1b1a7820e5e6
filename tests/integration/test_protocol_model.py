"""PROTOCOL.md against a model of one subscriber: names and patterns subscribed, again, unsubscribed, resumed in any order while topics are
born, published to, marked and deleted. After each step all that came must be exactly what the model says, topic by topic.

The client reads all before the next step, so that it never falls behind: what comes then is decided by the contract alone.
"""
import json
import os
import random
import time
import unittest

from client import Message
from contract import on_one_shard_and_three

SEED = int(os.environ.get("RINGCAST_TEST_SEED", "0")) or random.randrange(1, 1 << 30)
STEPS = int(os.environ.get("RINGCAST_TEST_STEPS", "260"))


def covers(pattern, topic):
    wanted, tokens = pattern.split("."), topic.split(".")
    if wanted[-1] == ">":
        return len(tokens) >= len(wanted) and all(w in ("*", t) for w, t in zip(wanted[:-1], tokens))
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens))


class Topic:
    """What has been published of a topic in its present life."""

    def __init__(self):
        self.epoch, self.head, self.last_key, self.old_epochs = None, 0, 0, ["AAAAAAAA"]

    def snapshot_from(self):
        return self.last_key or self.head


class Model:
    """One connection's subscriptions by the letter."""

    def __init__(self, topics):
        self.topics = topics
        self.names = {}      # topic: (mode)
        self.patterns = {}   # pattern: mode, the last subscribed last
        self.followed = {}   # topic: the epoch that the client knows of, or None

    def rule(self, name):
        """(mode, pattern or None) that rules a topic; None where it is not covered."""
        if name in self.names:
            return self.names[name], None
        for pattern in reversed(self.patterns):
            if covers(pattern, name):
                return self.patterns[pattern], pattern
        return None

    def begin(self, name, mode, snapshot, resume):
        """(seqs due now, resumed or None) of a topic with updates that is followed from now on."""
        topic = self.topics[name]
        if resume:
            if resume["epoch"] == topic.epoch and resume["seq"] <= topic.head:
                first = resume["seq"] + 1
                if mode == "latest":
                    first = max(first, topic.last_key or topic.head)
                return list(range(first, topic.head + 1)), True
        seqs = list(range(topic.snapshot_from(), topic.head + 1)) if snapshot else []
        return seqs, False if resume else None

    def subscribe(self, asked, mode, snapshot, resume, acked):
        """(entries of the ack, {topic: messages that follow})."""
        entries, due = [], {}
        names = [one for one in asked if "*" not in one and ">" not in one]
        patterns = [one for one in asked if one not in names]
        before = set(self.followed)
        for one in patterns:
            self.patterns.pop(one, None)
            self.patterns[one] = mode
        for one in names:
            self.names[one] = mode
        for one in asked:
            if one in patterns:
                entries.append({"topic": one})
                continue
            topic, fresh = self.topics[one], one not in before
            entry = {"topic": one, "epoch": topic.epoch, "seq": topic.head} if topic.epoch else {"topic": one, "seq": 0}
            entries.append(entry)
            if not fresh:
                continue
            self.followed[one] = topic.epoch
            if not topic.epoch:
                if one in resume:
                    entry["resumed"] = False
                continue
            seqs, resumed = self.begin(one, mode, snapshot, resume.get(one))
            if resumed is not None:
                entry["resumed"] = resumed
            due[one] = [] if acked else [{"op": "topic", **entry}]
            due[one] += seqs
        for name, topic in self.topics.items():
            rule = self.rule(name)
            if name in self.followed or not topic.epoch or not rule:
                continue
            self.followed[name] = topic.epoch
            seqs, resumed = self.begin(name, mode, snapshot, resume.get(name))
            due[name] = [{"op": "topic", "topic": name, "epoch": topic.epoch, "seq": topic.head, "by": rule[1], **({} if resumed is None else {"resumed": resumed})}, *seqs]
        return entries, due

    def unsubscribe(self, asked):
        for one in asked:
            self.names.pop(one, None)
            self.patterns.pop(one, None)
        for name in list(self.followed):
            if not self.rule(name):
                del self.followed[name]

    def published(self, name):
        """What one update that was just published brings."""
        topic, rule = self.topics[name], self.rule(name)
        if not rule:
            return []
        if self.followed.get(name) == topic.epoch:
            return [topic.head]
        self.followed[name] = topic.epoch
        return [{"op": "topic", "topic": name, "epoch": topic.epoch, "seq": 0, **({"by": rule[1]} if rule[1] else {})}, topic.head]


@on_one_shard_and_three
class Random:
    flags = ()

    def test_whatever_is_asked_in_whatever_order_is_answered_by_the_letter(self):
        for form in ("json", "array"):
            with self.subTest(form):
                self.walk(random.Random(SEED), lambda form=form: self.reader(form))

    def reader(self, form):
        ws = self.ws(f"/v1/ws?format={form}")
        if form == "array":
            ws.parsed = lambda kind, data: self.message_of(json.loads(data))
        return ws

    @staticmethod
    def message_of(value):
        return Message(dict(zip(("topic", "seq", "ts", "data"), value)) if isinstance(value, list) else value)

    def walk(self, chance, open_one):
        base = self.topic("model").replace(".", "-")
        names = [f"{base}.{tail}" for tail in ("a", "b", "c", "a.x", "a.y", "b.x", "c.x.y")]
        patterns = [f"{base}.*", f"{base}.>", f"{base}.a.*", f"{base}.*.x", f"{base}.*.>", f"{base}.c.*.y"]
        topics = {name: Topic() for name in names}
        model, ws = Model(topics), open_one()
        said = []
        for step in range(STEPS):
            what = chance.choices(("publish", "subscribe", "unsubscribe", "delete", "list", "fresh"), (50, 22, 12, 6, 6, 4))[0]
            said.append(what)
            due = {}
            if what == "publish":
                for _ in range(chance.choice((1, 1, 3))):
                    name = chance.choice(names)
                    topic, key = topics[name], chance.random() < 0.15
                    acked = self.publish(name, step, key)
                    topic.epoch, topic.head = acked["epoch"], topic.head + 1
                    self.assertEqual(acked["seq"], topic.head)
                    topic.last_key = topic.head if key else topic.last_key
                    due.setdefault(name, []).extend(model.published(name))
            elif what == "subscribe":
                asked = chance.sample(names + patterns, chance.choice((1, 1, 2, 3)))
                mode, snapshot, acked = chance.choice(("every", "latest")), chance.random() < 0.7, chance.random() < 0.7
                resume = {}
                for name in chance.sample(names, chance.choice((0, 0, 1, 3))):
                    epoch = topics[name].epoch if topics[name].epoch and chance.random() < 0.7 else chance.choice(topics[name].old_epochs)
                    resume[name] = {"epoch": epoch, "seq": max(0, topics[name].head + chance.choice((-5, -2, -1, 0, 0, 1)))}
                said[-1] = f"{what} {asked} {mode} snapshot={snapshot} id={acked} resume={resume}"
                ws.send_json({"op": "subscribe", "topics": asked, "mode": mode, "snapshot": snapshot, **({"id": step} if acked else {}), **({"resume": resume} if resume else {})})
                entries, due = model.subscribe(asked, mode, snapshot, resume, acked)
                if acked:
                    self.assertEqual(dict(ws.read()), {"op": "subscribed", "id": step, "topics": entries}, self.story(said))
            elif what == "unsubscribe":
                asked = chance.sample(names + patterns, chance.choice((1, 2, 6)))
                said[-1] = f"{what} {asked}"
                self.assertEqual(ws.ask("unsubscribe", topics=asked)["topics"], asked)
                model.unsubscribe(asked)
            elif what == "delete":
                name = chance.choice(names)
                said[-1] = f"{what} {name}"
                if topics[name].epoch:
                    self.delete(name)
                    fresh = Topic()
                    fresh.old_epochs = [*topics[name].old_epochs, topics[name].epoch]
                    topics[name] = fresh
                    time.sleep(0.02)  # other shards hear of it; nobody is told an order between a delete and another connection's request
            elif what == "list":
                listed = self.listed(ws)
                self.assertEqual({one: entry["mode"] for one, entry in listed.items() if "seq" not in entry}, model.patterns, self.story(said))
                for name, topic in topics.items():
                    if topic.epoch and model.rule(name):
                        mode, by = model.rule(name)
                        self.assertEqual((listed[name]["mode"], listed[name].get("by"), listed[name]["seq"]), (mode, by, topic.head), (name, self.story(said)))
                    elif not model.rule(name):
                        self.assertNotIn(name, listed, self.story(said))
            elif what == "fresh":
                ws.close()
                model, ws = Model(topics), open_one()
            said[-1] += f" -> {due}"
            self.assertEqual(self.came(ws, sum(map(len, due.values()))), {name: messages for name, messages in due.items() if messages}, self.story(said))
            if step % 20 == 0:
                self.assertEqual(self.rest(ws), [], self.story(said))

    def came(self, ws, count):
        came = {}
        for _ in range(count):
            message = ws.read()
            came.setdefault(message["topic"], []).append(message["seq"] if message.is_update else dict(message))
        if ws.quiet():
            self.fail(f"more came than was due, beside {came}")
        return came

    def story(self, said):
        return f"seed {SEED}:\n" + "\n".join(said[-25:])


if __name__ == "__main__":
    unittest.main()
