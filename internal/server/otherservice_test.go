package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestOtherServices: SDKs of other services read our refusal wherever they call, and Footlight's own API still takes a
// signature for any service.
func TestOtherServices(t *testing.T) {
	s := startServer(t, func(*Config) {})
	key := s.keys.First()
	objects := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), RetryMaxAttempts: 1, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, "")})
	_, list := objects.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	_, put := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b"), Body: strings.NewReader("x")})
	_, get := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("Whip"), Key: aws.String("a")})
	for what, err := range map[string]error{"ListBuckets": list, "PutObject": put, "GetObject": get} {
		if code(err) != "NotImplementedException" || !strings.Contains(err.Error(), "not s3") {
			t.Errorf("%s: %v", what, err)
		}
	}

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/footlight/v1/scenes", nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, r, hex.EncodeToString(sum[:]), "execute-api", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("Footlight's own API: %s", response.Status)
	}
}
