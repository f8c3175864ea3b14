package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// checkError checks the envelope that every error comes in, and returns its text.
func checkError(t *testing.T, a answer, status int, code string) string {
	t.Helper()
	if a.status != status || a.header.Get("x-amzn-ErrorType") != code {
		t.Errorf("got %d %s, want %d %s: %s", a.status, a.header.Get("x-amzn-ErrorType"), status, code, a.body)
	}
	if !uuid.MatchString(a.header.Get("x-amzn-RequestId")) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
	var texts map[string]string
	if err := json.Unmarshal([]byte(a.body), &texts); err != nil || len(texts) != 2 || texts["message"] == "" || texts["message"] != texts["exceptionMessage"] {
		t.Errorf("body %s, %v", a.body, err)
	}
	return texts["message"]
}

// TestEveryOperationIsRouted: each of the 79 is found; with an empty input it either lacks a
// required member or reaches the service.
func TestEveryOperationIsRouted(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	ops := slices.Concat(ivs.Operations(ivs.Unimplemented{}), ivsrealtime.Operations(ivsrealtime.Unimplemented{}))
	if len(ops) != 79 {
		t.Errorf("%d operations, want 79", len(ops))
	}
	arns := map[string]string{"ivs": channelARN, "ivsrealtime": stageARN}
	for _, op := range ops {
		a := s.send(t, op.Method, strings.Replace(op.Path, "{resourceArn}", strings.ReplaceAll(arns[op.Service], "/", "%2F"), 1), "{}")
		if strings.Contains(a.body, "must not be null") {
			checkError(t, a, 400, "ValidationException")
		} else if text := checkError(t, a, 501, "NotImplementedException"); !strings.Contains(text, op.Name+" is not built yet") {
			t.Errorf("%s: %s", op.Name, text)
		}
	}
}

func TestBadBodies(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	for _, c := range []struct {
		method, target, body string
		status               int
		code, text           string
	}{
		{"POST", "/ListChannels", "", 501, "NotImplementedException", "not built yet"},
		{"POST", "/ListChannels", `{"unknown":1}`, 501, "NotImplementedException", "not built yet"},
		{"POST", "/ListChannels", `{`, 400, "SerializationException", "not valid JSON"},
		{"POST", "/ListChannels", `[]`, 400, "SerializationException", "must be a JSON object"},
		{"POST", "/ListChannels", `{"maxResults":"ten"}`, 400, "ValidationException", "'maxResults'"},
		{"POST", "/ListChannels", `{"maxResults":1000}`, 400, "ValidationException", "'maxResults'"},
		{"POST", "/CreateChannel", `{"type":"HUGE"}`, 400, "ValidationException", "Value 'HUGE' at 'type'"},
		{"POST", "/CreateChannel", `{"name":"<&>"}`, 400, "ValidationException", "Value '<&>' at 'name'"},
		{"POST", "/ListChannels", strings.Repeat(" ", 1<<20+1), 413, "RequestEntityTooLargeException", "larger than"},
		{"POST", "/NoSuchOperation", `{}`, 404, "UnknownOperationException", "POST /NoSuchOperation"},
		{"GET", "/ListChannels", "", 404, "UnknownOperationException", "GET /ListChannels"},
		{"GET", "/tags/arn%3Aaws%3As3%3A%3A%3Abucket", "", 400, "ValidationException", "resourceArn"},
		{"DELETE", "/tags/" + channelARN, "", 400, "ValidationException", "Value null at 'tagKeys'"},
	} {
		if text := checkError(t, s.send(t, c.method, c.target, c.body), c.status, c.code); !strings.Contains(text, c.text) {
			t.Errorf("%s %s: %s", c.method, c.target, text)
		}
	}
}

func TestUnsigned(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	for authorization, want := range map[string]string{
		"":                            "MissingAuthenticationToken",
		"Basic dTpw":                  "IncompleteSignature",
		"AWS4-HMAC-SHA256 Credential": "IncompleteSignature",
		"AWS4-HMAC-SHA256 Credential=AKIAX/20260101/r/ivs/aws4_request, SignedHeaders=host, Signature=00": "InvalidSignatureException",
	} {
		r, err := http.NewRequest("POST", s.URL+"/ListChannels", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
			r.Header.Set("X-Amz-Date", "20260101T000000Z")
		}
		checkError(t, s.do(t, r), 403, want)
	}
}

func TestPreflight(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	r, err := http.NewRequest("OPTIONS", s.URL+"/CreateStage", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://example.com")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-amz-date")
	a := s.do(t, r)
	h := a.header
	if a.status != 200 || a.body != "" || h.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") ||
		h.Get("Access-Control-Allow-Headers") != "authorization,content-type,x-amz-date" {
		t.Errorf("%d %v", a.status, h)
	}
}

// deleter tells how a deletion ends.
type deleter struct {
	ivs.Unimplemented
	end func(context.Context) error
}

func (d deleter) DeleteChannel(ctx context.Context, _ *ivs.DeleteChannelRequest) error {
	return d.end(ctx)
}

func (d deleter) StopStream(ctx context.Context, _ *ivs.StopStreamRequest) error { return d.end(ctx) }

func TestNoOutput(t *testing.T) {
	s := serve(t, deleter{end: func(context.Context) error { return nil }}, ivsrealtime.Unimplemented{}, 0)
	a := s.send(t, "POST", "/DeleteChannel", `{"arn":"`+channelARN+`"}`)
	if a.status != 204 || a.body != "" || a.header.Get("Content-Type") != "" || !uuid.MatchString(a.header.Get("x-amzn-RequestId")) {
		t.Errorf("DeleteChannel: %+v", a)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*",
		"Cache-Control":               "no-store, no-cache",
		"Content-Security-Policy":     "default-src 'self'",
		"Strict-Transport-Security":   "",
		"X-Content-Type-Options":      "nosniff",
		"X-Frame-Options":             "DENY",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	a = s.send(t, "POST", "/StopStream", `{"channelArn":"`+channelARN+`"}`)
	if a.status != 200 || a.body != "{}" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("StopStream: %+v", a)
	}
}

// TestUnexpectedErrors: what is not meant for the client stays in the log, and the server lives on.
func TestUnexpectedErrors(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(context.Context) error
		status int
		code   string
		logged string
	}{
		"plain error":   {func(context.Context) error { return errors.New("disk on fire") }, 500, "InternalServerException", "disk on fire"},
		"panic":         {func(context.Context) error { panic("disk on fire") }, 500, "InternalServerException", "handler_test.go"},
		"wrapped error": {func(context.Context) error { return fmt.Errorf("delete: %w", api.ConflictException("in use")) }, 409, "ConflictException", "code=ConflictException"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, deleter{end: c.end}, ivsrealtime.Unimplemented{}, 0)
			a := s.send(t, "POST", "/DeleteChannel", `{"arn":"`+channelARN+`"}`)
			text := checkError(t, a, c.status, c.code)
			if strings.Contains(text, "fire") {
				t.Errorf("the client reads %q", text)
			}
			s.Close() // the last line of the log comes after the answer
			if log := s.log.String(); !strings.Contains(log, c.logged) || !strings.Contains(log, a.header.Get("x-amzn-RequestId")) ||
				!strings.Contains(log, "operation=DeleteChannel") || strings.Contains(log, secret) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestLogKeepsSecrets: neither the body nor the signature reaches the log.
func TestLogKeepsSecrets(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	s.send(t, "POST", "/PutMetadata", `{"channelArn":"`+channelARN+`","metadata":"hunter2"}`)
	s.Close()
	if log := s.log.String(); !strings.Contains(log, "operation=PutMetadata") || strings.Contains(log, "hunter2") || strings.Contains(log, "Signature") {
		t.Errorf("log: %s", log)
	}
}
