// Package preview draws what a composition would look like, without stage, clock or encoder: a request in JSON in,
// a PNG out. Layout, scene and drawing are those of a running composition; participants are imagined, and each has
// a still picture that tells it from the others.
package preview

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"strconv"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
	"github.com/footlight-live/footlight/internal/composer/video"
)

// The bounds of a request. Sides and area are those of an EncoderConfiguration, participants those of a stage.
const (
	maxRequest      = 24 << 20 // bytes
	maxSide         = 1920     // pixels
	maxArea         = 1920 * 1080
	maxParticipants = 12
)

// Request says what to draw.
type Request struct {
	Layout       json.RawMessage   `json:"layout,omitzero"` // LayoutConfiguration of the IVS Real-Time API
	Scene        json.RawMessage   `json:"scene,omitzero"`  // a document of package scene
	Images       map[string][]byte `json:"images,omitzero"` // PNG or JPEG, by the names that the scene uses
	Width        int               `json:"width,omitzero"`  // of the canvas in pixels, even; 0: 1280
	Height       int               `json:"height,omitzero"` // 0: 720
	Participants []Participant     `json:"participants,omitzero"`
	Count        int               `json:"count,omitzero"` // of participants to imagine, where none are given
}

// Participant is somebody on the imagined stage, in order of arrival.
type Participant struct {
	ID          string            `json:"id,omitzero"`
	UserID      string            `json:"userId,omitzero"`
	Attributes  map[string]string `json:"attributes,omitzero"`
	VideoWidth  int               `json:"videoWidth,omitzero"`  // pixels; 0: 1280
	VideoHeight int               `json:"videoHeight,omitzero"` // 0: 720
	Video       *bool             `json:"video,omitzero"`       // nil: true
	Speaking    bool              `json:"speaking,omitzero"`
}

// Run reads a request and writes its picture.
func Run(r io.Reader, w io.Writer) error {
	data, err := io.ReadAll(io.LimitReader(r, maxRequest+1))
	if err != nil {
		return fmt.Errorf("read preview: %w", err)
	}
	if len(data) > maxRequest {
		return fmt.Errorf("the request has more than %d bytes", maxRequest)
	}
	req, err := parse(data)
	if err != nil {
		return err
	}
	img, err := req.draw()
	if err != nil {
		return err
	}
	if err := png.Encode(w, img); err != nil {
		return fmt.Errorf("write preview: %w", err)
	}
	return nil
}

// parse reads a request and fills in what it leaves out.
func parse(data []byte) (*Request, error) {
	var req Request
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, fmt.Errorf("the request is not as it should be: %w", err)
	}
	req.Width, req.Height = cmp.Or(req.Width, 1280), cmp.Or(req.Height, 720)
	switch w, h := req.Width, req.Height; {
	case w < 2 || h < 2 || w > maxSide || h > maxSide || w%2 != 0 || h%2 != 0 || w*h > maxArea:
		return nil, fmt.Errorf("a canvas of %dx%d: both sides must be even, from 2 to %d, and together no more than %d pixels", w, h, maxSide, maxArea)
	case len(req.Participants) > 0 && req.Count != 0:
		return nil, errors.New("either participants or count, not both")
	case max(len(req.Participants), req.Count) > maxParticipants || req.Count < 0:
		return nil, fmt.Errorf("%d participants: a stage has from 0 to %d", max(len(req.Participants), req.Count), maxParticipants)
	}
	for i := range req.Count {
		req.Participants = append(req.Participants, Participant{UserID: names[i]})
	}
	taken := map[string]bool{}
	for i := range req.Participants {
		p := &req.Participants[i]
		p.ID = cmp.Or(p.ID, "participant"+strconv.Itoa(i+1))
		p.VideoWidth, p.VideoHeight = cmp.Or(p.VideoWidth, 1280), cmp.Or(p.VideoHeight, 720)
		if min(p.VideoWidth, p.VideoHeight) < 2 || max(p.VideoWidth, p.VideoHeight) > av.MaxSide {
			return nil, fmt.Errorf("participant %q sends %dx%d: both sides must be from 2 to %d", p.ID, p.VideoWidth, p.VideoHeight, av.MaxSide)
		}
		if taken[p.ID] {
			return nil, fmt.Errorf("two participants have the id %q", p.ID)
		}
		taken[p.ID] = true
	}
	return &req, nil
}

// names of imagined participants.
var names = [maxParticipants]string{"Ada", "Bruno", "Chloé", "Дмитрий", "Elif", "佐藤", "Gita", "하늘", "Ines", "Jakub", "Katya", "Liam"}

func (req *Request) draw() (image.Image, error) {
	own, err := layout.ParseConfig(req.Layout)
	if err != nil {
		return nil, err
	}
	sc, err := scene.Parse(req.Scene)
	if err != nil {
		return nil, err
	}
	images, err := sc.DecodeImages(req.Images)
	if err != nil {
		return nil, err
	}
	size := video.Config{Width: req.Width, Height: req.Height}
	look, err := video.NewLook(size, sc, images)
	if err != nil {
		return nil, err
	}
	mixer, err := video.New(size)
	if err != nil {
		return nil, err
	}
	defer mixer.Close()
	mixer.SetLook(look)

	ps := make([]layout.Participant, len(req.Participants))
	index := map[string]int{}
	for i, p := range req.Participants {
		index[p.ID] = i
		ps[i] = layout.Participant{ID: p.ID, UserID: p.UserID, Attributes: p.Attributes, Joined: int64(i),
			HasVideo: p.Video == nil || *p.Video, VideoWidth: p.VideoWidth, VideoHeight: p.VideoHeight}
	}
	var tiles []video.Tile
	for _, placed := range layout.Compute(sc.LayoutOver(own), layout.Size{W: req.Width, H: req.Height}, ps) {
		i := index[placed.ParticipantID]
		p := &ps[i]
		t := video.Tile{Rect: placed.Rect, Fill: placed.Fill, CornerRadius: placed.CornerRadius,
			Label: scene.DisplayName(p), Name: sc.PlateName(p), Speaking: req.Participants[i].Speaking}
		if p.ShowsVideo() {
			if t.Picture, err = still(p, i); err != nil {
				return nil, err
			}
			defer t.Picture.Release()
		}
		tiles = append(tiles, t)
	}
	return rgb(mixer.Compose(tiles)), nil
}

// rgb converts a canvas as players do: BT.709, limited range.
func rgb(c *av.Canvas) *image.RGBA {
	img := image.NewRGBA(c.Bounds())
	var plane [3][]byte
	var stride [3]int
	for i := range plane {
		plane[i], stride[i] = c.Plane(i)
	}
	clamp := func(v int) uint8 { return uint8(max(0, min(255, (v+1<<15)>>16))) }
	for y := range c.Height {
		for x := range c.Width {
			// ITU-R BT.709-6, in 1/65536.
			l := 76309 * (int(plane[0][y*stride[0]+x]) - 16)
			u, v := int(plane[1][y/2*stride[1]+x/2])-128, int(plane[2][y/2*stride[2]+x/2])-128
			p := img.Pix[y*img.Stride+4*x:][:4:4]
			p[0], p[1], p[2], p[3] = clamp(l+117489*v), clamp(l-13975*u-34925*v), clamp(l+138438*u), 255
		}
	}
	return img
}
