"""The client /ringcast.js in a page of headless Chromium: ringcast_scenarios.py, and what only pages have."""
import json
import time
import unittest

from gateway import GatewayTest
from javascript import WHY_NO_CHROMIUM, Chromium
from proxy import Proxy
from ringcast_scenarios import Scenarios


@unittest.skipIf(WHY_NO_CHROMIUM, WHY_NO_CHROMIUM or "")
class BrowserTest(Scenarios, GatewayTest):
    @classmethod
    def setUpClass(cls):
        cls.browser = Chromium()
        cls.addClassCleanup(cls.browser.close)
        super().setUpClass()

    def js(self, port):
        page = self.browser.page(f"ws://127.0.0.1:{port}")
        self.addCleanup(page.close)
        return page

    def test_in_a_page_the_gateway_is_its_own_host(self):
        topic = self.topic()
        self.publish(topic, 7)
        got = self.js(self.port).run("""
            const rc = new ringcast.Ringcast();
            for await (const { data } of rc.subscribe(%s)) { rc.close(); return [data, uncaught]; }""" % json.dumps(topic))
        self.assertEqual(got, [7, []])

    def test_a_network_that_is_back_ends_the_waiting(self):
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client({ backoff: { minMs: 1e9, maxMs: 1e9 } }); await rc.connect();")
            js.run("Math.random = () => 0.999")
            proxy.cut()
            js.run("await until(() => rc.state === 'waiting'); await sleep(50); if (rc.state !== 'waiting') throw new Error(rc.state)")
            js.run("dispatchEvent(new Event('online')); await until(() => rc.state === 'open')")
            proxy.cut()
            js.run("await until(() => rc.state === 'waiting'); document.dispatchEvent(new Event('visibilitychange')); await until(() => rc.state === 'open'); rc.close();")

    def test_a_network_that_is_back_begins_anew_what_was_begun_on_a_dead_line(self):
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            proxy.silent = True
            js.run("globalThis.rc = client({ timeoutMs: 1e9 }); rc.connect(); await sleep(700)")
            proxy.silent = False
            js.run("if (rc.state !== 'connecting') throw new Error(rc.state); dispatchEvent(new Event('online')); await until(() => rc.state === 'open'); await rc.close();")

    def test_a_page_that_is_seen_again_asks_whether_the_connection_lives(self):
        """Long before the heartbeat would tell."""
        with Proxy(self.port) as proxy:
            js = self.js(proxy.port)
            js.run("globalThis.rc = client({ heartbeatMs: 60000 }); await rc.connect(); document.dispatchEvent(new Event('visibilitychange')); await sleep(200);")
            proxy.silent = True
            begin = time.monotonic()
            js.run("document.dispatchEvent(new Event('visibilitychange')); await until(() => rc.told.reconnect.length);")
            self.assertLess(time.monotonic() - begin, 30)
            proxy.silent = False
            proxy.cut()
            js.run("await until(() => rc.state === 'open'); rc.close();")


if __name__ == "__main__":
    unittest.main()
