// Scaling by exactly 3:1, 3:2 and 1:2, planes of 8 bits.
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

// The sides of in are 3, 3/2 or 1/2 of those of out, rounded; beyond the edges its last samples count.
void fl_scale_3to1(FLPlaneIn in, FLPlaneOut out);
void fl_scale_3to2(FLPlaneIn in, FLPlaneOut out);
void fl_scale_1to2(FLPlaneIn in, FLPlaneOut out);
