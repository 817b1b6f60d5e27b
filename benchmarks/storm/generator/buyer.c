#include "buyer.h"

#include <inttypes.h>
#include <string.h>

#define DOUBLE_CLICK (80 * MILLISECOND)
#define HAMMER_EVERY (100 * MILLISECOND)
#define HAMMER_FOR (3 * SECOND)
#define USUAL_POLL SECOND

static const char *const OUTCOMES[] = {
    "underway", "sold", "abandoned", "refused", "left", "lapsed", "denied", "out_of_time",
};
static const char *const TRUTHS[] = {"", "held", "waiting", "refused"};

static void click(struct buyer *buyer);
static void poll_ticket(struct buyer *buyer);
static void look_at_order(struct buyer *buyer);

static void end_with(struct buyer *buyer, enum outcome outcome)
{
    buyer->outcome = outcome;
    timer_cancel(&buyer->next);
    wire_close(&buyer->shop);
    wire_close(&buyer->provider);
    ended();
}

static void later(struct buyer *buyer, void (*resume)(struct buyer *), micros wait)
{
    bool in_line = resume == click || resume == poll_ticket;
    micros now = now_us();
    if (in_line && buyer->entry->behaviour == HAMMERS && now < buyer->clicked_at + HAMMER_FOR) {
        resume = *buyer->ticket && buyer->hammered++ % 2 ? poll_ticket : click;
        wait = HAMMER_EVERY;
    }
    buyer->resume = resume;
    timer_set(&buyer->next, now + wait);
    wire_spare(&buyer->shop);
}

static void resume(void *owner)
{
    struct buyer *buyer = owner;
    buyer->resume(buyer);
}

static void try_again(struct buyer *buyer, void (*step)(struct buyer *), const struct answer *answer)
{
    buyer->retries++;
    later(buyer, step, backoff(buyer->failures++, answer->retry_after));
}

static void told(struct buyer *buyer, enum truth truth)
{
    if (buyer->truth != NO_TRUTH)
        return;
    buyer->truth = truth;
    buyer->truthful_at = run.last_truthful = now_us();
    run.cpu_at_last_truthful = cpu_us();
    run.truthful++;
}

static void refuse(struct buyer *buyer, struct json reason)
{
    json_text(reason, buyer->refusal, sizeof buyer->refusal);
    told(buyer, TOLD_REFUSED);
    end_with(buyer, REFUSED);
}

static void poll_later(struct buyer *buyer, const struct answer *answer)
{
    micros wait = answer->retry_after == NEVER ? USUAL_POLL : answer->retry_after;
    micros jitter = wait / 4 > 250 * MILLISECOND ? wait / 4 : 250 * MILLISECOND;
    later(buyer, poll_ticket, wait + between(0, jitter));
}

static void hold(struct buyer *buyer, struct json body)
{
    told(buyer, TOLD_HELD);
    json_text(json_member(json_member(body, "order"), "token"), buyer->order, sizeof buyer->order);
    buyer->held_at = now_us();
    run.held++;
    if (buyer->entry->behaviour == ABANDONS)
        end_with(buyer, ABANDONED);
    else
        look_at_order(buyer);
}

static void mind_the_order(struct buyer *buyer, int rank)
{
    buyer->backwards += rank < buyer->rank;
    buyer->rank = rank;
}

/* What the ticket says, whether a click or a poll brought it. */
static void hear(struct buyer *buyer, const struct answer *answer)
{
    struct json body = json_read(answer->body, answer->length);
    struct json status = json_member(body, "status");
    double ahead;
    buyer->failures = 0;
    if (json_is(status, "held")) {
        mind_the_order(buyer, 2);
        hold(buyer, body);
    } else if (json_is(status, "refused")) {
        mind_the_order(buyer, 2);
        refuse(buyer, json_member(body, "reason"));
    } else if (json_is(status, "left")) {
        end_with(buyer, LEFT);
    } else if (json_is(status, "waiting")) {
        mind_the_order(buyer, 1);
        if (json_number(json_member(body, "ahead"), &ahead))
            told(buyer, TOLD_WAITING);
        poll_later(buyer, answer);
    } else if (json_is(status, "queued")) {
        mind_the_order(buyer, 0);
        poll_later(buyer, answer);
    } else {
        end_with(buyer, DENIED);
    }
}

static void note_first(struct buyer *buyer, const struct answer *answer)
{
    if (buyer->first_at != NEVER || answer->failure != ANSWERED)
        return;
    buyer->first_at = now_us();
    snprintf(buyer->first_kind, sizeof buyer->first_kind, "%d", answer->status);
}

static bool is_final_no(const struct answer *answer, struct json *code)
{
    *code = json_member(json_read(answer->body, answer->length), "code");
    return answer->status == 409 && (json_is(*code, "line_full") || json_is(*code, "sold_out"));
}

static void ask_for_ticket(struct buyer *buyer, struct wire *wire)
{
    char body[1024];
    snprintf(body, sizeof body,
             "{\"variant\": \"%s\", \"quantity\": 1, \"contact_email\": \"%s\", \"pass\": \"%s\", "
             "\"idempotency_key\": \"%s\"}",
             run.storm_code, buyer->entry->email, buyer->entry->pass, buyer->entry->key);
    buyer->clicks++;
    wire_ask(wire, &(struct request){
        .step = CLICK,
        .to = &run.hot,
        .path = "/api/v1/tickets/",
        .client = buyer->entry->address,
        .type = "application/json",
        .body = body,
        .again = buyer->unsure,
    });
}

static void click(struct buyer *buyer)
{
    ask_for_ticket(buyer, &buyer->shop);
}

/* As the page sees it: a gateway that has no place for a click says so, any other failure may hide a ticket. */
static bool may_be_taken(const struct answer *answer)
{
    int status = answer->status;
    if (answer->failure != ANSWERED || status == 202)
        return true;
    return (status == 502 || status == 503 || status == 504) && !answer->unheard;
}

static void after_click(struct buyer *buyer, const struct answer *answer)
{
    struct json code;
    char ticket[sizeof buyer->ticket];
    buyer->unsure |= may_be_taken(answer);
    if (answer->status == 202) {
        json_text(json_member(json_read(answer->body, answer->length), "ticket"), ticket, sizeof ticket);
        /* A replay that names another ticket would be a second place in line: kept for the judge. */
        if (!*buyer->ticket)
            memcpy(buyer->ticket, ticket, sizeof ticket);
        else if (strcmp(buyer->ticket, ticket) != 0)
            memcpy(buyer->second_ticket, ticket, sizeof ticket);
        snprintf(buyer->poll_path, sizeof buyer->poll_path, "%.199s", answer->location);
        hear(buyer, answer);
    } else if (is_final_no(answer, &code)) {
        refuse(buyer, code);
    } else if (answer->status == 409 || worth_another_try(answer)) {
        try_again(buyer, click, answer);
    } else {
        end_with(buyer, DENIED);
    }
}

static void second_click(void *owner)
{
    struct buyer *buyer = owner;
    ask_for_ticket(buyer, &buyer->aside);
}

static void after_second_click(struct buyer *buyer, const struct answer *answer)
{
    struct json code;
    if (answer->status == 202) {
        json_text(json_member(json_read(answer->body, answer->length), "ticket"), buyer->second_ticket,
                  sizeof buyer->second_ticket);
        strcpy(buyer->second_kind, "ticket");
    } else if (is_final_no(answer, &code)) {
        json_text(code, buyer->second_kind, sizeof buyer->second_kind);
    } else if (answer->status == 409 || worth_another_try(answer)) {
        buyer->retries++;
        timer_set(&buyer->second, now_us() + backoff(buyer->second_failures++, answer->retry_after));
        return;
    } else {
        snprintf(buyer->second_kind, sizeof buyer->second_kind, "%d", answer->status);
    }
    wire_close(&buyer->aside);
    ended();
}

static void ask_shop(struct buyer *buyer, enum step step, const char *path, const char *body)
{
    wire_ask(&buyer->shop, &(struct request){
        .step = step,
        .to = &run.hot,
        .path = path,
        .client = buyer->entry->address,
        .type = body ? "application/json" : NULL,
        .body = body,
    });
}

static void poll_ticket(struct buyer *buyer)
{
    buyer->polls++;
    ask_shop(buyer, POLL, buyer->poll_path, NULL);
}

static void after_poll(struct buyer *buyer, const struct answer *answer)
{
    if (answer->status == 200) {
        hear(buyer, answer);
    } else if (answer->status == 404) { /* forgotten, not refused: the same click once more */
        buyer->lost_tickets++;
        later(buyer, click, between(0, 250 * MILLISECOND));
    } else if (worth_another_try(answer)) {
        try_again(buyer, poll_ticket, answer);
    } else {
        end_with(buyer, DENIED);
    }
}

static void ask_order(struct buyer *buyer, enum step step, const char *what, const char *body)
{
    char path[120];
    snprintf(path, sizeof path, "/api/v1/orders/%s/%s", buyer->order, what);
    ask_shop(buyer, step, path, body);
}

static void look_at_order(struct buyer *buyer)
{
    ask_order(buyer, buyer->paid_at == NEVER ? ORDER : LOOK, "", NULL);
}

static void start_payment(struct buyer *buyer)
{
    char body[80];
    snprintf(body, sizeof body, "{\"method\": \"%.40s\"}", run.method);
    ask_order(buyer, ATTEMPT, "payments/", body);
}

static void collect_keys(struct buyer *buyer)
{
    ask_order(buyer, KEYS, "keys/", NULL);
}

static void look_later(struct buyer *buyer, struct json body)
{
    double seconds = 1;
    json_number(json_member(body, "next_look"), &seconds);
    later(buyer, look_at_order, (micros)(seconds * 1e6) + between(0, 250 * MILLISECOND));
}

static void after_look(struct buyer *buyer, const struct answer *answer)
{
    struct json body = json_read(answer->body, answer->length);
    struct json status = json_member(body, "status");
    bool unpaid = buyer->paid_at == NEVER;
    if (answer->status != 200) {
        if (worth_another_try(answer))
            try_again(buyer, look_at_order, answer);
        else
            end_with(buyer, DENIED);
        return;
    }
    if (json_true(json_member(body, "has_keys"))) {
        buyer->failures = 0;
        collect_keys(buyer);
    } else if (unpaid && json_true(json_member(body, "can_pay"))) {
        start_payment(buyer); /* which resets the failures once the provider has been paid */
    } else if (unpaid && (json_is(status, "expired") || json_is(status, "cancelled"))) {
        end_with(buyer, LAPSED);
    } else {
        buyer->failures = 0;
        look_later(buyer, body);
    }
}

static void press_pay(struct buyer *buyer)
{
    struct endpoint provider;
    const char *path;
    if (!endpoint_read(buyer->pay_url, &provider, &path)) {
        end_with(buyer, DENIED);
        return;
    }
    wire_ask(&buyer->provider, &(struct request){
        .step = PAY,
        .to = &provider,
        .path = path,
        .type = "application/x-www-form-urlencoded",
        .body = "action=pay",
    });
}

static void after_attempt(struct buyer *buyer, const struct answer *answer)
{
    struct json body = json_read(answer->body, answer->length);
    if (answer->status == 201) {
        json_text(json_member(body, "pay_url"), buyer->pay_url, sizeof buyer->pay_url);
        snprintf(buyer->cookie, sizeof buyer->cookie, "%s", answer->cookie);
        press_pay(buyer);
    } else if (answer->status == 409 || worth_another_try(answer)) {
        try_again(buyer, look_at_order, answer); /* the order tells whether it can still be paid */
    } else {
        end_with(buyer, DENIED);
    }
}

/* The page that the provider sends the browser back to. Nothing hangs on it, so one try will do. */
static void go_back(struct buyer *buyer, const char *location)
{
    struct endpoint shop;
    const char *path;
    if (!endpoint_read(location, &shop, &path)) {
        look_at_order(buyer);
        return;
    }
    wire_ask(&buyer->aside, &(struct request){
        .step = RETURN,
        .to = &shop,
        .path = path,
        .client = buyer->entry->address,
        .cookie = buyer->cookie,
    });
}

static void after_pay(void *owner, const struct answer *answer)
{
    struct buyer *buyer = owner;
    char location[320];
    if (answer->status != 303) {
        try_again(buyer, look_at_order, answer);
        return;
    }
    buyer->paid_at = now_us();
    buyer->failures = 0;
    snprintf(location, sizeof location, "%s", answer->location);
    wire_close(&buyer->provider);
    go_back(buyer, location);
}

static void after_aside(void *owner, const struct answer *answer)
{
    struct buyer *buyer = owner;
    if (answer->step == CLICK) {
        after_second_click(buyer, answer);
        return;
    }
    wire_close(&buyer->aside);
    look_at_order(buyer);
}

static void after_keys(struct buyer *buyer, const struct answer *answer)
{
    struct json line, key, lines = json_member(json_read(answer->body, answer->length), "lines");
    char text[100];
    size_t used = 0;
    for (size_t i = 0; (line = json_element(lines, i)).start; i++)
        for (size_t j = 0; (key = json_element(json_member(line, "keys"), j)).start; j++) {
            json_text(key, text, sizeof text);
            if (used + strlen(text) + 2 < sizeof buyer->keys)
                used += (size_t)sprintf(buyer->keys + used, "%s%s", used ? "," : "", text);
        }
    if (!used && (answer->status == 200 || worth_another_try(answer))) {
        try_again(buyer, collect_keys, answer);
        return;
    }
    if (used) {
        buyer->keys_at = now_us();
        run.sold++;
    }
    end_with(buyer, used ? SOLD : DENIED);
}

static void after_shop(void *owner, const struct answer *answer)
{
    struct buyer *buyer = owner;
    note_first(buyer, answer);
    switch (answer->step) {
    case CLICK:
        after_click(buyer, answer);
        break;
    case POLL:
        after_poll(buyer, answer);
        break;
    case ATTEMPT:
        after_attempt(buyer, answer);
        break;
    case KEYS:
        after_keys(buyer, answer);
        break;
    default:
        after_look(buyer, answer);
    }
}

static void first_click(struct buyer *buyer)
{
    buyer->clicked_at = now_us();
    if (run.first_click == NEVER) {
        run.first_click = buyer->clicked_at;
        run.cpu_at_first_click = cpu_us();
    }
    run.clicked++;
    click(buyer);
}

void buyer_init(struct buyer *buyer, const struct entry *entry)
{
    buyer->entry = entry;
    buyer->clicked_at = buyer->first_at = buyer->truthful_at = NEVER;
    buyer->held_at = buyer->paid_at = buyer->keys_at = NEVER;
    wire_init(&buyer->shop, after_shop, buyer, &buyer->counts);
    wire_init(&buyer->aside, after_aside, buyer, &buyer->counts);
    wire_init(&buyer->provider, after_pay, buyer, &buyer->counts);
    buyer->next = (struct timer){.fire = resume, .owner = buyer};
    buyer->second = (struct timer){.fire = second_click, .owner = buyer};
    buyer->resume = first_click;
    run.underway++;
    timer_set(&buyer->next, run.started + entry->at);
    if (entry->behaviour == CLICKS_TWICE) {
        run.underway++;
        timer_set(&buyer->second, run.started + entry->at + DOUBLE_CLICK);
    }
}

void buyer_give_up(struct buyer *buyer)
{
    if (buyer->outcome == UNDERWAY)
        buyer->outcome = OUT_OF_TIME;
    timer_cancel(&buyer->next);
    timer_cancel(&buyer->second);
    wire_close(&buyer->shop);
    wire_close(&buyer->aside);
    wire_close(&buyer->provider);
}

static void write_moment(FILE *out, micros moment)
{
    if (moment == NEVER)
        fputc('\t', out);
    else
        fprintf(out, "\t%" PRId64, moment - run.started);
}

static void write_counts(FILE *out, const struct counts *counts)
{
    fprintf(out, "\t%u\t%u\t%u\t%u\t%u\t", counts->timeouts, counts->no_connection, counts->lost,
            counts->retransmits, counts->server_errors);
    for (size_t i = 0; i < sizeof counts->statuses / sizeof *counts->statuses; i++)
        if (counts->statuses[i].times)
            fprintf(out, "%s%u:%u", i ? "," : "", counts->statuses[i].status, counts->statuses[i].times);
}

void buyer_write_header(FILE *out)
{
    fputs("number\tbehaviour\tintended\tclicked\tfirst\ttruthful\theld\tpaid\tkeyed\tfirst_kind\ttruth\trefusal"
          "\toutcome\tticket\tsecond_kind\tsecond_ticket\torder\tkeys\tclicks\tpolls\tretries\tlost_tickets"
          "\tbackwards\ttimeouts\tno_connection\tlost\tretransmits\tserver_errors\tstatuses\n", out);
}

void buyer_write(FILE *out, size_t number, const struct buyer *buyer)
{
    fprintf(out, "%zu\t%s", number, BEHAVIOURS[buyer->entry->behaviour]);
    write_moment(out, run.started + buyer->entry->at);
    write_moment(out, buyer->clicked_at);
    write_moment(out, buyer->first_at);
    write_moment(out, buyer->truthful_at);
    write_moment(out, buyer->held_at);
    write_moment(out, buyer->paid_at);
    write_moment(out, buyer->keys_at);
    fprintf(out, "\t%s\t%s\t%s\t%s", buyer->first_kind, TRUTHS[buyer->truth], buyer->refusal,
            OUTCOMES[buyer->outcome]);
    fprintf(out, "\t%s\t%s\t%s\t%s\t%s", buyer->ticket, buyer->second_kind, buyer->second_ticket,
            buyer->order, buyer->keys);
    fprintf(out, "\t%u\t%u\t%u\t%u\t%u", buyer->clicks, buyer->polls, buyer->retries, buyer->lost_tickets,
            buyer->backwards);
    write_counts(out, &buyer->counts);
    fputc('\n', out);
}
