// H.264 encoding with OpenH264: one layer, no reordering, closed groups of pictures, no picture left out.
//
// Its header and x264's define the same names: this file is the only one that sees it.
#include "h264enc.h"

#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

typedef struct {
	FLEncoder base;
	ISVCEncoder *svc;
	SEncParamExt param;
	int omit_headers, key_interval;
	int complexity; // as opened
	int since_key; // pictures since the last key frame; at first key_interval
	int64_t count;
	double milliseconds; // per picture
	uint8_t *data;
	size_t capacity;
} OpenH264;

// gather copies the units of all layers into one piece and describes them.
static int gather(OpenH264 *e, const SFrameBSInfo *info, int omit_headers, FLEncoded *out) {
	size_t size = 0;
	for (int l = 0; l < info->iLayerNum; l++)
		for (int i = 0; i < info->sLayerInfo[l].iNalCount; i++)
			size += info->sLayerInfo[l].pNalLengthInByte[i];
	if (e->capacity < size) {
		uint8_t *p = realloc(e->data, 2 * size);
		if (!p)
			return FL_NO_MEMORY;
		e->data = p;
		e->capacity = 2 * size;
	}
	out->data = e->data;
	out->size = out->nals = 0;
	for (int l = 0; l < info->iLayerNum; l++) {
		const uint8_t *unit = info->sLayerInfo[l].pBsBuf;
		for (int i = 0; i < info->sLayerInfo[l].iNalCount; i++) {
			int length = info->sLayerInfo[l].pNalLengthInByte[i];
			int start = unit[2] == 1 ? 3 : 4, kind = unit[start] & 0x1f;
			if (!(omit_headers && (kind == 7 || kind == 8))) {
				if (out->nals == FL_MAX_NALS)
					return FL_INVALID;
				memcpy(e->data + out->size, unit, length);
				out->begin[out->nals] = out->size + start;
				out->size += length;
				out->end[out->nals++] = out->size;
			}
			unit += length;
		}
	}
	return out->nals > 0 ? FL_OK : FL_NONE;
}

static int headers(FLEncoder *base, FLEncoded *out) {
	OpenH264 *e = (OpenH264 *)base;
	SFrameBSInfo info = {0};
	out->key = 0;
	return (*e->svc)->EncodeParameterSets(e->svc, &info) == 0 ? gather(e, &info, 0, out) : FL_INVALID;
}

// force_key makes the next picture an IDR picture. The C declaration lacks the argument that says which layer.
static void force_key_picture(ISVCEncoder *svc) {
	int (*force)(ISVCEncoder *, bool, int) = (int (*)(ISVCEncoder *, bool, int))(*svc)->ForceIntraFrame;
	force(svc, true, -1);
}

static void close_svc(OpenH264 *e) {
	if (!e->svc)
		return;
	(*e->svc)->Uninitialize(e->svc);
	WelsDestroySVCEncoder(e->svc);
	e->svc = NULL;
}

static int open_svc(OpenH264 *e) {
	int quiet = WELS_LOG_QUIET;
	return WelsCreateSVCEncoder(&e->svc) == 0 && e->svc &&
	       (*e->svc)->SetOption(e->svc, ENCODER_OPTION_TRACE_LEVEL, &quiet) == 0 &&
	       (*e->svc)->InitializeExt(e->svc, &e->param) == 0;
}

// restart opens the encoder anew after a picture that took more bits than its buffer holds (noise, after a
// still picture had let the quantiser go down): OpenH264 is of no use after that. The picture becomes a key
// frame, for which the rate control starts with a quantiser that fits.
static int restart(OpenH264 *e, const SSourcePicture *in, SFrameBSInfo *info) {
	close_svc(e);
	e->since_key = 1;
	*info = (SFrameBSInfo){0};
	return open_svc(e) ? (*e->svc)->EncodeFrame(e->svc, in, info) : -1;
}

static int encode(FLEncoder *base, const FLCanvas *c, int64_t pts, int force_key, FLEncoded *out) {
	OpenH264 *e = (OpenH264 *)base;
	if (!e->svc)
		return FL_INVALID;
	if (force_key || e->since_key >= e->key_interval) {
		force_key_picture(e->svc);
		e->since_key = 0;
	}
	e->since_key++;
	SSourcePicture in = {.iColorFormat = videoFormatI420, .iPicWidth = c->width, .iPicHeight = c->height};
	for (int i = 0; i < 3; i++) {
		in.pData[i] = c->plane[i];
		in.iStride[i] = c->stride[i];
	}
	in.uiTimeStamp = e->count++ * e->milliseconds;
	SFrameBSInfo info = {0};
	if ((*e->svc)->EncodeFrame(e->svc, &in, &info) != 0 && restart(e, &in, &info) != 0)
		return FL_INVALID;
	out->key = info.eFrameType == videoFrameTypeIDR;
	return gather(e, &info, e->omit_headers, out);
}

static void hurry(FLEncoder *base, int yes) {
	OpenH264 *e = (OpenH264 *)base;
	e->param.iComplexityMode = yes ? LOW_COMPLEXITY : e->complexity; // also for a restart
	if (e->svc)
		(*e->svc)->SetOption(e->svc, ENCODER_OPTION_COMPLEXITY, &e->param.iComplexityMode);
}

static void close_openh264(FLEncoder *base) {
	OpenH264 *e = (OpenH264 *)base;
	close_svc(e);
	free(e->data);
	free(e);
}

// configure fills p; 0 where the encoder has no such setting.
static int configure(const FLEncoderConfig *c, SEncParamExt *p) {
	if (!strcmp(c->preset, "low"))
		p->iComplexityMode = LOW_COMPLEXITY;
	else if (!strcmp(c->preset, "medium"))
		p->iComplexityMode = MEDIUM_COMPLEXITY;
	else
		return 0;
	int baseline = !strcmp(c->profile, "baseline");
	if (!baseline && strcmp(c->profile, "main"))
		return 0;
	double rate = (double)c->fps_num / c->fps_den;
	p->iUsageType = CAMERA_VIDEO_REAL_TIME;
	p->iPicWidth = c->width;
	p->iPicHeight = c->height;
	p->fMaxFrameRate = rate;
	p->iTargetBitrate = p->iMaxBitrate = c->kilobits * 1000;
	p->iRCMode = RC_BITRATE_MODE;
	p->bEnableFrameSkip = false;
	p->uiIntraPeriod = 0; // key frames are asked for
	p->eSpsPpsIdStrategy = CONSTANT_ID;
	p->iEntropyCodingModeFlag = !baseline;
	p->iMultipleThreadIdc = c->threads;
	p->bUseLoadBalancing = false; // the output depends on the input only
	p->bEnableSceneChangeDetect = false;
	p->bEnableBackgroundDetection = false;
	p->bEnableAdaptiveQuant = false;
	SSpatialLayerConfig *l = &p->sSpatialLayers[0];
	l->iVideoWidth = c->width;
	l->iVideoHeight = c->height;
	l->fFrameRate = rate;
	l->iSpatialBitrate = l->iMaxSpatialBitrate = c->kilobits * 1000;
	l->uiProfileIdc = baseline ? PRO_BASELINE : PRO_MAIN;
	l->sSliceArgument.uiSliceMode = c->threads > 1 ? SM_FIXEDSLCNUM_SLICE : SM_SINGLE_SLICE;
	l->sSliceArgument.uiSliceNum = c->threads;
	l->bVideoSignalTypePresent = true;
	l->uiVideoFormat = VF_UNDEF;
	l->bFullRange = c->full_range;
	l->bColorDescriptionPresent = true;
	l->uiColorPrimaries = c->primaries;
	l->uiTransferCharacteristics = c->transfer;
	l->uiColorMatrix = c->matrix;
	return 1;
}

FLEncoder *fl_openh264_new(const FLEncoderConfig *c) {
	OpenH264 *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->base = (FLEncoder){close_openh264, headers, encode, hurry};
	e->omit_headers = c->omit_headers;
	e->key_interval = e->since_key = c->key_interval;
	e->milliseconds = 1000.0 * c->fps_den / c->fps_num;
	// Default parameters come from an encoder, which then opens with them as they were completed.
	int known = WelsCreateSVCEncoder(&e->svc) == 0 && (*e->svc)->GetDefaultParams(e->svc, &e->param) == 0 &&
	            configure(c, &e->param);
	close_svc(e);
	e->complexity = e->param.iComplexityMode;
	if (!known || !open_svc(e)) {
		close_openh264(&e->base);
		return NULL;
	}
	return &e->base;
}
