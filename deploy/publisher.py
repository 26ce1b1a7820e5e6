#!/usr/bin/env python3
"""Publishes made-up prices to a gateway until it is stopped: the publisher of compose.yaml, and an example of one in forty lines.

    RINGCAST_KEY=... deploy/publisher.py http://127.0.0.1:8080 [ROUNDS]

Each round is one POST /v1/publish of one line for each topic. A gateway that is away or busy is tried again, a little later each time.
"""
import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request

TOPICS = ["AAPL", "MSFT", "NVDA", "AMZN", "GOOG", "crypto.BTC", "crypto.ETH", "fx.EURUSD", "fx.USDJPY"]
ROUND_SECONDS = 0.25
BACKOFF_SECONDS_MAX = 15


def publish(url, key, lines):
    """What the gateway answers; OSError where it does not, or not well."""
    request = urllib.request.Request(f"{url}/v1/publish", data="".join(json.dumps(line) + "\n" for line in lines).encode(),
                                     headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main():
    key = os.environ.get("RINGCAST_KEY")
    if len(sys.argv) < 2 or not key:
        sys.exit(__doc__)
    url, rounds = sys.argv[1].rstrip("/"), int(sys.argv[2]) if len(sys.argv) > 2 else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    prices = {topic: random.uniform(50, 500) for topic in TOPICS}
    backoff = ROUND_SECONDS
    while rounds is None or rounds > 0:
        prices = {topic: price * random.gauss(1, 0.0005) for topic, price in prices.items()}
        try:
            told = publish(url, key, [{"topic": topic, "data": {"p": round(price, 4)}} for topic, price in prices.items()])
            for error in told["errors"]:
                print(f"publisher: {error}", file=sys.stderr)
            wait = backoff = ROUND_SECONDS
            rounds = None if rounds is None else rounds - 1
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                sys.exit(f"publisher: {error}: {error.read().decode(errors='replace')}")
            wait = backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)
            print(f"publisher: {error}; trying again in {wait:g} s", file=sys.stderr)
        except OSError as error:
            wait = backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)
            print(f"publisher: {error}; trying again in {wait:g} s", file=sys.stderr)
        time.sleep(wait)


if __name__ == "__main__":
    main()
