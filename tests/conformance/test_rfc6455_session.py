"""RFC 6455, sections 5 to 8, where messages mean something: on /v1/ws in each format. What is legal is served as one request whatever its frames, what is
not is closed with the same codes as on /v1/echo, and of raw sessions nothing but the close is heard."""
import json
import unittest

from client import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame
from suite import make_tests
from ws_steps import binary, case, close, closed, echoes_close, gives_pong, half_closes, leaves, letters, more, octets, pauses, pieces, ping, pong, resets, text

FORMATS = ("json", "array", "raw")
cases = []


def hello(ws):
    """The greeting of every session but a raw one."""
    if json.loads(ws.read_message()[1])["op"] != "hello":
        raise AssertionError("no hello")


def pong_of(asked):
    def step(ws):
        message = json.loads(ws.read_message()[1])
        if (message["op"], message["id"]) != ("pong", asked):
            raise AssertionError(f"{message}")
    return step


def refuses(code, **fields):
    def step(ws):
        message = json.loads(ws.read_message()[1])
        if (message["op"], message["code"]) != ("error", code) or any(message.get(name) != value for name, value in fields.items()):
            raise AssertionError(f"{message}")
    return step


def ask(number):
    return b'{"op":"ping","id":%d}' % number


def add(section, why, *steps, formats=FORMATS[:2]):
    for form in formats:
        greeting = () if form == "raw" else (hello,)
        cases.extend(case(section, f"{why}, format {form}", *greeting, *steps, path=f"/v1/ws?format={form}"))


# ---- what is legal is one request, whatever its frames

add("5.4", "a request in one frame", text(ask(1)), pong_of(1))
for parts in (2, 3, 7, len(ask(1))):
    size = len(ask(1)) // parts + 1
    add("5.4", f"a request in frames of {size} bytes", pieces(TEXT, *[ask(1)[at:at + size] for at in range(0, len(ask(1)), size)]), pong_of(1))
add("5.4", "a request with empty fragments around", pieces(TEXT, b"", ask(1), b"", b""), pong_of(1))
add("5.4", "a ping within a request is answered first", text(ask(1)[:5], fin=False), ping(b"p"), gives_pong(b"p"), more(ask(1)[5:]), pong_of(1))
add("5.4", "a pong and a pause within a request change nothing", text(ask(1)[:5], fin=False), pong(b"p"), pauses, more(ask(1)[5:]), pong_of(1))
add("5.4", "two requests in one message are two", text(ask(1) + b"\n" + ask(2)), pong_of(1), pong_of(2))
add("5.4", "two requests in one message, cut within the second", pieces(TEXT, ask(1) + b"\n" + ask(2)[:4], ask(2)[4:]), pong_of(1), pong_of(2))
add("6.1", "a hundred requests sent at once are answered in order", b"".join(text(ask(n)) for n in range(100)), *[pong_of(n) for n in range(100)])
add("5.6", "an empty message asks for nothing", text(b""), text(ask(1)), pong_of(1))
add("5.6", "a message of white space asks for nothing", text(b" \r\n\t\n "), text(ask(1)), pong_of(1))
add("5.2", "a request of 65536 bytes is one", text(ask(1)[:-1] + b',"x":"' + letters(65508) + b'"}'), pong_of(1))
add("5.2", "a request of a megabyte is one", text(ask(1)[:-1] + b',"x":"' + letters((1 << 20) - 40) + b'"}'), pong_of(1))
add("8.1", "characters beyond ASCII across fragments", pieces(TEXT, b'{"op":"ping","id":"\xc3', b'\xa9\xf0\x9f', b'\x98\x80"}'), pong_of("é😀"))
for count in (0, 1, 125):
    add("5.5.2", f"a ping of {count} bytes is answered", ping(octets(count)), gives_pong(octets(count)), formats=FORMATS)
add("5.5.3", "a pong that nobody asked for is not answered", pong(b"x"), ping(b"y"), gives_pong(b"y"), formats=FORMATS)
add("5.4", "what is not JSON is told with its line, and the next is served", text(b"nonsense\n" + ask(1)), refuses("bad_json", line=1), pong_of(1))
add("5.4", "what is no object is told, and the next is served", text(b"[1]"), refuses("bad_request"), text(ask(1)), pong_of(1))

# ---- what is not legal is closed by the same code in every format

for stream, name, codes in ((text(b"x", mask=None), "an unmasked text", 1002), (ping(mask=None), "an unmasked ping", 1002), (frame(TEXT, b"x", rsv=4), "RSV1 that was not agreed", 1002), (frame(TEXT, b"x", rsv=2), "RSV2", 1002), (frame(3, b"x"), "opcode 3", 1002), (frame(11), "opcode 11", 1002), (frame(PING, b"", fin=False), "a fragmented ping", 1002),
                            (ping(octets(126)), "a ping of 126 bytes", 1002), (frame(TEXT, b"x", length_form=16), "a length that is not the shortest", 1002), (frame(TEXT, b"", length=1 << 63), "a length of 2^63", 1002), (more(b"x"), "a continuation of nothing", 1002), (text(b"x", fin=False) + text(b"y"), "a text within a text", 1002),
                            (text(b"x", fin=False) + binary(b"y"), "a binary message within a text", 1002), (frame(CLOSE, b"x"), "a close of one byte", 1002), (close(1005), "close code 1005", 1002), (close(1000, b"\xff"), "a reason that is no UTF-8", 1007), (text(b"\xff"), "text that is no UTF-8", 1007),
                            (text(b'{"op":"ping","id":"\xc3'), "text that ends within a character", 1007), (text(b"ok", fin=False) + more(b"\xed\xa0", fin=False), "a surrogate in an unfinished message", 1007), (text(b"good \xc0" + b"." * 50)[:-40], "a fault within a frame that is not complete", 1007), (binary(b"x"), "a binary message", 1003), (binary(b""), "an empty binary message", 1003),
                            (binary(b"x", fin=False), "the start of a binary message", 1003), (frame(BINARY, b"", length=1 << 40), "a binary message of a TiB", 1003), (frame(TEXT, b"", length=(1 << 20) + 1), "a declared message over limits.message", 1009), (frame(TEXT, b"", length=(1 << 63) - 1), "a declared message of 2^63-1", 1009),
                            (text(letters(1 << 19), fin=False) + more(letters(1 << 19), fin=False) + more(b"x"), "fragments over limits.message", 1009), (text(b"x", fin=False) + frame(CONTINUATION, b"", length=1 << 40), "a continuation of a TiB", 1009), (b"GET / HTTP/1.1\r\n\r\n", "an HTTP request", 1002)):
    add("7.1.7", f"{name} is closed with {codes}", stream, closed(codes), formats=FORMATS)
for code in (1000, 1001, 1003, 1011, 3000, 4999):
    add("7.4", f"close code {code} is answered with itself", close(code, b"bye"), echoes_close(code), formats=FORMATS)
add("5.5.1", "a close without a code is answered", close(), closed(None, 1000, reason=False), formats=FORMATS)
add("5.5.1", "a close within a message is answered", text(b'{"op":', fin=False), close(1000), echoes_close(1000), formats=FORMATS)
add("5.5.1", "requests after a close are not served", close(1000) + text(ask(1)), echoes_close(1000), formats=FORMATS)
add("5.5.1", "a request before a close is answered before it", text(ask(1)) + close(1000), pong_of(1), echoes_close(1000))
add("7.1.1", "a client that half-closes behind its close gets the answer", close(1000), half_closes, echoes_close(1000), formats=FORMATS)
for stream, name in ((b"", "at rest"), (text(b"x" * 200)[:100], "within a frame"), (text(b"x", fin=False), "within a message"), (text(ask(1)) * 50, "while answers come")):
    add("7.1.7", f"a reset {name} harms nobody", stream, resets, formats=FORMATS)
    add("7.1.7", f"an end without a word {name} harms nobody", stream, leaves, formats=FORMATS)

make_tests("Rfc6455SessionTest", "RFC 6455", cases, flags=("--shards", "2", "--limits.requests-per-second", "100000"))

if __name__ == "__main__":
    unittest.main()
