package control

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestJournalKeepsOrder(t *testing.T) {
	j := startJournal(slog.New(slog.DiscardHandler))
	var got []int
	for i := range 1000 {
		j.observe(func(context.Context) error { got = append(got, i); return nil })
	}
	if err := j.do(t.Context(), func(context.Context) error {
		if len(got) != 1000 || !slices.IsSorted(got) {
			t.Errorf("%d jobs, sorted %t", len(got), slices.IsSorted(got))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := errors.New("no")
	if err := j.do(t.Context(), func(context.Context) error { return want }); err != want {
		t.Errorf("error of a job: %v", err)
	}
	j.observe(func(context.Context) error { got = nil; return nil })
	j.close()
	if got != nil {
		t.Error("close did not wait for what was queued")
	}
	j.observe(func(context.Context) error { t.Error("a job ran after close"); return nil })
	if err := j.do(t.Context(), func(context.Context) error { return nil }); err == nil {
		t.Error("do after close succeeded")
	}
	j.flush(t.Context()) // returns
}

// TestJournalRetries: a store that is away for a moment costs nothing; a job that never works is given up
// with a word in the log.
func TestJournalRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		j := startJournal(slog.New(slog.NewTextHandler(&log, nil)))
		tries := 0
		j.observe(func(context.Context) error {
			if tries++; tries < 4 {
				return errors.New("away")
			}
			return nil
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if tries != 4 || log.Len() > 0 {
			t.Errorf("%d tries; log %s", tries, log.String())
		}
		hopeless := 0
		j.observe(func(context.Context) error { hopeless++; return errors.New("poison") })
		after := false
		j.observe(func(context.Context) error { after = true; return nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		if hopeless != retries+1 || !after || !strings.Contains(log.String(), "poison") {
			t.Errorf("%d tries, next job ran %t, log %s", hopeless, after, log.String())
		}
		j.close()
	})
}

// TestJournalNeverBlocks: with a store that hangs, observers go on, memory is bounded, the loss is reported,
// readers get the past after a while, and close gives up.
func TestJournalNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		j := startJournal(slog.New(slog.NewTextHandler(&log, nil)))
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		j.observe(hang)
		synctest.Wait()
		for range journalLimit + 5 {
			j.observe(func(context.Context) error { return nil })
		}
		began := time.Now()
		j.flush(t.Context())
		if waited := time.Since(began); waited != flushTimeout {
			t.Errorf("flush waited %s", waited)
		}
		j.close()
		if waited := time.Since(began); waited > time.Hour {
			t.Errorf("close waited %s", waited)
		}
		if !strings.Contains(log.String(), `"observations lost"=5`) {
			t.Errorf("log %s", log.String())
		}
	})
}
