"""RFC 9112 and what of RFC 9110 a server owes: lines, targets, framing of bodies, connections; all that request smuggling lives from."""
import unittest

from client import deadline_in
from gateway import KEY
from http_steps import HOST, KEYED, NEXT, answers, case, chunked, ends, get, lives, post, says_close
from suite import make_tests, numbers

cases = []


def add(*arguments):
    cases.extend(case(*arguments))


def refused(section, why, request, status=400):
    """Refused, and nothing behind it is served: whoever reads it differently gets no second request through."""
    add(section, why, request, answers(status), says_close)


def served(section, why, request, status=200):
    add(section, why, request, answers(status), lives)


def topic():
    return f"/v1/topics/t{next(numbers)}"


# ---- 2.2 line ends

refused("2.2", "a bare LF ends no request line", b"GET /healthz HTTP/1.1\nHost: x\n\n")
refused("2.2", "a bare LF ends no header line", b"GET /healthz HTTP/1.1\r\nHost: x\nA: b\r\n\r\n")
refused("2.2", "a bare LF is no empty line", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n")
refused("2.2", "a bare CR ends no request line", b"GET /healthz HTTP/1.1\rHost: x\r\r")
refused("2.2", "a bare CR in a header line is a fault", b"GET /healthz HTTP/1.1\r\nHost: x\rA: b\r\n\r\n")
refused("2.2", "CR CR LF is a fault", b"GET /healthz HTTP/1.1\r\nHost: x\r\r\n\r\n")
refused("2.2", "LF CR is a fault", b"GET /healthz HTTP/1.1\n\rHost: x\n\r\n\r")
served("2.2", "one empty line before a request is skipped", b"\r\n" + get())
add("2.2", "an empty line between requests is skipped", get(), answers(200), b"\r\n" + get(), answers(200), lives)
add("2.2", "an empty line behind a body, as old clients send it, is skipped", post(topic(), b"1") + b"\r\n" + get(), answers(200), answers(200), lives)
refused("2.2", "white space before the first header could hide it", b"GET /healthz HTTP/1.1\r\n Host: x\r\nA: b\r\n\r\n")
refused("2.2", "a tabulator before the first header could hide it", b"GET /healthz HTTP/1.1\r\n\tHost: x\r\nA: b\r\n\r\n")
for at, name in ((b"\x00", "NUL"), (b"\x01", "0x01"), (b"\x0b", "a vertical tabulator"), (b"\x0c", "a form feed"), (b"\x1f", "0x1f"), (b"\x7f", "DEL"), (b"\x08", "a backspace")):
    refused("3", f"{name} in the method", b"GE" + at + b"T /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    refused("3", f"{name} in the target", b"GET /health" + at + b"z HTTP/1.1\r\nHost: x\r\n\r\n")
    refused("3", f"{name} instead of the space", b"GET" + at + b"/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    refused("5", f"{name} in a header's name", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA" + at + b"B: c\r\n\r\n")
    refused("RFC 9110, 5.5", f"{name} in a header's value", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b" + at + b"c\r\n\r\n")
    refused("RFC 9110, 5.5", f"{name} at the end of a value", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b" + at + b"\r\n\r\n")

# ---- 2.3 version

for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"):
    refused("2.3", f"{version} is not spoken here", get(version=version), 505)
refused("2.3", "the preface of HTTP/2 is told so", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505))
for version in ("HTTP/1.2", "HTTP/1.9"):
    served("RFC 9110, 2.5", f"{version} is served as the highest of its major version that is spoken", get(version=version))
for version, name in (("http/1.1", "small letters"), ("HTTP/1.11", "two digits"), ("HTTP/01.1", "a leading zero"), ("HTTP/1", "no minor"), ("HTTP/1.", "an empty minor"), ("HTTP/.1", "an empty major"), ("HTTP 1.1", "no slash"), ("HTTP/1,1", "a comma"), ("HTTP/1.x", "a letter"), ("HTTPS/1.1", "another name"), ("ICY/1.1", "another protocol"), ("HTTP/+1.1", "a sign"), ("", "none"), ("HTTP/-1.1", "a minus")):
    refused("2.3", f"a version in another form ({name}) is none", get(version=version))
add("2.3", "HTTP/1.0 is answered and closed", get(version="HTTP/1.0"), answers(200), says_close)
add("2.3", "HTTP/1.0 without Host is answered and closed", get(version="HTTP/1.0", host=b""), answers(200), says_close)

# ---- 3 request line

for line, name in ((b"GET  /healthz HTTP/1.1", "two spaces before the target"), (b"GET /healthz  HTTP/1.1", "two before the version"), (b"GET\t/healthz HTTP/1.1", "a tabulator before the target"), (b"GET /healthz\tHTTP/1.1", "a tabulator before the version"), (b" GET /healthz HTTP/1.1", "a space before the method"), (b"GET /healthz HTTP/1.1 ", "a space behind the version"),
                   (b"GET /healthz HTTP/1.1 x", "a word too many"), (b"GET /heal thz HTTP/1.1", "a space in the target"), (b"GET /healthz", "no version"), (b"GET", "a method alone"), (b"/healthz HTTP/1.1", "no method"), (b"GET /healthz HTTP/1.1HTTP/1.1", "two versions")):
    refused("3", f"a request line with {name}", line + b"\r\nHost: x\r\n\r\n")
for method, name in (("G(T", "a parenthesis"), ("G:T", "a colon"), ("GE/T", "a slash"), ("G\xe9T", "a letter beyond ASCII"), ('"GET"', "quotes"), ("G@T", "an at sign")):
    refused("3.1", f"a method with {name} is no token", get(method=method))
for method in ("get", "Get", "PUT", "PATCH", "TRACE", "BREW", "A" * 100, "M-SEARCH", "!#$%&'*+.^_`|~"):
    served("RFC 9110, 9.1", f"{method[:20]} is not known to a path and names those that are", get(method=method), 405)
for path in ("/v1/topics", "/v1/last", "/v1/stream", "/v1/topics/x/history", "/healthz", "/", "/v1/ws"):
    served("RFC 9110, 15.5.6", f"POST to {path} is 405 with Allow", post(path, b"{}"), 405)
    served("RFC 9110, 15.5.6", f"PUT to {path} is 405 with Allow", get(path, method="PUT"), 405)
served("RFC 9110, 15.5.6", "GET of /v1/publish is 405 with Allow", get("/v1/publish"), 405)

# ---- 3.2 targets

for target, name in (("http://localhost/healthz", "absolute form"), ("HTTP://LOCALHOST/healthz", "absolute form in capitals"), ("https://localhost/healthz", "https"), ("ws://localhost/healthz", "ws"), ("http://localhost:80/healthz", "a port"), ("http://localhost/healthz?a=b", "a query"), ("http://[::1]/healthz", "an IPv6 address"),
                     ("http://127.0.0.1/healthz", "an IPv4 address"), ("/healthz?", "an empty query"), ("/healthz?a=b&c=d", "a query"), ("/healthz?a=/?/", "slashes and marks in the query"), ("http://localhost:/healthz", "an empty port")):
    served("3.2", f"the target {target} ({name}) is served", get(target))
served("3.2.2", "the absolute form's authority counts, whatever Host says", get("http://a.example/healthz", host=b"Host: b.example\r\n"))
served("3.2.2", "an absolute form without a path is the root", get("http://localhost"))
served("3.2.2", "an absolute form with a query alone is the root", get("http://localhost?x=1"))
for target, name in (("healthz", "no slash"), ("*", "an asterisk with GET"), ("localhost:80", "an authority with GET"), ("http:/healthz", "one slash"), ("http:///healthz", "no host"), ("http://", "nothing but a scheme"), ("http://user@localhost/healthz", "a user"), ("http://user:pass@localhost/healthz", "a user and a password"), ("ftp://localhost/healthz", "another scheme"),
                     ("/healthz#x", "a fragment"), ("http://local host/healthz", "a space"), ("http://localhost:x/healthz", "a port of letters"), ("http://localhost:99999/healthz", "a port too high"), ("http://[::1/healthz", "an open bracket"), ("http://[]/healthz", "empty brackets"), ("/health\xe9z", "a byte beyond ASCII"), ("", "nothing")):
    refused("3.2", f"the target {target!r} ({name}) is none", get(target))
served("3.2.1", "a path that begins with two slashes is a path, and not ours", get("//localhost/healthz"), 404)
add("3.2.4", "OPTIONS * is about the server, and names all methods that it knows", get("*", method="OPTIONS"), answers(204, header=("Allow", "GET, HEAD, POST, DELETE, OPTIONS")), lives)
refused("3.2.3", "CONNECT with an authority is not for an origin server", get("localhost:443", method="CONNECT"), (400, 405, 501))
for target in ("/healthz/", "/HEALTHZ", "/healthz/x", "/./healthz", "/v1/../healthz", "/healthz%00", "/healthz;x=1", "/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1", "/v1/", "/v2/topics", "/favicon.ico"):
    served("RFC 9110, 4.2.3", f"{target} is not there", get(target), 404)
for target in ("/v1/topics/%", "/v1/topics/%2", "/v1/topics/%zz", "/v1/topics/a%0", "/v1/topics/%00", "/v1/topics/a%20b", "/v1/topics/%c3%28", "/v1/topics/%ff", "/v1/topics/a..b", "/v1/topics/.a", "/v1/topics/a.", "/v1/topics/*", "/v1/topics/a,b"):
    served("RFC 3986, 2.1", f"percent-encoding or name in {target} is bad", get(target), 400)
for name, spelled in (("/a%2Fb", "an encoded slash"), ("/a%2fb", "an encoded slash in small letters"), ("/%41%42", "encoded letters"), ("/a+b", "a plus"), ("/a%2Bb", "an encoded plus"), ("/%C3%A9", "an encoded character beyond ASCII"), ("/a:b@c!$&'()=;~_-", "characters that need no encoding")):
    served("RFC 3986, 2.1", f"{spelled} in a path is decoded once", get("/v1/topics" + name), 404)
for query in ("?limit=%", "?limit=%zz", "?limit=%3", "?limit=1&limit=1", "?limit=0", "?limit=-1", "?limit=1001", "?limit=1e2", "?limit=", "?limit=0x10", "?limit=1.0", "?limit=%201", "?limit=99999999999999999999999"):
    served("RFC 3986, 2.1", f"{query} is a bad query", get("/v1/topics" + query), 400)
for query in ("?limit=1", "?limit=1000", "?limit=%31", "?l%69mit=5", "?&&limit=1&&", "?x", "?=1", "?=", "?x=%", "?%=1", "?unknown=1&unknown=2", "?limit=0010"):
    served("RFC 3986, 2.1", f"{query} is a good query", get("/v1/topics" + query), (200,) if query != "?limit=0010" else (200, 400))

# ---- 3.2 Host

refused("3.2", "HTTP/1.1 without Host", b"GET /healthz HTTP/1.1\r\n\r\n")
refused("3.2", "HTTP/1.1 with other headers but without Host", b"GET /healthz HTTP/1.1\r\nA: b\r\n\r\n")
refused("3.2", "two equal Hosts", get(host=HOST + HOST))
refused("3.2", "two different Hosts", get(host=HOST + b"Host: evil\r\n"))
refused("3.2", "Host twice in different letters", get(host=HOST + b"hOST: localhost\r\n"))
refused("3.2", "absolute form without Host", get("http://localhost/healthz", host=b""))
for host, name in ((b"a, b", "a list"), (b"a b", "a space"), (b"a/b", "a slash"), (b"user@a", "a user"), (b"a:b", "a port of letters"), (b"a:1:2", "two ports"), (b"a:65536", "a port too high"), (b"[::1", "an open bracket"), (b"a?b", "a question mark"), (b"a#b", "a hash"), (b"", "nothing"), (b":80", "a port alone"), (b"a:-1", "a negative port"), (b"http://a", "an address"), (b"a\\b", "a backslash"), (b"a%zz", "a broken encoding"), (b"a\xe9", "a byte beyond ASCII")):
    refused("3.2", f"Host with {name} is none", get(host=b"Host: " + host + b"\r\n"))
for host, name in ((b"a", "a name"), (b"a:80", "a port"), (b"[::1]:8080", "an IPv6 address"), (b"127.0.0.1", "an IPv4 address"), (b"xn--bcher-kva.example", "an encoded name"), (b"a.", "a final dot"), (b"a_b", "an underscore"), (b"a:", "an empty port"), (b"a:00080", "a port with zeros"), (b"A.B", "capitals")):
    served("3.2", f"Host with {name} is one", get(host=b"Host: " + host + b"\r\n"))
served("RFC 9110, 5.6.3", "white space around a value is not part of it", get(host=b"Host: \t localhost \t\r\n"))
served("RFC 9110, 5.6.3", "no white space before a value is needed", get(host=b"Host:localhost\r\n"))

# ---- 5 headers

for line, name in ((b"A : b", "a space before the colon"), (b"A\t: b", "a tabulator before the colon"), (b"A B: c", "a space in the name"), (b": b", "no name"), (b"A", "no colon"), (b"A(: b", "a parenthesis in the name"), (b"A@: b", "an at sign in the name"), (b"\xc3\xa9: b", "a name beyond ASCII"), (b"A;: b", "a semicolon in the name"), (b"\"A\": b", "quotes around the name"), (b"A/B: c", "a slash in the name"), (b"[A]: b", "brackets in the name"), (b"A{}: b", "braces in the name"),
                   (b"Host : b", "a space before Host's colon"), (b"Content-Length : 0", "a space before Content-Length's colon"), (b"Transfer-Encoding : chunked", "a space before Transfer-Encoding's colon"), (b"Transfer-Encoding\t: chunked", "a tabulator before Transfer-Encoding's colon")):
    refused("5.1", f"a header line with {name}", get(headers=line + b"\r\n"))
refused("5.2", "a line folded by a space", get(headers=b"A: b\r\n c\r\n"))
refused("5.2", "a line folded by a tabulator", get(headers=b"A: b\r\n\tc\r\n"))
refused("5.2", "a folded Transfer-Encoding", post(topic(), b"0\r\n\r\n", b"Transfer-Encoding:\r\n chunked\r\n", length=False), (400, 501))
refused("5.2", "a folded Content-Length", post(topic(), b"1", b"Content-Length:\r\n 1\r\n", length=False))
refused("5.2", "a line of white space alone", get(headers=b"A: b\r\n \r\n"))
for line, name in ((b"A:", "an empty value"), (b"A: b\tc", "a tabulator in the value"), (b"A: \xe9\xff", "bytes beyond ASCII in the value"), (b"A: b:c:d", "colons in the value"), (b"!#$%&'*+-.^_`|~09: b", "every character that a name may have"), (b"A: " + b"x" * 8000, "a long value"), (b"a: b\r\nA: c", "the same unknown name twice"), (b"A:b \t ", "white space behind the value")):
    served("5", f"a header line with {name} is one", get(headers=line + b"\r\n"))
served("RFC 9110, 5.4", "99 headers beside Host are served", get(headers=b"".join(b"H%d: x\r\n" % n for n in range(99))))
refused("RFC 9110, 5.4", "more than 100 headers are too many", get(headers=b"".join(b"H%d: x\r\n" % n for n in range(101))), 431)
refused("RFC 9110, 5.4", "headers of more than 16 KiB are too many", get(headers=b"A: " + b"x" * 17000 + b"\r\n"), 431)
refused("RFC 9110, 5.4", "a megabyte of headers is answered to who sends it before reading", get(headers=b"".join(b"H%d: %s\r\n" % (n, b"x" * 1000) for n in range(1000))), 431)
refused("RFC 9110, 5.4", "a header name without end is too long", b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A" * 20000, 431)
refused("3", "a target of more than 16 KiB is too long", get("/" + "x" * 17000), 414)
refused("3", "a target of a megabyte is answered to who sends it before reading", get("/" + "x" * 1000000), 414)
refused("3", "a method without end is too long", b"G" * 20000, (400, 414))
served("3", "a target of 8000 bytes is read", get("/" + "x" * 8000), 404)
add("3", "8000 bytes of query are read", get("/healthz?x=" + "y" * 8000), answers(200), lives)

# ---- 6 framing of bodies: Content-Length

for value, name in ((b"+1", "a plus"), (b"-1", "a minus"), (b"-0", "minus zero"), (b"0x1", "hexadecimal digits"), (b"1x", "a letter behind it"), (b"x1", "a letter before it"), (b"", "nothing"), (b"1 1", "two numbers"), (b"1,1", "a list of equal ones"), (b"1, 1", "a list of equal ones with a space"), (b"1, 2", "a list of different ones"), (b"1;", "a semicolon"), (b"1.0", "a fraction"), (b"1e0", "an exponent"),
                    (b"\xb2", "a superscript"), (b"'1'", "quotes"), (b"\"1\"", "double quotes"), (b"1_0", "an underscore"), (b"99999999999999999999999", "more than 64 bits"), (b"18446744073709551617", "2^64 and 1"), (b"9223372036854775808", "2^63"), (b"18446744073709551615", "2^64-1"), (b"one", "a word"), (b"0b1", "binary digits"), (b"NaN", "no number"), (b"1,", "a comma behind it"), (b",1", "a comma before it")):
    refused("6.3", f"a Content-Length with {name} is none", post(topic(), b"1", b"Content-Length: " + value + b"\r\n", length=False), (400, 413) if len(value) > 18 else 400)
for second, name in ((b"Content-Length: 1", "the same"), (b"Content-Length: 2", "another"), (b"content-length: 1", "the same in small letters"), (b"Content-Length: 0", "zero"), (b"Content-Length:", "an empty one")):
    refused("6.3", f"two lines of Content-Length, the second {name}", post(topic(), b"1", second + b"\r\n"))
served("6.2", "a Content-Length with leading zeros is a number", post(topic(), b"1", b"Content-Length: 0001\r\n", length=False))
served("6.2", "white space around a Content-Length is not part of it", post(topic(), b"1", b"Content-Length: \t1 \r\n", length=False))
add("6.2", "a body of as many bytes as said is the whole body", post(topic(), b"12", b"Content-Length: 2\r\n", length=False) + NEXT, answers(200), answers(200, b"ready\n"), lives)
add("6.2", "bytes behind the body are the next request, and bad as that", post(topic(), b"1{}", b"Content-Length: 1\r\n", length=False), answers(200), answers(400), says_close)
served("6.3", "Content-Length: 0 with GET is no body", get(headers=b"Content-Length: 0\r\n"))
add("6.3", "a body of a GET is not the next request", get(headers=b"Content-Length: %d\r\n" % len(NEXT)) + NEXT, answers(200), lives)
add("6.3", "a chunked body of a GET is no next request", get(headers=b"Transfer-Encoding: chunked\r\n") + b"%x\r\n" % len(NEXT) + NEXT + b"\r\n0\r\n\r\n", answers(200), says_close)
add("6.3", "a body of OPTIONS is not the next request", get(method="OPTIONS", headers=b"Content-Length: %d\r\n" % len(NEXT)) + NEXT, answers(204), lives)
add("6.3", "a body of DELETE is not the next request", get("/v1/topics/never", method="DELETE", headers=KEYED + b"Content-Length: %d\r\n" % len(NEXT)) + NEXT, answers(404), lambda http: http.said_close or lives(http))
add("6.3", "a body where nothing is there is not the next request", post("/nowhere", NEXT), answers(404), lives)
add("6.3", "a body of a refused publish is not the next request", get("/v1/topics/x", method="POST", headers=b"Content-Length: %d\r\n" % len(NEXT)) + NEXT, answers(401), lives)
add("RFC 9110, 15.5.12", "a POST must say how long it is", post(topic(), b"", length=False), answers(411), lives)
add("RFC 9110, 15.5.14", "a payload that says it is too large is refused at once", post(topic(), b"", b"Content-Length: 10000000\r\n", length=False), answers(413), says_close)
add("RFC 9110, 15.5.14", "a payload of gigabytes is refused at once", post(topic(), b"", b"Content-Length: 4294967297\r\n", length=False), answers(413), says_close)
add("RFC 9110, 15.5.14", "the error is readable by who sends a large body before reading", post(topic(), b"1" * 3000000), answers(413), says_close)

# ---- 6.1 Transfer-Encoding

BODY = b"1\r\n1\r\n0\r\n\r\n"
for line, name in ((b"Transfer-Encoding: gzip, chunked", "another coding first"), (b"Transfer-Encoding: chunked, gzip", "chunked not last"), (b"Transfer-Encoding: chunked, chunked", "chunked twice"), (b"Transfer-Encoding: xchunked", "an unknown coding"), (b"Transfer-Encoding: chunked;q=1", "a parameter"), (b"Transfer-Encoding: \"chunked\"", "quotes"), (b"Transfer-Encoding: 'chunked'", "single quotes"), (b"Transfer-Encoding: chunke", "a letter less"),
                   (b"Transfer-Encoding: chunkedd", "a letter more"), (b"Transfer-Encoding: identity", "identity"), (b"Transfer-Encoding: chunked, identity", "identity behind"), (b"Transfer-Encoding: identity, chunked", "identity before"), (b"Transfer-Encoding:", "nothing"), (b"Transfer-Encoding: ,chunked", "an empty element before"), (b"Transfer-Encoding: chunked,", "an empty element behind"), (b"Transfer-Encoding: gzip", "gzip"),
                   (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "two lines"), (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "a second line of identity"), (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "a first line of identity"), (b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", "a second, empty line"), (b"Transfer-Encoding: \xa0chunked", "a byte that some take for a space"), (b"Transfer-Encoding: chunked\xa0", "the same behind"), (b"Transfer-Encoding: c hunked", "a space within"), (b"Transfer-Encoding: true", "a word")):
    refused("6.1", f"a Transfer-Encoding with {name} is not understood", post(topic(), BODY, line + b"\r\n", length=False), (400, 501))
for line, name in ((b"Transfer-Encoding: chunked", "before"), (b"Transfer-Encoding: Chunked", "in capitals before"), (b"transfer-encoding:chunked", "in small letters before"), (b"Transfer-Encoding: \tchunked \t", "with white space before")):
    refused("6.1", f"Transfer-Encoding {name} Content-Length is an attack", post(topic(), BODY, line + b"\r\nContent-Length: 1\r\n", length=False))
    refused("6.1", f"Transfer-Encoding after Content-Length ({name}) is an attack", post(topic(), BODY, b"Content-Length: 1\r\n" + line + b"\r\n", length=False))
    refused("6.1", f"Transfer-Encoding {name} Content-Length 0 is an attack", post(topic(), BODY, line + b"\r\nContent-Length: 0\r\n", length=False))
    refused("6.1", f"Transfer-Encoding {name} the right Content-Length is an attack", post(topic(), BODY, line + b"\r\n" + b"Content-Length: %d\r\n" % len(BODY), length=False))
    served("7.1", f"a body by {line.decode()!r} is read", post(topic(), BODY, line + b"\r\n", length=False))
refused("6.1", "Transfer-Encoding in HTTP/1.0 is faulty framing", post(topic(), BODY, b"Transfer-Encoding: chunked\r\n", length=False).replace(b"HTTP/1.1", b"HTTP/1.0"), (400, 501))
refused("6.1", "a Transfer-Encoding on GET that is not understood", get(headers=b"Transfer-Encoding: gzip\r\n"), (400, 501))
for underscored in (b"Content_Length: 5", b"Transfer_Encoding: chunked", b"X-Content-Length: 9", b"Content-Lengthx: 9"):
    served("5.1", f"{underscored.decode()!r} is a header that we do not know", post(topic(), b"1", underscored + b"\r\n"))

# ---- 7.1 chunks

for chunks, name in ((b"1\r\n1\r\n0\r\n\r\n", "one chunk"), (b"1\r\n1\r\n1\r\n2\r\n0\r\n\r\n", "two chunks"), (b"01\r\n1\r\n0\r\n\r\n", "a leading zero"), (b"0000000000000000000001\r\n1\r\n000\r\n\r\n", "many leading zeros"), (b"A\r\n1234567890\r\n0\r\n\r\n", "a size in capitals"), (b"a\r\n1234567890\r\n0\r\n\r\n", "a size in small letters"), (b"1;a=b\r\n1\r\n0\r\n\r\n", "an extension"), (b"1;a=\"b;c\"\r\n1\r\n0;x\r\n\r\n", "quoted and bare extensions"),
                     (b"1 ;a\r\n1\r\n0\r\n\r\n", "white space before an extension"), (b"1;\xe9\r\n1\r\n0\r\n\r\n", "bytes beyond ASCII in an extension"), (b"1\r\n1\r\n0\r\nA: b\r\n\r\n", "a trailer"), (b"1\r\n1\r\n0\r\nA: b\r\nB: c\r\n\r\n", "two trailers"), (b"1\r\n1\r\n0\r\nContent-Length: 9\r\n\r\n", "a Content-Length in a trailer"), (b"1\r\n1\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "a Transfer-Encoding in a trailer"), (b"1\r\n1\r\n0\r\nX-API-Key: wrong\r\n\r\n", "a key in a trailer")):
    served("7.1", f"a chunked body with {name} is read", chunked(topic(), chunks))
served("7.1", "a chunked body of single bytes is read", chunked(topic(), b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"a":[1,2,3]}') + b"0\r\n\r\n"))
served("7.1", "an empty chunked body is an empty payload", chunked(topic(), b"0\r\n\r\n"), 400)
for chunks, name in ((b"x\r\n1\r\n0\r\n\r\n", "a letter that is no digit"), (b"-1\r\n1\r\n0\r\n\r\n", "a negative size"), (b"+1\r\n1\r\n0\r\n\r\n", "a plus"), (b"0x1\r\n1\r\n0\r\n\r\n", "a size as in C"), (b" 1\r\n1\r\n0\r\n\r\n", "a space before the size"), (b"1 \r\n1\r\n0\r\n\r\n", "a space behind the size"), (b"1\t\r\n1\r\n0\r\n\r\n", "a tabulator behind the size"), (b"1 1\r\n1\r\n0\r\n\r\n", "a space in the size"), (b"\r\n1\r\n0\r\n\r\n", "no size"),
                     (b"1\n1\n0\n\n", "bare LFs"), (b"1\n1\r\n0\r\n\r\n", "a bare LF behind the size"), (b"1\r1\r\n0\r\n\r\n", "a bare CR behind the size"), (b"1\r\n1\n0\r\n\r\n", "a bare LF behind the data"), (b"1\r\n10\r\n\r\n", "no line end behind the data"), (b"1\r\n12\r\n0\r\n\r\n", "more data than said"), (b"2\r\n1\r\n0\r\n\r\n", "less data than said"), (b"1\r\n1\r\n\r\n", "no last chunk"), (b"1;a\x00b\r\n1\r\n0\r\n\r\n", "NUL in an extension"), (b"1;a\nb\r\n1\r\n0\r\n\r\n", "a bare LF in an extension"), (b"1;a\rb\r\n1\r\n0\r\n\r\n", "a bare CR in an extension"),
                     (b"FFFFFFFFFFFFFFFF\r\n1\r\n0\r\n\r\n", "a size of 2^64-1"), (b"10000000000000001\r\n1\r\n0\r\n\r\n", "a size of 2^64 and 1"), (b"7FFFFFFFFFFFFFFF\r\n1\r\n", "a size of 2^63-1"), (b"8000000000000000\r\n1\r\n", "a size of 2^63"), (b"1\r\n1\r\n0\r\n A: b\r\n\r\n", "a trailer that is folded"), (b"1\r\n1\r\n0\r\nA : b\r\n\r\n", "a space before a trailer's colon"), (b"1\r\n1\r\n0\r\nA\r\n\r\n", "a trailer without a colon"), (b"1\r\n1\r\n0\r\nA: b\nB: c\r\n\r\n", "a bare LF in a trailer"), (b"1\r\n1\r\n0\r\n: b\r\n\r\n", "a trailer without a name"), (b"1\r\n1\r\n0\r\nA: b\x00\r\n\r\n", "NUL in a trailer"),
                     (b"1;" + b"a" * 5000 + b"\r\n1\r\n0\r\n\r\n", "an extension of 5000 bytes"), (b"1\r\n1\r\n0\r\n" + b"A: b\r\n" * 1000 + b"\r\n", "6000 bytes of trailers"), (b"0" * 5000 + b"1\r\n1\r\n0\r\n\r\n", "5000 leading zeros")):
    refused("7.1", f"a chunked body with {name} is malformed", chunked(topic(), chunks), (400, 413))
add("7.1", "chunked data beyond the limit is refused", chunked(topic(), b"".join(b"8000\r\n" + b"1" * 0x8000 + b"\r\n" for _ in range(40)) + b"0\r\n\r\n"), answers(413), says_close)
add("7.1", "a hundred thousand extensions cost nothing", chunked("/v1/publish", b"".join(b"1;x=%d\r\n\n\r\n" % n for n in range(5000)) + b"0\r\n\r\n"), answers(200), lives)
add("7.1", "the next request begins behind the last chunk", chunked(topic(), BODY) + NEXT, answers(200), answers(200, b"ready\n"), lives)
add("7.1", "the next request begins behind the trailers", chunked(topic(), b"1\r\n1\r\n0\r\nA: b\r\n\r\n") + NEXT, answers(200), answers(200, b"ready\n"), lives)

# ---- 9 connections

add("9.3", "three requests one after another are served", get(), answers(200), get(), answers(200), get(), answers(200), lives)
add("9.3.2", "pipelined requests are answered in their order", get("/readyz") + get("/healthz") + get("/nowhere") + get("/readyz"), answers(200, b"ready\n"), answers(200, b"ok\n"), answers(404), answers(200, b"ready\n"), lives)
add("9.3.2", "a hundred pipelined requests are answered", get() * 100, *[answers(200, b"ok\n")] * 100, lives)
for word in (b"close", b"Close", b"keep-alive, close", b"x, close", b"close, upgrade"):
    add("9.6", f"Connection: {word.decode()} is obeyed", get(headers=b"Connection: " + word + b"\r\n") + NEXT, answers(200), says_close)
add("9.6", "Connection: close in a second line is obeyed", get(headers=b"Connection: keep-alive\r\nConnection: close\r\n") + NEXT, answers(200), says_close)
for word in (b"keep-alive", b"Keep-Alive", b"x", b",,", b"closed", b""):
    served("9.3", f"Connection: {word.decode()!r} keeps it open", get(headers=b"Connection: " + word + b"\r\n"))
add("9.3", "HTTP/1.0 with keep-alive is answered and closed", get(version="HTTP/1.0", headers=b"Connection: keep-alive\r\n") + NEXT, answers(200), says_close)
add("9.6", "a client that half-closes behind its request gets the answer", get(), lambda http: http.half_close(), answers(200), lambda http: http.expect_end())
add("9.6", "a client that half-closes behind pipelined requests gets all answers", get() * 20 + get("/v1/topics/none"), lambda http: http.half_close(), *[answers(200)] * 20, answers(404), lambda http: http.expect_end())
add("9.6", "a client that half-closes behind a publish gets its answer", post(topic(), b"1"), lambda http: http.half_close(), answers(200), lambda http: http.expect_end())
add("9.8", "a client that half-closes within a head gets no answer or an error", b"GET /hea", lambda http: http.half_close(), lambda http: http.read_to_end())

# ---- RFC 9110 methods and headers

for path in ("/healthz", "/readyz", "/", "/ringcast.js", "/v1/topics", "/dash"):
    add("RFC 9110, 9.3.2", f"HEAD of {path} has GET's head and no body", get(path, method="HEAD") + NEXT, answers((200, 404, 401), to_head=True), answers(200, b"ready\n"), lives)
add("RFC 9110, 9.3.2", "HEAD of what is not there has no body", get("/nowhere", method="HEAD") + NEXT, answers(404, to_head=True), answers(200, b"ready\n"), lives)
add("RFC 9110, 9.3.2", "HEAD of a path without GET has no body", get("/v1/publish", method="HEAD") + NEXT, answers(405, to_head=True), answers(200, b"ready\n"), lives)
add("RFC 9110, 9.3.2", "HEAD and GET say the same length", lambda http: _same_head(http, "/ringcast.js"))
add("RFC 9110, 9.3.2", "HEAD and GET of JSON say the same length", lambda http: _same_head(http, "/v1/topics?prefix=nobody."))
for path in ("/healthz", "/v1/topics", "/v1/topics/x", "/v1/publish", "/v1/ws", "/v1/stream", "/v1/last", "/"):
    add("RFC 9110, 9.3.7", f"OPTIONS of {path} names its methods", get(path, method="OPTIONS"), lambda http: _allows(http), lives)
for expect in (b"100-continue", b"100-Continue", b"100-CONTINUE"):
    add("RFC 9110, 10.1.1", f"Expect: {expect.decode()} is answered before the body", get(topic(), method="POST", headers=KEYED + b"Content-Length: 1\r\nExpect: " + expect + b"\r\n"), lambda http: _continues(http), b"1", answers(200), lives)
add("RFC 9110, 10.1.1", "Expect with a body at once needs no waiting", post(topic(), b"1", b"Expect: 100-continue\r\n"), answers(200), lives)
add("RFC 9110, 10.1.1", "Expect of HTTP/1.0 is ignored", post(topic(), b"1", b"Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), lambda http: _no_continue(http))
add("RFC 9110, 10.1.1", "Expect with a refused request gets the error instead of 100", get(topic(), method="POST", headers=b"Content-Length: 1\r\nExpect: 100-continue\r\n"), answers(401), ends)
add("RFC 9110, 10.1.1", "Expect with too large a body gets 413 instead of 100", get(topic(), method="POST", headers=KEYED + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n"), answers(413), ends)
add("RFC 9110, 10.1.1", "Expect without a body is not waited for", get(headers=b"Expect: 100-continue\r\n"), answers(200), lives)
add("RFC 9110, 10.1.1", "an unknown Expect is 417 or ignored", get(headers=b"Expect: miracles\r\n"), answers((200, 417)), lives)
add("RFC 9110, 7.8", "an Upgrade that is not ours is ignored", get(headers=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), answers(200), lives)
add("RFC 9110, 7.8", "an Upgrade to websocket elsewhere is ignored", get(headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), answers(200), lives)
for credential, name in ((b"Authorization: Bearer wrong", "a wrong token"), (b"Authorization: Basic dTpw", "another scheme"), (b"Authorization: Bearer", "an empty one"), (b"Authorization: " + KEY.encode(), "a key without a scheme"), (b"X-API-Key: wrong", "a wrong key"), (b"X-API-Key:", "an empty key")):
    add("RFC 9110, 11.6.1", f"{name} is 401 with WWW-Authenticate", get("/v1/topics", headers=credential + b"\r\n"), answers(401), lives)
for scheme in (b"Bearer ", b"bearer ", b"BEARER ", b"Bearer   "):
    served("RFC 9110, 11.4", f"the scheme {scheme.decode()!r} is one whatever its letters", get("/v1/topics", headers=b"Authorization: " + scheme + KEY.encode() + b"\r\n"), 200)
for header in (b"Authorization: Bearer x", b"X-API-Key: x", b"Origin: http://a"):
    refused("RFC 9110, 5.3", f"{header.split(b':')[0].decode()} twice has two meanings", get(headers=header + b"\r\n" + header + b"\r\n"))
for etag, status in ((b"*", 304), (b"\"x\"", 200), (b"W/\"x\", \"y\"", 200), (b"", 200)):
    add("RFC 9110, 13.1.2", f"If-None-Match: {etag.decode()} of a page is {status}", get("/ringcast.js", headers=b"If-None-Match: " + etag + b"\r\n"), answers(status), lives)
add("RFC 9110, 14.2", "a Range is ignored where none is offered", get("/ringcast.js", headers=b"Range: bytes=0-1\r\n"), answers(200), lives)
add("RFC 9110, 12.5", "an Accept that nothing fits is served all the same", get("/v1/topics", headers=b"Accept: image/png;q=0.1\r\n"), answers(200), lives)
add("RFC 9110, 8.6", "Accept-Encoding is ignored without harm", get("/ringcast.js", headers=b"Accept-Encoding: gzip, br\r\n"), answers(200, header=("Content-Encoding", None)), lives)


def _same_head(http, path):
    http.send(get(path))
    whole = http.response()
    http.send(get(path, method="HEAD"))
    head = http.response(to_head=True)
    def without_date(response):
        return [pair for pair in response.headers if pair[0] != "Date"]
    if without_date(whole) != without_date(head):
        raise AssertionError(f"{head.headers} instead of {whole.headers}")


def _allows(http):
    response = http.response()
    if response.status not in (200, 204) or "OPTIONS" not in (response.header("Allow") or ""):
        raise AssertionError(f"{response} {response.headers}")


def _continues(http):
    line = http.take(25, deadline_in())
    if line != b"HTTP/1.1 100 Continue\r\n\r\n":
        raise AssertionError(f"{line!r} instead of 100")


def _no_continue(http):
    if (said := http.read_to_end()).count(b"HTTP/1.1 ") != 1 or b" 200 " not in said.split(b"\r\n")[0]:
        raise AssertionError(f"{said!r}")


make_tests("Rfc9112Test", "RFC 9112", cases, flags=("--shards", "2", "--limits.requests-per-second", "100000"))

if __name__ == "__main__":
    unittest.main()
