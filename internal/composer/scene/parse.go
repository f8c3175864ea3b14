package scene

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"image/color"
	"maps"
	"slices"

	"github.com/footlight-live/footlight/internal/composer/layout"
)

// The bounds of a document. They keep drawing cheap and every number far from overflow.
const (
	maxDocument = 256 << 10 // bytes
	maxSide     = 7680
	maxRegions  = 32
	maxOverlays = 16
	maxHide     = 16
	maxZ        = 1000
	maxText     = 128 // characters, of texts, ids and names
	maxRadius   = 512
	maxBorder   = 64
)

// Parse reads a scene document. Nothing, null and {} are the zero Scene. It refuses members that it does not
// know, and members that are there twice.
func Parse(data []byte) (Scene, error) {
	if text := bytes.TrimSpace(data); len(text) == 0 || string(text) == "null" {
		return Scene{}, nil
	}
	if len(data) > maxDocument {
		return Scene{}, fmt.Errorf("%w: the document has %d bytes, more than %d", ErrInvalid, len(data), maxDocument)
	}
	if !json.Valid(data) {
		var v any
		return Scene{}, fmt.Errorf("%w: %w", ErrInvalid, json.Unmarshal(data, &v))
	}
	var r reader
	s := r.scene(data)
	if r.err != nil {
		return Scene{}, fmt.Errorf("%w: %w", ErrInvalid, r.err)
	}
	return s, nil
}

func (r *reader) scene(data json.RawMessage) Scene {
	var s Scene
	var look json.RawMessage
	r.object("", data, members{
		"width":  r.number(&s.Reference.W, 16, maxSide),
		"height": r.number(&s.Reference.H, 16, maxSide),
		"layout": func(_ string, v json.RawMessage) { look = v },
		"hide":   r.list(maxHide, func(path string, v json.RawMessage) { s.Hide = append(s.Hide, r.hidden(path, v)) }),
		"tiles": r.nested(members{"cornerRadius": r.number(&s.CornerRadius, 0, maxRadius),
			"margin": r.number(&s.Margin, 0, maxRadius), "color": r.color(&s.TileColor)}),
		"background":    r.nested(members{"color": r.color(&s.Background.Color), "image": r.name(&s.Background.Image)}),
		"placeholder":   r.nested(members{"color": r.color(&s.Placeholder.Color), "image": r.name(&s.Placeholder.Image)}),
		"overlays":      r.list(maxOverlays, func(path string, v json.RawMessage) { r.overlay(path, v, &s) }),
		"namePlates":    func(path string, v json.RawMessage) { s.NamePlates = r.namePlates(path, v) },
		"activeSpeaker": func(path string, v json.RawMessage) { s.ActiveSpeaker = r.activeSpeaker(path, v) },
	})
	if look != nil { // after width and height, which custom regions start from
		s.Layout = r.layout("layout", look, &s.Reference)
	}
	s.Reference = layout.Size{W: cmp.Or(s.Reference.W, 1280), H: cmp.Or(s.Reference.H, 720)}
	slices.SortStableFunc(s.Overlays, func(a, b Overlay) int { return cmp.Compare(a.Z, b.Z) })
	s.Images = s.images()
	return s
}

// images lists what is to be fetched.
func (s *Scene) images() []string {
	names := map[string]bool{s.Background.Image: true, s.Placeholder.Image: true}
	for _, o := range s.Overlays {
		names[o.Image] = true
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

func (r *reader) overlay(path string, data json.RawMessage, s *Scene) {
	o := Overlay{Opacity: 1}
	words := Overlay{Size: 32, Color: color.RGBA{255, 255, 255, 255}}
	var hidden bool
	r.object(path, data, members{
		"id":      r.text(&o.ID),
		"image":   r.name(&o.Image),
		"text":    r.text(&o.Text),
		"x":       r.number(&o.X, -maxSide, maxSide),
		"y":       r.number(&o.Y, -maxSide, maxSide),
		"width":   r.number(&o.Width, 1, maxSide),
		"height":  r.number(&o.Height, 1, maxSide),
		"opacity": r.fraction(&o.Opacity),
		"z":       r.number(&o.Z, -maxZ, maxZ),
		"hidden":  r.flag(&hidden),

		"size":       r.number(&words.Size, 8, 400),
		"color":      r.color(&words.Color),
		"background": r.color(&words.Background),
	})
	switch {
	case (o.Image == "") == (o.Text == ""):
		r.fail(path, "needs either image or text")
	case o.Text != "" && o.Height != 0:
		r.fail(path+".height", "is for images: the height of text is its size")
	case o.Text != "":
		o.Size, o.Color, o.Background = words.Size, words.Color, words.Background
	}
	if !hidden && o.Opacity > 0 {
		s.Overlays = append(s.Overlays, o)
	}
}

func (r *reader) namePlates(path string, data json.RawMessage) *NamePlates {
	p := NamePlates{Position: BottomLeft, Size: 20, Color: color.RGBA{255, 255, 255, 255},
		Background: color.RGBA{0, 0, 0, 255}, Opacity: 0.6, MinHeight: 90}
	r.object(path, data, members{
		"attribute":  r.text(&p.Attribute),
		"position":   choice(r, &p.Position, positions),
		"size":       r.number(&p.Size, 8, 200),
		"color":      r.color(&p.Color),
		"background": r.color(&p.Background),
		"opacity":    r.fraction(&p.Opacity),
		"minHeight":  r.number(&p.MinHeight, 0, maxSide),
	})
	return &p
}

func (r *reader) activeSpeaker(path string, data json.RawMessage) *ActiveSpeaker {
	a := ActiveSpeaker{Color: color.RGBA{0x35, 0xc7, 0x59, 255}, Width: 4}
	r.object(path, data, members{"color": r.color(&a.Color), "width": r.number(&a.Width, 1, maxBorder)})
	return &a
}

// layout reads the API's layouts as the API writes them, and custom. ref is the document's own size, which a
// custom layout may set.
func (r *reader) layout(path string, data json.RawMessage, ref *layout.Size) *layout.Config {
	var cfg *layout.Config
	kinds := 0
	api := func(string, json.RawMessage) {
		kinds++
		c, err := layout.ParseConfig(data)
		if err != nil {
			r.fail(path, err.Error())
		}
		cfg = &c
	}
	r.object(path, data, members{
		"grid": api,
		"pip":  api,
		"custom": func(path string, v json.RawMessage) {
			kinds++
			cfg = r.custom(path, v, ref)
		},
	})
	if kinds != 1 {
		r.fail(path, "needs one of grid, pip and custom")
	}
	return cfg
}

func (r *reader) custom(path string, data json.RawMessage, ref *layout.Size) *layout.Config {
	cfg := layout.Config{Kind: layout.Custom}
	var regions json.RawMessage
	r.object(path, data, members{
		"width":                     r.number(&cfg.Reference.W, 16, maxSide),
		"height":                    r.number(&cfg.Reference.H, 16, maxSide),
		"participantOrderAttribute": r.text(&cfg.OrderAttribute),
		"omitStoppedVideo":          r.flag(&cfg.OmitStoppedVideo),
		"videoFillMode":             choice(r, &cfg.Fill, fills),
		"regions":                   func(_ string, v json.RawMessage) { regions = v },
	})
	ref.W, ref.H = cmp.Or(ref.W, cfg.Reference.W), cmp.Or(ref.H, cfg.Reference.H)
	cfg.Reference.W, cfg.Reference.H = cmp.Or(cfg.Reference.W, ref.W, 1280), cmp.Or(cfg.Reference.H, ref.H, 720)
	if regions == nil {
		r.fail(path+".regions", "is missing")
		return &cfg
	}
	ids := map[string]bool{}
	r.list(maxRegions, func(path string, v json.RawMessage) {
		region := r.region(path, v, cfg.Reference)
		region.ID = cmp.Or(region.ID, fmt.Sprint("region", len(cfg.Regions)+1))
		if ids[region.ID] {
			r.fail(path+".id", fmt.Sprintf("%q is taken by another region", region.ID))
		}
		ids[region.ID] = true
		cfg.Regions = append(cfg.Regions, region)
	})(path+".regions", regions)
	return &cfg
}

func (r *reader) region(path string, data json.RawMessage, ref layout.Size) layout.Region {
	var out layout.Region
	r.object(path, data, members{
		"id":           r.text(&out.ID),
		"x":            r.number(&out.Rect.X, 0, maxSide),
		"y":            r.number(&out.Rect.Y, 0, maxSide),
		"width":        r.number(&out.Rect.W, 1, maxSide),
		"height":       r.number(&out.Rect.H, 1, maxSide),
		"z":            r.number(&out.Z, -maxZ, maxZ),
		"fill":         choice(r, &out.Fill, fills),
		"cornerRadius": r.number(&out.CornerRadius, 0, maxRadius),
		"select":       func(path string, v json.RawMessage) { out.Select = r.selector(path, v) },
		"order":        r.text(&out.Order),
		"grid": func(path string, v json.RawMessage) {
			g := layout.RegionGrid{Gap: 2}
			r.object(path, v, members{"gap": r.number(&g.Gap, 0, maxSide), "aspect": choice(r, &g.Aspect, aspects)})
			out.Grid = &g
		},
	})
	switch b := out.Rect; {
	case b.W == 0:
		r.fail(path+".width", "is missing")
	case b.H == 0:
		r.fail(path+".height", "is missing")
	case b.X+b.W > ref.W || b.Y+b.H > ref.H:
		r.fail(path, fmt.Sprintf("reaches (%d, %d), beyond the %dx%d of the document", b.X+b.W, b.Y+b.H, ref.W, ref.H))
	}
	return out
}

func (r *reader) selector(path string, data json.RawMessage) layout.Selector {
	var s layout.Selector
	value := "true" // as the API's attributes for special places
	r.object(path, data, members{
		"participantId": r.text(&s.ParticipantID),
		"userId":        r.text(&s.UserID),
		"attribute":     r.text(&s.Attribute),
		"value":         r.longText(&value, 1024),
		"video":         r.flag(&s.Video),
	})
	if s.Attribute != "" {
		s.Value = value
	} else if value != "true" {
		r.fail(path+".value", "stands without attribute")
	}
	return s
}

// hidden is a selector that may not mean everyone.
func (r *reader) hidden(path string, data json.RawMessage) layout.Selector {
	s := r.selector(path, data)
	if s == (layout.Selector{}) {
		r.fail(path, "would hide everyone: it needs participantId, userId or attribute")
	}
	return s
}

var (
	fills = map[string]layout.FillMode{
		"FILL": layout.Fill, "COVER": layout.Cover, "CONTAIN": layout.Contain}
	aspects = map[string]layout.Aspect{
		"VIDEO": layout.Video, "AUTO": layout.Auto, "SQUARE": layout.Square, "PORTRAIT": layout.Portrait}
	positions = map[string]Position{"TOP_LEFT": TopLeft, "TOP": Top, "TOP_RIGHT": TopRight,
		"BOTTOM_LEFT": BottomLeft, "BOTTOM": Bottom, "BOTTOM_RIGHT": BottomRight}
)
