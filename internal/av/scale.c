// Scaling: libyuv where the ratio is exactly 1 or 4, our own filters where it is exactly 2, 3, 3/2 or 1/2 (all
// several times cheaper than a general filter), swscale elsewhere.
#include "scale.h"

#include "ratio.h"

#include <libswscale/swscale.h>
#include <libyuv.h>
#include <stdlib.h>

// A canvas shows up to 12 tiles, and a change of layout replaces all of them at once.
enum { CONTEXTS = 32 };

typedef struct {
	int sw, sh, dw, dh;
	unsigned used; // time of the last use
	struct SwsContext *sws;
} Context;

struct FLScaler {
	Context context[CONTEXTS];
	unsigned clock;
	uint8_t *buffer; // swscale writes whole vectors, past the right edge: never straight into the canvas
	size_t capacity;
};

FLScaler *fl_scaler_new(void) { return calloc(1, sizeof(FLScaler)); }

void fl_scaler_free(FLScaler *s) {
	if (!s)
		return;
	for (int i = 0; i < CONTEXTS; i++)
		sws_freeContext(s->context[i].sws);
	free(s->buffer);
	free(s);
}

// context_for returns the swscale context of these sizes, the longest unused one giving way.
static struct SwsContext *context_for(FLScaler *s, int sw, int sh, int dw, int dh) {
	Context *oldest = &s->context[0];
	s->clock++;
	for (int i = 0; i < CONTEXTS; i++) {
		Context *c = &s->context[i];
		if (c->sws && c->sw == sw && c->sh == sh && c->dw == dw && c->dh == dh) {
			c->used = s->clock;
			return c->sws;
		}
		if (c->used < oldest->used)
			oldest = c;
	}
	sws_freeContext(oldest->sws);
	*oldest = (Context){sw, sh, dw, dh, s->clock, NULL};
	// Measured against Lanczos on two test pictures: bicubic 50 to 57 dB everywhere; area 42 to 49 dB, which is
	// as good as libyuv's box, at 0.35 of bicubic's time at 3:1 but 0.75 of it below 2:1. libyuv's bilinear
	// filter aliases below 1/2 (29 to 35 dB).
	int flags = sw >= 2 * dw && sh >= 2 * dh ? SWS_AREA : SWS_BICUBIC;
	oldest->sws = sws_getContext(sw, sh, AV_PIX_FMT_YUV420P, dw, dh, AV_PIX_FMT_YUV420P, flags, NULL, NULL, NULL);
	return oldest->sws;
}

// scratch returns aligned planes of at least w x h.
static int scratch(FLScaler *s, int w, int h, FLPlanes *p) {
	int stride = (w + 63) & ~63, half = (w / 2 + 63) & ~63;
	size_t luma = (size_t)stride * h, chroma = (size_t)half * ((h + 1) / 2), need = luma + 2 * chroma + 64;
	if (s->capacity < need) {
		free(s->buffer);
		s->buffer = aligned_alloc(64, (need + 63) & ~(size_t)63);
		s->capacity = s->buffer ? need : 0;
		if (!s->buffer)
			return FL_NO_MEMORY;
	}
	*p = (FLPlanes){{s->buffer, s->buffer + luma, s->buffer + luma + chroma}, {stride, half, half}};
	return FL_OK;
}

static void copy(const FLPlanes *from, const FLPlanes *to, int w, int h) {
	I420Copy(from->data[0], from->stride[0], from->data[1], from->stride[1], from->data[2], from->stride[2],
	         to->data[0], to->stride[0], to->data[1], to->stride[1], to->data[2], to->stride[2], w, h);
}

static void each_plane(void (*scale)(FLPlaneIn, FLPlaneOut), const FLPlanes *from, int sw, int sh, const FLPlanes *to,
                       int dw, int dh) {
	for (int i = 0; i < 3; i++) {
		int c = i ? 1 : 0; // chroma has half the sides, rounded up
		scale((FLPlaneIn){from->data[i], from->stride[i], (sw + c) >> c, (sh + c) >> c},
		      (FLPlaneOut){to->data[i], to->stride[i], (dw + c) >> c, (dh + c) >> c});
	}
}

int fl_scale(FLScaler *s, const FLPlanes *from, int sw, int sh, const FLPlanes *to, int dw, int dh) {
	if (sw == dw && sh == dh) {
		copy(from, to, dw, dh);
		return FL_OK;
	}
	if (sw == 4 * dw && sh == 4 * dh) {
		int r = I420Scale(from->data[0], from->stride[0], from->data[1], from->stride[1], from->data[2],
		                  from->stride[2], sw, sh, to->data[0], to->stride[0], to->data[1], to->stride[1],
		                  to->data[2], to->stride[2], dw, dh, kFilterBox);
		return r == 0 ? FL_OK : FL_INVALID;
	}
	if (sw == 2 * dw && sh == 2 * dh) {
		each_plane(fl_scale_2to1, from, sw, sh, to, dw, dh);
		return FL_OK;
	}
	if (sw == 3 * dw && sh == 3 * dh) {
		each_plane(fl_scale_3to1, from, sw, sh, to, dw, dh);
		return FL_OK;
	}
	if (2 * sw == 3 * dw && 2 * sh == 3 * dh) {
		each_plane(fl_scale_3to2, from, sw, sh, to, dw, dh);
		return FL_OK;
	}
	if (2 * sw == dw && 2 * sh == dh) {
		each_plane(fl_scale_1to2, from, sw, sh, to, dw, dh);
		return FL_OK;
	}
	struct SwsContext *sws = context_for(s, sw, sh, dw, dh);
	FLPlanes tmp;
	if (!sws || scratch(s, dw, dh, &tmp) != FL_OK)
		return FL_NO_MEMORY;
	sws_scale(sws, (const uint8_t *const *)from->data, from->stride, 0, sh, tmp.data, tmp.stride);
	copy(&tmp, to, dw, dh);
	return FL_OK;
}
