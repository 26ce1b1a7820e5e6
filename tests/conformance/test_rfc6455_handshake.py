"""RFC 6455, section 4: the opening handshake, over /v1/echo and /v1/ws; each fault with the status that fits."""
import unittest

from client import TEXT, deadline_in, frame
from gateway import KEY
from handshake_steps import KEY_OF_RFC, echoes, handshake, upgrades
from http_steps import NEXT, answers, case, lives, says_close
from suite import make_tests

cases = []


def add(*arguments):
    cases.extend(case(*arguments))


def good(section, why, request, protocol=None, **how):
    add(section, why, request, upgrades(protocol, **how), echoes)


def bad(section, why, request, status=400):
    add(section, why, request, answers(status), lives)


good("4.2.2", "the standard's own key gets the standard's own answer", handshake())
for key in ("AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "AQIDBAUGBwgJCgsMDQ4PEA==", "x3JJHMbDL1EzLkh9GBhXDw=="):
    good("4.2.2", f"the key {key} gets its answer", handshake(Sec_WebSocket_Key=key), key=key)

# ---- 4.2.1 what the client must send

for value, name in (("WebSocket", "mixed letters"), ("WEBSOCKET", "capitals"), ("websocket, h2c", "first of a list"), ("h2c, websocket", "last of a list"), (" websocket ", "white space around"), (",websocket", "an empty element before"), ("websocket,", "an empty element behind")):
    good("4.2.1", f"Upgrade: {value} ({name}) asks for it", handshake(Upgrade=value))
for value, name in (("upgrade", "small letters"), ("UPGRADE", "capitals"), ("keep-alive, Upgrade", "last of a list"), ("Upgrade, keep-alive", "first of a list"), ("keep-alive,Upgrade", "a list without a space"), ("foo, , Upgrade,", "empty elements")):
    good("4.2.1", f"Connection: {value} ({name}) asks for it", handshake(Connection=value))
good("4.2.1", "Connection in two lines asks for it", handshake(Connection="keep-alive", add=["Connection: Upgrade"]))
good("4.2.1", "Upgrade in two lines asks for it", handshake(Upgrade="h2c", add=["Upgrade: websocket"]))
good("4.2.1", "names of headers in any letters are the same", handshake(Sec_WebSocket_Key=None, Sec_WebSocket_Version=None, Upgrade=None, Connection=None, add=[f"SEC-WEBSOCKET-KEY: {KEY_OF_RFC}", "sec-websocket-version: 13", "uPGRADE: websocket", "connection: upgrade"]))
good("4.2.1", "no white space behind the colons is needed", handshake().replace(b": ", b":"))
good("4.2.1", "headers in another order are the same", b"GET /v1/echo HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " + KEY_OF_RFC.encode() + b"\r\nConnection: Upgrade\r\nHost: x\r\n\r\n")
good("4.2.1", "an absolute target is served", handshake("http://localhost/v1/echo"))
good("4.2.1", "an absolute target of ws is served", handshake("ws://localhost/v1/echo"))
good("4.2.1", "HTTP/1.2 is higher than 1.1", handshake(version="HTTP/1.2"))
good("4.2.1", "headers that we do not know are ignored", handshake(add=["Cookie: a=b", "User-Agent: x", "Pragma: no-cache", "Accept-Encoding: gzip", "Sec-Fetch-Mode: websocket", "DNT: 1"]))
good("4.2.1", "Content-Length: 0 is no body", handshake(add=["Content-Length: 0"]))
good("4.2.1", "a query is no part of the path", handshake("/v1/echo?a=b"))

bad("4.2.1", "without Upgrade it is no handshake", handshake(Upgrade=None), (400, 426))
bad("4.2.1", "without Connection it is no handshake", handshake(Connection=None), (400, 426))
for value in ("h2c", "websocketx", "xwebsocket", "web socket", "", "websocket/13", "\"websocket\""):
    bad("4.2.1", f"Upgrade: {value} is something else", handshake(Upgrade=value), (400, 426))
for value in ("keep-alive", "Upgraded", "", "up grade"):
    bad("4.2.1", f"Connection: {value} does not name it", handshake(Connection=value), (400, 426))
add("4.2.1", "Connection: close does not name it", handshake(Connection="close"), answers((400, 426)), says_close)
for value in ("0", "1", "7", "8", "12", "14", "113", "130", "255", "256", "-13", "13.0", "013", "x", "", "13, 8", "8, 13", "13;q=1"):
    bad("4.4", f"version {value!r} is not 13", handshake(Sec_WebSocket_Version=value), (400, 426))
bad("4.2.1", "without a version it is none", handshake(Sec_WebSocket_Version=None), (400, 426))
add("4.4", "a version that is not spoken is answered with the one that is, and the connection may try again", handshake(Sec_WebSocket_Version="8"), answers(426, header=("Sec-WebSocket-Version", "13")), handshake(), upgrades(), echoes)
bad("4.2.1", "without a key it is no handshake", handshake(Sec_WebSocket_Key=None))
for value, name in (("", "nothing"), ("x", "a letter"), ("dGhlIHNhbXBsZSBub25jZQ=", "23 characters"), ("dGhlIHNhbXBsZSBub25jZQ", "22 characters"), ("dGhlIHNhbXBsZSBub25j", "15 bytes"), ("dGhlIHNhbXBsZSBub25jZXM=", "17 bytes"), ("dGhlIHNhbXBsZSBub25jZSBpcyBsb25nIQ==", "25 bytes"), ("!!!!!!!!!!!!!!!!!!!!!!==", "no base64"), ("dGhlIHNhbXBsZSBub25jZQ==, x", "a list"), ("dGhl IHNhbXBsZSBub25jZQ==", "a space"),
                    ("dGhlIHNhbXBsZSBub25jZ-==", "another alphabet"), ("=dGhlIHNhbXBsZSBub25jZQ=", "its sign at the start"), ("\"dGhlIHNhbXBsZSBub25jZQ==\"", "quotes")):
    bad("4.2.1", f"a key of {name} is none", handshake(Sec_WebSocket_Key=value))
add("11.3.1", "two keys are a fault", handshake(add=[f"Sec-WebSocket-Key: {KEY_OF_RFC}"]), answers(400), says_close)
add("11.3.5", "two versions are a fault", handshake(add=["Sec-WebSocket-Version: 13"]), answers(400), says_close)
for method in ("POST", "PUT", "DELETE", "PATCH", "get"):
    bad("4.2.1", f"{method} is not GET", handshake(method=method), 405)
add("4.2.1", "HEAD is not GET", handshake(method="HEAD"), answers((400, 405, 426), to_head=True), lives)
add("4.2.1", "OPTIONS is not GET", handshake(method="OPTIONS"), answers(204), lives)
add("4.2.1", "HTTP/1.0 is never upgraded", handshake(version="HTTP/1.0"), answers((400, 426, 505)), says_close)
add("4.2.1", "HTTP/2.0 is not spoken", handshake(version="HTTP/2.0"), answers(505), says_close)
add("4.2.1", "without Host it is no HTTP/1.1", handshake(Host=None), answers(400), says_close)
add("4.2.1", "a handshake of a path that is not there", handshake("/v1/nowhere"), answers(404), lives)
for path in ("/v1/topics", "/healthz", "/v1/stream?topics=x"):
    add("4.2.2", f"{path} is no WebSocket and is served as what it is", handshake(path), lambda http: _no_upgrade(http))
add("4.2.1", "a target of 20000 bytes is too long", handshake("/v1/ws?topics=" + "x" * 20000), answers(414), says_close)
add("4.2.1", "headers of 20000 bytes are too long", handshake(add=["X: " + "y" * 20000]), answers(431), says_close)

# ---- a body of the handshake is not read as frames

for body in (frame(TEXT, b"smuggled"), b"x" * 40):
    add("4.1", f"a body of {len(body)} bytes is refused and not read as frames", handshake(add=[f"Content-Length: {len(body)}"]) + body, answers(400), lives)
    add("4.1", f"a chunked body of {len(body)} bytes is refused and not read as frames", handshake(add=["Transfer-Encoding: chunked"]) + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n", answers(400), says_close)
add("4.1", "a body with a length that is none", handshake(add=["Content-Length: x"]), answers(400), says_close)
add("4.1", "a body of a refused handshake is not the next request", handshake(Sec_WebSocket_Version="8", add=[f"Content-Length: {len(NEXT)}"]) + NEXT, answers(426), lives)

# ---- 4.2.2, 1.9 sub-protocols

for offer, chosen, name in (("ringcast.v1", "ringcast.v1", "alone"), ("chat, ringcast.v1", "ringcast.v1", "last"), ("ringcast.v1, chat", "ringcast.v1", "first"), ("ringcast.v1,chat", "ringcast.v1", "without a space"), ("chat", None, "not among them"), ("a, b, c", None, "not among three"), ("ringcast.v2", None, "another version"), ("RINGCAST.V1", None, "other letters, which is another name"), ("ringcast.v1x", None, "a longer name"), ("xringcast.v1", None, "a name that ends so"),
                            ("ringcast", None, "a beginning"), ("ringcast.v1, ringcast.v1", "ringcast.v1", "twice"), (f"ringcast.v1, ringcast.token.{KEY}", "ringcast.v1", "with a token, which is not answered"), (f"ringcast.token.{KEY}, ringcast.v1", "ringcast.v1", "behind a token"), (f"ringcast.token.{KEY}", None, "a token alone"), ("", None, "an empty offer"), (",, ringcast.v1 ,,", "ringcast.v1", "among empty elements")):
    for path in ("/v1/echo", "/v1/ws"):
        add("1.9", f"Sec-WebSocket-Protocol: {offer[:40]} ({name}) at {path}", handshake(path, add=[f"Sec-WebSocket-Protocol: {offer}"]), upgrades(chosen))
add("11.3.4", "sub-protocols in two lines are one list", handshake(add=["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: ringcast.v1"]), upgrades("ringcast.v1"), echoes)
add("11.3.4", "sub-protocols in two lines apart are one list", handshake(add=["Sec-WebSocket-Protocol: chat", "X: y", "Sec-WebSocket-Protocol: ringcast.v1"]), upgrades("ringcast.v1"), echoes)
for path in ("/v1/echo", "/v1/ws"):
    add("4.2.2", f"no sub-protocol offered, none chosen, at {path}", handshake(path), upgrades(None))

# ---- 9.1 extensions

for offer in ("x-webkit-deflate-frame", "foo", "foo; bar=baz", "foo; bar=\"baz\"", "foo; bar", "foo;bar=1;baz=2", "foo, bar", "foo; a, foo; b", "foo ; bar = baz", "permessage-deflatex", "permessage-bzip2", "mux; max-channels=4; flow-control, deflate-stream"):
    add("9.1", f"the extension {offer!r} is declined by silence", handshake(add=[f"Sec-WebSocket-Extensions: {offer}"]), upgrades(extensions=None), echoes)
for offer in ("foo; bar=\"b,a;z\"", "foo;", "foo; =x", ";", "foo bar", "foo; bar=", "foo; bar=\"", "foo; bar=\"baz", "foo=bar", "f(oo", "foo; b@r", "foo; bar=b@z", "foo; bar=\"\"", "\"foo\""):
    bad("9.1", f"extensions that break the grammar ({offer}) fail the handshake", handshake(add=[f"Sec-WebSocket-Extensions: {offer}"]))

# ---- 10.2 origin

for origin, status, name in (("http://localhost", 101, "the same host"), ("https://localhost", 101, "the same host by https"), ("http://LOCALHOST", 101, "the same host in capitals"), ("http://localhost:80", 101, "with the scheme's port"), ("http://elsewhere.example", 403, "another host"), ("null", 403, "null"), ("http://localhost.elsewhere.example", 403, "a host that begins like ours"), ("http://xlocalhost", 403, "a host that ends like ours"),
                             ("http://localhost:81", 403, "another port"), ("http://elsewhere.example/localhost", 403, "ours in its path"), ("http://elsewhere.example#localhost", 403, "ours in its fragment"), ("http://localhost@elsewhere.example", 403, "ours as its user"), ("localhost", 403, "no scheme"), ("", (400, 403), "empty"), ("http://", (400, 403), "a scheme alone"), ("file://", (400, 403), "a file"), ("http://localhost, http://localhost", 403, "a list")):
    add("10.2", f"Origin {origin!r} ({name})", handshake(add=[f"Origin: {origin}"]), *([upgrades(), echoes] if status == 101 else [answers(status), lives]))
    if status != 101:
        add("10.2", f"Origin {origin!r} ({name}) at /v1/ws", handshake("/v1/ws", add=[f"Origin: {origin}"]), answers(status), lives)

# ---- 4.1, 4.2 what is sent before and behind

add("4.2.2", "frames in the handshake's packet are served", handshake() + frame(TEXT, b"early"), upgrades(), lambda http: _takes(http, b"\x81\x05early"), echoes)
add("4.2.2", "half a frame in the handshake's packet is the beginning of one", handshake() + frame(TEXT, b"early")[:4], upgrades(), frame(TEXT, b"early")[4:], lambda http: _takes(http, b"\x81\x05early"), echoes)
add("4.2.2", "a request before the handshake on the same connection", NEXT, answers(200), handshake(), upgrades(), echoes)
add("4.2.2", "a request and the handshake in one packet", NEXT + handshake(), answers(200), upgrades(), echoes)
add("4.2.2", "a refused handshake before a good one", handshake(Sec_WebSocket_Key="x"), answers(400), handshake(), upgrades(), echoes)
for header in (f"Authorization: Bearer {KEY}", f"X-API-Key: {KEY}"):
    add("10.5", f"a good {header.split(':')[0]} lets in", handshake("/v1/ws", add=[header]), upgrades())
for header in ("Authorization: Bearer wrong", "X-API-Key: wrong", "Authorization: Basic eDp5"):
    add("10.5", f"a wrong {header} is 401", handshake("/v1/ws", add=[header]), answers(401), lives)


def _takes(http, expected):
    if (got := http.take(len(expected), deadline_in())) != expected:
        raise AssertionError(f"{got!r} instead of {expected!r}")


def _no_upgrade(http):
    line = http.take_line(deadline_in())
    if not line.startswith(b"HTTP/1.1 200 "):
        raise AssertionError(f"{line!r}")


make_tests("Rfc6455HandshakeTest", "RFC 6455", cases, flags=("--echo", "--limits.requests-per-second", "100000"))

if __name__ == "__main__":
    unittest.main()
