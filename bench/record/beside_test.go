package recording

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/test/harness"
)

// BenchmarkBeside composes two participants to a channel, alone and with a recording of equal settings beside it, in turns: the
// ratio is the median over pairs of the processor time of server and composer. FOOTLIGHT_PAIRS (3) pairs of
// FOOTLIGHT_BESIDE (20s) each. Goal: 1.03.
func BenchmarkBeside(b *testing.B) {
	length, pairs := setting(b, "FOOTLIGHT_BESIDE", 20*time.Second), 3
	if text := os.Getenv("FOOTLIGHT_PAIRS"); text != "" {
		var err error
		if pairs, err = strconv.Atoi(text); err != nil || pairs < 1 {
			b.Fatalf("FOOTLIGHT_PAIRS is %q", text)
		}
	}
	s := harness.StartServer(b)
	stage, channel := s.CreateStage("bench"), s.CreateChannel("bench")
	for i := range 2 {
		s.Publish(stage, i, fmt.Sprintf("P%d", i))
	}
	s.WaitPublishing(stage, 2)
	encoder := s.CreateEncoder(1280, 720, 30, bitRate)
	storage, err := s.RealTime.CreateStorageConfiguration(b.Context(), &ivsrealtime.CreateStorageConfigurationInput{S3: &types.S3StorageConfiguration{BucketName: new("recordings")}})
	if err != nil {
		b.Fatal(err)
	}
	cost := func(change ...func(*ivsrealtime.StartCompositionInput)) float64 {
		c := s.StartComposition(stage, channel, encoder, change...)
		s.WaitDestination(c.Arn, types.DestinationStateActive)
		time.Sleep(2 * time.Second) // the start is not what is measured
		composer := s.Composers()[0]
		before, began := cpuSeconds(b, composer)+cpuSeconds(b, s.PID()), time.Now()
		time.Sleep(length)
		cores := (cpuSeconds(b, composer) + cpuSeconds(b, s.PID()) - before) / time.Since(began).Seconds()
		if _, err := s.RealTime.StopComposition(b.Context(), &ivsrealtime.StopCompositionInput{Arn: c.Arn}); err != nil {
			b.Fatal(err)
		}
		s.WaitComposition(c.Arn, types.CompositionStateStopped)
		return cores
	}
	var alone, beside, ratios []float64
	for range pairs {
		alone = append(alone, cost())
		beside = append(beside, cost(func(in *ivsrealtime.StartCompositionInput) {
			in.Destinations = append(in.Destinations, types.DestinationConfiguration{S3: &types.S3DestinationConfiguration{
				StorageConfigurationArn: storage.StorageConfiguration.Arn, EncoderConfigurationArns: []string{encoder},
			}})
		}))
		ratios = append(ratios, beside[len(beside)-1]/alone[len(alone)-1])
	}
	keep(b, map[string]float64{"alone-cores": median(alone), "with-recording-cores": median(beside), "ratio": median(ratios),
		"ratio-least": slices.Min(ratios), "ratio-most": slices.Max(ratios), "pairs": float64(pairs)})
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// cpuSeconds is the processor time that a process has used.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return (user + system) / 100 // clock ticks are 10 ms on Linux
}
