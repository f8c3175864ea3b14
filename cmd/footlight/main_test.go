package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// run parses a command line and gives what is printed for it; it runs nothing.
func run(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	parser, err := kong.New(new(commands), append(options, kong.Writers(&out, &out), kong.Exit(func(int) {}))...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	parser.FatalIfErrorf(err)
	return out.String()
}

func TestHelpTellsDefaults(t *testing.T) {
	help := strings.Join(strings.Fields(run(t, "serve", "--help")), " ")
	for _, want := range []string{"console. Default: 127.0.0.1:4080.", "RTMPS ingest. Default: 127.0.0.1:1936.", `--region="us-east-1"`} {
		if !strings.Contains(help, want) {
			t.Errorf("serve --help does not say %q:\n%s", want, help)
		}
	}
}

func TestWrongFlagIsShort(t *testing.T) {
	for _, args := range [][]string{{"serve", "--port", "80"}, {"serve", "--log-level", "loud"}, {"start"}} {
		out := run(t, args...)
		if strings.Count(out, "\n") > 6 || !strings.Contains(out, "footlight: error: ") {
			t.Errorf("%v:\n%s", args, out)
		}
	}
}

// A recording that is mistyped is no broken one.
func TestCheckNoRecording(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "objects", "recordings", "stage"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []string{"recordings", "other"} {
		c := recordingFsckCommand{storeFlags: storeFlags{DataDir: dir}, Bucket: bucket, Prefix: "stage/none"}
		if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing is stored there") {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

// A data dir that is mistyped is named, and not made.
func TestWrongDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	for name, command := range map[string]func() error{
		"keys list":               (&keysListCommand{DataDir: dir}).Run,
		"keys delete":             (&keysDeleteCommand{DataDir: dir, ID: "AKIA"}).Run,
		"env":                     (&envCommand{DataDir: dir}).Run,
		"events --webhook-secret": func() error { return (&eventsCommand{DataDir: dir, WebhookSecret: true}).Run(t.Context()) },
		"recording fsck": func() error {
			return (&recordingFsckCommand{storeFlags: storeFlags{DataDir: dir}, Bucket: "recordings", Prefix: "x"}).Run(t.Context())
		},
		"recording recover": func() error { return (&recordingRecoverCommand{storeFlags{DataDir: dir}}).Run(t.Context()) },
	} {
		if err := command(); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%s makes the folder", name)
		}
	}
}
