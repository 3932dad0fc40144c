/* A server's update holds new root runs back, from C too: `update ROOT BINARY`, while somebody has the part of
 * the server and a root run lives. Compiled as C99 and as C++17; quiet when all holds. */
#include "check.h"

static void stands(const char *state, int64_t active) {
    conductor_record *status = NULL;
    DO(conductor_update_status(root, &status, &err));
    CHECK(is(text(status, "state"), state) && number(status, "active_runs_now") == active);
    CHECK(number(status, "served") == 1);
    conductor_record_free(status);
}

static void is_refused(const char *task) {
    const char *pairs[] = {"project", "shop", "agent", "shell", "task", task, "prompt", "true", NULL};
    conductor_options *o = with(pairs);
    conductor_run *run = NULL;
    conductor_task *loop = NULL;
    conductor_error *err = NULL;
    CHECK(conductor_job_start(root, o, NULL, &run, &err) == CONDUCTOR_UPDATE_IN_PROGRESS);
    CHECK(is(of(err, "code"), "update.in_progress") && of(err, "hint").len > 0 && run == NULL);
    conductor_error_free(err);
    FAILS("update.in_progress", conductor_task_start(root, o, NULL, &loop, &err));
    CHECK(loop == NULL);
    conductor_options_free(o);
}

int main(int argc, char **argv) {
    conductor_record *status = NULL, *end = NULL;
    conductor_run *run = NULL;
    CHECK(argc == 3);
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), NULL, &root, &err));
    stands("idle", 1);
    FAILS("update.sha256", conductor_update_start(root, CONDUCTOR_STRZ(argv[2]), S("ab"), 0, NULL, &err));
    FAILS("update.binary", conductor_update_start(root, S("/no/such"), S(""), 0, NULL, &err));
    stands("idle", 1);

    DO(conductor_update_start(root, CONDUCTOR_STRZ(argv[2]), S(""), 1, &status, &err));
    CHECK(is(text(status, "state"), "deferred") && is(text(status, "binary_path"), argv[2]));
    conductor_record_free(status);
    stands("deferred", 1);
    is_refused("refused-in-c");

    DO(conductor_update_cancel(root, S("from C"), &status, &err));
    CHECK(is(text(status, "state"), "idle") && is(text(status, "last_note"), "cancelled: from C"));
    conductor_record_free(status);
    DO(conductor_update_cancel(root, S(""), NULL, &err));
    run = job("let-in-c", "exit 3");
    DO(conductor_run_wait(run, LONG, NULL, &end, &err));
    CHECK(number(end, "exit_code") == 3);
    conductor_record_free(end);
    conductor_run_free(run);
    conductor_free(root);
    CHECK(conductor_handle_count() == 0);
    return 0;
}
