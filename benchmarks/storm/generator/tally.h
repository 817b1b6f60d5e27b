/* What was asked and what came back, by step; and what it took to connect. */
#ifndef TALLY_H
#define TALLY_H

#include <stdio.h>

#include "loop.h"

/* Steps of a purchase. STEP_NAMES in tally.c follows this order. */
enum step { CLICK, POLL, ORDER, ATTEMPT, PAY, RETURN, LOOK, KEYS, BUY, PAGE, STEPS };

/* Why there is no answer. FAILURE_NAMES in tally.c follows this order. */
enum failure { ANSWERED, NO_CONNECTION, CONNECTION_LOST, TIMED_OUT, UNREADABLE, FAILURES };

struct tally {
    uint64_t statuses[STEPS][600];
    uint64_t failures[STEPS][FAILURES];
    micros spent[STEPS], longest[STEPS]; /* from asking to the whole answer */
    uint64_t connections;    /* attempts to connect */
    uint64_t stale;          /* kept-alive ones that the server had closed: asked again on a new one */
    uint64_t syn_retransmits; /* while connecting */
    uint64_t retransmits;    /* of any segment, those while connecting included */
    uint64_t open, most_open; /* connections at a time */
    uint64_t unheard;         /* answers of 5xx by the gateway alone: "not now, ask again" */
    uint64_t starved;         /* attempts to connect that ended for want of files */
};

extern struct tally tally;

void tally_answer(enum step step, enum failure failure, int status, micros took);
void tally_write(FILE *out); /* as members of a JSON object, without its braces */

#endif
