// AAC-LC decoding with libavcodec, to 48 kHz stereo.
#pragma once

#include "common.h"
#include <stdint.h>

typedef struct FLAACDec FLAACDec;

// fl_aacdec_new takes an AudioSpecificConfig of one or two channels at 44.1 or 48 kHz.
FLAACDec *fl_aacdec_new(const uint8_t *config, int size, int rate, int channels);
void fl_aacdec_free(FLAACDec *d);
// fl_aacdec_decode decodes an access unit to interleaved samples at 48 kHz, of which pcm has room for max per channel. It
// sets n to how many they are. The resampler keeps delay samples at 48 kHz for the next call.
int fl_aacdec_decode(FLAACDec *d, const uint8_t *data, int size, float *pcm, int max, int *n, int *delay);
