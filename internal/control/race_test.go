package control

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
)

// outcomes counts what concurrent calls of an operation came to, by error code; "" is success.
func outcomes(n int, call func(i int) error) map[string]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := map[string]int{}
	for i := range n {
		wg.Go(func() {
			err := call(i)
			code := sdkCode(err)
			if err != nil && code == "" {
				code = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			count[code]++
		})
	}
	wg.Wait()
	return count
}

// TestSameDeleteTwice: of deletes that race exactly one succeeds; the others learn that there is nothing.
func TestSameDeleteTwice(t *testing.T) {
	f := start(t)
	channel := f.must(t, "CreateChannel", `{}`)
	stage := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	encoder := text(t, f.must(t, "CreateEncoderConfiguration", `{}`), "encoderConfiguration", "arn")
	for name, remove := range map[string]func(int) error{
		"stream key": func(int) error {
			_, err := f.ivs.DeleteStreamKey(t.Context(), &ivssdk.DeleteStreamKeyInput{Arn: aws.String(text(t, channel, "streamKey", "arn"))})
			return err
		},
		"stage": func(int) error {
			_, err := f.rt.DeleteStage(t.Context(), &rtsdk.DeleteStageInput{Arn: &stage})
			return err
		},
		"encoder configuration": func(int) error {
			_, err := f.rt.DeleteEncoderConfiguration(t.Context(), &rtsdk.DeleteEncoderConfigurationInput{Arn: &encoder})
			return err
		},
	} {
		if got := outcomes(8, remove); got[""] != 1 || got["ResourceNotFoundException"] != 7 {
			t.Errorf("delete of a %s: %v", name, got)
		}
	}
	got := outcomes(8, func(int) error {
		_, err := f.ivs.DeleteChannel(t.Context(), &ivssdk.DeleteChannelInput{Arn: aws.String(text(t, channel, "channel", "arn"))})
		return err
	})
	if got[""] != 1 || got["ResourceNotFoundException"] != 7 {
		t.Errorf("delete of a channel: %v", got)
	}
	f.noOrphans(t)
}

// TestOneStreamKey: of several new keys for one channel exactly one comes to be.
func TestOneStreamKey(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{}`)
	name := text(t, created, "channel", "arn")
	f.must(t, "DeleteStreamKey", fmt.Sprintf(`{"arn":%q}`, text(t, created, "streamKey", "arn")))
	got := outcomes(8, func(int) error {
		_, err := f.ivs.CreateStreamKey(t.Context(), &ivssdk.CreateStreamKeyInput{ChannelArn: &name})
		return err
	})
	if got[""] != 1 || got["ServiceQuotaExceededException"] != 7 {
		t.Errorf("create stream key: %v", got)
	}
	if keys, err := f.streamKeys.List(t.Context(), ""); err != nil || len(keys) != 1 {
		t.Errorf("%d stream keys in the index, %v", len(keys), err)
	}
}

// TestCreateAgainstDelete: keys are made for a channel while it is deleted. Whoever wins, nothing is left over.
func TestCreateAgainstDelete(t *testing.T) {
	f := start(t)
	for range 5 {
		created := f.must(t, "CreateChannel", `{}`)
		name := text(t, created, "channel", "arn")
		f.must(t, "DeleteStreamKey", fmt.Sprintf(`{"arn":%q}`, text(t, created, "streamKey", "arn")))
		got := outcomes(6, func(i int) error {
			if i == 3 {
				_, err := f.ivs.DeleteChannel(t.Context(), &ivssdk.DeleteChannelInput{Arn: &name})
				return err
			}
			_, err := f.ivs.CreateStreamKey(t.Context(), &ivssdk.CreateStreamKeyInput{ChannelArn: &name})
			return err
		})
		if got[""] < 1 || got[""]+got["ResourceNotFoundException"]+got["ServiceQuotaExceededException"] != 6 {
			t.Errorf("outcomes %v", got)
		}
		f.noOrphans(t)
	}
}

// TestQuotaRace: creates that race do not get past the quota.
func TestQuotaRace(t *testing.T) {
	f := start(t, func(c *Control) { c.Quotas.Channels, c.Quotas.Stages = 3, 3 })
	channels := outcomes(10, func(int) error {
		_, err := f.ivs.CreateChannel(t.Context(), &ivssdk.CreateChannelInput{})
		return err
	})
	stages := outcomes(10, func(int) error {
		_, err := f.rt.CreateStage(t.Context(), &rtsdk.CreateStageInput{})
		return err
	})
	for what, got := range map[string]map[string]int{"channels": channels, "stages": stages} {
		if got[""] != 3 || got["ServiceQuotaExceededException"] != 7 {
			t.Errorf("create %s: %v", what, got)
		}
	}
}

// TestReadYourWrites: what a write acknowledged is there for the next read, whoever asks.
func TestReadYourWrites(t *testing.T) {
	f := start(t)
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for i := range 6 {
		wg.Go(func() {
			for j := range 5 {
				name := fmt.Sprintf("c%d-%d", i, j)
				out, err := f.ivs.CreateChannel(t.Context(), &ivssdk.CreateChannelInput{Name: &name})
				if err != nil {
					t.Error(err)
					return
				}
				list, err := f.ivs.ListChannels(t.Context(), &ivssdk.ListChannelsInput{FilterByName: &name})
				if err != nil || len(list.Channels) != 1 || *list.Channels[0].Arn != *out.Channel.Arn {
					wrong.Add(1)
				}
				if got, err := f.ivs.GetChannel(t.Context(), &ivssdk.GetChannelInput{Arn: out.Channel.Arn}); err != nil || *got.Channel.Name != name {
					wrong.Add(1)
				}
				if _, err := f.ivs.DeleteChannel(t.Context(), &ivssdk.DeleteChannelInput{Arn: out.Channel.Arn}); err != nil {
					t.Error(err)
				}
				if _, err := f.ivs.GetChannel(t.Context(), &ivssdk.GetChannelInput{Arn: out.Channel.Arn}); sdkCode(err) != "ResourceNotFoundException" {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d reads did not see the write before them", wrong.Load())
	}
}

// TestSweep: what a crash between two writes leaves is gone after the next start.
func TestSweep(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{}`)
	if _, err := f.newStreamKey(t.Context(), "neverMade", nil); err != nil { // CreateChannel, cut off
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(text(t, created, "channel", "arn"), "/")
	if _, err := f.newStreamKey(t.Context(), id, nil); err != nil { // CreateStreamKey, cut off
		t.Fatal(err)
	}
	if err := f.streamSessions.Put(t.Context(), "gone/st-1", streamSessionRecord{ChannelID: "gone", ID: "st-1"}); err != nil { // DeleteChannel, cut off
		t.Fatal(err)
	}
	f.restart(t)
	keys, err := f.streamKeys.List(t.Context(), "")
	if err != nil || len(keys) != 1 || f.streamKeyARN(keys[0].ID) != text(t, created, "streamKey", "arn") {
		t.Errorf("stream keys %+v, %v", keys, err)
	}
	f.must(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, text(t, created, "channel", "arn")))
	f.noOrphans(t)
}
