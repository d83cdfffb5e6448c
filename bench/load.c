/* A load client: one thread, one epoll, thousands of connections, and per frame much cheaper than any server.

   load MODE --port P --people FILE --count N [--name value ...]

     connect  open N sockets and hold them for --seconds
     fanout   publish to N sockets: --outstanding at a time, or at --rate per second
     send     N sockets call message.send, each again as soon as it was answered
     poll     park N long-polls, publish --rounds times; each is parked again when it was answered
     presence N people come, each to watch --watched others; --leaving of them drop and come back, then say goodbye and
              come back; then all drop and come back. The result has what was told in each stage

   A line of FILE is a person: their id, a channel's id and a header ("1 7 Authorization: Bearer ..."), "-" for none.
   Each event must bear the seq that follows the last one of its connection, and a moment in its body: "~" and 16 hex
   digits of CLOCK_MONOTONIC.

   It writes "phase NAME" and waits for a line, so that the caller reads the server's clocks at that moment. The last
   line is "result {...}", or "error ..." and an exit code of 1. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define READ_BYTES (1 << 20)
#define CONNECTING_AT_ONCE 64
#define MOST_OUTSTANDING 512 /* An open loop that is so far behind measures a queue. */
#define STALLED (15 * SECOND)

#define EVENT "{\"type\":\"event\",\"seq\":"
#define STAMP "\"body\":\"~"
#define STAMP_DIGITS 16
#define LENGTH(literal) (sizeof(literal) - 1)

enum kind { SOCKET, POLL, POST };
enum state { CONNECTING, ASKED, GREETING, OPEN, LEAVING, GONE };

struct person {
    uint64_t user;
    char *channel;
    char *header;
};

struct connection {
    enum kind kind;
    enum state state;
    int fd;
    struct person *person;
    char *rest; /* the beginning of something whose end has not come */
    size_t rest_length;
    bool has_seq;
    uint64_t seq;
    uint64_t events;
    uint64_t called_at; /* 0 when no call waits for its answer */
    char cursor[400];   /* what the next request has to bring */
    uint64_t left_at;
    bool missed; /* somebody was told that they went */
};

static struct {
    const char *mode, *people, *path, *publish_path, *style;
    int port, count, publishers, outstanding, size, rounds, recipients, hello, watched, leaving, everybody;
    double rate, seconds, warm_up, limit, nap;
} asked = {
    .path = "/ws/user/me", .publish_path = "/publish", .style = "call", .count = 1, .publishers = 1, .outstanding = 1,
    .size = 300, .rounds = 1, .recipients = 1, .seconds = 1, .warm_up = 0.5, .limit = 120,
};

static int epoll;
static struct person *people;
static int people_count;
static struct connection *connections;
static struct connection **publishers;
static char buffer[READ_BYTES];

static uint64_t published, delivered, others, calls, replies, refused, frames, bytes, event_bytes, holes;
static uint64_t answered_polls, opened, connecting, last_progress_at, last_event_at, send_until;
static uint64_t presences, presence_bytes, resumed;
static bool closed_loop_of_calls, of_presence;

/* --- Small things ------------------------------------------------------------------------------------------------- */

static void fail(const char *why, ...)
{
    va_list values;
    va_start(values, why);
    fputs("error ", stdout);
    vprintf(why, values);
    putchar('\n');
    va_end(values);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (uint64_t)moment.tv_sec * SECOND + (uint64_t)moment.tv_nsec;
}

static void phase(const char *name)
{
    char line[16];
    printf("phase %s\n", name);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
    last_progress_at = now();
}

static void *grown(void *old, size_t size)
{
    void *new = realloc(old, size);
    if (!new)
        fail("no memory");
    return new;
}

/* --- Latencies: 32 buckets per doubling, so at most 3 % wrong ------------------------------------------------------- */

#define PER_DOUBLING 32
static uint64_t buckets[64 * PER_DOUBLING], samples;

static void sample(uint64_t nanoseconds)
{
    uint64_t value = nanoseconds / 100 + PER_DOUBLING;
    int doubling = 63 - __builtin_clzll(value);
    buckets[doubling * PER_DOUBLING + (int)((value << 5 >> doubling) & (PER_DOUBLING - 1))]++;
    samples++;
}

static double percentile(double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)samples * share);
    for (int bucket = 0; bucket < 64 * PER_DOUBLING; bucket++) {
        seen += buckets[bucket];
        if (seen > wanted) {
            int doubling = bucket / PER_DOUBLING;
            double value = (1.0 + (bucket % PER_DOUBLING) / (double)PER_DOUBLING) * (double)(1ull << doubling);
            return (value - PER_DOUBLING) / 10000; /* from 100 ns to ms */
        }
    }
    return 0;
}

/* --- Writing -------------------------------------------------------------------------------------------------------- */

static void write_all(struct connection *to, const char *data, size_t length)
{
    while (length) {
        ssize_t written = write(to->fd, data, length);
        if (written < 0) {
            if (errno != EAGAIN && errno != EINTR)
                fail("connection %d: %s", (int)(to - connections), strerror(errno));
            poll(&(struct pollfd){.fd = to->fd, .events = POLLOUT}, 1, 100);
            continue;
        }
        data += written;
        length -= (size_t)written;
    }
}

/* A masked frame, as RFC 6455 section 5.3 wants it of clients; a mask of zeroes leaves the text as it is. */
static void write_frame(struct connection *to, int opcode, const char *text, size_t length)
{
    char frame[8192];
    size_t head = 2;
    frame[0] = (char)(0x80 | opcode);
    if (length < 126) {
        frame[1] = (char)(0x80 | length);
    } else {
        frame[1] = (char)(0x80 | 126);
        frame[2] = (char)(length >> 8);
        frame[3] = (char)length;
        head = 4;
    }
    memset(frame + head, 0, 4);
    head += 4;
    if (head + length > sizeof frame)
        fail("a frame of %zu bytes is too long", length);
    memcpy(frame + head, text, length);
    write_all(to, frame, head + length);
}

static void ask(struct connection *to)
{
    char request[2048];
    int length;
    if (to->kind == SOCKET)
        length = snprintf(request, sizeof request,
                          "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                          asked.path, to->cursor, asked.port, to->person->header);
    else if (!strcmp(asked.style, "post")) /* nchan: the cursor is in two headers */
        length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", asked.path, to->cursor);
    else
        length = snprintf(request, sizeof request, "GET %s?wait=50%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", asked.path,
                          to->cursor, asked.port, to->person->header);
    write_all(to, request, (size_t)length);
    to->state = ASKED;
}

/* Publish what bears this moment, over a connection, in the way that its server understands. */
static void publish(struct connection *over, uint64_t moment)
{
    char text[4096];
    int length;
    if (!strcmp(asked.style, "call")) {
        length = snprintf(text, sizeof text,
                          "{\"type\":\"call\",\"ref\":\"r%" PRIu64 "\",\"method\":\"message.send\",\"params\":{\"channel_id\":%s,"
                          "\"body\":\"~%016" PRIx64 "\",\"client_msg_id\":\"%" PRIx64 "-%d\"}}",
                          calls++, over->person->channel, moment, moment, (int)(over - connections));
        over->called_at = moment;
    } else {
        length = snprintf(text, sizeof text, EVENT "%" PRIu64 ",\"event\":\"message.created\",\"body\":\"~%016" PRIx64,
                          published + 1, moment);
        if (asked.size + 2 > (int)sizeof text)
            fail("--size is at most %zu", sizeof text - 2);
        while (length < asked.size - 2)
            text[length++] = '.';
        text[length++] = '"';
        text[length++] = '}';
    }
    published++;
    if (over->kind != POST) {
        write_frame(over, 1, text, (size_t)length);
        return;
    }
    char head[512];
    int head_length = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n",
                               asked.publish_path, length);
    write_all(over, head, (size_t)head_length);
    write_all(over, text, (size_t)length);
}

/* --- Reading -------------------------------------------------------------------------------------------------------- */

static bool find(const char *text, size_t length, const char *name, char *value, size_t room);
static void take_presence(struct connection *from, const char *event, const char *end);
static void watch(struct connection *over);
static void gone(struct connection *which);

static void take_event(struct connection *from, const char *event, const char *end)
{
    uint64_t seq = strtoull(event + LENGTH(EVENT), NULL, 10);
    if (from->has_seq && seq != from->seq + 1 && holes++ == 0)
        fprintf(stderr, "connection %d: seq %" PRIu64 " came after %" PRIu64 "\n", (int)(from - connections), seq, from->seq);
    from->has_seq = true;
    from->seq = seq;
    if (of_presence) {
        take_presence(from, event, end);
        return;
    }
    const char *stamp = memmem(event, (size_t)(end - event), STAMP, LENGTH(STAMP));
    if (!stamp) {
        others++;
        return;
    }
    char digits[STAMP_DIGITS + 1] = {0};
    memcpy(digits, stamp + LENGTH(STAMP), STAMP_DIGITS);
    uint64_t sent_at = strtoull(digits, NULL, 16);
    last_progress_at = last_event_at = now();
    if (from - connections >= asked.count)
        return; /* a publisher beside those that are measured */
    if (!closed_loop_of_calls)
        sample(last_event_at > sent_at ? last_event_at - sent_at : 0);
    delivered++;
    from->events++;
    event_bytes += (uint64_t)(end - event);
}

/* All events in an array. The literal cannot be inside a string, where its quotes would be escaped. */
static void take_events(struct connection *from, const char *text, const char *end)
{
    const char *event = memmem(text, (size_t)(end - text), EVENT, LENGTH(EVENT));
    while (event) {
        const char *after = event + LENGTH(EVENT);
        const char *next = memmem(after, (size_t)(end - after), EVENT, LENGTH(EVENT));
        take_event(from, event, next ? next - 1 : end);
        event = next;
    }
}

static bool begins(const char *text, size_t length, const char *with)
{
    return length >= strlen(with) && !memcmp(text, with, strlen(with));
}

/* The string or number after `"name":` in text, without its quotes, into `value`. */
static bool find(const char *text, size_t length, const char *name, char *value, size_t room)
{
    char key[40];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = memmem(text, length, key, strlen(key));
    if (!at)
        return false;
    at += strlen(key);
    at += *at == '"';
    size_t used = 0;
    while (at < text + length && !strchr("\",}", *at) && used + 1 < room)
        value[used++] = *at++;
    value[used] = 0;
    return true;
}

static void answered(struct connection *from)
{
    if (from->called_at && closed_loop_of_calls)
        sample(now() - from->called_at);
    from->called_at = 0;
    last_progress_at = now();
    if (closed_loop_of_calls && last_progress_at < send_until)
        publish(from, last_progress_at);
}

static void is_open(struct connection *which)
{
    which->state = OPEN;
    opened++;
    connecting--;
    last_progress_at = now();
}

static void take_text(struct connection *from, const char *text, size_t length)
{
    if (begins(text, length, EVENT)) {
        take_event(from, text, text + length);
    } else if (*text == '[') {
        take_events(from, text, text + length);
    } else if (begins(text, length, "{\"type\":\"reply\"")) {
        replies++;
        answered(from);
    } else if (begins(text, length, "{\"type\":\"hello\"")) {
        char seq[24] = "0";
        find(text, length, "seq", seq, sizeof seq);
        char mode[16] = "";
        find(text, length, "mode", mode, sizeof mode);
        resumed += !strcmp(mode, "resumed");
        from->seq = strtoull(seq, NULL, 10);
        from->has_seq = true;
        if (from->state == GREETING)
            is_open(from);
        if (of_presence) {
            char session[80] = "", epoch[40] = "";
            find(text, length, "session", session, sizeof session);
            find(text, length, "epoch", epoch, sizeof epoch);
            snprintf(from->cursor, sizeof from->cursor, "?session=%s&epoch=%s", session, epoch);
            watch(from);
        }
    } else if (begins(text, length, "{\"type\":\"ping\"")) {
        write_frame(from, 1, "{\"type\":\"pong\"}", LENGTH("{\"type\":\"pong\"}"));
    } else if (begins(text, length, "{\"type\":\"error\"")) {
        if (refused++ == 0)
            fprintf(stderr, "refused: %.*s\n", (int)length, text);
        answered(from);
    }
}

/* The bytes that were used; 0 while a frame is not whole. */
static size_t take_frame(struct connection *from, const char *data, size_t length)
{
    const unsigned char *head = (const unsigned char *)data;
    if (length < 2)
        return 0;
    size_t payload = head[1] & 127, skip = 2;
    if (payload == 126) {
        if (length < 4)
            return 0;
        payload = (size_t)head[2] << 8 | head[3];
        skip = 4;
    } else if (payload == 127) {
        if (length < 10)
            return 0;
        payload = 0;
        for (int byte = 2; byte < 10; byte++)
            payload = payload << 8 | head[byte];
        skip = 10;
    }
    if (skip + payload > READ_BYTES / 2)
        fail("a frame of %zu bytes is too long", payload);
    if (length < skip + payload)
        return 0;
    frames++;
    switch (head[0]) {
    case 0x81:
        take_text(from, data + skip, payload);
        break;
    case 0x89:
        write_frame(from, 10, data + skip, payload);
        break;
    case 0x88:
        if (from->state == LEAVING) {
            gone(from);
            break;
        }
        fail("connection %d was closed by the server with %d", (int)(from - connections),
             payload >= 2 ? head[skip] << 8 | head[skip + 1] : 1005);
    }
    return skip + payload;
}

static const char *header(const char *head, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = head; at && at + length < end; at = memmem(at, (size_t)(end - at), "\r\n", 2)) {
        at += at == head ? 0 : 2;
        if (!strncasecmp(at, name, length))
            return at + length;
    }
    return NULL;
}

static void take_poll(struct connection *from, const char *head, const char *body, size_t length)
{
    if (!strcmp(asked.style, "post")) {
        const char *modified = header(head, body, "last-modified: "), *tag = header(head, body, "etag: ");
        if (!modified || !tag)
            fail("an answer has no cursor: %.*s", (int)(body - head), head);
        snprintf(from->cursor, sizeof from->cursor, "If-Modified-Since: %.*s\r\nIf-None-Match: %.*s\r\n",
                 (int)strcspn(modified, "\r"), modified, (int)strcspn(tag, "\r"), tag);
    } else {
        char session[80] = "", epoch[40] = "";
        const char *since = memrchr(body, ':', length);
        if (!find(body, length, "session", session, sizeof session)) {
            const char *kept = strstr(from->cursor, "session=");
            snprintf(session, sizeof session, "%.*s", kept ? (int)strcspn(kept + 8, "&") : 0, kept ? kept + 8 : "");
        }
        find(body, length, "epoch", epoch, sizeof epoch);
        snprintf(from->cursor, sizeof from->cursor, "&session=%s&epoch=%s&since=%" PRIu64, session, epoch,
                 since ? (uint64_t)strtoull(since + 1, NULL, 10) : 0);
        if (!from->has_seq) {
            from->has_seq = true;
            from->seq = since ? strtoull(since + 1, NULL, 10) : 0;
        }
    }
    bool first = from->state == ASKED && from->called_at == 0;
    uint64_t before = from->events;
    take_events(from, body, body + length);
    if (first && asked.hello)
        is_open(from);
    else
        answered_polls += from->events > before; /* one that tells only who came is not what is measured */
    from->called_at = 1;
    last_progress_at = now();
    ask(from);
}

/* An HTTP answer; the bytes that were used, 0 while it is not whole. */
static size_t take_answer(struct connection *from, const char *data, size_t length)
{
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *body = end + 4;
    if (from->kind == SOCKET) {
        if (!begins(data, length, "HTTP/1.1 101"))
            fail("no socket: %.*s", (int)length, data);
        from->state = GREETING;
        if (!asked.hello)
            is_open(from);
        return (size_t)(body - data);
    }
    const char *stated = header(data, body, "content-length: ");
    size_t content = stated ? strtoul(stated, NULL, 10) : 0;
    if ((size_t)(body - data) + content > READ_BYTES / 2)
        fail("an answer of %zu bytes is too long", content);
    if ((size_t)(body - data) + content > length)
        return 0;
    if (!begins(data, length, "HTTP/1.1 2"))
        fail("refused: %.*s", (int)(body - data + (ptrdiff_t)content), data);
    if (from->kind == POLL)
        take_poll(from, data, body, content);
    return (size_t)(body - data) + content;
}

static void readable(struct connection *from)
{
    memcpy(buffer, from->rest, from->rest_length);
    ssize_t got = read(from->fd, buffer + from->rest_length, READ_BYTES - from->rest_length);
    if (got == 0 && from->state == LEAVING) {
        gone(from);
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        fail("connection %d was cut by the server", (int)(from - connections));
    bytes += (uint64_t)got;
    size_t length = from->rest_length + (size_t)got, used = 0, step;
    do {
        bool upgraded = from->kind == SOCKET && from->state >= GREETING;
        step = (upgraded ? take_frame : take_answer)(from, buffer + used, length - used);
        used += step;
    } while (step && used < length);
    from->rest_length = length - used;
    if (from->rest_length) {
        from->rest = grown(from->rest, from->rest_length);
        memcpy(from->rest, buffer + used, from->rest_length);
    }
}

/* --- The loop ------------------------------------------------------------------------------------------------------- */

static void step(uint64_t most_nanoseconds)
{
    struct epoll_event ready[256];
    struct timespec most = {(time_t)(most_nanoseconds / SECOND), (long)(most_nanoseconds % SECOND)};
    int count = epoll_pwait2(epoll, ready, 256, &most, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *which = ready[i].data.ptr;
        if (which->state != CONNECTING) {
            readable(which);
            continue;
        }
        int error = 0;
        getsockopt(which->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
        if (error)
            fail("cannot connect: %s", strerror(error));
        epoll_ctl(epoll, EPOLL_CTL_MOD, which->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = which});
        if (which->kind == POST)
            is_open(which);
        else
            ask(which);
        if (which->kind == POLL && !asked.hello)
            is_open(which); /* parked at once: the first answer is the first event */
    }
    if (now() - last_progress_at > STALLED)
        fail("nothing came for %llu s: %" PRIu64 " published, %" PRIu64 " delivered, %" PRIu64 " refused", STALLED / SECOND,
             published, delivered, refused);
}

static void begin(struct connection *which, enum kind kind, struct person *person)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)asked.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct connection fresh = {.kind = kind, .person = person, .events = which->events};
    memcpy(fresh.cursor, which->cursor, sizeof fresh.cursor);
    free(which->rest);
    *which = fresh;
    which->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (which->fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(which->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(which->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    epoll_ctl(epoll, EPOLL_CTL_ADD, which->fd, &(struct epoll_event){.events = EPOLLOUT, .data.ptr = which});
    connecting++;
}

static void open_all(int first, int count, enum kind kind)
{
    last_progress_at = now();
    uint64_t wanted = opened + (uint64_t)count;
    for (int i = first; opened < wanted;) {
        while (i < first + count && connecting < CONNECTING_AT_ONCE) {
            begin(&connections[i], kind, &people[i % people_count]);
            i++;
        }
        step(SECOND / 10);
    }
}

static void hold(double seconds)
{
    for (uint64_t until = now() + (uint64_t)(seconds * 1e9); now() < until; last_progress_at = now())
        step(SECOND / 10);
}

static void forget_counts(void)
{
    memset(buckets, 0, sizeof buckets);
    samples = delivered = others = calls = replies = refused = frames = bytes = event_bytes = 0;
    if (strcmp(asked.style, "call") == 0)
        published = 0;
    for (int i = 0; i < asked.count; i++)
        connections[i].events = 0;
}

/* --- Modes ---------------------------------------------------------------------------------------------------------- */

static uint64_t published_before; /* what a peer's seq counted before the measured time */

static uint64_t outstanding(void)
{
    return (published - published_before) * (uint64_t)asked.count - delivered;
}

/* Who sleeps until there is something to read is woken by the server's own write, for each frame anew. */
static void nap(void)
{
    if (asked.nap > 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(asked.nap * 1e9)}, NULL);
}

static void fan_out(double seconds)
{
    uint64_t next = now(), until = next + (uint64_t)(seconds * 1e9), moment;
    published_before = published;
    while ((moment = now()) < until) {
        uint64_t wait = SECOND / 10;
        if (asked.rate > 0) {
            for (; next <= moment; next += (uint64_t)(1e9 / asked.rate))
                publish(publishers[published % (uint64_t)asked.publishers], next);
            wait = next - moment;
            if (outstanding() > MOST_OUTSTANDING * (uint64_t)asked.count)
                fail("the server does not keep up with %.1f publishes a second", asked.rate);
        } else {
            while (outstanding() + (uint64_t)asked.count <= (uint64_t)asked.outstanding * (uint64_t)asked.count)
                publish(publishers[published % (uint64_t)asked.publishers], now());
        }
        nap();
        step(wait);
    }
    while (outstanding() > 0) {
        nap();
        step(SECOND / 10);
    }
    if (!strcmp(asked.style, "call"))
        while (replies + refused < calls)
            step(SECOND / 10);
}

static void send_calls(double seconds)
{
    closed_loop_of_calls = true;
    send_until = now() + (uint64_t)(seconds * 1e9);
    for (int i = 0; i < asked.count; i++)
        publish(&connections[i], now());
    while (now() < send_until || replies + refused < calls || delivered < replies * (uint64_t)asked.recipients)
        step(SECOND / 10);
}

static void poll_rounds(void)
{
    for (int round = 0; round < asked.rounds; round++) {
        uint64_t wanted = answered_polls + (uint64_t)asked.count;
        publish(publishers[0], now());
        while (answered_polls < wanted)
            step(SECOND / 10);
        phase("round");
    }
}

static void measured(void (*run)(double))
{
    run(asked.warm_up);
    forget_counts();
    phase("begin");
    uint64_t began_at = now();
    run(asked.seconds);
    asked.seconds = (double)(now() - began_at) / 1e9;
    phase("end");
}

/* --- Presence: everybody watches those after them, in a ring ---------------------------------------------------------- */

#define AWAY_FOR SECOND
#define STAGES 4
static struct stage {
    const char *name;
    double seconds;
    uint64_t presences, presence_bytes, bytes;
} stages[STAGES];
static int stage_count;
static struct connection **of_user; /* by their id */
static uint64_t highest_user, first_calls, wrong;

static void take_presence(struct connection *from, const char *event, const char *end)
{
    char id[24];
    if (!memmem(event, (size_t)(end - event), "\"presence.updated\"", LENGTH("\"presence.updated\"")) ||
        !find(event, (size_t)(end - event), "user_id", id, sizeof id)) {
        others++;
        return;
    }
    uint64_t user = strtoull(id, NULL, 10);
    presences++;
    presence_bytes += (uint64_t)(end - event);
    from->events += from->person->user != user;
    if (user <= highest_user && of_user[user])
        of_user[user]->missed = true;
}

/* A watch outlives its socket, so once is enough. */
static void watch(struct connection *over)
{
    char text[8000];
    int at = (int)(over - connections);
    if (stage_count)
        return;
    int length = snprintf(text, sizeof text,
                          "{\"type\":\"call\",\"ref\":\"w\",\"method\":\"presence.watch\",\"params\":{\"user_ids\":[");
    for (int i = 1; i <= asked.watched && length < (int)sizeof text - 32; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%" PRIu64, i > 1 ? "," : "",
                           people[(at + i) % asked.count].user);
    length += snprintf(text + length, sizeof text - (size_t)length, "]}}");
    first_calls++;
    write_frame(over, 1, text, (size_t)length);
}

static void gone(struct connection *which)
{
    close(which->fd);
    which->state = GONE;
}

static double seconds_since(uint64_t began_at)
{
    return (double)(now() - began_at) / 1e9;
}

/* Until nothing has come for a second: what is due is told after a tenth. */
static void until_silent(void)
{
    uint64_t before;
    do {
        before = bytes;
        hold(1);
    } while (bytes != before);
}

static void ends(const char *name, uint64_t began_at)
{
    double seconds = seconds_since(began_at);
    until_silent();
    stages[stage_count++] = (struct stage){name, seconds, presences, presence_bytes, bytes};
    presences = presence_bytes = bytes = 0;
    phase(name);
}

static struct connection *leaving(int number)
{
    return &connections[(int)((int64_t)number * asked.count / asked.leaving)];
}

static void drop(struct connection *which)
{
    size_t used = strlen(which->cursor);
    snprintf(which->cursor + used, sizeof which->cursor - used, "&resume_from=%" PRIu64, which->seq);
    gone(which);
}

static void say_goodbye(struct connection *which)
{
    *which->cursor = 0;
    which->missed = false;
    which->state = LEAVING;
    write_frame(which, 1, "{\"type\":\"bye\"}", LENGTH("{\"type\":\"bye\"}"));
}

/* One after the other they go and are back a second later: who dropped with their cursor, who said goodbye as another
   session, and not before somebody knows that they went. */
static void come_and_go(void (*go)(struct connection *), double seconds)
{
    uint64_t began_at = now(), apart = (uint64_t)(seconds * 1e9) / (uint64_t)asked.leaving;
    uint64_t wanted = opened + (uint64_t)asked.leaving;
    for (int left = 0, back = 0; opened < wanted;) {
        for (; left < asked.leaving && now() >= began_at + (uint64_t)left * apart; left++) {
            struct connection *which = leaving(left);
            which->left_at = now();
            which->missed = true;
            go(which);
        }
        for (; back < left; back++) {
            struct connection *which = leaving(back);
            if (which->state != GONE || !which->missed || now() < which->left_at + AWAY_FOR)
                break;
            begin(which, SOCKET, which->person);
        }
        step(SECOND / 100);
    }
}

/* Who stayed was told twice of each of those who left, and of nobody else: otherwise they are `wrong`. */
static void check_who_stayed(void)
{
    bool *left = calloc((size_t)asked.count, sizeof *left);
    for (int i = 0; i < asked.leaving; i++)
        left[leaving(i) - connections] = true;
    for (int i = 0; i < asked.count; i++) {
        uint64_t due = 0;
        for (int j = 1; j <= (asked.everybody ? asked.count - 1 : asked.watched); j++)
            due += 2 * left[(i + j) % asked.count];
        if (!left[i] && connections[i].events != due && wrong++ == 0)
            fprintf(stderr, "connection %d was told %" PRIu64 " times and not %" PRIu64 "\n", i, connections[i].events, due);
    }
    free(left);
}

static void presence(void)
{
    for (int i = 0; i < people_count; i++)
        highest_user = people[i].user > highest_user ? people[i].user : highest_user;
    of_user = calloc(highest_user + 1, sizeof *of_user);
    for (int i = 0; i < asked.count; i++)
        of_user[people[i].user] = &connections[i];
    of_presence = true;
    phase("begin");
    uint64_t began_at = now();
    open_all(0, asked.count, SOCKET);
    while (replies + refused < first_calls)
        step(SECOND / 10);
    ends("arrived", began_at);
    began_at = now();
    come_and_go(drop, asked.seconds);
    ends("some dropped", began_at);
    for (int i = 0; i < asked.count; i++)
        connections[i].events = 0;
    began_at = now();
    come_and_go(say_goodbye, asked.seconds);
    ends("some left", began_at);
    check_who_stayed();
    began_at = now();
    resumed = 0;
    for (int i = 0; i < asked.count; i++)
        drop(&connections[i]);
    open_all(0, asked.count, SOCKET);
    ends("all dropped", began_at);
}

static void choose_publishers(bool apart)
{
    publishers = grown(NULL, sizeof *publishers * (size_t)asked.publishers);
    enum kind kind = !strcmp(asked.style, "post") ? POST : SOCKET;
    apart |= kind == POST;
    if (apart) {
        const char *path = asked.path;
        asked.path = kind == SOCKET && !strcmp(asked.mode, "poll") ? "/ws/user/me" : path;
        open_all(asked.count, asked.publishers, kind);
        asked.path = path;
    }
    for (int i = 0; i < asked.publishers; i++)
        publishers[i] = &connections[i + (apart ? asked.count : 0)];
}

static void result(void)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < asked.count; i++) {
        uint64_t events = connections[i].events;
        least = events < least ? events : least;
        most = events > most ? events : most;
    }
    printf("result {\"connections\": %d, \"seconds\": %.6f, \"published\": %" PRIu64 ", \"delivered\": %" PRIu64
           ", \"fewest\": %" PRIu64 ", \"most\": %" PRIu64 ", \"holes\": %" PRIu64 ", \"others\": %" PRIu64
           ", \"replies\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"polls\": %" PRIu64 ", \"frames\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"event_bytes\": %.1f, \"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f"
           ", \"p100_ms\": %.3f, \"wrong\": %" PRIu64 ", \"resumed\": %" PRIu64 ", \"stages\": {",
           asked.count, asked.seconds, published - published_before, delivered, least, most, holes, others, replies, refused,
           answered_polls, frames, bytes, delivered ? (double)event_bytes / (double)delivered : 0.0, percentile(0.5),
           percentile(0.9), percentile(0.99), percentile(0.999999), wrong, resumed);
    for (int i = 0; i < stage_count; i++)
        printf("%s\"%s\": {\"seconds\": %.6f, \"presences\": %" PRIu64 ", \"presence_bytes\": %" PRIu64 ", \"bytes\": %" PRIu64
               "}", i ? ", " : "", stages[i].name, stages[i].seconds, stages[i].presences, stages[i].presence_bytes,
               stages[i].bytes);
    puts("}}");
}

/* --- Options -------------------------------------------------------------------------------------------------------- */

static void read_people(void)
{
    FILE *file = fopen(asked.people, "r");
    char line[1024], channel[32];
    uint64_t user;
    int header_at;
    if (!file)
        fail("%s: %s", asked.people, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (sscanf(line, "%" SCNu64 " %31s %n", &user, channel, &header_at) != 2)
            fail("not a person: %s", line);
        people = grown(people, sizeof *people * (size_t)(people_count + 1));
        char *header = grown(NULL, strlen(line) + 3);
        sprintf(header, strcmp(line + header_at, "-") ? "%s\r\n" : "", line + header_at);
        people[people_count++] = (struct person){user, strdup(channel), header};
    }
    fclose(file);
    if (!people_count)
        fail("nobody is in %s", asked.people);
}

static void read_options(int count, char **words)
{
    struct { const char *name; const char **text; int *whole; double *real; } options[] = {
        {"people", &asked.people, 0, 0}, {"path", &asked.path, 0, 0}, {"publish-path", &asked.publish_path, 0, 0},
        {"style", &asked.style, 0, 0}, {"port", 0, &asked.port, 0}, {"count", 0, &asked.count, 0},
        {"publishers", 0, &asked.publishers, 0}, {"outstanding", 0, &asked.outstanding, 0}, {"size", 0, &asked.size, 0},
        {"rounds", 0, &asked.rounds, 0}, {"recipients", 0, &asked.recipients, 0}, {"hello", 0, &asked.hello, 0},
        {"rate", 0, 0, &asked.rate}, {"seconds", 0, 0, &asked.seconds}, {"warm-up", 0, 0, &asked.warm_up},
        {"limit", 0, 0, &asked.limit}, {"watched", 0, &asked.watched, 0}, {"leaving", 0, &asked.leaving, 0},
        {"everybody", 0, &asked.everybody, 0}, {"nap", 0, 0, &asked.nap},
    };
    if (count < 2)
        fail("use: load connect|fanout|send|poll|presence --port P --people FILE ...");
    asked.mode = words[1];
    for (int i = 2; i < count; i += 2) {
        size_t found = 0, known = sizeof options / sizeof *options;
        while (found < known && (strncmp(words[i], "--", 2) || strcmp(words[i] + 2, options[found].name)))
            found++;
        if (found == known || i + 1 == count)
            fail("unknown option, or one without a value: %s", words[i]);
        if (options[found].text)
            *options[found].text = words[i + 1];
        else if (options[found].whole)
            *options[found].whole = atoi(words[i + 1]);
        else
            *options[found].real = atof(words[i + 1]);
    }
    if (!asked.port || !asked.people || asked.count < 1 || asked.publishers < 1)
        fail("--port, --people and positive counts are needed");
}

int main(int count, char **words)
{
    read_options(count, words);
    read_people();
    alarm((unsigned)asked.limit);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)(asked.count + asked.publishers), sizeof *connections);

    if (!strcmp(asked.mode, "connect")) {
        phase("begin");
        uint64_t began_at = now();
        open_all(0, asked.count, SOCKET);
        double seconds = (double)(now() - began_at) / 1e9;
        phase("opened");
        hold(asked.seconds);
        phase("held");
        asked.seconds = seconds;
    } else if (!strcmp(asked.mode, "fanout")) {
        open_all(0, asked.count, SOCKET);
        choose_publishers(false);
        measured(fan_out);
    } else if (!strcmp(asked.mode, "send")) {
        open_all(0, asked.count, SOCKET);
        measured(send_calls);
    } else if (!strcmp(asked.mode, "poll")) {
        choose_publishers(true);
        phase("begin");
        open_all(0, asked.count, POLL);
        until_silent(); /* they are told that they are here themselves */
        phase("parked");
        uint64_t began_at = now();
        poll_rounds();
        asked.seconds = (double)(now() - began_at) / 1e9;
        phase("end");
    } else if (!strcmp(asked.mode, "presence")) {
        if (asked.leaving < 1 || asked.leaving > asked.count || asked.watched >= asked.count || asked.count > people_count)
            fail("--leaving is 1 to --count, --watched less, and each is somebody else");
        presence();
    } else {
        fail("there is no mode %s", asked.mode);
    }
    result();
    return 0;
}
