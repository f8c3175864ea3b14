package wire

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestSendReceive(t *testing.T) {
	a, b := net.Pipe()
	ca, cb := NewConn(a), NewConn(b)
	want := []Message{
		{Job: &Job{CompositionID: "abc", Token: strings.Repeat("x", 40_000), Outputs: []OutputJob{{DestinationID: "d", Width: 1280}}}},
		{Stop: &Stop{Reason: "asked"}},
		{Heartbeat: &Heartbeat{Time: time.Unix(1, 0).UTC(), Frames: 3}},
	}
	go func() {
		for _, m := range want {
			if err := ca.Send(m); err != nil {
				t.Error(err)
			}
		}
		ca.Close()
	}()
	for i := range want {
		got, err := cb.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			if got.Job == nil || got.Job.Token != want[0].Job.Token || got.Job.Outputs[0].Width != 1280 {
				t.Fatalf("job did not survive: %+v", got)
			}
		case 1:
			if got.Stop == nil || got.Stop.Reason != "asked" {
				t.Fatalf("stop did not survive: %+v", got)
			}
		case 2:
			if got.Heartbeat == nil || got.Heartbeat.Frames != 3 {
				t.Fatalf("heartbeat did not survive: %+v", got)
			}
		}
	}
	if _, err := cb.Receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("after close: %v, want io.EOF", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, line := range []string{"", "x", "{}", "[]", `{"stop":{},"ready":{}}`, `{"stop":{}} {}`, `{"job":7}`, `{"unknown":{}}`} {
		if m, err := Decode([]byte(line)); err == nil {
			t.Errorf("Decode(%q) = %+v, want an error", line, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"stop":{"reason":"x"}}`))
	f.Add([]byte(`{"heartbeat":{"frames":1,"participants":[{"id":"a"}]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := Decode(line); err != nil && err.Error() == "" {
			t.Fatal("an error without a text")
		}
	})
}
