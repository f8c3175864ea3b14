package composer

import (
	"testing"
	"time"
)

// TestDecodeCost: one slow picture costs nothing from then on, two in a row do.
func TestDecodeCost(t *testing.T) {
	const ms = time.Millisecond
	var c decodeCost
	add := func(n int, took, most time.Duration) {
		t.Helper()
		for range n {
			if c.add(took); c.lately > most {
				t.Fatalf("%v counts as %v", took, c.lately)
			}
		}
	}
	add(30, 5*ms, 6*ms)
	add(1, 300*ms, 6*ms)
	add(60, 5*ms, 6*ms)
	add(2, 40*ms, 40*ms)
	if c.lately != 40*ms {
		t.Errorf("two pictures of 40ms count as %v", c.lately)
	}
}
