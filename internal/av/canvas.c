// The canvas: allocation, fill and blending. Scaling is in scale.c, range and matrix in colour.c.
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

int fl_canvas_draw(FLCanvas *c, const AVFrame *f, FLRect src, FLRect dst, int full_range, int bt601) {
	FLPlanes from, to;
	for (int i = 0; i < 3; i++) {
		int s = i ? 1 : 0;
		from.data[i] = f->data[i] + (src.y >> s) * f->linesize[i] + (src.x >> s);
		from.stride[i] = f->linesize[i];
		to.data[i] = c->plane[i] + (dst.y >> s) * c->stride[i] + (dst.x >> s);
		to.stride[i] = c->stride[i];
	}
	int r = fl_scale(c->scaler, &from, src.w, src.h, &to, dst.w, dst.h);
	if (r == FL_OK && (full_range || bt601))
		fl_to_709_limited(&to, dst.w, dst.h, full_range, bt601);
	return r;
}

static uint8_t clamp8(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

// BT.709 limited range in 1/65536: rows Y, Cb, Cr of (R, G, B) 0..255.
static const int rgb709[3][3] = {{11966, 40254, 4064}, {-6596, -22189, 28784}, {28784, -26145, -2639}};

static int dot(const int *k, const int *rgb) { return k[0] * rgb[0] + k[1] * rgb[1] + k[2] * rgb[2]; }

// over returns dst covered by a premultiplied source: dst*(1-a) + offset*a + colour, alpha in 0..255.
static uint8_t over(int dst, int alpha, int offset, int colour) {
	int v = (dst * (255 - alpha) + offset * alpha) * 257 + colour + (1 << 15);
	return clamp8(v >> 16);
}

void fl_canvas_blend(FLCanvas *c, const uint8_t *rgba, int stride, FLRect d) {
	for (int y = 0; y < d.h; y += 2) {
		for (int x = 0; x < d.w; x += 2) {
			int sum[3] = {0, 0, 0}, alpha = 0;
			// Four luma samples share one chroma sample; past the edge the last pixel counts again.
			for (int i = 0; i < 4; i++) {
				int px = x + (i & 1), py = y + (i >> 1);
				int inside = px < d.w && py < d.h;
				const uint8_t *s = rgba + (size_t)(py < d.h ? py : y) * stride + 4 * (px < d.w ? px : x);
				int rgb[3] = {s[0], s[1], s[2]};
				for (int k = 0; k < 3; k++)
					sum[k] += rgb[k];
				alpha += s[3];
				if (inside && s[3]) {
					uint8_t *p = c->plane[0] + (size_t)(d.y + py) * c->stride[0] + d.x + px;
					*p = over(*p, s[3], 16, dot(rgb709[0], rgb));
				}
			}
			if (!alpha)
				continue;
			for (int k = 1; k < 3; k++) {
				uint8_t *p = c->plane[k] + (size_t)((d.y + y) / 2) * c->stride[k] + (d.x + x) / 2;
				*p = over(*p, (alpha + 2) / 4, 128, dot(rgb709[k], sum) / 4);
			}
		}
	}
}
