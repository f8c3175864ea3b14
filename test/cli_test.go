package test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivs"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"

	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestWalkthroughCLI runs the commands of docs/walkthrough.md as they stand, with the plain AWS CLI.
func TestWalkthroughCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no AWS CLI on PATH")
	}
	doc, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "walkthrough.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := codeBlocks(string(doc), "sh")
	if len(blocks) < 5 {
		t.Fatalf("found %d code blocks in the walk-through", len(blocks))
	}
	s := harness.StartServer(t)

	// What the reader does by hand between the commands: step onto the stage once there is a token, and watch
	// once the composition runs.
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for i, block := range blocks {
		script.WriteString(block)
		switch i {
		case 0:
			script.WriteString("echo \"TOKEN=$TOKEN\"; read -r _\n")
		case 3:
			script.WriteString("echo \"PLAYBACK=$PLAYBACK\"; read -r _\n")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=")
	for name, value := range s.Env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var output []string
	for line := range lines(stdout) {
		output = append(output, line)
		if token, ok := strings.CutPrefix(line, "TOKEN="); ok {
			p := &synth.Publisher{WHIPURL: s.URL + "/whip", Token: token, Name: "todd", Index: 6}
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			io.WriteString(stdin, "\n")
		}
		if url, ok := strings.CutPrefix(line, "PLAYBACK="); ok {
			harness.WaitPlayable(t, url)
			c := record(t, url, settled+2*time.Second, 1)
			seen(t, c, settled, judge.Forever, 6)
			io.WriteString(stdin, "\n")
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the walk-through: %v\n%s\n%s", err, strings.Join(output, "\n"), stderr.String())
	}
	channels, err := s.IVS.ListChannels(t.Context(), &ivs.ListChannelsInput{})
	if err != nil || len(channels.Channels) != 0 {
		t.Errorf("channels after cleaning up: %s, %v", harness.JSON(channels), err)
	}
	stages, err := s.RealTime.ListStages(t.Context(), &ivsrealtime.ListStagesInput{})
	if err != nil || len(stages.Stages) != 0 {
		t.Errorf("stages after cleaning up: %s, %v", harness.JSON(stages), err)
	}
}

// TestCLIEchoes compares what the AWS CLI prints with what Amazon documents.
func TestCLIEchoes(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no AWS CLI on PATH")
	}
	s := harness.StartServer(t)
	var out struct {
		Channel   map[string]any
		StreamKey map[string]any
	}
	cmd := exec.CommandContext(t.Context(), "aws", "ivs", "create-channel", "--name", "my-first-low-latency-channel")
	cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=")
	for name, value := range s.Env() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("aws ivs create-channel: %v", err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	for member, want := range map[string]any{
		"name": "my-first-low-latency-channel", "authorized": false, "insecureIngest": false, "latencyMode": "LOW",
		"recordingConfigurationArn": "", "type": "STANDARD",
	} {
		if out.Channel[member] != want {
			t.Errorf("channel.%s is %v, want %v", member, out.Channel[member], want)
		}
	}
	if tags, ok := out.Channel["tags"].(map[string]any); !ok || len(tags) != 0 {
		t.Errorf("channel.tags is %v, want {}", out.Channel["tags"])
	}
	if value, _ := out.StreamKey["value"].(string); !strings.HasPrefix(value, "sk_us-east-1_") {
		t.Errorf("stream key is %v", out.StreamKey)
	}
}

// codeBlocks returns the fenced blocks of a language.
func codeBlocks(markdown, language string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(markdown, "\n```"+language+"\n")
		if !ok {
			return out
		}
		block, after, _ := strings.Cut(rest, "\n```")
		out = append(out, block+"\n")
		markdown = after
	}
}
