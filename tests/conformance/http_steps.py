"""What a case of an HTTP table does: bytes to send, the statuses that must come, and whether the connection then lives.

Promise: each response is held to what RFC 9110 demands of all of its status, whatever the case is about (`held_to_the_letter`).
"""
import email.utils
import json
import time

from client import BrokenPeer, Http
from gateway import KEY
from suite import Case, Dialled

HOST = b"Host: localhost\r\n"
KEYED = b"X-API-Key: " + KEY.encode() + b"\r\n"
NEXT = b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n"  # what must be answered where the connection lives, and must not where it does not


class HttpBy(Dialled, Http):
    """An Http by a transport."""


def get(path="/healthz", headers=b"", method="GET", version="HTTP/1.1", host=HOST):
    return f"{method} {path} {version}\r\n".encode("latin-1") + host + headers + b"\r\n"


def post(path, body, headers=b"", length=True):
    return f"POST {path} HTTP/1.1\r\n".encode() + HOST + KEYED + headers + (b"Content-Length: %d\r\n" % len(body) if length else b"") + b"\r\n" + body


def chunked(path, chunks, headers=b"Transfer-Encoding: chunked\r\n"):
    return post(path, chunks, headers, length=False)


def held_to_the_letter(response):
    """RFC 9110 and 9112 for any response; the form of errors by PROTOCOL.md."""
    def demand(fact, words):
        if not fact:
            raise BrokenPeer(f"{words}: {response} {response.headers}")

    status = response.status
    connection = [word.strip().lower() for word in (response.header("Connection") or "").split(",") if word.strip()]
    if 200 <= status < 500:
        date = response.header("Date")
        demand(date, "no Date (9110, 6.6.1)")
        parsed = email.utils.parsedate_to_datetime(date)
        demand(email.utils.format_datetime(parsed, usegmt=True) == date, "Date is no IMF-fixdate (9110, 5.6.7)")
        demand(abs(parsed.timestamp() - time.time()) < 5, "Date is not now")
    if status in (204, 304) or status < 200:
        demand(response.header("Content-Length") is None and response.header("Transfer-Encoding") is None, "a length where no body may be (9112, 6.2)")
    elif status >= 200:
        demand(response.header("Content-Type"), "no Content-Type (9110, 8.3)")
    if status == 405:
        demand(response.header("Allow"), "405 without Allow (9110, 15.5.6)")
    if status == 401:
        demand(response.header("WWW-Authenticate"), "401 without WWW-Authenticate (9110, 15.5.2)")
    if status in (101, 426):
        demand((response.header("Upgrade") or "").lower() == "websocket", "no Upgrade (9110, 15.5.22)")
        demand("upgrade" in connection, "Upgrade without the option of Connection (9110, 7.8)")
    if status == 426:
        demand(response.header("Sec-WebSocket-Version") == "13", "426 without Sec-WebSocket-Version (6455, 4.4)")
    if status == 503:
        demand((response.header("Retry-After") or "").isdigit(), "503 without Retry-After")
    if status >= 400 and response.body:
        error = json.loads(response.body)["error"]
        demand(error["code"] and error["message"], "not the form of an error")


def answers(status, body=None, header=None, to_head=False):
    """A response of one of the statuses; its body, a (name, value or None) header that it must have."""
    statuses = status if isinstance(status, tuple) else (status,)

    def step(http):
        response = http.response(to_head=to_head)
        if response.status not in statuses:
            raise AssertionError(f"{response} instead of {statuses}")
        held_to_the_letter(response) if not to_head else None
        if body is not None and response.body != body:
            raise AssertionError(f"body {response.body[:200]!r} instead of {body[:200]!r}")
        if header is not None and response.header(header[0]) != header[1]:
            raise AssertionError(f"{header[0]}: {response.header(header[0])!r} instead of {header[1]!r}")
        http.said_close = "close" in (response.header("Connection") or "").lower()
    return step


def lives(http):
    """The connection is in step: the next request is answered as itself."""
    if http.said_close:
        raise AssertionError("the answer said Connection: close")
    http.send(NEXT)
    response = http.response()
    if (response.status, response.body) != (200, b"ready\n"):
        raise AssertionError(f"the next request was answered by {response}")


def ends(http):
    """Nothing more comes, although another request follows."""
    http.send_as_far_as_taken(NEXT)
    http.half_close()
    http.expect_end()


def says_close(http):
    if not http.said_close:
        raise AssertionError("the answer does not say Connection: close")
    ends(http)


def runs(steps, octet_by_octet):
    def check(transport):
        with HttpBy(transport) as http:
            http.said_close = False
            for step in steps:
                if callable(step):
                    step(http)
                elif octet_by_octet:
                    for at in range(len(step)):
                        http.send_as_far_as_taken(step[at:at + 1])
                else:
                    http.send_as_far_as_taken(step)
    return check


OCTETS_MAX = 600


def case(section, why, *steps):
    """One case as it stands and, where it is short, one in single octets."""
    sent = sum(len(step) for step in steps if not callable(step))
    cases = [Case(section, why, runs(steps, False))]
    if sent <= OCTETS_MAX:
        cases.append(Case(section, why + ", in single octets", runs(steps, True)))
    return cases
