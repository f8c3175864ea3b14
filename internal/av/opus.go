package av

/*
#include <opus/opus.h>

// opus_encoder_ctl is variadic, which cgo cannot call.
static int set_bitrate(OpusEncoder *e, int bits) { return opus_encoder_ctl(e, OPUS_SET_BITRATE(bits)); }
static int set_fec(OpusEncoder *e) {
	int r = opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(1));
	return r ? r : opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(5));
}
static int get_lookahead(OpusEncoder *e) {
	opus_int32 n = 0;
	return opus_encoder_ctl(e, OPUS_GET_LOOKAHEAD(&n)) ? 0 : (int)n;
}

#cgo noescape opus_decode_float
#cgo nocallback opus_decode_float
#cgo noescape opus_encode_float
#cgo nocallback opus_encode_float
*/
import "C"

import "fmt"

// MaxOpusSamples is the longest Opus packet: 120 ms at 48 kHz, in samples per channel.
const MaxOpusSamples = 5760

// OpusDecoder decodes Opus to 48 kHz stereo; mono comes out on both channels.
type OpusDecoder struct {
	c *C.OpusDecoder
}

// NewOpusDecoder opens a decoder.
func NewOpusDecoder() (*OpusDecoder, error) {
	var code C.int
	c := C.opus_decoder_create(48000, 2, &code)
	if code != 0 {
		return nil, fmt.Errorf("open opus decoder: %w", opusError(code))
	}
	return &OpusDecoder{c: c}, nil
}

// Decode decodes one packet into pcm (interleaved left, right, in -1..1) and returns the number of samples
// per channel. pcm should hold 2*MaxOpusSamples; a packet longer than pcm is an error.
func (d *OpusDecoder) Decode(packet []byte, pcm []float32) (int, error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("decode opus: no data: %w", ErrInvalid)
	}
	return d.decode("decode opus", packet, pcm, len(pcm)/2, 0)
}

// DecodeLost fills n samples per channel (a multiple of 120, at most MaxOpusSamples) in place of a lost
// packet, by concealment.
func (d *OpusDecoder) DecodeLost(pcm []float32, n int) (int, error) {
	return d.decode("conceal opus", nil, pcm, n, 0)
}

// DecodeFEC fills n samples per channel of the lost packet before the given one, from the copy of it that
// the given packet may carry, else by concealment. Then Decode the packet itself.
func (d *OpusDecoder) DecodeFEC(packet []byte, pcm []float32, n int) (int, error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("recover opus: no data: %w", ErrInvalid)
	}
	return d.decode("recover opus", packet, pcm, n, 1)
}

func (d *OpusDecoder) decode(op string, packet []byte, pcm []float32, n, fec int) (int, error) {
	if d.c == nil {
		return 0, fmt.Errorf("%s: %w", op, ErrClosed)
	}
	n = min(n, MaxOpusSamples)
	if n <= 0 || len(pcm) < 2*n || len(packet) > 1<<16 {
		return 0, fmt.Errorf("%s: %d bytes to %d samples: %w", op, len(packet), n, ErrInvalid)
	}
	var data *C.uchar
	if len(packet) > 0 {
		data = (*C.uchar)(&packet[0])
	}
	r := C.opus_decode_float(d.c, data, C.opus_int32(len(packet)), (*C.float)(&pcm[0]), C.int(n), C.int(fec))
	if r < 0 {
		return 0, fmt.Errorf("%s: %w", op, opusError(r))
	}
	return int(r), nil
}

// Close frees the decoder.
func (d *OpusDecoder) Close() {
	if d.c != nil {
		C.opus_decoder_destroy(d.c)
		d.c = nil
	}
}

// OpusEncoder encodes 48 kHz stereo with in-band error correction.
type OpusEncoder struct {
	c *C.OpusEncoder
}

// NewOpusEncoder opens an encoder; the bitrate is in bits per second, 6000 to 510000.
func NewOpusEncoder(bitrate int) (*OpusEncoder, error) {
	if bitrate < 6000 || bitrate > 510_000 {
		return nil, fmt.Errorf("open opus encoder at %d b/s: %w", bitrate, ErrInvalid)
	}
	var code C.int
	c := C.opus_encoder_create(48000, 2, C.OPUS_APPLICATION_AUDIO, &code)
	if code == 0 {
		if code = C.set_bitrate(c, C.int(bitrate)); code == 0 {
			code = C.set_fec(c)
		}
		if code != 0 {
			C.opus_encoder_destroy(c)
		}
	}
	if code != 0 {
		return nil, fmt.Errorf("open opus encoder: %w", opusError(code))
	}
	return &OpusEncoder{c: c}, nil
}

// Encode encodes one packet of interleaved stereo (960 samples per channel for 20 ms; 120 to 2880 in the
// lengths that RFC 6716 section 2.1.4 allows) into out and returns its length. 1500 bytes are always enough.
func (e *OpusEncoder) Encode(pcm []float32, out []byte) (int, error) {
	if e.c == nil {
		return 0, fmt.Errorf("encode opus: %w", ErrClosed)
	}
	if len(pcm) == 0 || len(pcm)%2 != 0 || len(out) == 0 {
		return 0, fmt.Errorf("encode opus: %d samples to %d bytes: %w", len(pcm), len(out), ErrInvalid)
	}
	r := C.opus_encode_float(e.c, (*C.float)(&pcm[0]), C.int(len(pcm)/2), (*C.uchar)(&out[0]), C.opus_int32(len(out)))
	if r < 0 {
		return 0, fmt.Errorf("encode opus: %w", opusError(r))
	}
	return int(r), nil
}

// Delay is the number of samples per channel by which a decoder's sound is late.
func (e *OpusEncoder) Delay() int {
	if e.c == nil {
		return 0
	}
	return int(C.get_lookahead(e.c))
}

// Close frees the encoder.
func (e *OpusEncoder) Close() {
	if e.c != nil {
		C.opus_encoder_destroy(e.c)
		e.c = nil
	}
}

func opusError(code C.int) error {
	switch code {
	case C.OPUS_ALLOC_FAIL:
		return ErrNoMemory
	case C.OPUS_INVALID_PACKET:
		return ErrDamaged
	default:
		return ErrInvalid
	}
}
