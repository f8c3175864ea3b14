package control

import (
	"context"
	"errors"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/store"
)

// streamObserver writes what live streams report into the stream sessions, by way of the stream journal.
type streamObserver struct{ c *Control }

// Observe does not block.
func (o streamObserver) Observe(e channel.Event) {
	a, err := arn.Parse(e.Stream.ChannelARN)
	if err != nil {
		o.c.Log.Error("a live stream has no channel", "stream", e.Stream.ID, "error", err)
		return
	}
	o.c.tapes.observe(o.c, a.ID, e)
	o.c.streamJournal.observe(func(ctx context.Context) error { return o.c.recordStream(ctx, a.ID, e) })
}

// recordStream runs on the journal's goroutine, so nobody else changes the session meanwhile.
func (c *Control) recordStream(ctx context.Context, channelID string, e channel.Event) error {
	r, _, err := c.channels.Get(ctx, channelID)
	if errors.Is(err, store.ErrNotFound) {
		// Deleted while the publisher was connecting. Its history went with it.
		c.stopOrphan(e.Stream.ChannelARN)
		return nil
	}
	if err != nil {
		return err
	}
	if e.Stream.ID == "" { // refused before there was a stream
		return c.publishStream(ctx, channelID, e.ChannelName, "", e)
	}
	s, _, err := c.streamSessions.Get(ctx, channelID+"/"+e.Stream.ID)
	if errors.Is(err, store.ErrNotFound) {
		r.StreamKey = nil
		recording, failed := c.recordingOf(ctx, r)
		if failed != nil {
			return failed
		}
		s, err = streamSessionRecord{ChannelID: channelID, ID: e.Stream.ID, Start: e.Stream.StartTime, Channel: r, Recording: recording}, nil
	}
	if err != nil {
		return err
	}
	s.learn(e.Stream)
	s.add(streamEventRecord{Name: string(e.Kind), Time: e.Time, Code: e.Code})
	if e.Kind == channel.SessionEnded {
		s.End = e.Time
	}
	if err := c.streamSessions.Put(ctx, s.key(), s); err != nil {
		return err
	}
	return c.publishStream(ctx, channelID, s.Channel.Name, s.ID, e)
}

// sweepStreamSessions ends what an earlier process left open and deletes what belongs to no channel.
func (c *Control) sweepStreamSessions(ctx context.Context, sessions []streamSessionRecord, channels map[string]bool) error {
	now := c.Now()
	for _, s := range sessions {
		if !channels[s.ChannelID] {
			if err := c.streamSessions.DeletePrefix(ctx, s.ChannelID+"/"); err != nil {
				return err
			}
			continue
		}
		if !s.End.IsZero() {
			continue
		}
		s.End = now
		missed := []channel.EventKind{channel.SessionEnded}
		if last := len(s.Events) - 1; s.Started && (last < 0 || s.Events[last].Name != string(channel.StreamEnd)) {
			missed = []channel.EventKind{channel.StreamEnd, channel.SessionEnded}
		}
		for _, kind := range missed {
			s.add(streamEventRecord{Name: string(kind), Time: now})
			if err := c.publishStream(ctx, s.ChannelID, s.Channel.Name, s.ID, channel.Event{Kind: kind, Time: now}); err != nil {
				return err
			}
		}
		if err := c.streamSessions.Put(ctx, s.key(), s); err != nil {
			return err
		}
	}
	return nil
}
