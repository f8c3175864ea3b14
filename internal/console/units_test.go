package console

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/footlight-live/footlight/web/bundle"
)

// TestScripts runs the tests of the pages' scripts, web/test/units.ts, in the browser.
func TestScripts(t *testing.T) {
	script, err := bundle.File("../../web", "test/units.ts")
	if err != nil {
		t.Fatal(err)
	}
	// Not one of our pages: their policy blocks the blob: playlists of the tests.
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("tests")) }))
	t.Cleanup(web.Close)
	p := open(t, web.URL, desktop)
	p.run("(() => {" + string(script) + "})()")
	if n := evaluate[int](p, "unitTests.count"); n < 10 {
		t.Errorf("only %d tests ran", n)
	}
	for _, failure := range evaluate[[]string](p, "unitTests.failures") {
		t.Error(failure)
	}
}
