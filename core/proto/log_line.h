/* One line of the log, written into a room of its own: logfmt or JSON, whatever bytes the values hold.
 *
 *     time=2026-11-22T18:34:01.123456Z level=warn msg="connections are refused" shard=0 limit=16000
 *     {"time":"2026-11-22T18:34:01.123456Z","level":"warn","msg":"connections are refused","shard":0,"limit":16000}
 *
 * Values are escaped as in JSON in both; what is not UTF-8 becomes U+FFFD, and no control character of any kind goes out. A value or a
 * line that would be too long is cut, and cut=true says so. Pure; any thread. */
#ifndef CORE_PROTO_LOG_LINE_H
#define CORE_PROTO_LOG_LINE_H

#include "core/base/span.h"

#define LOG_LEVEL_WORDS "error", "warn", "info", "debug"
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
#define LOG_FORMAT_WORDS "logfmt", "json"
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

#define LOG_LINE_BYTES_MAX 1024u
#define LOG_VALUE_BYTES_MAX 256u /* of a value, before it is escaped */

struct log_line {
    enum log_format format;
    bool            cut;
    uint32_t        size;
    char            bytes[LOG_LINE_BYTES_MAX];
};

/* wall_us: since the Unix epoch. Messages and keys are literals of ours, of ASCII letters that need no escape. */
void log_line_begin(struct log_line *line, enum log_format format, uint64_t wall_us, enum log_level level, const char *message);
void log_line_text(struct log_line *line, const char *key, struct span value);
void log_line_string(struct log_line *line, const char *key, const char *value);
void log_line_number(struct log_line *line, const char *key, uint64_t value);
/* Ends it, with a line feed; it is to be written as a whole then. */
struct span log_line_end(struct log_line *line);

#endif
