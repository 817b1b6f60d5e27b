/* A wire is one browser connection: one request at a time, kept alive between them. */
#ifndef WIRE_H
#define WIRE_H

#include <netinet/in.h>
#include <stdbool.h>

#include "loop.h"
#include "parser.h"
#include "tally.h"

struct endpoint {
    struct sockaddr_in address;
    char authority[32]; /* as in the Host header */
};

/* Read http://A.B.C.D:PORT/path; `path` (may be NULL) is left pointing into `url`. False if it is else. */
bool endpoint_read(const char *url, struct endpoint *endpoint, const char **path);

struct request {
    enum step step;
    const struct endpoint *to;
    const char *path;
    const char *client; /* the address told in X-Forwarded-For; NULL for none */
    const char *cookie; /* NULL or empty for none */
    const char *type;   /* of the body; NULL: a GET without one */
    const char *body;
    bool again;         /* a click that may have been heard before */
};

/* `body` is the wire's own and stays until its next request. */
struct answer {
    enum step step;
    enum failure failure; /* then nothing else is set */
    int status;
    bool unheard;       /* the gateway kept it to itself */
    micros retry_after; /* NEVER if the server did not say */
    const char *location, *cookie;
    const char *body;
    size_t length;
};

struct counts {
    uint32_t timeouts, no_connection, lost, retransmits, server_errors;
    struct { uint16_t status, times; } statuses[8]; /* the last place takes whatever is left */
};

struct wire {
    void (*answered)(void *owner, const struct answer *answer);
    void *owner;
    struct counts *counts; /* of the owner, whose wires share them */

    struct watch watch;
    struct timer timer;
    struct endpoint to;
    enum { CLOSED, CONNECTING, SENDING, RECEIVING, IDLE } state;
    enum step step;
    bool reused;
    micros asked_at;
    unsigned seen_retransmits;
    char *out, *in;
    size_t out_length, out_sent, in_filled, in_room;
    struct parser parser;
};

extern micros wire_patience; /* for one request, connecting included */
extern size_t wire_files;    /* how many wires can be open at a time */

void wire_init(struct wire *wire, void (*answered)(void *, const struct answer *), void *owner,
               struct counts *counts);
/* `answered` is called once, never from within this call. The wire must be at rest. */
void wire_ask(struct wire *wire, const struct request *request);
void wire_close(struct wire *wire);
/* Close a wire at rest if so many are open that those who ask may soon have none. */
void wire_spare(struct wire *wire);

#endif
