#include "parser.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_HEAD = 64 * 1024, LONGEST_BODY = 4 * 1024 * 1024 };

static bool names(const char *line, const char *name, const char **value)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return false;
    *value = line + length + 1 + strspn(line + length + 1, " \t");
    return true;
}

static void copy(char *to, size_t room, const char *from, size_t length)
{
    if (length >= room)
        length = room - 1;
    memcpy(to, from, length);
    to[length] = '\0';
}

/* False if the header makes the answer unreadable. `line` ends with a NUL. */
static bool take_header(struct parser *parser, const char *line)
{
    const char *value;
    char *end;
    if (names(line, "content-length", &value)) {
        unsigned long length = strtoul(value, &end, 10);
        if (end == value || length > LONGEST_BODY)
            return false;
        parser->length = length;
        if (parser->framing != CHUNKED) /* which overrides a length */
            parser->framing = BY_LENGTH;
    } else if (names(line, "transfer-encoding", &value)) {
        if (strcasecmp(value, "chunked") != 0)
            return false;
        parser->framing = CHUNKED;
    } else if (names(line, "connection", &value)) {
        if (strcasecmp(value, "close") == 0)
            parser->keeps_alive = false;
        else if (strcasecmp(value, "keep-alive") == 0)
            parser->keeps_alive = true;
    } else if (names(line, "retry-after", &value)) {
        double seconds = strtod(value, &end);
        if (end != value && seconds >= 0)
            parser->retry_after = seconds;
    } else if (names(line, "x-click", &value)) {
        parser->unheard = strcmp(value, "unheard") == 0;
    } else if (names(line, "location", &value)) {
        copy(parser->location, sizeof parser->location, value, strlen(value));
    } else if (names(line, "set-cookie", &value) && !*parser->cookie) {
        copy(parser->cookie, sizeof parser->cookie, value, strcspn(value, ";"));
    }
    return true;
}

static bool take_status_line(struct parser *parser, const char *line)
{
    if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
        return false;
    parser->keeps_alive = line[7] == '1';
    parser->status = atoi(line + 9);
    return parser->status >= 100 && parser->status <= 599;
}

/* Read the head between `from` and `end`, which is its empty line. */
static bool take_head(struct parser *parser, char *from, char *end)
{
    parser->framing = UNTIL_CLOSE;
    parser->retry_after = -1;
    for (char *line = from, *next; line < end; line = next + 2) {
        next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        *next = '\0';
        if (line == from ? !take_status_line(parser, line) : !take_header(parser, line))
            return false;
    }
    if (parser->status < 200 || parser->status == 204 || parser->status == 304)
        parser->framing = NO_BODY;
    return true;
}

static enum verdict feed_head(struct parser *parser, char *buffer, size_t filled)
{
    /* The same buffer again and again: heads come whole, so looking twice costs nothing. */
    while (parser->framing == HEAD) {
        char *from = buffer + parser->body_at;
        char *end = memmem(from, filled - parser->body_at, "\r\n\r\n", 4);
        if (!end)
            return filled - parser->body_at > LONGEST_HEAD ? BROKEN : MORE;
        if (!take_head(parser, from, end))
            return BROKEN;
        parser->body_at = (size_t)(end + 4 - buffer);
        if (parser->status < 200) /* 1xx: the answer proper follows */
            parser->framing = HEAD;
    }
    parser->chunk_at = parser->body_at;
    if (parser->framing != BY_LENGTH)
        parser->length = 0;
    return COMPLETE;
}

/* After the last chunk: trailers, if any, and an empty line. */
static enum verdict feed_trailers(struct parser *parser, char *buffer, size_t filled)
{
    while (1) {
        char *line = buffer + parser->chunk_at;
        char *end = memmem(line, filled - parser->chunk_at, "\r\n", 2);
        if (!end)
            return MORE;
        if (end == line)
            return COMPLETE;
        parser->chunk_at = (size_t)(end + 2 - buffer);
    }
}

/* Move whole chunks together, so that the body stands in one piece from body_at. */
static enum verdict feed_chunks(struct parser *parser, char *buffer, size_t filled)
{
    while (1) {
        char *line = buffer + parser->chunk_at, *after;
        char *end = memmem(line, filled - parser->chunk_at, "\r\n", 2);
        if (!end)
            return MORE;
        unsigned long size = strtoul(line, &after, 16);
        if (after == line || size > LONGEST_BODY)
            return BROKEN;
        size_t data_at = (size_t)(end + 2 - buffer);
        if (size == 0) {
            struct parser trailers = *parser;
            trailers.chunk_at = data_at;
            return feed_trailers(&trailers, buffer, filled);
        }
        if (filled < data_at + size + 2)
            return MORE;
        memmove(buffer + parser->body_at + parser->length, buffer + data_at, size);
        parser->length += size;
        parser->chunk_at = data_at + size + 2;
    }
}

static enum verdict feed_body(struct parser *parser, char *buffer, size_t filled, bool ended)
{
    size_t held = filled - parser->body_at;
    switch (parser->framing) {
    case NO_BODY:
        return COMPLETE;
    case BY_LENGTH:
        return held >= parser->length ? COMPLETE : MORE;
    case CHUNKED:
        return feed_chunks(parser, buffer, filled);
    default:
        parser->keeps_alive = false;
        parser->length = held;
        return ended ? COMPLETE : held > LONGEST_BODY ? BROKEN : MORE;
    }
}

enum verdict parser_feed(struct parser *parser, char *buffer, size_t filled, bool ended)
{
    enum verdict verdict = COMPLETE;
    if (parser->framing == HEAD)
        verdict = feed_head(parser, buffer, filled);
    if (verdict == COMPLETE)
        verdict = feed_body(parser, buffer, filled, ended);
    return verdict == MORE && ended ? BROKEN : verdict;
}
