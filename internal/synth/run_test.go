package synth

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// run starts RunPublishers with pipes; send sends it JSON, next returns the next line.
func run(t *testing.T) (send func(string), changes <-chan Change, end func() error) {
	t.Helper()
	in, input := io.Pipe()
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := RunPublishers(t.Context(), in, out)
		_ = in.CloseWithError(io.ErrClosedPipe) // writers need not wait any more
		_ = out.Close()                         // never fails
		ended <- err
	}()
	lines := make(chan Change, 1000)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(output)
		for scanner.Scan() {
			var change Change
			if err := json.Unmarshal(scanner.Bytes(), &change); err != nil {
				t.Errorf("%q: %v", scanner.Text(), err)
			}
			lines <- change
		}
	}()
	send = func(text string) { _, _ = io.WriteString(input, text) } // the test ends anyhow when nobody reads
	end = func() error {
		_ = input.Close() // never fails
		return <-ended
	}
	return send, lines, end
}

func TestRunPublishers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	send, changes, end := run(t)
	send(fmt.Sprintf(`[{"whipUrl":"%[1]s/whip","token":"secret","name":"Ada","index":0,"width":320,"height":180},
		{"whipUrl":"%[1]s/whip","token":"secret","name":"Grace","index":1,"audioOnly":true},
		{"whipUrl":"%[1]s/whip","token":"wrong","name":"Linus","index":2}]`, s.URL))
	states := map[string]State{}
	expect := func(name string, want State) {
		t.Helper()
		for states[name] != want {
			change, ok := <-changes
			if !ok {
				t.Fatalf("ended before %s was %s", name, want)
			}
			states[change.Name] = change.State
			if change.Name == "Linus" && change.State == Failed && !strings.Contains(change.Reason, "401") {
				t.Errorf("the reason does not say what happened: %q", change.Reason)
			}
		}
	}
	expect("Ada", Live)
	expect("Grace", Live)
	expect("Linus", Failed)
	send(`{"index":0,"faults":{"offline":true}}`)
	expect("Ada", Reconnecting)
	send(`{"index":0,"faults":{}}{"index":1,"close":true}`)
	expect("Ada", Live)
	expect("Grace", Closed)
	send(`{"index":0,"mute":{"audio":true}}{"index":0,"faults":{"up":{"loss":0.1,"jitter":20}}}`)
	send(fmt.Sprintf(`{"join":{"whipUrl":"%s/whip","token":"secret","name":"Margaret","index":3,"width":320,"height":180,"content":"screen"}}`, s.URL))
	expect("Margaret", Live)
	send(`{"index":3,"close":true}`)
	expect("Margaret", Closed)
	if err := end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	expect("Ada", Closed)
}

func TestRunPublishersRefusesNonsense(t *testing.T) {
	for _, input := range []string{``, `{}`, `[null]`, `[{"width":3}]`, `[] nonsense`, `[{"index":"one"}]`,
		`[{"content":"nonsense"}]`, `[{"layers":4}]`, `[]{"join":{"width":3}}`} {
		send, _, end := run(t)
		send(input)
		if err := end(); err == nil {
			t.Errorf("%q is accepted", input)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestRunPublishersEndsWhenNobodyListens(t *testing.T) {
	in, input := io.Pipe()
	defer input.Close()
	go func() { _, _ = io.WriteString(input, `[{"whipUrl":"http://127.0.0.1:1/","token":"x","name":"Ada"}]`) }()
	if err := RunPublishers(t.Context(), in, brokenWriter{}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("ended with %v", err)
	}
}
