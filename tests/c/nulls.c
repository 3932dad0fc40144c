/* NULL in every place of every function where a pointer or a text is wanted: an error that names the place,
 * and nothing is done. `nulls ROOT`; quiet when all holds. Compiled as C99 and as C++17, run plainly, under
 * valgrind and under the sanitizers; tests/tests/c/calls.rs sees that no function and no place is forgotten. */
#include "check.h"

/* What is right in all other places. */
static struct {
    conductor_bus *bus;
    conductor_reader *reader;
    conductor_batch *batch;
    conductor_run *run;
    conductor_task *task;
    conductor_plan *plan;
    conductor_options *options;
} a;

/* What must not be written to. */
static conductor *c;
static conductor_bus *bus;
static conductor_reader *reader;
static conductor_record *record;
static conductor_batch *batch;
static conductor_run *run;
static conductor_task *task;
static conductor_plan *plan;
static int64_t ns = -7;
static size_t place = 9;

/* The call fails, and says that nothing was given. */
#define NULLS(call) FAILS("argument.null", call)
/* The call fails, and there is nowhere to say why. */
#define MUTE(call) CHECK((call) == CONDUCTOR_INVALID_INPUT)

static void the_root_is_needed(void) {
    NULLS(conductor_open(bytes(NULL, 3), NULL, &c, &err));
    NULLS(conductor_open(S(""), NULL, NULL, &err));
    MUTE(conductor_open(bytes(NULL, 3), NULL, &c, NULL));
    NULLS(conductor_list(NULL, NULL, &reader, &err));
    NULLS(conductor_list(root, NULL, NULL, &err));
    MUTE(conductor_list(NULL, NULL, &reader, NULL));
    NULLS(conductor_reconcile(NULL, NULL, &reader, &err));
    NULLS(conductor_reconcile(root, NULL, NULL, &err));
    MUTE(conductor_reconcile(NULL, NULL, &reader, NULL));
    NULLS(conductor_usage(NULL, NULL, &record, &err));
    NULLS(conductor_usage(root, NULL, NULL, &err));
    MUTE(conductor_usage(NULL, NULL, &record, NULL));
    NULLS(conductor_doctor(NULL, &reader, &err));
    NULLS(conductor_doctor(root, NULL, &err));
    MUTE(conductor_doctor(NULL, &reader, NULL));
    NULLS(conductor_stop(NULL, S("shop"), S("one"), S(""), NULL, NULL, &record, &err));
    NULLS(conductor_stop(root, bytes(NULL, 3), S("one"), S(""), NULL, NULL, &record, &err));
    NULLS(conductor_stop(root, S("shop"), bytes(NULL, 3), S(""), NULL, NULL, &record, &err));
    NULLS(conductor_stop(root, S("shop"), S("one"), bytes(NULL, 3), NULL, NULL, &record, &err));
    MUTE(conductor_stop(NULL, S("shop"), S("one"), S(""), NULL, NULL, &record, NULL));
    NULLS(conductor_config_show(NULL, NULL, &err));
    MUTE(conductor_config_show(NULL, NULL, NULL));
    NULLS(conductor_validate(bytes(NULL, 3), NULL, &record, &err));
    NULLS(conductor_validate(S(""), NULL, NULL, &err));
    MUTE(conductor_validate(bytes(NULL, 3), NULL, &record, NULL));
    NULLS(conductor_id_check(bytes(NULL, 3), S("x"), &err));
    NULLS(conductor_id_check(S("task"), bytes(NULL, 3), &err));
    MUTE(conductor_id_check(bytes(NULL, 3), S("x"), NULL));
    NULLS(conductor_duration_parse(bytes(NULL, 3), &ns, &err));
    NULLS(conductor_duration_parse(S("1s"), NULL, &err));
    MUTE(conductor_duration_parse(bytes(NULL, 3), &ns, NULL));
}

static void a_bus_is_needed(void) {
    NULLS(conductor_bus_open(NULL, S("shop"), S("one"), &bus, &err));
    NULLS(conductor_bus_open(root, bytes(NULL, 3), S("one"), &bus, &err));
    NULLS(conductor_bus_open(root, S("shop"), bytes(NULL, 3), &bus, &err));
    NULLS(conductor_bus_open(root, S("shop"), S("one"), NULL, &err));
    MUTE(conductor_bus_open(NULL, S("shop"), S("one"), &bus, NULL));
    NULLS(conductor_bus_post(NULL, S("FACT"), S("x"), NULL, NULL, &record, &err));
    NULLS(conductor_bus_post(a.bus, bytes(NULL, 3), S("x"), NULL, NULL, &record, &err));
    NULLS(conductor_bus_post(a.bus, S("FACT"), bytes(NULL, 3), NULL, NULL, &record, &err));
    MUTE(conductor_bus_post(NULL, S("FACT"), S("x"), NULL, NULL, &record, NULL));
    NULLS(conductor_bus_read(NULL, NULL, &reader, &err));
    NULLS(conductor_bus_read(a.bus, NULL, NULL, &err));
    MUTE(conductor_bus_read(NULL, NULL, &reader, NULL));
    NULLS(conductor_bus_rotate(NULL, 0, NULL, &record, &err));
    MUTE(conductor_bus_rotate(NULL, 0, NULL, &record, NULL));
    NULLS(conductor_bus_check(NULL, &record, &err));
    NULLS(conductor_bus_check(a.bus, NULL, &err));
    MUTE(conductor_bus_check(NULL, &record, NULL));
}

static void what_is_read_is_needed(void) {
    NULLS(conductor_reader_next(NULL, 0, NULL, &record, &err));
    NULLS(conductor_reader_next(a.reader, 0, NULL, NULL, &err));
    MUTE(conductor_reader_next(NULL, 0, NULL, &record, NULL));
    NULLS(conductor_reader_batch(NULL, 0, 0, NULL, &batch, &err));
    NULLS(conductor_reader_batch(a.reader, 0, 0, NULL, NULL, &err));
    MUTE(conductor_reader_batch(NULL, 0, 0, NULL, &batch, NULL));
    NULLS(conductor_reader_commit(NULL, &err));
    MUTE(conductor_reader_commit(NULL, NULL));
    NULLS(conductor_reader_report(NULL, &record, &err));
    NULLS(conductor_reader_report(a.reader, NULL, &err));
    MUTE(conductor_reader_report(NULL, &record, NULL));
    NULLS(conductor_batch_record(NULL, 0, &record, &err));
    NULLS(conductor_batch_record(a.batch, 0, NULL, &err));
    MUTE(conductor_batch_record(NULL, 0, &record, NULL));
    NULLS(conductor_log_open(bytes(NULL, 3), &reader, &err));
    NULLS(conductor_log_open(S("info"), NULL, &err));
    MUTE(conductor_log_open(bytes(NULL, 3), &reader, NULL));
}

static void a_run_is_needed(void) {
    NULLS(conductor_job_start(NULL, NULL, NULL, &run, &err));
    NULLS(conductor_job_start(root, NULL, NULL, NULL, &err));
    MUTE(conductor_job_start(NULL, NULL, NULL, &run, NULL));
    NULLS(conductor_run_open(NULL, S("shop"), S("one"), S(""), &run, &err));
    NULLS(conductor_run_open(root, bytes(NULL, 3), S("one"), S(""), &run, &err));
    NULLS(conductor_run_open(root, S("shop"), bytes(NULL, 3), S(""), &run, &err));
    NULLS(conductor_run_open(root, S("shop"), S("one"), bytes(NULL, 3), &run, &err));
    NULLS(conductor_run_open(root, S("shop"), S("one"), S(""), NULL, &err));
    MUTE(conductor_run_open(NULL, S("shop"), S("one"), S(""), &run, NULL));
    NULLS(conductor_run_info(NULL, &record, &err));
    NULLS(conductor_run_info(a.run, NULL, &err));
    MUTE(conductor_run_info(NULL, &record, NULL));
    NULLS(conductor_run_wait(NULL, 0, NULL, &record, &err));
    NULLS(conductor_run_wait(a.run, 0, NULL, NULL, &err));
    MUTE(conductor_run_wait(NULL, 0, NULL, &record, NULL));
    NULLS(conductor_run_output(NULL, NULL, &reader, &err));
    NULLS(conductor_run_output(a.run, NULL, NULL, &err));
    MUTE(conductor_run_output(NULL, NULL, &reader, NULL));
    NULLS(conductor_run_why(NULL, &record, &err));
    NULLS(conductor_run_why(a.run, NULL, &err));
    MUTE(conductor_run_why(NULL, &record, NULL));
    NULLS(conductor_run_stop(NULL, NULL, NULL, &record, &err));
    MUTE(conductor_run_stop(NULL, NULL, NULL, &record, NULL));
}

static void a_task_is_needed(void) {
    NULLS(conductor_task_start(NULL, NULL, NULL, &task, &err));
    NULLS(conductor_task_start(root, NULL, NULL, NULL, &err));
    MUTE(conductor_task_start(NULL, NULL, NULL, &task, NULL));
    NULLS(conductor_task_resume(NULL, NULL, NULL, &task, &err));
    NULLS(conductor_task_resume(root, NULL, NULL, NULL, &err));
    MUTE(conductor_task_resume(NULL, NULL, NULL, &task, NULL));
    NULLS(conductor_task_open(NULL, S("shop"), S("one"), &task, &err));
    NULLS(conductor_task_open(root, bytes(NULL, 3), S("one"), &task, &err));
    NULLS(conductor_task_open(root, S("shop"), bytes(NULL, 3), &task, &err));
    NULLS(conductor_task_open(root, S("shop"), S("one"), NULL, &err));
    MUTE(conductor_task_open(NULL, S("shop"), S("one"), &task, NULL));
    NULLS(conductor_task_attach(NULL, S("shop"), S("one"), &task, &err));
    NULLS(conductor_task_attach(root, bytes(NULL, 3), S("one"), &task, &err));
    NULLS(conductor_task_attach(root, S("shop"), bytes(NULL, 3), &task, &err));
    NULLS(conductor_task_attach(root, S("shop"), S("one"), NULL, &err));
    MUTE(conductor_task_attach(NULL, S("shop"), S("one"), &task, NULL));
    NULLS(conductor_task_info(NULL, &record, &err));
    NULLS(conductor_task_info(a.task, NULL, &err));
    MUTE(conductor_task_info(NULL, &record, NULL));
    NULLS(conductor_task_wait(NULL, 0, NULL, &record, &err));
    NULLS(conductor_task_wait(a.task, 0, NULL, NULL, &err));
    MUTE(conductor_task_wait(NULL, 0, NULL, &record, NULL));
    NULLS(conductor_task_follow(NULL, NULL, &reader, &err));
    NULLS(conductor_task_follow(a.task, NULL, NULL, &err));
    MUTE(conductor_task_follow(NULL, NULL, &reader, NULL));
    NULLS(conductor_task_stop(NULL, NULL, NULL, &record, &err));
    MUTE(conductor_task_stop(NULL, NULL, NULL, &record, NULL));
    NULLS(conductor_task_cancel(NULL, S("shop"), S("one"), NULL, NULL, &record, &err));
    NULLS(conductor_task_cancel(root, bytes(NULL, 3), S("one"), NULL, NULL, &record, &err));
    NULLS(conductor_task_cancel(root, S("shop"), bytes(NULL, 3), NULL, NULL, &record, &err));
    MUTE(conductor_task_cancel(NULL, S("shop"), S("one"), NULL, NULL, &record, NULL));
    NULLS(conductor_task_set_back(NULL, S("shop"), S("one"), NULL, &err));
    NULLS(conductor_task_set_back(root, bytes(NULL, 3), S("one"), NULL, &err));
    NULLS(conductor_task_set_back(root, S("shop"), bytes(NULL, 3), NULL, &err));
    MUTE(conductor_task_set_back(NULL, S("shop"), S("one"), NULL, NULL));
    NULLS(conductor_task_delete(NULL, S("shop"), S("one"), NULL, NULL, &err));
    NULLS(conductor_task_delete(root, bytes(NULL, 3), S("one"), NULL, NULL, &err));
    NULLS(conductor_task_delete(root, S("shop"), bytes(NULL, 3), NULL, NULL, &err));
    MUTE(conductor_task_delete(NULL, S("shop"), S("one"), NULL, NULL, NULL));
}

static void a_collection_is_needed(void) {
    NULLS(conductor_gc_plan(NULL, NULL, 0, NULL, &plan, &err));
    NULLS(conductor_gc_plan(root, NULL, 0, NULL, NULL, &err));
    MUTE(conductor_gc_plan(NULL, NULL, 0, NULL, &plan, NULL));
    NULLS(conductor_gc_plan_again(NULL, S("x"), 0, NULL, &plan, &err));
    NULLS(conductor_gc_plan_again(root, bytes(NULL, 3), 0, NULL, &plan, &err));
    NULLS(conductor_gc_plan_again(root, S("x"), 0, NULL, NULL, &err));
    MUTE(conductor_gc_plan_again(NULL, S("x"), 0, NULL, &plan, NULL));
    NULLS(conductor_plan_info(NULL, &record, &err));
    NULLS(conductor_plan_info(a.plan, NULL, &err));
    MUTE(conductor_plan_info(NULL, &record, NULL));
    NULLS(conductor_plan_items(NULL, true, &reader, &err));
    NULLS(conductor_plan_items(a.plan, true, NULL, &err));
    MUTE(conductor_plan_items(NULL, true, &reader, NULL));
    NULLS(conductor_plan_apply(NULL, &reader, &err));
    NULLS(conductor_plan_apply(a.plan, NULL, &err));
    MUTE(conductor_plan_apply(NULL, &reader, NULL));
}

static void what_is_told_and_updated_is_needed(void) {
    NULLS(conductor_update_status(NULL, &record, &err));
    NULLS(conductor_update_status(root, NULL, &err));
    MUTE(conductor_update_status(NULL, &record, NULL));
    NULLS(conductor_update_start(NULL, S("/x"), S(""), false, &record, &err));
    NULLS(conductor_update_start(root, bytes(NULL, 3), S(""), false, &record, &err));
    NULLS(conductor_update_start(root, S("/x"), bytes(NULL, 3), false, &record, &err));
    MUTE(conductor_update_start(NULL, S("/x"), S(""), false, &record, NULL));
    NULLS(conductor_update_cancel(NULL, S(""), &record, &err));
    NULLS(conductor_update_cancel(root, bytes(NULL, 3), &record, &err));
    MUTE(conductor_update_cancel(NULL, S(""), &record, NULL));
    NULLS(conductor_outbox(NULL, &reader, &err));
    NULLS(conductor_outbox(root, NULL, &err));
    MUTE(conductor_outbox(NULL, &reader, NULL));
    NULLS(conductor_outbox_deliver(NULL, 0, NULL, &record, &err));
    MUTE(conductor_outbox_deliver(NULL, 0, NULL, &record, NULL));
}

static void many_and_their_number_are_needed(void) {
    NULLS(conductor_wait_any(NULL, 1, NULL, 0, 0, NULL, &place, &err));
    NULLS(conductor_wait_any(NULL, 0, NULL, 1, 0, NULL, &place, &err));
    NULLS(conductor_wait_any(NULL, 0, NULL, 0, 0, NULL, NULL, &err));
    MUTE(conductor_wait_any(NULL, 1, NULL, 0, 0, NULL, &place, NULL));
}

static void settings_are_needed(void) {
    NULLS(conductor_options_set(NULL, S("agent"), S("x"), &err));
    NULLS(conductor_options_set(a.options, bytes(NULL, 1), S("x"), &err));
    NULLS(conductor_options_set(a.options, S("agent"), bytes(NULL, 1), &err));
    MUTE(conductor_options_set(a.options, S("no such"), S("x"), NULL));
}

/* What only tells says of nothing that nothing is known. */
static void of_nothing_nothing_is_known(void) {
    conductor_record *known = NULL;
    conductor_error *err = NULL;
    size_t number = 9;
    DO(conductor_run_info(a.run, &known, &err));
    CHECK(conductor_root(NULL).ptr == NULL && conductor_record_json(NULL).ptr == NULL);
    CHECK(conductor_record_text(NULL, S("status")).ptr == NULL);
    CHECK(conductor_record_text(known, bytes(NULL, 3)).ptr == NULL);
    CHECK(conductor_record_int(NULL, S("exit_code"), -77) == -77);
    CHECK(conductor_record_int(known, bytes(NULL, 3), -77) == -77);
    CHECK(conductor_record_int(known, S("exit_code"), -77) == 0);
    CHECK(conductor_record_count(NULL, S("")) == 0);
    CHECK(conductor_record_count(known, bytes(NULL, 3)) == 0);
    CHECK(conductor_record_name(NULL, S(""), 0).ptr == NULL);
    CHECK(conductor_record_name(known, bytes(NULL, 3), 0).ptr == NULL);
    CHECK(conductor_batch_messages(NULL, &number) == NULL && number == 0);
    CHECK(conductor_batch_messages(NULL, NULL) == NULL);
    CHECK(conductor_reader_fd(NULL) == -1);
    CHECK(conductor_run_fd(NULL) == -1);
    CHECK(conductor_task_fd(NULL) == -1);
    CHECK(!conductor_cancel_is_set(NULL));
    conductor_cancel_set(NULL);
    CHECK(conductor_id_check(S("task"), S(".."), &err) == CONDUCTOR_INVALID_INPUT);
    CHECK(conductor_error_text(err, bytes(NULL, 3)).ptr == NULL);
    CHECK(conductor_error_text(NULL, S("code")).ptr == NULL);
    conductor_error_free(err);
    conductor_record_free(known);
}

static void nothing_is_freed(void) {
    conductor_free(NULL);
    conductor_bus_free(NULL);
    conductor_run_free(NULL);
    conductor_task_free(NULL);
    conductor_plan_free(NULL);
    conductor_batch_free(NULL);
    conductor_reader_free(NULL);
    conductor_record_free(NULL);
    conductor_options_free(NULL);
    conductor_cancel_free(NULL);
    conductor_error_free(NULL);
}

int main(int argc, char **argv) {
    const char *done[] = {"project", "shop", "agent", "shell", "task", "two", "prompt", "touch DONE", NULL};
    conductor_options *o = with(done);
    conductor_record *end = NULL;
    CHECK(argc == 2);
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), NULL, &root, &err));
    a.run = job("one", "true");
    DO(conductor_run_wait(a.run, LONG, NULL, &end, &err));
    conductor_record_free(end);
    DO(conductor_task_start(root, o, NULL, &a.task, &err));
    DO(conductor_task_wait(a.task, LONG, NULL, &end, &err));
    conductor_record_free(end);
    conductor_options_free(o);
    a.options = conductor_options_new();
    DO(conductor_bus_open(root, S("shop"), S("one"), &a.bus, &err));
    DO(conductor_bus_read(a.bus, NULL, &a.reader, &err));
    DO(conductor_reader_batch(a.reader, 1, 0, NULL, &a.batch, &err));
    DO(conductor_gc_plan(root, NULL, -1, NULL, &a.plan, &err));

    the_root_is_needed();
    a_bus_is_needed();
    what_is_read_is_needed();
    a_run_is_needed();
    a_task_is_needed();
    a_collection_is_needed();
    what_is_told_and_updated_is_needed();
    many_and_their_number_are_needed();
    settings_are_needed();
    CHECK(c == NULL && bus == NULL && reader == NULL && record == NULL && batch == NULL && run == NULL);
    CHECK(task == NULL && plan == NULL && ns == -7 && place == 9);
    of_nothing_nothing_is_known();
    nothing_is_freed();

    conductor_plan_free(a.plan);
    conductor_batch_free(a.batch);
    conductor_reader_free(a.reader);
    conductor_bus_free(a.bus);
    conductor_options_free(a.options);
    conductor_task_free(a.task);
    conductor_run_free(a.run);
    conductor_free(root);
    CHECK(conductor_handle_count() == 0);
    return 0;
}
