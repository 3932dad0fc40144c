/* What the C tests share. */
#ifndef CHECK_H
#define CHECK_H

#include <conductor.h>
#include <conductor.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S CONDUCTOR_STR

#define CHECK(it)                                                                        \
    do {                                                                                 \
        if (!(it)) {                                                                     \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #it); \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static inline int is(conductor_str text, const char *expected) {
    return text.ptr != NULL && text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

static inline int contains(conductor_str text, const char *part) {
    size_t length = strlen(part), i;
    for (i = 0; i + length <= text.len; i++)
        if (memcmp(text.ptr + i, part, length) == 0) return 1;
    return 0;
}

static inline conductor_str of(const conductor_error *err, const char *key) {
    return conductor_error_text(err, CONDUCTOR_STRZ(key));
}

static inline conductor_str text(const conductor_record *record, const char *key) {
    return conductor_record_text(record, CONDUCTOR_STRZ(key));
}

static inline int64_t number(const conductor_record *record, const char *key) {
    return conductor_record_int(record, CONDUCTOR_STRZ(key), -77);
}

static inline conductor_str bytes(const char *ptr, size_t len) {
    conductor_str text;
    text.ptr = ptr;
    text.len = len;
    return text;
}

/* The call succeeds, or its error is printed. */
#define DO(call)                                                                           \
    do {                                                                                   \
        conductor_error *err = NULL;                                                       \
        conductor_status status_ = (call);                                                 \
        if (status_ != CONDUCTOR_OK) {                                                     \
            conductor_str message_ = of(err, "message");                                   \
            fprintf(stderr, "%s:%d: %s is %d: %.*s\n", __FILE__, __LINE__, #call, status_, \
                    (int)message_.len, message_.ptr);                                      \
            exit(1);                                                                       \
        }                                                                                  \
        CHECK(err == NULL);                                                                \
    } while (0)

/* The call fails with this code. */
#define FAILS(expected, call)                                                               \
    do {                                                                                    \
        conductor_error *err = NULL;                                                        \
        CHECK((call) != CONDUCTOR_OK);                                                      \
        if (!is(of(err, "code"), expected)) {                                               \
            conductor_str message_ = of(err, "message"), code_ = of(err, "code");           \
            fprintf(stderr, "%s:%d: not %s but %.*s: %.*s\n", __FILE__, __LINE__, expected, \
                    (int)code_.len, code_.ptr, (int)message_.len, message_.ptr);            \
            exit(1);                                                                        \
        }                                                                                   \
        CHECK(of(err, "hint").len > 0);                                                     \
        conductor_error_free(err);                                                          \
    } while (0)

/* Options from pairs of texts that end with NULL. */
static inline conductor_options *with(const char *const *pairs) {
    conductor_options *o = conductor_options_new();
    CHECK(o != NULL);
    for (; pairs[0] != NULL; pairs += 2)
        DO(conductor_options_set(o, CONDUCTOR_STRZ(pairs[0]), CONDUCTOR_STRZ(pairs[1]), &err));
    return o;
}

/* Longer than anything here takes, in milliseconds. */
#define LONG 120000

/* The root of the test. */
static conductor *root;

/* A run of a shell script. */
static inline conductor_run *job(const char *task, const char *script) {
    const char *pairs[] = {"project", "shop", "agent", "shell", "task", task, "prompt", script, NULL};
    conductor_options *o = with(pairs);
    conductor_run *run = NULL;
    DO(conductor_job_start(root, o, NULL, &run, &err));
    conductor_options_free(o);
    return run;
}

/* How many records there are; frees the reader. */
static inline int count(conductor_reader *reader) {
    conductor_record *record = NULL;
    int seen = 0;
    for (;; seen++) {
        DO(conductor_reader_next(reader, 0, NULL, &record, &err));
        if (record == NULL) break;
        conductor_record_free(record);
    }
    conductor_reader_free(reader);
    return seen;
}

#endif
