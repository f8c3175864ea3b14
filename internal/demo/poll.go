package demo

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

// poll calls try four times a second until it gives nil. After limit it returns try's last error.
func poll(ctx context.Context, limit time.Duration, try func() error) error {
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

// playable is nil once the playlist at this URL leads to media: it takes the steps a player takes,
// multivariant playlist, media playlist, first part or segment.
func playable(ctx context.Context, playbackURL string) error {
	variant, err := firstURI(ctx, playbackURL)
	if err != nil {
		return err
	}
	media, err := firstURI(ctx, variant)
	if err != nil {
		return err
	}
	body, err := get(ctx, media)
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

// firstURI returns the first media or playlist that a playlist names, as an absolute URL.
func firstURI(ctx context.Context, playlist string) (string, error) {
	body, err := get(ctx, playlist)
	if err != nil {
		return "", err
	}
	defer body.Close()
	base, err := url.Parse(playlist)
	if err != nil {
		return "", err
	}
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
		ref, err := base.Parse(line)
		if err != nil {
			return "", fmt.Errorf("%s names %q: %w", playlist, line, err)
		}
		return ref.String(), nil
	}
	return "", fmt.Errorf("%s names no media yet", playlist)
}

func get(ctx context.Context, address string) (io.ReadCloser, error) {
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
