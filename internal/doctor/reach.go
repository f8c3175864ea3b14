package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/tryout"
)

// get asks the server for a path of its HTTP address.
func (d *Doctor) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.API.Endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	res.Body.Close()
	return res, nil
}

func (d *Doctor) answers(ctx context.Context) (string, error) {
	res, err := d.get(ctx, "/healthz")
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return "", &trouble{err, "its certificate is not trusted here: use one of a public authority, or trust it with SSL_CERT_FILE"}
	}
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET /healthz: %s", res.Status)
	}
	return "", nil
}

// soon is when a certificate's end is worth a failure.
const soon = 7 * 24 * time.Hour

func (d *Doctor) certificate(ctx context.Context) (string, error) {
	u, err := url.Parse(d.API.Endpoint)
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" {
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return "", tryout.NotTried("plain HTTP on this machine")
		}
		return "", errors.New("plain HTTP: browsers give pages from here neither camera nor microphone, and tokens travel in the clear")
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	conn, err := new(tls.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return remaining(conn.(*tls.Conn).ConnectionState().PeerCertificates[0])
}

func remaining(c *x509.Certificate) (string, error) {
	left := time.Until(c.NotAfter)
	if left < soon {
		return "", &trouble{
			fmt.Errorf("it ends on %s: less than %d days are too few", c.NotAfter.Format(time.DateTime), int(soon.Hours()/24)),
			"renew it now; the server reads the files of --tls-cert and --tls-key again when they change",
		}
	}
	return fmt.Sprintf("valid for %d days", int(left.Hours()/24)), nil
}

// farClocks is how far clocks may be apart before it is a failure: what tells them apart comes in whole seconds.
const farClocks = 5 * time.Second

func (d *Doctor) clock(ctx context.Context) (string, error) {
	before := time.Now()
	res, err := d.get(ctx, "/healthz")
	if err != nil {
		return "", err
	}
	theirs, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return "", fmt.Errorf("the answer has no date: %w", err)
	}
	ours := before.Add(time.Since(before) / 2)
	apart := theirs.Add(500 * time.Millisecond).Sub(ours).Abs() // their second has begun half a second ago, on average
	if apart > farClocks {
		return "", fmt.Errorf("they are %v apart", apart.Round(time.Second))
	}
	return "less than a second apart", nil
}

func (d *Doctor) accessKey(ctx context.Context) (string, error) {
	var channel ivs.CreateChannelResponse
	if err := d.API.Call(ctx, "CreateChannel", ivs.CreateChannelRequest{Name: new("footlight-doctor")}, &channel); err != nil {
		return "", err
	}
	d.channel = channel.Channel
	var stage ivsrealtime.CreateStageResponse
	if err := d.API.Call(ctx, "CreateStage", ivsrealtime.CreateStageRequest{Name: new("footlight-doctor")}, &stage); err != nil {
		return "", err
	}
	d.stage = stage.Stage
	return d.API.Key.AccessKeyID, nil
}

// rtmps opens the port where encoders publish to channels. The server's default certificate is self-signed, so that who
// it names is told and no failure.
func (d *Doctor) rtmps(ctx context.Context) (string, error) {
	address := *d.channel.IngestEndpoint
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "443")
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(address)
	certificates := conn.(*tls.Conn).ConnectionState().PeerCertificates
	pool := x509.NewCertPool()
	for _, c := range certificates[1:] {
		pool.AddCert(c)
	}
	if _, err := certificates[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: pool}); err != nil {
		return address + ", its certificate trusted by encoders that do not verify (FFmpeg), not by OBS", nil
	}
	return address, nil
}

// srt knocks at the port where encoders publish by SRT, under a name that is nobody's: a server that says no is there.
func (d *Doctor) srt(ctx context.Context) (string, error) {
	if d.channel.Srt == nil {
		return "", tryout.NotTried("the server takes no SRT (--srt-addr)")
	}
	address := *d.channel.Srt.Endpoint
	config := gosrt.DefaultConfig()
	config.StreamId, config.Passphrase = "footlight-doctor", *d.channel.Srt.Passphrase
	config.ConnectionTimeout = 5 * time.Second
	refused := make(chan error, 1)
	go func() {
		conn, err := gosrt.Dial("srt", address, config)
		if err == nil {
			conn.Close()
			err = errors.New("it lets anybody in")
		}
		refused <- err
	}()
	select {
	case err := <-refused:
		if strings.Contains(err.Error(), "connection rejected") { // the library has no error of its own for it
			return address, nil
		}
		return "", err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (d *Doctor) composer(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, d.Composer, "--help").CombinedOutput()
	if err != nil {
		text := strings.TrimSpace(string(out))
		return "", fmt.Errorf("%s: %w %s", d.Composer, err, text[:min(len(text), 300)])
	}
	return "", nil
}
