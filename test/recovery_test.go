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

// TestPeopleComeAndGo follows who is in the picture while people come, go, fall silent and change.
func TestPeopleComeAndGo(t *testing.T) {
	s := harness.StartServer(t)
	channel, stage := s.CreateChannel("people"), s.CreateStage("people")
	ada := s.Publish(stage, 0, "Ada")
	s.WaitPublishing(stage, 1)
	composition := s.StartComposition(stage, channel, "")
	s.WaitDestination(composition.Arn, types.DestinationStateActive)

	harness.WaitPlayable(t, *channel.PlaybackUrl)
	alone := record(t, *channel.PlaybackUrl, settled+2*time.Second, 1)
	seen(t, alone, settled, judge.Forever, 0)

	grace := s.Publish(stage, 5, "Grace")
	s.WaitPublishing(stage, 2)
	two := record(t, *channel.PlaybackUrl, settled+2*time.Second, 2)
	seen(t, two, settled, judge.Forever, 0, 5)

	if err := ada.Close(); err != nil {
		t.Errorf("Ada leaves: %v", err)
	}
	s.WaitPublishing(stage, 1)
	one := record(t, *channel.PlaybackUrl, settled+2*time.Second, 1)
	seen(t, one, settled, judge.Forever, 5)
	if tones := one.Tones(settled, judge.Forever); len(tones) != 1 || tones[0] != 5 {
		t.Errorf("the mix holds the tones of %v, want 5 only", tones)
	}
	grace.Close()
}
