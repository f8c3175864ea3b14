package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/scene"
)

type layoutCommand struct {
	Preview layoutPreviewCommand `cmd:"" help:"Draw a layout with imagined participants, as a composition would, to a PNG."`
}

type layoutPreviewCommand struct {
	Layout       string            `help:"Layout as StartComposition takes it: a file, or JSON such as '{\"pip\":{\"pipParticipantAttribute\":\"camera\"}}'. Default: GRID with the defaults of the API." placeholder:"FILE|JSON"`
	Scene        string            `help:"Scene: custom layout, background, overlays, name plates, active speaker. A file or JSON; docs/layouts.md says what it can hold." placeholder:"FILE|JSON"`
	Image        map[string]string `help:"PNG or JPEG for a name that the scene uses. Repeat it for more." placeholder:"NAME=FILE" mapsep:"none"`
	Participants int               `help:"How many participants to imagine, 0 to 12." default:"4"`
	Participant  []string          `help:"One participant, in place of --participants; repeat it for more, in order of arrival. First the user id, then any of: NAME=VALUE (an attribute), WIDTHxHEIGHT (of the video), no-video, speaking." placeholder:"USER,…" sep:"none"`
	Size         string            `help:"Canvas in pixels, both sides even." default:"1280x720"`
	Out          string            `short:"o" help:"File to write; - is standard output." default:"layout.png"`
	Composer     string            `help:"The composer program. Default: footlight-composer beside this program." type:"path" placeholder:"FILE"`
}

func (*layoutPreviewCommand) Help() string {
	return `Nothing has to run for it. For example:

  footlight layout preview --participants 6
  footlight layout preview --size 720x1280 --layout '{"grid":{"videoAspectRatio":"SQUARE","gridGap":8}}'
  footlight layout preview --layout '{"pip":{"featuredParticipantAttribute":"screen","pipParticipantAttribute":"camera"}}' \
      --participant 'ann,screen=true' --participant 'ann,camera=true,640x480' --participant bob,no-video
  footlight layout preview --scene scene.json --image logo=logo.png --participant ann,role=host,speaking --out host.png`
}

// previewTime is more than any preview takes, even on a busy machine.
const previewTime = 30 * time.Second

// previewRequest is what the composer program reads; see package preview beside package video.
type previewRequest struct {
	Layout       json.RawMessage      `json:"layout,omitzero"`
	Scene        json.RawMessage      `json:"scene,omitzero"`
	Images       map[string][]byte    `json:"images,omitzero"`
	Width        int                  `json:"width"`
	Height       int                  `json:"height"`
	Participants []previewParticipant `json:"participants,omitzero"`
	Count        int                  `json:"count,omitzero"`
}

type previewParticipant struct {
	UserID      string            `json:"userId"`
	Attributes  map[string]string `json:"attributes,omitzero"`
	VideoWidth  int               `json:"videoWidth,omitzero"`
	VideoHeight int               `json:"videoHeight,omitzero"`
	Video       bool              `json:"video"`
	Speaking    bool              `json:"speaking,omitzero"`
}

func (c *layoutPreviewCommand) Run(ctx context.Context) error {
	req, err := c.request()
	if err != nil {
		return err
	}
	picture, err := c.draw(ctx, req)
	if err != nil {
		return err
	}
	if c.Out == "-" {
		_, err := os.Stdout.Write(picture)
		return err
	}
	if err := os.WriteFile(c.Out, picture, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %dx%d, %d participants\n", c.Out, req.Width, req.Height, max(req.Count, len(req.Participants)))
	return nil
}

// request reads what the flags name, and finds what is wrong with it while it is known which flag it came from.
func (c *layoutPreviewCommand) request() (*previewRequest, error) {
	req := &previewRequest{Images: map[string][]byte{}}
	var err error
	if req.Layout, err = fileOrJSON(c.Layout); err != nil {
		return nil, fmt.Errorf("--layout: %w", err)
	}
	if _, err := layout.ParseConfig(req.Layout); err != nil {
		if strings.Contains(err.Error(), `"custom"`) {
			return nil, fmt.Errorf(`--layout: %w; custom layouts are part of scenes: --scene '{"layout":{"custom":…}}'`, err)
		}
		return nil, fmt.Errorf("--layout: %w", err)
	}
	if req.Scene, err = fileOrJSON(c.Scene); err != nil {
		return nil, fmt.Errorf("--scene: %w", err)
	}
	s, err := scene.Parse(req.Scene)
	if err != nil {
		return nil, fmt.Errorf("--scene: %w", err)
	}
	for _, name := range s.Images {
		file, ok := c.Image[name]
		if !ok {
			return nil, fmt.Errorf("the scene uses an image %q: say with --image %s=FILE which one", name, name)
		}
		if req.Images[name], err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("--image %s: %w", name, err)
		}
	}
	var ok bool
	if req.Width, req.Height, ok = parseSize(c.Size); !ok {
		return nil, fmt.Errorf("--size: %q is not of the form 1280x720", c.Size)
	}
	for _, text := range c.Participant {
		p, err := parseParticipant(text)
		if err != nil {
			return nil, fmt.Errorf("--participant: %w", err)
		}
		req.Participants = append(req.Participants, p)
	}
	if len(req.Participants) == 0 {
		req.Count = c.Participants
	}
	return req, nil
}

// fileOrJSON returns text that is JSON itself, and the content of the file that it names otherwise.
func fileOrJSON(text string) (json.RawMessage, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		data, err := os.ReadFile(text)
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	var any json.RawMessage
	if err := json.Unmarshal([]byte(text), &any); err != nil {
		return nil, fmt.Errorf("no valid JSON: %w", err)
	}
	return any, nil
}

func parseSize(text string) (w, h int, ok bool) {
	a, b, _ := strings.Cut(text, "x")
	w, err := strconv.Atoi(a)
	h, err2 := strconv.Atoi(b)
	return w, h, err == nil && err2 == nil && w > 0 && h > 0
}

// parseParticipant reads "ann,role=host,1280x720,no-video,speaking".
func parseParticipant(text string) (previewParticipant, error) {
	words := strings.Split(text, ",")
	p := previewParticipant{UserID: words[0], Video: true, Attributes: map[string]string{}}
	for _, word := range words[1:] {
		name, value, attribute := strings.Cut(word, "=")
		w, h, size := parseSize(word)
		switch {
		case attribute && name != "":
			p.Attributes[name] = value
		case size:
			p.VideoWidth, p.VideoHeight = w, h
		case word == "no-video":
			p.Video = false
		case word == "speaking":
			p.Speaking = true
		default:
			return p, fmt.Errorf("%q in %q is none of NAME=VALUE, WIDTHxHEIGHT, no-video and speaking", word, text)
		}
	}
	return p, nil
}

// draw runs the composer program.
func (c *layoutPreviewCommand) draw(ctx context.Context, req *previewRequest) ([]byte, error) {
	program := c.Composer
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		program = filepath.Join(filepath.Dir(self), "footlight-composer")
	}
	input, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode preview: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "preview")
	cmd.WaitDelay = time.Second
	var out, words bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &words
	err = cmd.Run()
	said := strings.TrimSpace(words.String())
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s: build it with `make build`, or name it with --composer FILE", program)
	case ok && exit.ExitCode() == 1 && said != "":
		return nil, errors.New(said)
	case err != nil:
		return nil, fmt.Errorf("draw preview with %s: %w: %s", program, err, said)
	}
	return out.Bytes(), nil
}
