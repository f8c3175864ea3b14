package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/footlight-live/footlight/internal/accesskey"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/server"
)

type eventsCommand struct {
	DataDir       string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
	Follow        bool   `short:"f" help:"Go on with what happens from now on, until Ctrl-C."`
	Since         string `help:"Begin here: a time like 2026-01-31T12:00:00Z, or how long ago like 90s, 10m or 24h. Default: everything, 30 days." placeholder:"TIME"`
	Resource      string `help:"Only what happened to this resource." placeholder:"ARN"`
	Format        string `help:"${enum}: a line to read, or the whole event as JSON on a line." enum:"text,json" default:"text"`
	WebhookSecret bool   `help:"Print the secret that signs what webhooks get, and nothing else."`
}

func (*eventsCommand) Help() string {
	return `Events have the form of Amazon EventBridge: "IVS Composition State Change", "IVS Stage Update" and "IVS Stream State Change". For example:

  footlight events --follow
  footlight events --since 10m --resource arn:aws:ivs:us-east-1:000000000000:composition/AbCdEfGhIjKl
  footlight events --follow --format json | jq 'select(.detail.event_name == "Session Failure")'

The same over HTTP:  curl -u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$AWS_ENDPOINT_URL/footlight/v1/events?since=10m&follow=true"

footlight serve --webhook URL sends each event to a URL as well. Its header Footlight-Signature is t=SECONDS,v1=HEX; HEX is the HMAC-SHA256 of SECONDS, a dot and the body, with the text of --webhook-secret as the key. Answer 2xx when you have it; anything else is tried again. The same event may come twice, with the same id.`
}

func (c *eventsCommand) Run(ctx context.Context) error {
	if c.WebhookSecret {
		if err := checkDataDir(c.DataDir); err != nil {
			return err
		}
		secret, err := event.Secret(c.DataDir)
		if err != nil {
			return err
		}
		fmt.Println(secret)
		return nil
	}
	request, err := c.request(ctx)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("read events: is the server up? %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10)) // for the message only
		return fmt.Errorf("read events: the server answered %s: %s", response.Status, bytes.TrimSpace(body))
	}
	err = c.print(os.Stdout, response.Body)
	switch {
	case ctx.Err() != nil:
		return nil // Ctrl-C
	case err == nil && c.Follow:
		return errors.New("read events: the server has ended")
	}
	return err
}

// request asks the server of the data dir.
func (c *eventsCommand) request(ctx context.Context) (*http.Request, error) {
	query := url.Values{}
	if c.Since != "" {
		if _, err := event.ParseSince(c.Since, time.Now()); err != nil {
			return nil, fmt.Errorf("read events: --%w", err)
		}
		query.Set("since", c.Since)
	}
	if c.Resource != "" {
		query.Set("resource", c.Resource)
	}
	if c.Follow {
		query.Set("follow", "true")
	}
	request, err := signedGet(ctx, c.DataDir, "events?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return request, nil
}

// signedGet is a request to Footlight's own API of the server of a data dir, signed with its first key.
func signedGet(ctx context.Context, dataDir, path string) (*http.Request, error) {
	runtime, err := server.ReadRuntime(dataDir)
	if err != nil {
		return nil, err
	}
	keys, err := accesskey.Open(dataDir)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, runtime.Endpoint+"/footlight/v1/"+path, nil)
	if err != nil {
		return nil, err
	}
	key := keys.First()
	empty := sha256.Sum256(nil)
	return request, v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, request,
		hex.EncodeToString(empty[:]), "ivs", runtime.Region, time.Now())
}

// maxEvent bounds one line from the server, in bytes.
const maxEvent = 1 << 20

func (c *eventsCommand) print(w io.Writer, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			continue // a sign of life
		}
		if c.Format == "text" {
			line = readable(lines.Bytes())
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}

// readable is an event as a line: time, resource, name, then what else its detail says.
func readable(line []byte) string {
	var e event.Event
	if err := json.Unmarshal(line, &e); err != nil || len(e.Resources) == 0 {
		return string(line)
	}
	resource := e.Resources[0]
	if a, err := arn.Parse(resource); err == nil {
		resource = fmt.Sprintf("%s/%s", a.Type, a.ID)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %-24s", e.Time.Format(time.RFC3339), resource)
	// The detail is an object whose members stand in the order that the event type gives them.
	decoder := json.NewDecoder(bytes.NewReader(e.Detail))
	var name, rest string
	if _, err := decoder.Token(); err != nil {
		return string(line)
	}
	for decoder.More() {
		key, err := decoder.Token()
		var value json.RawMessage
		if err == nil {
			err = decoder.Decode(&value)
		}
		if err != nil {
			return string(line)
		}
		switch shown := strings.Trim(string(value), `"`); {
		case key == "event_name":
			name = shown
		case key == "event_time" || key == "event_time_precise":
		case strings.Contains(shown, " "):
			rest += fmt.Sprintf("  %v=%q", key, shown)
		default:
			rest += fmt.Sprintf("  %v=%s", key, shown)
		}
	}
	fmt.Fprintf(&text, "  %-24s%s", name, rest)
	return strings.TrimRight(text.String(), " ")
}
