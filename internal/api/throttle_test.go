package api

import (
	"errors"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	clock := time.Unix(1_800_000_000, 0)
	throttle := &Throttle{Now: func() time.Time { return clock }}
	taken := func(op Operation) (n int) {
		for {
			err := throttle.Allow(op)
			if err == nil {
				n++
				continue
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 429 || e.Code != "ThrottlingException" {
				t.Fatalf("refused with %v", err)
			}
			return n
		}
	}
	for name, rate := range map[string]int{
		"CreateStage": 5, "GetStage": 5, "ListChannels": 5, "BatchGetChannel": 5, "GetStorageConfiguration": 5, "CreateEncoderConfiguration": 5,
		"CreateParticipantToken": 50, "PutMetadata": 155, "InsertAdBreak": 1,
		"StartViewerSessionRevocation": 10, "BatchStartViewerSessionRevocation": 2,
		"ListTagsForResource": 10, "TagResource": 10, "UntagResource": 10,
		"ImportPublicKey": 3, "ListPublicKeys": 3, "ImportPlaybackKeyPair": 3, "ListPlaybackKeyPairs": 3,
		"CreateRecordingConfiguration": 3, "ListRecordingConfigurations": 3, "DeleteAdConfiguration": 3, "ListAdConfigurations": 3,
	} {
		op := Operation{Service: "s", Name: name}
		if n := taken(op); n != rate {
			t.Errorf("%s: %d at once, want %d", name, n, rate)
		}
		clock = clock.Add(time.Second)
		if n := taken(op); n != rate {
			t.Errorf("%s: %d after a second, want %d", name, n, rate)
		}
		clock = clock.Add(time.Hour)
		if n := taken(op); n != rate {
			t.Errorf("%s: %d after an hour, want %d", name, n, rate)
		}
		clock = clock.Add(time.Second / time.Duration(rate) * 11 / 10)
		if n := taken(op); n != 1 {
			t.Errorf("%s: %d after the time of one, want 1", name, n)
		}
	}
	if n := taken(Operation{Service: "other", Name: "TagResource"}); n != 10 {
		t.Errorf("the services share a bucket: %d", n)
	}
}

func TestReads(t *testing.T) {
	for name, reads := range map[string]bool{
		"GetStage": true, "ListStages": true, "BatchGetChannel": true, "ListTagsForResource": true,
		"CreateStage": false, "BatchStartViewerSessionRevocation": false, "StopStream": false, "PutMetadata": false, "CreateParticipantToken": false,
	} {
		if got := (Operation{Name: name}).Reads(); got != reads {
			t.Errorf("%s reads: %v", name, got)
		}
	}
}
