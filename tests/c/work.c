/* Work from C: a root, a bus, runs and tasks, by every function. `work ROOT`; quiet when all holds.
 * Compiled as C99 and as C++17, run plainly and under valgrind; `work ROOT no-signals` leaves out what
 * signals processes, for a valgrind that knows no pidfd_open(2). */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int signals = 1;

static void a_run_is_started_waited_for_and_read(void) {
    conductor_run *run = job("one", "echo hello; exit 3"), *again = NULL, *newest = NULL;
    conductor_record *end = NULL, *info = NULL, *piece = NULL;
    conductor_reader *output = NULL;
    char id[128];
    DO(conductor_run_wait(run, LONG, NULL, &end, &err));
    CHECK(is(text(end, "outcome"), "failed") && number(end, "exit_code") == 3);
    CHECK(is(text(end, "exit_code"), "3") && is(text(end, "agent"), "shell"));
    CHECK(text(end, "signal").ptr == NULL && number(end, "signal") == -77);
    CHECK(conductor_record_json(end).ptr[0] == '{');
    CHECK(conductor_record_count(end, S("")) > 10);
    CHECK(conductor_record_name(end, S(""), 0).len > 0);
    CHECK(conductor_record_name(end, S(""), 1000).ptr == NULL);
    CHECK(text(end, "run_id").len < sizeof(id));
    memcpy(id, text(end, "run_id").ptr, text(end, "run_id").len);
    id[text(end, "run_id").len] = '\0';

    DO(conductor_run_open(root, S("shop"), S("one"), CONDUCTOR_STRZ(id), &again, &err));
    DO(conductor_run_open(root, S("shop"), S("one"), S(""), &newest, &err));
    DO(conductor_run_info(newest, &info, &err));
    CHECK(is(text(info, "run_id"), id) && is(text(info, "status"), "failed"));
    DO(conductor_run_output(again, NULL, &output, &err));
    CHECK(conductor_reader_fd(output) == -1);
    DO(conductor_reader_next(output, 0, NULL, &piece, &err));
    CHECK(is(text(piece, "text"), "hello\n") && number(piece, "offset") == 0);
    conductor_record_free(piece);
    DO(conductor_reader_next(output, 0, NULL, &piece, &err));
    CHECK(piece == NULL);
    FAILS("run.not_found", conductor_run_open(root, S("shop"), S("one"), S("r"), &again, &err));

    conductor_reader_free(output);
    conductor_record_free(info);
    conductor_record_free(end);
    conductor_run_free(newest);
    conductor_run_free(again);
    conductor_run_free(run);
}

static void the_end_of_a_run_is_polled_for(void) {
    conductor_run *run = job("polled", "sleep 0.2; echo polled");
    conductor_record *end = NULL;
    conductor_error *err = NULL;
    conductor_status status;
    int looks = 0;
    while ((status = conductor_run_wait(run, 0, NULL, &end, &err)) == CONDUCTOR_TIMEOUT) {
        struct pollfd fd;
        CHECK(err == NULL && end == NULL);
        fd.fd = conductor_run_fd(run);
        fd.events = POLLIN;
        CHECK(poll(&fd, 1, LONG) == 1);
        CHECK(looks++ < 200);
    }
    CHECK(status == CONDUCTOR_OK && is(text(end, "outcome"), "completed"));
    conductor_record_free(end);
    conductor_run_free(run);
}

static void messages_are_posted_read_and_followed(void) {
    const char *post[] = {"meta", "by=me", "run", "run-1", "link", "/x", "wait", "30s", NULL};
    const char *once[] = {"once", "key", NULL};
    const char *tail[] = {"tail", "1", "type", "fact", NULL};
    const char *news[] = {"after", "end", "follow", "true", NULL};
    conductor_options *o = with(post), *o_once = with(once), *o_tail = with(tail), *o_news = with(news);
    conductor_bus *bus = NULL;
    conductor_reader *all = NULL, *last = NULL, *follower = NULL;
    conductor_record *posted = NULL, *same = NULL, *m = NULL;
    conductor_cancel *cancel = conductor_cancel_new();
    conductor_error *err = NULL;
    struct pollfd fd;
    int seen = 0;
    DO(conductor_bus_open(root, S("shop"), S("one"), &bus, &err));
    DO(conductor_bus_read(bus, o_news, &follower, &err));
    CHECK(conductor_reader_next(follower, 0, NULL, &m, &err) == CONDUCTOR_TIMEOUT && err == NULL);

    DO(conductor_bus_post(bus, S("FACT"), S("first\nsecond"), o, NULL, &posted, &err));
    CHECK(text(posted, "cursor").len > 0 && number(posted, "seq") > 0);
    DO(conductor_bus_post(bus, S("FACT"), S("x"), NULL, NULL, NULL, &err));
    conductor_record_free(posted);
    DO(conductor_bus_post(bus, S("FACT"), S("only"), o_once, NULL, &posted, &err));
    DO(conductor_bus_post(bus, S("FACT"), S("only"), o_once, NULL, &same, &err));
    CHECK(number(posted, "seq") == number(same, "seq"));

    fd.fd = conductor_reader_fd(follower);
    fd.events = POLLIN;
    CHECK(fd.fd >= 0 && poll(&fd, 1, LONG) == 1);
    DO(conductor_reader_next(follower, LONG, NULL, &m, &err));
    CHECK(is(text(m, "body"), "first\nsecond") && is(text(m, "kind"), "message"));
    CHECK(is(text(m, "meta.by"), "me") && is(text(m, "links.0.url"), "/x"));
    CHECK(conductor_record_count(m, S("meta")) == 1 && is(text(m, "run_id"), "run-1"));
    CHECK(is(conductor_record_name(m, S("meta"), 0), "by"));
    conductor_record_free(m);
    for (; seen < 2; seen++) {
        DO(conductor_reader_next(follower, LONG, NULL, &m, &err));
        conductor_record_free(m);
    }
    conductor_cancel_set(cancel);
    CHECK(conductor_reader_next(follower, -1, cancel, &m, &err) == CONDUCTOR_CANCELLED && err == NULL);

    DO(conductor_bus_read(bus, o_tail, &last, &err));
    DO(conductor_reader_next(last, 0, NULL, &m, &err));
    CHECK(is(text(m, "body"), "only") && number(m, "seq") == number(same, "seq"));
    conductor_record_free(m);
    DO(conductor_bus_read(bus, NULL, &all, &err));
    for (seen = 0;; seen++) {
        DO(conductor_reader_next(all, 0, NULL, &m, &err));
        if (m == NULL) break;
        conductor_record_free(m);
    }
    CHECK(seen >= 3);
    FAILS("bus.type", conductor_bus_post(bus, S("no type"), S("x"), NULL, NULL, NULL, &err));
    FAILS("option.misplaced", conductor_bus_post(bus, S("FACT"), S("x"), o_news, NULL, NULL, &err));

    conductor_record_free(same);
    conductor_record_free(posted);
    conductor_reader_free(all);
    conductor_reader_free(last);
    conductor_reader_free(follower);
    conductor_bus_free(bus);
    conductor_cancel_free(cancel);
    conductor_options_free(o_news);
    conductor_options_free(o_tail);
    conductor_options_free(o_once);
    conductor_options_free(o);
}

static void many_messages_are_read_at_once(void) {
    const char *meta[] = {"meta", "by=me", "run", "run-1", NULL};
    const char *kept[] = {"cursor", "batches", NULL};
    conductor_options *o = with(meta), *o_kept = with(kept);
    conductor_bus *bus = NULL;
    conductor_reader *reader = NULL, *one = NULL;
    conductor_batch *batch = NULL;
    conductor_record *m = NULL;
    const conductor_message *messages;
    size_t i, total = 9, seen = 0, plain = 0;
    int64_t last = 0;
    DO(conductor_bus_open(root, S("shop"), S("one"), &bus, &err));
    for (i = 0; i < 20; i++)
        DO(conductor_bus_post(bus, S("BATCH"), S("x\ny"), i % 2 ? o : NULL, NULL, NULL, &err));
    DO(conductor_bus_read(bus, NULL, &reader, &err));
    DO(conductor_bus_read(bus, NULL, &one, &err));
    for (;;) {
        DO(conductor_reader_batch(reader, seen ? 0 : 3, 0, NULL, &batch, &err));
        if (batch == NULL) break;
        messages = conductor_batch_messages(batch, &total);
        CHECK(messages != NULL && total > 0 && (seen || total <= 3));
        for (i = 0; i < total; i++, seen++) {
            const conductor_message *it = &messages[i];
            conductor_record *same = NULL;
            DO(conductor_reader_next(one, 0, NULL, &m, &err));
#define SAME(field) CHECK(it->field.len == text(m, #field).len && \
                          memcmp(it->field.len ? it->field.ptr : "", text(m, #field).len ? text(m, #field).ptr : "", \
                                 it->field.len) == 0)
            SAME(kind);
            SAME(msg_id);
            SAME(ts);
            SAME(type);
            SAME(project_id);
            SAME(task_id);
            SAME(run_id);
            SAME(body);
            SAME(cursor);
            CHECK(it->seq == number(m, "seq") && it->seq > last && it->ts_ns > 0);
            CHECK(it->body.ptr >= it->all.ptr && it->body.ptr + it->body.len <= it->all.ptr + it->all.len);
            CHECK(it->msg_id.ptr > it->all.ptr && it->cursor.ptr > it->all.ptr);
            last = it->seq;
            plain += !it->has_more;
            DO(conductor_batch_record(batch, i, &same, &err));
            CHECK(conductor_record_json(same).len == conductor_record_json(m).len);
            CHECK(memcmp(conductor_record_json(same).ptr, conductor_record_json(m).ptr,
                         conductor_record_json(m).len) == 0);
            CHECK(it->has_more || text(m, "meta.by").ptr == NULL);
            conductor_record_free(same);
            conductor_record_free(m);
        }
        FAILS("argument.index", conductor_batch_record(batch, total, &m, &err));
        conductor_batch_free(batch);
    }
    CHECK(seen > 20 && plain >= 10);
    conductor_reader_free(one);
    conductor_reader_free(reader);

    DO(conductor_bus_read(bus, o_kept, &reader, &err));
    DO(conductor_reader_batch(reader, 2, 0, NULL, &batch, &err));
    CHECK(conductor_batch_messages(batch, &total) != NULL && total == 2);
    DO(conductor_reader_commit(reader, &err));
    conductor_reader_free(reader);
    DO(conductor_bus_read(bus, o_kept, &reader, &err));
    DO(conductor_reader_next(reader, 0, NULL, &m, &err));
    CHECK(number(m, "seq") == conductor_batch_messages(batch, NULL)[1].seq + 1);
    conductor_record_free(m);
    conductor_reader_free(reader);
    DO(conductor_list(root, NULL, &reader, &err));
    FAILS("reader.no_messages", conductor_reader_batch(reader, 0, 0, NULL, &batch, &err));
    conductor_reader_free(reader);
    conductor_batch_free(batch);
    conductor_bus_free(bus);
    conductor_options_free(o_kept);
    conductor_options_free(o);
}

static void a_task_is_driven_by_who_reads_it(void) {
    const char *pairs[] = {"project", "shop", "task", "count", "agent", "shell", "restart_delay", "10ms",
                           "prompt", "echo x >>steps; test $(wc -l <steps) -lt 3 || touch DONE", NULL};
    conductor_options *o = with(pairs);
    conductor_task *task = NULL, *seen_by = NULL, *again = NULL;
    conductor_reader *news = NULL;
    conductor_record *m = NULL, *end = NULL, *info = NULL, *resumed = NULL;
    int starts = 0;
    size_t index = 9;
    const conductor_task *tasks[1];
    DO(conductor_task_start(root, o, NULL, &task, &err));
    DO(conductor_task_open(root, S("shop"), S("count"), &seen_by, &err));
    CHECK(conductor_task_fd(task) >= 0);
    DO(conductor_task_follow(task, NULL, &news, &err));
    for (;;) {
        DO(conductor_reader_next(news, LONG, NULL, &m, &err));
        if (m == NULL) break;
        starts += is(text(m, "type"), "RUN_START");
        conductor_record_free(m);
    }
    CHECK(starts == 3);
    DO(conductor_task_wait(task, 0, NULL, &end, &err));
    CHECK(is(text(end, "outcome"), "done") && number(end, "attempts") == 3);
    DO(conductor_task_info(seen_by, &info, &err));
    CHECK(number(info, "done") == 1 && is(text(info, "latest.outcome"), "completed"));
    tasks[0] = seen_by;
    DO(conductor_wait_any(NULL, 0, tasks, 1, 0, NULL, &index, &err));
    CHECK(index == 0);
    conductor_task_free(seen_by);
    DO(conductor_task_attach(root, S("shop"), S("count"), &seen_by, &err));
    DO(conductor_task_resume(root, o, NULL, &again, &err));
    /* One way or the other it comes to its end, and leaves no run to be closed. */
    if (signals) DO(conductor_task_stop(again, NULL, NULL, NULL, &err));
    else DO(conductor_task_wait(again, LONG, NULL, &resumed, &err));

    conductor_record_free(resumed);
    conductor_task_free(again);
    conductor_record_free(info);
    conductor_record_free(end);
    conductor_reader_free(news);
    conductor_task_free(seen_by);
    conductor_task_free(task);
    conductor_options_free(o);
}

static void several_are_waited_for_and_stopped(void) {
    const char *why[] = {"reason", "enough", "force", "true", NULL};
    conductor_options *o = with(why);
    conductor_run *slow = job("slow", "exec sleep 600"), *slower = job("slower", "exec sleep 600");
    conductor_run *quick = job("quick", "true");
    const conductor_run *runs[2];
    conductor_record *report = NULL, *end = NULL;
    conductor_error *err = NULL;
    size_t index = 9;
    runs[0] = slow;
    runs[1] = quick;
    DO(conductor_wait_any(runs, 2, NULL, 0, LONG, NULL, &index, &err));
    CHECK(index == 1);
    CHECK(conductor_wait_any(runs, 1, NULL, 0, 10, NULL, &index, &err) == CONDUCTOR_TIMEOUT && !err);
    DO(conductor_run_stop(slow, o, NULL, &report, &err));
    CHECK(conductor_record_count(report, S("signalled")) == 1);
    DO(conductor_run_wait(slow, 0, NULL, &end, &err));
    CHECK(is(text(end, "outcome"), "stopped") && is(text(end, "stop_reason"), "enough"));
    DO(conductor_stop(root, S("shop"), S("slower"), S(""), o, NULL, NULL, &err));
    FAILS("wait.nothing", conductor_wait_any(NULL, 0, NULL, 0, 0, NULL, &index, &err));
    conductor_record_free(end);
    conductor_record_free(report);
    conductor_run_free(quick);
    conductor_run_free(slower);
    conductor_run_free(slow);
    conductor_options_free(o);
}

static void what_is_there_is_listed_and_closed(void) {
    const char *tasks[] = {"project", "shop", NULL};
    const char *runs[] = {"project", "shop", "task", "count", "status", "completed", NULL};
    conductor_options *o_tasks = with(tasks), *o_runs = with(runs);
    conductor_reader *reader = NULL;
    DO(conductor_list(root, NULL, &reader, &err));
    CHECK(count(reader) == 1);
    DO(conductor_list(root, o_tasks, &reader, &err));
    CHECK(count(reader) >= 3);
    DO(conductor_list(root, o_runs, &reader, &err));
    CHECK(count(reader) >= 3);
    DO(conductor_reconcile(root, NULL, &reader, &err));
    CHECK(count(reader) == 0);
    conductor_options_free(o_runs);
    conductor_options_free(o_tasks);
}

static void a_bus_is_read_on_from_a_kept_place_checked_and_rotated(void) {
    const char *mailer[] = {"cursor", "mailer", NULL};
    conductor_options *o = with(mailer);
    conductor_bus *bus = NULL;
    conductor_reader *reader = NULL, *second = NULL;
    conductor_record *m = NULL, *report = NULL;
    int64_t first;
    DO(conductor_bus_open(root, S("shop"), S("one"), &bus, &err));
    DO(conductor_bus_read(bus, o, &reader, &err));
    FAILS("cursor.busy", conductor_bus_read(bus, o, &second, &err));
    DO(conductor_reader_next(reader, 0, NULL, &m, &err));
    first = number(m, "seq");
    conductor_record_free(m);
    DO(conductor_reader_commit(reader, &err));
    DO(conductor_reader_next(reader, 0, NULL, &m, &err));
    conductor_record_free(m);
    conductor_reader_free(reader);
    DO(conductor_bus_read(bus, o, &reader, &err));
    DO(conductor_reader_next(reader, 0, NULL, &m, &err));
    CHECK(number(m, "seq") == first + 1);
    conductor_record_free(m);
    conductor_reader_free(reader);
    DO(conductor_bus_read(bus, NULL, &reader, &err));
    FAILS("cursor.none", conductor_reader_commit(reader, &err));
    conductor_reader_free(reader);

    DO(conductor_bus_rotate(bus, LONG, NULL, &report, &err));
    CHECK(is(text(report, "result"), "done") && text(report, "archive").len > 0);
    conductor_record_free(report);
    DO(conductor_bus_rotate(bus, LONG, NULL, &report, &err));
    CHECK(is(text(report, "result"), "empty") && text(report, "archive").ptr == NULL);
    conductor_record_free(report);
    DO(conductor_bus_rotate(bus, LONG, NULL, NULL, &err));
    DO(conductor_bus_check(bus, &report, &err));
    CHECK(number(report, "messages") >= 3 && number(report, "files") == 2);
    CHECK(number(report, "damaged") == 0 && conductor_record_count(report, S("findings")) == 0);
    conductor_record_free(report);
    conductor_bus_free(bus);
    conductor_options_free(o);
}

static void a_task_is_cancelled_set_back_and_deleted(void) {
    const char *pairs[] = {"project", "shop", "task", "unwanted", "agent", "shell", "max_attempts", "1",
                           "prompt", "exec sleep 600", NULL};
    const char *by_force[] = {"force", "true", NULL};
    const char *why[] = {"reason", "not wanted", "force", "true", NULL};
    conductor_options *o = with(pairs), *o_force = with(by_force), *o_why = with(why);
    conductor_task *task = NULL;
    conductor_record *report = NULL, *end = NULL;
    DO(conductor_task_start(root, o, NULL, &task, &err));
    FAILS("task.running", conductor_task_set_back(root, S("shop"), S("unwanted"), NULL, &err));
    conductor_task_free(task);
    FAILS("task.running", conductor_task_delete(root, S("shop"), S("unwanted"), NULL, NULL, &err));
    DO(conductor_task_cancel(root, S("shop"), S("unwanted"), o_why, NULL, &report, &err));
    CHECK(conductor_record_count(report, S("signalled")) == 1);
    DO(conductor_task_open(root, S("shop"), S("unwanted"), &task, &err));
    DO(conductor_task_wait(task, 0, NULL, &end, &err));
    CHECK(is(text(end, "outcome"), "stopped") && is(text(end, "reason"), "not wanted"));
    conductor_task_free(task);
    DO(conductor_task_cancel(root, S("shop"), S("unwanted"), o_why, NULL, NULL, &err));
    FAILS("task.cancelled", conductor_task_start(root, o, NULL, &task, &err));
    DO(conductor_task_set_back(root, S("shop"), S("unwanted"), NULL, &err));
    DO(conductor_task_start(root, o, NULL, &task, &err));
    conductor_task_free(task);
    DO(conductor_task_delete(root, S("shop"), S("unwanted"), o_force, NULL, &err));
    FAILS("task.not_found", conductor_task_open(root, S("shop"), S("unwanted"), &task, &err));
    conductor_record_free(end);
    conductor_record_free(report);
    conductor_options_free(o_why);
    conductor_options_free(o_force);
    conductor_options_free(o);
}

static void usage_and_state_are_told(void) {
    const char *by_day[] = {"project", "shop", "by", "day", NULL};
    conductor_options *o = with(by_day);
    conductor_record *sums = NULL, *why = NULL;
    conductor_reader *findings = NULL;
    conductor_run *run = NULL;
    DO(conductor_usage(root, NULL, &sums, &err));
    CHECK(is(text(sums, "by"), "project") && is(text(sums, "sums.0.name"), "shop"));
    CHECK(number(sums, "total.runs") > 3 && conductor_record_count(sums, S("damage")) == 0);
    CHECK(number(sums, "total.unknown_cost") == number(sums, "total.runs"));
    CHECK(text(sums, "total.cost_usd").ptr == NULL);
    conductor_record_free(sums);
    DO(conductor_usage(root, o, &sums, &err));
    CHECK(is(text(sums, "by"), "day") && conductor_record_count(sums, S("sums")) >= 1);
    conductor_record_free(sums);
    FAILS("usage.unknown_group", conductor_options_set(o, S("by"), S("day"), NULL) ||
                                     conductor_options_set(o, S("by"), S("week"), NULL) ||
                                     conductor_usage(root, o, &sums, &err));
    DO(conductor_doctor(root, &findings, &err));
    conductor_reader_free(findings);
    DO(conductor_run_open(root, S("shop"), S("one"), S(""), &run, &err));
    DO(conductor_run_why(run, &why, &err));
    CHECK(contains(text(why, "because"), "3") && text(why, "next").len > 0);
    CHECK(conductor_record_count(why, S("evidence")) > 0);
    conductor_record_free(why);
    conductor_run_free(run);
    conductor_options_free(o);
}

static void write_file(const char *path, const char *content) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(content, file) >= 0 && fclose(file) == 0);
}

static void the_configuration_is_shown_and_heeded(const char *folder) {
    char path[4096];
    const char *pairs[3], *work[] = {"project", "shop", "task", "mine", "agent", "mine", "prompt", "x", NULL};
    conductor_options *o, *o_work = with(work);
    conductor_record *config = NULL, *found = NULL, *end = NULL;
    conductor_run *run = NULL;
    conductor *own = NULL;
    int i, seen = 0, count;
    CHECK(snprintf(path, sizeof(path), "%s/config.yaml", folder) < (int)sizeof(path));
    write_file(path, "agents:\n  mine:\n    type: command\n    command: [\"true\"]\n");
    pairs[0] = "config";
    pairs[1] = path;
    pairs[2] = NULL;
    o = with(pairs);
    DO(conductor_config_show(o, &config, &err));
    CHECK(is(text(config, "path"), path) && conductor_record_count(config, S("warnings")) == 0);
    count = (int)conductor_record_count(config, S("values"));
    for (i = 0; i < count; i++) {
        char key[64];
        CHECK(snprintf(key, sizeof(key), "values.%d.key", i) < (int)sizeof(key));
        if (!is(text(config, key), "agents.mine.type")) continue;
        CHECK(snprintf(key, sizeof(key), "values.%d.from.line", i) < (int)sizeof(key));
        CHECK(number(config, key) == 3);
        seen = 1;
    }
    CHECK(seen);
    DO(conductor_validate(conductor_root(root), o, &found, &err));
    CHECK(number(found, "config.ok") == 1 && number(found, "root.ok") == 1);
    CHECK(is(text(found, "agents.0.name"), "mine") && number(found, "errors") == 0);
    conductor_record_free(found);
    DO(conductor_open(conductor_root(root), o, &own, &err));
    DO(conductor_job_start(own, o_work, NULL, &run, &err));
    DO(conductor_run_wait(run, LONG, NULL, &end, &err));
    CHECK(is(text(end, "outcome"), "completed"));
    conductor_free(own);

    write_file(path, "agents:\n  mine:\n    tipe: command\n");
    FAILS("config.unknown_key", conductor_open(conductor_root(root), o, &own, &err));
    FAILS("config.unknown_key", conductor_config_show(o, &config, &err));
    DO(conductor_validate(conductor_root(root), o, &found, &err));
    CHECK(number(found, "config.ok") == 0 && number(found, "errors") >= 1);
    CHECK(is(text(found, "problems.0.path"), path) && number(found, "problems.0.line") == 3);
    conductor_record_free(found);
    conductor_record_free(end);
    conductor_run_free(run);
    conductor_record_free(config);
    conductor_options_free(o_work);
    conductor_options_free(o);
}

static void what_is_old_is_planned_and_goes(void) {
    const char *old[] = {"project", "shop", "older_than", "0s", "rotate_bus", "false", NULL};
    const char *wrong[] = {"max_bytes", "much", NULL};
    conductor_options *o = with(old), *o_wrong = with(wrong);
    conductor_cancel *cancel = conductor_cancel_new();
    conductor_plan *plan = NULL, *again = NULL;
    conductor_record *info = NULL, *done = NULL, *report = NULL;
    conductor_reader *items = NULL, *work = NULL;
    conductor_error *err = NULL;
    conductor_status status;
    int actions, told = 0;
    FAILS("size.invalid", conductor_gc_plan(root, o_wrong, -1, NULL, &plan, &err));
    FAILS("gc.token", conductor_gc_plan_again(root, S("no plan"), -1, NULL, &plan, &err));
    DO(conductor_gc_plan(root, o, LONG, cancel, &plan, &err));
    DO(conductor_plan_info(plan, &info, &err));
    CHECK(number(info, "runs") > 2 && conductor_record_count(info, S("errors")) == 0);
    DO(conductor_gc_plan_again(root, text(info, "plan"), LONG, NULL, &again, &err));
    conductor_plan_free(plan);
    DO(conductor_plan_items(again, false, &items, &err));
    CHECK(conductor_reader_fd(items) == -1);
    FAILS("reader.no_report", conductor_reader_report(items, &report, &err));
    for (actions = 0;; actions++) {
        DO(conductor_reader_next(items, -1, NULL, &done, &err));
        if (done == NULL) break;
        CHECK(is(text(done, "action"), "delete") && text(done, "path").len > 0);
        conductor_record_free(done);
    }
    CHECK(actions > 2);
    DO(conductor_plan_apply(again, &work, &err));
    conductor_plan_free(again);
    /* Whoever does not wait does a part of it with each call. */
    while ((status = conductor_reader_next(work, 0, NULL, &done, &err)) != CONDUCTOR_OK || done != NULL) {
        CHECK(err == NULL && (status == CONDUCTOR_OK || status == CONDUCTOR_TIMEOUT));
        if (status == CONDUCTOR_TIMEOUT) continue;
        CHECK(text(done, "result").len > 0);
        conductor_record_free(done);
        told++;
    }
    DO(conductor_reader_report(work, &report, &err));
    CHECK(told == actions && number(report, "runs") > 2 && number(report, "failed") == 0);
    CHECK(number(report, "freed") > 0 && number(report, "kept") == 0);
    conductor_cancel_set(cancel);
    CHECK(conductor_gc_plan(root, o, -1, cancel, &plan, &err) == CONDUCTOR_CANCELLED && err == NULL);
    conductor_reader_free(items);
    conductor_reader_free(work);
    conductor_record_free(report);
    conductor_record_free(info);
    conductor_cancel_free(cancel);
    conductor_options_free(o_wrong);
    conductor_options_free(o);
}

/* A host that reaps whatever dies never sees a process of the library. */
static void no_stranger_is_a_child(void) {
    int status = 0;
    CHECK(waitpid(-1, &status, WNOHANG) == -1);
}

int main(int argc, char **argv) {
    CHECK(argc == 2 || argc == 3);
    signals = argc == 2;
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), NULL, &root, &err));
    CHECK(is(conductor_root(root), argv[1]));
    a_run_is_started_waited_for_and_read();
    the_end_of_a_run_is_polled_for();
    messages_are_posted_read_and_followed();
    many_messages_are_read_at_once();
    a_task_is_driven_by_who_reads_it();
    if (signals) several_are_waited_for_and_stopped();
    what_is_there_is_listed_and_closed();
    a_bus_is_read_on_from_a_kept_place_checked_and_rotated();
    if (signals) a_task_is_cancelled_set_back_and_deleted();
    usage_and_state_are_told();
    the_configuration_is_shown_and_heeded(argv[1]);
    what_is_old_is_planned_and_goes();
    no_stranger_is_a_child();
    conductor_free(root);
    CHECK(conductor_handle_count() == 0);
    return 0;
}
