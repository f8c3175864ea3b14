package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// Report is what Check finds in a prefix.
type Report struct {
	Renditions int
	Segments   int           // files, of all renditions
	Bytes      int64         // of the segments
	Duration   time.Duration // that the playlist says: of several renditions, the longest
	Ended      bool          // the playlists have their ends
	Closed     bool          // the metadata of the end are there
	Problems   []string      // what is wrong
	Loose      []string      // media that no playlist names: what came last before a crash of the machine with the spool
}

// maxPlaylist bounds what is read of a playlist or of metadata, in bytes.
const maxPlaylist = 64 << 20

// Check reads every object of a recording. The error is that of the object store; what is wrong with the recording is
// in the report.
func Check(ctx context.Context, b objectstore.Bucket, prefix string) (Report, error) {
	c := checker{ctx: ctx, bucket: b, prefix: strings.Trim(prefix, "/"), sizes: map[string]int64{}}
	for o, err := range b.List(ctx, c.prefix+"/") {
		if err != nil {
			return c.report, err
		}
		c.sizes[strings.TrimPrefix(o.Key, c.prefix+"/")] = o.Size
	}
	return c.report, c.run()
}

type checker struct {
	ctx    context.Context
	bucket objectstore.Bucket
	prefix string
	sizes  map[string]int64 // of what there is
	report Report

	playlists []checkedPlaylist
	rates     map[string]int64         // of the sound, by the key of the initialisation section
	ends      map[string]time.Duration // where the media ends, by the key of the segment; negative: it cannot be told
}

// checkedPlaylist is the media playlist of a rendition.
type checkedPlaylist struct {
	key   string
	lines []string
	ended bool
}

// endTolerance is how far the end of a segment's media may be from what the playlist says. Of several renditions all end
// where the longest does, and after a crash the others may lack what lags takes for too much.
const (
	endTolerance = 500 * time.Millisecond
	mostMissing  = time.Second * mostLag / ClockRate
)

func (c *checker) problem(format string, args ...any) {
	c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
}

func (c *checker) read(key string) ([]byte, error) {
	body, _, err := c.bucket.Open(c.ctx, c.prefix+"/"+key, objectstore.Range{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, maxPlaylist))
}

func (c *checker) run() error {
	if _, ok := c.sizes[startedKey]; !ok {
		c.problem("%s is missing", startedKey)
	}
	c.report.Closed = c.sizes[endedKey] > 0 || c.sizes[failedKey] > 0
	if !c.report.Closed {
		c.problem("the metadata of the end are missing")
	}
	multivariant := "media/hls/multivariant.m3u8"
	if _, ok := c.sizes[multivariant]; !ok {
		multivariant = "media/hls/master.m3u8"
	}
	data, err := c.read(multivariant)
	if errors.Is(err, objectstore.ErrNotFound) {
		return c.without()
	}
	if err != nil {
		return err
	}
	c.rates, c.ends = map[string]int64{}, map[string]time.Duration{}
	missing := time.Duration(0)
	if bytes.Count(data, []byte("#EXT-X-STREAM-INF")) > 1 {
		missing = mostMissing
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := c.rendition(path.Join("media/hls", line), missing); err != nil {
			return err
		}
	}
	c.report.Renditions = len(c.playlists)
	c.report.Ended = !slices.ContainsFunc(c.playlists, func(p checkedPlaylist) bool { return !p.ended })
	for key := range c.sizes {
		_, isInit := c.rates[key]
		_, isSegment := c.ends[key]
		if strings.HasPrefix(key, "media/hls/") && strings.HasSuffix(key, ".mp4") && !isInit && !isSegment {
			c.report.Loose = append(c.report.Loose, key)
		}
	}
	slices.Sort(c.report.Loose)
	return nil
}

// without looks whether there ought to be media: there are recordings of thumbnails alone, and such for which nothing came.
func (c *checker) without() error {
	for _, key := range []string{endedKey, failedKey, startedKey} {
		data, err := c.read(key)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var m metadata
		if json.Unmarshal(data, &m) == nil && (m.Media.HLS == nil || m.Media.HLS.DurationMS != nil && *m.Media.HLS.DurationMS == 0) {
			return nil
		}
		break
	}
	c.problem("there is no multivariant playlist")
	return nil
}

// rendition follows a media playlist, whose segments may lack some of their media.
func (c *checker) rendition(key string, missing time.Duration) error {
	data, err := c.read(key)
	if errors.Is(err, objectstore.ErrNotFound) {
		c.problem("there is no %s", key)
		return nil
	}
	if err != nil {
		return err
	}
	p := checkedPlaylist{key: key, lines: strings.Split(strings.TrimSpace(string(data)), "\n")}
	named := map[string]bool{}
	var init string
	var said, from time.Duration
	for _, line := range p.lines {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); {
		case name == "#EXT-X-MAP":
			_, init, _ = strings.Cut(value, `URI="`)
			init, _, _ = strings.Cut(init, `"`)
			init = path.Join(path.Dir(key), init)
			err = c.init(init)
		case name == "#EXTINF":
			seconds, err := strconv.ParseFloat(strings.TrimSuffix(value, ","), 64)
			if err != nil || !(seconds > 0 && seconds < 3600) {
				c.problem("a segment's length is %q", value)
			}
			said = time.Duration(seconds * float64(time.Second))
		case name == "#EXT-X-ENDLIST":
			p.ended = true
		case line != "" && line[0] != '#':
			segment := path.Join(path.Dir(key), line)
			if named[segment] {
				c.problem("%s is named twice", segment)
			}
			named[segment] = true
			err = c.segment(segment, c.rates[init])
			// Media time goes on over all segments, so that where one ends tells its length.
			from += said
			if off := c.ends[segment] - from; c.ends[segment] >= 0 && (off > endTolerance || off < -missing-endTolerance) {
				c.problem("%s ends %.3f s from where the playlist has it", segment, off.Seconds())
			}
		}
		if err != nil {
			return err
		}
	}
	if !p.ended {
		c.problem("%s has no end", key)
	}
	c.report.Duration = max(c.report.Duration, from)
	c.playlists = append(c.playlists, p)
	return nil
}

func (c *checker) init(key string) error {
	if _, known := c.rates[key]; known {
		return nil
	}
	c.rates[key] = 0
	data, err := c.read(key)
	if errors.Is(err, objectstore.ErrNotFound) {
		c.problem("%s is missing", key)
		return nil
	}
	if err != nil {
		return err
	}
	var i fmp4.Init
	if err := i.Unmarshal(bytes.NewReader(data)); err != nil {
		c.problem("%s cannot be read: %v", key, err)
	}
	for _, track := range i.Tracks {
		if track.ID == audioTrackID {
			c.rates[key] = int64(track.TimeScale)
		}
	}
	return nil
}

// segment reads a segment, once.
func (c *checker) segment(key string, audioRate int64) error {
	if _, known := c.ends[key]; known {
		return nil
	}
	c.ends[key] = -1
	body, o, err := c.bucket.Open(c.ctx, c.prefix+"/"+key, objectstore.Range{})
	if errors.Is(err, objectstore.ErrNotFound) {
		c.problem("%s is missing", key)
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	c.report.Segments++
	c.report.Bytes += o.Size
	size, end, err := wholeParts(body, audioRate)
	if err != nil {
		return err
	}
	if size != o.Size {
		c.problem("%s: %d of its %d bytes are whole", key, size, o.Size)
	}
	c.ends[key] = span(end)
	return nil
}

// Repair closes a recording that nobody will go on with: its playlist gets an end and it gets the metadata of one. What
// is in the store already stays. Only for a prefix whose spool is lost.
func Repair(ctx context.Context, b objectstore.Bucket, prefix string) error {
	c := checker{ctx: ctx, bucket: b, prefix: strings.Trim(prefix, "/"), sizes: map[string]int64{}}
	for o, err := range b.List(ctx, c.prefix+"/") {
		if err != nil {
			return err
		}
		c.sizes[strings.TrimPrefix(o.Key, c.prefix+"/")] = o.Size
	}
	if err := c.run(); err != nil {
		return err
	}
	put := func(key string, data []byte) error {
		return b.Put(ctx, c.prefix+"/"+key, bytes.NewReader(data))
	}
	for _, p := range c.playlists {
		if p.ended {
			continue
		}
		text := strings.Replace(strings.Join(p.lines, "\n"), "#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-PLAYLIST-TYPE:VOD", 1) + "\n#EXT-X-ENDLIST\n"
		if err := put(p.key, []byte(text)); err != nil {
			return err
		}
	}
	if c.report.Closed {
		return nil
	}
	data, err := c.read(startedKey)
	if err != nil {
		return fmt.Errorf("without %s nothing is known of the recording: %w", startedKey, err)
	}
	var m metadata
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read %s: %w", startedKey, err)
	}
	m.Status, m.EndedAt, m.Message = statusEnded, wallClock(time.Now()), "closed by footlight recording fsck"
	if m.Media.HLS != nil {
		ms := c.report.Duration.Milliseconds()
		m.Media.HLS.DurationMS = &ms
	}
	if data, err = json.Marshal(m); err != nil {
		return err
	}
	return put(endedKey, data)
}
