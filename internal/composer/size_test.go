package composer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/synth"
)

func TestShownAt(t *testing.T) {
	for _, c := range []struct {
		tile, picture size
		cover         bool
		want          size
	}{
		{size{638, 358}, size{}, true, size{638, 358}},
		{size{638, 358}, size{1280, 720}, true, size{638, 359}},
		{size{640, 360}, size{1280, 720}, false, size{640, 360}},
		{size{600, 600}, size{1280, 720}, true, size{1067, 600}},
		{size{600, 600}, size{1280, 720}, false, size{600, 338}},
		{size{640, 360}, size{360, 640}, true, size{640, 1138}},
		{size{640, 360}, size{360, 640}, false, size{203, 360}},
	} {
		if got := shownAt(c.tile, c.picture, c.cover); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestLayerSize: only sizes that differ by more than an eighth are asked for, at most one a second; a failure is
// tried again with the next one; a server of one size is left alone.
func TestLayerSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := newLayerSize()
		var asked []size
		var when []time.Duration
		began := time.Now()
		var answer error
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.follow(ctx, func(_ context.Context, w, h int) error {
				asked, when = append(asked, size{w, h}), append(when, time.Since(began))
				return answer
			})
		}()
		set := func(w, h int, result error) {
			l.set(size{w, h})
			answer = result
			synctest.Wait()
		}
		set(640, 360, nil)
		set(700, 390, nil) // within an eighth
		time.Sleep(2 * time.Second)
		set(600, 340, nil)
		set(320, 180, nil)
		set(300, 300, nil) // too soon, and then replaced
		set(1280, 720, nil)
		time.Sleep(1500 * time.Millisecond)
		set(320, 180, errors.New("lost"))
		time.Sleep(1500 * time.Millisecond)
		set(320, 180, nil)
		time.Sleep(1500 * time.Millisecond)
		set(640, 360, errFixedSize)
		time.Sleep(1500 * time.Millisecond)
		set(320, 180, nil)
		want := []size{{640, 360}, {320, 180}, {1280, 720}, {320, 180}, {320, 180}, {640, 360}}
		if !slices.Equal(asked, want) {
			t.Errorf("asked for %v, want %v", asked, want)
		}
		for i := 1; i < len(when); i++ {
			if when[i]-when[i-1] < sizeEvery {
				t.Errorf("asked after %v", when)
			}
		}
		cancel()
		<-done
	})
}

// TestResize: the size goes to the session's resource, with the token; servers without that are told apart.
func TestResize(t *testing.T) {
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/session/size" || string(body) != `{"width":638,"height":358}` || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s %s %s", r.Method, r.URL, body)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	w := whep{http: server.Client(), bearer: "secret"}
	for code, want := range map[int]error{http.StatusNoContent: nil, http.StatusNotFound: errFixedSize, http.StatusMethodNotAllowed: errFixedSize} {
		status = code
		if err := w.resize(t.Context(), server.URL+"/session", 638, 358); !errors.Is(err, want) {
			t.Errorf("status %d: %v", code, err)
		}
	}
	status = http.StatusInternalServerError
	if err := w.resize(t.Context(), server.URL+"/session", 638, 358); err == nil || errors.Is(err, errFixedSize) {
		t.Errorf("a failure gives %v", err)
	}
}

// TestLayers: of a participant with three layers the composer takes the one that suits its tile.
func TestLayers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.compose(small) // one tile of 320x180
	r.publish(0, func(p *synth.Publisher) { p.Width, p.Height, p.FrameRate, p.Layers = 640, 360, 15, 3 })
	s.until("layer of the tile's size", func() bool {
		in, tile := s.participant(0)
		return tile.Width == 320 && in.Width == 320 && in.Height == 180
	})
}
