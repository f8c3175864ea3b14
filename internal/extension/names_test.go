package extension

import (
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/record"
)

// Compositions and recordings tell the names of their stages and channels, for as long as these exist.
func TestNames(t *testing.T) {
	h := newHouse(t)
	channel, err := h.Control.IVS().CreateChannel(t.Context(), &ivs.CreateChannelRequest{Name: new("main")})
	if err != nil {
		t.Fatal(err)
	}
	stage, err := h.Control.RealTime().CreateStage(t.Context(), &ivsrealtime.CreateStageRequest{Name: new("evening")})
	if err != nil {
		t.Fatal(err)
	}
	channelARN, stageARN := *channel.Channel.Arn, *stage.Stage.Arn
	h.play(testID, composition.Active)
	s := h.compositions[testID]
	s.Record.StageARN, s.Record.Destinations[0].ChannelARN = stageARN, channelARN
	h.compositions[testID] = s
	h.play("Strangers123", composition.Active) // of a stage and a channel that are not there
	for i, spec := range []record.Spec{
		{ID: "ofStage12345", Kind: record.Composite, StageARN: stageARN},
		{ID: "ofChannel123", Kind: record.Channel, ChannelARN: channelARN},
	} {
		spec.Started = time.Now().Add(-time.Duration(i) * time.Minute)
		h.Control.ObserveRecording(record.Event{Kind: "Some", Time: spec.Started, Status: record.Status{Spec: spec}})
	}
	if err := h.Control.RecordingsNoted(t.Context()); err != nil {
		t.Fatal(err)
	}

	check := func(stageName, channelName string) {
		t.Helper()
		var program Program
		h.must("GET", "/footlight/v1/compositions", "", &program)
		for _, c := range program.Compositions {
			want := [2]string{}
			if c.ID == testID {
				want = [2]string{stageName, channelName}
			}
			if got := [2]string{c.StageName, c.Destinations[0].ChannelName}; got != want {
				t.Errorf("%s has the names %q, want %q", c.ID, got, want)
			}
		}
		var one Details
		h.must("GET", "/footlight/v1/compositions/"+testID, "", &one)
		if one.StageName != stageName || one.Destinations[0].ChannelName != channelName {
			t.Errorf("%q, %q", one.StageName, one.Destinations[0].ChannelName)
		}
		var all Recordings
		h.must("GET", "/footlight/v1/recordings", "", &all)
		if len(all.Recordings) != 2 || all.Recordings[0].StageName != stageName || all.Recordings[1].ChannelName != channelName {
			t.Errorf("%+v", all.Recordings)
		}
		var recording Recording
		h.must("GET", "/footlight/v1/recordings/ofStage12345", "", &recording)
		if recording.StageName != stageName || recording.ChannelName != "" {
			t.Errorf("%+v", recording)
		}
	}
	check("evening", "main")
	if _, err := h.Control.RealTime().UpdateStage(t.Context(), &ivsrealtime.UpdateStageRequest{Arn: &stageARN, Name: new("night")}); err != nil {
		t.Fatal(err)
	}
	check("night", "main")
	if err := h.Control.RealTime().DeleteStage(t.Context(), &ivsrealtime.DeleteStageRequest{Arn: &stageARN}); err != nil {
		t.Fatal(err)
	}
	if err := h.Control.IVS().DeleteChannel(t.Context(), &ivs.DeleteChannelRequest{Arn: &channelARN}); err != nil {
		t.Fatal(err)
	}
	check("", "")
}
