/* Checks ids and lengths of time before they are used, and says what is wrong with those that are.
 *
 *     cc check.c $(pkg-config --cflags --libs conductor) -o check
 *     ./check task=fix-login timeout=1h30m
 */
#include <conductor.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT(s) (int)(s).len, (s).ptr

/* Prints what went wrong and the way out. The error is freed; the caller goes on. */
static int complain(const char *argument, conductor_error *err) {
    fprintf(stderr, "%s: %.*s\n", argument, TEXT(conductor_error_text(err, CONDUCTOR_STR("message"))));
    fprintf(stderr, "  hint: %.*s\n", TEXT(conductor_error_text(err, CONDUCTOR_STR("hint"))));
    fprintf(stderr, "  code: %.*s\n", TEXT(conductor_error_text(err, CONDUCTOR_STR("code"))));
    conductor_error_free(err);
    return 1;
}

static int check(const char *argument) {
    const char *sign = strchr(argument, '=');
    conductor_str name, value;
    conductor_error *err;
    int64_t nanoseconds;

    if (sign == NULL) {
        fprintf(stderr, "%s: give it as NAME=VALUE\n", argument);
        return 1;
    }
    name.ptr = argument;
    name.len = (size_t)(sign - argument);
    value = CONDUCTOR_STRZ(sign + 1);

    if (name.len == 7 && memcmp(name.ptr, "timeout", 7) == 0) {
        if (conductor_duration_parse(value, &nanoseconds, &err)) return complain(argument, err);
        printf("%s: %" PRId64 " ms\n", argument, nanoseconds / 1000000);
        return 0;
    }
    if (conductor_id_check(name, value, &err)) return complain(argument, err);
    printf("%s: fine\n", argument);
    return 0;
}

int main(int argc, char **argv) {
    int bad = 0, i;
    for (i = 1; i < argc; i++) bad |= check(argv[i]);
    return bad;
}
