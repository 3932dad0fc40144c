/* Handles from C: others, freed ones, shared by threads, in a forked child. `handles ROOT`; quiet when
 * all holds. Compiled as C99 and as C++17, run plainly, under valgrind and under the sanitizers. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 16
#define EACH 20

static void what_is_no_text_is_told(void) {
    conductor_run *run = NULL;
    conductor_task *task = NULL;
    conductor_bus *bus = NULL;
    conductor *c = NULL;
    conductor_options *o = conductor_options_new();
    FAILS("argument.not_utf8", conductor_open(S("a\xff"), NULL, &c, &err));
    FAILS("argument.not_utf8", conductor_bus_open(root, S("a\xff"), S(""), &bus, &err));
    FAILS("argument.not_utf8", conductor_bus_open(root, S("a"), S("\xc0\x80"), &bus, &err));
    FAILS("argument.not_utf8", conductor_stop(root, S("p"), S("t"), S("\xff"), NULL, NULL, NULL, &err));
    FAILS("argument.not_utf8", conductor_run_open(root, S("p"), S("\xff"), S(""), &run, &err));
    FAILS("argument.not_utf8", conductor_task_open(root, S("\xff"), S("t"), &task, &err));
    FAILS("argument.not_utf8", conductor_options_set(o, S("agent"), S("\xff"), &err));
    FAILS("argument.length", conductor_options_set(o, S("agent"), bytes("x", (size_t)-1), &err));
    FAILS("option.unknown", conductor_options_set(o, S("max_attemps"), S("1"), &err));
    FAILS("number.invalid", conductor_options_set(o, S("max_attempts"), S("many"), &err));
    CHECK(c == NULL && bus == NULL && run == NULL && task == NULL);
    conductor_options_free(o);
}

static void another_handle_is_told(void) {
    conductor_run *run = job("foreign", "true");
    int no_handle = 7;
    conductor_cancel *cancel = conductor_cancel_new();
    conductor_record *record = NULL;
    conductor_reader *reader = NULL;
    size_t index;
    const conductor_run *runs[1];
    runs[0] = (const conductor_run *)root;
    FAILS("argument.handle", conductor_run_info((conductor_run *)root, &record, &err));
    FAILS("argument.handle", conductor_task_wait((conductor_task *)run, 0, NULL, &record, &err));
    FAILS("argument.handle", conductor_list((conductor *)run, NULL, &reader, &err));
    FAILS("argument.handle", conductor_list(root, (conductor_options *)cancel, &reader, &err));
    FAILS("argument.handle", conductor_run_wait(run, 0, (conductor_cancel *)run, &record, &err));
    FAILS("argument.handle", conductor_wait_any(runs, 1, NULL, 0, 0, NULL, &index, &err));
    FAILS("argument.handle", conductor_run_info((conductor_run *)&no_handle, &record, &err));
    FAILS("argument.handle", conductor_run_info((conductor_run *)(size_t)1, &record, &err));
    CHECK(conductor_record_text((conductor_record *)run, S("x")).ptr == NULL);
    CHECK(conductor_record_text((conductor_record *)&no_handle, S("x")).ptr == NULL);
    conductor_task_free((conductor_task *)run);
    conductor_task_free((conductor_task *)&no_handle);
    conductor_cancel_set((conductor_cancel *)run);
    DO(conductor_run_wait(run, LONG, NULL, &record, &err));
    conductor_record_free(record);
    conductor_run_free(run);
    conductor_cancel_free(cancel);
}

/* Whatever is done with a handle after its end is an error, also when much was made since. */
static void a_freed_handle_is_told(void) {
    conductor_options *o = conductor_options_new(), *others[100];
    conductor_run *run = job("freed", "true");
    conductor_record *record = NULL;
    conductor_reader *reader = NULL;
    conductor_bus *bus = NULL;
    size_t before, i;
    DO(conductor_run_wait(run, LONG, NULL, &record, &err));
    DO(conductor_bus_open(root, S("shop"), S("freed"), &bus, &err));
    DO(conductor_bus_read(bus, NULL, &reader, &err));
    before = conductor_handle_count();
    for (i = 0; i < 2; i++) {
        conductor_run_free(run);
        conductor_record_free(record);
        conductor_reader_free(reader);
        conductor_bus_free(bus);
        conductor_options_free(o);
    }
    CHECK(conductor_handle_count() == before - 5);
    for (i = 0; i < 100; i++) others[i] = conductor_options_new();
    FAILS("handle.freed", conductor_run_wait(run, LONG, NULL, &record, &err));
    FAILS("handle.freed", conductor_bus_post(bus, S("FACT"), S("x"), NULL, NULL, NULL, &err));
    FAILS("handle.freed", conductor_reader_next(reader, 0, NULL, &record, &err));
    FAILS("handle.freed", conductor_options_set(o, S("agent"), S("x"), &err));
    FAILS("handle.freed", conductor_list(root, o, &reader, &err));
    CHECK(conductor_record_text(record, S("run_id")).ptr == NULL && conductor_run_fd(run) == -1);
    for (i = 0; i < 100; i++) conductor_options_free(others[i]);
}

/* One thread frees what others are in calls with: each call ends well or says that it was too late. */
static conductor_run *given[200];

static void *use_until_freed(void *unused) {
    size_t i;
    for (i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        conductor_record *info = NULL;
        conductor_error *err = NULL;
        conductor_status status;
        do {
            status = conductor_run_info(given[i], &info, &err);
            if (status == CONDUCTOR_OK) {
                CHECK(is(text(info, "agent"), "shell"));
                conductor_record_free(info);
            }
        } while (status == CONDUCTOR_OK);
        CHECK(is(of(err, "code"), "handle.freed"));
        conductor_error_free(err);
    }
    return unused;
}

static void what_is_freed_during_a_call_is_sound(void) {
    pthread_t threads[4];
    size_t i;
    conductor_run *run = job("given", "true");
    conductor_record *end = NULL;
    DO(conductor_run_wait(run, LONG, NULL, &end, &err));
    conductor_record_free(end);
    for (i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        DO(conductor_run_open(root, S("shop"), S("given"), S(""), &given[i], &err));
    for (i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, use_until_freed, NULL) == 0);
    for (i = 0; i < sizeof(given) / sizeof(given[0]); i++) conductor_run_free(given[i]);
    for (i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    conductor_run_free(run);
}

static conductor_bus *shared_bus;
static conductor_run *shared_run;
static conductor_reader *shared_reader;

static void *post_and_read(void *unused) {
    conductor_record *record = NULL;
    conductor_reader *reader = NULL;
    conductor_error *err = NULL;
    conductor_status status;
    int i;
    for (i = 0; i < EACH; i++) {
        DO(conductor_bus_post(shared_bus, S("FACT"), S("shared"), NULL, NULL, &record, &err));
        conductor_record_free(record);
        DO(conductor_run_info(shared_run, &record, &err));
        CHECK(is(text(record, "agent"), "shell"));
        conductor_record_free(record);
        DO(conductor_list(root, NULL, &reader, &err));
        conductor_reader_free(reader);
        status = conductor_reader_next(shared_reader, 0, NULL, &record, &err);
        CHECK(status == CONDUCTOR_OK || status == CONDUCTOR_BUSY || status == CONDUCTOR_TIMEOUT);
        if (status == CONDUCTOR_OK) conductor_record_free(record);
        conductor_error_free(err);
    }
    DO(conductor_run_wait(shared_run, LONG, NULL, &record, &err));
    conductor_record_free(record);
    return unused;
}

static void handles_are_shared_by_threads(void) {
    const char *follow[] = {"follow", "true", NULL};
    conductor_options *o = with(follow);
    pthread_t threads[THREADS];
    conductor_reader *all = NULL;
    int before, i;
    shared_run = job("threads", "sleep 0.5");
    DO(conductor_bus_open(root, S("shop"), S(""), &shared_bus, &err));
    DO(conductor_bus_read(shared_bus, o, &shared_reader, &err));
    DO(conductor_bus_read(shared_bus, NULL, &all, &err));
    before = count(all);
    for (i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, post_and_read, NULL) == 0);
    for (i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    DO(conductor_bus_read(shared_bus, NULL, &all, &err));
    CHECK(count(all) == before + THREADS * EACH);
    conductor_reader_free(shared_reader);
    conductor_run_free(shared_run);
    conductor_bus_free(shared_bus);
    conductor_options_free(o);
}

static void a_forked_child_opens_again(void) {
    conductor_bus *bus = NULL;
    pid_t child;
    int status = 0;
    DO(conductor_bus_open(root, S("shop"), S(""), &bus, &err));
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        conductor *own = NULL;
        conductor_reader *reader = NULL;
        conductor_record *record = NULL;
        FAILS("handle.forked", conductor_bus_post(bus, S("FACT"), S("x"), NULL, NULL, NULL, &err));
        FAILS("handle.forked", conductor_list(root, NULL, &reader, &err));
        conductor_bus_free(bus);
        DO(conductor_open(conductor_root(root), NULL, &own, &err));
        DO(conductor_bus_open(own, S("shop"), S(""), &bus, &err));
        DO(conductor_bus_post(bus, S("FACT"), S("from the child"), NULL, NULL, &record, &err));
        conductor_record_free(record);
        conductor_bus_free(bus);
        conductor_free(own);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    DO(conductor_bus_post(bus, S("FACT"), S("from the parent"), NULL, NULL, NULL, &err));
    conductor_bus_free(bus);
}

/* A child that lets go of a collection that its parent is in leaves the parent's work alone. */
static void a_forked_child_collects_nothing(void) {
    const char *old[] = {"older_than", "0s", NULL};
    conductor_options *o = with(old);
    conductor_plan *plan = NULL;
    conductor_reader *work = NULL;
    conductor_record *done = NULL, *report = NULL;
    conductor_status status = CONDUCTOR_TIMEOUT;
    conductor_error *err = NULL;
    int ended = 0, parts;
    pid_t child;
    DO(conductor_gc_plan(root, o, -1, NULL, &plan, &err));
    DO(conductor_plan_apply(plan, &work, &err));
    /* Some runs are in the trash by now, and none is deleted. */
    for (parts = 0; parts < 7 && status == CONDUCTOR_TIMEOUT; parts++)
        status = conductor_reader_next(work, 0, NULL, &done, &err);
    CHECK(status == CONDUCTOR_TIMEOUT && err == NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        FAILS("handle.forked", conductor_reader_next(work, -1, NULL, &done, &err));
        conductor_reader_free(work);
        conductor_plan_free(plan);
        _exit(0);
    }
    CHECK(waitpid(child, &ended, 0) == child && WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    for (;;) {
        DO(conductor_reader_next(work, -1, NULL, &done, &err));
        if (done == NULL) break;
        CHECK(is(text(done, "result"), "done"));
        conductor_record_free(done);
    }
    DO(conductor_reader_report(work, &report, &err));
    CHECK(number(report, "runs") > 0 && number(report, "failed") == 0);
    conductor_record_free(report);
    conductor_reader_free(work);
    conductor_plan_free(plan);
    conductor_options_free(o);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), NULL, &root, &err));
    what_is_no_text_is_told();
    another_handle_is_told();
    a_freed_handle_is_told();
    what_is_freed_during_a_call_is_sound();
    handles_are_shared_by_threads();
    a_forked_child_opens_again();
    a_forked_child_collects_nothing();
    conductor_free(root);
    CHECK(conductor_handle_count() == 0);
    return 0;
}
