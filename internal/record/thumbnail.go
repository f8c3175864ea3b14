package record

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

const (
	thumbnailsAtOnce = 2 // of all recordings
	thumbnailTime    = 20 * time.Second
	thumbnailLimit   = 8 << 20 // bytes
)

// thumbnail is a JPEG picture; without data it could not be made.
type thumbnail struct {
	data []byte
	Tracks
}

// wantThumbnail begins to draw a key frame of a picture when a thumbnail is due.
func (r *Recording) wantThumbnail(ctx context.Context, p *picture, f VideoFrame) {
	t := r.spec.Thumbnails
	if !t.wanted() || r.drawing || r.recorder.Thumbnail == nil || !p.tracks.video() {
		return
	}
	at := r.mediaTime(f)
	if at < r.nextThumb {
		return
	}
	every := ticks(t.Interval)
	r.nextThumb = (at/every + 1) * every
	if r.recorder.budget.pressure() != Roomy {
		return // media comes first
	}
	picture, err := h264.AnnexB(append([][]byte{p.tracks.SPS, p.tracks.PPS}, f.NALUs...)).Marshal()
	if err != nil {
		return
	}
	r.drawing = true
	made := thumbMsg{thumbnail{Tracks: p.tracks}}
	r.recorder.running.Go(func() {
		select {
		case r.recorder.drawing <- struct{}{}:
			defer func() { <-r.recorder.drawing }()
		case <-ctx.Done():
			return
		}
		if made.thumb.data, err = r.recorder.Thumbnail(ctx, picture, t.Height); err != nil && ctx.Err() == nil {
			r.log.Warn("a thumbnail could not be made", "error", err)
		}
		select {
		case r.inbox <- message{what: made}:
		case <-r.over:
		case <-ctx.Done():
		}
	})
}

// mediaTime is the time of a frame in the recording. Where no media is recorded it is the time since this process took the
// recording up, which does not jump as wall clocks do.
func (r *Recording) mediaTime(f VideoFrame) int64 {
	switch {
	case r.spec.Media == AudioVideo && r.grid.lead != nil:
		return f.DTS + r.grid.origin
	case r.spec.Media == AudioVideo:
		return r.grid.end
	}
	return ticks(time.Since(r.begun))
}

// keepThumbnail puts a picture into the spool.
func (r *Recording) keepThumbnail(t thumbnail) {
	if len(t.data) == 0 {
		return
	}
	width, height := t.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.width == 0 {
		r.width, r.height = width, height
	}
	width, height = fitHeight(width, height, r.spec.Thumbnails.Height)
	var err error
	if r.spec.Thumbnails.Sequential {
		e := thumbEntry{Number: len(r.history.thumbs) + 1, Width: width, Height: height}
		if err = r.spool.put(thumbName(e.Number), t.data); err == nil {
			err = r.note(entry{Thumb: &e})
		}
	}
	if r.spec.Thumbnails.Latest && err == nil {
		if err = r.spool.put(latestFile, t.data); err == nil {
			r.uploads.latest++
			r.nudge()
		}
	}
	if err != nil {
		r.log.Error("a thumbnail is lost", "error", err)
	}
}

// Draw makes thumbnails with the composer program, so that no C code that reads strangers' media runs in this process.
func Draw(program string) func(ctx context.Context, annexB []byte, maxHeight int) ([]byte, error) {
	return func(ctx context.Context, annexB []byte, maxHeight int) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, thumbnailTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, "thumbnail", strconv.Itoa(maxHeight))
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		cmd.WaitDelay = time.Second
		out, words := bounded{max: thumbnailLimit}, bounded{max: 4 << 10}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(annexB), &out, &words
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("draw thumbnail with %s: %w: %s", program, cmp.Or(ctx.Err(), err), strings.TrimSpace(words.kept.String()))
		}
		if out.over || !bytes.HasPrefix(out.kept.Bytes(), []byte{0xff, 0xd8, 0xff}) {
			return nil, fmt.Errorf("draw thumbnail with %s: %d bytes came that are no JPEG of at most %d", program, out.kept.Len(), thumbnailLimit)
		}
		return out.kept.Bytes(), nil
	}
}

// bounded keeps the first bytes of what a program writes, and lets it write on.
type bounded struct {
	kept bytes.Buffer // not embedded: its ReadFrom would know no bound
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.max-b.kept.Len())
	b.over = b.over || keep < len(p)
	b.kept.Write(p[:keep])
	return len(p), nil
}
