/* conductor.h - run AI agents as restartable tasks. All state is plain files below one root; there is
 * no daemon.
 *
 * Text in   conductor_str: UTF-8 pointer + length, read during the call and never kept.
 *           CONDUCTOR_STR("literal"), CONDUCTOR_STRZ(nul_terminated).
 * Text out  borrowed from the object that it came from, valid until that is freed, not terminated:
 *           print it with "%.*s". {NULL, 0} = unknown.
 * Status    0 is OK, and only then is an output written. What else it is says what to do.
 * Errors    The last argument is NULL, or the address of a pointer that each call sets: to NULL, or
 *           to an error that is yours to free. CONDUCTOR_TIMEOUT and CONDUCTOR_CANCELLED are answers,
 *           not faults: they make no error.
 * Handles   What looks like a pointer to one of the types below is a handle: a number, not an address.
 *           NULL where one must be given is CONDUCTOR_INVALID_INPUT, "argument.null"; options and cancel
 *           may always be NULL. One that was freed is "handle.freed", one of another type, or a pointer
 *           to something else, is "argument.handle", always: no handle that is wrong is ever followed.
 *           So a double free does nothing, and freeing what another thread is in a call with is sound:
 *           that call ends as if nothing had happened. Texts borrowed from what is freed are gone then.
 * Waiting   timeout_ms: negative waits for ever, 0 only looks. A wait that ends early ends the wait,
 *           never the work: runs live on without you, and without this process. Each thing that can
 *           be waited for has a descriptor for an event loop: conductor_reader_fd, conductor_run_fd,
 *           conductor_task_fd.
 * Driving   The next attempt of a task is started by whoever waits for it or reads its messages.
 * Threads   const handle: share it. Plain handle: one thread at a time. conductor_cancel_set: any
 *           thread, any signal handler. The library owns no thread and keeps no state per thread
 *           that a caller could see. A handle does not survive fork(): a call with it in the child is
 *           "handle.forked"; open it again there. Freeing is fine on both sides.
 * Ends      Each handle has exactly one _free, in any order; NULL is fine there. What a program
 *           forgets to free, conductor_handle_count() counts; there is room for 16 million.
 * Faults    A defect of the library is CONDUCTOR_INTERNAL; it does not end the process, and nothing
 *           is printed. The handle that it happened to is "handle.poisoned" from then on.
 * Signals   The library installs no handler. Processes that it starts are children of nobody here: a
 *           waitpid(-1) of yours never sees one, unless you are PID 1 or a subreaper.
 * Versions  Within one CONDUCTOR_ABI_VERSION things are only added: functions, statuses, keys.
 *
 * Made from conductor-ffi/src by a test; do not edit. */

#ifndef CONDUCTOR_H
#define CONDUCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The version of this header; conductor_version() is that of the library. */
#define CONDUCTOR_VERSION "0.1.0"

#ifdef __cplusplus
#define CONDUCTOR_STR(literal) (conductor_str{("" literal), sizeof(literal) - 1})
#define CONDUCTOR_STRZ(z) (conductor_str{(z), strlen(z)})
#else
#define CONDUCTOR_STR(literal) ((conductor_str){("" literal), sizeof(literal) - 1})
#define CONDUCTOR_STRZ(z) ((conductor_str){(z), strlen(z)})
#endif

/* What a conductor_status says: what the caller should do. */
enum {
    CONDUCTOR_OK = 0,                   /* go on */
    CONDUCTOR_INVALID_INPUT = 1,        /* fix the call */
    CONDUCTOR_NOT_FOUND = 2,            /* check the id */
    CONDUCTOR_ALREADY_EXISTS = 3,       /* pick another id */
    CONDUCTOR_CONFLICT = 4,             /* read again, decide again */
    CONDUCTOR_BUSY = 5,                 /* try again later */
    CONDUCTOR_TIMEOUT = 6,              /* wait again, or not: the work goes on */
    CONDUCTOR_CANCELLED = 7,            /* nothing: the wait was cancelled */
    CONDUCTOR_EXPIRED = 8,              /* start again from the oldest message */
    CONDUCTOR_CORRUPT = 9,              /* look at the named file */
    CONDUCTOR_TOO_NEW = 10,             /* upgrade; reading may still work */
    CONDUCTOR_PERMISSION_DENIED = 11,   /* fix the rights of the named path */
    CONDUCTOR_STORAGE_FULL = 12,        /* free space, then try again */
    CONDUCTOR_IO = 13,                  /* look at the source of the error */
    CONDUCTOR_SPAWN_FAILED = 14,        /* fix the command or its environment */
    CONDUCTOR_UPDATE_REFUSED = 15,      /* do not force it */
    CONDUCTOR_UPDATE_IN_PROGRESS = 16,  /* try again after the update */
    CONDUCTOR_UNSUPPORTED = 17,         /* use another file system or platform */
    CONDUCTOR_INTERNAL = 99,            /* report it */
};

// The version of the binary interface that this header describes; also the number in the shared
// library's name, libconductor.so.1.
#define CONDUCTOR_ABI_VERSION 1

// Messages that were read at once.
typedef struct conductor_batch conductor_batch;

// The message log of a project or a task.
typedef struct conductor_bus conductor_bus;

// Ends waits from outside.
typedef struct conductor_cancel conductor_cancel;

// An opened root.
typedef struct conductor conductor;

// What went wrong, where, and the way out. May outlive every other object.
typedef struct conductor_error conductor_error;

// Named settings.
typedef struct conductor_options conductor_options;

// What garbage collection would do.
typedef struct conductor_plan conductor_plan;

// Records, one after the other.
typedef struct conductor_reader conductor_reader;

// Named fields: a message, a run, a result.
typedef struct conductor_record conductor_record;

// One execution of one agent.
typedef struct conductor_run conductor_run;

// Runs of an agent until DONE stands.
typedef struct conductor_task conductor_task;

// Text: UTF-8 bytes and their number, not terminated.
//
// Text in is read during the call and never kept. Text out is borrowed from the object that it came
// from and valid until that is freed; {NULL, 0} means that there is none.
typedef struct {
    // The first byte.
    const char *ptr;
    // The number of bytes.
    size_t len;
} conductor_str;

// How a call ended: CONDUCTOR_OK, or what the caller should do about it. The numbers are never used
// again for another meaning; treat one that you do not know as CONDUCTOR_INTERNAL.
typedef int32_t conductor_status;

// A message of a batch. What is not known is {NULL, 0}, and of numbers 0.
typedef struct {
    // "message", or of what stands in the place of one: "gap", "corrupt", "foreign", "replaced".
    conductor_str kind;
    // Its id.
    conductor_str msg_id;
    // When it was posted.
    conductor_str ts;
    // Its type.
    conductor_str type;
    // The project that it belongs to.
    conductor_str project_id;
    // The task that it belongs to.
    conductor_str task_id;
    // The run that it belongs to.
    conductor_str run_id;
    // Its text; {NULL, 0} of what is no message.
    conductor_str body;
    // The place right behind it.
    conductor_str cursor;
    // One text in which all the others lie, but for kind.
    conductor_str all;
    // Its number on the bus, dense from 1.
    int64_t seq;
    // When it was posted, in nanoseconds since 1970.
    int64_t ts_ns;
    // Whether it may have more fields ("meta", "parents", "links", "path", ...), which
    // conductor_batch_record() tells.
    bool has_more;
} conductor_message;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ---- The library itself ------------------------------------------------------------------------- */

// The CONDUCTOR_ABI_VERSION that the loaded library was built with.
uint32_t conductor_abi_version(void);

// The version of the loaded library, as "0.1.0". Valid for ever.
conductor_str conductor_version(void);

// How many handles of this process were not freed, of all kinds. For tests: what a program forgets to
// free shows here, and nowhere else, since the library itself holds what is behind a handle.
size_t conductor_handle_count(void);

/* ---- Errors -------------------------------------------------------------------------------------
 *
 * A status says what to do, and an error object says what happened, where, and the way out. An error
 * belongs to no thread; it may be read by several at a time, and may outlive every other object.
 *
 *     conductor_error *err;
 *     if (conductor_open(CONDUCTOR_STR("/srv/agents"), NULL, &c, &err)) {
 *         conductor_str text = conductor_error_text(err, CONDUCTOR_STR("message"));
 *         fprintf(stderr, "error: %.*s\n", (int)text.len, text.ptr);
 *         conductor_error_free(err);
 *     } */

// One text of an error; {NULL, 0} where the error has none, and for an unknown key.
//
// "message" (one line, without its cause), "hint" (the way out), "code" (stable, as "id.invalid"),
// "kind" (the status as a word, as "invalid_input"), "path" (bytes as the system has them) and
// "field" (the argument or key that it is about), "cause", "errno" (digits), "retryable" ("true"
// where the same call may succeed later). Borrowed from the error.
conductor_str conductor_error_text(const conductor_error *err, conductor_str key);

// Frees an error and every text borrowed from it. NULL is fine.
void conductor_error_free(conductor_error *err);

/* ---- Ending waits from outside ------------------------------------------------------------------
 *
 * A conductor_cancel is a switch that ends every wait that was given it: the wait, never the work. Any
 * thread and any signal handler may set it at any time; it stays set. It must outlive the calls that
 * it was given to, and nothing else.
 *
 *     static conductor_cancel *interrupt;
 *     static void on_sigint(int number) { conductor_cancel_set(interrupt); } */

// A switch that is not set. NULL only where the process is out of memory or the like.
conductor_cancel *conductor_cancel_new(void);

// Ends every wait that has this switch, now and later. Any thread and any signal handler may call
// it at any time. NULL is fine.
void conductor_cancel_set(const conductor_cancel *cancel);

// Whether the switch was set. Safe in any thread and signal handler. NULL was never set.
bool conductor_cancel_is_set(const conductor_cancel *cancel);

// Frees a switch that no call has any more. NULL is fine.
void conductor_cancel_free(conductor_cancel *cancel);

/* ---- Options ------------------------------------------------------------------------------------
 *
 * Named settings, key and value as on run-agent's command line, with _ for -: "max_attempts" "10",
 * "idle_timeout" "20m", "follow" "true". The same key again adds to a list ("env", "depends_on",
 * "command", "type", "parent", "link", "meta") and replaces anything else. A value is checked when it
 * is set; a key that a call does not take is refused by the call. Options are read during the call
 * and can be used again; one thread at a time sets, any number may use.
 *
 *     conductor_options *o = conductor_options_new();
 *     conductor_options_set(o, CONDUCTOR_STR("project"), CONDUCTOR_STR("shop"), NULL); */

// No options. NULL only where the process is out of memory or the like.
conductor_options *conductor_options_new(void);

// Sets an option. An unknown key is CONDUCTOR_INVALID_INPUT, "option.unknown", and the error's hint
// names the nearest one.
conductor_status conductor_options_set(conductor_options *options,
                                       conductor_str key,
                                       conductor_str value,
                                       conductor_error **err);

// Frees options. NULL is fine.
void conductor_options_free(conductor_options *options);

/* ---- Records ------------------------------------------------------------------------------------
 *
 * Named fields, by their names on disk: "status", "exit_code", "msg_id", "body". A part of a group is
 * named with a dot ("waiting.until", "meta.by"), an item of a list by its number ("blocked_by.0",
 * "parents.0.msg_id"). What is not known has no field: {NULL, 0}, or the caller's if_unknown, never
 * zero and never an empty text. Times are RFC 3339 in UTC; sizes are bytes. docs/PARITY.md lists all
 * fields. A record never changes and may be read by several threads at a time. */

// The text of a field, of a number as it is printed; {NULL, 0} where it is not known, and for a list
// or a group. Borrowed from the record.
conductor_str conductor_record_text(const conductor_record *record,
                                    conductor_str key);

// The whole number of a field, 1 for true and 0 for false; if_unknown where it is not known.
int64_t conductor_record_int(const conductor_record *record, conductor_str key, int64_t if_unknown);

// How many items a list or a group of fields has; for the empty key, how many fields the record has.
size_t conductor_record_count(const conductor_record *record,
                              conductor_str key);

// The name of a field of a group, by its place from 0; for the empty key, of a field of the record.
// {NULL, 0} behind the last. Borrowed from the record.
conductor_str conductor_record_name(const conductor_record *record,
                                    conductor_str key,
                                    size_t index);

// All of it as one line of JSON, as run-agent --json prints it. Borrowed from the record.
conductor_str conductor_record_json(const conductor_record *record);

// Frees a record and every text borrowed from it. NULL is fine.
void conductor_record_free(conductor_record *record);

/* ---- Readers ------------------------------------------------------------------------------------
 *
 * What comes one after the other is read by one function, whatever it is: a list, a bus, the messages
 * of a task, what a run wrote. Damage is a record in its place, never an empty list. One thread at a
 * time reads; another that tries meanwhile gets CONDUCTOR_BUSY. A reader may outlive what it came from.
 *
 *     conductor_record *m;
 *     while (!(status = conductor_reader_next(reader, -1, interrupt, &m, &err)) && m) {
 *         print(conductor_record_text(m, CONDUCTOR_STR("body")));
 *         conductor_record_free(m);
 *     }
 *
 * For an event loop: call conductor_reader_next() with a timeout of 0 until it says CONDUCTOR_TIMEOUT;
 * then wait until conductor_reader_fd() is readable, and begin again. Runs and tasks are waited for in
 * the same way. */

// Waits for the next record, which is yours to free. CONDUCTOR_OK with NULL: the end of what was asked
// for; a follower of a bus has none. CONDUCTOR_TIMEOUT and CONDUCTOR_CANCELLED: nothing yet; call
// again to go on.
conductor_status conductor_reader_next(conductor_reader *reader,
                                       int64_t timeout_ms,
                                       const conductor_cancel *cancel,
                                       conductor_record **out,
                                       conductor_error **err);

// Keeps the place behind the last message that was read, durably, for a reader of a bus that was made
// with the option "cursor": who takes that name up next reads what comes after it. What was read since
// the last commit is read again then: commit once you are done with it.
conductor_status conductor_reader_commit(conductor_reader *reader,
                                         conductor_error **err);

// What a reader that works did so far, as that of conductor_plan_apply(): "runs", "tasks", "buses",
// "archives", "strays", "freed" (bytes), "kept", "failed", and the list "errors".
conductor_status conductor_reader_report(const conductor_reader *reader,
                                         conductor_record **out,
                                         conductor_error **err);

// A descriptor that becomes readable when conductor_reader_next() may have more, after it said
// CONDUCTOR_TIMEOUT; -1 for NULL and for a reader that does not wait, which may be asked again at once.
// Yours to poll, not to read from and not to close; it lives as long as the reader.
int32_t conductor_reader_fd(const conductor_reader *reader);

// Frees a reader that no thread reads from any more. NULL is fine.
void conductor_reader_free(conductor_reader *reader);

/* ---- Messages at once ---------------------------------------------------------------------------
 *
 * Who reads a whole bus is given many messages by one call, as plain structs: several times as fast as
 * one record each. A batch never changes and may be read by several threads at a time.
 *
 *     conductor_batch *batch; size_t count, i;
 *     while (!(status = conductor_reader_batch(reader, 0, -1, interrupt, &batch, &err)) && batch) {
 *         const conductor_message *messages = conductor_batch_messages(batch, &count);
 *         for (i = 0; i < count; i++) print(messages[i].body);
 *         conductor_batch_free(batch);
 *     } */

// Waits for messages of a bus, or of a task that is followed, and gives those that are there: at least one,
// at most so many; with a most of 0 some hundred. Else as conductor_reader_next(), which may be called in
// between.
conductor_status conductor_reader_batch(conductor_reader *reader,
                                        size_t most,
                                        int64_t timeout_ms,
                                        const conductor_cancel *cancel,
                                        conductor_batch **out,
                                        conductor_error **err);

// The messages of a batch, in their order, and how many there are. Borrowed from the batch. NULL and 0 for
// NULL.
const conductor_message *conductor_batch_messages(const conductor_batch *batch,
                                                  size_t *out_count);

// One message of a batch with all its fields, by its place from 0.
conductor_status conductor_batch_record(const conductor_batch *batch,
                                        size_t index,
                                        conductor_record **out,
                                        conductor_error **err);

// Frees a batch and everything borrowed from it. NULL is fine.
void conductor_batch_free(conductor_batch *batch);

/* ---- The root -----------------------------------------------------------------------------------
 *
 * One folder that holds projects, their tasks, and the runs of each. Any number of processes may have
 * it open. A conductor handle is shared by threads; what was opened from it may outlive it.
 *
 *     conductor *c;
 *     if (conductor_open(CONDUCTOR_STR(""), NULL, &c, &err)) return fail(err); */

// Opens a root, which need not exist yet: the first work makes it. Empty root: CONDUCTOR_ROOT of the
// environment, inside an agent the root of its task, "storage.runs_dir" of the configuration, else
// ~/run-agent. Opening changes nothing on disk.
//
// Options: "config" (the configuration; else CONDUCTOR_CONFIG of the environment, else the usual places;
// one that cannot be used is an error), "run_agent" (a working run-agent, which agents find first on
// their PATH; without one they are not told of the bus), "durability" ("disk": an acknowledged message
// survives a power cut; "process": the death of any process).
conductor_status conductor_open(conductor_str root,
                                const conductor_options *options,
                                conductor **out,
                                conductor_error **err);

// The path of the root, bytes as the system has them. Borrowed from the handle.
conductor_str conductor_root(const conductor *conductor);

// The projects; with "project" its tasks; with "task" too its runs; "status" picks by the word of that
// field. Each is looked at when it is read; one that cannot be read is a record with "error" and
// "error_code". Never writes.
conductor_status conductor_list(const conductor *conductor,
                                const conductor_options *options,
                                conductor_reader **out,
                                conductor_error **err);

// Writes down the ends of runs that nobody saw ending, once in all, also when ten processes ask; out:
// their records. Costs what is open in the root, not what is there.
conductor_status conductor_reconcile(const conductor *conductor,
                                     const conductor_cancel *cancel,
                                     conductor_reader **out,
                                     conductor_error **err);

// Ends work by its ids: a task for good, or with run that run alone. Its whole tree gets SIGTERM, its
// grace, SIGKILL; returns when nothing of it is left and its end is written down. What is over already
// is no error. A process that conductor did not start is never signalled.
//
// Options: "reason" (recorded), "force" (no grace). out (may be NULL): "signalled", "killed". Where this
// process drives the task itself, use conductor_task_stop().
conductor_status conductor_stop(const conductor *conductor,
                                conductor_str project,
                                conductor_str task,
                                conductor_str run,
                                const conductor_options *options,
                                const conductor_cancel *cancel,
                                conductor_record **out,
                                conductor_error **err);

// What runs used, summed up: tokens and cost, as their agents told. Reads only.
//
// Options: "project", "task" (with its project), "by" ("run", "task", "project", "agent", "day"; unless
// given, the parts of what is looked at). out: "by", the list "sums" with "name", "runs",
// "usage.input_tokens", "cost_usd", ..., the group "total" with the same, and the list "damage" of what
// could not be read. Runs that did not tell are counted in "unknown_usage" and "unknown_cost".
conductor_status conductor_usage(const conductor *conductor,
                                 const conductor_options *options,
                                 conductor_record **out,
                                 conductor_error **err);

// What is wrong with the root, and the way out of each: "kind", "path", "text", "way_out". Reads only.
conductor_status conductor_doctor(const conductor *conductor,
                                  conductor_reader **out,
                                  conductor_error **err);

// Frees a root. What runs goes on, and what was opened from it stays open. NULL is fine.
void conductor_free(conductor *conductor);

/* ---- The configuration --------------------------------------------------------------------------
 *
 * One file says which agents there are, and what holds for work that does not say. conductor_open() heeds
 * it; these calls show it without a root.
 *
 *     conductor_record *config;
 *     conductor_config_show(NULL, &config, &err);
 *     for (i = 0; i < conductor_record_count(config, CONDUCTOR_STR("values")); i++) ... */

// Reads the configuration: what holds, and where each value is from. Secrets are masked.
//
// Options: "config" (else CONDUCTOR_CONFIG of the environment, else the usual places). out: "path" (none
// where nothing is configured), the list "values" with "key", "value", "from.kind" ("default", "file",
// "variable"), "from.line", ..., and the list "warnings" as the "problems" of conductor_validate(). The
// error tells the first thing that is wrong.
conductor_status conductor_config_show(const conductor_options *options,
                                       conductor_record **out,
                                       conductor_error **err);

// Whether this machine is ready to start work: configuration, root, agents and their tokens. Starts
// nothing, changes nothing. root as in conductor_open().
//
// Options: "config", "agent" (only this one), "check_tokens" "true" (warn of each agent without one).
// out: "config.path", "config.ok", "root.path", "root.ok", the list "agents" with "name", "type",
// "program", "version", "token", "status", the list "problems" with "severity", "code", "message", "hint", "path",
// "line", "column", "field", and "errors", "warnings": how many.
conductor_status conductor_validate(conductor_str root,
                                    const conductor_options *options,
                                    conductor_record **out,
                                    conductor_error **err);

/* ---- The bus ------------------------------------------------------------------------------------
 *
 * The message log of a project or a task: an append-only file that any number of processes, in any
 * language, post to and follow at the same time. A bus handle is shared by threads and may outlive the
 * root's.
 *
 *     conductor_bus *bus; conductor_record *posted;
 *     conductor_bus_open(c, CONDUCTOR_STR("shop"), CONDUCTOR_STR(""), &bus, &err);
 *     conductor_bus_post(bus, CONDUCTOR_STR("DECISION"), CONDUCTOR_STR("Ship on Friday."), NULL, NULL,
 *                        &posted, &err);
 *     save(conductor_record_text(posted, CONDUCTOR_STR("cursor"))); */

// The bus of a project; with task, of that task. Changes nothing on disk: the file is made by the first
// post. CONDUCTOR_NOT_FOUND where the project's or the task's folder does not exist.
conductor_status conductor_bus_open(const conductor *conductor,
                                    conductor_str project,
                                    conductor_str task,
                                    conductor_bus **out,
                                    conductor_error **err);

// Posts a message. CONDUCTOR_OK: it is on the bus and survives what the root was opened for.
//
// type: 1 to 64 of A-Z 0-9 _ / -; lower case is raised. body: at most 1 MiB. Options: "run" (the run it
// belongs to), "parent" (a msg_id or cursor that it answers), "link", "meta" ("by=me"), "once" (a key:
// post only where no message has it), "wait" (for other writers; "10s"). out (may be NULL): "msg_id",
// "seq", "cursor". The error's "code" tells "bus.not_written" from "bus.unknown"; CONDUCTOR_TIMEOUT,
// CONDUCTOR_CANCELLED and CONDUCTOR_BUSY mean that nothing was written.
conductor_status conductor_bus_post(const conductor_bus *bus,
                                    conductor_str type,
                                    conductor_str body,
                                    const conductor_options *options,
                                    const conductor_cancel *cancel,
                                    conductor_record **out,
                                    conductor_error **err);

// Reads what is on the bus, oldest first, and with "follow" what comes.
//
// Options: "after" a cursor or msg_id, "start" (as without it) or "end"; "tail" the last so many;
// "cursor" the name of a place that the root keeps, in the stead of both: the reader goes on from it, is
// its only one (else CONDUCTOR_BUSY), and moves it by conductor_reader_commit(); "type", "run",
// "since", "until" pick messages; "follow" "true". A record's "cursor" goes on from there later, in any
// language. Damage is a record too: its "kind" is not "message" but "gap", "corrupt", "foreign" or
// "replaced". Nothing is skipped in silence.
conductor_status conductor_bus_read(const conductor_bus *bus,
                                    const conductor_options *options,
                                    conductor_reader **out,
                                    conductor_error **err);

// Moves all that is on the bus into an archive beside it, which is read as before. out (may be NULL):
// "result" ("done", "empty": there was nothing, "older_writer": a program may still write that would not
// notice) and "archive", its path. The wait is one for other writers.
conductor_status conductor_bus_rotate(const conductor_bus *bus,
                                      int64_t timeout_ms,
                                      const conductor_cancel *cancel,
                                      conductor_record **out,
                                      conductor_error **err);

// Looks at every byte of the bus and its archives. Changes nothing. out: "messages", "files", "bytes",
// "last_seq", "damaged" (1 where messages are lost or hidden), and the list "findings", each with
// "kind", "path", "offset", "len", "text", "damage": "findings.0.kind".
conductor_status conductor_bus_check(const conductor_bus *bus,
                                     conductor_record **out,
                                     conductor_error **err);

// Frees a bus. Its readers stay open. NULL is fine.
void conductor_bus_free(conductor_bus *bus);

/* ---- Runs ---------------------------------------------------------------------------------------
 *
 * One execution of one agent, whoever started it. It lives on without this process. A run handle is
 * shared by threads and may outlive the root's; freeing it ends nothing.
 *
 *     conductor_run *run; conductor_record *end;
 *     conductor_job_start(c, o, NULL, &run, &err);
 *     conductor_run_wait(run, -1, interrupt, &end, &err);
 *     exit_code = conductor_record_int(end, CONDUCTOR_STR("exit_code"), -1); */

// Starts one run. Returns when its agent runs and its record is on disk.
//
// Options: "project", "agent" ("claude", "codex", "gemini", "shell", or "command" with a "command" for
// each word), "prompt" or "prompt_file", "task" (made of the prompt without it), "cwd", "env" ("K=V"),
// "parent_run_id", "previous_run_id"; the limits "first_byte_timeout", "idle_timeout", "total_timeout"
// ("20m", none unless set), "grace" ("10s"), "output_limit" ("1GB"), "on_output_limit"
// ("trim", "stop"), "max_depth" (none unless set), "max_children" ("8").
conductor_status conductor_job_start(const conductor *conductor,
                                     const conductor_options *options,
                                     const conductor_cancel *cancel,
                                     conductor_run **out,
                                     conductor_error **err);

// A run that exists, as after your own crash. Empty run: the newest of the task.
conductor_status conductor_run_open(const conductor *conductor,
                                    conductor_str project,
                                    conductor_str task,
                                    conductor_str run,
                                    conductor_run **out,
                                    conductor_error **err);

// What is known of the run now: "run_id", "status", "outcome", "exit_code", "folder", ... No wait.
conductor_status conductor_run_info(const conductor_run *run,
                                    conductor_record **out,
                                    conductor_error **err);

// Waits for the run's end, and writes it down where nobody did. out: the final record, as
// conductor_run_info() gives it. CONDUCTOR_TIMEOUT: it has not ended; a timeout of 0 only looks.
conductor_status conductor_run_wait(const conductor_run *run,
                                    int64_t timeout_ms,
                                    const conductor_cancel *cancel,
                                    conductor_record **out,
                                    conductor_error **err);

// A descriptor that becomes readable when conductor_run_wait() with a timeout of 0 may find the end,
// after it did not; -1 for NULL. Yours to poll, not to read from and not to close; it lives as long as
// the run's handle.
int32_t conductor_run_fd(const conductor_run *run);

// Reads what the run wrote. Records: "text" (whole lines, unreadable bytes replaced), "offset" (its
// first byte in the file).
//
// Options: "file" ("output": the final text, and what the agent printed while there is none; "stdout",
// "stderr", "prompt"), "tail" the last so many lines, "follow" "true" until the run is over.
conductor_status conductor_run_output(const conductor_run *run,
                                      const conductor_options *options,
                                      conductor_reader **out,
                                      conductor_error **err);

// Why the run stands where it stands. out: the fields of conductor_run_info(), and "because" (a sentence),
// the group "evidence" (where it stands, and what it says), "next" (what to do). Reads only.
conductor_status conductor_run_why(const conductor_run *run,
                                   conductor_record **out,
                                   conductor_error **err);

// Ends the run, as conductor_stop() does. out may be NULL.
conductor_status conductor_run_stop(const conductor_run *run,
                                    const conductor_options *options,
                                    const conductor_cancel *cancel,
                                    conductor_record **out,
                                    conductor_error **err);

// Frees a run's handle; the run goes on. NULL is fine.
void conductor_run_free(conductor_run *run);

/* ---- Tasks --------------------------------------------------------------------------------------
 *
 * Runs of an agent until DONE stands, and "verify" passes where it is given. The next attempt is started
 * by whoever is inside conductor_task_wait(), conductor_wait_any(), or conductor_reader_next() on the
 * task's messages: the library has no thread and no daemon. If the driver dies, the next one takes
 * over. A task handle is shared by threads and may outlive the root's; freeing it ends nothing.
 *
 *     conductor_task_start(c, o, NULL, &task, &err);
 *     conductor_task_wait(task, -1, interrupt, &end, &err);
 *     is_done = conductor_record_text(end, CONDUCTOR_STR("outcome")); // done, gave_up, stopped */

// Starts a task, goes on with one that is unfinished, or attaches to one that another process drives.
// Returns when the first attempt runs, or when it is known what the task waits for. The handle drives.
//
// Options: as conductor_job_start(), and "depends_on" (a task of the project), "max_attempts" ("100"),
// "restart_delay" ("1s"), "child_wait_timeout" ("5m"), "verify" (a line for /bin/sh), "verify_timeout",
// "on_question" ("go_on", "wait"), "question_timeout", "max_wall" ("24h"), "max_tokens" ("5000000"),
// "max_cost_usd" ("25"), "result_grace" ("60s"). CONDUCTOR_CONFLICT where another process drives it with other parameters.
conductor_status conductor_task_start(const conductor *conductor,
                                      const conductor_options *options,
                                      const conductor_cancel *cancel,
                                      conductor_task **out,
                                      conductor_error **err);

// Starts a task that is done or gave up once more, as a continuation: DONE is set aside and its attempts
// count from one. Options as conductor_task_start(); what is not given stays as it was.
conductor_status conductor_task_resume(const conductor *conductor,
                                       const conductor_options *options,
                                       const conductor_cancel *cancel,
                                       conductor_task **out,
                                       conductor_error **err);

// A task that exists, to be looked at, waited for and stopped. The handle never drives: who waits with
// it waits for another process.
conductor_status conductor_task_open(const conductor *conductor,
                                     conductor_str project,
                                     conductor_str task,
                                     conductor_task **out,
                                     conductor_error **err);

// A task that was started before, to be driven as it was asked for then, as after your own crash.
conductor_status conductor_task_attach(const conductor *conductor,
                                       conductor_str project,
                                       conductor_str task,
                                       conductor_task **out,
                                       conductor_error **err);

// What is known of the task now: "attempts", "done", "waiting.for", "outcome", "latest.run_id", ...
// No wait, and nothing is driven.
conductor_status conductor_task_info(const conductor_task *task,
                                     conductor_record **out,
                                     conductor_error **err);

// Drives the task until it ends. out: "outcome" (done, gave_up, stopped), "reason", "attempts", "run_id"
// of the last. CONDUCTOR_TIMEOUT: it has not ended; a timeout of 0 does what the task needs now.
conductor_status conductor_task_wait(const conductor_task *task,
                                     int64_t timeout_ms,
                                     const conductor_cancel *cancel,
                                     conductor_record **out,
                                     conductor_error **err);

// Drives the task and reads its bus meanwhile, from the beginning of its present loop; ends with the
// task: all of a task in one thread. Options: "after", "type", "run", "since", "until", as
// conductor_bus_read(). Ask conductor_task_wait() with a timeout of 0 for the result.
conductor_status conductor_task_follow(const conductor_task *task,
                                       const conductor_options *options,
                                       conductor_reader **out,
                                       conductor_error **err);

// A descriptor that becomes readable when conductor_task_wait() with a timeout of 0 may have something
// to do; -1 for NULL. Yours to poll, not to read from and not to close; it lives as long as the task's
// handle.
int32_t conductor_task_fd(const conductor_task *task);

// Stops the task for good: its loop, and everything that its attempt started. Options and out (may be
// NULL) as conductor_stop().
conductor_status conductor_task_stop(const conductor_task *task,
                                     const conductor_options *options,
                                     const conductor_cancel *cancel,
                                     conductor_record **out,
                                     conductor_error **err);

// Marks a task as cancelled, with a reason, and stops it: it is not started again before
// conductor_task_resume(). Options and out (may be NULL) as conductor_stop().
conductor_status conductor_task_cancel(const conductor *conductor,
                                       conductor_str project,
                                       conductor_str task,
                                       const conductor_options *options,
                                       const conductor_cancel *cancel,
                                       conductor_record **out,
                                       conductor_error **err);

// Sets a task back: "done" and "cancelled" are taken away, and its next start counts attempts from one.
// Starts nothing. CONDUCTOR_CONFLICT, "task.running", while it is driven or a run of it lives.
conductor_status conductor_task_set_back(const conductor *conductor,
                                         conductor_str project,
                                         conductor_str task,
                                         const conductor_cancel *cancel,
                                         conductor_error **err);

// Deletes a task with all its runs; sums of usage keep what they used. Options: "force" "true" stops
// first what lives of it, which else is CONDUCTOR_CONFLICT, "task.running".
conductor_status conductor_task_delete(const conductor *conductor,
                                       conductor_str project,
                                       conductor_str task,
                                       const conductor_options *options,
                                       const conductor_cancel *cancel,
                                       conductor_error **err);

// Frees a task's handle; what runs goes on, undriven unless somebody else waits. NULL is fine.
void conductor_task_free(conductor_task *task);

/* ---- Garbage collection -------------------------------------------------------------------------
 *
 * What may go is planned first, which changes nothing; then the plan is carried out. What is in use,
 * lives, or changed meanwhile stays. A plan is shared by threads and may outlive the root's handle; its
 * readers may outlive it.
 *
 *     conductor_plan *plan; conductor_reader *work; conductor_record *done, *report;
 *     conductor_options_set(o, CONDUCTOR_STR("older_than"), CONDUCTOR_STR("168h"), NULL);
 *     conductor_gc_plan(c, o, -1, interrupt, &plan, &err);
 *     conductor_plan_apply(plan, &work, &err);
 *     while (!(status = conductor_reader_next(work, -1, interrupt, &done, &err)) && done)
 *         conductor_record_free(done);
 *     conductor_reader_report(work, &report, &err);
 *     freed = conductor_record_int(report, CONDUCTOR_STR("freed"), -1); */

// Looks at the whole root, as far as it must be known to judge any of it. Changes nothing on disk.
//
// Options, which are else as configured: "project" (only this one), "older_than" ("168h"), "keep_failed",
// "keep_last" (so many of each task), "max_bytes", "min_free" ("10GB": the oldest go until it fits, 0: none),
// "rotate_bus", "bus_max_size" ("10MB"), "prune_archives" ("720h"), "delete_done_tasks", "force" (believe
// a clock that ran ahead since the last collection, which else is CONDUCTOR_CONFLICT, "gc.clock_jumped").
// What is configured is taken back by "false", or by "none" where a size or a time is wanted.
conductor_status conductor_gc_plan(const conductor *conductor,
                                   const conductor_options *options,
                                   int64_t timeout_ms,
                                   const conductor_cancel *cancel,
                                   conductor_plan **out,
                                   conductor_error **err);

// Makes a plan again that was made before, in whatever process: from the "plan" of conductor_plan_info().
// It takes no more than that one did, unless somebody took away what kept a thing. Its goals are those of
// that plan: nothing is counted again.
conductor_status conductor_gc_plan_again(const conductor *conductor,
                                         conductor_str plan,
                                         int64_t timeout_ms,
                                         const conductor_cancel *cancel,
                                         conductor_plan **out,
                                         conductor_error **err);

// The plan as a whole. out: "plan" (the policy and the moment as one text), "now", "runs" of the root,
// the list "goals" (for max_bytes and min_free: "goal", "wanted", "now", "short": the bytes that will be
// missing, "held": what stays), and the list "errors": what could not be looked at elsewhere in the root.
conductor_status conductor_plan_info(const conductor_plan *plan,
                                     conductor_record **out,
                                     conductor_error **err);

// What is to be done; with all, what stays too: "action" ("keep", "delete", "rotate"), "kind", "reason",
// "path", "bytes", "project_id", "task_id", "run_id", ... Each thing is looked at when it is read; one that
// cannot be looked at is a record with "error" and "error_code". Reads only.
conductor_status conductor_plan_items(const conductor_plan *plan,
                                      bool all,
                                      conductor_reader **out,
                                      conductor_error **err);

// Carries the plan out as the reader is read. Records: what was to go, each as soon as it is certain what
// became of it, with "result" ("done", "gone": somebody else did it, "kept": "kept_for" says why, "failed":
// "error"). conductor_reader_report() has the sums, and at the end the "goals".
//
// Reading works: what is not read is not done. A timeout or a switch ends the wait between two things;
// reading goes on where it was. Freeing the reader ends what was begun. Nothing is ever half done.
conductor_status conductor_plan_apply(const conductor_plan *plan,
                                      conductor_reader **out,
                                      conductor_error **err);

// Frees a plan. Its readers stay open. NULL is fine.
void conductor_plan_free(conductor_plan *plan);

/* ---- The update of a server's program -----------------------------------------------------------
 *
 * A server exchanges its own program once no root run is active; nothing is interrupted. From the wish on
 * and until that is over, new root runs are refused with CONDUCTOR_UPDATE_IN_PROGRESS; the runs that the
 * agents of living ones start are not. Everybody can ask for it, look at it and cancel it, also while no
 * server lives; then nothing is held back.
 *
 * All records: "state" ("idle", "deferred", "applying", "failed"), "served" (whether a server lives that
 * can carry it out), "binary_path", "requested_at", "started_at", "finished_at",
 * "active_runs_at_request", "active_runs_now", "active_runs_error", "step", "installed_version",
 * "last_error", "last_note". */

// Where the update stands, and what it waits for. Reads only.
conductor_status conductor_update_status(const conductor *conductor,
                                         conductor_record **out,
                                         conductor_error **err);

// Asks the server to exchange its program for the file at binary, an absolute path on this machine, as
// soon as no root run is active. A wish that waits is replaced. sha256 (may be empty): the 64 hexadecimal
// digits that the file must have. allow_downgrade: take it even if it is older.
//
// CONDUCTOR_CONFLICT: no server lives ("update.no_server"), or its program is being exchanged
// ("update.applying"). What is wrong with the file is found later, and told by "last_error".
conductor_status conductor_update_start(const conductor *conductor,
                                        conductor_str binary,
                                        conductor_str sha256,
                                        bool allow_downgrade,
                                        conductor_record **out,
                                        conductor_error **err);

// Takes the wish back, so that new root runs start again; reason (may be empty) is recorded. An update
// that failed is forgotten. No error where nothing is under way; CONDUCTOR_CONFLICT ("update.applying")
// while the program is being exchanged.
conductor_status conductor_update_cancel(const conductor *conductor,
                                         conductor_str reason,
                                         conductor_record **out,
                                         conductor_error **err);

/* ---- The webhook --------------------------------------------------------------------------------
 *
 * Events wait in the root until the configured webhook took them. The library calls nobody by itself: a
 * program that wants them told calls conductor_outbox_deliver(), at its end or in a thread beside its
 * work. */

// The events that wait for the webhook, the oldest first: "event_id", "event", "at", "attempts",
// "next_attempt", "error", "body". Reads only.
conductor_status conductor_outbox(const conductor *conductor,
                                  conductor_reader **out,
                                  conductor_error **err);

// Tells the webhook what waits and is due, and what becomes due before the wait is over; the end of the
// wait is no error. out (may be NULL): "delivered", "failed", "left", "given_up", "error", "next_attempt".
// Several processes may do so at once: each event is told by one of them.
conductor_status conductor_outbox_deliver(const conductor *conductor,
                                          int64_t timeout_ms,
                                          const conductor_cancel *cancel,
                                          conductor_record **out,
                                          conductor_error **err);

/* ---- The log ------------------------------------------------------------------------------------
 *
 * What the library says of its own work in this process. It is silent until somebody reads, and no
 * callback is ever called: lines are read like everything else, and their reader has a descriptor to wait
 * on.
 *
 *     conductor_reader *log;
 *     if (conductor_log_open(CONDUCTOR_STR("info,messagebus=debug"), &log, &err)) return fail(err);
 *     while (!conductor_reader_next(log, -1, interrupt, &line, &err))
 *         puts_line(conductor_record_text(line, CONDUCTOR_STR("text"))); */

// Begins to read log lines: "at", "level" ("error", "warn", "info", "debug"), "subsystem", "event",
// "message", the group "fields", and "text", all of it on one line. Secrets are masked.
//
// levels: one for all, and others for parts: "warn,runner=debug"; "off" is none. Lines that come faster
// than they are read are left out, and counted in a line of their own. Several readers may be open.
conductor_status conductor_log_open(conductor_str levels,
                                    conductor_reader **out,
                                    conductor_error **err);

/* ---- Many at once -------------------------------------------------------------------------------
 *
 * One thread waits for any number of runs and tasks, and drives the tasks among them.
 *
 *     while (n > 0) {
 *         size_t ended;
 *         if (conductor_wait_any(runs, n, NULL, 0, -1, interrupt, &ended, &err)) break;
 *         conductor_run_free(runs[ended]);
 *         runs[ended] = runs[--n];
 *     } */

// Waits until the first of these runs and tasks has ended. out_index: its place, the runs counted first,
// then the tasks. What has ended stays ended: leave it out of the next call. A timeout of 0 looks once.
conductor_status conductor_wait_any(const conductor_run *const *runs,
                                    size_t run_count,
                                    const conductor_task *const *tasks,
                                    size_t task_count,
                                    int64_t timeout_ms,
                                    const conductor_cancel *cancel,
                                    size_t *out_index,
                                    conductor_error **err);

/* ---- Questions that need no root ---------------------------------------------------------------- */

// Whether a text can be the id of a "project", "task", "run" or "message". The error says what is
// wrong with it.
conductor_status conductor_id_check(conductor_str noun, conductor_str id, conductor_error **err);

// A length of time as on the command line ("500ms", "1h30m", "168h") in nanoseconds, never negative.
conductor_status conductor_duration_parse(conductor_str text,
                                          int64_t *out_ns,
                                          conductor_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CONDUCTOR_H */

