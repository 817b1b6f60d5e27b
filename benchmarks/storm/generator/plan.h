/* The plan says beforehand who clicks when; what the shop answers moves none of it. */
#ifndef PLAN_H
#define PLAN_H

#include "loop.h"

enum kind { STORM, ORDINARY };

/* Of a storm buyer. BEHAVIOURS in plan.c follows this order; `pay` is all that ordinary ones do. */
enum behaviour { PAYS, ABANDONS, CLICKS_TWICE, HAMMERS };

struct entry {
    enum kind kind;
    enum behaviour behaviour;
    micros at; /* after the start of the run */
    const char *pass, *key, *email, *address;
};

struct plan {
    struct entry *entries; /* in the order of the file */
    size_t count;
};

extern const char *const KINDS[], *const BEHAVIOURS[];

/* Tab-separated lines: kind, at (us), pass, idempotency key, email, address, behaviour. */
struct plan plan_read(const char *path);

#endif
