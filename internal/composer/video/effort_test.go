package video

import (
	"testing"
	"time"
)

func TestEffort(t *testing.T) {
	const tick = 33 * time.Millisecond
	var e Effort
	for _, step := range []struct {
		what    string
		n       int
		took    time.Duration
		reduced float64
		less    bool
	}{
		{"all is calm", 100, 9 * time.Millisecond, 1, false},
		{"one picture takes long", 1, 300 * time.Millisecond, 1, false},
		{"calm again", 100, 9 * time.Millisecond, 1, false},
		{"the machine is busy", 100, 25 * time.Millisecond, 1, true},
		{"less care makes it a fifth less", 300, 20 * time.Millisecond, 1, true},
		{"the others have gone", 200, 8 * time.Millisecond, 1, false},
		{"pictures as they came", 1, 8 * time.Millisecond, 0, true},
		{"six in three columns", 1, 8 * time.Millisecond, 0.66, true},
		{"twelve in four columns", 1, 8 * time.Millisecond, 0.74, false},
		{"a full grid of reduced pictures", 1, 8 * time.Millisecond, 0.97, false},
	} {
		less := false
		for range step.n {
			less = e.Note(step.took, tick, step.reduced)
		}
		if less != step.less {
			t.Errorf("%s: less care %v, want %v", step.what, less, step.less)
		}
	}
}
