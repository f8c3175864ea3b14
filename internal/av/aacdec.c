// AAC-LC decoding with libavcodec's native decoder, and libswresample.
#include "aacdec.h"

#include <libavcodec/avcodec.h>
#include <libswresample/swresample.h>
#include <stdlib.h>
#include <string.h>

struct FLAACDec {
	AVCodecContext *codec;
	AVFrame *frame;
	AVPacket *packet;
	SwrContext *swr;
	int rate, channels;
};

FLAACDec *fl_aacdec_new(const uint8_t *config, int size, int rate, int channels) {
	FLAACDec *d = calloc(1, sizeof *d);
	// The fixed-point decoder is not the default; the name leaves no doubt.
	const AVCodec *codec = avcodec_find_decoder_by_name("aac");
	if (!d || !codec)
		goto fail;
	d->rate = rate;
	d->channels = channels;
	d->codec = avcodec_alloc_context3(codec);
	d->frame = av_frame_alloc();
	d->packet = av_packet_alloc();
	if (!d->codec || !d->frame || !d->packet)
		goto fail;
	AVCodecContext *c = d->codec;
	c->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!c->extradata)
		goto fail;
	memcpy(c->extradata, config, size);
	c->extradata_size = size;
	c->sample_rate = rate;
	c->thread_count = 1;
	av_channel_layout_default(&c->ch_layout, channels);
	if (avcodec_open2(c, codec, NULL) < 0)
		goto fail;
	AVChannelLayout in, out;
	av_channel_layout_default(&in, channels);
	av_channel_layout_default(&out, 2);
	if (swr_alloc_set_opts2(&d->swr, &out, AV_SAMPLE_FMT_FLT, 48000, &in, AV_SAMPLE_FMT_FLTP, rate, 0, NULL) < 0 ||
	    swr_init(d->swr) < 0)
		goto fail;
	return d;
fail:
	fl_aacdec_free(d);
	return NULL;
}

void fl_aacdec_free(FLAACDec *d) {
	if (!d)
		return;
	avcodec_free_context(&d->codec);
	av_frame_free(&d->frame);
	av_packet_free(&d->packet);
	swr_free(&d->swr);
	free(d);
}

int fl_aacdec_decode(FLAACDec *d, const uint8_t *data, int size, float *pcm, int max, int *n, int *delay) {
	*n = 0;
	*delay = (int)swr_get_delay(d->swr, 48000);
	// A copy with the padding that the decoder reads beyond the end.
	if (av_new_packet(d->packet, size) < 0)
		return FL_NO_MEMORY;
	memcpy(d->packet->data, data, size);
	int r = avcodec_send_packet(d->codec, d->packet);
	av_packet_unref(d->packet);
	if (r < 0)
		return FL_DAMAGED;
	int frames = 0;
	while ((r = avcodec_receive_frame(d->codec, d->frame)) >= 0) {
		AVFrame *f = d->frame;
		// A stream may say one thing in its configuration and be another.
		int fits = f->format == AV_SAMPLE_FMT_FLTP && f->sample_rate == d->rate &&
			   f->ch_layout.nb_channels == d->channels && f->nb_samples > 0;
		if (!fits) {
			av_frame_unref(f);
			return FL_DAMAGED;
		}
		uint8_t *out = (uint8_t *)(pcm + 2 * *n);
		int got = swr_convert(d->swr, &out, max - *n, (const uint8_t **)f->extended_data, f->nb_samples);
		av_frame_unref(f);
		if (got < 0)
			return FL_DAMAGED;
		*n += got;
		frames++;
	}
	if (r != AVERROR(EAGAIN) && r != AVERROR_EOF)
		return FL_DAMAGED;
	return frames ? FL_OK : FL_NONE;
}
