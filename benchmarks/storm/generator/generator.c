/* The storm: buyers who click when the plan says, whatever the shop answers. See README of benchmarks. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "buyer.h"
#include "shopper.h"

enum { LONGEST_RUN = 3600 /* seconds */, TELL_EVERY = 5 /* seconds */ };
/* Above this share of a core the generator itself may be what was measured. */
#define VOID_SHARE 0.70
#define VOID_CODE 2

struct options {
    const char *plan, *buyers, *shoppers, *totals;
    double deadline;
};

static struct options options = {.deadline = 240};
static struct buyer *buyers;
static struct shopper *shoppers;
static size_t buyer_count, shopper_count;

/* CPU time used by the end of each second since the start. */
static micros cpu_by_second[LONGEST_RUN + 1];
static size_t seconds;
static struct timer every_second, at_the_end;

static void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        die("getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("setrlimit: %s", strerror(errno));
    wire_files = limit.rlim_max;
}

static void second_over(void *owner)
{
    (void)owner;
    if (seconds < LONGEST_RUN)
        cpu_by_second[++seconds] = cpu_us();
    if (seconds % TELL_EVERY == 0 && run.clicked)
        fprintf(stderr, "  %4zu s: clicked %zu, told the truth %zu, held %zu, keys %zu\n", seconds,
                run.clicked, run.truthful, run.held, run.sold);
    timer_set(&every_second, run.started + (micros)(seconds + 1) * SECOND);
}

static void deadline_reached(void *owner)
{
    (void)owner;
    loop_stop();
}

static void interrupted(int number)
{
    (void)number;
    loop_stop(); /* the loop looks within a second; what was measured is written */
}

static void people(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        *(plan->entries[i].kind == STORM ? &buyer_count : &shopper_count) += 1;
    buyers = allocate(buyer_count, sizeof *buyers);
    shoppers = allocate(shopper_count, sizeof *shoppers);
    buyer_count = shopper_count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct entry *entry = &plan->entries[i];
        if (entry->kind == STORM)
            buyer_init(&buyers[buyer_count++], entry);
        else
            shopper_init(&shoppers[shopper_count++], entry);
    }
}

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        die("%s: %s", path, strerror(errno));
    return file;
}

static void finish_file(FILE *file, const char *path)
{
    if (ferror(file) | fclose(file))
        die("%s: cannot be written", path);
}

static void write_people(void)
{
    FILE *out = create(options.buyers);
    buyer_write_header(out);
    for (size_t i = 0; i < buyer_count; i++)
        buyer_write(out, i, &buyers[i]);
    finish_file(out, options.buyers);
    out = create(options.shoppers);
    shopper_write_header(out);
    for (size_t i = 0; i < shopper_count; i++)
        shopper_write(out, i, &shoppers[i]);
    finish_file(out, options.shoppers);
}

/* From the first click to the last first truthful answer: when being slow would show in the figures. */
static double busy_share(void)
{
    micros wall = run.last_truthful - run.first_click;
    if (run.first_click == NEVER || run.last_truthful == NEVER || wall <= 0)
        return 0;
    return (double)(run.cpu_at_last_truthful - run.cpu_at_first_click) / (double)wall;
}

static bool is_void(void)
{
    return busy_share() > VOID_SHARE || tally.starved;
}

static double busiest_second(void)
{
    micros most = 0;
    for (size_t i = 1; i <= seconds; i++)
        if (cpu_by_second[i] - cpu_by_second[i - 1] > most)
            most = cpu_by_second[i] - cpu_by_second[i - 1];
    return (double)most / (double)SECOND;
}

static micros latest_start(void)
{
    micros worst = 0;
    for (size_t i = 0; i < buyer_count; i++) {
        micros lag = buyers[i].clicked_at - run.started - buyers[i].entry->at;
        if (buyers[i].clicked_at != NEVER && lag > worst)
            worst = lag;
    }
    return worst;
}

static void write_seconds(FILE *out)
{
    fprintf(out, "\"cpu_by_second\": [");
    for (size_t i = 1; i <= seconds; i++)
        fprintf(out, "%s%.3f", i > 1 ? ", " : "", (double)(cpu_by_second[i] - cpu_by_second[i - 1]) / 1e6);
    fprintf(out, "],\n");
}

static void write_totals(micros cpu, micros over)
{
    FILE *out = create(options.totals);
    fprintf(out, "{\"started_monotonic_s\": %.6f, \"wall_s\": %.6f, \"cpu_s\": %.6f,\n",
            (double)run.started / 1e6, (double)(over - run.started) / 1e6, (double)cpu / 1e6);
    fprintf(out, "\"first_click_s\": %.6f, \"last_truthful_s\": %.6f,\n",
            run.first_click == NEVER ? -1 : (double)(run.first_click - run.started) / 1e6,
            run.last_truthful == NEVER ? -1 : (double)(run.last_truthful - run.started) / 1e6);
    fprintf(out, "\"busy_share\": %.4f, \"busiest_second\": %.4f, \"overall_share\": %.4f,\n", busy_share(),
            busiest_second(), (double)cpu / (double)(over - run.started));
    fprintf(out, "\"latest_start_s\": %.6f, \"void\": %s,\n", (double)latest_start() / 1e6,
            is_void() ? "true" : "false");
    write_seconds(out);
    tally_write(out);
    fprintf(out, "}\n");
    finish_file(out, options.totals);
}

static void usage(const char *name)
{
    die("usage: %s --plan FILE --buyers FILE --shoppers FILE --totals FILE --hot URL --web URL\n"
        "  --storm-code CODE --ordinary-code CODE [--method alipay] [--deadline 240] [--patience 30]\n"
        "  [--first-backoff 0.25] [--longest-backoff 8] [--seed 1]   (times in seconds)", name);
}

static void read_endpoint(const char *url, struct endpoint *endpoint)
{
    if (!endpoint_read(url, endpoint, NULL))
        die("%s: not like http://127.0.0.1:8000", url);
}

static void read_options(int count, char **arguments)
{
    static const struct option names[] = {
        {"plan", 1, NULL, 'p'},       {"buyers", 1, NULL, 'b'},        {"shoppers", 1, NULL, 's'},
        {"totals", 1, NULL, 't'},     {"hot", 1, NULL, 'h'},           {"web", 1, NULL, 'w'},
        {"storm-code", 1, NULL, 'c'}, {"ordinary-code", 1, NULL, 'o'}, {"method", 1, NULL, 'n'},
        {"deadline", 1, NULL, 'd'},   {"patience", 1, NULL, 'x'},      {"seed", 1, NULL, 'r'},
        {"first-backoff", 1, NULL, 'f'}, {"longest-backoff", 1, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    int name;
    run.method = "alipay";
    srand48(1);
    while ((name = getopt_long(count, arguments, "", names, NULL)) != -1)
        switch (name) {
        case 'p': options.plan = optarg; break;
        case 'b': options.buyers = optarg; break;
        case 's': options.shoppers = optarg; break;
        case 't': options.totals = optarg; break;
        case 'h': read_endpoint(optarg, &run.hot); break;
        case 'w': read_endpoint(optarg, &run.web); break;
        case 'c': run.storm_code = optarg; break;
        case 'o': run.ordinary_code = optarg; break;
        case 'n': run.method = optarg; break;
        case 'd': options.deadline = atof(optarg); break;
        case 'x': wire_patience = (micros)(atof(optarg) * 1e6); break;
        case 'r': srand48(atol(optarg)); break;
        case 'f': run.first_backoff = (micros)(atof(optarg) * 1e6); break;
        case 'l': run.longest_backoff = (micros)(atof(optarg) * 1e6); break;
        default: usage(arguments[0]);
        }
    bool complete = options.plan && options.buyers && options.shoppers && options.totals;
    if (!complete || !run.storm_code || !run.ordinary_code || !*run.hot.authority || !*run.web.authority)
        usage(arguments[0]);
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    struct plan plan = plan_read(options.plan);
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
    loop_open();

    raise_open_files();
    run.started = now_us() + 100 * MILLISECOND + (micros)plan.count * 10; /* all timers are set by then */
    people(&plan);
    every_second = (struct timer){.fire = second_over};
    at_the_end = (struct timer){.fire = deadline_reached};
    timer_set(&every_second, run.started + SECOND);
    timer_set(&at_the_end, run.started + (micros)(options.deadline * 1e6));
    if (run.underway)
        loop_run();

    micros over = now_us(), cpu = cpu_us();
    for (size_t i = 0; i < buyer_count; i++)
        buyer_give_up(&buyers[i]);
    for (size_t i = 0; i < shopper_count; i++)
        shopper_give_up(&shoppers[i]);
    write_people();
    write_totals(cpu, over);
    if (busy_share() > VOID_SHARE)
        fprintf(stderr, "\n  *** VOID: the generator took %.0f %% of a core while it mattered (at most %.0f) ***\n\n",
                100 * busy_share(), 100 * VOID_SHARE);
    if (tally.starved)
        fprintf(stderr, "\n  *** VOID: %" PRIu64 " connections were wanted beyond the %zu files there are ***\n\n",
                tally.starved, wire_files);
    return is_void() ? VOID_CODE : 0;
}
