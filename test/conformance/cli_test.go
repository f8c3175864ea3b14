package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// cli is the AWS CLI.
type cli struct{ env []string }

// newCLI skips the test where there is no `aws` on PATH.
func newCLI(t testing.TB, url, key, secret string) sdk {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("no AWS CLI on PATH")
	}
	return &cli{append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent")}
}

func (*cli) name() string { return "CLI" }
func (*cli) close()       {}

var (
	wordStart = regexp.MustCompile(`([a-z])([A-Z])`)
	cliError  = regexp.MustCompile(`An error occurred \((\w+)\) when calling the \w+ operation[^:]*: (.*)`)
)

// dashed is the name of an operation as a command.
func dashed(operation string) string {
	return strings.ToLower(wordStart.ReplaceAllString(operation, "$1-$2"))
}

func (s *cli) call(ctx context.Context, op *operation, in M) (M, error) {
	input, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "aws", op.model.Service, dashed(op.call), "--output", "json", "--cli-input-json", string(input))
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if m := cliError.FindStringSubmatch(stderr.String()); m != nil {
			return nil, &failure{Code: m[1], Message: m[2], Typed: true}
		}
		return nil, fmt.Errorf("%w: %s: %w: %s", errNotSent, dashed(op.call), err, stderr.String())
	}
	out := M{}
	if stdout.Len() > 0 {
		err = json.Unmarshal(stdout.Bytes(), &out)
	}
	return out, err
}

// TestCLI runs an example of every operation with the AWS CLI, each with something to work on.
func TestCLI(t *testing.T) {
	w := newWorld(t)
	aws := newCLI(t, w.URL, w.key, w.secret)
	goSDK := newGoSDK(t, w.URL, w.key, w.secret)
	w.furnish(t, goSDK)
	c := &check{T: t, world: w, sdk: goSDK, start: newGoSDK, book: &book{}}
	w.Stage, w.Session, w.Participant = c.stageWithOne()
	live := at(c.do("CreateChannel", M{"insecureIngest": true, "adConfigurationArn": w.Ads}), "channel")
	c.encode(t, str(c.do("GetStage", M{"arn": w.Stage}), "stage", "endpoints", "rtmp"), str(c.do("GetStreamKey", M{"arn": str(c.do("ListStreamKeys", M{"channelArn": str(live, "arn")}), "streamKeys", 0, "arn")}), "streamKey", "value"))
	c.eventually("the channel is live", func() error {
		_, err := c.try("GetStream", M{"channelArn": str(live, "arn")})
		return err
	})
	stopped := false
	for _, op := range w.operations.sorted() {
		if op.name == "StopStream" { // last, since others need the stream
			continue
		}
		t.Run(strings.ReplaceAll(op.name, " ", "_"), func(t *testing.T) { c.runExample(t, aws, op, str(live, "arn")) })
	}
	t.Run("StopStream", func(t *testing.T) {
		c.runExample(t, aws, w.operations["StopStream"], str(live, "arn"))
		stopped = !t.Failed()
	})
	if stopped {
		c.refused("ChannelNotBroadcasting", "GetStream", M{"channelArn": str(live, "arn")})
	}
}

// runExample runs the example of one operation.
func (c *check) runExample(t *testing.T, aws sdk, op *operation, live string) {
	sub := *c
	sub.T = t
	in := sub.example(op.name, func(kind string) string { return sub.fresh(kind, live) })
	ctx, cancel := context.WithTimeout(t.Context(), callTime)
	defer cancel()
	_, err := aws.call(ctx, op, in)
	if f, ok := errors.AsType[*failure](err); ok && f.Code == "NotImplementedException" {
		t.Skip(f.Message)
	}
	if err != nil {
		t.Errorf("aws %s %s %v: %v", op.model.Service, dashed(op.call), in, err)
	}
}

// fresh makes something for an example to work on.
func (c *check) fresh(kind, live string) string {
	c.Helper()
	switch kind {
	case "live channel":
		return live
	case "channel without key":
		made := c.do("CreateChannel", M{})
		c.do("DeleteStreamKey", M{"arn": str(made, "streamKey", "arn")})
		return str(made, "channel", "arn")
	case "stream-key":
		return str(c.do("CreateChannel", M{}), "streamKey", "arn")
	case "composition":
		in := c.example("StartComposition", func(kind string) string { return c.fresh(kind, live) })
		return str(c.do("StartComposition", in), "composition", "arn")
	case "stage with replica":
		in := c.example("StartParticipantReplication", func(kind string) string { return c.fresh(kind, live) })
		c.do("StartParticipantReplication", in)
		return str(in, "destinationStageArn")
	}
	for _, r := range resources {
		if r.kind == kind {
			in := M{}
			if r.minimal != nil {
				in = maps.Clone(r.minimal(c.world))
			}
			return str(c.do(r.create, in), r.member, "arn")
		}
	}
	c.Fatalf("there is nothing of the kind %s", kind)
	return ""
}
