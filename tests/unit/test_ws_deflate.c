/* permessage-deflate, negotiated: RFC 7692's own examples, each rule of 5 and 7.1, lists that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/ws_deflate.h"
#include "tests/unit/guard.h"

#define P "permessage-deflate"
#define ANSWER P "; server_no_context_takeover; client_no_context_takeover"
#define ANSWER_15 ANSWER "; server_max_window_bits=15"
#define DECLINED ""
#define BROKEN NULL

struct fact {
    const char *offers, *answer, *name;
};

/* Each offer alone, with what a second line may add. */
static const struct fact facts[] = {
    /* RFC 7692, 5.2, 7.1.3 and the sections of each parameter */
    { P, ANSWER, "the plainest offer" },
    { P "; client_max_window_bits; server_max_window_bits=10", DECLINED, "7.1.3: a window that we would have to keep to" },
    { P "; client_max_window_bits; server_max_window_bits=10, " P "; client_max_window_bits", ANSWER, "7.1.3: the fallback" },
    { P "; server_max_window_bits=15", ANSWER_15, "the window that we have anyway must be answered" },
    { P "; server_max_window_bits=15; client_max_window_bits", ANSWER_15, "both windows" },
    { P "; server_no_context_takeover", ANSWER, "what we do anyway" },
    { P "; client_no_context_takeover", ANSWER, "what we want anyway" },
    { P "; client_no_context_takeover; server_no_context_takeover", ANSWER, "both" },
    { P "; client_max_window_bits", ANSWER, "browsers" },
    { P "; client_max_window_bits=8", ANSWER, "the smallest window of a client" },
    { P "; client_max_window_bits=15", ANSWER, "the largest" },
    { P "; client_max_window_bits=\"10\"", ANSWER, "a quoted value" },
    { P "; server_max_window_bits=\"15\"", ANSWER_15, "a quoted window" },
    { P "; server_max_window_bits=\"\\1\\5\"", ANSWER_15, "quoted with quoted pairs" },
    /* values */
    { P "; server_max_window_bits", DECLINED, "the server's window has no value" },
    { P "; server_max_window_bits=8", DECLINED, "8" },
    { P "; server_max_window_bits=14", DECLINED, "14" },
    { P "; server_max_window_bits=16", DECLINED, "above 15" },
    { P "; server_max_window_bits=015", DECLINED, "a leading zero" },
    { P "; server_max_window_bits=150", DECLINED, "three digits" },
    { P "; server_max_window_bits=1500000000000000000000000", DECLINED, "many digits" },
    { P "; server_max_window_bits=+15", DECLINED, "a sign" },
    { P "; server_max_window_bits=x", DECLINED, "no number" },
    { P "; client_max_window_bits=7", DECLINED, "below 8" },
    { P "; client_max_window_bits=16", DECLINED, "above 15" },
    { P "; client_max_window_bits=0", DECLINED, "0" },
    { P "; client_max_window_bits=08", DECLINED, "a leading zero of the client's" },
    { P "; client_max_window_bits=1", DECLINED, "one digit below" },
    { P "; client_max_window_bits=1x", DECLINED, "half a number" },
    { P "; server_no_context_takeover=1", DECLINED, "a value where there is none" },
    { P "; client_no_context_takeover=true", DECLINED, "the same for the client" },
    { P "; client_no_context_takeover=\"\"", BROKEN, "an empty quoted value is no token" },
    /* 7.1: what must be declined */
    { P "; foo", DECLINED, "an unknown parameter" },
    { P "; foo=bar", DECLINED, "an unknown one with a value" },
    { P "; foo=\"bar\"", DECLINED, "quoted" },
    { P "; Server_No_Context_Takeover", DECLINED, "names are told apart by case" },
    { P "; server_no_context_takeover; server_no_context_takeover", DECLINED, "twice" },
    { P "; client_no_context_takeover; client_no_context_takeover", DECLINED, "the client's twice" },
    { P "; client_max_window_bits; client_max_window_bits=10", DECLINED, "a window twice" },
    { P "; server_max_window_bits=15; server_max_window_bits=15", DECLINED, "the server's window twice" },
    { P "; foo, " P, ANSWER, "the second offer can be" },
    { P "; foo, " P "; bar, " P "; server_max_window_bits=15, " P, ANSWER_15, "the first that can be" },
    { P ", " P "; server_max_window_bits=15", ANSWER, "later ones don't count" },
    /* other extensions */
    { "x-webkit-deflate-frame", DECLINED, "another extension" },
    { "foo; bar=1; baz=\"q\", " P, ANSWER, "behind another" },
    { P ", foo; bar", ANSWER, "before another" },
    { "permessage-bzip2", DECLINED, "a cousin" },
    { "permessage-deflat", DECLINED, "shorter" },
    { "permessage-deflatee", DECLINED, "longer" },
    { "Permessage-Deflate", DECLINED, "in another case" },
    { "permessage; deflate", DECLINED, "in two" },
    /* white space and empty elements */
    { "  " P "  ", ANSWER, "spaces around" },
    { P ";client_max_window_bits", ANSWER, "no space" },
    { P " ; client_max_window_bits = 10 ", ANSWER, "spaces everywhere" },
    { P "\t;\tclient_max_window_bits\t=\t10", ANSWER, "tabs" },
    { ",, " P " ,,", ANSWER, "empty elements" },
    { "", DECLINED, "nothing" },
    { " , ", DECLINED, "a comma" },
    /* no list */
    { ";", BROKEN, "no name" },
    { P ";", BROKEN, "no parameter" },
    { P "; ;client_max_window_bits", BROKEN, "an empty parameter" },
    { P "; client_max_window_bits=", BROKEN, "no value" },
    { P "; =10", BROKEN, "no name of a parameter" },
    { P " client_max_window_bits", BROKEN, "no semicolon" },
    { P "; client_max_window_bits=10 11", BROKEN, "two values" },
    { P "; client_max_window_bits=\"10", BROKEN, "an open quote" },
    { P "; client_max_window_bits=\"10\\", BROKEN, "an open quoted pair" },
    { P "; client_max_window_bits=\"1 0\"", BROKEN, "a space in quotes is no token" },
    { P "; client_max_window_bits=\"10\"1", BROKEN, "behind the quote" },
    { P "; foo=\"a,b\"", BROKEN, "a comma in quotes is no token" },
    { "\"" P "\"", BROKEN, "a quoted name" },
    { P "; foo=[]", BROKEN, "a separator as value" },
    { P "=1", BROKEN, "a value of the extension" },
    { P "; f\xc3\xb6\xc3\xb6", BROKEN, "beyond ASCII" },
    { P ", ; foo", BROKEN, "an element that begins with a parameter" },
    { P "/2", BROKEN, "a slash" },
};

static bool read_guarded(const char *offers, struct ws_deflate *agreed)
{
    struct span value = guard_span(span_of_string(offers));
    bool is_list = ws_deflate_offers_read(value, agreed);
    guard_free(value.bytes);
    return is_list;
}

static void assert_answer(const struct ws_deflate *agreed, const char *answer, const char *name)
{
    char out[WS_DEFLATE_ANSWER_BYTES_MAX];
    if (agreed->accepted != (answer[0] != 0)) fail_msg("%s: %s", name, agreed->accepted ? "accepted" : "declined");
    if (agreed->accepted && !span_is(span_of(out, ws_deflate_answer_write(out, agreed)), answer)) fail_msg("%s: another answer", name);
}

static void offers_are_judged_to_the_letter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct ws_deflate agreed = { 0 };
        bool is_list = read_guarded(facts[i].offers, &agreed);
        if (is_list != (facts[i].answer != BROKEN)) fail_msg("%s: taken for %s", facts[i].name, is_list ? "a list" : "none");
        if (is_list) assert_answer(&agreed, facts[i].answer, facts[i].name);
    }
}

/* A list in several lines goes on where it was: the first that can be accepted counts. */
static void several_lines_are_one_list(void **state)
{
    (void)state;
    static const struct { const char *first, *second, *answer; } lines[] = {
        { P "; foo", P "; server_max_window_bits=15", ANSWER_15 },
        { P, P "; server_max_window_bits=15", ANSWER },
        { "foo", "bar", DECLINED },
        { "", P, ANSWER },
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct ws_deflate agreed = { 0 };
        assert_true(read_guarded(lines[i].first, &agreed) && read_guarded(lines[i].second, &agreed));
        assert_answer(&agreed, lines[i].answer, lines[i].second);
    }
    struct ws_deflate agreed = { 0 };
    assert_true(read_guarded(P, &agreed));
    assert_false(read_guarded(P ";", &agreed)); /* a broken line is one, wherever it stands */
}

static void our_clients_take_only_what_they_can_inflate(void **state)
{
    (void)state;
    static const struct { const char *answer; bool fits; } answers[] = {
        { ANSWER, true },
        { ANSWER_15, true },
        { P "; server_no_context_takeover", true },
        { P, false }, /* the server would keep its window */
        { P "; client_no_context_takeover", false },
        { ANSWER "; client_max_window_bits=10", false }, /* was not offered */
        { ANSWER "; server_no_context_takeover", false },
        { ANSWER "; foo", false },
        { ANSWER ", " ANSWER, false },
        { ANSWER ", foo", false },
        { "foo", false },
        { "", false },
        { P ";", false },
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct span value = guard_span(span_of_string(answers[i].answer));
        if (ws_deflate_answer_fits(value) != answers[i].fits) fail_msg("%s", answers[i].answer);
        guard_free(value.bytes);
    }
}

/* Of every text of these characters up to six bytes: what is a list stays one when it is written twice with a comma between. */
static void lists_may_be_joined(void **state)
{
    (void)state;
    static const char characters[] = "a;,= \"\\";
    enum { KINDS = sizeof characters - 1, BYTES = 6 };
    char text[2 * BYTES + 1];
    unsigned lists = 0;
    for (unsigned number = 0, all = KINDS * KINDS * KINDS * KINDS * KINDS * KINDS; number < all; number++) {
        for (unsigned i = 0, rest = number; i < BYTES; i++, rest /= KINDS) text[i] = characters[rest % KINDS];
        struct ws_deflate agreed = { 0 };
        if (!ws_deflate_offers_read(span_of(text, BYTES), &agreed)) continue;
        lists++;
        text[BYTES] = ',';
        memcpy(text + BYTES + 1, text, BYTES);
        assert_true(ws_deflate_offers_read(span_of(text, sizeof text), &agreed));
        assert_false(agreed.accepted);
    }
    assert_true(lists > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_judged_to_the_letter),
        cmocka_unit_test(several_lines_are_one_list),
        cmocka_unit_test(our_clients_take_only_what_they_can_inflate),
        cmocka_unit_test(lists_may_be_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
