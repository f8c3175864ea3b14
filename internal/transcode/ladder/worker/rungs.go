package worker

import (
	"cmp"
	"fmt"
	"image"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/video"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// rungs are all sizes of pictures of one kind.
type rungs struct {
	all   []*rung
	of    shape
	rate  float64 // of the pictures, in pictures per second
	since int     // the last key frame, in pictures that were coded
}

// shape is what pictures must have in common to be coded by the same encoders.
type shape struct {
	width, height             int
	sampleWidth, sampleHeight int
	colour                    av.Colour
}

func shapeOf(p *av.Picture) shape {
	return shape{p.Width, p.Height, p.SampleWidth, p.SampleHeight, p.Colour}
}

// shown is the size with square samples.
func (s shape) shown() (width, height int) {
	if s.square() {
		return s.width, s.height
	}
	return max(2, int(math.Round(float64(s.width)*float64(s.sampleWidth)/float64(s.sampleHeight)))), s.height
}

// square tells whether samples are, or have a shape that nobody makes.
func (s shape) square() bool {
	return s.sampleWidth <= 0 || s.sampleHeight <= 0 || s.sampleWidth == s.sampleHeight ||
		s.sampleWidth > 4*s.sampleHeight || s.sampleHeight > 4*s.sampleWidth
}

// rung is one size.
type rung struct {
	ladder.Rung
	canvas  *av.Canvas
	encoder *av.H264Encoder
	from    *rung           // that it is drawn from; nil: the picture
	src     image.Rectangle // what of that
	avcc    []byte
}

const (
	// forever is a key interval: key frames are asked for.
	forever = 1 << 30
	// smallestOpenH264 is the least side, in pixels, that OpenH264 encodes: one macroblock.
	smallestOpenH264 = 16
	// rateDrift is how much the rate may change before the encoders are opened anew.
	rateDrift = 0.2
)

func openRungs(t ladder.Type, preset ladder.Preset, p *av.Picture, rate float64) (*rungs, error) {
	rs := &rungs{of: shapeOf(p), rate: rate}
	w, h := rs.of.shown()
	for i, r := range ladder.Rungs(t, preset, ladder.Source{Width: w, Height: h, FrameRate: rate}) {
		next := &rung{Rung: r}
		rs.all = append(rs.all, next)
		if err := next.open(rs.of.colour); err != nil {
			rs.close()
			return nil, err
		}
		next.from, next.src = rs.source(i)
	}
	return rs, nil
}

// open makes the encoder as that of a composition is made (composer.encodingFor tells why).
func (r *rung) open(colour av.Colour) (err error) {
	config := av.H264Config{Width: r.Width, Height: r.Height, FrameRate: max(1, r.FrameRate), BitRate: r.BitRate, KeyInterval: forever,
		Encoder: av.OpenH264, Preset: "medium", Profile: "main", OmitHeaders: true, Colour: colour}
	if min(r.Width, r.Height) < smallestOpenH264 {
		config.Encoder, config.Preset = av.X264, "veryfast"
	}
	if r.encoder, err = av.NewH264Encoder(config); err != nil {
		return err
	}
	r.canvas, err = av.NewCanvas(r.Width, r.Height)
	return err
}

// source chooses what a rung is drawn from: the smallest larger one that has a cheap ratio to it, else the picture if
// that has one, else the smallest that is not too near.
func (rs *rungs) source(i int) (from *rung, src image.Rectangle) {
	to := rs.all[i]
	dst := to.canvas.Bounds()
	for j := i - 1; j >= 0; j-- {
		r := rs.all[j]
		if src, _ := video.Fit(layout.Cover, r.Width, r.Height, dst); video.Cheap(src.Size(), dst.Size()) {
			return r, src
		}
	}
	mode := layout.Cover
	if !rs.of.square() {
		mode = layout.Fill
	}
	src, _ = video.Fit(mode, rs.of.width, rs.of.height, dst)
	if video.Cheap(src.Size(), dst.Size()) {
		return nil, src
	}
	for j := i - 1; j >= 0; j-- {
		if r := rs.all[j]; r.Width >= 2*to.Width && r.Height >= 2*to.Height {
			src, _ = video.Fit(layout.Cover, r.Width, r.Height, dst)
			return r, src
		}
	}
	return nil, src
}

// fit tells whether the rungs are for pictures like p; whether they are for that rate matters at key frames.
func (rs *rungs) fit(p *av.Picture, rate float64, key bool) bool {
	return rs.of == shapeOf(p) && !(key && math.Abs(rate/rs.rate-1) > rateDrift)
}

// code encodes a picture in the rungs that are to have it: all have the key frames. What it returns is valid until the
// next call. The first rung takes about as long as the others together, and is encoded beside them.
func (rs *rungs) code(p *av.Picture, key bool) ([]ladder.Coded, error) {
	if key {
		rs.since = 0
	}
	n := rs.since
	rs.since++
	first := rs.all[0]
	if err := first.draw(p); err != nil {
		return nil, err
	}
	beside := make(chan error, 1)
	go func() { beside <- first.encode(p.PTS, key) }()
	var err error
	for _, r := range rs.all[1:] {
		if err == nil && n%r.Every == 0 {
			if err = r.draw(p); err == nil {
				err = r.encode(p.PTS, key)
			}
		}
	}
	if err := cmp.Or(<-beside, err); err != nil {
		return nil, err
	}
	var coded []ladder.Coded
	for i, r := range rs.all {
		if n%r.Every == 0 {
			coded = append(coded, ladder.Coded{Track: i, AVCC: r.avcc})
		}
	}
	return coded, nil
}

func (r *rung) draw(p *av.Picture) error {
	if r.from != nil {
		return r.canvas.DrawCanvas(r.from.canvas, r.src, r.canvas.Bounds())
	}
	return r.canvas.DrawSamples(p, r.src, r.canvas.Bounds())
}

func (r *rung) encode(pts int64, key bool) error {
	coded, err := r.encoder.Encode(r.canvas, pts, key)
	if err == nil {
		r.avcc, err = h264.AVCC(coded.NALUs).Marshal()
	}
	if err != nil {
		return fmt.Errorf("rung %dx%d: %w", r.Width, r.Height, err)
	}
	return nil
}

// hurry takes less care, which is hardly seen where pictures are as they came: those are coded so at all times.
func (rs *rungs) hurry(yes bool) {
	for _, r := range rs.all {
		r.encoder.Hurry(yes || r.from == nil && r.src.Size() == r.canvas.Bounds().Size())
	}
}

func (rs *rungs) close() {
	for _, r := range rs.all {
		if r.encoder != nil {
			r.encoder.Close()
		}
		if r.canvas != nil {
			r.canvas.Close()
		}
	}
}
