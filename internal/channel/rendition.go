package channel

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel/hls"
)

// rendition is one size of a stream's picture as players get it. It never changes.
type rendition struct {
	track         int    // of the publisher
	file          string // its playlist's name: mediaPlaylist where there was only one picture when it began
	name          string // for example 720p30
	width, height int
	muxer         *hls.Muxer
}

// renditionName is the height and the frame rate, as on IVS; an upright picture goes by its shorter side, as classes of
// resolution do.
func renditionName(width, height int, fps float64) string {
	return fmt.Sprintf("%dp%d", min(width, height), int(math.Round(fps)))
}

// offer returns the renditions that can be played now, the largest first: the only one from its first part on, one of
// several from its first segment on, because players do not take parts before.
func (l *live) offer() []rendition {
	if !l.playable.Load() {
		return nil
	}
	all := *l.renditions.Load()
	return slices.DeleteFunc(slices.Clone(all), func(r rendition) bool {
		return !r.muxer.Ready() || len(all) > 1 && !r.muxer.Settled()
	})
}

// ready tells whether the stream can be shown to players: with all its renditions, unless one lets the others wait.
func (l *live) ready() bool {
	lead := l.muxer.Load()
	if lead == nil || !lead.Ready() {
		return false
	}
	const patience = 15 // parts
	if _, parts := lead.Position(); parts > patience {
		return true
	}
	all := *l.renditions.Load()
	return len(all) == 1 || !slices.ContainsFunc(all, func(r rendition) bool { return !r.muxer.Settled() })
}

// rendition finds that of a publisher's track.
func (l *live) rendition(track int) (rendition, bool) {
	if list := l.renditions.Load(); list != nil {
		for _, r := range *list {
			if r.track == track {
				return r, true
			}
		}
	}
	return rendition{}, false
}

// newMuxer makes one for a picture, whose first frame came at began.
func (l *live) newMuxer(p *picture, began time.Time) *hls.Muxer {
	return hls.New(hls.Config{
		Prefix: arn.NewID(8), Wall: began, PartTarget: hls.PartTarget(p.meanFrame()),
		Container: l.channel.container(), WholeSegments: l.channel.NormalLatency,
		// Seconds, so that neither number falls behind an earlier stream of this channel, across restarts of
		// the server too: segments and breaks are further apart than a second.
		Sequence: l.first, Breaks: l.first,
	})
}

// arrange gives every picture the muxer that its track has had, or a new one that goes on with the same numbers, on the
// same timeline. The first picture leads.
func (l *live) arrange(pictures []*picture, began time.Time) []rendition {
	old, list := l.muxer.Load(), []rendition(nil)
	if old != nil {
		began = old.Wall()
	}
	var lead *hls.Muxer
	for _, p := range pictures {
		r, ok := l.rendition(p.track)
		switch {
		case ok && r.muxer.InStep(old):
		case lead == nil && old != nil:
			r.muxer = l.newMuxer(p, began)
			r.muxer.Resume(old)
		default:
			r.muxer = l.newMuxer(p, began)
		}
		r.muxer.Follow(lead)
		if lead == nil {
			lead = r.muxer
		}
		list = append(list, l.describe(r, p, list, len(pictures) > 1))
	}
	l.muxer.Store(lead)
	return list
}

// describe says what a picture is like, in a rendition that may be new. Others are those that have a name already.
func (l *live) describe(r rendition, p *picture, others []rendition, several bool) rendition {
	r.track = p.track
	r.width, r.height = p.sets.size()
	name := renditionName(r.width, r.height, p.frameRate())
	unique := func(taken func(rendition, string) bool) string {
		s := name
		for i := 2; slices.ContainsFunc(others, func(o rendition) bool { return taken(o, s) }); i++ {
			s = fmt.Sprintf("%s-%d", name, i)
		}
		return s
	}
	r.name = unique(func(o rendition, s string) bool { return o.name == s })
	switch {
	case r.file != "":
	case several:
		r.file = unique(func(o rendition, s string) bool { return o.file == s+".m3u8" }) + ".m3u8"
	default:
		r.file = mediaPlaylist
	}
	return r
}

// publishRenditions shows them to players, and lets go of those that are no more.
func (l *live) publishRenditions(list []rendition) {
	slices.SortStableFunc(list, func(a, b rendition) int {
		return cmp.Or(b.width*b.height-a.width*a.height, a.track-b.track)
	})
	for _, r := range list {
		var siblings []hls.Sibling
		for _, o := range list {
			if o.muxer != r.muxer {
				siblings = append(siblings, hls.Sibling{URI: o.file, Muxer: o.muxer})
			}
		}
		r.muxer.SetSiblings(siblings)
	}
	if old := l.renditions.Swap(&list); old != nil {
		for _, r := range *old {
			if !slices.ContainsFunc(list, func(o rendition) bool { return o.muxer == r.muxer }) {
				r.muxer.Abandon()
			}
		}
	}
}

// open implements outlet: it decides about the media that a publisher is about to bring, at its start and when its
// parameters have changed.
func (in *ingest) open(pictures []*picture, began time.Time) error {
	l := in.live
	if in == l.challenger {
		if err := l.takeOver(pictures); err != nil {
			return err
		}
	}
	if err := l.channel.checkPictures(pictures, len(in.feed.pictures)); err != nil {
		return err
	}
	list := l.arrange(pictures, began)
	for i, p := range pictures {
		p.sink = list[i].muxer
	}
	in.recordOnly(pictures)
	l.publishRenditions(list)
	if len(list) > 1 {
		l.log.Info("renditions", "number", len(list))
	}
	return nil
}

// join implements outlet.
func (in *ingest) join(p *picture) error {
	l := in.live
	if err := l.channel.checkPictures([]*picture{p}, len(in.feed.pictures)); err != nil {
		return err
	}
	list := slices.Clone(*l.renditions.Load())
	r := l.describe(rendition{muxer: l.newMuxer(p, l.muxer.Load().Wall())}, p, list, true)
	r.muxer.Follow(l.muxer.Load())
	p.sink = r.muxer
	in.record(append(in.feed.open(), p))
	l.publishRenditions(append(list, r))
	l.log.Info("a rendition may join", "rendition", r.name, "track", p.track)
	return nil
}

// lead implements outlet.
func (in *ingest) lead(p *picture, others []*picture) bool {
	l := in.live
	r, ok := l.rendition(p.track)
	if !ok || !r.muxer.Joined() {
		return false
	}
	r.muxer.Follow(nil)
	l.muxer.Store(r.muxer)
	for _, o := range others {
		switch s, ok := l.rendition(o.track); {
		case ok && (!s.muxer.Joined() || s.muxer.InStep(r.muxer)):
			s.muxer.Follow(r.muxer)
		default:
			in.feed.lose(o, hls.ErrOutOfStep)
		}
	}
	l.log.Warn("another picture leads", "rendition", r.name, "track", p.track)
	return true
}

// lose implements outlet.
func (in *ingest) lose(p *picture, reason error) {
	l := in.live
	l.log.Warn("a rendition is gone", "track", p.track, "reason", reason)
	l.publishRenditions(slices.DeleteFunc(slices.Clone(*l.renditions.Load()), func(r rendition) bool { return r.track == p.track }))
	if in.tape != nil {
		in.tape.Lose(p.track)
		in.recordInstead()
	}
}

// breakAll breaks off every rendition, the leading one first, and ends the playlists where that is asked for.
func (l *live) breakAll(finish bool) error {
	lead := l.muxer.Load()
	if lead == nil {
		return nil
	}
	end := func(m *hls.Muxer) error {
		if finish {
			return m.End()
		}
		return m.Break()
	}
	err := end(lead)
	for _, r := range *l.renditions.Load() {
		if r.muxer != lead {
			err = errors.Join(err, end(r.muxer))
		}
	}
	return err
}
