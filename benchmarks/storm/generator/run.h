/* What all purchases of a run share. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>

#include "loop.h"
#include "wire.h"

struct run {
    struct endpoint hot, web;      /* where storm buyers and ordinary ones go */
    const char *storm_code, *ordinary_code, *method;
    micros started;
    micros deadline;               /* after which nobody waits any longer */
    micros first_backoff, longest_backoff; /* between two tries */
    size_t underway;               /* purchases, and second clicks, that have not ended */
    size_t clicked, truthful, held, sold; /* of the storm, for whoever watches */
    micros first_click, last_truthful;    /* NEVER until there is one */
    micros cpu_at_first_click, cpu_at_last_truthful;
};

extern struct run run;

micros cpu_us(void);         /* user and system time of this process */
micros between(micros least, micros most); /* evenly random */
/* The wait before try number `failures` + 1: doubling, jittered, and never less than the server asked. */
micros backoff(unsigned failures, micros retry_after);
bool worth_another_try(const struct answer *answer);
void ended(void);            /* one of `underway` has */

#endif
