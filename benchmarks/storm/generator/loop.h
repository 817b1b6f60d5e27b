/* One thread, one epoll, and a heap of timers. */
#ifndef LOOP_H
#define LOOP_H

#include <stddef.h>
#include <stdint.h>

/* Microseconds of CLOCK_MONOTONIC, or between two such moments. */
typedef int64_t micros;

#define MILLISECOND ((micros)1000)
#define SECOND ((micros)1000000)
#define NEVER ((micros)-1)

/* Lives inside whatever it wakes. All zero but `fire` and `owner` is a timer at rest. */
struct timer {
    void (*fire)(void *owner);
    void *owner;
    micros at;
    size_t slot; /* its place in the heap, from 1; 0 at rest */
};

/* A file descriptor that is being watched; `fd` is -1 when there is none. */
struct watch {
    void (*ready)(void *owner, uint32_t events);
    void *owner;
    int fd;
    uint32_t events;
    uint64_t since; /* the round of the loop in which the watching began */
};

micros now_us(void);

void timer_set(struct timer *timer, micros at);
void timer_cancel(struct timer *timer);

void watch_start(struct watch *watch, int fd, uint32_t events);
void watch_change(struct watch *watch, uint32_t events);
void watch_stop(struct watch *watch); /* closes the descriptor, too */

void loop_open(void);
void loop_run(void); /* until loop_stop() */
void loop_stop(void);

/* Print `format` and end the program with code 1: the run is impossible, not merely failed. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *allocate(size_t count, size_t size); /* zeroed; never NULL */

#endif
