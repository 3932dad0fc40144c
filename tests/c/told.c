/* What the library tells from C: the lines of its log, and the events for the webhook. `told ROOT`; quiet when
 * all holds. Compiled as C99 and as C++17, run plainly, under valgrind and under the sanitizers. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 2

static void lines_of_the_log_are_read(void) {
    conductor_reader *lines = NULL, *none = NULL;
    conductor_record *line = NULL, *end = NULL;
    conductor_run *run = NULL;
    struct pollfd fd;
    DO(conductor_log_open(S("warn,runner=info"), &lines, &err));
    run = job("said", "exit 3");
    DO(conductor_run_wait(run, LONG, NULL, &end, &err));
    fd.fd = conductor_reader_fd(lines);
    fd.events = POLLIN;
    CHECK(fd.fd >= 0 && poll(&fd, 1, LONG) == 1);
    DO(conductor_reader_next(lines, LONG, NULL, &line, &err));
    CHECK(is(text(line, "event"), "run_started") && is(text(line, "level"), "info"));
    CHECK(is(text(line, "subsystem"), "runner") && is(text(line, "fields.task_id"), "said"));
    CHECK(contains(text(line, "text"), "event=run_started") && text(line, "at").len > 0);
    conductor_record_free(line);
    DO(conductor_reader_next(lines, LONG, NULL, &line, &err));
    CHECK(is(text(line, "event"), "run_execution_failed") && number(line, "fields.exit_code") == 3);
    conductor_record_free(line);
    FAILS("log.invalid", conductor_log_open(S("loud"), &none, &err));
    CHECK(none == NULL);
    conductor_record_free(end);
    conductor_run_free(run);
    conductor_reader_free(lines);
}

/* Takes one event after the other and says that it was taken. */
static void *take(void *place) {
    static const char taken[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    int listener = *(int *)place, events;
    for (events = 0; events < EVENTS; events++) {
        char request[65536];
        size_t got = 0, head = 0, body = 0;
        int peer = accept(listener, NULL, NULL);
        CHECK(peer >= 0);
        while (head == 0 || got < head + body) {
            const char *length, *blank;
            ssize_t more = read(peer, request + got, sizeof(request) - 1 - got);
            CHECK(more > 0);
            got += (size_t)more;
            request[got] = '\0';
            if (head == 0 && (blank = strstr(request, "\r\n\r\n")) != NULL) {
                head = (size_t)(blank - request) + 4;
                length = strstr(request, "ontent-");
                while (length != NULL && (length[7] | 32) != 'l') length = strstr(length + 1, "ontent-");
                CHECK(length != NULL && length < blank);
                body = (size_t)atoi(strchr(length, ':') + 1);
            }
        }
        CHECK(strstr(request + head, "\"event\"") != NULL);
        CHECK(write(peer, taken, sizeof(taken) - 1) == (ssize_t)sizeof(taken) - 1);
        close(peer);
    }
    return NULL;
}

static void events_are_listed_and_told(const char *folder) {
    char path[4096], config[128];
    const char *pairs[] = {"config", path, NULL};
    conductor_options *o = NULL;
    conductor *first = root;
    conductor_reader *waiting = NULL;
    conductor_record *event = NULL, *end = NULL, *told = NULL;
    conductor_cancel *cancel = conductor_cancel_new();
    conductor_run *run = NULL;
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    pthread_t receiver;
    FILE *file;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(listener, 8) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(snprintf(path, sizeof(path), "%s.yaml", folder) < (int)sizeof(path));
    CHECK(snprintf(config, sizeof(config), "webhook:\n  url: http://127.0.0.1:%d/hook\n",
                   (int)ntohs(address.sin_port)) < (int)sizeof(config));
    CHECK((file = fopen(path, "w")) != NULL && fputs(config, file) >= 0 && fclose(file) == 0);

    o = with(pairs);
    DO(conductor_open(CONDUCTOR_STRZ(folder), o, &root, &err));
    run = job("announced", "true");
    DO(conductor_run_wait(run, LONG, NULL, &end, &err));
    DO(conductor_outbox(root, &waiting, &err));
    DO(conductor_reader_next(waiting, 0, NULL, &event, &err));
    CHECK(is(text(event, "event"), "run_start") && text(event, "event_id").len > 0);
    CHECK(text(event, "at").len > 0 && contains(text(event, "body"), "announced"));
    conductor_record_free(event);
    CHECK(count(waiting) == EVENTS - 1);

    conductor_cancel_set(cancel);
    /* The end of the wait is no error, and loses nothing. */
    DO(conductor_outbox_deliver(root, -1, cancel, &told, &err));
    CHECK(number(told, "delivered") == 0 && number(told, "left") == EVENTS);
    conductor_record_free(told);
    CHECK(pthread_create(&receiver, NULL, take, &listener) == 0);
    DO(conductor_outbox_deliver(root, LONG, NULL, &told, &err));
    CHECK(number(told, "delivered") == EVENTS && number(told, "left") == 0 && number(told, "failed") == 0);
    conductor_record_free(told);
    CHECK(pthread_join(receiver, NULL) == 0);
    DO(conductor_outbox_deliver(root, 0, NULL, NULL, &err));
    DO(conductor_outbox(root, &waiting, &err));
    CHECK(count(waiting) == 0);

    close(listener);
    conductor_record_free(end);
    conductor_run_free(run);
    conductor_free(root);
    conductor_cancel_free(cancel);
    conductor_options_free(o);
    root = first;
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), NULL, &root, &err));
    lines_of_the_log_are_read();
    events_are_listed_and_told(argv[1]);
    conductor_free(root);
    CHECK(conductor_handle_count() == 0);
    return 0;
}
