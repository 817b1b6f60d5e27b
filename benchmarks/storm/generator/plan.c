#include "plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 7 };

const char *const KINDS[] = {"storm", "ordinary", NULL};
const char *const BEHAVIOURS[] = {"pay", "abandon", "double", "hammer", NULL};

static int position(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* Fields are put into JSON and headers as they stand. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || *text < ' ' || *text > '~')
            return false;
    return true;
}

static bool read_entry(char *line, struct entry *entry)
{
    char *fields[FIELDS], *end;
    for (int i = 0; i < FIELDS; i++) {
        fields[i] = strsep(&line, "\t");
        if (!fields[i] || !is_plain(fields[i]))
            return false;
    }
    int kind = position(KINDS, fields[0]), behaviour = position(BEHAVIOURS, fields[6]);
    long long at = strtoll(fields[1], &end, 10);
    if (line || kind < 0 || behaviour < 0 || *end || at < 0)
        return false;
    *entry = (struct entry){
        .kind = (enum kind)kind,
        .behaviour = (enum behaviour)behaviour,
        .at = at,
        .pass = fields[2],
        .key = fields[3],
        .email = fields[4],
        .address = fields[5],
    };
    return true;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file || fseek(file, 0, SEEK_END))
        die("%s: %s", path, strerror(errno));
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = allocate(size + 1, 1);
    if (fread(text, 1, size, file) != size)
        die("%s: cannot be read", path);
    fclose(file);
    return text;
}

struct plan plan_read(const char *path)
{
    char *text = read_file(path); /* never freed: the entries point into it */
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    struct plan plan = {.entries = allocate(lines, sizeof *plan.entries)};
    for (char *line; (line = strsep(&text, "\n")) && *line;) {
        if (plan.count == lines || !read_entry(line, &plan.entries[plan.count]))
            die("%s: line %zu is no entry of a plan", path, plan.count + 1);
        plan.count++;
    }
    return plan;
}
