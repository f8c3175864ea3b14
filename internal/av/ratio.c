// Scaling by 3:1 with a box, by 2:1 with six taps, and by 3:2 and 1:2 with the bicubic filter (a = -0.6, as swscale's),
// both ways separately. Each output row is made at once: the input rows above one another first, then along the row.
//
// This is the reference and what machines without AVX2 run; there the loops are left to the vectoriser, with
// samples less 128, so that sums of products fit 16 bits.
#pragma GCC optimize("O3")
#include "ratio.h"

#include "common.h"

#include <string.h>

// MARGIN is the room on both sides of a row for what the filters read beyond its ends.
enum { MARGIN = 32, ROW = FL_MAX_SIDE + 4 * MARGIN };

#define STEP(s, m, j, a, b) s *j + 2 + a, s *j + 2 + b, s *j + 2 + m - a, s *j + 2 + m - b
#define STEPS(s, m, a, b) {STEP(s, m, 0, a, b), STEP(s, m, 1, a, b), STEP(s, m, 2, a, b), STEP(s, m, 3, a, b)}

// Of three input samples, two output samples lie a quarter beyond the first and a quarter before the third.
static const FLFilter three_to_two = {
    .step = 3,
    .mirror = 2,
    .taps = 6,
    .at = {-2, 0, -1, 2, 1, 3},
    .tap = {-6, 80, 12, -6, 49, -1},
    .shuffle = {STEPS(3, 2, -2, 0), STEPS(3, 2, -1, 2), STEPS(3, 2, 1, 3)},
};

// Two output samples lie a quarter before and a quarter after each input sample.
static const FLFilter one_to_two = {
    .step = 1,
    .mirror = 0,
    .taps = 4,
    .at = {-2, -1, 0, 1},
    .tap = {-4, 31, 112, -11},
    .shuffle = {STEPS(1, 0, -2, -1), STEPS(1, 0, 0, 1)},
};

// An output sample lies half way between two input samples. These are the six taps whose result on the chart of the tests is
// nearest to Lanczos: 46 dB, where a box has 31. The outer ones come first: their sums cannot saturate, and what saturates in the last
// addition is white.
static const FLFilter two_to_one = {
    .taps = 6,
    .at = {-2, -1, 2, 3, 0, 1},
    .tap = {-10, 16, 16, -10, 58, 58},
};

static int plainly;

void fl_scale_plainly(int yes) { plainly = yes; }

static int has_avx2(void) {
#ifdef FL_HAS_AVX2
	return !plainly && __builtin_cpu_supports("avx2");
#else
	return 0;
#endif
}

#ifndef FL_HAS_AVX2
#define fl_filter_column_avx2(f, rows, out, n) 0
#define fl_filter_row_avx2(f, row, out, n) 0
#define fl_halve_row_avx2(f, row, out, n) 0
#define fl_box3_avx2(rows, width, out, n) 0
#endif

static inline const uint8_t *row_at(const FLPlaneIn *in, int y) {
	y = y < 0 ? 0 : y >= in->height ? in->height - 1 : y;
	return in->data + (size_t)y * in->stride;
}

// fetch has n rows from y on brought into the cache. The decoders of many pictures leave little of each there, and
// the processor does not see by itself that a row is followed by the next: without this, drawing waits for memory.
static inline void fetch(const FLPlaneIn *in, int y, int n) {
	for (int end = y + n < in->height ? y + n : in->height; y < end; y++)
		for (int x = 0; x < in->width; x += 64)
			__builtin_prefetch(in->data + (size_t)y * in->stride + x);
}

// tap is the product of a tap and a sample, less 128.
static inline int16_t tap(int16_t k, uint8_t v) { return (int16_t)(k * (int16_t)(v - 128)); }

static inline uint8_t fold(int16_t sum) {
	sum = ((int16_t)(sum + 64) >> 7) + 128;
	sum = sum < 0 ? 0 : sum;
	return sum > 255 ? 255 : sum;
}

// SUM is that of the products of all taps, written out for the vectoriser.
#define SUM(f, sample) \
	(tap(f->tap[0], sample(0)) + tap(f->tap[1], sample(1)) + tap(f->tap[2], sample(2)) + tap(f->tap[3], sample(3)) + \
	 (f->taps == 6 ? tap(f->tap[4], sample(4)) + tap(f->tap[5], sample(5)) : 0))

static inline __attribute__((always_inline)) void filter_column(const FLFilter *f, const uint8_t *const *rows,
                                                                 uint8_t *restrict out, int from, int n) {
	const uint8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3], *r4 = rows[4], *r5 = rows[5];
#define ABOVE(t) r##t[x]
	for (int x = from; x < n; x++)
		out[x] = fold(SUM(f, ABOVE));
}

static inline __attribute__((always_inline)) void filter_row(const FLFilter *f, const uint8_t *restrict row,
                                                              uint8_t *restrict out, int from, int n) {
#define BESIDE(t) row[f->step * i + f->at[t]]
#define MIRRORED(t) row[f->step * i + f->mirror - f->at[t]]
	for (int i = from / 2; i < n / 2; i++) {
		out[2 * i] = fold(SUM(f, BESIDE));
		out[2 * i + 1] = fold(SUM(f, MIRRORED));
	}
	if (n & 1) {
		int i = n / 2;
		out[2 * i] = fold(SUM(f, BESIDE));
	}
}

// extend repeats the first and the last sample of a row into its margins.
static inline void extend(uint8_t *row, int n) {
	memset(row - MARGIN, row[0], MARGIN);
	memset(row + n, row[n - 1], MARGIN);
}

static inline __attribute__((always_inline)) void scale(const FLFilter *f, FLPlaneIn in, FLPlaneOut out) {
	uint8_t column[ROW];
	uint8_t *row = column + MARGIN;
	int avx2 = has_avx2();
	for (int y = 0; y < out.height; y++) {
		if (!(y & 1))
			fetch(&in, f->step * (y / 2 + 1) + f->taps / 2, f->step);
		const uint8_t *rows[6] = {0};
		for (int t = 0; t < f->taps; t++)
			rows[t] = row_at(&in, f->step * (y / 2) + (y & 1 ? f->mirror - f->at[t] : f->at[t]));
		filter_column(f, rows, row, avx2 ? fl_filter_column_avx2(f, rows, row, in.width) : 0, in.width);
		extend(row, in.width);
		uint8_t *to = out.data + (size_t)y * out.stride;
		filter_row(f, row, to, avx2 ? fl_filter_row_avx2(f, row, to, out.width) : 0, out.width);
	}
}

void fl_scale_3to2(FLPlaneIn in, FLPlaneOut out) { scale(&three_to_two, in, out); }

void fl_scale_1to2(FLPlaneIn in, FLPlaneOut out) { scale(&one_to_two, in, out); }

void fl_scale_2to1(FLPlaneIn in, FLPlaneOut out) {
	const FLFilter *f = &two_to_one;
	uint8_t column[ROW];
	uint8_t *row = column + MARGIN;
	int avx2 = has_avx2();
	for (int y = 0; y < out.height; y++) {
		fetch(&in, 2 * y + 4, 2);
		const uint8_t *rows[6];
		for (int t = 0; t < 6; t++)
			rows[t] = row_at(&in, 2 * y + f->at[t]);
		filter_column(f, rows, row, avx2 ? fl_filter_column_avx2(f, rows, row, in.width) : 0, in.width);
		extend(row, in.width);
		uint8_t *to = out.data + (size_t)y * out.stride;
#define AROUND(t) row[2 * x + f->at[t]]
		for (int x = avx2 ? fl_halve_row_avx2(f, row, to, out.width) : 0; x < out.width; x++)
			to[x] = fold(SUM(f, AROUND));
	}
}

void fl_scale_3to1(FLPlaneIn in, FLPlaneOut out) {
	int avx2 = has_avx2();
	for (int y = 0; y < out.height; y++) {
		fetch(&in, 3 * y + 3, 3);
		const uint8_t *rows[3] = {row_at(&in, 3 * y), row_at(&in, 3 * y + 1), row_at(&in, 3 * y + 2)};
		uint8_t *to = out.data + (size_t)y * out.stride;
		for (int x = avx2 ? fl_box3_avx2(rows, in.width, to, out.width) : 0; x < out.width; x++) {
			int sum = 4;
			for (int i = 3 * x; i < 3 * x + 3; i++) {
				int at = i < in.width ? i : in.width - 1;
				sum += rows[0][at] + rows[1][at] + rows[2][at];
			}
			to[x] = sum * 7282 >> 16; // a ninth
		}
	}
}
