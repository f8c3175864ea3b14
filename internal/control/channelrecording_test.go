package control

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
)

// TestReconnectWindow lets streams of a channel end and begin, and looks when its recording ends.
func TestReconnectWindow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		objects, err := objectstore.Open(t.Context(), objectstore.Config{Dir: filepath.Join(dir, "objects")})
		if err != nil {
			t.Fatal(err)
		}
		recorder := &record.Recorder{Dir: filepath.Join(dir, "spool"), Objects: objects}
		if err := recorder.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer recorder.Close()
		c := &Control{Log: slog.New(slog.DiscardHandler), Recorder: recorder}
		c.background.open()
		tape := func(id string) *record.Recording {
			t.Helper()
			ch := channel.Channel{ID: id, ARN: "arn:aws:ivs:us-east-1:000000000000:channel/" + id}
			r, err := recorder.Open(t.Context(), channelSpec(arn.Account{Region: "us-east-1", ID: "000000000000"}, ch, recordingRecord{Bucket: "recordings"}, time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			c.tapes.mu.Lock()
			defer c.tapes.mu.Unlock()
			p := c.tapes.of(id)
			p.recording, p.window = r, time.Minute
			return r
		}
		begins := func(id string) { // as recordChannel does it
			c.tapes.mu.Lock()
			defer c.tapes.mu.Unlock()
			c.tapes.of(id).runs++
		}
		hears := func(id string, kind channel.EventKind) {
			c.tapes.observe(c, id, channel.Event{Kind: kind, Stream: channel.Stream{ID: "st-" + id}})
		}
		over := func(after time.Duration, r *record.Recording, want bool) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			select {
			case <-r.Over():
				if !want {
					t.Error("the recording is over too early")
				}
			default:
				if want {
					t.Error("the recording goes on")
				}
			}
		}

		r, other := tape("one"), tape("two")
		begins("one")
		hears("one", channel.StreamStart)
		hears("one", channel.SessionEnded)
		over(59*time.Second, r, false)
		begins("one") // the next stream comes just in time
		over(time.Hour, r, false)
		hears("one", channel.SessionEnded)
		begins("one")
		hears("one", channel.SessionEnded) // both ends are planned; the last one counts
		over(59*time.Second, r, false)
		over(2*time.Second, r, true)
		over(0, other, false)
		again := tape("one")
		hears("one", channel.StreamStart)
		over(time.Hour, again, false)

		// A server that ends leaves the window to the next start.
		hears("one", channel.SessionEnded)
		c.background.close()
		over(time.Hour, again, false)
	})
}

// TestTapes records two streams of a channel by its configuration: with a window it is one recording, without one two.
func TestTapes(t *testing.T) {
	for window, want := range map[int]int{300: 1, 0: 2} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			f := start(t)
			config := text(t, f.must(t, "CreateRecordingConfiguration", fmt.Sprintf(`{"destinationConfiguration":{"s3":{"bucketName":"recordings"}},"recordingReconnectWindowSeconds":%d}`, window)), "recordingConfiguration", "arn")
			for text(t, f.must(t, "GetRecordingConfiguration", fmt.Sprintf(`{"arn":%q}`, config)), "recordingConfiguration", "state") != "ACTIVE" {
				time.Sleep(5 * time.Millisecond) // between two looks; the test's own limit ends it
			}
			name := text(t, f.must(t, "CreateChannel", fmt.Sprintf(`{"recordingConfigurationArn":%q}`, config)), "channel", "arn")
			a, err := arn.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]bool{}
			for range 2 {
				tape, gone := f.RecordChannel(t.Context(), channel.Channel{ID: a.ID, ARN: name})
				if tape == nil {
					t.Fatal("the channel is not recorded")
				}
				f.tapes.mu.Lock()
				r := f.tapes.of(a.ID).recording
				f.tapes.mu.Unlock()
				ids[r.Spec().ID] = true
				gone()
				f.tapes.observe(f.Control, a.ID, channel.Event{Kind: channel.SessionEnded})
				if window == 0 {
					<-r.Over()
				}
			}
			if len(ids) != want {
				t.Errorf("%d recordings, want %d", len(ids), want)
			}
		})
	}
}
