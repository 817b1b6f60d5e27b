#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_A_ROUND = 512, LONGEST_NAP_MS = 1000 };

static int epoll = -1;
static volatile sig_atomic_t running; /* a signal may stop the loop */
static uint64_t current_round;

static struct timer **heap; /* heap[1] is the next to fire */
static size_t heap_used, heap_room;

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("generator: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        die("out of memory");
    return memory;
}

micros now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec / 1000;
}

static void put(struct timer *timer, size_t slot)
{
    heap[slot] = timer;
    timer->slot = slot;
}

static void rise(struct timer *timer, size_t slot)
{
    for (; slot > 1 && heap[slot / 2]->at > timer->at; slot /= 2)
        put(heap[slot / 2], slot);
    put(timer, slot);
}

static void sink(struct timer *timer, size_t slot)
{
    size_t child;
    while ((child = 2 * slot) <= heap_used) {
        if (child < heap_used && heap[child + 1]->at < heap[child]->at)
            child++;
        if (timer->at <= heap[child]->at)
            break;
        put(heap[child], slot);
        slot = child;
    }
    put(timer, slot);
}

void timer_cancel(struct timer *timer)
{
    size_t slot = timer->slot;
    if (!slot)
        return;
    struct timer *last = heap[heap_used--];
    timer->slot = 0;
    if (last == timer)
        return;
    if (slot > 1 && last->at < heap[slot / 2]->at)
        rise(last, slot);
    else
        sink(last, slot);
}

void timer_set(struct timer *timer, micros at)
{
    timer_cancel(timer);
    if (heap_used + 1 >= heap_room) {
        heap_room = heap_room ? 2 * heap_room : 1024;
        heap = realloc(heap, heap_room * sizeof *heap);
        if (!heap)
            die("out of memory");
    }
    timer->at = at;
    rise(timer, ++heap_used);
}

void watch_start(struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    watch->fd = fd;
    watch->events = events;
    watch->since = current_round;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll: %s", strerror(errno));
}

void watch_change(struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (watch->events == events)
        return;
    watch->events = events;
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, watch->fd, &event))
        die("epoll: %s", strerror(errno));
}

void watch_stop(struct watch *watch)
{
    if (watch->fd < 0)
        return;
    close(watch->fd); /* which ends the watching */
    watch->fd = -1;
}

void loop_open(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll: %s", strerror(errno));
}

void loop_stop(void)
{
    running = 0;
}

static void fire_due_timers(void)
{
    micros now = now_us();
    while (running && heap_used && heap[1]->at <= now) {
        struct timer *due = heap[1];
        timer_cancel(due);
        due->fire(due->owner);
    }
}

/* Whole milliseconds, rounded up: rounding down would spin through the last one. */
static int nap_ms(void)
{
    if (!heap_used)
        return LONGEST_NAP_MS;
    micros left = heap[1]->at - now_us();
    if (left <= 0)
        return 0;
    return left > LONGEST_NAP_MS * MILLISECOND ? LONGEST_NAP_MS : (int)((left + 999) / 1000);
}

void loop_run(void)
{
    struct epoll_event events[EVENTS_A_ROUND];
    for (running = 1; running;) {
        fire_due_timers();
        if (!running)
            break;
        int count = epoll_wait(epoll, events, EVENTS_A_ROUND, nap_ms());
        if (count < 0 && errno != EINTR)
            die("epoll: %s", strerror(errno));
        current_round++;
        for (int i = 0; i < count && running; i++) {
            struct watch *watch = events[i].data.ptr;
            /* Closed, or closed and opened again, by an earlier event of this very round. */
            if (watch->fd < 0 || watch->since == current_round)
                continue;
            watch->ready(watch->owner, events[i].events);
        }
    }
}
