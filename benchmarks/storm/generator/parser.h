/* Reads one HTTP/1.x answer as it arrives: Content-Length, chunked, or up to the close. */
#ifndef PARSER_H
#define PARSER_H

#include <stdbool.h>
#include <stddef.h>

enum verdict { MORE, COMPLETE, BROKEN };
enum framing { HEAD, NO_BODY, BY_LENGTH, CHUNKED, UNTIL_CLOSE };

/* All zero is ready for an answer. */
struct parser {
    enum framing framing;
    int status;
    size_t body_at;    /* where the body begins in the buffer */
    size_t length;     /* BY_LENGTH: announced; when complete: of the decoded body */
    size_t chunk_at;   /* CHUNKED: the next chunk's size line */
    bool keeps_alive;
    bool unheard;      /* the gateway kept it: whoever is behind it has not heard of it */
    double retry_after; /* seconds; negative: not given as a number of them */
    char location[320];
    char cookie[160]; /* name=value of the first Set-Cookie */
};

/* `buffer` holds `filled` bytes of the answer; `ended`: no more will come. Decodes chunks in place. */
enum verdict parser_feed(struct parser *parser, char *buffer, size_t filled, bool ended);

#endif
