/* Reading JSON in place: a value is a stretch of the text. Enough for answers of an API we know. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json {
    const char *start; /* NULL: there is no such value */
    const char *end;
};

struct json json_read(const char *text, size_t length);
struct json json_member(struct json object, const char *name);
struct json json_element(struct json array, size_t index);

/* The text of a string, cut to `room`; false (and "") if it is no string. */
bool json_text(struct json value, char *out, size_t room);
bool json_is(struct json value, const char *text); /* a string that equals `text` */
bool json_true(struct json value);
bool json_number(struct json value, double *number);

#endif
