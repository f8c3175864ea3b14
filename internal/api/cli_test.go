package api_test

import (
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

// TestAWSCLI signs by botocore, which is another implementation than the SDK for Go: it sends its
// own headers, encodes paths and queries by its own rules, and reads other members of errors.
func TestAWSCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("the AWS CLI takes seconds to start")
	}
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	g := new(tagger)
	s := serve(t, g, ivsrealtime.Unimplemented{}, 0)
	run := func(args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), cli, append(args, "--endpoint-url", s.URL, "--output", "json")...)
		c.Env = append(c.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=tolerated",
			"AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := run("ivs", "tag-resource", "--resource-arn", channelARN, "--tags", `{"a":"1","b c+/=":"x","d":"y"}`); err != nil {
		t.Error(err, out)
	}
	if out, err := run("ivs", "untag-resource", "--resource-arn", channelARN, "--tag-keys", "b c+/=", "d"); err != nil {
		t.Error(err, out)
	}
	if arn, tags := g.now(); arn != channelARN || !maps.Equal(tags, map[string]string{"a": "1"}) {
		t.Errorf("the service has %v for %s", tags, arn)
	}
	if out, err := run("ivs-realtime", "list-stages"); err == nil || !strings.Contains(out, "(NotImplementedException)") || !strings.Contains(out, "ListStages is not built yet") {
		t.Error(out)
	}
}
