package stage

import (
	"encoding/json"
	"net/http"
	"testing"
)

// TestReported: who asked for it hears how many subscribers and which layers a publisher has; others hear nothing new.
func TestReported(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	plain := r.mustOpen(t, "stage1.plain.s")
	awaitPeople(t, plain, "plain")
	extended := r.mustOpen(t, "stage1.extended.s")
	awaitPeople(t, plain, "plain extended")
	send(t, extended, `{"type":"HELLO","ext":1}`)
	cam := r.publish(t, "stage1.cam.p", clientOptions{})
	defer cam.roll(1)()
	scr := r.subscribe(t, "stage1.bob.s", "cam", clientOptions{})
	r.subscribe(t, "stage1.composer.sh", "cam", clientOptions{}) // nobody sees it
	next(t, scr.video)
	await := func(subscribers int) {
		t.Helper()
		for {
			s, err := read(t, extended)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range s.Payload.Participants {
				if p.ID == "cam" && p.Subscribers != nil && *p.Subscribers == subscribers && len(p.Layers) == 1 && p.Layers[0].Active {
					return
				}
			}
		}
	}
	await(1)

	var got struct {
		Layers    []layerState
		Selected  *string
		Bandwidth *int
	}
	res, body := r.do(t, http.MethodGet, scr.location+"/layers", "")
	if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, body, err)
	}
	if len(got.Layers) != 1 || !got.Layers[0].Active || got.Selected == nil || *got.Selected != "" || got.Bandwidth != nil {
		t.Errorf("layers: %s", body)
	}
	if res, _ := r.do(t, http.MethodGet, cam.location+"/layers", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("layers of a publisher's session: %s", res.Status)
	}
	if res, _ := r.do(t, http.MethodDelete, scr.location, ""); res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	await(0)

	awaitPeople(t, plain, "plain extended cam*")
	r.Disconnect("stage1", "cam", "test")
	s := awaitPeople(t, plain, "plain extended")
	for _, p := range s.Payload.Participants {
		if p.Subscribers != nil || p.Layers != nil {
			t.Errorf("a plain client is told of %v %v", p.Subscribers, p.Layers)
		}
	}
}
