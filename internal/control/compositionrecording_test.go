package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/objectstore"
)

func (f *composing) newStorage(t *testing.T) string {
	t.Helper()
	return text(t, f.must(t, "CreateStorageConfiguration", `{"s3":{"bucketName":"recordings"}}`), "storageConfiguration", "arn")
}

func TestRecordingDestination(t *testing.T) {
	f := startComposing(t)
	storage := f.newStorage(t)
	start := func(more string) map[string]any {
		t.Helper()
		return f.must(t, "StartComposition", fmt.Sprintf(`{"stageArn":%q,"destinations":[{"name":"tape","s3":{"storageConfigurationArn":%q,"encoderConfigurationArns":[%q]%s}}]}`,
			f.stage, storage, f.coding, more))
	}
	for more, want := range map[string][2]string{
		"": {"2", ""},
		`,"recordingConfiguration":{"hlsConfiguration":{"targetSegmentDurationSeconds":7}},"thumbnailConfigurations":[{"targetIntervalSeconds":5,"storage":["LATEST"]}]`: {
			"7", `,"thumbnailConfigurations":[{"targetIntervalSeconds":5,"storage":["LATEST"]}]`},
		`,"recordingConfiguration":{"format":"HLS"},"thumbnailConfigurations":[{}]`: {"2", `,"thumbnailConfigurations":[{}]`},
	} {
		out := start(more)
		name, began, id := text(t, out, "composition", "arn"), text(t, out, "composition", "startTime"), text(t, out, "composition", "destinations", 0, "id")
		composition, _ := arn.Parse(name)
		stage, _ := arn.Parse(f.stage)
		golden := fmt.Sprintf(`{"composition":{"arn":%q,"stageArn":%q,"state":"STARTING","startTime":%q,"tags":{},"layout":%s,
			"destinations":[{"id":%q,"state":"STARTING","detail":{"s3":{"recordingPrefix":"%s/%s/%s/composite"}},
			"configuration":{"name":"tape","s3":{"storageConfigurationArn":%q,"encoderConfigurationArns":[%q],
			"recordingConfiguration":{"format":"HLS","hlsConfiguration":{"targetSegmentDurationSeconds":%s}}%s}}}]}}`,
			name, f.stage, began, goldenGrid, id, stage.ID, composition.ID, id, storage, f.coding, want[0], want[1])
		echo(t, out, golden)
		echo(t, f.must(t, "GetComposition", fmt.Sprintf(`{"arn":%q}`, name)), golden)
	}
	f.refused(t, "DeleteStorageConfiguration", fmt.Sprintf(`{"arn":%q}`, storage), 409, "ConflictException", "in use")
}

// TestMP4Tag starts compositions with the tag that asks for an MP4.
func TestMP4Tag(t *testing.T) {
	f := startComposing(t)
	body := func(tags string) string {
		return fmt.Sprintf(`{"stageArn":%q,"destinations":[{"s3":{"storageConfigurationArn":%q,"encoderConfigurationArns":[%q]}}],"tags":%s}`,
			f.stage, f.newStorage(t), f.coding, tags)
	}
	for tags, want := range map[string]bool{`{"footlight:mp4":"on"}`: true, `{"other":"on"}`: false} {
		a, _ := arn.Parse(text(t, f.must(t, "StartComposition", body(tags)), "composition", "arn"))
		r, err := f.manager.Get(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s := compositeSpec(r, r.Destinations[0], f.Now()); s.MP4 != want {
			t.Errorf("%s: %v", tags, s.MP4)
		}
	}
	f.refused(t, "StartComposition", body(`{"footlight:mp4":"yes"}`), 400, "ValidationException", "footlight:mp4")
	f.refused(t, "StartComposition", f.body(f.newChannel(t), `"tags":{"footlight:mp4":"on"}`), 400, "ValidationException", "no destination is a recording")
}

func TestRecordingKey(t *testing.T) {
	f := startComposing(t)
	out := f.must(t, "StartComposition", fmt.Sprintf(`{"stageArn":%q,"destinations":[{"s3":{"storageConfigurationArn":%q,"encoderConfigurationArns":[%q]}}]}`, f.stage, f.newStorage(t), f.coding))
	a, _ := arn.Parse(text(t, out, "composition", "arn"))
	r, err := f.manager.Get(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	job, err := f.CompositionJob(t.Context(), r)
	if err != nil || len(job.Outputs) != 1 || !strings.HasPrefix(job.Outputs[0].StreamKey, channel.RecordingKey) {
		t.Fatalf("job %+v, %v", job.Outputs, err)
	}
	key := job.Outputs[0].StreamKey
	for _, bad := range []string{"", "rec_", key + "x", key[:len(key)-1], strings.Replace(key, a.ID, "AAAAAAAAAAAA", 1), f.recordingKey("AAAAAAAAAAAA", "BBBBBBBBBBBB"), f.recordingKey(a.ID, "BBBBBBBBBBBB")} {
		if _, _, err := f.OpenRecording(t.Context(), bad); !errors.Is(err, channel.ErrUnknownStreamKey) {
			t.Errorf("key %q: %v", bad, err)
		}
	}
	if _, gone, err := f.OpenRecording(t.Context(), key); err != nil {
		t.Errorf("the right key: %v", err)
	} else {
		gone()
	}
	// A bucket that cannot be written to is a refusal for good.
	for err, want := range map[error]string{
		recordingRefusal(objectstore.ErrDenied):   "AccessDeniedException",
		recordingRefusal(objectstore.ErrNoBucket): "ResourceNotFoundException",
	} {
		if r, ok := wire.ParseRefusal(err.Error()); !ok || r.Code != want {
			t.Errorf("%v is %+v", err, r)
		}
	}
	f.must(t, "StopComposition", fmt.Sprintf(`{"arn":%q}`, text(t, out, "composition", "arn")))
	if _, _, err := f.OpenRecording(t.Context(), key); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("the key of a composition that ends: %v", err)
	}
}
