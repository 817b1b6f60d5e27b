/* An ordinary purchase of another product: the form is posted, the order page is read. */
#ifndef SHOPPER_H
#define SHOPPER_H

#include <stdio.h>

#include "plan.h"
#include "run.h"

struct shopper {
    const struct entry *entry;
    struct wire wire;
    struct timer next;
    struct counts counts;
    char page[320];
    unsigned failures, retries;
    micros started_at, done_at; /* NEVER until then */
    int refused_with; /* the status that ended it; 0 if none did */
    bool over;
};

void shopper_init(struct shopper *shopper, const struct entry *entry);
void shopper_give_up(struct shopper *shopper);
void shopper_write_header(FILE *out);
void shopper_write(FILE *out, size_t number, const struct shopper *shopper);

#endif
