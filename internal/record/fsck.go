package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"github.com/footlight-live/footlight/internal/objectstore"
)

// Report is what Check finds in a prefix.
type Report struct {
	Segments int
	Bytes    int64         // of the segments
	Duration time.Duration // that the playlist says
	Ended    bool          // the playlist has its end
	Closed   bool          // the metadata of the end are there
	Problems []string      // what is wrong
	Loose    []string      // media that no playlist names: what came last before a crash of the machine with the spool
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

	folder string // of the media
	lines  []string
	rates  map[string]int64 // of the sound, by initialisation section
	named  map[string]bool
}

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
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			c.folder = path.Join("media/hls", path.Dir(line))
		}
	}
	if data, err = c.read(c.folder + "/playlist.m3u8"); errors.Is(err, objectstore.ErrNotFound) {
		c.problem("there is no %s/playlist.m3u8", c.folder)
		return nil
	} else if err != nil {
		return err
	}
	c.lines = strings.Split(strings.TrimSpace(string(data)), "\n")
	return c.media()
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

// media follows the media playlist.
func (c *checker) media() error {
	c.rates, c.named = map[string]int64{}, map[string]bool{}
	var init string
	var said time.Duration
	for _, line := range c.lines {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); {
		case name == "#EXT-X-MAP":
			_, init, _ = strings.Cut(value, `URI="`)
			init, _, _ = strings.Cut(init, `"`)
			if err := c.init(init); err != nil {
				return err
			}
		case name == "#EXTINF":
			seconds, err := strconv.ParseFloat(strings.TrimSuffix(value, ","), 64)
			if err != nil || !(seconds > 0 && seconds < 3600) {
				c.problem("a segment's length is %q", value)
			}
			said = time.Duration(seconds * float64(time.Second))
		case name == "#EXT-X-ENDLIST":
			c.report.Ended = true
		case line != "" && line[0] != '#':
			if err := c.segment(line, c.rates[init], said); err != nil {
				return err
			}
		}
	}
	if !c.report.Ended {
		c.problem("the playlist has no end")
	}
	for key := range c.sizes {
		if name, ok := strings.CutPrefix(key, c.folder+"/"); ok && strings.HasSuffix(name, ".mp4") && !c.named[name] {
			c.report.Loose = append(c.report.Loose, key)
		}
	}
	return nil
}

func (c *checker) init(name string) error {
	if c.named[name] {
		return nil
	}
	c.named[name] = true
	data, err := c.read(c.folder + "/" + name)
	if errors.Is(err, objectstore.ErrNotFound) {
		c.problem("%s is missing", name)
		return nil
	}
	if err != nil {
		return err
	}
	var i fmp4.Init
	if err := i.Unmarshal(bytes.NewReader(data)); err != nil {
		c.problem("%s cannot be read: %v", name, err)
	}
	for _, track := range i.Tracks {
		if track.ID == audioTrackID {
			c.rates[name] = int64(track.TimeScale)
		}
	}
	return nil
}

func (c *checker) segment(name string, audioRate int64, said time.Duration) error {
	if c.named[name] {
		c.problem("%s is named twice", name)
	}
	c.named[name] = true
	body, o, err := c.bucket.Open(c.ctx, c.prefix+"/"+c.folder+"/"+name, objectstore.Range{})
	if errors.Is(err, objectstore.ErrNotFound) {
		c.problem("%s is missing", name)
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	from := c.report.Duration
	c.report.Segments++
	c.report.Bytes += o.Size
	c.report.Duration += said
	size, end, err := wholeParts(body, audioRate)
	if err != nil {
		return err
	}
	if size != o.Size {
		c.problem("%s: %d of its %d bytes are whole", name, size, o.Size)
	}
	// Media time goes on over all segments, so that where one ends tells its length.
	if off := time.Duration(end)*100000/9 - from - said; math.Abs(off.Seconds()) > 0.5 {
		c.problem("%s ends %.3f s from where the playlist has it", name, off.Seconds())
	}
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
	if len(c.lines) > 0 && !c.report.Ended {
		text := strings.Replace(strings.Join(c.lines, "\n"), "#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-PLAYLIST-TYPE:VOD", 1) + "\n#EXT-X-ENDLIST\n"
		if err := put(c.folder+"/playlist.m3u8", []byte(text)); err != nil {
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
