"""The live board at `/` in headless Chromium, against the real gateway: what a reader sees, does, and is spared.

Each test ends by looking at what the browser had to say: no fault in the console, no request to another host.
"""
import json
import threading
import unittest

from client import PATIENCE
from gateway import Gateway, GatewayTest, free_port
from javascript import WHY_NO_CHROMIUM, Pages

KIT = """
    globalThis.$ = id => document.getElementById(id);
    globalThis.sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
    globalThis.until = async (holds, what = String(holds)) => {
        for (const end = Date.now() + %d; ;) {
            const value = holds();
            if (value) return value;
            if (Date.now() > end) throw new Error("in vain: " + what + "; pill: " + $("pill")?.textContent + "; rows: " + JSON.stringify(rows()).slice(0, 600));
            await sleep(20);
        }
    };
    globalThis.rows = () => [...document.querySelectorAll("#rows .row")].filter(row => row.topic).sort((a, b) => +a.ariaRowIndex - +b.ariaRowIndex)
        .map(row => ({ topic: row.querySelector(".sym").textContent, value: row.querySelector(".price").textContent, change: row.querySelector(".chg").textContent,
                       seq: row.querySelector(".c-seq span").textContent, gaps: row.querySelector(".gaps").textContent, label: row.querySelector(".name").textContent, dir: row.dataset.dir }));
    globalThis.row = topic => rows().find(one => one.topic === topic);
    globalThis.node = topic => [...document.querySelectorAll("#rows .row")].find(one => one.topic?.name === topic);
    globalThis.visible = id => { const box = $(id).getBoundingClientRect(); return !$(id).hidden && box.width > 0; };
""" % (PATIENCE * 1000)

# For what the gateway of today can't be made to say: it asks for a token, and takes one.
LOCKED = """
    globalThis.WebSocket = class {
        readyState = 1; tokens = [];
        constructor(url, protocol) { this.url = url; globalThis.urls = [...(globalThis.urls ?? []), url]; setTimeout(() => this.say({ op: "hello", version: "x", heartbeat_ms: 25000 })); }
        say(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
        send(text) {
            for (const line of text.split("\\n")) {
                const { op, id, token, topics } = JSON.parse(line);
                setTimeout(() => {
                    if (op === "auth" && token === "the-right-one") { this.in = true; this.say({ op: "authenticated", id }); }
                    else if (op === "auth") this.say({ op: "error", id, code: "unauthorized", message: "the key is not right" });
                    else if (op === "ping") this.say({ op: "pong", id, ts: Date.now() * 1000 });
                    else if (op === "subscribe" && !this.in) this.say({ op: "error", id, code: "unauthorized", message: "reading needs a key" });
                    else if (op === "subscribe") {
                        this.say({ op: "subscribed", id, topics: topics.map(topic => ({ topic })) });
                        this.say({ op: "topic", topic: "secret.A", epoch: "aaaaaaaa", seq: 1, by: topics[0] });
                        this.say({ topic: "secret.A", seq: 1, ts: Date.now() * 1000, data: { p: 7 } });
                    }
                });
            }
        }
        close() { this.readyState = 3; }
    };
"""


class Feed:
    """Publishes to some topics, so many times a second each, until its end; a context manager."""

    def __init__(self, gateway, topics, hz):
        self.gateway, self.topics, self.hz = gateway, topics, hz
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        number = 0
        while not self.ended.wait(1 / self.hz):
            number += 1
            self.gateway.publish_many([(topic, json.dumps({"p": 100 + number % 10 / 10})) for topic in self.topics])


@unittest.skipIf(WHY_NO_CHROMIUM, WHY_NO_CHROMIUM or "")
class BoardTest(Pages, GatewayTest):
    def open(self, address="", port=None, width=1280, height=800, before="", features=()):
        """A board that has loaded; its faults are looked at when the test ends."""
        return self.open_page(port or self.port, "/" + address, KIT + before, width, height, features)

    def press(self, tab, key, code=0):
        code = code or {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36, "Tab": 9, "/": 191}[key]
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        tab.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        tab.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, tab, text):
        for letter in text:
            tab.ask("Input.dispatchKeyEvent", type="char", text=letter)

    # ---- what is seen

    def test_rows_appear_and_follow_what_is_published(self):
        gateway = self.enterContext(Gateway())
        gateway.publish("a.one", '{"p":10.25,"b":10.2,"a":10.3,"v":1500,"name":"The first"}')
        board = self.open(port=gateway.port)
        self.assertEqual(board.run("await until(() => row('a.one')); return row('a.one')"),
                         {"topic": "a.one", "value": "10.25", "change": "", "seq": "#1", "gaps": "", "label": "The first", "dir": ""})
        gateway.publish("a.one", '{"p":10.35,"b":10.3,"a":10.4,"v":1600,"name":"The first"}')
        got = board.run("await until(() => row('a.one').value === '10.35'); await until(() => row('a.one').dir === 'up'); return row('a.one')")
        self.assertEqual((got["change"], got["seq"]), ("+0.98%", "#2"))
        gateway.publish("a.one", '{"p":10.15}')
        board.run("await until(() => row('a.one').value === '10.15' && row('a.one').dir === 'down')")
        gateway.publish("b.two", '{"says":"hello","n":[1,2]}')
        gateway.publish("c.three", "42")
        gateway.publish("d.four", '{"price":"1.0835"}')
        gateway.publish("e.five", '{"temperature":21.5}')
        gateway.publish("f.six", '{"bid":1,"ask":3}')
        got = board.run("await until(() => row('f.six')?.value); return rows().map(({ topic, value, label }) => [topic, value, label])")
        self.assertEqual(got, [["a.one", "10.15", ""], ["b.two", '{"says":"hello","n":[1,2]}', ""], ["c.three", "42", ""], ["d.four", "1.0835", ""],
                               ["e.five", "21.5", "temperature"], ["f.six", "2", "mid"]])
        self.assertEqual(board.run("return [$('pill').textContent, $('spoken').textContent, $('n-topics').textContent]"), ["Live", "Live", "6"])
        board.run("await until(() => /ms$/.test($('delay').textContent) && /±/.test($('delay-p99').textContent))")

    def test_a_value_of_any_size_keeps_its_digits_and_one_alone_is_no_change(self):
        gateway = self.enterContext(Gateway())
        numbers = {"a.large": ("123456789.123", "123,456,789.123"), "b.least": ("0.0000000123", "1.23e-8"), "c.small": ("0.00001234", "0.00001234"), "d.dust": ("0.30000000000000004", "0.3"),
                   "e.huge": ("-1234567890123456", "-1.234568e+15"), "f.none": ("0", "0")}
        gateway.publish_many([(topic, '{"p":%s}' % sent) for topic, (sent, _) in numbers.items()])
        board = self.open(port=gateway.port)
        board.run("await until(() => row('f.none')?.value)")
        self.assertEqual(board.run("return rows().map(({ topic, value, change }) => [topic, value, change])"), [[topic, shown, ""] for topic, (_, shown) in numbers.items()])
        board.ask("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
        board.run("const middle = box => box.top + box.height / 2; await until(() => Math.abs(middle(node('a.large').querySelector('.price').getBoundingClientRect()) - middle(node('a.large').getBoundingClientRect())) < 2, 'a value without a change stands in the middle of its row')")
        gateway.publish("c.small", '{"p":0.00001234}')
        board.run("await until(() => row('c.small').change === '0.00%')")

    def test_of_a_long_name_the_last_token_stays_whole(self):
        gateway = self.enterContext(Gateway())
        gateway.publish("exchange.nasdaq.equities.usa.technology.large-cap.semiconductors.NVDA", '{"p":1}')
        for width in (1280, 360):
            with self.subTest(width):
                board = self.open(port=gateway.port, width=width)
                got = board.run("await until(() => rows().length); const [before, last] = document.querySelector('#rows .sym').children; return [last.scrollWidth - last.clientWidth, before.scrollWidth > before.clientWidth]")
                self.assertEqual(got, [0, True])

    def test_without_a_topic_it_says_how_to_publish_one(self):
        gateway = self.enterContext(Gateway())
        board = self.open(port=gateway.port)
        board.run("await until(() => visible('panel-empty'))")
        self.assertIn(f"http://127.0.0.1:{gateway.port}/v1/topics/my.first", board.run("return $('ex-publish').textContent"))
        gateway.publish("my.first", '{"p":1}')
        board.run("await until(() => row('my.first') && !visible('panel-empty'))")

    def test_hostile_names_and_payloads_are_text_and_nothing_else(self):
        names = ["x<img/src=x/onerror=globalThis.hacked=1//", "x<script/src=//evil.example/x.js", "x&lt;b&gt;", "x'onmouseover='hacked=1", "x${hacked=1}", "x\u202egnp.exe", "__proto__", "constructor", "x%3Cb%3E", "x;curl'$(id)"]
        payload = {"p": 3, "name": "</span><img src=x onerror=globalThis.hacked=1><script>globalThis.hacked=1</script>", "__proto__": {"hacked": 1}, "toString": 1}
        gateway = self.enterContext(Gateway())
        gateway.publish_many([(name, json.dumps(payload)) for name in names])
        gateway.publish("text", json.dumps("<img src=x onerror=globalThis.hacked=1>"))
        board = self.open(port=gateway.port)
        got = board.run("await until(() => rows().length === %d && rows().every(({ value }) => value)); return rows()" % (len(names) + 1))
        self.assertEqual({one["topic"] for one in got}, {*names, "text"})
        self.assertEqual({one["label"] for one in got if one["topic"] != "text"}, {payload["name"]})
        for name in names:
            board.run("node(%s).click(); await until(() => $('detail').open && $('d-rows').rows.length); for (const tab of document.querySelectorAll('[role=tab]')) { tab.click(); await sleep(10); } $('d-close').click();" % json.dumps(name))
        board.run("$('find').value = '<img src=x onerror=globalThis.hacked=1>'; $('find').dispatchEvent(new Event('input')); await sleep(700)")
        board.run("location.hash = 'topics=<img/src=x/onerror=hacked=1>,%22><script>globalThis.hacked=1</script>&find=<b>&hz=<b>&sort=constructor'; await sleep(500)")
        self.assertEqual(board.run("await sleep(200); return [globalThis.hacked ?? null, ({}).hacked ?? null, document.querySelectorAll('main img, dialog img, main script, dialog script, main b b').length]"), [None, None, 0])

    def test_a_snippet_is_quoted_for_its_shell(self):
        gateway = self.enterContext(Gateway())
        gateway.publish("it's;id", "1")
        board = self.open(port=gateway.port)
        board.run("await until(() => row(\"it's;id\")); node(\"it's;id\").click(); $('tab-tail').click()")
        self.assertEqual(board.run("return $('d-snippet').textContent"), f"ringcast tail 'ws://127.0.0.1:{gateway.port}' 'it'\\''s;id'")

    def test_what_is_missing_is_marked(self):
        """A gap of mode every apart from what mode latest skipped; and a new epoch begins anew. On the board's own module: a real gap needs a reader slower than a test may be."""
        board = self.open()
        got = board.run("""
            const { Topic } = await import("/board_topic.js"), topic = new Topic("a.b"), told = [];
            const take = (epoch, seq, gap) => { const news = topic.take({ epoch, seq, ts: seq * 1e6, data: { p: seq }, gap }, 0); told.push([news, topic.seq, topic.skipped, topic.lost, topic.points.length]); };
            take("e1", 5); take("e1", 6); take("e1", 6); take("e1", 9); take("e1", 15, { from: 10, to: 14 }); take("e2", 1);
            return told;""")
        self.assertEqual(got, [[True, 5, 0, 0, 1], [True, 6, 0, 0, 2], [False, 6, 0, 0, 2], [True, 9, 2, 0, 3], [True, 15, 2, 5, 4], [True, 1, 0, 0, 1]])

    # ---- what a reader does

    def test_the_search_filters_as_one_types(self):
        gateway = self.enterContext(Gateway())
        gateway.publish_many([("fx.EURUSD", '{"p":1,"name":"Euro"}'), ("fx.GBPUSD", '{"p":2,"name":"Cable"}'), ("crypto.BTC", '{"p":3,"name":"Bitcoin"}')])
        board = self.open(port=gateway.port)
        board.run("await until(() => rows().length === 3)")
        self.press(board, "/")
        self.type(board, "cAbl")
        board.run("await until(() => rows().length === 1 && row('fx.GBPUSD')); await until(() => location.hash === '#find=cAbl')")
        self.assertEqual(board.run("return [document.activeElement.id, $('n-topics').textContent, $('n-of').textContent, $('find').value]"), ["find", "1", "of 3", "cAbl"])
        gateway.publish("fx.GBPUSD", '{"p":2.5,"name":"Cable"}')
        gateway.publish("crypto.ETH", '{"p":4}')
        board.run("await until(() => row('fx.GBPUSD').value === '2.5' && $('n-of').textContent === 'of 4'); if (rows().length !== 1) throw new Error('the search holds for new topics too');")
        self.type(board, "zz")
        board.run("await until(() => visible('panel-nomatch') && !visible('table'))")
        self.press(board, "Escape")
        board.run("await until(() => rows().length === 4 && $('find').value === '')")

    def test_sorting_by_what_a_column_holds(self):
        gateway = self.enterContext(Gateway())
        gateway.publish_many([(name, json.dumps({"p": 100, "v": volume})) for name, volume in (("a", 5), ("b", 50), ("c", 20))])
        board = self.open(port=gateway.port)
        board.run("await until(() => rows().length === 3 && rows().every(({ seq }) => seq === '#1'))")
        gateway.publish_many([("a", '{"p":101,"v":5}'), ("b", '{"p":99,"v":50}'), ("c", '{"p":103,"v":20}')])
        board.run("await until(() => rows().every(({ seq }) => seq === '#2'))")
        for column, first, second in (("volume", "b,c,a", "a,c,b"), ("change", "c,a,b", "b,a,c"), ("name", "a,b,c", "c,b,a")):
            head = f"document.querySelector('[role=columnheader][data-sort={column}]')"
            for order, said in ((first, "ascending" if column == "name" else "descending"), (second, "descending" if column == "name" else "ascending")):
                board.run(f"{head}.firstElementChild.click(); await until(() => rows().map(({{ topic }}) => topic).join() === '{order}'); if ({head}.ariaSort !== '{said}') throw new Error({head}.ariaSort)")
        board.run("await until(() => [...$('rows').children].map(row => row.topic.name).join() === 'c,b,a', \"the page's order becomes the screen's\")")

    def test_pausing_holds_still_keeps_nothing_and_goes_on_with_the_newest(self):
        topic = self.topic("pause")
        self.publish(topic, '{"p":1}')
        board = self.open("#topics=" + topic)
        board.run(f"await until(() => row('{topic}')?.value === '1'); $('pause').click()")
        for value in range(2, 12):
            self.publish(topic, '{"p":%d}' % value)
        board.run("await until(() => /^Paused\\. 10 updates skipped/.test($('held-text').textContent))")
        self.assertEqual(board.run(f"return [row('{topic}').value, $('pill').textContent, $('pause').ariaPressed]"), ["1", "Paused", "true"])
        board.run(f"$('resume').click(); await until(() => row('{topic}').value === '11'); if (visible('held') || $('pill').textContent !== 'Live') throw new Error('still paused')")
        self.assertEqual(board.run(f"return row('{topic}').gaps"), "9 skipped")

    def test_a_lower_rate_shows_fewer_updates_of_as_many_published(self):
        topics = [self.topic("rate") for _ in range(5)]
        with Feed(self.gateway, topics, 20):
            board = self.open("#topics=rate.>")
            board.run("await until(() => +$('rate').textContent > 40)")
            board.run("document.querySelector('input[name=hz][value=\"1\"]').click(); await until(() => location.hash.includes('hz=1'))")
            board.run("await until(() => +$('rate').textContent <= 8 && +$('rate').textContent > 0 && /of \\d+ published/.test($('rate-of').textContent), 'the rate falls')")
            self.assertGreater(board.run("return +/of ([\\d.]+)/.exec($('rate-of').textContent)[1]"), 30)
            board.run("document.querySelector('input[name=hz][value=\"0\"]').click(); await until(() => +$('rate').textContent > 40, 'the rate rises again')")
        self.assertEqual(len({json.dumps(self.fetch("GET", f"/v1/topics/{topic}").json()["seq"]) for topic in topics}), 1)

    def test_the_history_of_a_topic_opens_and_closes_by_the_keyboard(self):
        topic = self.topic("history")
        for value in range(1, 31):
            self.publish(topic, '{"p":%d.5}' % value)
        board = self.open("#topics=history.>")
        board.run(f"await until(() => row('{topic}')?.value); document.querySelector('#rows [tabindex=\"0\"]').focus()")
        self.press(board, "Enter")
        board.run("await until(() => $('detail').open && $('d-rows').rows.length === 12)")
        got = board.run("await until(() => !$('d-chart').hidden && $('d-chart').ariaLabel); return [$('d-title').textContent, $('d-chart').ariaLabel, [...$('d-rows').rows[0].cells].slice(1).map(cell => cell.textContent), JSON.parse($('d-data').textContent), document.activeElement.id]")
        self.assertEqual((got[0], got[2], got[3], got[4]), (topic, ["#30", "30.5", "+3.39%"], {"p": 30.5}, "d-close"))
        self.assertRegex(got[1], r"^30 values .*lowest 1\.5, highest 30\.5, newest 30\.5$")
        self.publish(topic, '{"p":99}')
        board.run("await until(() => $('d-price').textContent === '99.0' && /^31 values/.test($('d-chart').ariaLabel) && $('d-rows').rows[0].cells[1].textContent === '#31')")
        facts = board.run("return Object.fromEntries([...$('d-facts').children].map(pair => [pair.children[0].textContent, pair.children[1].textContent]))")
        self.assertEqual((facts["Sequence"], facts["Epoch"]), ("#31", self.fetch("GET", f"/v1/topics/{topic}").json()["epoch"]))
        self.press(board, "Escape")
        board.run(f"await until(() => !$('detail').open && document.activeElement.topic?.name === '{topic}')")

    def test_thousands_of_topics_are_a_screenful_of_rows_that_keys_walk_through(self):
        gateway = self.enterContext(Gateway())
        names = [f"many.{i:04}" for i in range(3000)]
        gateway.publish_many([(name, '{"p":1}') for name in names])
        board = self.open(port=gateway.port)
        board.run("await until(() => $('n-topics').textContent === '3,000' && rows().length)")
        self.assertLess(board.run("return document.querySelectorAll('#rows .row').length"), 60)
        board.run("document.querySelector('#rows [tabindex=\"0\"]').focus()")
        self.press(board, "End")
        board.run("await until(() => document.activeElement.topic?.name === 'many.2999')")
        self.press(board, "ArrowUp")
        got = board.run("await until(() => document.activeElement.topic?.name === 'many.2998'); await sleep(100); const box = document.activeElement.getBoundingClientRect(); return [document.activeElement.ariaRowIndex, $('table').ariaRowCount, box.top > 0 && box.bottom <= innerHeight, document.querySelectorAll('#rows [tabindex=\"0\"]').length, document.querySelectorAll('#rows .row').length < 60]")
        self.assertEqual(got, ["3000", "3001", True, 1, True])
        gateway.publish("many.2998", '{"p":2}')
        board.run("await until(() => row('many.2998').value === '2' && document.activeElement.topic.name === 'many.2998')")
        self.press(board, "Home")
        board.run("await until(() => document.activeElement.topic?.name === 'many.0000'); const top = document.activeElement.getBoundingClientRect().top, bottom = document.querySelector('.heads').getBoundingClientRect().bottom; if (top < bottom - 1) throw new Error('the heads cover it: ' + top + ' < ' + bottom)")

    def test_the_address_is_the_view(self):
        mine, other = self.topic("view"), self.topic("apart")
        self.publish(mine, '{"p":1}')
        self.publish(other, '{"p":1}')
        board = self.open("#topics=view.*&hz=4&sort=-change")
        board.run(f"await until(() => row('{mine}')?.value)")
        self.assertEqual(board.run(f"return [!!row('{other}'), document.querySelector('input[name=hz]:checked').value, document.querySelector('[data-sort=change]').ariaSort, $('topics').value]"), [False, "4", "ascending", "view.*"])
        board.run("$('topics').value = 'apart.>'; $('topics-form').requestSubmit()")
        board.run(f"await until(() => row('{other}')?.value && !row('{mine}') && decodeURIComponent(location.hash).includes('topics=apart.>'))")
        board.run("document.querySelector('input[name=mode][value=every]').click(); await until(() => location.hash.includes('mode=every') && !location.hash.includes('hz=') && document.querySelector('input[name=hz]').disabled)")
        self.publish(other, '{"p":2}')
        board.run(f"await until(() => row('{other}').value === '2')")
        board.run("$('topics').value = 'a..b'; $('topics-form').requestSubmit(); await until(() => visible('refused') && /a\\.\\.b|token|empty|topic/i.test($('refused').textContent))")
        board.run(f"$('topics').value = 'never.was, {mine}'; $('topics-form').requestSubmit(); await until(() => row('never.was')?.value === 'no update yet' && row('{mine}')?.value === '1' && !visible('refused'))")

    # ---- breaks and tokens

    def test_a_gateway_that_dies_and_comes_back_is_followed_again(self):
        gateway = Gateway()
        port = free_port()
        gateway.start(port)
        try:
            gateway.publish("back.A", '{"p":1}')
            board = self.open(port=port)
            board.breaks = True
            board.run("await until(() => row('back.A')?.value === '1')")
            gateway.kill()
            board.run("await until(() => /^Reconnecting/.test($('pill').textContent) && visible('lost'))")
            self.assertEqual(board.run("return row('back.A').value"), "1", "the last value stays, and the page says that it is the last one")
            gateway.start(port)
            gateway.publish("back.A", '{"p":5}')
            board.run("await until(() => $('pill').textContent === 'Live' && row('back.A').value === '5' && row('back.A').seq === '#1' && !visible('lost'))")
            gateway.publish("back.B", '{"p":6}')
            board.run("await until(() => row('back.B')?.value === '6')")
            gateway.stop()
        finally:
            gateway.kill()

    def test_a_gateway_that_was_never_there_is_told_with_a_way_out(self):
        gateway = self.enterContext(Gateway())
        board = self.open(port=gateway.port, before="globalThis.WebSocket = class { constructor() { setTimeout(() => this.onclose?.({ code: 1013, reason: 'the gateway is full' })); } close() {} };")
        board.run("await until(() => visible('panel-failed') && /^The gateway is full\\./.test($('failed-why').textContent) && /Next try in \\d+ s|Trying now/.test($('failed-next').textContent))")

    def test_a_token_is_asked_for_and_kept_in_the_tab_alone(self):
        board = self.open(before=LOCKED)
        board.run("await until(() => visible('panel-locked') && $('pill').textContent === 'Token needed' && document.activeElement.id === 'token')")
        self.type(board, "a-wrong-one")
        self.press(board, "Enter")
        board.run("await until(() => /does not take this token/.test($('locked-why').textContent))")
        self.type(board, "the-right-one")
        self.press(board, "Enter")
        board.run("await until(() => row('secret.A')?.value === '7' && !visible('panel-locked'))")
        got = board.run("return [sessionStorage.getItem('ringcast.token'), Object.values({ ...localStorage }).join(), document.cookie, location.href, urls.join(), $('token').value]")
        self.assertEqual((got[0], got[2], got[5]), ("the-right-one", "", ""))
        self.assertNotIn("right-one", "".join(got[1:]))
        board.run("$('forget').click(); await until(() => visible('panel-locked')); if (sessionStorage.getItem('ringcast.token')) throw new Error('it is kept')")

    # ---- for everybody

    def test_no_width_scrolls_sideways(self):
        gateway = self.enterContext(Gateway())
        gateway.publish_many([("a.very.long.topic.name.with.many.many.tokens.in.it." + "x" * 60, '{"p":123456789.123,"b":123456789.1,"a":123456789.2,"v":123456789012,"name":"%s"}' % ("long " * 30)), ("t", json.dumps("word " * 60)), ("u", json.dumps("w" * 900))])
        for width in (320, 390, 640, 800, 1000, 1280, 2400):
            with self.subTest(width):
                board = self.open(port=gateway.port, width=width)
                board.run("await until(() => rows().length === 3 && rows().every(({ value }) => value)); $('more').click()")
                self.assertEqual(board.run("return document.documentElement.scrollWidth - innerWidth"), 0)
                for topic in ("t", "u"):
                    board.run(f"node('{topic}').click(); await until(() => $('d-rows').rows.length)")
                    self.assertEqual(board.run("return $('d-sheet').scrollWidth - $('d-sheet').clientWidth"), 0, "the sheet")
                    board.run("$('d-close').click()")

    def test_turning_a_phone_leaves_no_row_on_another(self):
        gateway = self.enterContext(Gateway())
        gateway.publish_many([(f"turn.{i:02}", '{"p":1}') for i in range(40)])
        board = self.open(port=gateway.port)
        for width in (390, 1280, 390):
            board.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
            board.run("""await until(() => { const boxes = [...document.querySelectorAll("#rows .row")].sort((a, b) => +a.ariaRowIndex - +b.ariaRowIndex).map(row => row.getBoundingClientRect());
                return boxes.length > 5 && boxes.every((box, i) => i === 0 || Math.abs(box.top - boxes[i - 1].bottom) < 0.5) && boxes[0].height === (innerWidth > 640 ? 46 : 58); }, "rows stand one below another")""")

    def test_skipping_to_the_topics_leaves_the_view(self):
        topic = self.topic("skip")
        self.publish(topic, '{"p":1}')
        board = self.open("#topics=skip.*")
        board.run(f"await until(() => row('{topic}')?.value)")
        self.press(board, "Tab")
        board.run("await until(() => document.activeElement.id === 'skip')")
        self.press(board, "Enter")
        board.run(f"await until(() => document.activeElement.topic?.name === '{topic}' && location.hash === '#topics=skip.*')")

    def test_text_can_be_read_in_both_themes(self):
        """WCAG 2.1, 1.4.3 (4.5 to 1), and 1.4.11 for the frames of what can be operated (3 to 1)."""
        code = """
            const parse = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number); return [r, g, b]; };
            const probe = document.body.appendChild(document.createElement("i"));
            const colour = name => { probe.style.color = `var(--${name})`; return parse(getComputedStyle(probe).color); };
            const light = rgb => { const [r, g, b] = rgb.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const ratio = (a, b) => { const [x, y] = [light(colour(a)), light(colour(b))].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
            const pairs = { 4.5: ["text bg", "text card", "text soft", "dim bg", "dim card", "dim soft", "up card", "up bg", "up up-bg", "down card", "down bg", "down down-bg", "text up-bg", "text down-bg", "accent bg", "on-accent accent", "warn warn-bg", "warn card"], 3: ["border card", "border bg", "accent card"] };
            return Object.entries(pairs).flatMap(([least, list]) => list.map(pair => [pair, ratio(...pair.split(" ")), +least])).filter(([, is, least]) => is < least);"""
        for theme in ("light", "dark"):
            with self.subTest(theme):
                self.assertEqual(self.open(features=[("prefers-color-scheme", theme)]).run(code), [])

    def test_whatever_can_be_operated_has_a_name_and_a_finger_s_size(self):
        topic = self.topic("named")
        self.publish(topic, '{"p":1}')
        board = self.open("#topics=named.>", width=390, height=844)
        board.run(f"await until(() => row('{topic}')?.value); $('more').click(); node('{topic}').click()")
        board.run("await until(() => $('d-rows').rows.length)")
        for step in ("the sheet", "the page"):
            nodes = [(one["role"]["value"], one.get("name", {}).get("value", ""), any(held["name"] == "focusable" for held in one.get("properties", ())))
                     for one in board.ask("Accessibility.getFullAXTree")["nodes"] if not one.get("ignored")]
            unnamed = [role for role, name, focusable in nodes if not name.strip() and role != "RootWebArea" and (focusable or role in ("button", "textbox", "searchbox", "radio", "combobox", "tab", "link", "dialog", "grid", "img", "region", "tabpanel", "columnheader"))]
            self.assertEqual(unnamed, [], step)
            self.assertGreater(len(nodes), 20, step)
            board.run("$('d-close').click()")
        small = board.run("return [...document.querySelectorAll('button, input, select, .row')].map(one => [one.id || one.className || one.name, (one.matches('[type=radio]') ? one.parentElement : one).getBoundingClientRect()]).filter(([, box]) => box.width && box.height && Math.min(box.width, box.height) < 38).map(([name, box]) => [name, box.width, box.height])")
        self.assertEqual(small, [])

    def test_who_wants_no_motion_gets_none(self):
        topic = self.topic("calm")
        self.publish(topic, '{"p":1}')
        board = self.open("#topics=calm.>", features=[("prefers-reduced-motion", "reduce")])
        board.run(f"await until(() => row('{topic}')?.value === '1')")
        self.publish(topic, '{"p":2}')
        self.assertEqual(board.run(f"await until(() => row('{topic}').dir === 'up'); return document.getAnimations().length"), 0)
        board = self.open("#topics=calm.>")
        board.run(f"await until(() => row('{topic}')?.value === '2'); globalThis.moved = 0; setInterval(() => {{ moved += document.getAnimations().length; }}, 10)")
        self.publish(topic, '{"p":3}')
        board.run("await until(() => moved > 0, 'a flash')")


if __name__ == "__main__":
    unittest.main()
