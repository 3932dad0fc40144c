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
 * Pointers  A handle argument may be NULL only where its function says so; an output may not be
 *           NULL, and gives CONDUCTOR_INVALID_INPUT. A handle that was freed, or is of another
 *           type, is undefined behaviour, as everywhere in C.
 * Threads   const handle: share it. Plain handle: one thread at a time. conductor_cancel_set: any
 *           thread, any signal handler. The library owns no thread and keeps no state per thread
 *           that a caller could see. A handle does not survive fork(): make it again in the child.
 * Ends      Each handle has exactly one _free, in any order; NULL is fine there.
 * Faults    A defect of the library is CONDUCTOR_INTERNAL; it does not end the process, and nothing
 *           is printed.
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

// A switch that ends every wait that was given it: the waits, never the work. It must outlive the
// calls that it was given to, nothing else.
typedef struct conductor_cancel conductor_cancel;

// What went wrong, where, and the way out. May outlive every other object.
typedef struct conductor_error conductor_error;

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

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// One text of an error; {NULL, 0} where the error has none, and for an unknown key.
//
// "message" (one line, without its cause), "hint" (the way out), "code" (stable, as "id.invalid"),
// "kind" (the status as a word, as "invalid_input"), "path" (bytes as the system has them) and
// "field" (the argument or key that it is about), "cause", "errno" (digits), "retryable" ("true"
// where the same call may succeed later). Borrowed from the error.
conductor_str conductor_error_text(const conductor_error *err, conductor_str key);

// Frees an error and every text borrowed from it. NULL is fine.
void conductor_error_free(conductor_error *err);

// The CONDUCTOR_ABI_VERSION that the loaded library was built with.
uint32_t conductor_abi_version(void);

// The version of the loaded library, as "0.1.0". Valid for ever.
conductor_str conductor_version(void);

// A switch that is not set. NULL only where the process is out of memory or the like.
conductor_cancel *conductor_cancel_new(void);

// Ends every wait that has this switch, now and later. Any thread and any signal handler may call
// it at any time. NULL is fine.
void conductor_cancel_set(const conductor_cancel *cancel);

// Whether the switch was set. Safe in any thread and signal handler. NULL was never set.
bool conductor_cancel_is_set(const conductor_cancel *cancel);

// Frees a switch that no call has any more. NULL is fine.
void conductor_cancel_free(conductor_cancel *cancel);

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

