package main

import (
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseParticipant(t *testing.T) {
	got, err := parseParticipant("ann,role=host,title=a=b,empty=,640x480,no-video,speaking")
	want := previewParticipant{UserID: "ann", Attributes: map[string]string{"role": "host", "title": "a=b", "empty": ""},
		VideoWidth: 640, VideoHeight: 480, Speaking: true}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if got, err := parseParticipant(""); err != nil || got.UserID != "" || !got.Video {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"ann,host", "ann,=x", "ann,0x480", "ann,640x", "ann,"} {
		if _, err := parseParticipant(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestLayoutPreview(t *testing.T) {
	dir := t.TempDir()
	composer := filepath.Join(dir, "footlight-composer")
	build := exec.Command("go", "build", "-o", composer, "github.com/footlight-live/footlight/cmd/footlight-composer")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the composer: %v: %s", err, out)
	}
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := layoutPreviewCommand{Participants: 3, Size: "320x180", Out: filepath.Join(dir, "out.png"), Composer: composer,
		Layout: file("layout.json", `{"grid":{"gridGap":4}}`), Scene: `{"namePlates":{}}`}
	if err := good.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(good.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 180 {
		t.Errorf("%v %v", img, err)
	}
	for want, change := range map[string]func(*layoutPreviewCommand){
		"--layout: open":                func(c *layoutPreviewCommand) { c.Layout = filepath.Join(dir, "nowhere.json") },
		"--layout: no valid JSON":       func(c *layoutPreviewCommand) { c.Layout = file("bad.json", `{"grid"`) },
		`no member is called "gird"`:    func(c *layoutPreviewCommand) { c.Layout = `{"gird":{}}` },
		"part of scenes":                func(c *layoutPreviewCommand) { c.Layout = `{"custom":{}}` },
		"--scene: invalid scene: tiles": func(c *layoutPreviewCommand) { c.Scene = `{"tiles":[]}` },
		"--image logo=FILE":             func(c *layoutPreviewCommand) { c.Scene = `{"background":{"image":"logo"}}` },
		"--image logo: open": func(c *layoutPreviewCommand) {
			c.Scene, c.Image = `{"background":{"image":"logo"}}`, map[string]string{"logo": filepath.Join(dir, "nowhere.png")}
		},
		`image "logo": image: unknown format`: func(c *layoutPreviewCommand) {
			c.Scene, c.Image = `{"background":{"image":"logo"}}`, map[string]string{"logo": file("text.png", "text")}
		},
		`--size: "wide"`:      func(c *layoutPreviewCommand) { c.Size = "wide" },
		"a canvas of 321x180": func(c *layoutPreviewCommand) { c.Size = "321x180" },
		"13 participants":     func(c *layoutPreviewCommand) { c.Participants = 13 },
		"--participant: ":     func(c *layoutPreviewCommand) { c.Participant = []string{"ann,host"} },
		"make build":          func(c *layoutPreviewCommand) { c.Composer = filepath.Join(dir, "nowhere") },
	} {
		c := good
		change(&c)
		if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
