package video

import (
	"testing"
	"time"
)

func TestEffort(t *testing.T) {
	const tick = 33 * time.Millisecond
	var e Effort
	pictures := func(n int, took time.Duration) (less bool) {
		for range n {
			less = e.Note(took, tick)
		}
		return less
	}
	for _, step := range []struct {
		what string
		n    int
		took time.Duration
		less bool
	}{
		{"all is calm", 100, 9 * time.Millisecond, false},
		{"one picture takes long", 1, 300 * time.Millisecond, false},
		{"calm again", 100, 9 * time.Millisecond, false},
		{"the machine is busy", 100, 25 * time.Millisecond, true},
		{"less care makes it a fifth less", 300, 20 * time.Millisecond, true},
		{"the others have gone", 200, 8 * time.Millisecond, false},
	} {
		if less := pictures(step.n, step.took); less != step.less {
			t.Errorf("%s: less care %v, want %v", step.what, less, step.less)
		}
	}
}
