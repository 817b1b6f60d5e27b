#include "shopper.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static void buy(void *owner);

static void end(struct shopper *shopper)
{
    shopper->over = true;
    wire_close(&shopper->wire);
    ended();
}

static void encode(char *out, size_t room, const char *text)
{
    size_t used = 0;
    for (; *text && used + 4 < room; text++)
        used += (size_t)sprintf(out + used, isalnum((unsigned char)*text) || strchr("-_.", *text) ? "%c" : "%%%02X",
                                (unsigned char)*text);
    out[used] = '\0';
}

static void try_again(struct shopper *shopper, const struct answer *answer)
{
    shopper->retries++;
    timer_set(&shopper->next, now_us() + backoff(shopper->failures++, answer->retry_after));
}

static void read_page(struct shopper *shopper)
{
    wire_ask(&shopper->wire, &(struct request){
        .step = PAGE,
        .to = &run.web,
        .path = shopper->page,
        .client = shopper->entry->address,
    });
}

static void answered(void *owner, const struct answer *answer)
{
    struct shopper *shopper = owner;
    if (answer->step == BUY && answer->status == 303) {
        snprintf(shopper->page, sizeof shopper->page, "%s", answer->location);
        read_page(shopper);
    } else if (answer->step == PAGE && answer->status == 200) {
        shopper->done_at = now_us();
        end(shopper);
    } else if (worth_another_try(answer)) {
        try_again(shopper, answer);
    } else {
        shopper->refused_with = answer->status;
        end(shopper);
    }
}

static void buy(void *owner)
{
    struct shopper *shopper = owner;
    char path[120], pass[900], email[400], body[1600];
    if (shopper->started_at == NEVER)
        shopper->started_at = now_us();
    if (*shopper->page) {
        read_page(shopper);
        return;
    }
    snprintf(path, sizeof path, "/buy/%.80s/", run.ordinary_code);
    encode(pass, sizeof pass, shopper->entry->pass);
    encode(email, sizeof email, shopper->entry->email);
    snprintf(body, sizeof body, "pass=%s&idempotency_key=%.64s&quantity=1&contact_email=%s", pass,
             shopper->entry->key, email);
    wire_ask(&shopper->wire, &(struct request){
        .step = BUY,
        .to = &run.web,
        .path = path,
        .client = shopper->entry->address,
        .type = "application/x-www-form-urlencoded",
        .body = body,
    });
}

void shopper_init(struct shopper *shopper, const struct entry *entry)
{
    shopper->entry = entry;
    shopper->started_at = shopper->done_at = NEVER;
    wire_init(&shopper->wire, answered, shopper, &shopper->counts);
    shopper->next = (struct timer){.fire = buy, .owner = shopper};
    run.underway++;
    timer_set(&shopper->next, run.started + entry->at);
}

void shopper_give_up(struct shopper *shopper)
{
    timer_cancel(&shopper->next);
    wire_close(&shopper->wire);
}

void shopper_write_header(FILE *out)
{
    fputs("number\tintended\tstarted\tdone\trefused_with\tretries\ttimeouts\tno_connection\tlost"
          "\tretransmits\tserver_errors\n", out);
}

static void write_moment(FILE *out, micros moment)
{
    if (moment == NEVER)
        fputc('\t', out);
    else
        fprintf(out, "\t%" PRId64, moment - run.started);
}

void shopper_write(FILE *out, size_t number, const struct shopper *shopper)
{
    const struct counts *counts = &shopper->counts;
    fprintf(out, "%zu", number);
    write_moment(out, run.started + shopper->entry->at);
    write_moment(out, shopper->started_at);
    write_moment(out, shopper->done_at);
    fprintf(out, "\t%d\t%u\t%u\t%u\t%u\t%u\t%u\n", shopper->refused_with, shopper->retries, counts->timeouts,
            counts->no_connection, counts->lost, counts->retransmits, counts->server_errors);
}
