/* A host with a SIGCHLD handler of its own, which reaps whatever waitpid(-1) gives: it is given its own
 * children and never a process of the library. `reaper ROOT`; quiet when all holds. */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define EACH 5
#define OWN 40

static volatile pid_t reaped[4096];
static int reaped_count;

static void on_child(int number) {
    int saved = errno, status;
    pid_t child;
    (void)number;
    while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
        /* Several threads may be in here at once. */
        int place = __sync_fetch_and_add(&reaped_count, 1);
        if (place < (int)(sizeof(reaped) / sizeof(reaped[0]))) reaped[place] = child;
    }
    errno = saved;
}

static int all_are_reaped(void) {
    int i;
    for (i = 0; i < OWN; i++)
        if (reaped[i] == 0) return 0;
    return 1;
}

/* Runs that end, runs that are stopped, and tasks: all that starts and ends processes. */
static void *work(void *which) {
    char name[32];
    int i;
    for (i = 0; i < EACH; i++) {
        const char *force[] = {"force", "true", NULL};
        const char *pairs[] = {"project", "shop", "task", name, "agent", "shell", "restart_delay", "1ms",
                               "prompt", "echo x >>steps; test $(wc -l <steps) -lt 2 || touch DONE", NULL};
        conductor_options *o_force = with(force), *o;
        conductor_run *quick, *slow;
        conductor_task *task = NULL;
        conductor_record *end = NULL;
        CHECK(snprintf(name, sizeof(name), "task-%d-%d", *(int *)which, i) < (int)sizeof(name));
        o = with(pairs);
        DO(conductor_task_start(root, o, NULL, &task, &err));
        quick = job("quick", "(sleep 0.01 &) ; exit 3");
        slow = job("slow", "sleep 600 & sleep 600");
        DO(conductor_run_wait(quick, LONG, NULL, &end, &err));
        CHECK(number(end, "exit_code") == 3);
        conductor_record_free(end);
        DO(conductor_run_stop(slow, o_force, NULL, NULL, &err));
        DO(conductor_task_wait(task, LONG, NULL, &end, &err));
        CHECK(is(text(end, "outcome"), "done"));
        conductor_record_free(end);
        conductor_run_free(slow);
        conductor_run_free(quick);
        conductor_task_free(task);
        conductor_options_free(o_force);
        conductor_options_free(o);
    }
    return NULL;
}

int main(int argc, char **argv) {
    const struct timespec pause = {0, 20000000};
    struct sigaction action;
    pthread_t threads[THREADS];
    int numbers[THREADS], i, j;
    pid_t own[OWN];
    CHECK(argc == 2);
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_child;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
    DO(conductor_open(CONDUCTOR_STRZ(argv[1]), NULL, &root, &err));
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    for (i = 0; i < OWN; i++) {
        own[i] = fork();
        CHECK(own[i] >= 0);
        if (own[i] == 0) _exit(0);
        nanosleep(&pause, NULL);
    }
    for (i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    /* The last of them may be about to end. */
    for (i = 0; !all_are_reaped(); i++) {
        CHECK(i < LONG / 20);
        nanosleep(&pause, NULL);
        on_child(SIGCHLD);
    }
    CHECK(__sync_fetch_and_add(&reaped_count, 0) == OWN);
    for (i = 0; i < OWN; i++) {
        int found = 0;
        for (j = 0; j < OWN; j++) found += reaped[i] == own[j];
        CHECK(found == 1);
    }
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
    conductor_free(root);
    CHECK(conductor_handle_count() == 0);
    return 0;
}
