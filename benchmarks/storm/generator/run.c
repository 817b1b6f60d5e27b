#include "run.h"

#include <stdlib.h>
#include <sys/resource.h>

struct run run = {
    .first_click = NEVER,
    .last_truthful = NEVER,
    .first_backoff = 250 * MILLISECOND,
    .longest_backoff = 8 * SECOND,
};

micros cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * SECOND + used.ru_utime.tv_usec +
           used.ru_stime.tv_usec;
}

micros between(micros least, micros most)
{
    return least + (micros)(drand48() * (double)(most - least));
}

micros backoff(unsigned failures, micros retry_after)
{
    micros wait = run.first_backoff << (failures < 6 ? failures : 6);
    if (wait > run.longest_backoff)
        wait = run.longest_backoff;
    wait = between(wait / 2, wait);
    if (retry_after == NEVER)
        return wait;
    /* Everybody was told the same second: spread beyond it, never before. */
    return retry_after + between(0, wait);
}

bool worth_another_try(const struct answer *answer)
{
    return answer->failure != ANSWERED || answer->status >= 500 || answer->status == 429;
}

void ended(void)
{
    if (--run.underway == 0)
        loop_stop();
}
