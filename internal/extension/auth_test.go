package extension

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

func sign(t *testing.T, r *http.Request, body []byte, service, secret string, at time.Time) {
	t.Helper()
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), service, "eu-north-1", at); err != nil {
		t.Fatal(err)
	}
}

func TestSigned(t *testing.T) {
	h := newHouse(t)
	for _, service := range []string{"ivs", "footlight", "execute-api"} {
		status, _, data := h.do("GET", "/footlight/v1/compositions", nil, func(r *http.Request) { sign(t, r, nil, service, secret, time.Now()) })
		if status != 200 {
			t.Errorf("signed for %s: status %d: %s", service, status, data)
		}
	}
	// The body is part of what is signed.
	body := []byte(`{"background":{"color":"#203040"}}`)
	if status, _, data := h.do("PUT", "/footlight/v1/scenes/blue", body, func(r *http.Request) { sign(t, r, body, "ivs", secret, time.Now()) }); status != 200 {
		t.Errorf("status %d: %s", status, data)
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"another body", func(r *http.Request) { sign(t, r, []byte("{}"), "ivs", secret, time.Now()) }, 401, "InvalidSignatureException"},
		{"another secret", func(r *http.Request) { sign(t, r, body, "ivs", secret+"x", time.Now()) }, 401, "InvalidSignatureException"},
		{"an hour ago", func(r *http.Request) { sign(t, r, body, "ivs", secret, time.Now().Add(-time.Hour)) }, 401, "InvalidSignatureException"},
		{"nonsense", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 nonsense") }, 401, "IncompleteSignature"},
	} {
		status, header, data := h.do("PUT", "/footlight/v1/scenes/blue", body, c.change)
		h.same(c.name, status, header, data, c.status, c.code, "")
	}
}

func TestBasic(t *testing.T) {
	h := newHouse(t)
	const path = "/footlight/v1/compositions"
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		words  string
	}{
		{"nothing", func(*http.Request) {}, "AWS_ACCESS_KEY_ID"},
		{"another id", func(r *http.Request) { r.SetBasicAuth("AKIAOTHER", secret) }, "no such access key id"},
		{"another secret", func(r *http.Request) { r.SetBasicAuth(keyID, secret+"x") }, "its secret is another one"},
		{"no secret", func(r *http.Request) { r.SetBasicAuth(keyID, "") }, "its secret is another one"},
		{"no id", func(r *http.Request) { r.SetBasicAuth("", "") }, "no such access key id"},
	} {
		status, header, data := h.do("GET", path, nil, c.change)
		h.same(c.name, status, header, data, 401, "UnauthorizedException", c.words)
		if got := header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic ") {
			t.Errorf("%s: WWW-Authenticate %q", c.name, got)
		}
	}
	// From afar in the clear the secret is not taken, nor asked for; over TLS it is.
	for _, c := range []struct {
		remote string
		tls    bool
		status int
	}{
		{"192.0.2.1:1234", false, 401}, {"192.0.2.1:1234", true, 200}, {"127.0.0.1:1", false, 200}, {"[::1]:1", false, 200},
		{"[2001:db8::1]:1", false, 401}, {"", false, 401}, {"127.0.0.1", false, 401},
	} {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = c.remote
		r.SetBasicAuth(keyID, secret)
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("from %q, TLS %v: status %d, want %d", c.remote, c.tls, w.Code, c.status)
		}
		if got := w.Header().Get("WWW-Authenticate"); w.Code == 401 && strings.Contains(got, "Basic") {
			t.Errorf("from %q: WWW-Authenticate %q asks for a secret in the clear", c.remote, got)
		}
	}
}

// Every route is behind the guard, those that do not exist included.
func TestNothingWithoutAKey(t *testing.T) {
	h := newHouse(t, func(h *Handler) {
		h.Events = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the events were reached") })
	})
	var list struct{ Routes []Route }
	h.must("GET", Root, "", &list)
	for _, r := range append(list.Routes, Route{Method: "GET", Path: Root + "nothing"}) {
		if status, _, data := h.do(r.Method, r.Path, nil, func(*http.Request) {}); status != 401 {
			t.Errorf("%s %s: status %d: %s", r.Method, r.Path, status, data)
		}
	}
}

// The commands of the documentation, with the program that people have.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl")
	}
	h := newHouse(t)
	file := filepath.Join(t.TempDir(), "logo.png")
	if err := os.WriteFile(file, picture(t, 40, 20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--user", keyID + ":" + secret, "/footlight/v1/compositions"},
		{"--user", keyID + ":" + secret, "--upload-file", file, "/footlight/v1/images/logo"},
		{"--user", keyID + ":" + secret, "--aws-sigv4", "aws:amz:us-east-1:ivs", "/footlight/v1/compositions"},
		{"--user", keyID + ":" + secret, "--aws-sigv4", "aws:amz:us-east-1:ivs", "--request", "PUT", "--data-binary", "@" + file, "/footlight/v1/images/logo"},
	} {
		args[len(args)-1] = h.web.URL + args[len(args)-1]
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"--silent", "--show-error", "--fail-with-body"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("curl %q: %v: %s", args, err, out)
		}
	}
}
