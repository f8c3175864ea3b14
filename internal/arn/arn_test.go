package arn

import "testing"

func TestRoundTrip(t *testing.T) {
	want := Account{Region: "us-east-1", ID: "000000000000"}.Of(Channel, "abcdEFGH1234")
	got, err := Parse(want.String())
	if err != nil || got != want {
		t.Fatalf("Parse(%q) = %+v, %v", want, got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "x", "arn:aws:s3:::b", "arn:aws:ivs:r:1:channel", "arn:aws:ivs:r:1:/x", "arn:aws:ivs::1:channel/x", "arn:aws:ivs:r:1:channel/"} {
		if a, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", s, a)
		}
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewID(12)
		if len(id) != 12 || seen[id] {
			t.Fatalf("NewID gave %q (seen before: %v)", id, seen[id])
		}
		seen[id] = true
	}
}
