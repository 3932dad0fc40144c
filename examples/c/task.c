/* A task, its messages while it runs, its result.
 *
 *     cc task.c $(pkg-config --cflags --libs conductor) -o task
 *     ./task
 *
 * The agent is "shell", so that nothing needs to be installed: its prompt is a shell script. Put
 * "claude", "codex" or "gemini" in its place. Ctrl-C leaves the task running. */
#include <conductor.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define S CONDUCTOR_STR
#define TEXT(s) (int)(s).len, (s).ptr

static conductor_cancel *interrupt;

static void on_sigint(int number) {
    (void)number;
    conductor_cancel_set(interrupt);
}

static int fail(conductor_error *e) {
    fprintf(stderr, "error: %.*s\n", TEXT(conductor_error_text(e, S("message"))));
    fprintf(stderr, "hint: %.*s\n", TEXT(conductor_error_text(e, S("hint"))));
    conductor_error_free(e);
    return 1;
}

/* What stands before the first line feed. */
static conductor_str first_line(conductor_str text) {
    const char *end = text.ptr ? memchr(text.ptr, '\n', text.len) : NULL;
    if (end) text.len = (size_t)(end - text.ptr);
    return text;
}

int main(void) {
    conductor *c;
    conductor_task *task;
    conductor_reader *news;
    conductor_record *m, *end;
    conductor_error *err;
    conductor_status status;
    conductor_options *o = conductor_options_new();

    interrupt = conductor_cancel_new();
    signal(SIGINT, on_sigint);

    if (conductor_options_set(o, S("project"), S("example"), &err) ||
        conductor_options_set(o, S("task"), S("count-in-c"), &err) ||
        conductor_options_set(o, S("agent"), S("shell"), &err) ||
        conductor_options_set(o, S("prompt"),
                              S("echo x >>steps; wc -l <steps; test $(wc -l <steps) -lt 3 || touch DONE"),
                              &err) ||
        conductor_options_set(o, S("restart_delay"), S("100ms"), &err) ||
        conductor_options_set(o, S("verify"), S("test -s \"$JRUN_TASK_FOLDER/steps\""), &err))
        return fail(err);

    /* An empty root is the one that the environment names. The same task again goes on, or attaches. */
    if (conductor_open(S(""), NULL, &c, &err) || conductor_task_start(c, o, interrupt, &task, &err) ||
        conductor_task_follow(task, NULL, &news, &err))
        return fail(err);

    /* Reading its messages drives it: the next attempt is started in here. */
    while (!(status = conductor_reader_next(news, -1, interrupt, &m, &err)) && m) {
        printf("%-10.*s %.*s\n", TEXT(conductor_record_text(m, S("type"))),
               TEXT(first_line(conductor_record_text(m, S("body")))));
        conductor_record_free(m);
    }
    if (status == CONDUCTOR_CANCELLED) {
        puts("left running; start it again to go on");
        return 0;
    }
    if (status || conductor_task_wait(task, -1, interrupt, &end, &err)) return fail(err);
    printf("%.*s after %d attempts\n", TEXT(conductor_record_text(end, S("outcome"))),
           (int)conductor_record_int(end, S("attempts"), -1));

    conductor_record_free(end);
    conductor_reader_free(news);
    conductor_task_free(task);
    conductor_free(c);
    conductor_options_free(o);
    conductor_cancel_free(interrupt);
    return 0;
}
