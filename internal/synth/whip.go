package synth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// refusal is an answer of the server other than 201.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("refused with status %d: %s", r.status, r.detail)
}

// final tells whether asking again with the same token makes no sense. A server that is starting may not know
// the stage yet, so 404 is not final.
func (r *refusal) final() bool {
	switch r.status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return r.status >= 400 && r.status < 500
}

const (
	whipTimeout  = 10 * time.Second
	maxRedirects = 5 // as the senders that are documented for IVS allow
	maxAnswer    = 256 << 10
	userAgent    = "footlight-synth"
)

// postOffer does the WHIP exchange (RFC 9725) and returns the answer and the session's URL. It follows
// redirects itself, because the standard client drops the Authorization header on the way to another host.
func (p *Publisher) postOffer(ctx context.Context, offer string) (answer, session string, err error) {
	ctx, cancel := context.WithTimeout(ctx, whipTimeout)
	defer cancel()
	target := p.WHIPURL
	for range maxRedirects + 1 {
		response, err := p.request(ctx, http.MethodPost, target, offer)
		if err != nil {
			return "", "", err
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		err = errors.Join(err, response.Body.Close())
		if err != nil {
			return "", "", fmt.Errorf("read the answer of %s: %w", target, err)
		}
		location, locationErr := resolve(target, response.Header.Get("Location"))
		switch {
		case response.StatusCode == http.StatusCreated:
			// Without a Location there is nothing to DELETE; that is all.
			return string(body), location, nil
		case response.StatusCode >= 300 && response.StatusCode < 400 && locationErr == nil:
			target = location
		default:
			detail := strings.TrimSpace(string(body))
			return "", "", &refusal{response.StatusCode, detail[:min(len(detail), 300)]}
		}
	}
	return "", "", fmt.Errorf("post the offer to %s: more than %d redirects", p.WHIPURL, maxRedirects)
}

// hangUp deletes the session, as far as the server still listens.
func (p *Publisher) hangUp(ctx context.Context, session string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	response, err := p.request(ctx, http.MethodDelete, session, "")
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func (p *Publisher) request(ctx context.Context, method, target, body string) (*http.Response, error) {
	if p.currentFaults().Offline {
		return nil, errors.New("reach the server: the publisher is offline")
	}
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	request.Header.Set("Authorization", "Bearer "+p.Token)
	request.Header.Set("User-Agent", userAgent)
	if body != "" {
		request.Header.Set("Content-Type", "application/sdp")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if p.HTTPClient != nil {
		client.Transport = p.HTTPClient.Transport
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reach the server: %w", err)
	}
	return response, nil
}

func resolve(base, location string) (string, error) {
	if location == "" {
		return "", errors.New("no Location")
	}
	parsed, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("parse %q: %w", base, err)
	}
	resolved, err := parsed.Parse(location)
	if err != nil {
		return "", fmt.Errorf("parse Location %q: %w", location, err)
	}
	return resolved.String(), nil
}
