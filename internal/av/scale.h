// Scaling of 8-bit planar 4:2:0.
#pragma once

#include "common.h"
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint8_t *data[3];
	int stride[3];
} FLPlanes;

typedef struct FLScaler FLScaler;

FLScaler *fl_scaler_new(void);
void fl_scaler_free(FLScaler *s);
int fl_scale(FLScaler *s, const FLPlanes *from, int sw, int sh, const FLPlanes *to, int dw, int dh);
