/* A storm buyer: click, line, hold, payment at the provider, key. */
#ifndef BUYER_H
#define BUYER_H

#include <stdio.h>

#include "json.h"
#include "plan.h"
#include "run.h"

/* The first answer that tells the buyer how things stand. A bare "queued" tells nothing. */
enum truth { NO_TRUTH, TOLD_HELD, TOLD_WAITING, TOLD_REFUSED };

/* OUTCOMES in buyer.c follows this order. */
enum outcome { UNDERWAY, SOLD, ABANDONED, REFUSED, LEFT, LAPSED, DENIED, OUT_OF_TIME };

struct buyer {
    const struct entry *entry;
    enum outcome outcome;
    struct wire shop, aside, provider; /* aside: the second click, the way back from the provider */
    struct timer next, second;
    void (*resume)(struct buyer *buyer); /* what `next` leads to */
    struct counts counts;

    char ticket[65], second_ticket[65], poll_path[200], order[64], pay_url[320], cookie[160];
    char second_kind[24], first_kind[24], refusal[24], keys[256];
    enum truth truth;
    /* Moments, NEVER until they come. */
    micros clicked_at, first_at, truthful_at, held_at, paid_at, keys_at;
    unsigned failures, second_failures; /* in a row */
    bool unsure; /* a click of ours may have been taken although nobody told us */
    unsigned clicks, polls, retries, lost_tickets, backwards, hammered;
    int rank; /* of the ticket's last state, which must never fall */
};

void buyer_init(struct buyer *buyer, const struct entry *entry); /* sets the timer of the click */
void buyer_give_up(struct buyer *buyer); /* the deadline has come */
void buyer_write_header(FILE *out);
void buyer_write(FILE *out, size_t number, const struct buyer *buyer);

#endif
