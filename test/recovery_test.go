package test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

// TestComposerKilled kills the composer as kill -9 does: the same playlist goes on after a discontinuity.
func TestComposerKilled(t *testing.T) {
	s := harness.StartServer(t)
	channel, stage := s.CreateChannel("killed"), s.CreateStage("killed")
	s.Publish(stage, 3, "Ada")
	s.WaitPublishing(stage, 1)
	composition := s.StartComposition(stage, channel, "")
	s.WaitDestination(composition.Arn, types.DestinationStateActive)
	harness.WaitPlayable(t, *channel.PlaybackUrl)
	variant := variantURL(t, *channel.PlaybackUrl)
	before, err := harness.MediaSequence(t.Context(), variant)
	if err != nil {
		t.Fatal(err)
	}

	pids := s.Composers()
	if len(pids) != 1 {
		t.Fatalf("composers: %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 20*time.Second, "the same playlist goes on", func(ctx context.Context) error {
		playlist, err := harness.Get(ctx, variant)
		if err == nil && !strings.Contains(playlist, "#EXT-X-DISCONTINUITY\n") {
			err = errors.New("no discontinuity")
		}
		if err == nil && strings.Contains(playlist, "#EXT-X-ENDLIST") {
			t.Fatal("the playlist ended")
		}
		return err
	})
	after, err := harness.MediaSequence(t.Context(), variant)
	if err != nil || after < before {
		t.Errorf("media sequence went from %d to %d, %v", before, after, err)
	}
	s.WaitDestination(composition.Arn, types.DestinationStateActive)
	got, err := s.RealTime.GetComposition(t.Context(), &ivsrealtime.GetCompositionInput{Arn: composition.Arn})
	if err != nil || got.Composition.State != types.CompositionStateActive {
		t.Errorf("composition after the crash: %s, %v", harness.JSON(got), err)
	}
	c := record(t, *channel.PlaybackUrl, settled+2*time.Second, 1)
	seen(t, c, settled, judge.Forever, 3)
}

// TestServerKilled kills the server as kill -9 does: nothing acknowledged is lost, and the composition is live
// again after the restart.
func TestServerKilled(t *testing.T) {
	s := harness.StartServer(t)
	channel, stage := s.CreateChannel("killed"), s.CreateStage("killed")
	s.Publish(stage, 4, "Ada")
	s.WaitPublishing(stage, 1)
	composition := s.StartComposition(stage, channel, "")
	s.WaitDestination(composition.Arn, types.DestinationStateActive)
	harness.WaitPlayable(t, *channel.PlaybackUrl)
	variant := variantURL(t, *channel.PlaybackUrl)
	before, err := harness.MediaSequence(t.Context(), variant)
	if err != nil {
		t.Fatal(err)
	}
	pids := s.Composers()

	s.Kill()
	s.Start()
	start := time.Now()
	for _, pid := range pids {
		harness.Eventually(t, 10*time.Second, "the old composer is gone", func(context.Context) error {
			if err := syscall.Kill(pid, 0); err == nil {
				return fmt.Errorf("process %d lives", pid)
			}
			return nil
		})
	}
	s.WaitComposition(composition.Arn, types.CompositionStateActive)
	harness.WaitPlayable(t, *channel.PlaybackUrl)
	t.Logf("live again %.1f s after the restart", time.Since(start).Seconds())
	after, err := harness.MediaSequence(t.Context(), variantURL(t, *channel.PlaybackUrl))
	if err != nil || after < before {
		t.Errorf("media sequence went from %d to %d, %v", before, after, err)
	}
	// The publisher comes back by itself.
	s.WaitPublishing(stage, 1)
	c := record(t, *channel.PlaybackUrl, settled+2*time.Second, 1)
	seen(t, c, settled, judge.Forever, 4)
}
