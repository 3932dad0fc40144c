/* The floor of `bench sse`: writes what the server would write, with nothing around it. A batch for each
   tick, to each socket.

   sse_floor CLIENTS RATE SECONDS: listens, tells where, and begins once so many clients have asked. */

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How it gathers what it writes: as long as the server does. */
#define TICK_NANOS 20000000L
#define SECOND UINT64_C(1000000000)
#define ID "MSG-20260101-000000-000000000-PID00001-0001"
#define FRAME \
    "id: " ID "\nevent: message\ndata: {\"msg_id\":\"" ID "\",\"timestamp\":" \
    "\"2026-01-01T00:00:00.000000000Z\",\"type\":\"FACT\",\"project_id\":\"p\",\"task_id\":\"t\"," \
    "\"body\":\"%020" PRIu64 " %020" PRIu64 " %s\"}\n\n"
#define LONGEST 512

static void check(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static uint64_t now(void)
{
    struct timespec time;
    check(clock_gettime(CLOCK_MONOTONIC, &time) == 0, "clock");
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        check(written > 0, "a client that reads");
        bytes += written;
        length -= (size_t)written;
    }
}

static void raise_limit(void)
{
    struct rlimit limit;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
}

static int listen_somewhere(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(listener >= 0, "socket");
    check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    check(listen(listener, 4096) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "address");
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\n\r\n: follows\n\n";
    char head[1024], filling[61];
    size_t clients, i;
    uint64_t rate, messages, number = 0, began;
    int listener, *sockets;
    char *batch = NULL;
    size_t space = 0;

    check(argc == 4, "usage: sse_floor CLIENTS RATE SECONDS");
    clients = strtoul(argv[1], NULL, 10);
    rate = strtoull(argv[2], NULL, 10);
    messages = rate * strtoull(argv[3], NULL, 10);
    memset(filling, 'x', sizeof filling - 1);
    filling[sizeof filling - 1] = 0;
    raise_limit();
    listener = listen_somewhere();
    sockets = calloc(clients + 1, sizeof *sockets);
    check(sockets != NULL, "memory");
    for (i = 0; i < clients; i++) {
        int yes = 1;
        sockets[i] = accept(listener, NULL, NULL);
        check(sockets[i] >= 0, "a client");
        check(read(sockets[i], head, sizeof head) > 0, "a request");
        check(setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "a socket");
        write_all(sockets[i], hello, sizeof hello - 1);
    }
    began = now();
    while (number < messages) {
        struct timespec tick = {0, TICK_NANOS};
        uint64_t due;
        size_t length = 0, wanted;
        nanosleep(&tick, NULL);
        due = (uint64_t)((double)(now() - began) * (double)rate / (double)SECOND) + 1;
        due = due < messages ? due : messages;
        wanted = (size_t)(due - number) * LONGEST;
        if (wanted > space) {
            space = wanted;
            batch = realloc(batch, space);
            check(batch != NULL, "memory");
        }
        for (; number < due; number++) {
            uint64_t posted = began + (uint64_t)((double)number * (double)SECOND / (double)rate);
            length += (size_t)snprintf(batch + length, LONGEST, FRAME, number, posted, filling);
        }
        for (i = 0; i < clients; i++)
            write_all(sockets[i], batch, length);
    }
    /* Measured until the last client has read all. */
    sleep(10);
    return 0;
}
