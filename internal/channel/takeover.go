package channel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostTakeovers is how often one stream can be taken over (spec/lowlatency.md §3).
const mostTakeovers = 100

// Codes of StreamTakeoverFailure.
const (
	codeMediaMismatch   = "StreamTakeoverMediaMismatch"
	codeInvalidPriority = "StreamTakeoverInvalidPriority"
	codeTakeoverLimit   = "StreamTakeoverLimitBreached"
)

// takeoverError refuses a publisher that wants to take a stream over.
type takeoverError struct{ code, text string }

func (e takeoverError) Error() string { return "stream takeover: " + e.text }

var (
	errTakenOver       = errors.New("another publisher with a greater priority has taken the stream over")
	errPendingTakeover = errors.New("another publisher is taking the stream over at this moment")
)

// parsePriority reads the priority of a stream key; empty is 0, none.
func parsePriority(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return 0, takeoverError{codeInvalidPriority, "the priority must be a number from 1 to 2147483647"}
	}
	return int(n), nil
}

// challenge lets a publisher in beside the present one. It replaces that one with its first frames, when they are
// of the same kind; until then the stream goes on as it is.
func (l *live) challenge(in *ingest) error {
	switch {
	case in.priority <= l.in.priority:
		return l.refuseTakeover(takeoverError{codeInvalidPriority,
			fmt.Sprintf("the priority must be greater than the %d of the present publisher", l.in.priority)})
	case l.takeovers >= mostTakeovers:
		return l.refuseTakeover(takeoverError{codeTakeoverLimit, fmt.Sprintf("this stream has been taken over %d times", mostTakeovers)})
	case l.challenger != nil:
		return errPendingTakeover
	}
	l.accept(in)
	l.challenger = in
	return nil
}

// refuseTakeover tells of a takeover that failed.
func (l *live) refuseTakeover(err takeoverError) error {
	l.log.Warn("stream takeover failed", "code", err.code, "reason", err.text)
	l.observe(Event{Kind: StreamTakeoverFailure, Code: err.code, Reason: err.text})
	return err
}

// takeOver puts the challenger, whose first frames have these parameters, in the place of the present publisher.
func (l *live) takeOver(pictures []*picture) error {
	if old := l.in.feed.open(); len(old) > 0 {
		was, is := sizes(old), sizes(pictures)
		if was != is {
			return takeoverError{codeMediaMismatch, fmt.Sprintf("the picture must be %s as before, not %s", was, is)}
		}
		// H.264 and AAC are the only codecs that there are.
		if (l.in.feed.audio == nil) != (l.challenger.feed.audio == nil) {
			return takeoverError{codeMediaMismatch, "there must be sound exactly if there was sound before"}
		}
	}
	l.in.cut(errTakenOver)
	l.succeed("taken over")
	return nil
}

// sizes lists those of pictures, in the order of their tracks.
func sizes(pictures []*picture) string {
	byTrack := slices.SortedFunc(slices.Values(pictures), func(a, b *picture) int { return a.track - b.track })
	var all []string
	for _, p := range byTrack {
		w, h := p.sets.size()
		all = append(all, fmt.Sprintf("%dx%d", w, h))
	}
	return strings.Join(all, " and ")
}

// succeed makes the challenger the publisher of the stream.
func (l *live) succeed(why string) {
	l.meter.gone = l.received()
	if err := l.in.feed.interrupt(); err != nil {
		l.log.Error("cannot close the last segment", "error", err)
	}
	l.in.finish()
	l.takeovers++
	l.in, l.challenger = l.challenger, nil
	l.identity, l.source = l.in.identity, l.in.publisher.Source
	if t := l.in.coder; t != nil && t.running {
		l.coder.Store(t)
	}
	l.log.Info("publisher replaced", "remote", l.in.remote, "priority", l.in.priority, "reason", why)
	l.observe(Event{Kind: StreamTakeover})
}

// dropChallenger ends an attempt to take the stream over.
func (l *live) dropChallenger(err error) {
	l.log.Warn("publisher cut", "remote", l.challenger.remote, "error", err)
	l.challenger.cut(err)
	l.challenger.finish()
	l.challenger = nil
	if refused, ok := errors.AsType[takeoverError](err); ok {
		l.refuseTakeover(refused)
	}
}

// checkChallenger gives up on one that brings no picture.
func (l *live) checkChallenger(now time.Time) {
	if l.challenger != nil && now.Sub(l.challenger.came) > videoDeadline {
		l.dropChallenger(takeoverError{codeMediaMismatch, errNothingPlayable.Error()})
	}
}
