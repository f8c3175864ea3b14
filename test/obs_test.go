package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestOBS publishes with OBS itself, which runs without a screen, and judges what viewers get. It needs obs and Xvfb on PATH; on Debian
// apt install --no-install-recommends obs-studio xvfb libgl1-mesa-dri.
func TestOBS(t *testing.T) {
	for _, program := range []string{"obs", "Xvfb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s on PATH", program)
		}
	}
	const index = 4
	o := obs{display: startXvfb(t), clip: ingestClip(t, index, 30*time.Second)}
	s := harness.StartServer(t)
	created, err := s.IVS.CreateChannel(t.Context(), &ivs.CreateChannelInput{InsecureIngest: true})
	if err != nil {
		t.Fatal(err)
	}
	stage := s.CreateStage("obs")
	server := *stage.Endpoints.Rtmp

	t.Run("a channel", func(t *testing.T) {
		defer o.publish(t, server, *created.StreamKey.Value, map[string]any{"bitrate": 1000, "keyint_sec": 2})()
		harness.WaitPlayable(t, *created.Channel.PlaybackUrl)
		capture, err := judge.Record(t.Context(), *created.Channel.PlaybackUrl, settled+5*time.Second, judge.Options{
			Tiles: fullPicture(640, 360), InputArgs: []string{"-live_start_index", "-1"},
		})
		if err != nil {
			t.Fatal(err)
		}
		o.judge(t, capture, settled, index)
	})

	t.Run("a stage refuses what OBS sends by default", func(t *testing.T) {
		c := createIngest(t, s, stage)
		defer o.publish(t, server, *c.StreamKey, map[string]any{})()
		harness.Eventually(t, time.Minute, "OBS sends B-frames", func(ctx context.Context) error {
			events, err := participantEvents(ctx, s, stage, c.ParticipantId)
			if err == nil && !strings.Contains(events, "PUBLISH_ERROR=B_FRAME_PRESENT") {
				err = fmt.Errorf("the events are %s", events)
			}
			return err
		})
	})

	t.Run("a stage", func(t *testing.T) {
		c := createIngest(t, s, stage)
		defer o.publish(t, server, *c.StreamKey, map[string]any{"bitrate": 1000, "keyint_sec": 1, "tune": "zerolatency"})()
		s.WaitPublishing(stage, 1)
		file, err := whepRecord(t, s, s.Token(stage, "viewer"), *c.ParticipantId, 8*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		capture, err := judge.Record(t.Context(), file, time.Minute, judge.Options{Tiles: fullPicture(640, 360)})
		if err != nil {
			t.Fatal(err)
		}
		o.judge(t, capture, capture.Start+time.Second, index)
	})
}

// obs is what OBS needs: a screen, and what it shows, over and over.
type obs struct{ display, clip string }

// judge judges what a viewer has recorded: OBS shows the synthetic participant in its own pictures.
func (o obs) judge(t *testing.T, capture *judge.Capture, from time.Duration, index int) {
	t.Helper()
	seen(t, capture, from, judge.Forever, index)
	if tones := capture.Tones(from, judge.Forever); !slices.Equal(tones, []int{index}) {
		t.Errorf("the tones of %v are heard", tones)
	}
	t.Logf("%+v, %d pictures, lip sync %+v", capture.Facts, len(capture.Frames), capture.LipSync(index))
}

// publish runs OBS with settings of its x264 encoder until stop is called.
func (o obs) publish(t *testing.T, server, key string, encoder map[string]any) (stop func()) {
	t.Helper()
	home := t.TempDir()
	write := func(name string, content any) {
		t.Helper()
		b, ok := content.(string)
		if !ok {
			j, err := json.Marshal(content)
			if err != nil {
				t.Fatal(err)
			}
			b = string(j)
		}
		path := filepath.Join(home, "obs-studio", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A preview would take most of a machine that has no graphics card.
	write("global.ini", "[General]\nFirstRun=true\nLastVersion=486539266\nConfirmOnExit=false\n[BasicWindow]\nPreviewEnabled=false\n"+
		"[Basic]\nProfile=test\nProfileDir=test\nSceneCollection=test\nSceneCollectionFile=test\n")
	write("basic/profiles/test/basic.ini", "[General]\nName=test\n[Output]\nMode=Advanced\n"+
		"[Video]\nBaseCX=640\nBaseCY=360\nOutputCX=640\nOutputCY=360\nFPSType=1\nFPSInt=15\n")
	write("basic/profiles/test/streamEncoder.json", encoder)
	write("basic/profiles/test/service.json", map[string]any{"type": "rtmp_custom", "settings": map[string]any{"server": server, "key": key}})
	type object = map[string]any
	write("basic/scenes/test.json", object{
		"name": "test", "current_scene": "Scene", "current_program_scene": "Scene", "scene_order": []object{{"name": "Scene"}},
		"sources": []object{
			{"id": "ffmpeg_source", "name": "clip", "mixers": 255, "settings": object{"local_file": o.clip, "is_local_file": true, "looping": true}},
			{"id": "scene", "name": "Scene", "settings": object{"items": []object{
				{"name": "clip", "id": 1, "visible": true, "pos": object{"x": 0, "y": 0}, "scale": object{"x": 1, "y": 1}},
			}}},
		},
	})
	cmd := exec.Command("obs", "--startstreaming", "--multi", "--disable-updater", "--disable-missing-files-check")
	cmd.Env = append(os.Environ(), "DISPLAY="+o.display, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_RUNTIME_DIR="+home, "LIBGL_ALWAYS_SOFTWARE=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		_ = cmd.Process.Signal(syscall.SIGINT) // it may be gone already
		force := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if !force.Stop() || err != nil {
			t.Errorf("OBS did not end by itself: %v", err)
		}
		if t.Failed() {
			t.Log(out.String())
		}
	}
}

// startXvfb runs an X server without a screen, and returns its display.
func startXvfb(t *testing.T) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x800x24")
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // the signal is why
	})
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb names no display: %v", err)
	}
	return fmt.Sprint(":", strings.TrimSpace(number))
}
