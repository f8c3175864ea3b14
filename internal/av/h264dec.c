// H.264 decoding with libavcodec, one thread, without reordering delay unless asked for.
//
// Broken pictures are never output: after damage the decoder is flushed, and libavcodec then stays silent
// until an IDR picture or a recovery point (AV_CODEC_FLAG_OUTPUT_CORRUPT is left off).
#include "h264dec.h"

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

struct FLDecoder {
	AVCodecContext *codec;
	AVPacket *packet;
	AVFrame *frame;
	uint8_t *input; // the access unit with the padding that libavcodec reads past the end
	size_t capacity;
	struct SwsContext *convert; // for anything but 8-bit 4:2:0
	int too_large;              // set by get_buffer
};

// get_buffer refuses large pictures before memory is allocated for them.
static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags) {
	FLDecoder *d = codec->opaque;
	if (codec->width > FL_MAX_SIDE || codec->height > FL_MAX_SIDE) {
		d->too_large = 1;
		return AVERROR(EINVAL);
	}
	return avcodec_default_get_buffer2(codec, frame, flags);
}

FLDecoder *fl_decoder_new(int in_order) {
	FLDecoder *d = calloc(1, sizeof *d);
	const AVCodec *codec = avcodec_find_decoder_by_name("h264");
	if (!d || !codec)
		goto fail;
	d->codec = avcodec_alloc_context3(codec);
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	if (!d->codec || !d->packet || !d->frame)
		goto fail;
	d->codec->opaque = d;
	d->codec->get_buffer2 = get_buffer;
	d->codec->thread_count = 1;
	if (!in_order)
		d->codec->flags |= AV_CODEC_FLAG_LOW_DELAY;
	d->codec->max_pixels = (int64_t)(FL_MAX_SIDE + 16) * (FL_MAX_SIDE + 16);
	if (avcodec_open2(d->codec, codec, NULL) < 0)
		goto fail;
	return d;
fail:
	fl_decoder_free(d);
	return NULL;
}

void fl_decoder_free(FLDecoder *d) {
	if (!d)
		return;
	avcodec_free_context(&d->codec);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	sws_freeContext(d->convert);
	free(d->input);
	free(d);
}

void fl_decoder_flush(FLDecoder *d) { avcodec_flush_buffers(d->codec); }

AVFrame *fl_picture_new(int width, int height) {
	AVFrame *f = av_frame_alloc();
	if (!f)
		return NULL;
	f->width = width;
	f->height = height;
	f->format = AV_PIX_FMT_YUV420P;
	if (av_frame_get_buffer(f, 64) < 0)
		av_frame_free(&f);
	return f;
}

void fl_picture_free(AVFrame *frame) { av_frame_free(&frame); }

static int is_full_range(const AVFrame *f) {
	return f->format == AV_PIX_FMT_YUVJ420P || f->color_range == AVCOL_RANGE_JPEG;
}

// is_bt601 says which matrix made the picture. Streams that do not say are taken as BT.601 at any size:
// browsers (libyuv's converters) and ffmpeg's default RGB conversion use BT.601 and leave the field out,
// while encoders that use BT.709 (OBS, x264 with our settings) say so.
static int is_bt601(const AVFrame *f) {
	return f->colorspace != AVCOL_SPC_BT709;
}

// to_420 converts d->frame to 8-bit 4:2:0 of the same range and matrix.
static int to_420(FLDecoder *d) {
	AVFrame *in = d->frame, *out = av_frame_alloc();
	if (!out)
		return FL_NO_MEMORY;
	out->width = in->width;
	out->height = in->height;
	out->format = is_full_range(in) ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
	d->convert = sws_getCachedContext(d->convert, in->width, in->height, in->format, out->width, out->height,
	                                  out->format, SWS_AREA, NULL, NULL, NULL);
	if (!d->convert || av_frame_get_buffer(out, 64) < 0 || av_frame_copy_props(out, in) < 0) {
		av_frame_free(&out);
		return FL_NO_MEMORY;
	}
	// The same range on both sides: a change of range is the canvas's job.
	const int *c = sws_getCoefficients(is_bt601(in) ? SWS_CS_ITU601 : SWS_CS_ITU709);
	int full = is_full_range(in);
	sws_setColorspaceDetails(d->convert, c, full, c, full, 0, 1 << 16, 1 << 16);
	sws_scale(d->convert, (const uint8_t *const *)in->data, in->linesize, 0, in->height, out->data, out->linesize);
	av_frame_unref(in);
	av_frame_move_ref(in, out);
	av_frame_free(&out);
	return FL_OK;
}

// take moves d->frame to *out.
static int take(FLDecoder *d, FLPicture *out) {
	AVFrame *f = d->frame;
	if (f->width > FL_MAX_SIDE || f->height > FL_MAX_SIDE)
		return FL_TOO_LARGE;
	if (f->width < 2 || f->height < 2)
		return FL_DAMAGED;
	if (f->format != AV_PIX_FMT_YUV420P && f->format != AV_PIX_FMT_YUVJ420P) {
		int r = to_420(d);
		if (r != FL_OK)
			return r;
	}
	AVFrame *taken = av_frame_alloc();
	if (!taken)
		return FL_NO_MEMORY;
	av_frame_move_ref(taken, f);
	if (out->frame) // two pictures from one access unit: the newer one counts
		av_frame_free(&out->frame);
	out->frame = taken;
	out->pts = taken->pts;
	out->width = taken->width;
	out->height = taken->height;
	out->full_range = is_full_range(taken);
	out->bt601 = is_bt601(taken);
	out->primaries = taken->color_primaries;
	out->transfer = taken->color_trc;
	out->matrix = taken->colorspace;
	out->sample_width = taken->sample_aspect_ratio.num;
	out->sample_height = taken->sample_aspect_ratio.den;
	return FL_OK;
}

// receive takes whatever the decoder has.
static int receive(FLDecoder *d, FLPicture *out) {
	int result = FL_NONE;
	for (;;) {
		int r = avcodec_receive_frame(d->codec, d->frame);
		if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
			return result;
		if (r == AVERROR(ENOMEM))
			return FL_NO_MEMORY;
		if (r < 0)
			return FL_DAMAGED;
		if (d->frame->decode_error_flags || (d->frame->flags & AV_FRAME_FLAG_CORRUPT)) {
			av_frame_unref(d->frame);
			return FL_DAMAGED;
		}
		r = take(d, out);
		av_frame_unref(d->frame);
		if (r < 0)
			return r;
		result = r;
	}
}

int fl_decoder_decode(FLDecoder *d, const uint8_t *data, int size, int64_t pts, FLPicture *out) {
	out->frame = NULL;
	if (size <= 0)
		return FL_INVALID;
	size_t need = (size_t)size + AV_INPUT_BUFFER_PADDING_SIZE;
	if (d->capacity < need) {
		uint8_t *p = realloc(d->input, need * 2);
		if (!p)
			return FL_NO_MEMORY;
		d->input = p;
		d->capacity = need * 2;
	}
	memcpy(d->input, data, size);
	memset(d->input + size, 0, AV_INPUT_BUFFER_PADDING_SIZE);
	d->packet->data = d->input;
	d->packet->size = size;
	d->packet->pts = pts;
	d->too_large = 0;
	int r = avcodec_send_packet(d->codec, d->packet);
	d->packet->data = NULL;
	d->packet->size = 0;
	r = r < 0 ? FL_DAMAGED : receive(d, out);
	if (r < 0) {
		if (d->too_large)
			r = FL_TOO_LARGE;
		av_frame_free(&out->frame);
		avcodec_flush_buffers(d->codec);
	}
	return r;
}
