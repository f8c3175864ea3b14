package recording

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
)

const (
	// besideRounds is how often both cases are measured.
	besideRounds = 8
	// besidePeople are how many are composed.
	besidePeople = 4
)

// BenchmarkBeside composes four people to a channel alone, and four to a channel with a recording of the same settings beside
// it, each for FOOTLIGHT_RECORD (10s) on a server of its own, both at the same time, so that whatever else the machine does
// concerns both. After each round the servers change places. The figure is what the second one costs more, in server and
// composer together: the median over pairs of rounds, in which each server has had both parts.
func BenchmarkBeside(b *testing.B) {
	length := setting(b, "FOOTLIGHT_RECORD", 10*time.Second)
	houses := []*house{newHouse(b), newHouse(b)}
	var ratios, alone, more []float64
	for round := range besideRounds {
		arns := make([]*string, 2)
		for i, h := range houses {
			arns[i] = h.begin(b, (round+i)%2 == 1)
		}
		for i, h := range houses {
			h.active(b, arns[i])
		}
		time.Sleep(3 * time.Second) // what begins is no measure
		var before, cores [2]float64
		for i, h := range houses {
			before[i] = h.cpu(b)
		}
		time.Sleep(length)
		for i, h := range houses {
			cores[(round+i)%2] = (h.cpu(b) - before[i]) / length.Seconds()
		}
		for i, h := range houses {
			h.end(b, arns[i])
		}
		b.Logf("%.3f cores alone, %.3f with a recording", cores[0], cores[1])
		alone, more, ratios = append(alone, cores[0]), append(more, cores[1]-cores[0]), append(ratios, cores[1]/cores[0])
	}
	var pairs []float64
	for i := 0; i < len(ratios); i += 2 {
		pairs = append(pairs, math.Sqrt(ratios[i]*ratios[i+1]))
	}
	keep(b, map[string]float64{
		"rounds": besideRounds, "people": besidePeople, "channel-alone-cores": median(alone),
		"more-with-recording-percent": 100 * (median(pairs) - 1), "more-with-recording-percent-of-a-core": 100 * median(more),
	})
}

// median is the middle of some figures, which it sorts.
func median(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// house is a server with people on a stage.
type house struct {
	*harness.Server
	stage         *types.Stage
	alone, beside []types.DestinationConfiguration
}

func newHouse(b *testing.B) *house {
	b.Helper()
	s := harness.StartServer(b)
	h := &house{Server: s, stage: s.CreateStage("beside")}
	channel, encoder := s.CreateChannel("beside"), s.CreateEncoder(1280, 720, 30, 2_500_000)
	storage, err := s.RealTime.CreateStorageConfiguration(b.Context(), &ivsrealtime.CreateStorageConfigurationInput{
		S3: &types.S3StorageConfiguration{BucketName: new(bucket)},
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := range besidePeople {
		s.Publish(h.stage, i, fmt.Sprint("P", i), func(p *synth.Publisher) { p.FrameRate = 15 }) // two cores have to encode eight
		s.WaitPublishing(h.stage, i+1)
	}
	h.alone = []types.DestinationConfiguration{{Channel: &types.ChannelDestinationConfiguration{ChannelArn: channel.Arn, EncoderConfigurationArn: &encoder}}}
	h.beside = append(slices.Clone(h.alone), types.DestinationConfiguration{S3: &types.S3DestinationConfiguration{
		StorageConfigurationArn: storage.StorageConfiguration.Arn, EncoderConfigurationArns: []string{encoder},
	}})
	return h
}

func (h *house) begin(b *testing.B, recorded bool) *string {
	b.Helper()
	to := h.alone
	if recorded {
		to = h.beside
	}
	out, err := h.RealTime.StartComposition(b.Context(), &ivsrealtime.StartCompositionInput{StageArn: h.stage.Arn, Destinations: to})
	if err != nil {
		b.Fatal(err)
	}
	return out.Composition.Arn
}

func (h *house) active(b *testing.B, arn *string) {
	b.Helper()
	harness.Eventually(b, time.Minute, "all destinations are active", func(ctx context.Context) error {
		out, err := h.RealTime.GetComposition(ctx, &ivsrealtime.GetCompositionInput{Arn: arn})
		if err != nil {
			return err
		}
		for _, d := range out.Composition.Destinations {
			if d.State != types.DestinationStateActive {
				return fmt.Errorf("one is %s", d.State)
			}
		}
		return nil
	})
}

func (h *house) end(b *testing.B, arn *string) {
	b.Helper()
	if _, err := h.RealTime.StopComposition(b.Context(), &ivsrealtime.StopCompositionInput{Arn: arn}); err != nil {
		b.Fatal(err)
	}
	h.WaitComposition(arn, types.CompositionStateStopped)
}

// cpu is the processor time that server and composer have used, in seconds, with all their threads.
func (h *house) cpu(b *testing.B) (sum float64) {
	b.Helper()
	for _, pid := range append(h.Composers(), h.PID()) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, field := range fields[11:13] { // of the user and of the system, in ticks of 10 ms
			ticks, err := strconv.ParseFloat(field, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += ticks / 100
		}
	}
	return sum
}
