package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	testID     = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	tagsPath   = "/tags/arn%3Aaws%3Aivs%3Aus-east-1%3A000000000000%3Achannel%2FabcdEFGH1234"
)

var testTime = time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)

type oneKey struct{}

func (oneKey) Lookup(id string) (string, bool) { return testSecret, id == testID }

func verifier() *Verifier {
	return &Verifier{Keys: oneKey{}, Services: []string{"ivs", "ivsrealtime"}, Now: func() time.Time { return testTime }}
}

var credentials = aws.Credentials{AccessKeyID: testID, SecretAccessKey: testSecret}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// outgoing is a client's request, not yet signed.
func outgoing(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "http://localhost:4080"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// signed is a request signed by the SDK's signer.
func signed(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	r := outgoing(t, method, target, body)
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, r, hashOf(body), "ivs", "us-east-1", testTime); err != nil {
		t.Fatal(err)
	}
	return r
}

// received turns a client's request into what a server sees, by the bytes on the wire.
func received(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), nil)
	in.Host = r.URL.Host
	if r.Host != "" {
		in.Host = r.Host
	}
	in.Header = r.Header.Clone()
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			t.Fatal(err)
		}
	}
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return in
}

var targets = []struct{ name, method, target, body string }{
	{"operation", "POST", "/CreateChannel", `{"name":"first"}`},
	{"empty body", "POST", "/ListChannels", ""},
	{"list tags", "GET", tagsPath, ""},
	{"tag", "POST", tagsPath, `{"tags":{"a":"b"}}`},
	{"untag", "DELETE", tagsPath + "?tagKeys=b&tagKeys=a&tagKeys=with%20space&tagKeys=%2Fx%3D", ""},
	{"untag, beyond ASCII", "DELETE", tagsPath + "?tagKeys=%C3%BCmlaut&tagKeys=never&tagKeys=%7E&tagKeys=%7C", ""},
	{"names beyond ASCII", "GET", "/tags/x?z=1&%C3%BC=2&a=3", ""},
	{"plain arn in the path", "GET", "/tags/arn:aws:ivs:us-east-1:000000000000:channel/abc", ""},
	{"odd characters", "GET", "/tags/a%20b%25c~%C3%A9?q=%C3%A9~*'()&empty=&z", ""},
	{"names that are prefixes", "GET", "/tags/x?a=1&a-b=2&a%21=3&a0=4", ""},
}

func TestHeaderForm(t *testing.T) {
	for _, c := range targets {
		t.Run(c.name, func(t *testing.T) {
			v := verifier()
			for range 2 { // the second time with the cached key
				id, body, err := v.Verify(received(t, signed(t, c.method, c.target, c.body)))
				if err != nil {
					t.Fatal(err)
				}
				if string(body) != c.body {
					t.Errorf("body %q, want %q", body, c.body)
				}
				if want := (Identity{testID, "us-east-1", "ivs"}); id != want {
					t.Errorf("identity %+v, want %+v", id, want)
				}
			}
		})
	}
}

// TestEncodedOrder: botocore and the SDK for JavaScript sort what is encoded, as the specification says, where
// the SDK for Go sorts what is not (see TestHeaderForm). Both are accepted, no other order is.
func TestEncodedOrder(t *testing.T) {
	for form, ok := range map[string]bool{
		"tagKeys=%C3%BCmlaut&tagKeys=never&tagKeys=x": true,
		"tagKeys=never&tagKeys=x&tagKeys=%C3%BCmlaut": true,
		"tagKeys=never&tagKeys=%C3%BCmlaut&tagKeys=x": false,
		"tagKeys=%C3%BCmlaut&tagKeys=never":           false,
	} {
		in := received(t, signed(t, "DELETE", tagsPath+"?tagKeys=x&tagKeys=%C3%BCmlaut&tagKeys=never", ""))
		sig, err := parseSignature(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := appendCanonical(nil, in, form, sig, []byte(hashOf("")))
		if err != nil {
			t.Fatal(err)
		}
		want := newSigner(testSecret, sig.scope).sign(sig, canonical)
		in.Header.Set("Authorization", strings.Replace(in.Header.Get("Authorization"), sig.signature,
			string(want[:]), 1))
		if _, _, err := verifier().Verify(in); (err == nil) != ok {
			t.Errorf("signed as %s: %v", form, err)
		}
	}
}

func presigned(t testing.TB, method, target, body, expires string) *http.Request {
	t.Helper()
	r := outgoing(t, method, target, body)
	if expires != "" {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", expires)
		r.URL.RawQuery = q.Encode()
	}
	link, header, err := v4.NewSigner().PresignHTTP(context.Background(), credentials, r, hashOf(body), "ivsrealtime", "eu-west-1", testTime)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	r.URL, r.Header = u, header
	return r
}

func TestQueryForm(t *testing.T) {
	for _, c := range targets {
		t.Run(c.name, func(t *testing.T) {
			id, body, err := verifier().Verify(received(t, presigned(t, c.method, c.target, c.body, "60")))
			if err != nil {
				t.Fatal(err)
			}
			if want := (Identity{testID, "eu-west-1", "ivsrealtime"}); id != want || string(body) != c.body {
				t.Errorf("got %+v and body %q", id, body)
			}
		})
	}
}

func TestSecurityTokenIsTolerated(t *testing.T) {
	r := outgoing(t, "POST", "/GetStage", "{}")
	withToken := credentials
	withToken.SessionToken = "a-session/token=="
	if err := v4.NewSigner().SignHTTP(t.Context(), withToken, r, hashOf("{}"), "ivs", "us-east-1", testTime); err != nil {
		t.Fatal(err)
	}
	if _, _, err := verifier().Verify(received(t, r)); err != nil {
		t.Error(err)
	}
}

// TestOverTheWire sends a signed request through a real server, where net/http rearranges headers.
func TestOverTheWire(t *testing.T) {
	v := verifier()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := v.Verify(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	}))
	defer server.Close()
	for _, c := range targets {
		r := outgoing(t, c.method, c.target, c.body)
		host, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Host, r.Host = host.Host, ""
		r.Header.Set("X-Amz-Meta", "  two   spaces ")
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hashOf(c.body), "ivs", "us-east-1", testTime); err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", c.name, text)
		}
	}
}

// codeOf is the code of a refusal, or the text of another error.
func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return "accepted"
}

func TestTampering(t *testing.T) {
	swap := func(r *http.Request, old, new string) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
	}
	flip := func(r *http.Request) {
		a := r.Header.Get("Authorization")
		last := byte('0')
		if a[len(a)-1] == '0' {
			last = '1'
		}
		r.Header.Set("Authorization", a[:len(a)-1]+string(last))
	}
	for _, c := range []struct {
		name string
		edit func(*http.Request)
		want string
	}{
		{"nothing", func(*http.Request) {}, "accepted"},
		{"unsigned header added", func(r *http.Request) { r.Header.Set("User-Agent", "x") }, "accepted"},
		{"method", func(r *http.Request) { r.Method = "PUT" }, CodeInvalid},
		{"path", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/DeleteChannel", "" }, CodeInvalid},
		{"query", func(r *http.Request) { r.URL.RawQuery = "a=b" }, CodeInvalid},
		{"broken query", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, CodeIncomplete},
		{"host", func(r *http.Request) { r.Host = "elsewhere:4080" }, CodeInvalid},
		{"content type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, CodeInvalid},
		{"second value of a signed header", func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, CodeInvalid},
		{"signed header removed", func(r *http.Request) { r.Header.Del("Content-Type") }, CodeInvalid},
		{"body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"name":"other"}`)) }, CodeInvalid},
		{"wrong body hash", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", hashOf("x")) }, CodeInvalid},
		{"unsigned payload", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, CodeInvalid},
		{"time", func(r *http.Request) { r.Header.Set("X-Amz-Date", testTime.Add(time.Second).Format(timeLayout)) }, CodeInvalid},
		{"time of another day", func(r *http.Request) { r.Header.Set("X-Amz-Date", testTime.AddDate(0, 0, 1).Format(timeLayout)) }, CodeInvalid},
		{"bad time", func(r *http.Request) { r.Header.Set("X-Amz-Date", "yesterday") }, CodeIncomplete},
		{"no time", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, CodeIncomplete},
		{"two times", func(r *http.Request) { r.Header.Add("X-Amz-Date", testTime.Format(timeLayout)) }, CodeIncomplete},
		{"signature", flip, CodeInvalid},
		{"empty signature", func(r *http.Request) { swap(r, "Signature=", "Signature=,X=") }, CodeIncomplete},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, CodeMissingToken},
		{"two signatures", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, CodeIncomplete},
		{"header and query", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=00" }, CodeIncomplete},
		{"bearer", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, CodeIncomplete},
		{"algorithm only", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256") }, CodeIncomplete},
		{"other algorithm", func(r *http.Request) { swap(r, "SHA256", "SHA512") }, CodeIncomplete},
		{"other key", func(r *http.Request) { swap(r, testID, "AKIAOTHER") }, CodeUnrecognizedClient},
		{"region", func(r *http.Request) { swap(r, "us-east-1", "us-west-2") }, CodeInvalid},
		{"service", func(r *http.Request) { swap(r, "/ivs/", "/ivsrealtime/") }, CodeInvalid},
		{"foreign service", func(r *http.Request) { swap(r, "/ivs/", "/s3/") }, CodeInvalid},
		{"terminator", func(r *http.Request) { swap(r, "aws4_request", "aws4_requests") }, CodeInvalid},
		{"scope too short", func(r *http.Request) { swap(r, "/ivs/", "/") }, CodeIncomplete},
		{"host not signed", func(r *http.Request) { swap(r, "content-type;host;", "content-type;") }, CodeInvalid},
		{"fewer headers signed", func(r *http.Request) { swap(r, "content-length;", "") }, CodeInvalid},
		{"headers unsorted", func(r *http.Request) { swap(r, "content-type;host", "host;content-type") }, CodeIncomplete},
		{"header twice", func(r *http.Request) { swap(r, "host;", "host;host;") }, CodeIncomplete},
		{"too many headers", func(r *http.Request) { swap(r, "host;", strings.Repeat("host;", 100)) }, CodeIncomplete},
		{"field twice", func(r *http.Request) { swap(r, "SignedHeaders", "Signature=00, SignedHeaders") }, CodeIncomplete},
		{"too large", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", DefaultMaxBody+1))) }, CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := received(t, signed(t, "POST", "/CreateChannel", `{"name":"first"}`))
			c.edit(r)
			_, body, err := verifier().Verify(r)
			if got := codeOf(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
			if err != nil && (body != nil || strings.Contains(err.Error(), testSecret)) {
				t.Errorf("a refusal gives away %q, %v", body, err)
			}
		})
	}
}

func TestTamperingOfQueryForm(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Set(name, value)
			r.URL.RawQuery = q.Encode()
		}
	}
	drop := func(name string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Del(name)
			r.URL.RawQuery = q.Encode()
		}
	}
	for _, c := range []struct {
		name string
		edit func(*http.Request)
		want string
	}{
		{"nothing", func(*http.Request) {}, "accepted"},
		{"parameter", set("tagKeys", "b"), CodeInvalid},
		{"longer life", set("X-Amz-Expires", "61"), CodeInvalid},
		{"life not a number", set("X-Amz-Expires", "long"), CodeIncomplete},
		{"life too long", set("X-Amz-Expires", "604801"), CodeIncomplete},
		{"life beyond a duration", set("X-Amz-Expires", "9223372036854775807"), CodeIncomplete},
		{"no life", set("X-Amz-Expires", "0"), CodeIncomplete},
		{"signature", set("X-Amz-Signature", "00"), CodeInvalid},
		{"algorithm", set("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"), CodeIncomplete},
		{"token", set("X-Amz-Security-Token", "t"), CodeInvalid},
		{"no date", drop("X-Amz-Date"), CodeIncomplete},
		{"no signature", drop("X-Amz-Signature"), CodeIncomplete},
		{"no credential", drop("X-Amz-Credential"), CodeIncomplete},
		{"signature twice", func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=00" }, CodeIncomplete},
		{"parameter added", func(r *http.Request) { r.URL.RawQuery += "&tagKeys=c" }, CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := received(t, presigned(t, "DELETE", tagsPath+"?tagKeys=a", "", "60"))
			c.edit(r)
			_, _, err := verifier().Verify(r)
			if got := codeOf(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

func TestClock(t *testing.T) {
	header := func(t *testing.T) *http.Request { return received(t, signed(t, "POST", "/GetStage", "{}")) }
	query := func(expires string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request { return received(t, presigned(t, "GET", tagsPath, "", expires)) }
	}
	for _, c := range []struct {
		name string
		make func(*testing.T) *http.Request
		late time.Duration // how much later the server's clock is
		want string
	}{
		{"15 minutes late", header, 15 * time.Minute, "accepted"},
		{"15 minutes early", header, -15 * time.Minute, "accepted"},
		{"more than 15 minutes late", header, 15*time.Minute + time.Second, CodeInvalid},
		{"more than 15 minutes early", header, -15*time.Minute - time.Second, CodeInvalid},
		{"presigned, alive", query("86400"), 24 * time.Hour, "accepted"},
		{"presigned, expired", query("86400"), 24*time.Hour + time.Second, CodeRequestExpired},
		{"presigned, default life", query(""), 15 * time.Minute, "accepted"},
		{"presigned, default life over", query(""), 15*time.Minute + time.Second, CodeRequestExpired},
		{"presigned in the future", query("60"), -16 * time.Minute, CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verifier()
			v.Now = func() time.Time { return testTime.Add(c.late) }
			_, _, err := v.Verify(c.make(t))
			if got := codeOf(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

// TestKeyCache: a key whose secret changes is derived anew, and strangers do not fill the cache.
func TestKeyCache(t *testing.T) {
	v := verifier()
	if _, _, err := v.Verify(received(t, signed(t, "POST", "/GetStage", "{}"))); err != nil {
		t.Fatal(err)
	}
	r := received(t, signed(t, "POST", "/GetStage", "{}"))
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "xx-nowhere-1", 1))
	if _, _, err := v.Verify(r); codeOf(err) != CodeInvalid {
		t.Fatal(err)
	}
	if len(v.derived.signers) != 1 {
		t.Errorf("%d keys are cached after one good and one bad request, want 1", len(v.derived.signers))
	}
	v.Keys = otherSecret{}
	if _, _, err := v.Verify(received(t, signed(t, "POST", "/GetStage", "{}"))); codeOf(err) != CodeInvalid {
		t.Errorf("with another secret: %v", err)
	}
	for range 3 * maxDerived {
		v.derived.put(testID, testSecret, scope{region: time.Now().String()}, nil)
		v.derived.put(testID, testSecret, scope{region: "r", date: time.Now().String()}, new(signer))
	}
	if n := len(v.derived.signers); n > maxDerived {
		t.Errorf("cache grew to %d", n)
	}
}

type otherSecret struct{}

func (otherSecret) Lookup(string) (string, bool) { return "another", true }

// FuzzVerify: no request that the SDK's signer did not make is accepted, and none panics.
func FuzzVerify(f *testing.F) {
	good := signed(f, "POST", "/CreateChannel", `{"name":"first"}`)
	f.Add("POST", "/CreateChannel", "", good.Header.Get("Authorization"), good.Header.Get("X-Amz-Date"), `{}`)
	query := presigned(f, "GET", tagsPath, "", "60")
	f.Add("GET", tagsPath, query.URL.RawQuery+"&a=b", "", "", "")
	f.Add("GET", "/", "X-Amz-Signature=&X-Amz-Algorithm=AWS4-HMAC-SHA256", "", "", "")
	f.Fuzz(func(t *testing.T, method, path, query, authorization, date, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Skip()
		}
		u.RawQuery = query
		r := &http.Request{Method: method, URL: u, Host: "h", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Header.Set("X-Amz-Date", date)
		_, _, err = verifier().Verify(r)
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Status == 0 {
			t.Fatalf("got %v, want a refusal", err)
		}
	})
}
