"""The operations dashboard at `/dash`: who gets it, and in headless Chromium what an operator sees, is told, and is spared."""
import json
import re
import time
import unittest

from client import PATIENCE, Ws, path_of
from gateway import API_KEY, KEY, Gateway, GatewayTest
from javascript import WHY_NO_CHROMIUM, Pages

ADMIN_KEY = "admin-key-of-the-dash-test"
HTML = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
FILES = ("/dash.css", "/dash.js", "/dash_findings.js", "/dash_parts.js")

KIT = """
    globalThis.$ = id => document.getElementById(id);
    globalThis.sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
    globalThis.visible = id => { const box = $(id).getBoundingClientRect(); return !$(id).hidden && box.width > 0; };
    globalThis.until = async (holds, what = String(holds)) => {
        for (const end = Date.now() + %d; ;) {
            const value = holds();
            if (value) return value;
            if (Date.now() > end) throw new Error("in vain: " + what + "; page: " + document.body.innerText.slice(0, 1500));
            await sleep(20);
        }
    };
    globalThis.card = head => [...document.querySelectorAll("#cards > div")].find(one => one.querySelector("dt").textContent === head)?.querySelector("dd span").textContent;
    globalThis.listed = (id, name) => { const dt = [...$(id).querySelectorAll("dt")].find(one => one.firstChild.textContent === name); return dt?.nextElementSibling.textContent; };
    globalThis.found = () => [...$("findings").children].map(one => one.dataset.level + ": " + one.querySelector("b").textContent);
""" % (2 * PATIENCE * 1000)


class WhoGetsItTest(GatewayTest):
    flags = ("--auth.admin-key", ADMIN_KEY, "--shards", "1")

    def test_with_a_key_set_it_needs_the_admin_key(self):
        right, wrong = ("Authorization", f"Bearer {ADMIN_KEY}"), ("Authorization", "Bearer wrong")
        for path, headers, status in (("/dash", [], 401), ("/dash", [wrong], 401), ("/dash", [API_KEY], 403), ("/dash", [right], 200), ("/dash", [("X-API-Key", ADMIN_KEY)], 200),
                                      (f"/dash?token={ADMIN_KEY}", [], 200), ("/dash?token=wrong", [], 401), (f"/dash?token={KEY}", [], 403), (f"/dash?token={ADMIN_KEY}", [wrong], 401)):
            for accept in ([], [HTML], [("Accept", "*/*")]):
                response = self.fetch("GET", path, headers + accept)
                self.assertEqual(response.status, status, (path, headers, accept))
                if status != 200 and accept != [HTML]:
                    self.assertError(response, status, {401: "unauthorized", 403: "forbidden"}[status])
                else:
                    self.assertTrue(response.header("Content-Type").startswith("text/html"))
                    self.assertIn("default-src 'none'", response.header("Content-Security-Policy"))
                    self.assertNotIn("unsafe", response.header("Content-Security-Policy"))
                self.assertEqual(response.header("WWW-Authenticate"), "Bearer" if status == 401 else None)
        self.assertEqual(self.fetch("HEAD", "/dash", [HTML]).status, 401)
        self.assertEqual(self.fetch("POST", "/dash", [right], b"").status, 405)
        self.assertError(self.fetch("GET", "/dash?token=a&token=b", [HTML]), 400, "bad_request")

    def test_the_page_of_those_without_a_key_is_the_same_and_knows_nothing(self):
        refused, given = self.fetch("GET", "/dash", [HTML]), self.fetch("GET", f"/dash?token={ADMIN_KEY}", [HTML])
        self.assertEqual(refused.body, given.body)
        self.assertIn(b'id="key-form"', refused.body)

    def test_its_files_are_served_to_all_with_a_tag(self):
        for path in FILES:
            response = self.fetch("GET", path)
            self.assertEqual(response.status, 200, path)
            self.assertEqual(self.fetch("GET", path, [("If-None-Match", response.header("ETag"))]).status, 304)
        right = ("X-API-Key", ADMIN_KEY)
        self.assertEqual(self.fetch("GET", "/dash", [right, ("If-None-Match", self.fetch("GET", "/dash", [right]).header("ETag"))]).status, 304)
        self.assertEqual(self.fetch("GET", "/dash", [HTML, ("If-None-Match", "*")]).status, 401)


class OpenTest(GatewayTest):
    key = None
    flags = ("--shards", "1")

    def test_without_any_key_on_loopback_it_is_open(self):
        for headers in ([], [HTML]):
            self.assertEqual(self.fetch("GET", "/dash", headers).status, 200)


class DemoTest(GatewayTest):
    key = None
    flags = ("--demo", "--shards", "1")

    def test_the_key_that_the_demo_feed_makes_for_itself_closes_nothing(self):
        for path in ("/dash", "/metrics", path_of("$sys.gateway")):
            self.assertEqual(self.fetch("GET", path).status, 200, path)
        self.assertEqual(self.ws().ask("subscribe", topics=["$sys.>"])["op"], "subscribed")
        self.assertError(self.fetch("POST", path_of("a"), body=b"1"), 401, "unauthorized")
        with Gateway("--demo", "--shards", "1") as gateway:
            self.assertEqual(gateway.fetch("GET", "/metrics").status, 401, "one that somebody set does")


@unittest.skipIf(WHY_NO_CHROMIUM, WHY_NO_CHROMIUM or "")
class DashTest(Pages, unittest.TestCase):
    maxDiff = None

    def gateway(self, *flags, **how):
        return self.enterContext(Gateway("--shards", "2", *flags, **how))

    def open(self, gateway, address="/dash", width=1280, height=900, features=()):
        tab = self.open_page(gateway.port, address, KIT, width, height, features)
        tab.breaks = "token" not in address  # 401 is told as a fault of the network
        return tab

    def test_the_figures_are_drawn_live(self):
        gateway = self.gateway("--auth.admin-key", ADMIN_KEY)
        dash = self.open(gateway, "/dash?token=" + ADMIN_KEY)
        self.assertEqual(dash.run("await until(() => $('pill').textContent === 'Live' && visible('figures') && sessionStorage.getItem('ringcast.admin')); return [location.pathname + location.search, sessionStorage.getItem('ringcast.admin'), $('forget').hidden]"),
                         ["/dash", ADMIN_KEY, False])
        with Ws(gateway.port, "/v1/ws?topics=hot.%3Ctopic&mode=every") as reader:
            for _ in range(6):
                gateway.publish_many([("hot.<topic", "1")] * 200)
                while reader.read().get("seq", 0) % 200:
                    pass
                time.sleep(0.3)
            dash.run("await until(() => card('Updates in a second') !== '0' && card('Updates out a second') !== '0' && /ms|µs/.test(card('Delay, 99 % within')))")
            dash.run("await until(() => $('published').querySelector('span')?.textContent === 'hot.<topic' && $('sent').querySelector('span')?.textContent === 'hot.<topic')")
            got = dash.run("await until(() => ![...$('shards').tBodies[0].rows].some(row => row.textContent.includes('…'))); return [...$('shards').tBodies[0].rows].map(row => [row.cells[0].textContent, row.querySelector('[role=meter]').getAttribute('aria-label'), row.cells.length])")
            self.assertEqual(got, [["Shard 0", "Busy share of shard 0", 10], ["Shard 1", "Busy share of shard 1", 10]])
            self.assertGreaterEqual(int(dash.run("return listed('conns', 'WebSockets')")), 2)
        self.assertEqual(dash.run("return found()")[0], "fine: All is well")

    def test_it_asks_for_the_key_and_keeps_it_in_the_tab_alone(self):
        gateway = self.gateway("--auth.admin-key", ADMIN_KEY)
        dash = self.open(gateway)
        self.assertEqual(dash.run("await until(() => visible('locked')); return [$('pill').textContent, document.activeElement.id, visible('figures')]"), ["Key needed", "key", False])
        give = "$('key').value = %s; $('key-form').requestSubmit();"
        dash.run(give % json.dumps("wrong") + "await until(() => /does not take this key/.test($('locked-why').textContent))")
        dash.run(give % json.dumps(KEY) + "await until(() => /not the admin/.test($('locked-why').textContent))")
        dash.run(give % json.dumps(ADMIN_KEY) + "await until(() => visible('figures') && !visible('locked'))")
        self.assertEqual(dash.run("return [sessionStorage.getItem('ringcast.admin'), location.href.includes('admin-key'), JSON.stringify(localStorage).includes('admin-key'), document.cookie]"), [ADMIN_KEY, False, False, ""])
        dash.run("$('forget').click(); await until(() => visible('locked') && sessionStorage.getItem('ringcast.admin') === null)")

    def test_who_is_asked_for_the_key_on_a_phone_sees_one_row_of_controls(self):
        dash = self.open(self.gateway("--auth.admin-key", ADMIN_KEY), width=360)
        dash.run("await until(() => visible('locked'))")
        self.assertEqual(dash.run("return new Set([...document.querySelectorAll('header > *')].filter(one => one.offsetWidth > 1).map(one => { const box = one.getBoundingClientRect(); return Math.round(box.top + box.height / 2); })).size"), 1)

    def test_what_is_wrong_is_said_with_what_to_do(self):
        gateway = self.gateway("--limits.payload", "1K", "--auth.admin-key", ADMIN_KEY)
        dash = self.open(gateway, "/dash?token=" + ADMIN_KEY)
        dash.run("await until(() => visible('figures') && $('hits').textContent === 'None.')")
        dash.run("await sleep(1200)")  # two figures, so that there is a second to compare with
        gateway.fetch("POST", path_of("a"), [API_KEY], b'"' + b"x" * 2000 + b'"')
        dash.run("await until(() => found().some(one => one.startsWith('warn: limits.payload is reached: 1 time in the last second')))")
        self.assertEqual(dash.run("return [listed('hits', 'limits.payload'), $('findings').querySelector('code').textContent, /limits.payload/.test($('findings-spoken').textContent), found().includes('fine: All is well')]"), ["1", "too_large", True, False])

    def test_each_symptom_has_its_finding_and_a_calm_gateway_has_none(self):
        """On the page's own module, since much of it can't be brought about at will."""
        gateway = self.gateway(key=None)
        dash = self.open(gateway)
        got = dash.run("""
            const { findings, CLOSES, LIMITS } = await import("/dash_findings.js");
            const calm = () => ({ state: "open", busy: [0.2, 0.3], per_second: { updates_published: 100 }, delay_us: { count: 10, p50: 100, p99: 900 }, limit_hits: { payload: 3 }, closes: {},
                                  limits: { connections: 100, topics: 100, memory: 1000, "log-bytes": 1000 }, now: { connections: 50, topics: 50, websockets: 40, streams: 0, connections_blocked: 0 }, memory_bytes: { clients: 10, logs: 500 } });
            const said = (change, before = calm()) => { const row = calm(); change(row); return findings(row, new Map(), before).map(({ id, level }) => level + " " + id).join(", "); };
            const busy = share => ({ ...calm(), busy: [0.2, share] });
            return {
                calm: said(() => {}), first: said(row => { row.limit_hits.payload = 9; row.busy[0] = 1; }, null),
                busy: said(row => { row.busy[1] = 0.9; }, busy(0.9)), busier: said(row => { row.busy[1] = 0.99; }, busy(0.98)), once: said(row => { row.busy[1] = 0.99; }, busy(0.1)),
                late: said(row => { row.delay_us.p99 = 2e5; }), later: said(row => { row.delay_us.p99 = 2e6; }), draining: said(row => { row.state = "draining"; }),
                limit: said(row => { row.limit_hits.payload = 4; row.limit_hits["log-bytes"] = 1; }), near: said(row => { row.now.topics = 95; row.memory_bytes.logs = 990; }),
                slow: said(row => { row.now.connections_blocked = 1; }), slower: said(row => { row.now.connections_blocked = 20; }),
                lost: said(row => { row.per_second.publish_busy = 0.5; row.per_second.gaps = 3; row.per_second.requests_stalled = 1; }),
                limits: Object.keys(LIMITS).sort(), closes: Object.keys(CLOSES).sort(),
                sentences: findings({ ...calm(), per_second: { gaps: 3 } }, new Map(), calm())[0].title,
            };""")
        metrics = gateway.fetch("GET", "/metrics").body.decode()
        hits = re.findall(r'^ringcast_limit_hits_total\{limit="([^"]+)"', metrics, re.MULTILINE)
        codes = re.findall(r'^ringcast_closes_total\{code="([^"]+)"', metrics, re.MULTILINE)
        self.assertEqual(got.pop("limits"), sorted(hits), "each limit says what to do")
        self.assertEqual(got.pop("closes"), sorted(codes), "each code of ours says what it means")
        self.assertEqual(got, {
            "calm": "", "first": "", "busy": "warn busy", "busier": "bad busy", "once": "", "late": "warn delay", "later": "bad delay", "draining": "warn draining",
            "limit": "bad limit log-bytes, warn limit payload", "near": "warn near topics, warn near log-bytes", "slow": "note slow", "slower": "warn slow",
            "lost": "bad rate publish_busy, warn rate gaps, note rate requests_stalled", "sentences": "3 gaps a second are told to subscribers of mode every"})

    def test_it_names_only_counters_that_there_are(self):
        gateway = self.gateway(key=None)
        names = set(re.findall(r"^ringcast_([a-z_0-9]+?)(?:_total)?(?:\{| )", gateway.fetch("GET", "/metrics").body.decode(), re.MULTILINE))
        findings, script = (gateway.fetch("GET", path).body.decode() for path in ("/dash_findings.js", "/dash.js"))
        named = {*re.findall(r'^  \["([a-z_]+)", "(?:bad|warn|note)"', findings, re.MULTILINE), *re.findall(r'rate\((?:data|gateway), "([a-z_]+)"\)', script), *re.findall(r"\bnow\.([a-z_]+)", findings + script)}
        self.assertGreater(len(named), 25)
        self.assertEqual(named - names, set())

    def test_it_says_so_when_the_gateway_goes_and_goes_on_when_it_is_back(self):
        gateway = self.gateway(key=None)
        dash = self.open(gateway)
        dash.breaks = True
        dash.run("await until(() => $('pill').textContent === 'Live')")
        port = gateway.port
        gateway.stop()
        dash.run("await until(() => visible('lost') && /figures below are the last/.test($('lost-text').textContent))")
        self.assertFalse(dash.run("return [...$('findings').children].some(one => one.dataset.level === 'fine' && one.getBoundingClientRect().height > 0)"), "all is well, it says")
        gateway.start(port)
        dash.run("await until(() => $('pill').textContent === 'Live' && !visible('lost'))")

    def test_it_fits_a_phone_and_both_schemes(self):
        gateway = self.gateway("--demo", "--auth.admin-key", ADMIN_KEY)
        colours = set()
        for width in (1280, 360):
            for scheme in ("light", "dark"):
                dash = self.open(gateway, "/dash?token=" + ADMIN_KEY, width=width, features=[("prefers-color-scheme", scheme)])
                got = dash.run("await until(() => visible('figures') && $('published').querySelector('span')); return [document.documentElement.scrollWidth <= innerWidth, getComputedStyle(document.body).backgroundColor]")
                self.assertTrue(got[0], f"nothing stands out at {width}")
                colours.add(got[1])
                bars = dash.run("return [...document.querySelectorAll('.use')].map(use => new Set([...use.querySelectorAll('.meter > span')].map(bar => Math.round(bar.getBoundingClientRect().right))).size)")
                self.assertEqual(bars, [1, 1], "bars of one card end at one place")
                wide = dash.run("return [...document.querySelectorAll('#figures *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.wide')).map(one => one.outerHTML.slice(0, 120))")
                self.assertEqual(wide, [])
        self.assertEqual(len(colours), 2)

    def test_it_can_be_used_by_keyboard_and_read_aloud(self):
        gateway = self.gateway("--auth.admin-key", ADMIN_KEY)
        dash = self.open(gateway, "/dash?token=" + ADMIN_KEY)
        dash.run("await until(() => visible('figures'))")
        tree = dash.ask("Accessibility.getFullAXTree")["nodes"]
        named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node.get("ignored")]
        for role, name in (("heading", "Ringcast operations"), ("heading", "What to look at"), ("meter", "Busy share of shard 1"), ("link", "Board"), ("rowheader", "Shard 0"), ("button", "Colours: automatic")):
            self.assertIn((role, name), named)
        self.assertFalse([one for one in named if one[0] in ("button", "link", "textbox", "meter") and not one[1]], "each has a name")
        order = dash.run("return [...document.querySelectorAll('a[href], button, input')].filter(one => !one.closest('[hidden]') && one.tabIndex >= 0).map(one => one.id || one.textContent)")
        self.assertEqual(order[0], "skip")
        dash.run("$('theme').click(); if (document.documentElement.style.colorScheme !== 'light') throw new Error('no theme')")


if __name__ == "__main__":
    unittest.main()
