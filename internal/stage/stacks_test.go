package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// Other WebRTC stacks publish and subscribe: what arrives is decoded and judged there.

func TestAiortc(t *testing.T) {
	t.Parallel()
	tryStack(t, "import aiortc", "testdata/aiortc_client.py")
}

func TestWebRTCBin(t *testing.T) {
	t.Parallel()
	tryStack(t, "import gi; gi.require_version('GstWebRTC', '1.0'); gi.require_version('Nice', '0.1')", "testdata/webrtcbin_client.py")
}

// tryStack runs a Python program as publisher, and another one of it as subscriber, if the imports say that it can run.
func tryStack(t *testing.T, imports, program string) {
	if testing.Short() {
		t.Skip("starts two Python programs")
	}
	const python = "/usr/bin/python3" // Debian's, which has Debian's packages
	if out, err := exec.CommandContext(t.Context(), python, "-c", imports).CombinedOutput(); err != nil {
		t.Skipf("not installed: %v\n%s", err, out)
	}
	r := newRig(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := func(errors *bytes.Buffer, does, path, token string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, python, program, does, r.http.URL+path, token)
		cmd.Stderr = errors
		return cmd
	}
	var errors bytes.Buffer
	publisher := client(&errors, "publish", "/whip", "stage1.camera.p")
	hold, until, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer until.Close()
	publisher.Stdin = hold
	if err := publisher.Start(); err != nil {
		t.Fatal(err)
	}
	hold.Close()
	ended := make(chan error, 1)
	go func() {
		err := publisher.Wait()
		if err != nil {
			cancel() // the subscriber need not wait
		}
		ended <- err
	}()
	eventually(t, "it publishes, or fails", func() bool {
		return ctx.Err() != nil || slices.Contains(r.observer.kinds(), "PUBLISH_STARTED camera")
	})
	if ctx.Err() != nil {
		t.Fatalf("publish: %v\n%s", <-ended, errors.String())
	}

	var more bytes.Buffer
	out, err := client(&more, "subscribe", "/whip/subscribe/camera", "stage1.viewer.s").Output()
	if err != nil {
		t.Errorf("subscribe: %v\n%s", err, more.String())
	}
	var got struct {
		Frames, Packets, Width, Height int
		Hertz                          float64
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Errorf("%q: %v", out, err)
	}
	t.Logf("%+v", got)
	if got.Width != 320 || got.Height != 240 || got.Hertz < 380 || got.Hertz > 500 {
		t.Errorf("%+v", got)
	}
	until.Close()
	if err := <-ended; err != nil {
		t.Errorf("publish: %v\n%s", err, errors.String())
	}
	if e := r.observer.wait(t, PublishStopped, "camera", 1); e.Reason != "the client ended the session" {
		t.Errorf("it stopped because %s", e.Reason)
	}
}
