package api_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

// TestOtherServices: the AWS CLI shows what we say about services that are not here, whatever their protocol.
func TestOtherServices(t *testing.T) {
	if testing.Short() {
		t.Skip("the AWS CLI takes seconds to start")
	}
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	for service, command := range map[string]string{
		"sts":        "sts get-caller-identity", // query
		"ec2":        "ec2 describe-regions",    // its own query
		"s3":         "s3 ls",                   // XML
		"route53":    "route53 list-hosted-zones",
		"dynamodb":   "dynamodb list-tables",     // JSON 1.0
		"logs":       "logs describe-log-groups", // JSON 1.1
		"lambda":     "lambda list-functions",    // JSON and paths
		"ivschat":    "ivschat list-rooms",       // the same, with paths like ours
		"monitoring": "cloudwatch list-metrics",  // CBOR in new versions, query in old ones
	} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), cli, append(strings.Fields(command), "--endpoint-url", s.URL)...)
			c.Env = append(c.Environ(), "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=",
				"AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=")
			out, err := c.CombinedOutput()
			want := "Footlight serves ivs and ivs-realtime only, not " + service + "."
			if err == nil || !strings.Contains(string(out), "(NotImplementedException)") || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v\n%s", command, err, out)
			}
		})
	}
}

// TestCBOR: SDKs that speak CBOR read the error from a map of two texts.
func TestCBOR(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	r := otherRequest(t, s.URL+"/service/GraniteServiceVersion20100801/operation/ListMetrics", "monitoring")
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	a := s.do(t, r)
	message := "Footlight serves ivs and ivs-realtime only, not monitoring. Call other services without the AWS_ENDPOINT_URL of 'footlight env'."
	want := "\xa2" + "\x79\x00\x06__type" + "\x79\x00\x17NotImplementedException" + "\x79\x00\x07message" + "\x79\x00" + string([]byte{byte(len(message))}) + message
	if a.status != http.StatusNotImplemented || a.header.Get("Smithy-Protocol") != "rpc-v2-cbor" || a.header.Get("Content-Type") != "application/cbor" || a.body != want {
		t.Errorf("%d %v\n%q, want\n%q", a.status, a.header, a.body, want)
	}
}

// otherRequest is a request that is signed for some service.
func otherRequest(t testing.TB, target, service string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if err := v4.NewSigner().SignHTTP(context.Background(), testCredentials, r, emptyHash, service, "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzOtherService: whatever a signature names, an answer in XML or JSON is well formed, and the words that a client
// sends do not come back but for a plain name.
func FuzzOtherService(f *testing.F) {
	h := &api.Handler{Operations: slices.Concat(ivs.Operations(ivs.Unimplemented{}), ivsrealtime.Operations(ivsrealtime.Unimplemented{})), Keys: oneKey{}}
	for _, name := range []string{"s3", "sts", "ec2", "lambda", "ivs", "", "<a>", "a&b", "\"", "a/aws4_request, x"} {
		f.Add("AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/"+name+"/aws4_request, SignedHeaders=host, Signature=0", "application/x-www-form-urlencoded", "")
		f.Add("AWS4-ECDSA-P256-SHA256 Credential=K/20260101/"+name+"/aws4_request", "application/x-amz-json-1.0", "A.B")
	}
	f.Fuzz(func(t *testing.T, authorization, kind, target string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Action=A"))
		r.Header = http.Header{"Authorization": {authorization}, "Content-Type": {kind}, "X-Amz-Target": {target}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body := w.Body.Bytes()
		if w.Code < 400 || w.Code == http.StatusInternalServerError {
			t.Fatalf("%d %s", w.Code, body)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
			if !json.Valid(body) {
				t.Fatalf("no JSON: %q", body)
			}
			return
		}
		for d := xml.NewDecoder(w.Body); ; {
			if _, err := d.Token(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("no XML: %v: %q", err, body)
			}
		}
	})
}
