"""RFC 6455, sections 5 to 8: frames, messages, closing, over /v1/echo."""
import unittest

from client import BINARY, CLOSE, PING, TEXT, frame
from suite import make_tests
from ws_steps import binary, case, close, closed, echoes_close, ends, gives_binary, gives_pong, gives_text, half_closes, leaves, letters, more, octets, pauses, pieces, ping, pong, resets, slowly, text

MIB = 1 << 20
cases = []


def add(*arguments, **how):
    cases.extend(case(*arguments, **how))


# 5.2 the length of a payload, in each of its three forms and at their borders
for count in (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 124, 125, 126, 127, 128, 129, 255, 256, 257, 1000, 4096, 16383, 16384, 16385, 32768, 65534, 65535, 65536, 65537, 131072, MIB, 16 * MIB):
    add("5.2", f"a text of {count} bytes comes back", text(letters(count)), gives_text(letters(count)))
    add("5.2", f"a binary message of {count} bytes comes back", binary(octets(count)), gives_binary(octets(count)))
for count in (125, 126, 127, 65535, 65536):
    stream = frame(BINARY, octets(count))
    for size in (1, 7, 997):
        if count // size > 20000:
            continue
        pieces_of = [stream[at:at + size] for at in range(0, len(stream), size)]
        add("5.2", f"a binary message of {count} bytes sent {size} bytes at a time comes back", *pieces_of, gives_binary(octets(count)))
for count, form in ((0, 16), (1, 16), (125, 16), (0, 64), (1, 64), (125, 64), (126, 64), (65535, 64)):
    add("5.2", f"{count} bytes said in {form} bits are not the shortest form", frame(BINARY, octets(count), length_form=form), closed(1002))
for length, name in ((1 << 63, "2^63"), ((1 << 64) - 1, "2^64-1"), ((1 << 63) + 1, "2^63+1")):
    add("5.2", f"a length of {name} has its highest bit set", frame(BINARY, b"", length=length), closed(1002))
for length, name in ((1 << 34, "16 GiB"), ((1 << 63) - 1, "2^63-1"), (1 << 32, "4 GiB"), ((1 << 32) + 5, "4 GiB and 5, 5 in 32 bits"), (16 * MIB + 1, "a byte over limits.echo-message")):
    add("7.4.1", f"a declared length of {name} is refused at once with 1009", frame(BINARY, b"", length=length), closed(1009))
    add("7.4.1", f"a text's declared length of {name} is refused at once with 1009", frame(TEXT, b"", length=length), closed(1009))
    add("7.4.1", f"a continuation's declared length of {name} is refused at once with 1009", text("x", fin=False), frame(0, b"", length=length), closed(1009))

# 5.2 reserved bits and opcodes
for rsv in range(1, 8):
    for opcode, name in ((TEXT, "a text"), (BINARY, "a binary message"), (PING, "a ping"), (10, "a pong"), (CLOSE, "a close")):
        add("5.2", f"reserved bits {rsv:03b} in {name} fail it", frame(opcode, b"\x03\xe8" if opcode == CLOSE else b"x", rsv=rsv), closed(1002))
    add("5.2", f"reserved bits {rsv:03b} in a continuation fail it", text("x", fin=False), more("y", rsv=rsv), closed(1002))
for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    for payload in (b"", b"x", octets(126)):
        add("5.2", f"opcode {opcode} with {len(payload)} bytes is reserved", frame(opcode, payload), closed(1002))
    add("5.2", f"opcode {opcode} without FIN is reserved", frame(opcode, b"x", fin=False), closed(1002))
    add("5.2", f"opcode {opcode} after a good message: that one is served", text("good"), gives_text("good"), frame(opcode, b"x"), closed(1002))
add("5.2", "a first octet that is bad already fails before the second one comes", b"\x83", closed(1002))
add("5.2", "a second octet that is bad already fails before the third one comes", b"\x82\x05", closed(1002))
add("5.2", "a long length that can't be the shortest fails before its last octet", b"\x82\xff\x00\x00\x00\x00\x00\x00", closed(1002))
add("5.2", "a length with its highest bit fails at that octet", b"\x82\xff\x80", closed(1002))

# 5.3, 5.1 masking
for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04", b"\x80\0\0\0", b"\0\0\0\x80", b"abcd"):
    for count in (1, 2, 3, 4, 5, 64, 126, 1000):
        add("5.3", f"mask {mask.hex()} is taken off {count} bytes", binary(octets(count), mask=mask), gives_binary(octets(count)))
    add("5.3", f"mask {mask.hex()} begins anew in each fragment", binary(octets(5), fin=False, mask=mask), more(octets(6), mask=mask), gives_binary(octets(5) + octets(6)))
add("5.3", "each frame has a mask of its own", text("one", mask=b"1234"), text("two", mask=b"5678"), gives_text("one"), gives_text("two"))
for stream, name in ((text("x", mask=None), "text"), (text("", mask=None), "empty text"), (binary(octets(126), mask=None), "binary message"), (ping(b"x", mask=None), "ping"), (pong(mask=None), "pong"), (close(1000, mask=None), "close"), (close(mask=None), "close without a code")):
    add("5.1", f"an unmasked {name} fails the connection", stream, closed(1002))
add("5.1", "an unmasked continuation fails the connection", text("x", fin=False), more("y", mask=None), closed(1002))

# 5.4 fragmentation
for kind, gives, name in ((TEXT, gives_text, "text"), (BINARY, gives_binary, "binary")):
    for parts, how in (([b"a", b"b"], "two fragments"), ([b"", b""], "two empty ones"), ([b"", b"", b"x"], "empty ones first"), ([b"x", b"", b""], "empty ones last"), ([b"", b"x", b""], "empty ones around"), ([b"x"] * 100, "100 of a byte"),
                       ([letters(125), letters(126), letters(127)], "fragments at the border of forms"), ([letters(65535), letters(65536)], "long ones"), ([b"", letters(70000), b"y"], "an empty, a long and a short one")):
        add("5.4", f"a {name} message in {how} is one message", pieces(kind, *parts), gives(b"".join(parts)))
    add("5.4", f"a {name} message in fragments with a pause between them is one", frame(kind, b"one ", fin=False), pauses, more(b"two ", fin=False), pauses, more(b"three"), gives(b"one two three"))
    add("5.4", f"of 2000 {name} fragments one message is made", pieces(kind, *[b"ab"] * 2000), gives(b"ab" * 2000))
    add("5.4", f"a ping within a {name} message is answered at once", frame(kind, b"one", fin=False), ping(b"within"), gives_pong(b"within"), more(b" two"), gives(b"one two"))
    add("5.4", f"pings between all fragments of a {name} message are answered", frame(kind, b"1", fin=False), ping(b"a"), gives_pong(b"a"), more(b"2", fin=False), ping(b"b"), gives_pong(b"b"), more(b"3", fin=False), ping(), gives_pong(), more(b"4"), gives(b"1234"))
    add("5.4", f"a pong within a {name} message changes nothing", frame(kind, b"one", fin=False), pong(b"nobody asked"), more(b" two"), gives(b"one two"))
    add("5.5", f"a close within a {name} message is answered", frame(kind, b"one", fin=False), close(1000), echoes_close(1000))
    for second, what in ((text("y"), "a whole text"), (binary(b"y"), "a whole binary message"), (text("y", fin=False), "the start of a text"), (binary(b"y", fin=False), "the start of a binary message")):
        add("5.4", f"{what} within a {name} message fails it", frame(kind, b"x", fin=False), second, closed(1002))
add("5.4", "a continuation of nothing fails the connection", more("x"), closed(1002))
add("5.4", "an empty continuation of nothing fails the connection", more(), closed(1002))
add("5.4", "a continuation of nothing that is not the last fails the connection", more("x", fin=False), closed(1002))
add("5.4", "a continuation after a finished message is one of nothing", text("done"), gives_text("done"), more("x"), closed(1002))
add("5.4", "a continuation after a message in fragments is one of nothing", pieces(TEXT, b"do", b"ne"), gives_text("done"), more("x"), closed(1002))
add("5.4", "messages of both kinds after one another keep their kinds", pieces(TEXT, b"a", b"b"), pieces(BINARY, b"\xff", b"\xfe"), text("c"), binary(b"\xfd"), gives_text("ab"), gives_binary(b"\xff\xfe"), gives_text("c"), gives_binary(b"\xfd"))
add("5.4", "fragments whose sum passes limits.echo-message are refused with 1009", *[binary(octets(8 * MIB), fin=False), more(octets(8 * MIB), fin=False), more(b"x")], closed(1009))
add("5.4", "fragments up to limits.echo-message are one message", binary(octets(8 * MIB), fin=False), more(octets(8 * MIB)), gives_binary(octets(8 * MIB) + octets(8 * MIB)))

# 5.5 control frames
for opcode, name in ((PING, "ping"), (10, "pong"), (CLOSE, "close")):
    start = b"\x03\xe8" if opcode == CLOSE else b""
    add("5.5", f"a fragmented {name} fails the connection", frame(opcode, start, fin=False), closed(1002))
    add("5.5", f"a {name} of 126 bytes fails the connection", frame(opcode, start + letters(126 - len(start))), closed(1002))
    add("5.5", f"a {name} of 65536 bytes fails the connection", frame(opcode, start + letters(65536 - len(start))), closed(1002))
    add("5.5", f"a {name} that says its short length in 16 bits fails the connection", frame(opcode, start + b"x", length_form=16), closed(1002))
    add("5.5", f"a {name} that says its short length in 64 bits fails the connection", frame(opcode, start + b"x", length_form=64), closed(1002))
    add("5.5", f"a {name} that continues nothing and goes on fails the connection", frame(opcode, start, fin=False), more(b"x"), closed(1002))
for count in (0, 1, 2, 124, 125):
    add("5.5.2", f"a ping of {count} bytes is answered with them", ping(octets(count)), gives_pong(octets(count)))
add("5.5.2", "a ping need not be text", ping(b"\xff\xfe\x00"), gives_pong(b"\xff\xfe\x00"))
add("5.5.2", "ten pings one after another are all answered", *[step for n in range(10) for step in (ping(b"%d" % n), gives_pong(b"%d" % n))])
add("5.5.3", "of pings sent at once the newest is answered", ping(b"1") + ping(b"2") + ping(b"3"), lambda ws: _newest(ws, b"3"))
add("5.5.2", "a ping goes before a message that came after it", ping(b"p"), gives_pong(b"p"), text("m"), gives_text("m"))
add("5.5.3", "a pong that nobody asked for is not answered", pong(), pong(b"x"), pong(octets(125)), text("m"), gives_text("m"))
add("5.5.3", "a pong that nobody asked for does not answer a ping", pong(b"x"), ping(b"y"), gives_pong(b"y"))


def _newest(ws, payload):
    """Pongs until the one for this ping: RFC 6455, 5.5.3 allows to answer only the most recent."""
    while True:
        _, opcode, got = ws.read_frame()
        if opcode != 10:
            raise AssertionError(f"opcode {opcode} instead of a pong")
        if got == payload:
            return


# 5.5.1, 7 closing
add("5.5.1", "a close without a code is answered", close(), closed(None, 1000, reason=False))
for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4001, 4999):
    add("7.4", f"close code {code} is answered with itself", close(code), echoes_close(code))
    add("7.4", f"close code {code} with a reason is answered with itself", close(code, "gründlich ✓".encode()), echoes_close(code))
for code in (0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2500, 2999, 5000, 32768, 65535):
    add("7.4", f"close code {code} must not be on the wire", close(code), closed(1002, reason=False))
    add("7.4", f"close code {code} with a reason must not be on the wire", close(code, b"reason"), closed(1002, reason=False))
add("5.5.1", "a close of one byte fails the connection", frame(CLOSE, b"\x03"), closed(1002))
add("5.5.1", "a reason of 123 bytes is as long as it may be", close(1000, letters(123)), echoes_close(1000))
add("5.5.1", "a reason of 124 bytes is too long for a control frame", close(1000, letters(124)), closed(1002))
for reason, name in ((b"\xff", "0xff"), (b"\xc3", "half a character"), (b"\xed\xa0\x80", "a surrogate"), (b"\xc0\xaf", "an overlong slash"), (b"ok \xf4\x90\x80\x80", "a character beyond U+10FFFF"), (letters(122) + b"\xc3", "half a character at the end of 123 bytes")):
    add("8.1", f"a reason with {name} is no UTF-8", close(1000, reason), closed(1007, 1002, reason=False))
add("5.5.1", "data after a close is not served", text("before"), gives_text("before"), close(1000) + text("after"), echoes_close(1000))
add("5.5.1", "a ping after a close is not answered", close(1000) + ping(b"after"), echoes_close(1000), lambda ws: ws.pongs and (_ for _ in ()).throw(AssertionError(f"pongs after the close: {ws.pongs}")))
add("5.5.1", "a second close after a close changes nothing", close(1000) + close(1001), echoes_close(1000))
add("5.5.1", "nonsense after a close changes nothing", close(1001) + b"\x83\xff\xff\xff\xff", echoes_close(1001))
add("5.5.1", "what was sent before a close comes back before its answer", text("a") + binary(b"b"), gives_text("a"), gives_binary(b"b"), close(4321), echoes_close(4321))
add("7.1.1", "the gateway ends the stream after the closing handshake", close(1000), echoes_close(1000))
add("7.1.1", "a client that half-closes after its close still gets the answer", close(1000), half_closes, echoes_close(1000))
add("7.1.4", "a client that half-closes in silence is let go", half_closes, ends)
add("7.1.4", "a client that half-closes within a frame is let go", text("abc")[:5], half_closes, ends)
add("7.1.4", "a client that half-closes within a message is let go", text("abc", fin=False), half_closes, ends)
for stream, name in ((b"", "at rest"), (b"\x81", "after one octet"), (text("abc")[:4], "within a mask"), (binary(octets(70000))[:1000], "within a payload"), (text("a", fin=False), "within a message"), (close(1000), "after its close"), (ping(b"x") * 50, "while pongs come"), (binary(octets(MIB)), "while an echo comes")):
    add("7.1.7", f"a reset {name} harms nobody", stream, resets)
    add("7.1.7", f"an end without a word {name} harms nobody", stream, leaves)

# 8.1 UTF-8
for good, name in (("", "nothing"), ("κόσμε", "Greek"), ("日本語", "Japanese"), ("😀🎉", "beyond the basic plane"), ("\u0000", "NUL"), ("\u007f", "DEL"), ("\u0080", "the first of two bytes"), ("\u07ff", "the last of two bytes"), ("\u0800", "the first of three"), ("\ud7ff", "the last before the surrogates"),
                   ("\ue000", "the first after them"), ("\ufffd", "the replacement character"), ("\ufffe", "U+FFFE"), ("\uffff", "U+FFFF"), ("\ufeff", "a byte order mark"), ("\U00010000", "the first of four bytes"), ("\U0001fffe", "U+1FFFE"), ("\U0010ffff", "the last of all"), ("a\u0301", "a combining mark"), ("\r\n\t", "control characters")):
    payload = good.encode()
    add("8.1", f"{name} is UTF-8", text(payload), gives_text(payload))
    for cut in range(1, len(payload)):
        add("8.1", f"{name}, cut after {cut} bytes into two fragments, is UTF-8", pieces(TEXT, payload[:cut], payload[cut:]), gives_text(payload))
    padded = letters(61) + payload + letters(40)
    add("8.1", f"{name} behind 61 letters is UTF-8", text(padded), gives_text(padded))
BAD = ((b"\x80", "a lone continuation"), (b"\xbf", "the last continuation alone"), (b"\xfe", "0xfe"), (b"\xff", "0xff"), (b"\xc0\x80", "NUL in two bytes"), (b"\xc1\xbf", "DEL in two bytes"), (b"\xe0\x80\x80", "NUL in three bytes"), (b"\xe0\x9f\xbf", "U+07FF in three bytes"),
       (b"\xf0\x80\x80\x80", "NUL in four bytes"), (b"\xf0\x8f\xbf\xbf", "U+FFFF in four bytes"), (b"\xf8\x88\x80\x80\x80", "five bytes"), (b"\xfc\x84\x80\x80\x80\x80", "six bytes"), (b"\xed\xa0\x80", "U+D800"), (b"\xed\xad\xbf", "U+DB7F"), (b"\xed\xb0\x80", "U+DC00"), (b"\xed\xbf\xbf", "U+DFFF"),
       (b"\xed\xa0\x80\xed\xb0\x80", "a pair of surrogates"), (b"\xf4\x90\x80\x80", "U+110000"), (b"\xf5\x80\x80\x80", "0xf5"), (b"\xf7\xbf\xbf\xbf", "U+1FFFFF"), (b"\xc3(", "a second byte that is none"), (b"\xe2\x82(", "a third byte that is none"), (b"\xf0\x9f\x98(", "a fourth byte that is none"), (b"\xe2(\xa1", "a second of three that is none"))
for bad, name in BAD:
    add("8.1", f"{name} is no UTF-8", text(b"ok " + bad + b" ok"), closed(1007))
    add("8.1", f"{name} behind 70 letters is no UTF-8", text(letters(70) + bad), closed(1007))
    add("8.1", f"{name} in a fragment fails before the message ends", text("good", fin=False), more(bad, fin=False), closed(1007))
    add("8.1", f"{name} in one octet a fragment fails", pieces(TEXT, *[bad[at:at + 1] for at in range(len(bad))]), closed(1007))
    add("8.1", f"{name} in a frame whose rest never comes fails at once", text(b"good " + bad + b"." * 80)[:-70], closed(1007))
    add("5.6", f"{name} may stand in a binary message", binary(bad), gives_binary(bad))
for cut, name in ((b"\xc3", "one of two"), (b"\xe2", "one of three"), (b"\xe2\x82", "two of three"), (b"\xf0", "one of four"), (b"\xf0\x9f", "two of four"), (b"\xf0\x9f\x98", "three of four")):
    add("8.1", f"a message that ends after {name} bytes of a character is no UTF-8", text(b"ok " + cut), closed(1007))
    add("8.1", f"a fragmented message that ends after {name} bytes of a character is no UTF-8", pieces(TEXT, b"ok", cut), closed(1007))
    add("8.1", f"{name} bytes of a character may end a fragment where an empty last one does not help", pieces(TEXT, b"ok " + cut, b""), closed(1007))
for begin, name in ((b"\xf4\x90", "a second byte beyond U+10FFFF"), (b"\xed\xa0", "a second byte of a surrogate"), (b"\xe0\x80", "a second byte of an overlong three"), (b"\xf0\x80", "a second byte of an overlong four"), (b"\xc0", "a first byte that is overlong"), (b"\xf5", "a first byte that is too high")):
    add("8.1", f"{name} fails although more of the character is due", text(letters(20) + begin + b"\x80\x80")[:2 + 4 + 20 + len(begin)], closed(1007))

# 5.6, 6 messages after one another
add("6.1", "a thousand messages sent at once come back in order", b"".join(text(b"%d" % n) for n in range(1000)), *[gives_text(b"%d" % n) for n in range(1000)])
add("6.1", "a thousand messages in two fragments each come back in order", b"".join(pieces(TEXT, b"%d" % n, b".") for n in range(1000)), *[gives_text(b"%d." % n) for n in range(1000)])
add("6.2", "frames that lie across segments are put together", slowly(text("one") + binary(octets(200)) + ping(b"p")), gives_text("one"), gives_binary(octets(200)), gives_pong(b"p"))
add("6.1", "long messages one after another come back", *[step for n in range(8) for step in (binary(octets(MIB + n)), gives_binary(octets(MIB + n)))])
add("7.1.7", "what follows a fault in the same segment is not served", text("good") + frame(3) + text("not any more"), gives_text("good"), closed(1002))
add("5.1", "an HTTP request where frames are due fails the connection", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", closed(1002))
add("5.2", "a TLS greeting where frames are due fails the connection", bytes.fromhex("16030100c8010000c40303"), closed(1002))

make_tests("Rfc6455Test", "RFC 6455", cases)

if __name__ == "__main__":
    unittest.main()
