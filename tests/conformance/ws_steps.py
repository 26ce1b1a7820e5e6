"""What a case of a WebSocket table does, step by step: bytes to send, and what must come back.

Promise: a case that does not end in `closed`, `ends` or `leaves` ends with the closing handshake, in which nothing unexpected may come.
"""
import time

from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, BrokenPeer, Ws, close_payload, frame
from suite import Case, Dialled


class WsBy(Dialled, Ws):
    """A Ws by a transport."""


def text(payload, **how):
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **how)


def binary(payload, **how):
    return frame(BINARY, payload, **how)


def more(payload=b"", **how):
    return frame(CONTINUATION, payload.encode() if isinstance(payload, str) else payload, **how)


def ping(payload=b"", **how):
    return frame(PING, payload, **how)


def pong(payload=b"", **how):
    return frame(PONG, payload, **how)


def close(code=None, reason=b"", **how):
    return frame(CLOSE, b"" if code is None else close_payload(code, reason), **how)


def pieces(kind, *parts):
    """A message in fragments."""
    return b"".join(frame(CONTINUATION if at else kind, part, fin=at == len(parts) - 1) for at, part in enumerate(parts))


def letters(count):
    return (b"abcdefghijklmnopqrstuvwxyz" * (count // 26 + 1))[:count]


def octets(count):
    return (bytes(range(251)) * (count // 251 + 1))[:count]


# What must come; each is called with the connection.

def gives(kind, payload):
    payload = payload.encode() if isinstance(payload, str) else payload

    def step(ws):
        got = ws.read_message()
        if got != (kind, payload):
            raise AssertionError(f"instead of the message came opcode {got[0]}, {len(got[1])} bytes, {got[1][:60]!r}")
    return step


def gives_text(payload):
    return gives(TEXT, payload)


def gives_binary(payload):
    return gives(BINARY, payload)


def gives_pong(payload=b""):
    return lambda ws: ws.expect_pong(payload)


def closed(*codes, reason=True):
    """The gateway's close frame with one of the codes, nothing but pongs before it, then the end of the stream."""
    def step(ws):
        before = ws.expect_close(*codes, reason=reason)
        if before:
            raise BrokenPeer(f"messages came before the close: {before}")
        ws.over = True
    return step


def echoes_close(*codes):
    """The answer to our close."""
    return closed(*codes, reason=False)


def ends(ws):
    """The end of the stream; a close frame may stand before it."""
    try:
        while True:
            ws.read_frame()
    except AssertionError:
        if not ws.ended:
            raise
    ws.over = True


def half_closes(ws):
    ws.half_close()


def resets(ws):
    ws.reset()
    ws.over = True


def leaves(ws):
    """Ends the connection without a word."""
    ws.close()
    ws.over = True


def pauses(ws):
    """So that what was sent before is read by itself."""
    time.sleep(0.02)


def slowly(stream):
    """Octet by octet."""
    def step(ws):
        for at in range(len(stream)):
            ws.send_as_far_as_taken(stream[at:at + 1])
    step.stream = stream
    return step


def runs(steps, path, octet_by_octet=False, chop=0):
    def check(transport):
        ws = WsBy(transport, path)
        ws.over = False
        try:
            for step in steps:
                if callable(step):
                    step(ws)
                elif octet_by_octet:
                    slowly(step)(ws)
                elif chop:
                    for at in range(0, len(step), chop):
                        ws.send_as_far_as_taken(step[at:at + chop])
                else:
                    ws.send_as_far_as_taken(step)
            if not ws.over:
                ws.send(close(1000))
                echoes_close(1000)(ws)
        finally:
            ws.close()
    return check


OCTETS_MAX = 400  # what is longer is not sent octet by octet


def case(section, why, *steps, path="/v1/echo"):
    """One or two cases: as it stands and, where that is short, sent octet by octet."""
    sent = [step for step in steps if not callable(step)]
    cases = [Case(section, why, runs(steps, path))]
    if sent and sum(map(len, sent)) <= OCTETS_MAX:
        cases.append(Case(section, why + ", in single octets", runs(steps, path, octet_by_octet=True)))
    return cases
