package test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"

	"github.com/footlight-live/footlight/test/harness"
)

// doctor runs `footlight doctor` and returns what it prints and whether it found everything well.
func doctor(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(harness.Binaries(t), "footlight"), append([]string{"doctor"}, args...)...).CombinedOutput()
	t.Logf("%s", out)
	return string(out), err == nil
}

// TestDoctor examines a sound server, which has nothing left of it afterwards, and ailing ones.
func TestDoctor(t *testing.T) {
	s := harness.StartServer(t)
	said, well := doctor(t, "--data-dir", s.DataDir)
	if !well || strings.Contains(said, "✗") || !strings.Contains(said, "Everything works.") {
		t.Error("a sound server is found ill")
	}
	for _, want := range []string{
		`✓ subscribing over UDP .*sound and picture after \d+ ms, a picture \d+ ms old, 0 of \d{3} packets lost`, `✓ subscribing over TCP .*sound and picture`,
		`– subscribing through TURN .*not tried`, `✓ playing the channel .*newest part begins with what was drawn \d+ ms ago`, `✓ SRT ingest .*127.0.0.1:\d+`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("the report lacks %q", want)
		}
	}
	stages, err := s.RealTime.ListStages(t.Context(), &ivsrealtime.ListStagesInput{})
	if err != nil || len(stages.Stages) != 0 {
		t.Errorf("stages are left: %v, %v", stages, err)
	}
	channels, err := s.IVS.ListChannels(t.Context(), &ivs.ListChannelsInput{})
	if err != nil || len(channels.Channels) != 0 {
		t.Errorf("channels are left: %v, %v", channels, err)
	}

	if said, well := doctor(t, "--data-dir", s.DataDir, "--composer", "/nowhere/footlight-composer"); well || !strings.Contains(said, "→ build it with `make build`") {
		t.Error("a missing composer is not named")
	}
	s.Stop()
	if said, well := doctor(t, "--data-dir", s.DataDir); well || !strings.Contains(said, "→ start it with `footlight serve`") {
		t.Error("a server that is away is not named")
	}
}
