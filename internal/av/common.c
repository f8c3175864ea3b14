// Process-wide set-up of the libraries.
#include "common.h"

#include <libavutil/log.h>

void fl_init(void) { av_log_set_level(AV_LOG_QUIET); }
