#include "gateway/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/proto/json.h"
#include "core/proto/topic_name.h"
#include "core/pubsub/following.h"
#include "core/pubsub/restore.h"

enum { PATH_MAX_BYTES = 1100 };

/* ---- read ------------------------------------------------------------------------------------------------------------ */

static bool read_integer(const struct json_value *value, uint64_t *number)
{
    int64_t integer;
    if (!json_integer(value, &integer) || integer < 0) return false;
    *number = (uint64_t)integer;
    return true;
}

/* A line as it was written: names and epochs hold nothing that JSON escapes. */
static bool read_line(struct span line, struct kept_update *update)
{
    enum { DEPTH_MAX = 70 };
    struct json_value whole, key, value;
    *update = (struct kept_update){ .data = SPAN_NONE };
    if (json_validate(line, DEPTH_MAX, &whole) != JSON_OK || whole.kind != JSON_OBJECT) return false;
    for (size_t at = 0; json_member_next(whole.text, &at, &key, &value);) {
        if (json_string_is(&key, "topic") && value.kind == JSON_STRING) update->topic = json_string_inside(&value);
        else if (json_string_is(&key, "epoch") && value.kind == JSON_STRING) update->epoch = json_string_inside(&value);
        else if (json_string_is(&key, "seq") && !read_integer(&value, &update->seq)) return false;
        else if (json_string_is(&key, "ts") && !read_integer(&value, &update->ts_us)) return false;
        else if (json_string_is(&key, "data")) update->data = value.text;
        else if (json_string_is(&key, "key")) update->key = value.kind == JSON_TRUE;
    }
    return update->topic.bytes && !topic_name_fault(update->topic) && !topic_name_reserved(update->topic) && update->epoch.size == EPOCH_BYTES && update->seq > 0 && update->data.bytes;
}

static bool restore(struct gateway *gateway, const struct kept_update *update)
{
    struct engine *engine = &gateway->shards[0].engine; /* the hash is the same in all */
    uint64_t hash = engine_name_hash(engine, update->topic);
    return home_restore(&gateway->shards[engine_home_of(engine, hash)].engine.home, update, hash);
}

static void read_lines(struct gateway *gateway, FILE *file, struct saved_count *count)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    for (uint64_t number = 1; (size = getline(&line, &room, file)) > 0; number++) {
        struct kept_update update;
        if (read_line(span_of(line, (size_t)size), &update) && restore(gateway, &update)) {
            count->updates++;
            continue;
        }
        if (count->skipped++ == 0) count->skipped_first = number;
    }
    free(line);
    for (uint32_t i = 0; i < gateway->shards_count; i++) count->topics += gateway->shards[i].engine.home.names.count;
}

int saved_read(struct gateway *gateway, const char *path, struct saved_count *count, char *why, size_t why_size)
{
    *count = (struct saved_count){ 0 };
    struct stat status;
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT) return 0;
    bool regular = file && fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
    if (!regular) {
        snprintf(why, why_size, "can't read the saved state \"%s\" (setting state): %s", path, file ? "it is no regular file" : strerror(errno));
        if (file) fclose(file);
        return -1;
    }
    read_lines(gateway, file, count);
    bool failed = ferror(file);
    if (failed) snprintf(why, why_size, "can't read the saved state \"%s\" to its end: %s", path, strerror(errno));
    fclose(file);
    return failed ? -1 : 0;
}

/* ---- written --------------------------------------------------------------------------------------------------------- */

struct writing {
    FILE               *file;
    struct saved_count *count;
    struct span         topic; /* of the update before */
};

static void write_line(void *context, const struct kept_update *update)
{
    struct writing *writing = context;
    fprintf(writing->file, "{\"topic\":\"%.*s\",\"epoch\":\"%.*s\",\"seq\":%llu,\"ts\":%llu,%s\"data\":", (int)update->topic.size, update->topic.bytes, (int)update->epoch.size, update->epoch.bytes,
            (unsigned long long)update->seq, (unsigned long long)update->ts_us, update->key ? "\"key\":true," : "");
    fwrite(update->data.bytes, 1, update->data.size, writing->file);
    fwrite("}\n", 1, 2, writing->file);
    writing->count->updates++;
    writing->count->topics += writing->topic.bytes != update->topic.bytes; /* a topic's updates share its name */
    writing->topic = update->topic;
}

/* The directory too, so that the new name is there after a power cut. */
static void sync_directory(char *path)
{
    int directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    fsync(directory);
    close(directory);
}

int saved_write(const struct gateway *gateway, const char *path, struct saved_count *count, char *why, size_t why_size)
{
    char fresh[PATH_MAX_BYTES];
    *count = (struct saved_count){ 0 };
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file) {
        snprintf(why, why_size, "can't write the state to \"%s\": %s", fresh, strerror(errno));
        if (descriptor >= 0) close(descriptor);
        return -1;
    }
    struct writing writing = { file, count, SPAN_NONE };
    for (uint32_t i = 0; i < gateway->shards_count; i++) home_visit_kept(&gateway->shards[i].engine.home, write_line, &writing);
    bool failed = fflush(file) != 0 || ferror(file) || fsync(descriptor) != 0;
    if (failed) snprintf(why, why_size, "can't write the state to \"%s\": %s", fresh, strerror(errno));
    fclose(file);
    if (!failed && rename(fresh, path) != 0) {
        failed = true;
        snprintf(why, why_size, "can't rename \"%s\" to \"%s\": %s", fresh, path, strerror(errno));
    }
    if (failed) {
        unlink(fresh);
        return -1;
    }
    sync_directory(fresh);
    return 0;
}
