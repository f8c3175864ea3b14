package server

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/control"
)

// Config is everything that one can set on a server. The struct tags are the command line's.
type Config struct {
	DataDir string `help:"Folder for keys and state; created when missing. Default: data; of demo, a temporary folder that it removes at the end." type:"path" placeholder:"DIR"`

	HTTPAddr   string `name:"http-addr" help:"Address of all HTTP: API, WHIP, events, playback, console." default:"127.0.0.1:4080" placeholder:"HOST:PORT"`
	WebRTCAddr string `name:"webrtc-addr" help:"Address of all WebRTC media, over UDP and TCP." default:"127.0.0.1:4081" placeholder:"HOST:PORT"`
	TURNAddr   string `name:"turn-addr" help:"Address of a TURN server for clients in closed networks, over UDP and TCP, and over TLS when there is a certificate. Default: none." placeholder:"HOST:PORT"`
	RTMPAddr   string `name:"rtmp-addr" help:"Address of RTMP ingest." default:"127.0.0.1:1935" placeholder:"HOST:PORT"`
	RTMPSAddr  string `name:"rtmps-addr" help:"Address of RTMPS ingest." default:"127.0.0.1:1936" placeholder:"HOST:PORT"`
	SRTAddr    string `name:"srt-addr" help:"Address of SRT ingest, over UDP. Empty: none." default:"127.0.0.1:9000" placeholder:"HOST:PORT"`

	PublicURL  string   `name:"public-url" help:"The URL under which clients reach the HTTP address. Default: the address itself." placeholder:"URL"`
	PublicHost string   `name:"public-host" help:"The host under which encoders reach RTMP, RTMPS and SRT. Default: that of the public URL." placeholder:"HOST"`
	PublicIPs  []string `name:"public-ip" help:"IP address to announce for WebRTC media before the bound ones, for example that of the router. Repeat it for several." placeholder:"IP"`

	TLSCert string `name:"tls-cert" help:"Certificate for HTTPS and RTMPS (PEM), read again when the file changes. Default: HTTP in the clear, and a self-signed certificate for RTMPS." type:"existingfile" placeholder:"FILE"`
	TLSKey  string `name:"tls-key" help:"Key of the certificate (PEM)." type:"existingfile" placeholder:"FILE"`

	Region    string `help:"Region in ARNs and playback URLs." default:"us-east-1"`
	AccountID string `name:"account-id" help:"Account in ARNs and playback URLs." default:"000000000000"`
	NATSURL   string `name:"nats-url" help:"Use this NATS cluster in place of the embedded one." placeholder:"URL"`
	GeoIPDB   string `name:"geoip-db" help:"Database by which viewers' countries are known, in the MaxMind DB format. Default: no playback restriction policy can name countries." type:"existingfile" placeholder:"FILE"`
	Storage   string `help:"Where recordings go: file:///folder, or s3://?endpoint=URL&path-style=true&region=NAME. Default: the folder objects in the data dir." placeholder:"URL"`
	MaxSpool  Size   `name:"max-spool" help:"What recordings may take of the data dir while they wait for the object store, in bytes or with a unit, such as 512M or 20G: when it is full, recording pauses." default:"20G" placeholder:"SIZE"`
	Composer  string `help:"The composer program. Default: footlight-composer beside this program." type:"path" placeholder:"FILE"`

	MaxComposerCores  float64 `name:"max-composer-cores" help:"What all composers and ladders together may take of the machine: a composition or a publisher that would need more is refused. Default: nine tenths of the processors." placeholder:"CORES"`
	MaxComposerMemory Size    `name:"max-composer-memory" help:"Resident memory of one composer, in bytes or with a unit, such as 512M or 2G: one that takes more is replaced." default:"1G" placeholder:"SIZE"`

	Webhooks []string `name:"webhook" help:"URL that gets each event as a signed POST. Repeat it for several." sep:"none" placeholder:"URL"`

	Throttle string         `help:"Limit the rate of each operation as IVS does, with 429: ${enum}." enum:"off,aws" default:"off"`
	Quotas   map[string]int `name:"quota" help:"How many of a kind there may be, in place of the default of IVS, for example channels=100. Several are separated by semicolons." placeholder:"NAME=N"`
}

// leastComposerMemory is refused as a limit when it is not reached: a composer of an empty stage has about 60 MiB.
const leastComposerMemory = 128 << 20

func (c *Config) account() arn.Account { return arn.Account{Region: c.Region, ID: c.AccountID} }

// setQuotas changes the quotas that the configuration names.
func (c *Config) setQuotas(q *control.Quotas) error {
	for name, n := range c.Quotas {
		if err := q.Set(name, n); err != nil {
			return fmt.Errorf("--quota: %w", err)
		}
	}
	return nil
}

// publicHost is the host under which encoders reach RTMP; publicURL is that of the server.
func (c *Config) publicHost(publicURL string) string {
	if c.PublicHost != "" {
		return c.PublicHost
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// validate checks what can be checked before anything starts, and fills in defaults that depend on the machine.
func (c *Config) validate() error {
	if c.DataDir == "" {
		return errors.New("configuration: --data-dir is empty")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("configuration: --tls-cert and --tls-key go together")
	}
	if len(c.AccountID) != 12 || strings.Trim(c.AccountID, "0123456789") != "" {
		return fmt.Errorf("configuration: --account-id %q must be twelve digits", c.AccountID)
	}
	if c.Region == "" || strings.Trim(c.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("configuration: --region %q must be lower-case letters, digits and dashes", c.Region)
	}
	if c.Throttle != "" && c.Throttle != "off" && c.Throttle != "aws" {
		return fmt.Errorf("configuration: --throttle %q must be off or aws", c.Throttle)
	}
	if err := c.setQuotas(new(control.Quotas)); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fmt.Errorf("configuration: --public-url %q must look like https://live.example.com", c.PublicURL)
		}
		c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	}
	if host, _, err := net.SplitHostPort(c.HTTPAddr); err != nil {
		return fmt.Errorf("configuration: --http-addr %q must be HOST:PORT", c.HTTPAddr)
	} else if ip := net.ParseIP(host); c.PublicURL == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return fmt.Errorf("configuration: --http-addr %s listens on every address of the machine: say with --public-url under which one clients reach it", c.HTTPAddr)
	}
	for _, f := range [][2]string{
		{"--webrtc-addr", c.WebRTCAddr}, {"--turn-addr", c.TURNAddr}, {"--rtmp-addr", c.RTMPAddr}, {"--rtmps-addr", c.RTMPSAddr}, {"--srt-addr", c.SRTAddr},
	} {
		if _, _, err := net.SplitHostPort(f[1]); f[1] != "" && err != nil {
			return fmt.Errorf("configuration: %s %q must be HOST:PORT", f[0], f[1])
		}
	}
	for _, ip := range c.PublicIPs {
		if net.ParseIP(ip) == nil {
			return fmt.Errorf("configuration: --public-ip %q is not an IP address", ip)
		}
	}
	if c.MaxComposerCores < 0 {
		return fmt.Errorf("configuration: --max-composer-cores %v must not be negative", c.MaxComposerCores)
	}
	if c.MaxComposerMemory != 0 && c.MaxComposerMemory < leastComposerMemory {
		return fmt.Errorf("configuration: --max-composer-memory %d, in bytes, is less than the %d that any composer needs", c.MaxComposerMemory, leastComposerMemory)
	}
	if c.MaxSpool < 0 {
		return fmt.Errorf("configuration: --max-spool %d must not be negative", c.MaxSpool)
	}
	for _, hook := range c.Webhooks {
		if u, err := url.Parse(hook); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("configuration: --webhook %q must look like https://example.com/events", hook)
		}
	}
	if c.Composer == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("configuration: find this program: %w", err)
		}
		c.Composer = filepath.Join(filepath.Dir(self), "footlight-composer")
	}
	return nil
}
