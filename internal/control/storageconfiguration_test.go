package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	rttypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/objectstore/s3test"
)

// faultyStore refuses every write with an error that a test sets, and lets them through while there is none.
type faultyStore struct {
	objectstore.Store
	mu  sync.Mutex
	err error
}

func (s *faultyStore) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *faultyStore) Bucket(name string) (objectstore.Bucket, error) {
	b, err := s.Store.Bucket(name)
	return faultyBucket{b, s}, err
}

type faultyBucket struct {
	objectstore.Bucket
	store *faultyStore
}

func (b faultyBucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	b.store.mu.Lock()
	err := b.store.err
	b.store.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Bucket.Put(ctx, key, body)
}

// withFaults puts a faulty store in front of a folder.
func withFaults(t testing.TB, s *faultyStore) func(*Control) {
	t.Helper()
	folder, err := objectstore.Open(t.Context(), objectstore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.Store = folder
	return func(c *Control) { c.Objects = s }
}

func TestStorageConfigurationEcho(t *testing.T) {
	f := start(t)
	for _, c := range []struct{ in, name, bucket, tags string }{
		{`{"s3":{"bucketName":"my-bucket"}}`, "", "my-bucket", `{}`},
		{`{"name":"n","s3":{"bucketName":"a.b-3"},"tags":{"k":"v"}}`, "n", "a.b-3", `{"k":"v"}`},
	} {
		out := f.must(t, "CreateStorageConfiguration", c.in)
		name := text(t, out, "storageConfiguration", "arn")
		golden := fmt.Sprintf(`{"storageConfiguration":{"arn":%q,"name":%q,"s3":{"bucketName":%q},"tags":%s}}`, name, c.name, c.bucket, c.tags)
		echo(t, out, golden)
		echo(t, f.must(t, "GetStorageConfiguration", fmt.Sprintf(`{"arn":%q}`, name)), golden)
	}
	bucket, err := f.Objects.Bucket("my-bucket")
	if err != nil {
		t.Fatal(err)
	}
	for o := range bucket.List(t.Context(), "") {
		t.Errorf("the check left %s", o.Key)
	}
}

func TestStorageConfigurationRefusals(t *testing.T) {
	store := &faultyStore{}
	f := start(t, withFaults(t, store))
	const v = "ValidationException"
	const unknown = "arn:aws:ivs:us-east-1:000000000000:storage-configuration/abcdefghijkl"
	byARN := fmt.Sprintf(`{"arn":%q}`, unknown)
	bucket := func(name string) string { return fmt.Sprintf(`{"s3":{"bucketName":%q}}`, name) }
	for _, c := range []struct {
		operation, body string
		fault           error
		status          int
		code, words     string
	}{
		{"CreateStorageConfiguration", `{}`, nil, 400, v, "s3"},
		{"CreateStorageConfiguration", `{"s3":{}}`, nil, 400, v, "bucketName"},
		{"CreateStorageConfiguration", bucket("ab"), nil, 400, v, "bucketName"},
		{"CreateStorageConfiguration", bucket(strings.Repeat("a", 64)), nil, 400, v, "bucketName"},
		{"CreateStorageConfiguration", bucket("My_Bucket"), nil, 400, v, "bucketName"},
		{"CreateStorageConfiguration", bucket("..."), nil, 400, v, "bucketName"},
		{"CreateStorageConfiguration", `{"tags":{"aws:a":"b"},"s3":{"bucketName":"abc"}}`, nil, 400, v, "reserved"},
		{"CreateStorageConfiguration", bucket("abc"), objectstore.ErrNoBucket, 404, "ResourceNotFoundException", "bucket abc does not exist"},
		{"CreateStorageConfiguration", bucket("abc"), objectstore.ErrDenied, 403, "AccessDeniedException", "credentials"},
		{"CreateStorageConfiguration", bucket("abc"), errors.New("no route to host"), 500, "InternalServerException", "log says why"},
		{"CreateStorageConfiguration", bucket("abc"), fmt.Errorf("put: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), 500, "InternalServerException", "could not tell whether the bucket abc can be written: dial tcp: connection refused"},
		{"GetStorageConfiguration", byARN, nil, 404, "ResourceNotFoundException", "Resource: " + unknown + " not found"},
		{"GetStorageConfiguration", `{"arn":"arn:aws:ivs:us-east-1:000000000000:stage/abcdefghijkl"}`, nil, 400, v, "storage-configuration"},
		{"DeleteStorageConfiguration", byARN, nil, 404, "ResourceNotFoundException", unknown},
		{"ListStorageConfigurations", `{"maxResults":101}`, nil, 400, v, "maxResults"},
		{"ListStorageConfigurations", `{"nextToken":"AAAA"}`, nil, 400, v, "nextToken"},
	} {
		store.set(c.fault)
		f.refused(t, c.operation, c.body, c.status, c.code, c.words)
	}
	if list := at(t, f.must(t, "ListStorageConfigurations", `{}`), "storageConfigurations"); len(list.([]any)) != 0 {
		t.Errorf("refused requests left %v", list)
	}
	f.Objects = nil
	f.refused(t, "CreateStorageConfiguration", bucket("abc"), 501, "NotImplementedException", "no object store")
}

func TestStorageConfigurationLife(t *testing.T) {
	f := start(t)
	create := func(i int) (string, error) {
		out, err := f.rt.CreateStorageConfiguration(t.Context(), &rtsdk.CreateStorageConfigurationInput{
			S3: &rttypes.S3StorageConfiguration{BucketName: aws.String("recordings")}, Tags: map[string]string{"i": fmt.Sprint(i)},
		})
		if err != nil {
			return "", err
		}
		return *out.StorageConfiguration.Arn, nil
	}
	var names []string
	for i := range 5 {
		name, err := create(i)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if _, err := create(5); sdkCode(err) != "ServiceQuotaExceededException" {
		t.Errorf("a sixth: %v", err)
	}
	var listed []string
	in := &rtsdk.ListStorageConfigurationsInput{MaxResults: aws.Int32(2)}
	for {
		page, err := f.rt.ListStorageConfigurations(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.StorageConfigurations {
			if *s.S3.BucketName != "recordings" || s.Tags["i"] != fmt.Sprint(len(listed)) {
				t.Errorf("listed %+v", s)
			}
			listed = append(listed, *s.Arn)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if !slices.Equal(listed, names) {
		t.Errorf("listed %v, created %v", listed, names)
	}

	if _, err := f.rt.TagResource(t.Context(), &rtsdk.TagResourceInput{ResourceArn: &names[0], Tags: map[string]string{"a": "b"}}); err != nil {
		t.Error(err)
	}
	if _, err := f.rt.UntagResource(t.Context(), &rtsdk.UntagResourceInput{ResourceArn: &names[0], TagKeys: []string{"i"}}); err != nil {
		t.Error(err)
	}
	tags, err := f.rt.ListTagsForResource(t.Context(), &rtsdk.ListTagsForResourceInput{ResourceArn: &names[0]})
	if err != nil || len(tags.Tags) != 1 || tags.Tags["a"] != "b" {
		t.Errorf("tags %v, %v", tags, err)
	}

	remove := func() error {
		_, err := f.rt.DeleteStorageConfiguration(t.Context(), &rtsdk.DeleteStorageConfigurationInput{Arn: &names[0]})
		return err
	}
	f.compositions.use(arn.StorageConfiguration, names[0], true)
	if err := remove(); sdkCode(err) != "ConflictException" {
		t.Errorf("delete while in use: %v", err)
	}
	f.compositions.use(arn.StorageConfiguration, names[0], false)
	if err := remove(); err != nil {
		t.Error(err)
	}
	if err := remove(); sdkCode(err) != "ResourceNotFoundException" {
		t.Errorf("second delete: %v", err)
	}
}

// TestBucketsOnS3 creates configurations over a real S3 server.
func TestBucketsOnS3(t *testing.T) {
	server := s3test.Start(t)
	server.MakeBucket(t, "recordings")
	open := func() objectstore.Store {
		s, err := objectstore.Open(t.Context(), objectstore.Config{URL: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	f := start(t, func(c *Control) { c.Objects = open() })
	const here, missing = `{"s3":{"bucketName":"recordings"}}`, `{"s3":{"bucketName":"not-there"}}`
	f.must(t, "CreateStorageConfiguration", here)
	f.refused(t, "CreateStorageConfiguration", missing, 404, "ResourceNotFoundException", "not-there does not exist")
	out := f.must(t, "CreateRecordingConfiguration", `{"destinationConfiguration":`+here+`}`)
	if state := text(t, out, "recordingConfiguration", "state"); state != "ACTIVE" {
		t.Errorf("state %s", state)
	}
	f.refused(t, "CreateRecordingConfiguration", `{"destinationConfiguration":`+missing+`}`, 400, "ValidationException", "not-there does not exist")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	f.Objects = open()
	f.refused(t, "CreateStorageConfiguration", here, 403, "AccessDeniedException", "credentials")
	f.refused(t, "CreateRecordingConfiguration", `{"destinationConfiguration":`+here+`}`, 403, "AccessDeniedException", "credentials")
}
