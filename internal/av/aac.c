// AAC-LC encoding with libavcodec's native encoder.
#include "aac.h"

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <stdlib.h>

struct FLAAC {
	AVCodecContext *codec;
	AVFrame *frame;
	AVPacket *packet;
};

FLAAC *fl_aac_new(int bitrate, const char *coder) {
	FLAAC *a = calloc(1, sizeof *a);
	const AVCodec *codec = avcodec_find_encoder_by_name("aac");
	if (!a || !codec)
		goto fail;
	a->codec = avcodec_alloc_context3(codec);
	a->frame = av_frame_alloc();
	a->packet = av_packet_alloc();
	if (!a->codec || !a->frame || !a->packet)
		goto fail;
	AVCodecContext *c = a->codec;
	c->bit_rate = bitrate;
	c->sample_rate = 48000;
	c->sample_fmt = AV_SAMPLE_FMT_FLTP;
	c->time_base = (AVRational){1, 48000};
	c->thread_count = 1;
	c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	av_channel_layout_default(&c->ch_layout, 2);
	if (av_opt_set(c->priv_data, "aac_coder", coder, 0) < 0 || avcodec_open2(c, codec, NULL) < 0 ||
	    c->frame_size != FL_AAC_FRAME)
		goto fail;
	a->frame->nb_samples = FL_AAC_FRAME;
	a->frame->format = AV_SAMPLE_FMT_FLTP;
	a->frame->sample_rate = 48000;
	a->frame->pts = 0;
	if (av_channel_layout_copy(&a->frame->ch_layout, &c->ch_layout) < 0 || av_frame_get_buffer(a->frame, 0) < 0)
		goto fail;
	return a;
fail:
	fl_aac_free(a);
	return NULL;
}

void fl_aac_free(FLAAC *a) {
	if (!a)
		return;
	avcodec_free_context(&a->codec);
	av_frame_free(&a->frame);
	av_packet_free(&a->packet);
	free(a);
}

FLBytes fl_aac_config(const FLAAC *a) { return (FLBytes){a->codec->extradata, a->codec->extradata_size}; }

int fl_aac_delay(const FLAAC *a) { return a->codec->initial_padding; }

// clean limits a sample, and silences what is not a number: the encoder would refuse these frames and those
// after them.
static inline float clean(float v) { return v >= -1 ? (v <= 1 ? v : 1) : (v < -1 ? -1 : 0); }

int fl_aac_encode(FLAAC *a, const float *pcm, FLBytes *out) {
	if (av_frame_make_writable(a->frame) < 0)
		return FL_NO_MEMORY;
	float *left = (float *)a->frame->data[0], *right = (float *)a->frame->data[1];
	for (int i = 0; i < FL_AAC_FRAME; i++) {
		left[i] = clean(pcm[2 * i]);
		right[i] = clean(pcm[2 * i + 1]);
	}
	int r = avcodec_send_frame(a->codec, a->frame);
	a->frame->pts += FL_AAC_FRAME;
	if (r < 0)
		return FL_INVALID;
	av_packet_unref(a->packet);
	r = avcodec_receive_packet(a->codec, a->packet);
	if (r == AVERROR(EAGAIN))
		return FL_NONE;
	if (r < 0)
		return FL_INVALID;
	*out = (FLBytes){a->packet->data, a->packet->size};
	return FL_OK;
}
