/* See traces.h. */
#include "bench/traces.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/fetch.h"
#include "core/proto/json.h"

#define TOLD_AFTER_NS 1200000000 /* a gateway tells once a second */
#define DEPTH         16         /* of brackets */
#define HOME_DOORS    DOOR_HEARD /* those before it are passed at home, the others where the subscribers are */

int traces_init(struct traces *self)
{
    *self = (struct traces){ .updates = calloc(TRACES_UPDATES, sizeof *self->updates) };
    return self->updates ? 0 : -ENOMEM;
}

void traces_deinit(struct traces *self)
{
    free(self->updates);
    self->updates = NULL;
}

static struct traces_update *place_of(struct traces *self, uint32_t topic, uint64_t seq)
{
    return &self->updates[(seq + topic * UINT64_C(0x9e3779b9)) % TRACES_UPDATES];
}

/* NULL: it is too old, or was not sent from here. */
static struct traces_update *find(struct traces *self, uint32_t topic, uint64_t seq)
{
    struct traces_update *update = place_of(self, topic, seq);
    return update->topic == topic && update->seq == seq && seq > 0 ? update : NULL;
}

void traces_sent(struct traces *self, uint32_t topic, uint64_t seq, int64_t due_ns, int64_t at_ns)
{
    struct traces_update *update = place_of(self, topic, seq);
    *update = (struct traces_update){ .topic = topic, .seq = seq };
    update->at_ns[TRACES_DUE] = due_ns;
    update->at_ns[TRACES_SENT] = at_ns;
}

void traces_seen(struct traces *self, uint32_t topic, uint64_t seq, int64_t at_ns)
{
    struct traces_update *update = find(self, topic, seq);
    if (!update) return;
    if (update->count++ == 0) update->at_ns[TRACES_FIRST] = at_ns;
    update->at_ns[TRACES_ALL] = at_ns;
}

/* ---- what the gateway tells ---------------------------------------------------------------------------------------- */

/* ["bench",50,81234567890123,0,1520,null,…]: topic, seq, a moment, and for each door how long after it. */
static bool take_record(struct traces *self, struct span record)
{
    struct json_value value;
    int64_t seq, from_ns, after_ns, doors[DOORS_COUNT] = { 0 };
    size_t at = 0;
    if (!json_array_next(record, &at, &value) || value.kind != JSON_STRING || value.escaped) return false;
    uint32_t topic = self->find(self->names, json_string_inside(&value));
    if (!json_array_next(record, &at, &value) || !json_integer(&value, &seq)) return false;
    if (!json_array_next(record, &at, &value) || !json_integer(&value, &from_ns)) return false;
    for (enum door door = 0; door < DOORS_COUNT; door++) {
        if (!json_array_next(record, &at, &value)) return false;
        if (json_integer(&value, &after_ns)) doors[door] = from_ns + after_ns;
    }
    struct traces_update *update = topic == UINT32_MAX ? NULL : find(self, topic, (uint64_t)seq);
    if (!update) return true; /* another's, or of before */
    self->told++;
    int64_t *kept = &update->at_ns[TRACES_GATEWAY];
    if (doors[DOOR_APPENDED]) {
        memcpy(kept, doors, HOME_DOORS * sizeof *kept);
        update->came = true;
    }
    if (doors[DOOR_LAST] > kept[DOOR_LAST]) memcpy(kept + HOME_DOORS, doors + HOME_DOORS, (DOORS_COUNT - HOME_DOORS) * sizeof *kept);
    return true;
}

/* {"shard":0,"missed":0,"doors":["received",…],"updates":[[…],…]}: with the doors that we know. */
bool traces_take(struct traces *self, struct span data)
{
    struct json_value key, value, element;
    size_t at = 0, in = 0, door = 0;
    bool fine = false;
    while (json_member_next(data, &at, &key, &value)) {
        int64_t missed;
        if (json_string_is(&key, "missed") && json_integer(&value, &missed) && (uint64_t)missed > self->missed) self->missed = (uint64_t)missed;
        if (json_string_is(&key, "doors") && value.kind == JSON_ARRAY)
            for (in = 0; json_array_next(value.text, &in, &element) && door < DOORS_COUNT && json_string_is(&element, door_names[door]);) door++;
        if (!json_string_is(&key, "updates") || value.kind != JSON_ARRAY || door < DOORS_COUNT) continue;
        fine = true;
        for (in = 0; json_array_next(value.text, &in, &element);) fine = element.kind == JSON_ARRAY && take_record(self, element.text) && fine;
    }
    return fine;
}

/* The array `name` of an answer; false: there is none. */
static bool array_of(struct span answer, const char *name, struct span *array)
{
    struct json_value whole, key, value;
    size_t at = 0;
    if (json_validate(answer, DEPTH, &whole) != JSON_OK || whole.kind != JSON_OBJECT) return false;
    while (json_member_next(whole.text, &at, &key, &value)) {
        if (!json_string_is(&key, name) || value.kind != JSON_ARRAY) continue;
        *array = value.text;
        return true;
    }
    return false;
}

static bool take_history(struct traces *self, struct span answer)
{
    struct span updates;
    struct json_value update, key, value;
    size_t at = 0;
    if (!array_of(answer, "updates", &updates)) return false;
    while (json_array_next(updates, &at, &update)) {
        size_t in = 0;
        while (json_member_next(update.text, &in, &key, &value))
            if (json_string_is(&key, "data") && (value.kind != JSON_OBJECT || !traces_take(self, value.text))) return false;
    }
    return true;
}

static bool ask(struct fetch *fetch, const char *target, struct span *answer, char *why)
{
    if (fetch_exchange(fetch, "GET", target, SPAN_NONE, answer) < 0) return snprintf(why, CLIENT_WHY_BYTES, "%s", fetch->why), false;
    if (fetch->status == 200) return true;
    snprintf(why, CLIENT_WHY_BYTES, "%s was answered %u%s", target, fetch->status, fetch->status == 401 || fetch->status == 403 ? " (--metrics-key takes the admin key)" : "");
    return false;
}

static bool fetch_all(struct traces *self, struct fetch *fetch, char *why)
{
    struct span answer, names;
    struct json_value name;
    char list[8192], target[128];
    size_t at = 0;
    if (!ask(fetch, "/v1/topics?prefix=%24sys.trace.&limit=100", &answer, why)) return false;
    bool fine = array_of(answer, "topics", &names) && names.size > 2 && names.size < sizeof list;
    if (!fine) return snprintf(why, CLIENT_WHY_BYTES, "the gateway tells no traces: it is to be started with --trace N, 1 for each update"), false;
    memcpy(list, names.bytes, names.size); /* the next answer comes into its place */
    names.bytes = list;
    while (json_array_next(names, &at, &name)) {
        struct span inside = json_string_inside(&name);
        snprintf(target, sizeof target, "/v1/topics/%.*s/history?limit=1000", (int)inside.size, inside.bytes);
        if (!ask(fetch, target, &answer, why)) return false;
        if (!take_history(self, answer)) return snprintf(why, CLIENT_WHY_BYTES, "%.*s is not what this version reads", (int)inside.size, inside.bytes), false;
    }
    return true;
}

bool traces_fetch(struct traces *self, const char *url, const char *key, char *why)
{
    struct fetch fetch;
    nanosleep(&(struct timespec){ TOLD_AFTER_NS / 1000000000, TOLD_AFTER_NS % 1000000000 }, NULL);
    bool fine = fetch_init(&fetch, url, key) == 0;
    if (!fine) snprintf(why, CLIENT_WHY_BYTES, "%s", fetch.why);
    fine = fine && fetch_all(self, &fetch, why);
    fetch_deinit(&fetch);
    return fine;
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static bool is_whole(const struct traces *self, const struct traces_update *update)
{
    return update->seq > 0 && update->came && update->at_ns[TRACES_GATEWAY + DOOR_LAST] > 0 && update->count > 0 && update->count == self->followers[update->topic];
}

uint32_t traces_whole(const struct traces *self)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < TRACES_UPDATES; i++) count += is_whole(self, &self->updates[i]);
    return count;
}

static int by_size(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

enum { COLUMNS_EACH = 4 };

/* p50, p90, p99 and the most, in microseconds; NAN where there are none. Sorts them. */
static void write_percentiles(int64_t *values, uint32_t count, double cells[COLUMNS_EACH])
{
    static const double shares[COLUMNS_EACH] = { 0.5, 0.9, 0.99, 1 };
    qsort(values, count, sizeof *values, by_size);
    for (int i = 0; i < COLUMNS_EACH; i++) {
        uint32_t rank = (uint32_t)ceil(shares[i] * count);
        cells[i] = count > 0 ? (double)values[rank > 0 ? rank - 1 : 0] * 1e-3 : NAN;
    }
}

/* The rows, and after which door each comes: subscribers receive while the batches of a flush go out, so not all stand behind one another. */
static const struct row {
    const char *name;
    uint8_t     door, after; /* TRACES_DOORS: whichever was passed before */
} rows[TRACES_DOORS] = {
    { "due", TRACES_DUE, TRACES_DUE },
    { "sent", TRACES_SENT, TRACES_DUE },
    { "received", TRACES_GATEWAY + DOOR_RECEIVED, TRACES_SENT },
    { "read", TRACES_GATEWAY + DOOR_READ, TRACES_DOORS },
    { "taken by its home", TRACES_GATEWAY + DOOR_TAKEN, TRACES_DOORS },
    { "appended", TRACES_GATEWAY + DOOR_APPENDED, TRACES_DOORS },
    { "told", TRACES_GATEWAY + DOOR_TOLD, TRACES_DOORS },
    { "heard abroad", TRACES_GATEWAY + DOOR_HEARD, TRACES_DOORS },
    { "waiters woken", TRACES_GATEWAY + DOOR_WOKEN, TRACES_DOORS },
    { "first send staged", TRACES_GATEWAY + DOOR_STAGED, TRACES_DOORS },
    { "submitted", TRACES_GATEWAY + DOOR_SUBMITTED, TRACES_DOORS },
    { "first client has it", TRACES_FIRST, TRACES_GATEWAY + DOOR_SUBMITTED },
    { "first batch settled", TRACES_GATEWAY + DOOR_SETTLED, TRACES_GATEWAY + DOOR_SUBMITTED },
    { "last batch settled", TRACES_GATEWAY + DOOR_LAST, TRACES_GATEWAY + DOOR_SETTLED },
    { "last client has it", TRACES_ALL, TRACES_GATEWAY + DOOR_LAST },
};

/* When an update passed a row's door; 0: it did not. What was told abroad is of its way only where it ended abroad. */
static int64_t passed(const struct traces_update *update, int row)
{
    bool told = rows[row].door == TRACES_GATEWAY + DOOR_TOLD;
    return told && update->at_ns[TRACES_GATEWAY + DOOR_HEARD] == 0 ? 0 : update->at_ns[rows[row].door];
}

static int64_t passed_before(const struct traces_update *update, int row)
{
    if (rows[row].after != TRACES_DOORS) return update->at_ns[rows[row].after];
    int before = row - 1;
    while (passed(update, before) == 0) before--; /* it was sent */
    return passed(update, before);
}

static const struct report_column columns[2 * COLUMNS_EACH] = {
    { "p50_us", "p50 us", 1 },           { "p90_us", "p90 us", 1 },           { "p99_us", "p99 us", 1 },           { "max_us", "max us", 1 },
    { "sent_p50_us", "from sent p50", 1 }, { "sent_p90_us", "p90", 1 }, { "sent_p99_us", "p99", 1 }, { "sent_max_us", "max", 1 },
};

void traces_tell(const struct traces *self, struct report *report)
{
    const char *names[TRACES_DOORS];
    double cells[TRACES_DOORS * 2 * COLUMNS_EACH];
    uint32_t whole = traces_whole(self);
    int told = 0;
    int64_t *since_before = calloc(whole + 1, sizeof *since_before), *since_sent = calloc(whole + 1, sizeof *since_sent);
    for (int row = 0; since_before && since_sent && row < TRACES_DOORS; row++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < TRACES_UPDATES; i++) {
            const struct traces_update *update = &self->updates[i];
            if (!is_whole(self, update) || passed(update, row) == 0) continue;
            since_before[count] = passed(update, row) - passed_before(update, row);
            since_sent[count++] = passed(update, row) - update->at_ns[TRACES_SENT];
        }
        if (count == 0) continue;
        write_percentiles(since_before, count, &cells[told * 2 * COLUMNS_EACH]);
        write_percentiles(since_sent, count, &cells[told * 2 * COLUMNS_EACH + COLUMNS_EACH]);
        names[told++] = rows[row].name;
    }
    report_count(report, "traced", "traced from door to door", whole, "updates");
    if (self->missed) report_count(report, "traces_missed", "of which the gateway had no room", self->missed, "");
    report_table(report, "trace", "door: since the one before", columns, 2 * COLUMNS_EACH, names, told, cells);
    free(since_before);
    free(since_sent);
}
