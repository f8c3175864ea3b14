// Process-wide set-up of the libraries.
#include "common.h"

#include <libavutil/log.h>
#include <sys/prctl.h>

// Timed waits of this process may end half a millisecond late (Linux's own is 50 µs). Go's runtime looks after its
// threads in naps of 20 µs while anything runs, C code included, and so takes a tenth less of a composer's processor
// time. It has to be before the runtime makes its first thread; the threads take it from there.
__attribute__((constructor)) static void loosen_waits(void) { prctl(PR_SET_TIMERSLACK, 500 * 1000); }

void fl_init(void) { av_log_set_level(AV_LOG_QUIET); }
