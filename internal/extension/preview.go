package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
)

const (
	previewsAtOnce  = 2
	previewTime     = 10 * time.Second // for one, the wait for its turn included
	previewLimit    = 16 << 20         // bytes of a PNG; 1920x1080 of noise has 6 MB
	maxParticipants = 12
	maxSide         = 1920 // pixels
	maxArea         = 1920 * 1080
)

// Preview asks for a picture of a composition that does not exist.
type Preview struct {
	Layout json.RawMessage `json:"layout,omitzero"` // LayoutConfiguration of the IVS Real-Time API; default its own
	Scene  json.RawMessage `json:"scene,omitzero"`  // a scene, or {"name": "…"}
	Width  int             `json:"width,omitzero"`  // pixels, even; default 1280
	Height int             `json:"height,omitzero"` // pixels, even; default 720
	// Who is on stage: participants, or a number of imagined ones.
	Participants []PreviewParticipant `json:"participants,omitzero"`
	Count        int                  `json:"count,omitzero"`
}

// PreviewParticipant is somebody imagined.
type PreviewParticipant struct {
	ID          string            `json:"id,omitzero"`
	UserID      string            `json:"userId,omitzero"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	VideoWidth  int               `json:"videoWidth,omitzero"`  // pixels
	VideoHeight int               `json:"videoHeight,omitzero"` // pixels
	Video       *bool             `json:"video,omitempty"`      // default true
	Speaking    bool              `json:"speaking,omitzero"`
}

// previewJob is what the composer program's preview reads.
type previewJob struct {
	Preview
	Images map[string][]byte `json:"images,omitempty"`
}

func (p *Preview) check() error {
	if _, err := layout.ParseConfig(p.Layout); err != nil {
		return api.ValidationException("%v", err)
	}
	if p.Width == 0 {
		p.Width = 1280
	}
	if p.Height == 0 {
		p.Height = 720
	}
	switch {
	case p.Width < 2 || p.Height < 2 || p.Width%2 != 0 || p.Height%2 != 0 || p.Width > maxSide || p.Height > maxSide || p.Width*p.Height > maxArea:
		return api.ValidationException("width and height must be even, 2 to %d, and %d pixels together at most, not %dx%d", maxSide, maxArea, p.Width, p.Height)
	case p.Count < 0 || p.Count > maxParticipants || len(p.Participants) > maxParticipants:
		return api.ValidationException("a composition has 0 to %d participants", maxParticipants)
	case p.Count > 0 && len(p.Participants) > 0:
		return api.ValidationException("both participants and count are given; only one can be")
	}
	for i, w := range p.Participants {
		if w.VideoWidth < 0 || w.VideoHeight < 0 || w.VideoWidth > maxSide || w.VideoHeight > maxSide {
			return api.ValidationException("participants[%d]: a video has 0 to %d pixels a side", i, maxSide)
		}
	}
	return nil
}

func (h *Handler) preview(r *http.Request, body []byte) (answer, error) {
	var p Preview
	if err := decode(body, &p); err != nil {
		return answer{}, err
	}
	if err := p.check(); err != nil {
		return answer{}, err
	}
	job := previewJob{Preview: p}
	if len(p.Scene) > 0 {
		err := h.Control.UseScene(r.Context(), p.Scene, func(document json.RawMessage) error {
			s, err := scene.Parse(document)
			if err != nil {
				return err
			}
			job.Scene = document
			job.Images, err = h.Control.ImageData(r.Context(), s.Images)
			return err
		})
		if err != nil {
			return answer{}, err
		}
	}
	picture, err := h.draw(r.Context(), job)
	return answer{data: picture, contentType: "image/png"}, err
}

// draw runs the composer program, which draws as compositions do.
func (h *Handler) draw(ctx context.Context, job previewJob) ([]byte, error) {
	input, err := json.Marshal(job)
	if err != nil {
		return nil, fmt.Errorf("encode preview: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	select {
	case h.drawing <- struct{}{}:
		defer func() { <-h.drawing }()
	case <-ctx.Done():
		return nil, &api.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "Other previews are being drawn: try again"}
	}
	cmd := exec.CommandContext(ctx, h.Composer, "preview")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	out, words := bounded{max: previewLimit}, bounded{max: 4 << 10}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &words
	err = cmd.Run()
	said := strings.TrimSpace(words.kept.String())
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case ctx.Err() != nil:
		return nil, &api.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "The preview took too long: try again"}
	case ok && exit.ExitCode() == 1 && said != "":
		return nil, api.ValidationException("%s", said)
	case err != nil:
		return nil, fmt.Errorf("draw preview with %s: %w: %s", h.Composer, err, said)
	case out.over:
		return nil, fmt.Errorf("draw preview with %s: more than %d bytes", h.Composer, previewLimit)
	}
	return out.kept.Bytes(), nil
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
