/* The bus and SQLite from C, doing the same work: `bus FOLDER ROUNDS`. Prints a name, a tab and the
 * nanoseconds of one call, for each piece of work in each round. */
#include <conductor.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define S CONDUCTOR_STR
#define CALLS 1000000
#define DISK 500
#define PROCESS 5000

#define MUST(it)                                                             \
    do {                                                                     \
        if (!(it)) {                                                         \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #it); \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

static char body[301];
static size_t seen;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void tell(const char *what, double start, int count) {
    printf("%s\t%.1f\n", what, (now() - start) / count);
}

static void post(const conductor_bus *bus, const char *what, int count) {
    double start = now();
    int i;
    for (i = 0; i < count; i++) {
        conductor_record *posted;
        MUST(conductor_bus_post(bus, S("FACT"), CONDUCTOR_STRZ(body), NULL, NULL, &posted, NULL) == 0);
        seen += conductor_record_text(posted, S("cursor")).len;
        conductor_record_free(posted);
    }
    tell(what, start, count);
}

static void read_all(const conductor_bus *bus) {
    double start = now();
    int count = 0;
    conductor_reader *reader;
    conductor_record *m;
    MUST(conductor_bus_read(bus, NULL, &reader, NULL) == 0);
    while (conductor_reader_next(reader, 0, NULL, &m, NULL) == 0 && m != NULL) {
        seen += (size_t)conductor_record_int(m, S("seq"), 0) + conductor_record_text(m, S("ts")).len +
                conductor_record_text(m, S("type")).len + conductor_record_text(m, S("run_id")).len +
                conductor_record_text(m, S("body")).len;
        conductor_record_free(m);
        count++;
    }
    conductor_reader_free(reader);
    MUST(count == PROCESS);
    tell("read one", start, count);
}

static void read_batches(const conductor_bus *bus) {
    double start = now();
    size_t count = 0, number, i;
    conductor_reader *reader;
    conductor_batch *batch;
    MUST(conductor_bus_read(bus, NULL, &reader, NULL) == 0);
    while (conductor_reader_batch(reader, 0, 0, NULL, &batch, NULL) == 0 && batch != NULL) {
        const conductor_message *m = conductor_batch_messages(batch, &number);
        for (i = 0; i < number; i++)
            seen += (size_t)m[i].seq + m[i].ts.len + m[i].type.len + m[i].run_id.len + m[i].body.len +
                    (size_t)*m[i].body.ptr;
        conductor_batch_free(batch);
        count += number;
    }
    conductor_reader_free(reader);
    MUST(count == PROCESS);
    tell("read", start, (int)count);
}

static void use_the_bus(const char *folder, const char *durability, int count) {
    char path[4096];
    conductor_options *o = conductor_options_new();
    conductor *c;
    conductor_bus *bus;
    MUST(snprintf(path, sizeof(path), "%s/bench", folder) < (int)sizeof(path) && mkdir(path, 0700) == 0);
    MUST(conductor_options_set(o, S("durability"), CONDUCTOR_STRZ(durability), NULL) == 0);
    MUST(conductor_open(CONDUCTOR_STRZ(folder), o, &c, NULL) == 0);
    MUST(conductor_bus_open(c, S("bench"), S(""), &bus, NULL) == 0);
    if (count == DISK) {
        post(bus, "post disk", count);
    } else {
        double start;
        int i;
        post(bus, "post process", count);
        read_all(bus);
        read_batches(bus);
        start = now();
        for (i = 0; i < CALLS; i++) seen += conductor_root(c).len;
        tell("call", start, CALLS);
    }
    conductor_bus_free(bus);
    conductor_free(c);
    conductor_options_free(o);
}

static void insert(sqlite3 *db, const char *what, int count) {
    double start = now();
    sqlite3_stmt *insert;
    int i;
    MUST(sqlite3_prepare_v2(db,
                            "insert into messages (ts, type, run_id, body) values "
                            "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?1, ?2, ?3)",
                            -1, &insert, NULL) == SQLITE_OK);
    for (i = 0; i < count; i++) {
        sqlite3_bind_text(insert, 1, "FACT", -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, "", -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 3, body, -1, SQLITE_STATIC);
        MUST(sqlite3_step(insert) == SQLITE_DONE);
        seen += (size_t)sqlite3_last_insert_rowid(db);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    tell(what, start, count);
}

static void select_all(sqlite3 *db) {
    double start = now();
    sqlite3_stmt *select;
    int count = 0;
    MUST(sqlite3_prepare_v2(db, "select seq, ts, type, run_id, body from messages order by seq", -1, &select,
                            NULL) == SQLITE_OK);
    while (sqlite3_step(select) == SQLITE_ROW) {
        int column;
        seen += (size_t)sqlite3_column_int64(select, 0);
        for (column = 1; column < 5; column++) {
            seen += *sqlite3_column_text(select, column);
            seen += (size_t)sqlite3_column_bytes(select, column);
        }
        count++;
    }
    sqlite3_finalize(select);
    MUST(count == PROCESS);
    tell("sqlite read", start, count);
}

static void use_sqlite(const char *folder, const char *synchronous, int count) {
    char text[4096];
    sqlite3 *db;
    MUST(snprintf(text, sizeof(text), "%s/bench.db", folder) < (int)sizeof(text));
    MUST(sqlite3_open(text, &db) == SQLITE_OK);
    MUST(snprintf(text, sizeof(text),
                  "pragma journal_mode = wal; pragma synchronous = %s; create table messages (seq integer "
                  "primary key autoincrement, ts text, type text, run_id text, body text)",
                  synchronous) < (int)sizeof(text));
    MUST(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
    if (count == DISK) {
        insert(db, "sqlite disk", count);
    } else {
        insert(db, "sqlite process", count);
        select_all(db);
    }
    sqlite3_close(db);
}

int main(int argc, char **argv) {
    int round, rounds, part;
    MUST(argc == 3);
    rounds = atoi(argv[2]);
    memset(body, 'x', sizeof(body) - 1);
    for (round = 0; round < rounds; round++) {
        for (part = 0; part < 2; part++) {
            char folder[4096];
            MUST(snprintf(folder, sizeof(folder), "%s/%d-%d", argv[1], round, part) < (int)sizeof(folder));
            MUST(mkdir(folder, 0700) == 0);
            use_the_bus(folder, part ? "disk" : "process", part ? DISK : PROCESS);
            use_sqlite(folder, part ? "full" : "normal", part ? DISK : PROCESS);
        }
    }
    MUST(conductor_handle_count() == 0);
    return seen == 0;
}
