"""Frames (RFC 6455, 5 to 8) against /v1/echo: what is legal comes back as it went, what is not is closed with its code."""
import time
import unittest

from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, TooLate, close_payload, deadline_in, frame
from gateway import GatewayTest

MESSAGE_MAX = 2 << 20
LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 124, 125, 126, 127, 128, 129, 255, 256, 1000, 4095, 4096, 4097, 16383, 16384, 65534, 65535, 65536, 65537, 131072, 1 << 20]


def binary_of(count):
    return (bytes(range(251)) * (count // 251 + 1))[:count]


class EchoTest(GatewayTest):
    flags = ("--echo", "--limits.echo-message", str(MESSAGE_MAX))

    def echo(self, **how):
        return self.ws("/v1/echo", **how)

    def test_every_length_comes_back_as_it_went(self):
        ws = self.echo()
        for length in LENGTHS:
            with self.subTest(length=length):
                text = b"abcdefghijklmnopqrstuvwxyz"[:length] if length < 26 else (b"text %d " % length * length)[:length]
                self.assertEqual(ws.send_frame(TEXT, text).read_message(), (TEXT, text))
                self.assertEqual(ws.send_frame(BINARY, binary_of(length)).read_message(), (BINARY, binary_of(length)))
        ws.hang_up()

    def test_every_mask_is_taken_off(self):
        ws = self.echo()
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00", b"\x00\x00\x00\x01", b"\x80\x40\x20\x10"):
            for length in (0, 1, 3, 4, 5, 31, 32, 33, 70, 1000):
                with self.subTest(mask=mask, length=length):
                    self.assertEqual(ws.send_frame(BINARY, binary_of(length), mask=mask).read_message(), (BINARY, binary_of(length)))

    def test_a_message_at_its_limit_is_echoed(self):
        ws = self.echo()
        self.assertEqual(ws.send_frame(BINARY, binary_of(MESSAGE_MAX)).read_message(), (BINARY, binary_of(MESSAGE_MAX)))

    def test_many_messages_sent_at_once_come_back_in_their_order(self):
        ws = self.echo()
        ws.send(b"".join(frame(TEXT, b"%d" % n) for n in range(1000)))
        self.assertEqual([ws.read_message() for _ in range(1000)], [(TEXT, b"%d" % n) for n in range(1000)])

    def test_fragments_become_one_message(self):
        ws = self.echo()
        for kind, parts, why in [
            (TEXT, [b"a", b"b"], "two"), (TEXT, [b"", b"", b""], "three empty ones"), (BINARY, [b"", b"x", b""], "empty ones around"), (TEXT, [b"x"] * 300, "300 of a byte"), (BINARY, [binary_of(70000), binary_of(1), binary_of(130)], "of unlike lengths"),
            (BINARY, [binary_of(1 << 19)] * 4, "up to the limit"),
        ]:
            with self.subTest(why):
                for at, part in enumerate(parts):
                    ws.send_frame(CONTINUATION if at else kind, part, fin=at == len(parts) - 1)
                self.assertEqual(ws.read_message(), (kind, b"".join(parts)))

    def test_a_session_takes_a_message_of_empty_fragments_as_none(self):
        ws = self.ws()
        for parts in (1, 2, 3):
            for at in range(parts):
                ws.send_frame(CONTINUATION if at else TEXT, b"", fin=at == parts - 1)
        self.assertEqual(ws.ask("ping")["op"], "pong")

    def test_control_frames_may_stand_between_fragments(self):
        ws = self.echo()
        ws.send_frame(TEXT, b"one ", fin=False)
        ws.send_frame(PING, b"between")
        ws.expect_pong(b"between")
        ws.send_frame(PONG, b"unasked for").send_frame(CONTINUATION, b"two ", fin=False)
        ws.send_frame(PING, b"")
        ws.expect_pong(b"")
        ws.send_frame(CONTINUATION, b"three")
        self.assertEqual(ws.read_message(), (TEXT, b"one two three"))

    def test_a_close_may_stand_between_fragments(self):
        ws = self.echo()
        ws.send_frame(TEXT, b"never finished", fin=False)
        ws.hang_up()

    def test_a_pong_carries_the_payload_of_its_ping(self):
        ws = self.echo()
        for payload in (b"", b"x", binary_of(124), binary_of(125)):
            with self.subTest(len(payload)):
                ws.send_frame(PING, payload)
                ws.expect_pong(payload)

    def test_of_many_pings_at_least_the_newest_is_answered(self):
        ws = self.echo()
        ws.send(b"".join(frame(PING, b"%d" % n) for n in range(1000)) + frame(TEXT, b"after"))
        self.assertEqual(ws.read_message(), (TEXT, b"after"))
        while b"999" not in ws.pongs:
            fin, opcode, payload = ws.read_frame()
            self.assertEqual(opcode, PONG)
            ws.pongs.append(payload)
        self.assertEqual([int(p) for p in ws.pongs], sorted({int(p) for p in ws.pongs}), "in order, none twice")

    def test_an_unsolicited_pong_is_taken_in_silence(self):
        ws = self.echo()
        ws.send_frame(PONG, b"hello").send_frame(PONG).send_frame(TEXT, b"x")
        self.assertEqual(ws.read_message(), (TEXT, b"x"))

    def test_bytes_may_come_in_any_pieces(self):
        stream = frame(TEXT, "é😀".encode()) + frame(BINARY, binary_of(130)) + frame(PING, b"p") + frame(TEXT, b"fragm", fin=False) + frame(CONTINUATION, b"ents") + frame(BINARY, binary_of(66000))
        for size in (1, 2, 3, 5, 7, 11, 1000):
            part = stream if size > 5 else stream[:220]  # byte by byte, the short ones are enough
            with self.subTest(size=size):
                ws = self.echo()
                ws.send_in_pieces(part, size)
                self.assertEqual(ws.read_message(), (TEXT, "é😀".encode()))
                self.assertEqual(ws.read_message(), (BINARY, binary_of(130)))
                self.assertEqual(ws.read_message(), (TEXT, b"fragments"))
                ws.expect_pong(b"p")
                if size > 5:
                    self.assertEqual(ws.read_message(), (BINARY, binary_of(66000)))

    def test_faults_of_framing_are_closed_1002(self):
        for bad, why in [
            (frame(TEXT, b"x", mask=None), "unmasked text"), (frame(BINARY, b"", mask=None), "unmasked and empty"), (frame(PING, b"x", mask=None), "an unmasked ping"), (frame(CLOSE, b"\x03\xe8", mask=None), "an unmasked close"),
            *[(frame(TEXT, b"x", rsv=rsv), f"reserved bits {rsv:03b}") for rsv in range(1, 8)], (frame(PING, b"x", rsv=4), "a reserved bit in a ping"), (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", rsv=4), "a reserved bit in a continuation"),
            *[(frame(opcode, b"x"), f"opcode {opcode}") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)], (frame(11), "opcode 11, empty"),
            (frame(PING, b"x", fin=False), "a fragmented ping"), (frame(PONG, b"x", fin=False), "a fragmented pong"), (frame(CLOSE, b"\x03\xe8", fin=False), "a fragmented close"),
            (frame(PING, binary_of(126)), "a ping of 126 bytes"), (frame(PONG, binary_of(126)), "a pong of 126 bytes"), (frame(CLOSE, close_payload(1000, b"x" * 124)), "a close of 126 bytes"), (frame(PING, binary_of(65536)), "a ping of 64 KiB"), (frame(PING, b"x", length_form=16), "a ping with a long length"),
            (frame(TEXT, b"x", length_form=16), "1 byte in 16 bits"), (frame(TEXT, binary_of(125), length_form=16), "125 bytes in 16 bits"), (frame(TEXT, b"", length_form=64), "no byte in 64 bits"), (frame(BINARY, binary_of(65535), length_form=64), "65535 bytes in 64 bits"),
            (frame(BINARY, b"x", length=1 << 63), "a length with its highest bit"), (frame(BINARY, b"x", length=(1 << 64) - 1), "a length of all bits"),
            (frame(CONTINUATION, b"x"), "a continuation of nothing"), (frame(CONTINUATION, b"x", fin=False), "an unfinished continuation of nothing"),
            (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), "a text within a text"), (frame(BINARY, b"x", fin=False) + frame(BINARY, b"y", fin=False), "a fragmented binary within a binary"), (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), "a binary within a text"),
            (frame(CLOSE, b"x"), "a close of 1 byte"), *[(frame(CLOSE, close_payload(code)), f"close code {code}") for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
        ]:
            with self.subTest(why):
                ws = self.echo()
                ws.send_as_far_as_taken(bad)
                self.assertEqual(ws.expect_close(1002), [])
        self.assertServing()

    def test_faults_of_framing_are_found_byte_by_byte_too(self):
        for bad in (frame(TEXT, b"x", mask=None), frame(3, b"x"), frame(BINARY, b"", length_form=64), frame(PING, binary_of(126)), frame(BINARY, b"", length=1 << 63)):
            with self.subTest(bad[:10]):
                ws = self.echo()
                for byte in bad:
                    ws.send_as_far_as_taken(bytes([byte]))
                ws.expect_close(1002)

    def test_what_follows_a_fault_is_not_served(self):
        for bad in (frame(3), frame(CONTINUATION, b"of what was finished")):
            with self.subTest(bad):
                ws = self.echo()
                ws.send_as_far_as_taken(frame(TEXT, b"good") + bad + frame(TEXT, b"not any more"))
                self.assertEqual(ws.expect_close(1002), [b"good"])

    def test_text_that_is_no_utf8_is_closed_1007(self):
        for bad, why in [
            (b"\xff", "0xff"), (b"\x80", "a lone continuation"), (b"\xc0\x80", "NUL overlong"), (b"\xc1\xbf", "DEL overlong"), (b"\xe0\x80\xaf", "a slash in three"), (b"\xf0\x80\x80\xaf", "a slash in four"), (b"\xe0\x9f\xbf", "U+07FF in three"), (b"\xf0\x8f\xbf\xbf", "U+FFFF in four"),
            (b"\xed\xa0\x80", "the first surrogate"), (b"\xed\xbf\xbf", "the last surrogate"), (b"\xf4\x90\x80\x80", "U+110000"), (b"\xf5\x80\x80\x80", "0xf5"), (b"\xf8\x88\x80\x80\x80", "five bytes"), (b"\xc3", "cut after one of two"), (b"\xe2\x82", "cut after two of three"), (b"\xf0\x9f\x98", "cut after three of four"),
            (b"\xc3(", "two without the second"), (b"\xe2\x82(", "three without the third"), (b"\xf0\x9f\x98(", "four without the fourth"), (b"x" * 31 + b"\xff", "at byte 31"), (b"x" * 32 + b"\xff", "at byte 32"), (b"x" * 63 + b"\xc3", "cut at byte 63"), (b"x" * 65000 + b"\xff", "late in a long text"),
        ]:
            with self.subTest(why):
                ws = self.echo()
                ws.send_as_far_as_taken(frame(TEXT, bad))
                self.assertEqual(ws.expect_close(1007), [])
                ws = self.echo()  # in fragments of a byte: the fault may lie across them
                tail = bad[-5:]
                ws.send_as_far_as_taken(b"".join(frame(CONTINUATION if at else TEXT, tail[at:at + 1], fin=at == len(tail) - 1) for at in range(len(tail))))
                self.assertEqual(ws.expect_close(1007), [])
        self.assertServing()

    def test_text_fails_fast_in_its_first_fragments(self):
        for fragments, why in [([b"good \xff"], "in the first"), ([b"good", b" \xc0"], "in the second"), ([b"\xce", b"x"], "between the two"), ([b"\xf4", b"\x90"], "beyond U+10FFFF between the two"), ([b"\xed", b"\xa0"], "a surrogate between the two")]:
            with self.subTest(why):
                ws = self.echo()
                for at, part in enumerate(fragments):
                    ws.send_frame(CONTINUATION if at else TEXT, part, fin=False)
                ws.expect_close(1007)  # although the message is not finished

    def test_a_character_may_lie_across_fragments_and_packets(self):
        text = "κόσμε é 日本 😀 \U0010ffff \ud7ff \ue000".encode()
        ws = self.echo()
        for cut in range(len(text) + 1):
            with self.subTest(cut=cut):
                ws.send_frame(TEXT, text[:cut], fin=False)
                ws.send_frame(PING, b"-").send_frame(CONTINUATION, text[cut:])
                self.assertEqual(ws.read_message(), (TEXT, text))
        ws.send(b"".join(frame(CONTINUATION if at else TEXT, text[at:at + 1], fin=at == len(text) - 1) for at in range(len(text))))
        self.assertEqual(ws.read_message(), (TEXT, text))

    def test_binary_need_not_be_utf8(self):
        ws = self.echo()
        ws.send_frame(BINARY, b"\xff\xfe", fin=False).send_frame(CONTINUATION, b"\xc0")
        self.assertEqual(ws.read_message(), (BINARY, b"\xff\xfe\xc0"))

    def test_a_message_over_its_limit_is_closed_1009(self):
        half = binary_of(MESSAGE_MAX // 2)
        for bad, why in [
            (frame(BINARY, b"", length=MESSAGE_MAX + 1), "by the header alone"), (frame(TEXT, b"", length=1 << 40), "by a header of a TiB"), (frame(BINARY, b"", length=(1 << 63) - 1), "by the largest legal header"),
            (frame(BINARY, half, fin=False) + frame(CONTINUATION, half, fin=False) + frame(CONTINUATION, b"x"), "by a byte in the last fragment"), (frame(BINARY, half, fin=False) + frame(CONTINUATION, b"", length=MESSAGE_MAX // 2 + 1), "by the header of a fragment"),
            (frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"", length=(1 << 63) - 1), "by a sum that nearly overflows"),
        ]:
            with self.subTest(why):
                ws = self.echo()
                ws.send_as_far_as_taken(bad)
                self.assertEqual(ws.expect_close(1009), [])
        self.assertServing()

    def test_a_close_is_answered_with_its_code(self):
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
            for reason in (b"", b"bye", "é".encode() * 61):
                with self.subTest(code=code, reason=len(reason)):
                    ws = self.echo()
                    ws.send_frame(CLOSE, close_payload(code, reason))
                    self.assertEqual(ws.expect_close(code, reason=False), [])

    def test_a_close_without_a_code_is_answered(self):
        ws = self.echo()
        ws.send_frame(CLOSE)
        ws.expect_close(None, 1000, reason=False)

    def test_a_close_whose_reason_is_no_utf8_is_a_fault(self):
        ws = self.echo()
        ws.send_frame(CLOSE, close_payload(1000, b"\xff"))
        ws.expect_close(1007, 1002, reason=False)

    def test_what_was_sent_before_a_close_is_echoed_and_nothing_after_it(self):
        ws = self.echo()
        ws.send_as_far_as_taken(frame(TEXT, b"before") + frame(CLOSE, close_payload(1000)) + frame(TEXT, b"after") + frame(PING, b"after"))
        self.assertEqual(ws.expect_close(1000, reason=False), [b"before"])
        self.assertEqual(ws.pongs, [])

    def test_a_half_closed_connection_ends_and_disturbs_nobody(self):
        for last in (b"", frame(TEXT, b"last"), frame(TEXT, b"half a frame")[:9], frame(TEXT, b"half a message", fin=False)):
            with self.subTest(last):
                ws = self.echo()
                ws.send(last).half_close()
                ws.read_to_end()
        self.assertServing()

    def test_a_reset_connection_disturbs_nobody(self):
        for last in (b"", frame(TEXT, b"last"), frame(BINARY, binary_of(1 << 20)), frame(BINARY, binary_of(1 << 20))[:70000], frame(PING, b"x") * 1000, frame(CLOSE, close_payload(1000))):
            with self.subTest(len(last)):
                for _ in range(5):
                    ws = self.echo()
                    ws.send(last)
                    ws.reset()
        self.assertServing()


class ClosingTest(GatewayTest):
    flags = ("--echo", "--deadline.close-ms", "300")

    def test_a_client_that_does_not_answer_a_close_is_let_go_at_the_deadline(self):
        ws = self.ws("/v1/ws")
        ws.send_frame(BINARY, b"x")
        with self.assertRaises(Closed) as closed:
            while True:
                ws.read()
        self.assertEqual(closed.exception.code, 1003)
        ws.expect_end()

    def test_a_client_that_goes_on_talking_after_a_close_is_let_go_too(self):
        ws = self.ws("/v1/ws")
        ws.send_frame(BINARY, b"x")
        with self.assertRaises(Closed):
            while True:
                ws.read()
        deadline = deadline_in()
        while not ws.ended and time.monotonic() < deadline:
            ws.send_as_far_as_taken(frame(TEXT, b'{"op":"ping","id":1}'))
            try:
                ws.fill(deadline_in(0.02))
            except TooLate:
                pass  # still open: talk on
        self.assertTrue(ws.ended, "talking on does not keep it open")
        self.assertEqual(bytes(ws.buffer), b"", "after its close the gateway says nothing")


if __name__ == "__main__":
    unittest.main()
