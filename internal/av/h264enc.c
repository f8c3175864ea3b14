// What is common to the encoders: cgo cannot call functions by pointer.
#include "h264enc.h"

#include <stddef.h>

void fl_encoder_free(FLEncoder *e) {
	if (e)
		e->free(e);
}

int fl_encoder_headers(FLEncoder *e, FLEncoded *out) { return e->headers(e, out); }

int fl_encoder_encode(FLEncoder *e, const FLCanvas *c, int64_t pts, int force_key, FLEncoded *out) {
	return e->encode(e, c, pts, force_key, out);
}

void fl_encoder_hurry(FLEncoder *e, int yes) {
	if (e->hurry)
		e->hurry(e, yes);
}
