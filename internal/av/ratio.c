// Scaling by 3:1 with a box, and by 3:2 and 1:2 with the bicubic filter (a = -0.6, as swscale's), both ways
// separately. Each output row is made at once: the input rows above one another first, then along the row.
//
// Samples are taken less 128, so that sums of products fit 16 bits. The loops are written for the vectoriser:
// samples of the same phase lie next to one another in rows of their own.
#pragma GCC optimize("O3")
#include "ratio.h"

#include "common.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

// MARGIN is the room on both sides of a row for what the filters read beyond its ends.
enum { MARGIN = 32, ROW = FL_MAX_SIDE + 4 * MARGIN };

// Taps for the bicubic filter in 1/128. 3:2 has two phases that mirror one another: the output samples lie a
// quarter beyond the first of three input samples and a quarter before the third. So has 1:2, with a quarter
// before and after each.
static const int16_t two_thirds[6] = {-6, 12, 80, 49, -6, -1};
static const int16_t twice[4] = {-4, 31, 112, -11};

static inline uint8_t fold(int16_t sum) {
	sum = ((int16_t)(sum + 64) >> 7) + 128;
	sum = sum < 0 ? 0 : sum;
	return sum > 255 ? 255 : sum;
}

// tap is the product of a sample, less 128, and a tap.
static inline int16_t tap(int16_t k, uint8_t v) { return (int16_t)(k * (int16_t)(v - 128)); }

static inline const uint8_t *row_at(const FLPlaneIn *in, int y) {
	y = y < 0 ? 0 : y >= in->height ? in->height - 1 : y;
	return in->data + (size_t)y * in->stride;
}

// extend repeats the ends of a row of n samples into its margins.
static inline void extend(uint8_t *row, int n) {
	for (int i = 1; i <= MARGIN; i++) {
		row[-i] = row[0];
		row[n - 1 + i] = row[n - 1];
	}
}

static inline void six_rows(const FLPlaneIn *in, int first, const int16_t *k, int mirror, uint8_t *restrict out) {
	const uint8_t *r[6];
	for (int i = 0; i < 6; i++)
		r[i] = row_at(in, mirror ? first + 5 - i : first + i);
	for (int x = 0; x < in->width; x++)
		out[x] = fold(tap(k[0], r[0][x]) + tap(k[1], r[1][x]) + tap(k[2], r[2][x]) +
		              tap(k[3], r[3][x]) + tap(k[4], r[4][x]) + tap(k[5], r[5][x]));
}

static inline void four_rows(const FLPlaneIn *in, int first, const int16_t *k, int mirror, uint8_t *restrict out) {
	const uint8_t *r[4];
	for (int i = 0; i < 4; i++)
		r[i] = row_at(in, mirror ? first + 3 - i : first + i);
	for (int x = 0; x < in->width; x++)
		out[x] = fold(tap(k[0], r[0][x]) + tap(k[1], r[1][x]) + tap(k[2], r[2][x]) +
		              tap(k[3], r[3][x]));
}

// split3 deals a row out to three of n samples.
static inline void split3(const uint8_t *restrict in, uint8_t *restrict a, uint8_t *restrict b, uint8_t *restrict c,
                          int n) {
	for (int i = 0; i < n; i++) {
		a[i] = in[3 * i];
		b[i] = in[3 * i + 1];
		c[i] = in[3 * i + 2];
	}
}

CLONES
void fl_scale_3to1(FLPlaneIn in, FLPlaneOut out) {
	uint16_t sums[ROW];
	for (int y = 0; y < out.height; y++) {
		const uint8_t *r0 = row_at(&in, 3 * y), *r1 = row_at(&in, 3 * y + 1), *r2 = row_at(&in, 3 * y + 2);
		for (int x = 0; x < in.width; x++)
			sums[x] = r0[x] + r1[x] + r2[x];
		for (int x = in.width; x < 3 * out.width; x++)
			sums[x] = sums[in.width - 1];
		uint8_t *restrict to = out.data + (size_t)y * out.stride;
		for (int x = 0; x < out.width; x++) {
			uint16_t sum = sums[3 * x] + sums[3 * x + 1] + sums[3 * x + 2] + 4;
			to[x] = (uint32_t)sum * 7282 >> 16; // a ninth
		}
	}
}

CLONES
void fl_scale_3to2(FLPlaneIn in, FLPlaneOut out) {
	uint8_t column[ROW], phase[3][ROW];
	uint8_t *row = column + MARGIN, *a = phase[0] + MARGIN, *b = phase[1] + MARGIN, *c = phase[2] + MARGIN;
	const int16_t *k = two_thirds;
	int n = (out.width + 1) / 2;
	for (int y = 0; y < out.height; y++) {
		int odd = y & 1, base = y / 2 * 3;
		six_rows(&in, odd ? base - 1 : base - 2, k, odd, row);
		extend(row, in.width);
		split3(row - 3, a - 1, b - 1, c - 1, n + 2);
		uint8_t *restrict to = out.data + (size_t)y * out.stride;
		for (int i = 0; i < out.width / 2; i++) {
			to[2 * i] = fold(tap(k[0], b[i - 1]) + tap(k[1], c[i - 1]) + tap(k[2], a[i]) +
			                 tap(k[3], b[i]) + tap(k[4], c[i]) + tap(k[5], a[i + 1]));
			to[2 * i + 1] = fold(tap(k[5], c[i - 1]) + tap(k[4], a[i]) + tap(k[3], b[i]) +
			                     tap(k[2], c[i]) + tap(k[1], a[i + 1]) + tap(k[0], b[i + 1]));
		}
		if (out.width & 1) {
			int i = out.width / 2;
			to[2 * i] = fold(tap(k[0], b[i - 1]) + tap(k[1], c[i - 1]) + tap(k[2], a[i]) +
			                 tap(k[3], b[i]) + tap(k[4], c[i]) + tap(k[5], a[i + 1]));
		}
	}
}

CLONES
void fl_scale_1to2(FLPlaneIn in, FLPlaneOut out) {
	uint8_t column[ROW];
	uint8_t *row = column + MARGIN;
	const int16_t *k = twice;
	for (int y = 0; y < out.height; y++) {
		int odd = y & 1;
		four_rows(&in, y / 2 - (odd ? 1 : 2), k, odd, row);
		extend(row, in.width);
		uint8_t *restrict to = out.data + (size_t)y * out.stride;
		for (int i = 0; i < out.width / 2; i++) {
			to[2 * i] = fold(tap(k[0], row[i - 2]) + tap(k[1], row[i - 1]) + tap(k[2], row[i]) +
			                 tap(k[3], row[i + 1]));
			to[2 * i + 1] = fold(tap(k[3], row[i - 1]) + tap(k[2], row[i]) + tap(k[1], row[i + 1]) +
			                     tap(k[0], row[i + 2]));
		}
		if (out.width & 1) {
			int i = out.width / 2;
			to[2 * i] = fold(tap(k[0], row[i - 2]) + tap(k[1], row[i - 1]) + tap(k[2], row[i]) +
			                 tap(k[3], row[i + 1]));
		}
	}
}
