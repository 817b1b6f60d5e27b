#include "tally.h"

#include <inttypes.h>

static const char *const STEP_NAMES[STEPS] = {
    "click", "poll", "order", "attempt", "pay", "return", "look", "keys", "buy", "page",
};
static const char *const FAILURE_NAMES[FAILURES] = {
    "", "no_connection", "connection_lost", "timed_out", "unreadable",
};

struct tally tally;

void tally_answer(enum step step, enum failure failure, int status, micros took)
{
    tally.failures[step][failure]++;
    if (failure == ANSWERED)
        tally.statuses[step][status]++;
    tally.spent[step] += took;
    if (took > tally.longest[step])
        tally.longest[step] = took;
}

static void write_step(FILE *out, enum step step)
{
    uint64_t requests = 0;
    for (int failure = 0; failure < FAILURES; failure++)
        requests += tally.failures[step][failure];
    fprintf(out, "\"%s\": {\"requests\": %" PRIu64 ", \"statuses\": {", STEP_NAMES[step], requests);
    const char *comma = "";
    for (int status = 100; status < 600; status++)
        if (tally.statuses[step][status]) {
            fprintf(out, "%s\"%d\": %" PRIu64, comma, status, tally.statuses[step][status]);
            comma = ", ";
        }
    fprintf(out, "}");
    for (int failure = ANSWERED + 1; failure < FAILURES; failure++)
        fprintf(out, ", \"%s\": %" PRIu64, FAILURE_NAMES[failure], tally.failures[step][failure]);
    double mean = requests ? (double)tally.spent[step] / (double)requests / 1e6 : 0;
    fprintf(out, ", \"mean_s\": %.6f, \"max_s\": %.6f}", mean, (double)tally.longest[step] / 1e6);
}

void tally_write(FILE *out)
{
    fprintf(out, "\"steps\": {");
    for (int step = 0; step < STEPS; step++) {
        fputs(step ? ",\n  " : "\n  ", out);
        write_step(out, (enum step)step);
    }
    fprintf(out, "\n},\n");
    fprintf(out, "\"connections\": %" PRIu64 ", \"stale\": %" PRIu64 ", \"most_open\": %" PRIu64 ",\n",
            tally.connections, tally.stale, tally.most_open);
    fprintf(out, "\"syn_retransmits\": %" PRIu64 ", \"retransmits\": %" PRIu64, tally.syn_retransmits,
            tally.retransmits);
    fprintf(out, ", \"unheard\": %" PRIu64, tally.unheard);
    fprintf(out, ", \"starved\": %" PRIu64, tally.starved);
}
