"""RFC 7692, permessage-deflate: which offers are agreed to and how, and what compressed messages may look like, over /v1/echo."""
import unittest
import zlib

from client import BINARY, CONTINUATION, PING, PONG, TEXT, deflated, frame
from handshake_steps import echoes, handshake, upgrades
from http_steps import case as http_case
from suite import Case, make_tests
from ws_steps import WsBy, close, closed, gives_binary, gives_pong, gives_text, letters, octets, pauses, ping, text

cases = []


def offered(section, why, *offers, agreed):
    """A handshake with these lines of Sec-WebSocket-Extensions; agreed: what is answered, None: nothing."""
    cases.extend(http_case(section, why, handshake(add=[f"Sec-WebSocket-Extensions: {offer}" for offer in offers]), upgrades(extensions=agreed), echoes))


def talk(section, why, *steps, octet_by_octet=True):
    """A connection that has agreed; each sent step as it stands and, where that is short, in single octets."""
    def check(transport, single=False):
        ws = WsBy(transport, "/v1/echo", add=[("Sec-WebSocket-Extensions", "permessage-deflate")])
        ws.over = False
        try:
            if not ws.deflates:
                raise AssertionError("permessage-deflate was not agreed to")
            for step in steps:
                if callable(step):
                    step(ws)
                    continue
                for at in range(0, len(step), 1 if single else len(step)):
                    ws.send_as_far_as_taken(step[at:at + (1 if single else len(step))])
            if not ws.over:
                ws.send(close(1000))
                closed(1000, reason=False)(ws)
        finally:
            ws.close()

    cases.append(Case(section, why, check))
    if octet_by_octet and sum(len(step) for step in steps if not callable(step)) <= 400:
        cases.append(Case(section, why + ", in single octets", lambda transport: check(transport, single=True)))


def packed(kind, payload, level=6, **how):
    """A whole compressed message; payload as it is meant."""
    maker = zlib.compressobj(level, wbits=-15)
    return frame(kind, (maker.compress(payload) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4, **how)


def in_fragments(kind, payload, count):
    """The same in so many frames: the mark stands on the first alone (6.1)."""
    data = deflated(payload)
    size = len(data) // count + 1
    parts = [data[at * size:(at + 1) * size] for at in range(count)]
    return [frame(CONTINUATION if at else kind, part, fin=at == count - 1, rsv=0 if at else 4) for at, part in enumerate(parts)]


# ---- 5, 7.1 negotiation

for offer, name in (("permessage-deflate", "alone"), ("permessage-deflate; client_max_window_bits", "with client_max_window_bits"), ("permessage-deflate; client_max_window_bits=15", "with a value of it"), ("permessage-deflate; client_max_window_bits=8", "with its lowest value"), ("permessage-deflate; server_no_context_takeover", "with server_no_context_takeover"),
                    ("permessage-deflate; client_no_context_takeover", "with client_no_context_takeover"), ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", "with both"), ("permessage-deflate; server_max_window_bits=15", "with server_max_window_bits=15"), ("permessage-deflate; client_max_window_bits=\"10\"", "with a quoted value"),
                    ("permessage-deflate;client_max_window_bits", "without white space"), ("  permessage-deflate  ;  client_no_context_takeover  ", "with much white space"), ("x-unknown, permessage-deflate", "behind one that we do not know"), ("permessage-deflate, x-unknown", "before one that we do not know"),
                    ("permessage-deflate; server_max_window_bits=10, permessage-deflate", "as the second choice"), ("permessage-deflate; unknown=1, permessage-deflate; client_max_window_bits", "behind an offer with an unknown parameter"), ("permessage-deflate, permessage-deflate; server_max_window_bits=9", "as the first choice")):
    cases.extend(http_case("7.1", f"an offer {name} is agreed to", handshake(add=[f"Sec-WebSocket-Extensions: {offer}"]), lambda http: _agreed(http), echoes))
cases.extend(http_case("5", "offers in two lines are one list", handshake(add=["Sec-WebSocket-Extensions: x-unknown", "Sec-WebSocket-Extensions: permessage-deflate"]), lambda http: _agreed(http), echoes))
for offer, name in (("permessage-deflate; unknown", "an unknown parameter"), ("permessage-deflate; server_max_window_bits=8", "a window that zlib has not"), ("permessage-deflate; server_max_window_bits=14", "a smaller window"), ("permessage-deflate; server_max_window_bits", "a parameter without its value"), ("permessage-deflate; server_max_window_bits=16", "a window too large"),
                    ("permessage-deflate; server_max_window_bits=7", "a window too small"), ("permessage-deflate; server_max_window_bits=015", "a leading zero"), ("permessage-deflate; server_max_window_bits=x", "no number"), ("permessage-deflate; client_max_window_bits=16", "a client's window too large"), ("permessage-deflate; client_max_window_bits=7", "a client's window too small"),
                    ("permessage-deflate; client_max_window_bits=08", "a leading zero of the client's"), ("permessage-deflate; server_no_context_takeover=1", "a value where none may be"), ("permessage-deflate; client_no_context_takeover=true", "a value of the other where none may be"), ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", "a parameter twice"),
                    ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", "another twice"), ("permessage-deflatex", "a longer name"), ("x-permessage-deflate", "another name"), ("deflate-frame", "the older one")):
    offered("7.1", f"an offer with {name} is declined", offer, agreed=None)


def _agreed(http):
    response = http.response()
    words = [word.strip() for word in (response.header("Sec-WebSocket-Extensions") or "").split(";")]
    if response.status != 101 or words[0] != "permessage-deflate" or not {"server_no_context_takeover", "client_no_context_takeover"} <= set(words[1:]):
        raise AssertionError(f"{response} {response.headers}")
    if len(set(words)) != len(words) or set(words) - {"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=15"}:
        raise AssertionError(f"answered {words}")


# ---- 6, 7.2 messages

for count in (0, 1, 2, 63, 64, 125, 126, 127, 1000, 65535, 65536, 1 << 20):
    talk("7.2", f"a compressed text of {count} bytes comes back", packed(TEXT, letters(count)), gives_text(letters(count)))
    talk("7.2", f"a compressed binary message of {count} bytes comes back", packed(BINARY, octets(count)), gives_binary(octets(count)))
    talk("6.1", f"an uncompressed text of {count} bytes comes back", frame(TEXT, letters(count)), gives_text(letters(count)))
for level in (0, 1, 6, 9):
    talk("7.2.1", f"zlib's level {level} is read", packed(TEXT, letters(500), level), gives_text(letters(500)))
for count in (2, 3, 5):
    talk("6.1", f"a compressed message in {count} fragments comes back", *in_fragments(TEXT, letters(300), count), gives_text(letters(300)))
    talk("6.1", f"a compressed binary message in {count} fragments comes back", *in_fragments(BINARY, octets(70000), count), gives_binary(octets(70000)))
first, second = in_fragments(TEXT, letters(300), 2)
talk("6.1", "a ping between the fragments of a compressed message is answered", first, ping(b"p"), gives_pong(b"p"), second, gives_text(letters(300)))
talk("6.1", "a pause between the fragments changes nothing", first, pauses, second, gives_text(letters(300)))
talk("6.1", "an empty fragment first carries the mark", frame(TEXT, b"", fin=False, rsv=4), frame(CONTINUATION, deflated(b"hello")), gives_text("hello"))
talk("6.1", "an empty fragment last ends it", frame(TEXT, deflated(b"hello"), fin=False, rsv=4), frame(CONTINUATION, b""), gives_text("hello"))
talk("6.1", "compressed and uncompressed messages follow one another", packed(TEXT, b"one"), text("two"), packed(TEXT, b"three"), gives_text("one"), gives_text("two"), gives_text("three"))
talk("6.1", "a hundred compressed messages each stand for themselves", b"".join(packed(TEXT, b"message %d" % n) for n in range(100)), *[gives_text(b"message %d" % n) for n in range(100)])
talk("7.2.3.1", "the standard's example of one block", frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=4), gives_text("Hello"))
talk("7.2.3.1", "the standard's example in two fragments", frame(TEXT, bytes.fromhex("f248cd"), fin=False, rsv=4), frame(CONTINUATION, bytes.fromhex("c9c90700")), gives_text("Hello"))
talk("7.2.3.3", "the standard's example of a block without compression", frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=4), gives_text("Hello"))
talk("7.2.3.4", "the standard's example of a block with BFINAL", frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=4), gives_text("Hello"))
talk("7.2.3.5", "the standard's example of two blocks", frame(TEXT, bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", "")), rsv=4), gives_text("Hello"))
talk("7.2.3.6", "an empty message is one octet", frame(TEXT, b"\x00", rsv=4), gives_text(""))
talk("7.2.2", "a payload of no octets is no block, or an empty message", frame(TEXT, b"", rsv=4), lambda ws: _empty_or_closed(ws))
talk("6", "a reserved bit in a continuation fails the connection", first, frame(CONTINUATION, b"x", rsv=4), closed(1002))
for opcode, name in ((PING, "ping"), (PONG, "pong"), (8, "close")):
    talk("6", f"a {name} that is marked as compressed fails the connection", frame(opcode, b"\x03\xe8" if opcode == 8 else b"x", rsv=4), closed(1002))
for rsv in (1, 2, 3, 5, 6, 7):
    talk("6", f"reserved bits {rsv:03b} are not agreed", frame(TEXT, deflated(b"x"), rsv=rsv), closed(1002))
for data, name in ((b"\xff\xff\xff\xff", "a block type that is none"), (b"\x07", "the reserved block type"), (bytes.fromhex("000500000048656c6c6f00"), "a length whose complement is wrong"), (b"\x4b\x03\xff", "a distance before the beginning"), (b"hello, this is no deflate", "plain text")):
    talk("7.2.2", f"{name} fails the message", frame(TEXT, data, rsv=4), closed(1007, 1002))
for bad, name in ((b"\xff", "0xff"), (b"\xc3", "half a character at its end"), (b"\xed\xa0\x80", "a surrogate"), (letters(5000) + b"\xc0\xaf" + letters(5000), "an overlong slash far within")):
    talk("7.2.2", f"a compressed text that is no UTF-8 ({name}) fails as one that is not", packed(TEXT, bad), closed(1007))
    talk("7.2.2", f"a compressed binary message may hold {name}", packed(BINARY, bad), gives_binary(bad))
talk("8", "a bomb is stopped at limits.echo-message", packed(BINARY, b"\0" * (40 << 20), 9), closed(1009))
talk("8", "a bomb in fragments is stopped at limits.echo-message", *in_fragments(BINARY, b"\0" * (40 << 20), 5), closed(1009))
talk("8", "a message at the limit is read", packed(BINARY, b"\0" * (16 << 20), 9), gives_binary(b"\0" * (16 << 20)))
talk("7.1.1", "a message that refers to the one before is not understood: no context is taken over", lambda ws: _with_context(ws))


def _empty_or_closed(ws):
    try:
        gives_text("")(ws)
    except AssertionError as closed_by:
        if getattr(closed_by, "code", None) not in (1002, 1007):
            raise
        ws.over = True


def _with_context(ws):
    maker = zlib.compressobj(wbits=-15)
    payload = letters(26) * 20 + b"a text that is worth referring to, in the next message of this connection"
    for at in range(2):
        data = (maker.compress(payload) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4]
        ws.send_as_far_as_taken(frame(TEXT, data, rsv=4))
        if at == 0:
            gives_text(payload)(ws)
    closed(1007, 1002)(ws)


make_tests("Rfc7692Test", "RFC 7692", cases, flags=("--echo", "--limits.requests-per-second", "100000"))

if __name__ == "__main__":
    unittest.main()
