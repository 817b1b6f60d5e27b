/* A closed load of keep-alive connections over one epoll: each sends its next request as soon as the
 * answer to the one before is whole. Cheap beside any server that it measures.
 *
 *   load PORT CONNECTIONS WARM-UP SECONDS FILE FIRST
 *
 * FILE holds whole requests, each after its length (4 bytes, little endian). They are sent in order from
 * number FIRST on, none twice; the run ends early when they run out. Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_ANSWER = 65536, MOST_EVENTS = 256, STATUSES = 600 };

typedef struct {
    int fd;
    const char *request;
    size_t length, sent, received;
    double began;
    char answer[LONGEST_ANSWER];
} Connection;

static const char *requests, *requests_end; /* the next one, and where they end */
static struct sockaddr_in server;
static double counting_from, counting_until, last_answer;
static long counted[STATUSES], lost, sent_in_all;
static float *latencies; /* seconds */
static size_t measured, most_measured;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void map_requests(const char *path, long first) {
    int fd = open(path, O_RDONLY);
    struct stat seen;
    if (fd < 0 || fstat(fd, &seen) < 0) die(path);
    requests = mmap(NULL, seen.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (requests == MAP_FAILED) die(path);
    requests_end = requests + seen.st_size;
    for (uint32_t length; first-- > 0 && requests < requests_end; requests += sizeof length + length)
        memcpy(&length, requests, sizeof length);
}

/* The next request into the connection; 0 when there is none. */
static int take_request(Connection *c) {
    uint32_t length;
    if (requests >= requests_end) return 0;
    memcpy(&length, requests, sizeof length);
    c->request = requests + sizeof length;
    c->length = length;
    c->sent = c->received = 0;
    requests = c->request + length;
    sent_in_all++;
    c->began = now();
    return 1;
}

static void open_connection(Connection *c, int poll) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
}

/* Requests are small: what the socket does not take at once is an error worth hearing of. */
static void send_request(Connection *c) {
    ssize_t n = send(c->fd, c->request, c->length, MSG_NOSIGNAL);
    c->sent = n < 0 ? 0 : (size_t)n;
    if (c->sent != c->length) lost++;
}

/* The status once the answer is whole, 0 while it is not, -1 for one that cannot be read. */
static int answered(Connection *c) {
    c->answer[c->received] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return c->received == LONGEST_ANSWER - 1 ? -1 : 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (length && length < end) {
        if (c->received < (size_t)(end + 4 - c->answer) + strtoul(length + 17, NULL, 10)) return 0;
    } else if (strcasestr(c->answer, "\r\ntransfer-encoding: chunked")) {
        if (memcmp(c->answer + c->received - 7, "\r\n0\r\n\r\n", 7)) return 0;
    } else {
        return -1;
    }
    int status = atoi(c->answer + 9);
    return status > 0 && status < STATUSES ? status : -1;
}

static void count(Connection *c, int status) {
    last_answer = now();
    if (last_answer < counting_from || last_answer > counting_until) return;
    counted[status]++;
    if (measured < most_measured) latencies[measured++] = last_answer - c->began;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(double part) {
    return measured ? latencies[(size_t)(part * (measured - 1))] : 0;
}

static void report(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    double end = last_answer < counting_until ? last_answer : counting_until;
    qsort(latencies, measured, sizeof *latencies, by_size);
    printf("{\"seconds\": %.4f, \"sent\": %ld, \"lost\": %ld, \"cpu_s\": %.3f, ", end - counting_from, sent_in_all, lost, cpu);
    printf("\"p50_s\": %.6f, \"p99_s\": %.6f, \"statuses\": {", percentile(0.5), percentile(0.99));
    const char *comma = "";
    for (int status = 0; status < STATUSES; status++)
        if (counted[status]) printf("%s\"%d\": %ld", comma, status, counted[status]), comma = ", ";
    printf("}}\n");
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: load PORT CONNECTIONS WARM-UP SECONDS FILE FIRST\n");
        return 2;
    }
    int connections = atoi(argv[2]), open = connections;
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    map_requests(argv[5], atol(argv[6]));
    most_measured = 1 << 22;
    latencies = calloc(most_measured, sizeof *latencies);
    Connection *all = calloc(connections, sizeof *all);
    int poll = epoll_create1(0);
    if (!latencies || !all || poll < 0) die("start");

    counting_from = now() + atof(argv[3]);
    counting_until = counting_from + atof(argv[4]);
    for (int i = 0; i < connections; i++) {
        open_connection(&all[i], poll);
        if (take_request(&all[i])) send_request(&all[i]);
    }
    struct epoll_event events[MOST_EVENTS];
    while (open > 0) {
        int ready = epoll_wait(poll, events, MOST_EVENTS, 10000);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        if (ready == 0) break; /* the server hangs; what is missing shows in the figures */
        for (int i = 0; i < ready; i++) {
            Connection *c = events[i].data.ptr;
            ssize_t n = recv(c->fd, c->answer + c->received, LONGEST_ANSWER - 1 - c->received, 0);
            if (n < 0 && errno == EAGAIN) continue;
            int status = 0;
            if (n > 0) {
                c->received += n;
                if (!(status = answered(c))) continue;
            }
            if (status > 0) {
                count(c, status);
            } else { /* closed in the middle, or beyond understanding: begin anew */
                lost++;
                close(c->fd);
                open_connection(c, poll);
            }
            if (last_answer < counting_until && take_request(c)) send_request(c);
            else close(c->fd), open--;
        }
    }
    report();
    return 0;
}
