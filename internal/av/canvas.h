// The canvas: one I420 picture that is drawn on and encoded, BT.709 limited range.
#pragma once

#include "common.h"
#include <libavutil/frame.h>
#include <stdint.h>

typedef struct {
	int x, y, w, h;
} FLRect;

typedef struct FLScaler FLScaler;

typedef struct {
	int width, height; // even
	uint8_t *plane[3]; // Y, U, V; rows start 64-byte aligned
	int stride[3];
	FLScaler *scaler;
} FLCanvas;

FLCanvas *fl_canvas_new(int width, int height);
void fl_canvas_free(FLCanvas *c);
void fl_canvas_fill(FLCanvas *c, FLRect r, int y, int u, int v);
// fl_canvas_draw scales src of the picture into dst. dst is even and on the canvas, src lies in the picture.
int fl_canvas_draw(FLCanvas *c, const AVFrame *f, FLRect src, FLRect dst, int full_range, int bt601);
// fl_canvas_draw_canvas does the same with another canvas.
int fl_canvas_draw_canvas(FLCanvas *c, const FLCanvas *from, FLRect src, FLRect dst);
