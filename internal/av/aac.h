// AAC-LC encoding with libavcodec: 48 kHz stereo, 1024 samples per channel and frame.
#pragma once

#include "common.h"
#include <stdint.h>

enum { FL_AAC_FRAME = 1024 };

typedef struct FLAAC FLAAC;

typedef struct {
	const uint8_t *data; // the encoder's memory, valid until the next call
	int size;
} FLBytes;

FLAAC *fl_aac_new(int bitrate, const char *coder);
void fl_aac_free(FLAAC *a);
FLBytes fl_aac_config(const FLAAC *a); // AudioSpecificConfig
int fl_aac_delay(const FLAAC *a);      // samples per channel
// fl_aac_encode takes FL_AAC_FRAME samples per channel, interleaved.
int fl_aac_encode(FLAAC *a, const float *pcm, FLBytes *out);
