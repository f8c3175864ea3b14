// H.264 decoding with libavcodec: one access unit in, at most one picture out.
#pragma once

#include "common.h"
#include <libavutil/frame.h>
#include <stdint.h>

typedef struct FLDecoder FLDecoder;

// FLPicture is what Go needs to know of a decoded picture. frame is owned by the receiver.
typedef struct {
	AVFrame *frame;
	int64_t pts;
	int width, height;
	int full_range; // 1: luma 0..255, 0: luma 16..235
	int bt601;      // 1: BT.601 matrix, 0: BT.709
	int primaries, transfer, matrix;  // code points of ITU-T H.273
	int sample_width, sample_height; // the shape of a sample; 0: not said
} FLPicture;

// fl_decoder_new makes a decoder that returns pictures at once, or in the order in which they are shown.
FLDecoder *fl_decoder_new(int in_order);
// fl_decoder_decode returns FL_OK and fills out, or FL_NONE, or an error.
int fl_decoder_decode(FLDecoder *d, const uint8_t *data, int size, int64_t pts, FLPicture *out);
// fl_decoder_flush forgets all references: nothing comes out until the next key frame.
void fl_decoder_flush(FLDecoder *d);
void fl_decoder_free(FLDecoder *d);

// fl_picture_new allocates a 4:2:0 frame, uninitialised.
AVFrame *fl_picture_new(int width, int height);
void fl_picture_free(AVFrame *frame);
