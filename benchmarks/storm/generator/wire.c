#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_ROOM = 2048, SOURCES = 64 };

micros wire_patience = 30 * SECOND;
size_t wire_files;

bool endpoint_read(const char *url, struct endpoint *endpoint, const char **path)
{
    char host[32] = "";
    unsigned port = 0;
    int used = 0;
    if (sscanf(url, "http://%31[0-9.]:%u%n", host, &port, &used) != 2 || port < 1 || port > 65535)
        return false;
    memset(endpoint, 0, sizeof *endpoint);
    endpoint->address.sin_family = AF_INET;
    endpoint->address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &endpoint->address.sin_addr) != 1)
        return false;
    snprintf(endpoint->authority, sizeof endpoint->authority, "%.20s:%u", host, port);
    if (path)
        *path = url[used] == '/' ? url + used : "/";
    return true;
}

static void count_status(struct counts *counts, int status)
{
    size_t last = sizeof counts->statuses / sizeof *counts->statuses - 1, i = 0;
    while (i < last && counts->statuses[i].status && counts->statuses[i].status != status)
        i++;
    counts->statuses[i].status = (uint16_t)status;
    counts->statuses[i].times++;
    if (status >= 500)
        counts->server_errors++;
}

/* The kernel's own count of what this connection had to send again. */
static void read_retransmits(struct wire *wire, bool connecting)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (wire->watch.fd < 0 || getsockopt(wire->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size))
        return;
    unsigned fresh = info.tcpi_total_retrans - wire->seen_retransmits;
    wire->seen_retransmits = info.tcpi_total_retrans;
    wire->counts->retransmits += fresh;
    tally.retransmits += fresh;
    if (connecting)
        tally.syn_retransmits += fresh;
}

void wire_close(struct wire *wire)
{
    if (wire->watch.fd >= 0) {
        read_retransmits(wire, wire->state == CONNECTING);
        watch_stop(&wire->watch);
        tally.open--;
    }
    timer_cancel(&wire->timer);
    free(wire->in);
    free(wire->out);
    wire->in = wire->out = NULL;
    wire->in_filled = wire->in_room = wire->out_length = 0;
    wire->state = CLOSED;
}

void wire_spare(struct wire *wire)
{
    if (wire->state == IDLE && tally.open > wire_files / 4 * 3)
        wire_close(wire);
}

static struct answer answer_of(struct wire *wire)
{
    struct parser *parser = &wire->parser;
    return (struct answer){
        .step = wire->step,
        .status = parser->status,
        .retry_after = parser->retry_after < 0 ? NEVER : (micros)(parser->retry_after * 1e6),
        .unheard = parser->unheard,
        .location = parser->location,
        .cookie = parser->cookie,
        .body = wire->in + parser->body_at,
        .length = parser->length,
    };
}

static void finish(struct wire *wire)
{
    struct answer answer = answer_of(wire);
    timer_cancel(&wire->timer);
    tally_answer(wire->step, ANSWERED, answer.status, now_us() - wire->asked_at);
    count_status(wire->counts, answer.status);
    if (answer.unheard && answer.status >= 500)
        tally.unheard++;
    wire->state = IDLE;
    if (!wire->parser.keeps_alive) {
        /* The body outlives the connection: the owner has yet to read it. */
        char *body = wire->in;
        wire->in = NULL;
        wire_close(wire);
        wire->in = body;
    }
    wire->answered(wire->owner, &answer);
}

static void fail(struct wire *wire, enum failure failure)
{
    struct answer answer = {.step = wire->step, .failure = failure, .retry_after = NEVER};
    tally_answer(wire->step, failure, 0, now_us() - wire->asked_at);
    wire->counts->timeouts += failure == TIMED_OUT;
    wire->counts->no_connection += failure == NO_CONNECTION;
    wire->counts->lost += failure == CONNECTION_LOST || failure == UNREADABLE;
    wire_close(wire);
    wire->answered(wire->owner, &answer);
}

/* From one source address after the other, the whole of 127/8 being ours: the kernel looks for a free port by
 * trying them, which takes all its time once most of one address's are spent. */
static void choose_source(int fd)
{
    static uint32_t next;
    int yes = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + next++ % SOURCES);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    bind(fd, (struct sockaddr *)&source, sizeof source);
}

/* Failures of this attempt come through the timer, so that no answer comes from within wire_ask(). */
static void refuse_soon(struct wire *wire)
{
    wire->state = CONNECTING;
    timer_set(&wire->timer, 0);
}

static void open_connection(struct wire *wire)
{
    const struct sockaddr_in *to = &wire->to.address;
    tally.connections++;
    wire->reused = false;
    wire->seen_retransmits = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno != EMFILE)
        die("socket: %s", strerror(errno));
    if (fd < 0) {
        tally.starved++;
        refuse_soon(wire);
        return;
    }
    choose_source(fd);
    int refused = connect(fd, (const struct sockaddr *)to, sizeof *to);
    if (refused && errno != EINPROGRESS) {
        close(fd);
        refuse_soon(wire);
        return;
    }
    if (++tally.open > tally.most_open)
        tally.most_open = tally.open;
    wire->state = CONNECTING;
    watch_start(&wire->watch, fd, EPOLLOUT);
}

static void start_over(struct wire *wire)
{
    wire->out_sent = wire->in_filled = 0;
    memset(&wire->parser, 0, sizeof wire->parser);
}

/* On a connection kept alive, an end before the first byte only means that the server tired of it. */
static void lost(struct wire *wire)
{
    if (!wire->reused || wire->in_filled) {
        fail(wire, wire->state == CONNECTING ? NO_CONNECTION : CONNECTION_LOST);
        return;
    }
    tally.stale++;
    read_retransmits(wire, false);
    watch_stop(&wire->watch);
    tally.open--;
    start_over(wire);
    open_connection(wire);
}

static void send_more(struct wire *wire)
{
    while (wire->out_sent < wire->out_length) {
        ssize_t sent = send(wire->watch.fd, wire->out + wire->out_sent, wire->out_length - wire->out_sent,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch_change(&wire->watch, EPOLLOUT);
            return;
        }
        if (sent < 0 && errno != EINTR) {
            lost(wire);
            return;
        }
        if (sent > 0)
            wire->out_sent += (size_t)sent;
    }
    wire->state = RECEIVING;
    watch_change(&wire->watch, EPOLLIN);
}

static void connected(struct wire *wire)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(wire->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(wire, NO_CONNECTION);
        return;
    }
    read_retransmits(wire, true);
    wire->state = SENDING;
    send_more(wire);
}

static void make_room(struct wire *wire)
{
    if (wire->in_room - wire->in_filled >= FIRST_ROOM / 2)
        return;
    wire->in_room = wire->in_room ? 2 * wire->in_room : FIRST_ROOM;
    wire->in = realloc(wire->in, wire->in_room);
    if (!wire->in)
        die("out of memory");
}

static void receive(struct wire *wire)
{
    while (1) {
        make_room(wire);
        size_t room = wire->in_room - wire->in_filled;
        ssize_t got = recv(wire->watch.fd, wire->in + wire->in_filled, room, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        bool ended = got <= 0;
        if (got > 0)
            wire->in_filled += (size_t)got;
        if (got < 0 || (ended && !wire->in_filled)) {
            lost(wire);
            return;
        }
        enum verdict verdict = parser_feed(&wire->parser, wire->in, wire->in_filled, ended);
        if (verdict == COMPLETE)
            finish(wire);
        else if (verdict == BROKEN)
            fail(wire, ended ? CONNECTION_LOST : UNREADABLE);
        else if ((size_t)got == room)
            continue;
        return; /* a short read has emptied the socket; epoll calls again */
    }
}

static void ready(void *owner, uint32_t events)
{
    struct wire *wire = owner;
    (void)events; /* send() and recv() say better what is the matter */
    switch (wire->state) {
    case CONNECTING:
        connected(wire);
        break;
    case SENDING:
        send_more(wire);
        break;
    case RECEIVING:
        receive(wire);
        break;
    default: /* closed by the server while idle, or it talks unasked */
        wire_close(wire);
    }
}

static void out_of_patience(void *owner)
{
    struct wire *wire = owner;
    bool never_left = wire->state == CONNECTING && wire->watch.fd < 0;
    fail(wire, never_left ? NO_CONNECTION : TIMED_OUT);
}

void wire_init(struct wire *wire, void (*answered)(void *, const struct answer *), void *owner,
               struct counts *counts)
{
    wire->answered = answered;
    wire->owner = owner;
    wire->counts = counts;
    wire->watch = (struct watch){.ready = ready, .owner = wire, .fd = -1};
    wire->timer = (struct timer){.fire = out_of_patience, .owner = wire};
}

static char *head_and_body(const struct request *request, size_t *length)
{
    char *text = NULL;
    char client[80] = "", cookie[200] = "", body[120] = "";
    if (request->client)
        snprintf(client, sizeof client, "X-Forwarded-For: %s\r\n", request->client);
    if (request->cookie && *request->cookie)
        snprintf(cookie, sizeof cookie, "Cookie: %s\r\n", request->cookie);
    if (request->type)
        snprintf(body, sizeof body, "Content-Type: %s\r\nContent-Length: %zu\r\n", request->type,
                 strlen(request->body));
    int size = asprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: storm\r\nAccept: */*\r\n%s%s%s%s\r\n%s",
                        request->type ? "POST" : "GET", request->path, request->to->authority,
                        request->again ? "X-Click: again\r\n" : "", client, cookie, body,
                        request->type ? request->body : "");
    if (size < 0)
        die("out of memory");
    *length = (size_t)size;
    return text;
}

void wire_ask(struct wire *wire, const struct request *request)
{
    if (wire->state != IDLE || strcmp(wire->to.authority, request->to->authority) != 0)
        wire_close(wire);
    free(wire->out);
    wire->out = head_and_body(request, &wire->out_length);
    wire->to = *request->to;
    wire->step = request->step;
    wire->asked_at = now_us();
    start_over(wire);
    timer_set(&wire->timer, wire->asked_at + wire_patience);
    if (wire->state == IDLE) {
        wire->reused = true;
        wire->state = SENDING;
        send_more(wire); /* keeps the promise: what fails here is stale, and asked again */
    } else {
        open_connection(wire);
    }
}
