// Scaling by exactly 2:1, 3:1, 3:2 and 1:2, planes of 8 bits.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
	const uint8_t *data;
	int stride, width, height;
} FLPlaneIn;

typedef struct {
	uint8_t *data;
	int stride, width, height;
} FLPlaneOut;

// The sides of in are 2, 3, 3/2 or 1/2 of those of out. Those of 2:1 are exact, the others rounded; beyond the edges the
// last samples count.
void fl_scale_2to1(FLPlaneIn in, FLPlaneOut out);
void fl_scale_3to1(FLPlaneIn in, FLPlaneOut out);
void fl_scale_3to2(FLPlaneIn in, FLPlaneOut out);
void fl_scale_1to2(FLPlaneIn in, FLPlaneOut out);

// fl_scale_plainly leaves vector instructions out, for tests: the results are the same.
void fl_scale_plainly(int yes);

// FLFilter makes two output samples at a time. They lie so that one has the other's taps the other way round. That of 2:1 makes
// one, and has no step, mirror and shuffles.
typedef struct {
	int step;                 // input samples per two output samples
	int mirror;               // where the first has an input sample at x, the second has it at mirror - x
	int taps;                 // 4 or 6, in pairs that vector instructions add up at once
	int8_t at[6], tap[6];     // taps in 1/128
	int8_t shuffle[3][16];    // of a pair of taps, which samples the outputs of four steps need
} FLFilter;

// The vector versions, see ratio_avx2.c, make as many samples of n as they can, from the first on, and return how
// many these are.
#if defined(__x86_64__)
#define FL_HAS_AVX2 1
int fl_filter_column_avx2(const FLFilter *f, const uint8_t *const *rows, uint8_t *out, int n);
int fl_filter_row_avx2(const FLFilter *f, const uint8_t *row, uint8_t *out, int n);
int fl_halve_row_avx2(const FLFilter *f, const uint8_t *row, uint8_t *out, int n);
int fl_box3_avx2(const uint8_t *const *rows, int width, uint8_t *out, int n);
#endif
