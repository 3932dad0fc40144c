/* One of several languages on one bus: `mixed ROOT COUNT TOTAL` posts COUNT messages while it follows the
 * bus until it has seen TOTAL, and prints their ids in order. */
#include "check.h"

#include <pthread.h>

static conductor_bus *bus;
static long own;

static void *post_all(void *unused) {
    char body[64];
    long i;
    for (i = 0; i < own; i++) {
        snprintf(body, sizeof(body), "c %ld", i);
        DO(conductor_bus_post(bus, S("FACT"), CONDUCTOR_STRZ(body), NULL, NULL, NULL, &err));
    }
    return unused;
}

int main(int argc, char **argv) {
    const char *follow[] = {"follow", "true", "type", "FACT", NULL};
    conductor_options *o = with(follow);
    const char *process[] = {"durability", "process", NULL};
    conductor_options *how = with(process);
    conductor *root = NULL;
    conductor_reader *reader = NULL;
    conductor_record *m = NULL;
    pthread_t poster;
    long total;
    CHECK(argc == 4);
    own = atol(argv[2]);
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), how, &root, &err));
    DO(conductor_bus_open(root, S("shop"), S(""), &bus, &err));
    DO(conductor_bus_read(bus, o, &reader, &err));
    CHECK(pthread_create(&poster, NULL, post_all, NULL) == 0);
    for (total = atol(argv[3]); total > 0; total--) {
        DO(conductor_reader_next(reader, -1, NULL, &m, &err));
        printf("%.*s\n", (int)text(m, "msg_id").len, text(m, "msg_id").ptr);
        conductor_record_free(m);
    }
    CHECK(pthread_join(poster, NULL) == 0);
    conductor_reader_free(reader);
    conductor_bus_free(bus);
    conductor_free(root);
    conductor_options_free(how);
    conductor_options_free(o);
    return 0;
}
