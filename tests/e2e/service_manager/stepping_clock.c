/*
 * Preloaded into a program: its wall clock is off by as many seconds as the file says that CLOCK_STEP_FILE names. The clock that only ever
 * goes on (CLOCK_MONOTONIC) is as it is, as when somebody sets the clock of the machine.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long step(void) {
    const char *file = getenv("CLOCK_STEP_FILE");
    int descriptor = file == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
    char text[32] = {0};
    if (descriptor < 0) {
        return 0;
    }
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return length > 0 ? atoll(text) : 0;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        time->tv_sec += step();
    }
    return result;
}
