package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Other WebRTC stacks publish and subscribe: what arrives is decoded and judged there.

func TestAiortc(t *testing.T) {
	t.Parallel()
	tryStack(t, "import aiortc", "testdata/aiortc_client.py")
}

const webrtcbin = "import gi; gi.require_version('GstWebRTC', '1.0'); gi.require_version('Nice', '0.1')"

func TestWebRTCBin(t *testing.T) {
	t.Parallel()
	tryStack(t, webrtcbin, "testdata/webrtcbin_client.py")
}

// TestSimpleWHIPClient has the program itself publish. That of Debian 12 is linked with libsoup 2 and loads, through the
// library that asks routers to open ports, libsoup 3, at which it ends: it gets another such library, which asks nobody.
func TestSimpleWHIPClient(t *testing.T) {
	t.Parallel()
	needPython(t, webrtcbin)
	if _, err := exec.LookPath("whip-client"); err != nil {
		t.Skip("simple-whip-client is not installed")
	}
	if !hasNetwork(t) {
		t.Skip("it gathers no candidates of loopback, and there is nothing else")
	}
	libraries := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-Wl,-soname,libgupnp-igd-1.0.so.4",
		"-o", filepath.Join(libraries, "libgupnp-igd-1.0.so.4"), "testdata/no_upnp.c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	watchStack(t, "testdata/webrtcbin_client.py", func(ctx context.Context, url, token string) stack {
		cmd := exec.CommandContext(ctx, "whip-client", "--url", url, "--token", token, "--follow-link", "--disable-colors",
			"--video", "videotestsrc is-live=true pattern=solid-color foreground-color=0xffc80000 ! video/x-raw,width=320,height=240,framerate=15/1 "+
				"! videobox right=160 ! videobox right=-160 border-alpha=1 fill=blue ! videoconvert ! openh264enc bitrate=500000 gop-size=1000 "+
				"! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=-1 aggregate-mode=zero-latency "+
				"! application/x-rtp,media=video,encoding-name=H264,payload=96",
			"--audio", "audiotestsrc is-live=true freq=440 volume=0.4 ! audioconvert ! opusenc ! rtpopuspay "+
				"! application/x-rtp,media=audio,encoding-name=OPUS,payload=97")
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
		return stack{cmd, func() { _ = cmd.Process.Signal(os.Interrupt) }}
	})
}

// hasNetwork tells if the machine has an address of its own besides loopback.
func hasNetwork(t *testing.T) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(addresses, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.IsGlobalUnicast()
	})
}

// stack is a client that is not ours: what publishes a picture of 320x240, red on the left and blue on the right, and 440 Hz.
type stack struct {
	publisher *exec.Cmd
	end       func() // has it take the session back and exit
}

const python = "/usr/bin/python3" // Debian's, which has Debian's packages

// tryStack runs a Python program as publisher, and another one of it as subscriber, if the imports say that it can run.
func tryStack(t *testing.T, imports, program string) {
	needPython(t, imports)
	watchStack(t, program, func(ctx context.Context, url, token string) stack {
		cmd := exec.CommandContext(ctx, python, program, "publish", url, token)
		hold, until, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { hold.Close(); until.Close() })
		cmd.Stdin = hold
		return stack{cmd, func() { hold.Close(); until.Close() }}
	})
}

// needPython skips the test where Python has not what is to be imported.
func needPython(t *testing.T, imports string) {
	if testing.Short() {
		t.Skip("starts two programs")
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", imports).CombinedOutput(); err != nil {
		t.Skipf("not installed: %v\n%s", err, out)
	}
}

// watchStack has a stack publish, and a Python program subscribe and judge what arrives.
func watchStack(t *testing.T, program string, publish func(ctx context.Context, url, token string) stack) {
	r := newRig(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience) // of real work
	defer cancel()
	p := publish(ctx, r.http.URL+"/whip", "stage1.camera.p")
	var errors bytes.Buffer
	p.publisher.Stderr = &errors
	if err := p.publisher.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := p.publisher.Wait()
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
	subscriber := exec.CommandContext(ctx, python, program, "subscribe", r.http.URL+"/whip/subscribe/camera", "stage1.viewer.s")
	subscriber.Stderr = &more
	out, err := subscriber.Output()
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
	p.end()
	if err := <-ended; err != nil {
		t.Errorf("publish: %v\n%s", err, errors.String())
	}
	if e := r.observer.wait(t, PublishStopped, "camera", 1); e.Reason != "the client ended the session" {
		t.Errorf("it stopped because %s", e.Reason)
	}
}
