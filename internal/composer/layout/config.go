package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind is the layout chosen.
type Kind int

// The kinds.
const (
	Grid Kind = iota
	PIP
	Custom // regions; not of the IVS API
)

// Aspect is the shape of tiles that are not featured.
type Aspect int

// The aspects. Auto takes the whole cell of the grid that 16:9 tiles would have.
const (
	Video    Aspect = iota // 16:9
	Auto                   // whatever covers most of the canvas
	Square                 // 1:1
	Portrait               // 3:4
)

func (a Aspect) ratio() float64 {
	switch a {
	case Square:
		return 1
	case Portrait:
		return 3.0 / 4
	default:
		return 16.0 / 9
	}
}

// Behavior says what the window does when nobody else is left.
type Behavior int

// The behaviors.
const (
	Static  Behavior = iota // keeps its place and size
	Dynamic                 // grows to the whole canvas
)

// Position is the window's corner.
type Position int

// The positions.
const (
	BottomRight Position = iota
	BottomLeft
	TopRight
	TopLeft
)

// Config is LayoutConfiguration of the IVS Real-Time API, and what Footlight has beyond it. The zero value is
// GRID without a gap; Default is what the API defaults to.
type Config struct {
	Kind              Kind
	FeaturedAttribute string   // who has "true" in it takes the main screen; "": nobody
	OrderAttribute    string   // holds an integer to sort by; "": order of arrival
	OmitStoppedVideo  bool     // those without picture take no tile
	Fill              FillMode // Unset: Cover, and Contain for the featured tile of GRID
	Gap               int      // pixels between tiles

	Aspect Aspect // GRID

	PIPAttribute string // who has "true" in it goes to the window; "": no window
	PIPBehavior  Behavior
	PIPOffset    int // pixels from both edges of the corner
	PIPPosition  Position
	PIPWidth     int // pixels; 0: by the participant's video
	PIPHeight    int // pixels; 0: by the participant's video

	Regions []Region // Custom

	Hide         []Selector // who takes no tile
	CornerRadius int        // of the tiles of GRID and PIP, in units of Reference
	Margin       int        // around GRID and PIP, in units of Reference
	Reference    Size       // in whose pixels regions, radius and margin are given; a side of 0: that of 1280x720
}

// Default is the layout of a composition that names none: GRID with a gap of two pixels.
func Default() Config { return Config{Gap: 2} }

type configJSON struct {
	Grid *gridJSON `json:"grid"`
	PIP  *pipJSON  `json:"pip"`
}

type commonJSON struct {
	FeaturedParticipantAttribute string `json:"featuredParticipantAttribute"`
	ParticipantOrderAttribute    string `json:"participantOrderAttribute"`
	OmitStoppedVideo             bool   `json:"omitStoppedVideo"`
	VideoFillMode                string `json:"videoFillMode"`
	GridGap                      *int   `json:"gridGap"`
}

type gridJSON struct {
	commonJSON
	VideoAspectRatio string `json:"videoAspectRatio"`
}

type pipJSON struct {
	commonJSON
	PIPParticipantAttribute string `json:"pipParticipantAttribute"`
	PIPBehavior             string `json:"pipBehavior"`
	PIPOffset               int    `json:"pipOffset"`
	PIPPosition             string `json:"pipPosition"`
	PIPWidth                *int   `json:"pipWidth"`
	PIPHeight               *int   `json:"pipHeight"`
}

// ParseConfig reads LayoutConfiguration as JSON. Nothing, null and {} are the default; absent members have
// the API's defaults, and so do empty strings, which the API's own answers contain. Members that the API does
// not have are refused. An error names the member.
func ParseConfig(data []byte) (Config, error) {
	cfg := Default()
	if len(data) == 0 {
		return cfg, nil
	}
	var in configJSON
	reader := json.NewDecoder(bytes.NewReader(data))
	reader.DisallowUnknownFields()
	err := reader.Decode(&in)
	if _, more := reader.Token(); err == nil && more != io.EOF {
		err = errors.New("more than one JSON value")
	}
	if name, ok := unknownMember(err); ok {
		err = fmt.Errorf("no member is called %s", name)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		err = fmt.Errorf("%s cannot be a %s", wrong.Field[strings.LastIndex(wrong.Field, ".")+1:], wrong.Value)
	}
	if err != nil {
		return Config{}, fmt.Errorf("parse layout: %w", err)
	}
	switch {
	case in.Grid != nil && in.PIP != nil:
		err = fmt.Errorf("both grid and pip")
	case in.PIP != nil:
		err = cfg.setPIP(in.PIP)
	case in.Grid != nil:
		err = cfg.setGrid(in.Grid)
	}
	if err != nil {
		return Config{}, fmt.Errorf("parse layout: %w", err)
	}
	return cfg, nil
}

// unknownMember takes the member's name, quoted, from the error that package json has for it.
func unknownMember(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	return strings.CutPrefix(err.Error(), "json: unknown field ")
}

var (
	fillModes = map[string]FillMode{"": Unset, "FILL": Fill, "COVER": Cover, "CONTAIN": Contain}
	aspects   = map[string]Aspect{"": Video, "VIDEO": Video, "AUTO": Auto, "SQUARE": Square, "PORTRAIT": Portrait}
	behaviors = map[string]Behavior{"": Static, "STATIC": Static, "DYNAMIC": Dynamic}
	positions = map[string]Position{
		"": BottomRight, "BOTTOM_RIGHT": BottomRight, "BOTTOM_LEFT": BottomLeft, "TOP_RIGHT": TopRight, "TOP_LEFT": TopLeft,
	}
)

func (c *Config) setCommon(in *commonJSON) error {
	c.FeaturedAttribute = in.FeaturedParticipantAttribute
	c.OrderAttribute = in.ParticipantOrderAttribute
	c.OmitStoppedVideo = in.OmitStoppedVideo
	if in.GridGap != nil {
		if *in.GridGap < 0 {
			return fmt.Errorf("gridGap %d is negative", *in.GridGap)
		}
		c.Gap = *in.GridGap
	}
	return choose(&c.Fill, fillModes, "videoFillMode", in.VideoFillMode)
}

func (c *Config) setGrid(in *gridJSON) error {
	if err := c.setCommon(&in.commonJSON); err != nil {
		return err
	}
	return choose(&c.Aspect, aspects, "videoAspectRatio", in.VideoAspectRatio)
}

func (c *Config) setPIP(in *pipJSON) error {
	c.Kind = PIP
	c.Gap = 0
	c.Fill = Cover
	c.PIPAttribute = in.PIPParticipantAttribute
	if in.PIPOffset < 0 {
		return fmt.Errorf("pipOffset %d is negative", in.PIPOffset)
	}
	c.PIPOffset = in.PIPOffset
	for _, side := range []struct {
		name string
		from *int
		to   *int
	}{{"pipWidth", in.PIPWidth, &c.PIPWidth}, {"pipHeight", in.PIPHeight, &c.PIPHeight}} {
		if side.from == nil {
			continue
		}
		if *side.from < 1 {
			return fmt.Errorf("%s %d is below 1", side.name, *side.from)
		}
		*side.to = *side.from
	}
	if err := choose(&c.PIPBehavior, behaviors, "pipBehavior", in.PIPBehavior); err != nil {
		return err
	}
	if err := choose(&c.PIPPosition, positions, "pipPosition", in.PIPPosition); err != nil {
		return err
	}
	if err := c.setCommon(&in.commonJSON); err != nil {
		return err
	}
	if c.Fill == Unset {
		c.Fill = Cover
	}
	return nil
}

// choose looks an enumeration's word up.
func choose[T any](to *T, words map[string]T, name, word string) error {
	v, ok := words[word]
	if !ok {
		return fmt.Errorf("%s %q is none of its values", name, word)
	}
	*to = v
	return nil
}
