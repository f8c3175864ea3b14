package composer

import (
	"image"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/audio"
	"github.com/footlight-live/footlight/internal/composer/video"
)

const (
	// judgeEvery is how often the output is judged.
	judgeEvery = time.Second
	// wrongFor is for how long it must be wrong until that is worth an alert.
	wrongFor = 3 * time.Second
	// nothingSeen and somethingSeen are the brightest luma of a black picture and the least of one that is not.
	nothingSeen, somethingSeen = 24, 48
	// nothingHeard and somethingHeard are the largest samples of silence and of what is not.
	nothingHeard, somethingHeard = 1e-4, 1e-2
)

// wrong is since when the output lacks what the inputs have. One goroutine judges, any may ask.
type wrong struct {
	next  time.Duration // when to judge again
	since atomic.Int64  // composer time; 0 while all is well
}

// due tells whether it is time to judge again.
func (w *wrong) due(now time.Duration) bool {
	if now < w.next {
		return false
	}
	w.next = now + judgeEvery
	return true
}

func (w *wrong) judge(now time.Duration, bad bool) {
	switch {
	case !bad:
		w.since.Store(0)
	case w.since.Load() == 0:
		w.since.Store(int64(now))
	}
}

// lasts tells whether it has been wrong for long.
func (w *wrong) lasts(now time.Duration) bool {
	since := time.Duration(w.since.Load())
	return since > 0 && now-since >= wrongFor
}

// darkness watches for a black canvas while tiles have pictures that are not.
type darkness struct{ wrong }

func (d *darkness) look(now time.Duration, drawn *av.Canvas, tiles []video.Tile) {
	if !d.due(now) {
		return
	}
	plane, stride := drawn.Plane(0)
	black := brightest(drawn.Bounds(), func(x, y int) uint8 { return plane[y*stride+x] }) <= nothingSeen
	bad := false
	for _, t := range tiles {
		if black && t.Picture != nil {
			bad = bad || brightest(image.Rect(0, 0, t.Picture.Width, t.Picture.Height), t.Picture.Luma) >= somethingSeen
		}
	}
	d.judge(now, bad)
}

// brightest looks at a grid of 32 by 18 points.
func brightest(r image.Rectangle, luma func(x, y int) uint8) (most uint8) {
	for j := range 18 {
		for i := range 32 {
			most = max(most, luma((2*i+1)*r.Dx()/64, (2*j+1)*r.Dy()/36))
		}
	}
	return most
}

// silence watches for a silent output while participants who are not muted are loud.
type silence struct {
	wrong
	loudest float32 // of the output since the last judgement
}

func (s *silence) listen(now time.Duration, pcm []float32, playing []*audio.Timeline) {
	for _, v := range pcm {
		s.loudest = max(s.loudest, v, -v)
	}
	if !s.due(now) {
		return
	}
	var heard float32
	for _, t := range playing {
		heard = max(heard, t.Heard())
	}
	s.judge(now, s.loudest < nothingHeard && heard > somethingHeard)
	s.loudest = 0
}
