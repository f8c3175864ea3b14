package tryout

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Poll calls try four times a second until it gives nil. After limit it returns try's last error.
func Poll(ctx context.Context, limit time.Duration, try func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("not after %v: %w", limit, err)
		case <-tick.C:
		}
	}
}

// Playable is nil once the playlist at this URL leads to media: it takes the steps a player takes,
// multivariant playlist, media playlist, first part or segment.
func Playable(ctx context.Context, playbackURL string) error {
	variant, err := FirstURI(ctx, playbackURL)
	if err != nil {
		return err
	}
	media, err := FirstURI(ctx, variant)
	if err != nil {
		return err
	}
	body, err := Get(ctx, media)
	if err != nil {
		return err
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s is empty", media)
	}
	return err
}

// FirstURI returns the first media or playlist that a playlist names, as an absolute URL.
func FirstURI(ctx context.Context, playlist string) (string, error) {
	body, err := Get(ctx, playlist)
	if err != nil {
		return "", err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "#EXT-X-PART:"); ok {
			_, rest, _ = strings.Cut(rest, `URI="`)
			line, _, _ = strings.Cut(rest, `"`)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		return Resolve(playlist, line)
	}
	return "", fmt.Errorf("%s names no media yet", playlist)
}

// Resolve makes a URI of a playlist absolute.
func Resolve(playlist, uri string) (string, error) {
	base, err := url.Parse(playlist)
	if err != nil {
		return "", err
	}
	ref, err := base.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("%s names %q: %w", playlist, uri, err)
	}
	return ref.String(), nil
}

// Get reads what is at an address, which must answer 200.
func Get(ctx context.Context, address string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", address, resp.Status)
	}
	return resp.Body, nil
}
