// The canvas: allocation, fill and pictures. Scaling is in scale.c, range and matrix in colour.c, layers in layer.c.
#include "canvas.h"
#include "colour.h"
#include "scale.h"

#include <libyuv.h>
#include <stdlib.h>
#include <string.h>

FLCanvas *fl_canvas_new(int width, int height) {
	FLCanvas *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->width = width;
	c->height = height;
	c->stride[0] = (width + 63) & ~63;
	c->stride[1] = c->stride[2] = (width / 2 + 63) & ~63;
	for (int i = 0; i < 3; i++) {
		int rows = i ? height / 2 : height;
		// 64 bytes more than the rows need: encoders read whole vectors.
		c->plane[i] = aligned_alloc(64, (size_t)c->stride[i] * rows + 64);
		if (!c->plane[i])
			goto fail;
		memset(c->plane[i], i ? 128 : 16, (size_t)c->stride[i] * rows + 64);
	}
	c->scaler = fl_scaler_new();
	if (!c->scaler)
		goto fail;
	return c;
fail:
	fl_canvas_free(c);
	return NULL;
}

void fl_canvas_free(FLCanvas *c) {
	if (!c)
		return;
	for (int i = 0; i < 3; i++)
		free(c->plane[i]);
	fl_scaler_free(c->scaler);
	free(c);
}

void fl_canvas_fill(FLCanvas *c, FLRect r, int y, int u, int v) {
	I420Rect(c->plane[0], c->stride[0], c->plane[1], c->stride[1], c->plane[2], c->stride[2], r.x, r.y, r.w, r.h, y,
	         u, v);
}

// part is where a rectangle's planes begin.
static FLPlanes part(uint8_t *const *data, const int *stride, FLRect r) {
	FLPlanes p;
	for (int i = 0; i < 3; i++) {
		int s = i ? 1 : 0;
		p.data[i] = data[i] + (r.y >> s) * stride[i] + (r.x >> s);
		p.stride[i] = stride[i];
	}
	return p;
}

int fl_canvas_draw_canvas(FLCanvas *c, const FLCanvas *from, FLRect src, FLRect dst) {
	FLPlanes in = part(from->plane, from->stride, src), out = part(c->plane, c->stride, dst);
	return fl_scale(c->scaler, &in, src.w, src.h, &out, dst.w, dst.h);
}

int fl_canvas_draw(FLCanvas *c, const AVFrame *f, FLRect src, FLRect dst, int full_range, int bt601) {
	FLPlanes from = part(f->data, f->linesize, src), to = part(c->plane, c->stride, dst);
	int r = fl_scale(c->scaler, &from, src.w, src.h, &to, dst.w, dst.h);
	if (r == FL_OK && (full_range || bt601))
		fl_to_709_limited(&to, dst.w, dst.h, full_range, bt601);
	return r;
}
