// Conversion to BT.709 limited range, in place, after scaling, so that its cost follows the tile's size.
//
// Both changes are linear: Y' = ky*Y + oy + a*Cb + b*Cr, and Cb', Cr' are sums of Cb and Cr. The part of
// luma that comes from chroma is the same for the four pixels that share a chroma sample.
#include "colour.h"

// BT.601 to BT.709 between limited-range YCbCr (chroma around 0), in 1/4096: the product of the inverse of
// the one matrix of ITU-R BT.601-7 and the other of BT.709-6.
enum {
	Y_CB = -473, Y_CR = -852,
	CB_CB = 4172, CB_CR = 470,
	CR_CB = 307, CR_CR = 4199,
};

static inline int clamp8(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

// chroma_row converts one row of chroma and leaves the luma correction of each sample in add.
static void chroma_row(uint8_t *restrict u, uint8_t *restrict v, int16_t *restrict add, int n, int full_range,
                       int bt601) {
	int k = full_range ? 3598 : 4096; // 224/255
	for (int i = 0; i < n; i++) {
		int cb = (u[i] - 128) * k, cr = (v[i] - 128) * k; // 1/4096
		if (bt601) {
			int b = cb >> 4, r = cr >> 4; // 1/256, so that the products fit 32 bits
			add[i] = (Y_CB * b + Y_CR * r + (1 << 19)) >> 20;
			cb = (CB_CB * b + CB_CR * r) >> 8;
			cr = (CR_CB * b + CR_CR * r) >> 8;
		} else {
			add[i] = 0;
		}
		u[i] = clamp8(((cb + 2048) >> 12) + 128);
		v[i] = clamp8(((cr + 2048) >> 12) + 128);
	}
}

static void luma_row(uint8_t *restrict y, const int16_t *restrict add, int n, int full_range) {
	for (int i = 0; i < n; i++) {
		int v = y[i];
		if (full_range)
			v = (v * 219 * 257 + (16 << 16) + (1 << 15)) >> 16;
		y[i] = clamp8(v + add[i >> 1]);
	}
}

void fl_to_709_limited(const FLPlanes *p, int w, int h, int full_range, int bt601) {
	int16_t add[FL_MAX_SIDE / 2 + 1];
	for (int row = 0; row < h / 2; row++) {
		chroma_row(p->data[1] + (size_t)row * p->stride[1], p->data[2] + (size_t)row * p->stride[2], add, w / 2,
		           full_range, bt601);
		luma_row(p->data[0] + (size_t)(2 * row) * p->stride[0], add, w, full_range);
		luma_row(p->data[0] + (size_t)(2 * row + 1) * p->stride[0], add, w, full_range);
	}
}
