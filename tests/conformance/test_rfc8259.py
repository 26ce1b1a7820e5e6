"""RFC 8259: which texts are JSON values and which are not, and that a good one is passed on byte for byte. Each goes in by three ways: a body,
a line of many, and within a WebSocket message. What the standard leaves to each parser has its verdict explained.

The table is our own, in the spirit of JSONTestSuite by Nicolas Seriot.
"""
import unittest

from gateway import API_KEY, BEARER
from http_steps import HttpBy
from suite import Case, make_tests, numbers
from ws_steps import WsBy

SPACE = b" \t\r\n"
cases = []


def passed_on(text):
    """As PROTOCOL.md says: without the white space around it, each CR and LF between its tokens a space."""
    text, out, in_string, escaped = text.strip(SPACE), bytearray(), False, False
    for byte in text:
        out.append(0x20 if not in_string and byte in b"\r\n" else byte)
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        else:
            in_string = byte == 0x22
    return bytes(out)


def newest(http, topic):
    """The payload of a topic's newest update as bytes; None where there is none."""
    http.request("GET", f"/v1/topics/{topic}")
    response = http.response()
    if response.status == 404:
        return None
    return response.body[response.body.index(b'"data":') + 7:-1]


def judged(transport, topic, text, accepted, refusal):
    """What was said must be what has happened."""
    with HttpBy(transport) as http:
        payload = newest(http, topic)
    if accepted and payload != passed_on(text):
        raise AssertionError(f"passed on as {payload!r}, refusal {refusal}")
    if not accepted and (payload is not None or refusal is None):
        raise AssertionError(f"taken, as {payload!r}, refusal {refusal}")


def as_body(text, accepted):
    def check(transport):
        topic = f"body.n{next(numbers)}"
        with HttpBy(transport) as http:
            http.request("POST", f"/v1/topics/{topic}", [API_KEY], text)
            response = http.response()
        if not accepted and (response.status, response.code) != (400, "bad_payload"):
            raise AssertionError(f"{response}")
        judged(transport, topic, text, accepted, None if response.status == 200 else response.code)
    return check


def as_line(text, accepted):
    def check(transport):
        topic = f"line.n{next(numbers)}"
        with HttpBy(transport) as http:
            http.request("POST", "/v1/publish", [BEARER], b'{"topic":"%s","data":%s}\n{"topic":"%s.after","data":1}\n' % (topic.encode(), text, topic.encode()))
            answer = http.response().json()
            if newest(http, topic + ".after") != b"1":
                raise AssertionError(f"the line behind it was not published: {answer}")
        errors = [error["code"] for error in answer["errors"]]
        if errors not in ([[]] if accepted else [["bad_json"], ["bad_payload"], ["bad_request"]]):
            raise AssertionError(f"{answer}")
        judged(transport, topic, text, accepted, errors[0] if errors else None)
    return check


def in_message(text, accepted):
    def check(transport):
        topic = f"message.n{next(numbers)}"
        with WsBy(transport, add=[API_KEY]) as ws:
            ws.read()
            ws.send_text(b'{"op":"publish","id":1,"topic":"%s","data":%s}' % (topic.encode(), text))
            answer = ws.read()
        judged(transport, topic, text, accepted, answer.get("code"))
        if not accepted and answer["code"] not in ("bad_json", "bad_payload", "bad_request"):
            raise AssertionError(f"{answer}")
    return check


def is_utf8(text):
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


def add(section, accepted, why, text):
    text = text.encode() if isinstance(text, str) else text
    cases.append(Case(section, f"{why}: {text[:40]!r}, a body", as_body(text, accepted)))
    stays_one = accepted or (text.strip(SPACE) and not set(text) & set(b",}{\n\""))  # so that a fault of the value can't mend the request around it
    if stays_one and b"\n" not in text:
        cases.append(Case(section, f"{why}: {text[:40]!r}, a line", as_line(text, accepted)))
    if stays_one and is_utf8(text):
        cases.append(Case(section, f"{why}: {text[:40]!r}, a message", in_message(text, accepted)))


def good(section, why, *texts):
    for text in texts:
        add(section, True, why, text)


def bad(section, why, *texts):
    for text in texts:
        add(section, False, why, text)


# ---- 2 grammar: values, white space

good("2", "a value of each kind", "true", "false", "null", "0", '""', '"x"', "{}", "[]", "[1]", '{"a":1}')
good("2", "white space around tokens", " 1", "1 ", "\t1\t", "\r\n1\r\n", "\n[\n1\n,\n2\n]\n", " { \"a\" : 1 , \"b\" : [ ] } ", "[ ]", "{ }", "[\t]", "[\r]", "{\"a\":\r\n\"b\"}")
bad("2", "nothing", "", " ", "\n", "\t\r\n ")
bad("2", "white space of other kinds", "\x0b1", "\x0c1", "[1\x0c]", "\u00a01", "[\u00a01]", "\u20281", "1\u2029", "\u30001", b"\x001", b"1\x00", "[\x00]", "\x1f1")
bad("2", "words in other letters", "True", "TRUE", "tRue", "False", "NULL", "Null", "nil", "None", "undefined")
bad("2", "words cut or lengthened", "tru", "t", "fals", "nul", "n", "truee", "nulll", "true1", "[tru]", "[nul", "falsey")
bad("2", "two values", "1 2", "[] []", "{} {}", "1,2", "true false", '"a" "b"', "1 ,", "[],", "{}}", "[]]", "null\n1")
bad("2", "comments, which are no JSON", "/**/1", "1//x", "[1/**/]", "#1", "1 #x", "{/**/}", "<!-- -->")
bad("2", "something else", "<a>1</a>", "{a}", "[a]", "a", "'a'", "`a`", "(1)", "=1", "1;", "$", "&", "\\", "@", "*", "?", "%", "|", "~", "^", "_", "-", "+", ".", ",", ":", "\"", "[", "]", "{", "}")

# ---- 4 objects, 5 arrays

good("4", "objects", '{"a":1,"b":2}', '{"":1}', '{"a":{}}', '{"a":{"b":{"c":[]}}}', '{"\\u0061":1}', '{"a b":1}', '{"é":1}', '{"\\"":1}', '{"a":null,"b":true,"c":false,"d":-1.5e3,"e":"x","f":[],"g":{}}', '{"\\u0000":1}', '{"__proto__":1}', '{"a":"}"}', '{"a":"{"}', '{"]":"["}')
bad("4", "objects that are none", "{", "}", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', "{,}", '{,"a":1}', '{"a"}', '{"a",1}', '{"a":}', '{:1}', '{"a"::1}', '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a"=1}', '{"a":1,,"b":2}', "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{[]:1}", "{{}:1}", '{"a":1]', '{"a":1}}', '{"a" 1}', '{"a":1:2}', '{"a":a}', '{"a":\'b\'}', '{"a":1,"b"}', '{"a', '{"a":"b', '{true:1}')
good("5", "arrays", "[1,2,3]", "[[]]", "[[],[[]]]", "[1,\"a\",null,true,{}]", "[ 1 , 2 ]", "[\"]\"]", "[\"[\"]", "[" + ",".join(["0"] * 5000) + "]", "[{},{}]", "[[1],[2]]", "[-0]", "[\"\",\"\"]")
bad("5", "arrays that are none", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1;2]", "[1:2]", "[1}", "[1]]", "[[1]", "[\"a\" \"b\"]", "[1,\n", "[\"a\",", "[}", "[1,2,,]", "[,,]", "[\"a\"", "[x]", "[[]", "[1]x", "[-]", "[true false]")

# ---- depth: PROTOCOL.md allows 64 levels

good("9", "64 levels of brackets", "[" * 64 + "]" * 64, '{"a":' * 64 + "1" + "}" * 64, '[{"a":' * 32 + "1" + "}]" * 32, "[" * 63 + "[],[]" + "]" * 63)
bad("9", "more than 64 levels of brackets", "[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "[" * 64 + "1,[]" + "]" * 64, "[" * 1000 + "]" * 1000, "[" * 30000)
good("9", "brackets in strings are no levels", '"' + "[" * 1000 + '"', '["' + "{" * 1000 + '"]')

# ---- 6 numbers

good("6", "numbers", "0", "-0", "1", "-1", "10", "123456789", "0.0", "-0.0", "0.5", "1.5", "-1.5", "1e5", "1E5", "1e+5", "1e-5", "1.5e10", "1.5E-10", "0e0", "0e1", "0E-0", "-0e+1", "1e00005", "0.000000000000000001", "1.0", "123.456e78", "-123", "20e1", "1e1", "9007199254740993")
bad("6", "numbers that are none", "+1", "01", "-01", "00", "0x1", "0b1", "0o7", "1.", ".1", "-.1", "1.e5", "1e", "1e+", "1e-", "1E", "-", "--1", "+-1", "1-", "1+2", "1.2.3", "1e5.5", "1e5e5", "1 000", "1_000", "1,000 ", "Infinity", "-Infinity", "NaN", "-NaN", "inf", "1f", "1L", "1n", "0x", "1/2", "-a", "1e a", "0.e1", "0.3e", "2.e3", "-0x1", "012", "-012", "1a", "ff", "\u0661", "\uff11", "1\u2070", "-\u0031\u20e3", "1.\u0660", "0 1", "- 1", "1 .5", "1. 5", "1 e5")

# ---- 7 strings

good("7", "strings", '"a"', '"é"', '"日本"', '"😀"', '"/"', '"\\/"', '"\\""', '"\\\\"', '"\\b\\f\\n\\r\\t"', '"\\u0041"', '"\\u00e9"', '"\\u00E9"', '"\\uABCD"', '"\\uabcd"', '"\\u0000"', '"\\u001f"', '"\\u0022"', '"\\u005c"', '"\\ud83d\\ude00"', '"\u007f"', '"\u0080"', '"\u2028\u2029"', '"\ufffe\uffff"', '"\U0010ffff"', '"\ufeff"', '"\\\\u0041"', '"\\\\\\""', '" "', '"[,]{:}"', '"//"', '"/**/"', '"' + "x" * 60000 + '"', '"' + "\\n" * 20000 + '"', '"' + "é" * 20000 + '"', '"\u00a0"')
bad("7", "control characters must be escaped", *[b'"a' + bytes([code]) + b'b"' for code in range(0x20)], '["\n"]', '{"a\tb":1}', b'"\x00"')
bad("7", "escapes that are none", '"\\a"', '"\\x41"', '"\\0"', '"\\\'"', '"\\v"', '"\\e"', '"\\U0041"', '"\\ "', '"\\\n"', '"\\u"', '"\\u0"', '"\\u00"', '"\\u004"', '"\\u004g"', '"\\u 041"', '"\\u+041"', '"\\u-041"', '"\\uD83D\\u"', '"\\uD83D\\uDE0"', '"\\u00\u00e9"', '"\\u{41}"', '"\\N"', '"\\T"', '"\\é"', '"\\😀"', '"\\u00A"', '"\\')
bad("7", "strings without an end", '"', '"a', '"a\\', '"a\\"', '["a', '["a]', '{"a', '{"a:1}', '"\\u0041', '"\\ud83d\\')
bad("7", "strings in other quotes", "'a'", "`a`", "\u201ca\u201d", "\u00aba\u00bb", "'a\"", "\"a'")
bad("7", "something behind the string", '"a"b', '"a""b"', '"a"\'', '"a"\\n')

# ---- 8.1 UTF-8 (RFC 3629)

bad("8.1", "strings that are no UTF-8", *[b'"a' + text + b'b"' for text in (b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xe9", b"\xc3(")])
bad("8.1", "a character cut by the end of the text", b'"\xc3', b'"\xe2\x82', b'"\xf0\x9f\x98', b'["\xc3')
bad("8.1", "names that are no UTF-8", b'{"\xff":1}', b'{"a\xc3":1}', b'{"\xed\xa0\x80":1}')
bad("8.1", "bytes beyond ASCII outside of strings", b"\xff", b"[\xe9]", b"\xc3\xa9", b"[1\xc3\xa9]", "é", "{é:1}", b"\xf0\x9f\x98\x80")
bad("8.1", "other encodings", '"a"'.encode("utf-16-le"), '"a"'.encode("utf-16-be"), '"a"'.encode("utf-16"), '"a"'.encode("utf-32-le"), "[1]".encode("utf-16"), '"é"'.encode("latin-1"))

# ---- what the standard leaves to each parser; each with our verdict and its reason

bad("8.1", "a byte order mark before the text may be ignored or refused: refused, since it would be passed on to readers who must not get one", b"\xef\xbb\xbf1", b"\xef\xbb\xbf{}", b"\xef\xbb\xbf", b"1\xef\xbb\xbf")
good("4", "names that stand twice are to be avoided, not forbidden: passed on, the gateway reads no payload", '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":{},"a":{}}', '{"":1,"":2}')
good("8.2", "halves of surrogate pairs by escapes fit the grammar: passed on, as bytes they are plain ASCII", '"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\udc00\\ud800"', '"\\ud83d"', '"\\ud83dx"', '"\\ude00\\ud83d"', '{"\\ud800":1}', '"\\uDBFF\\u0041"', '"\\uffff\\ufffe"')
good("6", "numbers beyond any double fit the grammar: passed on, readers choose their type", "1e400", "-1e400", "1e-400", "1e999999999999", "123456789012345678901234567890", "-9223372036854775809", "18446744073709551616", "0." + "0" * 400 + "1", "1" + "0" * 400, "3.141592653589793238462643383279", "1e-999999999", "0e999999999999999999")
good("8.1", "characters that are not assigned, or never will be, are UTF-8 all the same: passed on", '"\ufffe"', '"\uffff"', '"\U0001ffff"', '"\ufdd0"', '"\ue000"', '"\U000f0000"', '"\u0378"')
good("2", "a value that is no object and no array is a text since RFC 7159: taken", "1", '"a"', "null", "true", " \"a\" ")
good("7", "NUL by an escape is a character: passed on", '"\\u0000"', '["a\\u0000b"]')
good("7", "DEL and C1 controls need no escape: passed on", '"\x7f"', '"\u0080\u009f"', '"\u0085"')

# ---- PROTOCOL.md: 64 KiB of payload, without the white space around it

good("9", "65536 bytes are as many as may be", '"' + "x" * 65534 + '"', "[" + " " * 65534 + "]", " " * 10 + '"' + "x" * 65534 + '"' + "\r\n" * 5)

make_tests("Rfc8259Test", "RFC 8259", cases, flags=("--shards", "2", "--limits.requests-per-second", "100000"))

if __name__ == "__main__":
    unittest.main()
