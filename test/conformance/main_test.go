package conformance

import (
	"os"
	"testing"

	"github.com/footlight-live/footlight/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.RemoveBinaries()
	os.Exit(code)
}

// TestConformance runs everything with one SDK after the other, and compares what was shown with the documentation.
func TestConformance(t *testing.T) {
	w := newWorld(t)
	w.furnish(t, newGoSDK(t, w.URL, w.key, w.secret))
	worlds := &worlds{strict: newWorld(t, "--quota", quotas(1)+";channels=2"), throttled: newWorld(t, "--throttle", "aws")}
	worlds.throttled.furnish(t, newGoSDK(t, worlds.throttled.URL, worlds.throttled.key, worlds.throttled.secret))
	book := &book{}
	for name, start := range map[string]func(testing.TB, string, string, string) sdk{"Go": newGoSDK, "JavaScript": newJSSDK} {
		t.Run(name, func(t *testing.T) {
			sdk := start(t, w.URL, w.key, w.secret)
			defer sdk.close()
			everything(&check{T: t, world: w, worlds: worlds, sdk: sdk, start: start, book: book})
		})
	}
	t.Run("documentation", func(t *testing.T) { documentation(t, w.operations, book) })
}

// worlds are servers with other settings.
type worlds struct{ strict, throttled *world }

func everything(c *check) {
	c.run("limits", limits)
	c.run("resources", lifecycles)
	c.run("not found", notFound)
	c.run("read-only keys", accessDenied)
	c.run("quotas", quotaErrors)
	c.run("rates", throttling)
	c.run("races", races)
	c.run("channels", channels)
	c.run("playback", playback)
	c.run("stages", stages)
	c.run("tokens", tokens)
	c.run("compositions", compositions)
	c.run("recording", attachments)
	c.run("ingest into a stage", stageIngest)
	c.run("replication", replication)
}
