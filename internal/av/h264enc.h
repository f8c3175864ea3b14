// H.264 encoding: a canvas in, one access unit out at once. Two encoders, x264.c and openh264.c, fill in the
// same table of functions.
#pragma once

#include "canvas.h"
#include <stdint.h>

typedef struct {
	int width, height;
	int fps_num, fps_den;
	int kilobits; // per second, also the size of the rate buffer: one second
	int key_interval;
	int omit_headers; // SPS and PPS not repeated before each key frame
	int threads;
	int full_range, primaries, transfer, matrix; // the code points of ITU-T H.273
	const char *preset, *profile;
} FLEncoderConfig;

enum { FL_MAX_NALS = 32 };

// FLEncoded describes an access unit in the encoder's memory, valid until the next call.
typedef struct {
	const uint8_t *data; // Annex B
	int size;
	int key;
	int nals;               // number of NAL units
	int begin[FL_MAX_NALS]; // offset of each unit's payload, after its start code
	int end[FL_MAX_NALS];
} FLEncoded;

typedef struct FLEncoder FLEncoder;

struct FLEncoder {
	void (*free)(FLEncoder *e);
	int (*headers)(FLEncoder *e, FLEncoded *out);
	int (*encode)(FLEncoder *e, const FLCanvas *c, int64_t pts, int force_key, FLEncoded *out);
	void (*hurry)(FLEncoder *e, int yes); // NULL: it has but one pace
};

// The new encoder is NULL where the configuration is not one that it takes.
FLEncoder *fl_x264_new(const FLEncoderConfig *config);
FLEncoder *fl_openh264_new(const FLEncoderConfig *config);

void fl_encoder_free(FLEncoder *e);
// fl_encoder_headers returns SPS, PPS in Annex B.
int fl_encoder_headers(FLEncoder *e, FLEncoded *out);
int fl_encoder_encode(FLEncoder *e, const FLCanvas *c, int64_t pts, int force_key, FLEncoded *out);
// fl_encoder_hurry makes the encoder take less care, and time, or as much as it was opened for again.
void fl_encoder_hurry(FLEncoder *e, int yes);
