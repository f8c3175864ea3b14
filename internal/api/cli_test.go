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
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	g := &tagger{tags: map[string]string{}}
	s := serve(t, g, ivsrealtime.Unimplemented{}, 0)
	run := func(args ...string) string {
		c := exec.CommandContext(t.Context(), cli, append(args, "--endpoint-url", s.URL, "--output", "json")...)
		c.Env = append(c.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=tolerated",
			"AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
		out, _ := c.CombinedOutput() // a refusal is exit status 254; the text says which
		return string(out)
	}
	if out := run("ivs", "tag-resource", "--resource-arn", channelARN, "--tags", `{"a":"1","b c+/=":"x"}`); strings.Contains(out, "rror") {
		t.Error(out)
	}
	if want := map[string]string{"a": "1", "b c+/=": "x"}; !maps.Equal(g.tags, want) || g.arn != channelARN {
		t.Errorf("the service got %v of %s", g.tags, g.arn)
	}
	if out := run("ivs", "untag-resource", "--resource-arn", channelARN, "--tag-keys", "b c+/=", "none"); strings.Contains(out, "rror") {
		t.Error(out)
	}
	if out := run("ivs", "list-tags-for-resource", "--resource-arn", channelARN); !strings.Contains(out, `"a": "1"`) || strings.Contains(out, `"b`) {
		t.Error(out)
	}
	if out := run("ivs-realtime", "list-stages"); !strings.Contains(out, "(NotImplementedException)") || !strings.Contains(out, "ListStages is not built yet") {
		t.Error(out)
	}
	if out := run("ivs", "create-channel", "--name", "no spaces"); !strings.Contains(out, "(ValidationException)") || !strings.Contains(out, "'name'") {
		t.Error(out)
	}
}
