#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 32 };

static const struct json NOTHING = {NULL, NULL};

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at) && *at)
        at++;
    return at;
}

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : NULL;
}

static const char *skip_value(const char *at, const char *end, int depth);

/* Past an object or array: members are values parted by commas and colons. */
static const char *skip_container(const char *at, const char *end, int depth)
{
    char closing = *at == '{' ? '}' : ']';
    if (depth > DEEPEST)
        return NULL;
    at = skip_space(at + 1, end);
    while (at && at < end && *at != closing) {
        if (*at == ',' || *at == ':')
            at++;
        else
            at = skip_value(at, end, depth + 1);
        if (at)
            at = skip_space(at, end);
    }
    return at && at < end ? at + 1 : NULL;
}

/* Past the value at `at`; NULL if it does not end within the text. */
static const char *skip_value(const char *at, const char *end, int depth)
{
    at = skip_space(at, end);
    if (at >= end)
        return NULL;
    if (*at == '"')
        return skip_string(at, end);
    if (*at == '{' || *at == '[')
        return skip_container(at, end, depth);
    const char *start = at;
    while (at < end && *at && !strchr(",:]} \t\r\n", *at))
        at++;
    return at > start ? at : NULL;
}

static struct json value_at(const char *at, const char *end)
{
    at = skip_space(at, end);
    const char *after = skip_value(at, end, 0);
    return after ? (struct json){at, after} : NOTHING;
}

struct json json_read(const char *text, size_t length)
{
    return text ? value_at(text, text + length) : NOTHING;
}

struct json json_member(struct json object, const char *name)
{
    if (!object.start || *object.start != '{')
        return NOTHING;
    const char *at = object.start + 1;
    while (1) {
        struct json key = value_at(at, object.end);
        if (!key.start || *key.start != '"')
            return NOTHING;
        at = skip_space(key.end, object.end);
        if (at >= object.end || *at != ':')
            return NOTHING;
        struct json value = value_at(at + 1, object.end);
        if (!value.start || json_is(key, name))
            return value;
        at = skip_space(value.end, object.end);
        if (at >= object.end || *at != ',')
            return NOTHING;
        at++;
    }
}

struct json json_element(struct json array, size_t index)
{
    if (!array.start || *array.start != '[')
        return NOTHING;
    const char *at = skip_space(array.start + 1, array.end);
    if (at < array.end && *at == ']')
        return NOTHING;
    while (1) {
        struct json value = value_at(at, array.end);
        if (!value.start || index-- == 0)
            return value;
        at = skip_space(value.end, array.end);
        if (at >= array.end || *at != ',')
            return NOTHING;
        at++;
    }
}

/* What an escape below U+0080 stands for; '?' beyond, for nothing that we read goes there. */
static char unescaped(const char **at, const char *end)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = strchr(names, **at);
    if (found && *found)
        return meanings[found - names];
    if (**at == 'u' && end - *at > 4) {
        char digits[5] = "";
        memcpy(digits, *at + 1, 4);
        *at += 4;
        long code = strtol(digits, NULL, 16);
        return code > 0 && code < 0x80 ? (char)code : '?';
    }
    return '?';
}

bool json_text(struct json value, char *out, size_t room)
{
    size_t used = 0;
    bool is_string = value.start && *value.start == '"';
    if (is_string) {
        const char *end = value.end - 1;
        for (const char *at = value.start + 1; at < end && used + 1 < room; at++) {
            char letter = *at;
            if (letter == '\\' && ++at < end)
                letter = unescaped(&at, end);
            out[used++] = letter;
        }
    }
    out[used] = '\0';
    return is_string;
}

bool json_is(struct json value, const char *text)
{
    char found[64];
    return json_text(value, found, sizeof found) && strcmp(found, text) == 0;
}

bool json_true(struct json value)
{
    return value.start && value.end - value.start == 4 && memcmp(value.start, "true", 4) == 0;
}

bool json_number(struct json value, double *number)
{
    char text[40], *end;
    if (!value.start || value.end - value.start >= (long)sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(value.end - value.start), value.start);
    *number = strtod(text, &end);
    return end > text && !*end;
}
