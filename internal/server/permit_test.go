package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/smithy-go"

	"github.com/footlight-live/footlight/internal/accesskey"
)

// startServer runs a whole server on free ports of loopback.
func startServer(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	const any = "127.0.0.1:0"
	s := &Server{Config: Config{
		DataDir: t.TempDir(), HTTPAddr: any, WebRTCAddr: any, RTMPAddr: any, RTMPSAddr: any, Region: "us-east-1", AccountID: "000000000000",
	}}
	change(&s.Config)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func client(s *Server, key accesskey.Key) *rtsdk.Client {
	return rtsdk.New(rtsdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, nil
		}),
	})
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func TestReadOnlyKeys(t *testing.T) {
	s := startServer(t, func(*Config) {})
	reader, err := accesskey.Create(s.DataDir, "dashboard", true)
	if err != nil {
		t.Fatal(err)
	}
	c := client(s, reader)
	if _, err := c.ListStages(t.Context(), &rtsdk.ListStagesInput{}); err != nil {
		t.Errorf("read: %v", err)
	}
	_, err = c.CreateStage(t.Context(), &rtsdk.CreateStageInput{})
	if code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "CreateStage") {
		t.Errorf("write: %v", err)
	}
	if _, err := client(s, s.keys.First()).CreateStage(t.Context(), &rtsdk.CreateStageInput{}); err != nil {
		t.Errorf("write with the first key: %v", err)
	}

	// Footlight's own API keeps to it too.
	for method, want := range map[string]int{"GET": http.StatusOK, "PUT": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/footlight/v1/scenes", bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(reader.ID, reader.Secret)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: status %d, want %d", method, response.StatusCode, want)
		}
	}

	if err := accesskey.Delete(s.DataDir, reader.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListStages(t.Context(), &rtsdk.ListStagesInput{}); code(err) != "UnrecognizedClientException" {
		t.Errorf("a deleted key: %v", err)
	}
	s.Close()
	list, err := accesskey.List(s.DataDir)
	if err != nil || len(list) != 1 || time.Since(list[0].LastUsed) > time.Hour {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestThrottleAndQuota(t *testing.T) {
	s := startServer(t, func(c *Config) { c.Throttle, c.Quotas = "aws", map[string]int{"stages": 2} })
	c := client(s, s.keys.First())
	// A machine that is slow enough to stay below the rate would not see it.
	throttled := 0
	for range 1000 {
		_, err := c.ListPublicKeys(t.Context(), &rtsdk.ListPublicKeysInput{})
		if code(err) == "ThrottlingException" {
			throttled++
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if throttled == 0 {
		t.Error("a thousand requests were not throttled")
	}
	for i := range 3 {
		_, err := c.CreateStage(t.Context(), &rtsdk.CreateStageInput{})
		if want := map[int]string{2: "ServiceQuotaExceededException"}[i]; code(err) != want {
			t.Errorf("stage %d: %v", i, err)
		}
	}
}

func TestStartRefusesFlags(t *testing.T) {
	for _, c := range []struct {
		words  string
		change func(*Config)
	}{
		{"--throttle", func(c *Config) { c.Throttle = "on" }},
		{"there is no quota \"stage\"", func(c *Config) { c.Quotas = map[string]int{"stage": 1} }},
		{"1 or more", func(c *Config) { c.Quotas = map[string]int{"stages": 0} }},
		{"--storage", func(c *Config) { c.Storage = "s3://my-bucket" }},
	} {
		s := &Server{Config: Config{DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", Region: "us-east-1", AccountID: "000000000000"}}
		c.change(&s.Config)
		if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%q: %v", c.words, err)
		}
		s.Close()
	}
}
