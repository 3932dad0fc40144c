/* What the C library promises, asked from C. Compiled as C99 and as C++17; quiet when all holds. */
#include "check.h"

#include <pthread.h>
#include <signal.h>

static void versions(void) {
    CHECK(conductor_abi_version() == CONDUCTOR_ABI_VERSION);
    CHECK(is(conductor_version(), CONDUCTOR_VERSION));
}

static void an_error_says_everything(void) {
    conductor_error *err = NULL;
    CHECK(conductor_id_check(CONDUCTOR_STR("task"), CONDUCTOR_STR("../etc"), &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(err != NULL);
    CHECK(contains(of(err, "message"), "../etc"));
    CHECK(!contains(of(err, "message"), "\n"));
    CHECK(contains(of(err, "hint"), "letter"));
    CHECK(is(of(err, "code"), "id.invalid"));
    CHECK(is(of(err, "kind"), "invalid_input"));
    CHECK(is(of(err, "field"), "task"));
    CHECK(is(of(err, "retryable"), "false"));
    CHECK(of(err, "path").ptr == NULL && of(err, "path").len == 0);
    CHECK(of(err, "cause").ptr == NULL);
    CHECK(of(err, "errno").ptr == NULL);
    CHECK(of(err, "no such key").ptr == NULL);
    CHECK(conductor_error_text(err, bytes(NULL, 5)).ptr == NULL);
    conductor_error_free(err);
}

static void success_writes_the_output_and_clears_the_error(void) {
    conductor_error *err = (conductor_error *)&err; /* whatever was there before */
    int64_t ns = -7;
    CHECK(conductor_duration_parse(CONDUCTOR_STR("1h30m"), &ns, &err) == CONDUCTOR_OK);
    CHECK(ns == INT64_C(5400000000000));
    CHECK(err == NULL);
    CHECK(conductor_id_check(CONDUCTOR_STR("project"), CONDUCTOR_STR("shop"), NULL) == CONDUCTOR_OK);
}

static void failure_leaves_the_output_alone(void) {
    conductor_error *err = NULL;
    int64_t ns = -7;
    CHECK(conductor_duration_parse(CONDUCTOR_STR("90"), &ns, &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(ns == -7);
    CHECK(is(of(err, "code"), "duration.invalid"));
    conductor_error_free(err);
    CHECK(conductor_duration_parse(CONDUCTOR_STR("90"), &ns, NULL) == CONDUCTOR_INVALID_INPUT);
    CHECK(ns == -7);
}

static void null_everywhere(void) {
    conductor_error *err = NULL;
    int64_t ns;
    conductor_error_free(NULL);
    conductor_cancel_free(NULL);
    conductor_cancel_set(NULL);
    CHECK(!conductor_cancel_is_set(NULL));
    CHECK(conductor_error_text(NULL, CONDUCTOR_STR("message")).ptr == NULL);
    CHECK(conductor_duration_parse(CONDUCTOR_STR("1s"), NULL, NULL) == CONDUCTOR_INVALID_INPUT);
    CHECK(conductor_duration_parse(CONDUCTOR_STR("1s"), NULL, &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(is(of(err, "code"), "argument.null") && is(of(err, "field"), "out_ns"));
    conductor_error_free(err);
    CHECK(conductor_duration_parse(bytes(NULL, 3), &ns, &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(is(of(err, "code"), "argument.null") && is(of(err, "field"), "text"));
    conductor_error_free(err);
    CHECK(conductor_duration_parse(bytes(NULL, 0), &ns, &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(is(of(err, "code"), "duration.invalid"));
    conductor_error_free(err);
}

static void text_that_is_none(void) {
    conductor_error *err = NULL;
    CHECK(conductor_id_check(CONDUCTOR_STR("task"), CONDUCTOR_STR("a\xff"), &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(is(of(err, "code"), "argument.not_utf8") && is(of(err, "field"), "id"));
    CHECK(of(err, "cause").ptr != NULL);
    conductor_error_free(err);
    CHECK(conductor_id_check(CONDUCTOR_STR("task"), CONDUCTOR_STR("a\0b"), &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(is(of(err, "code"), "id.invalid"));
    conductor_error_free(err);
    CHECK(conductor_id_check(CONDUCTOR_STR("task"), bytes("x", (size_t)-1), &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(is(of(err, "code"), "argument.length"));
    conductor_error_free(err);
}

static conductor_cancel *interrupt;

static void on_signal(int number) {
    (void)number;
    conductor_cancel_set(interrupt);
}

static void a_switch_is_set_from_a_signal_handler(void) {
    interrupt = conductor_cancel_new();
    CHECK(interrupt != NULL);
    CHECK(!conductor_cancel_is_set(interrupt));
    CHECK(signal(SIGINT, on_signal) != SIG_ERR);
    CHECK(raise(SIGINT) == 0);
    CHECK(conductor_cancel_is_set(interrupt));
    conductor_cancel_set(interrupt);
    CHECK(conductor_cancel_is_set(interrupt));
    conductor_cancel_free(interrupt);
}

/* An error may be read and freed in another thread than it was made in, after that one has ended. */
static void *make_errors(void *place) {
    conductor_error *kept = NULL, *err = NULL;
    int i;
    for (i = 0; i < 100; i++) {
        CHECK(conductor_id_check(CONDUCTOR_STR("run"), CONDUCTOR_STR("a b"), &err) != CONDUCTOR_OK);
        CHECK(contains(of(err, "message"), "a b"));
        conductor_error_free(kept);
        kept = err;
    }
    *(conductor_error **)place = kept;
    return NULL;
}

static void errors_belong_to_no_thread(void) {
    pthread_t threads[4];
    conductor_error *kept[4];
    int i;
    for (i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, make_errors, &kept[i]) == 0);
    for (i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(is(of(kept[i], "field"), "run"));
        conductor_error_free(kept[i]);
    }
}

int main(void) {
    versions();
    an_error_says_everything();
    success_writes_the_output_and_clears_the_error();
    failure_leaves_the_output_alone();
    null_everywhere();
    text_that_is_none();
    a_switch_is_set_from_a_signal_handler();
    errors_belong_to_no_thread();
    return 0;
}
