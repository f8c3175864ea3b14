package control

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"

	"github.com/footlight-live/footlight/internal/objectstore"
)

func TestRecordingConfigurationEcho(t *testing.T) {
	f := start(t)
	const destination = `"destinationConfiguration":{"s3":{"bucketName":"my-bucket"}}`
	const thumbnails = `"thumbnailConfiguration":{"recordingMode":"INTERVAL","targetIntervalSeconds":60,"storage":["SEQUENTIAL"]}`
	const renditions = `"renditionConfiguration":{"renditionSelection":"ALL","renditions":[]}`
	const window = `"recordingReconnectWindowSeconds":0`
	for _, c := range []struct{ in, want string }{
		{`{` + destination + `}`, `"name":"","tags":{},` + destination + `,` + thumbnails + `,` + renditions + `,` + window},
		{`{` + destination + `,"thumbnailConfiguration":{},"renditionConfiguration":{}}`, `"name":"","tags":{},` + destination + `,` + thumbnails + `,` + renditions + `,` + window},
		{
			`{"name":"test","tags":{"a":"b"},` + destination + `,"thumbnailConfiguration":{"recordingMode":"INTERVAL","targetIntervalSeconds":1,"resolution":"LOWEST_RESOLUTION","storage":["LATEST"]},"recordingReconnectWindowSeconds":300,"renditionConfiguration":{"renditionSelection":"CUSTOM","renditions":["HD","SD","HD"]}}`,
			`"name":"test","tags":{"a":"b"},` + destination + `,"thumbnailConfiguration":{"recordingMode":"INTERVAL","targetIntervalSeconds":1,"resolution":"LOWEST_RESOLUTION","storage":["LATEST"]},"recordingReconnectWindowSeconds":300,"renditionConfiguration":{"renditionSelection":"CUSTOM","renditions":["HD","SD"]}`,
		},
		{
			`{` + destination + `,"thumbnailConfiguration":{"recordingMode":"DISABLED","storage":[]},"renditionConfiguration":{"renditionSelection":"NONE"}}`,
			`"name":"","tags":{},` + destination + `,"thumbnailConfiguration":{"recordingMode":"DISABLED","targetIntervalSeconds":60,"storage":["SEQUENTIAL"]},` + window + `,"renditionConfiguration":{"renditionSelection":"NONE","renditions":[]}`,
		},
	} {
		out := f.must(t, "CreateRecordingConfiguration", c.in)
		name := text(t, out, "recordingConfiguration", "arn")
		golden := fmt.Sprintf(`{"recordingConfiguration":{"arn":%q,"state":"ACTIVE",%s}}`, name, c.want)
		echo(t, out, golden)
		echo(t, f.must(t, "GetRecordingConfiguration", fmt.Sprintf(`{"arn":%q}`, name)), golden)
	}
}

func TestRecordingConfigurationRefusals(t *testing.T) {
	store := &faultyStore{}
	f := start(t, withFaults(t, store))
	const v = "ValidationException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:recording-configuration/abcdefghijkl"
	byARN := fmt.Sprintf(`{"arn":%q}`, unknown)
	with := func(more string) string {
		return `{"destinationConfiguration":{"s3":{"bucketName":"abc"}}` + more + `}`
	}
	for _, c := range []struct {
		operation, body string
		fault           error
		status          int
		code, words     string
	}{
		{"CreateRecordingConfiguration", `{}`, nil, 400, v, "destinationConfiguration"},
		{"CreateRecordingConfiguration", `{"destinationConfiguration":{}}`, nil, 400, v, "s3"},
		{"CreateRecordingConfiguration", `{"destinationConfiguration":{"s3":{"bucketName":"a b"}}}`, nil, 400, v, "bucketName"},
		{"CreateRecordingConfiguration", with(`,"recordingReconnectWindowSeconds":301`), nil, 400, v, "recordingReconnectWindowSeconds"},
		{"CreateRecordingConfiguration", with(`,"thumbnailConfiguration":{"targetIntervalSeconds":61}`), nil, 400, v, "targetIntervalSeconds"},
		{"CreateRecordingConfiguration", with(`,"thumbnailConfiguration":{"targetIntervalSeconds":0}`), nil, 400, v, "targetIntervalSeconds"},
		{"CreateRecordingConfiguration", with(`,"thumbnailConfiguration":{"recordingMode":"ALWAYS"}`), nil, 400, v, "recordingMode"},
		{"CreateRecordingConfiguration", with(`,"thumbnailConfiguration":{"storage":["OLDEST"]}`), nil, 400, v, "storage"},
		{"CreateRecordingConfiguration", with(`,"renditionConfiguration":{"renditionSelection":"CUSTOM"}`), nil, 400, v, "at least one"},
		{"CreateRecordingConfiguration", with(`,"renditionConfiguration":{"renditionSelection":"ALL","renditions":["HD"]}`), nil, 400, v, "CUSTOM"},
		{"CreateRecordingConfiguration", with(`,"renditionConfiguration":{"renditionSelection":"CUSTOM","renditions":["4K"]}`), nil, 400, v, "renditions"},
		{"CreateRecordingConfiguration", with(`,"tags":{"aws:a":"b"}`), nil, 400, v, "reserved"},
		{"CreateRecordingConfiguration", with(``), objectstore.ErrNoBucket, 400, v, "bucket abc does not exist"},
		{"CreateRecordingConfiguration", with(``), objectstore.ErrDenied, 403, "AccessDeniedException", "credentials"},
		{"GetRecordingConfiguration", byARN, nil, 404, "ResourceNotFoundException", unknown},
		{"DeleteRecordingConfiguration", byARN, nil, 404, "ResourceNotFoundException", unknown},
		{"ListRecordingConfigurations", `{"maxResults":101}`, nil, 400, v, "maxResults"},
		{"ListRecordingConfigurations", `{"nextToken":"AAAA"}`, nil, 400, v, "nextToken"},
	} {
		store.set(c.fault)
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
	if list := at(t, f.must(t, "ListRecordingConfigurations", `{}`), "recordingConfigurations"); len(list.([]any)) != 0 {
		t.Errorf("refused requests left %v", list)
	}
}

func TestRecordingConfigurationLife(t *testing.T) {
	f := start(t, func(c *Control) { c.Quotas.RecordingConfigurations = 3 })
	destination := &ivstypes.DestinationConfiguration{S3: &ivstypes.S3DestinationConfiguration{BucketName: aws.String("recordings")}}
	create := func() (string, error) {
		out, err := f.ivs.CreateRecordingConfiguration(t.Context(), &ivssdk.CreateRecordingConfigurationInput{DestinationConfiguration: destination})
		if err != nil {
			return "", err
		}
		return *out.RecordingConfiguration.Arn, nil
	}
	var names, listed []string
	for range 3 {
		name, err := create()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if _, err := create(); sdkCode(err) != "ServiceQuotaExceededException" {
		t.Errorf("a fourth: %v", err)
	}
	pages := ivssdk.NewListRecordingConfigurationsPaginator(f.ivs, &ivssdk.ListRecordingConfigurationsInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.RecordingConfigurations {
			if *r.DestinationConfiguration.S3.BucketName != "recordings" || r.State != ivstypes.RecordingConfigurationStateActive {
				t.Errorf("listed %+v", r)
			}
			listed = append(listed, *r.Arn)
		}
	}
	if !slices.Equal(listed, names) {
		t.Errorf("listed %v, created %v", listed, names)
	}
	if _, err := f.ivs.TagResource(t.Context(), &ivssdk.TagResourceInput{ResourceArn: &names[0], Tags: map[string]string{"a": "b"}}); err != nil {
		t.Error(err)
	}
	tags, err := f.ivs.ListTagsForResource(t.Context(), &ivssdk.ListTagsForResourceInput{ResourceArn: &names[0]})
	if err != nil || tags.Tags["a"] != "b" {
		t.Errorf("tags %v, %v", tags, err)
	}
	remove := func() error {
		_, err := f.ivs.DeleteRecordingConfiguration(t.Context(), &ivssdk.DeleteRecordingConfigurationInput{Arn: &names[0]})
		return err
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if err := remove(); sdkCode(err) != "ResourceNotFoundException" {
		t.Errorf("second delete: %v", err)
	}
}

// settled waits until a recording configuration is not CREATING any more.
func settled(t *testing.T, f *fixture, name string) ivstypes.RecordingConfigurationState {
	t.Helper()
	for {
		out, err := f.ivs.GetRecordingConfiguration(t.Context(), &ivssdk.GetRecordingConfigurationInput{Arn: &name})
		if err != nil {
			t.Fatal(err)
		}
		if s := out.RecordingConfiguration.State; s != ivstypes.RecordingConfigurationStateCreating {
			return s
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

func TestRecordingConfigurationSettles(t *testing.T) {
	away := errors.New("connection refused")
	const body = `{"destinationConfiguration":{"s3":{"bucketName":"abc"}}}`
	create := func(f *fixture) string {
		t.Helper()
		out := f.must(t, "CreateRecordingConfiguration", body)
		if state := text(t, out, "recordingConfiguration", "state"); state != "CREATING" {
			t.Errorf("created as %s while the object store is away", state)
		}
		return text(t, out, "recordingConfiguration", "arn")
	}
	t.Run("the store comes back", func(t *testing.T) {
		store := &faultyStore{err: away}
		f := start(t, withFaults(t, store), func(c *Control) { c.settling = time.Hour })
		name := create(f)
		store.set(nil)
		if s := settled(t, f, name); s != ivstypes.RecordingConfigurationStateActive {
			t.Errorf("state %s", s)
		}
	})
	t.Run("the store says no", func(t *testing.T) {
		store := &faultyStore{err: away}
		f := start(t, withFaults(t, store), func(c *Control) { c.settling = time.Hour })
		name := create(f)
		store.set(objectstore.ErrDenied)
		if s := settled(t, f, name); s != ivstypes.RecordingConfigurationStateCreateFailed {
			t.Errorf("state %s", s)
		}
	})
	t.Run("the store stays away", func(t *testing.T) {
		f := start(t, withFaults(t, &faultyStore{err: away}), func(c *Control) { c.settling = 50 * time.Millisecond })
		if s := settled(t, f, create(f)); s != ivstypes.RecordingConfigurationStateCreateFailed {
			t.Errorf("state %s", s)
		}
	})
	t.Run("the server restarts", func(t *testing.T) {
		f := start(t, withFaults(t, &faultyStore{err: away}), func(c *Control) { c.settling = time.Hour })
		name := create(f)
		f.restart(t) // with a store that works
		if s := settled(t, f, name); s != ivstypes.RecordingConfigurationStateActive {
			t.Errorf("state %s", s)
		}
	})
	t.Run("deleted meanwhile", func(t *testing.T) {
		store := &faultyStore{err: away}
		f := start(t, withFaults(t, store), func(c *Control) { c.settling = time.Hour })
		name := create(f)
		f.must(t, "DeleteRecordingConfiguration", fmt.Sprintf(`{"arn":%q}`, name))
		store.set(nil)
		f.background.close()
		f.refused(t, "GetRecordingConfiguration", fmt.Sprintf(`{"arn":%q}`, name), 404, "ResourceNotFoundException", name)
	})
}
