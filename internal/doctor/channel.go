package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/tryout"
)

// compose puts the stage onto the channel.
func (d *Doctor) compose(ctx context.Context) (string, error) {
	start := time.Now()
	var out ivsrealtime.StartCompositionResponse
	err := d.API.Call(ctx, "StartComposition", ivsrealtime.StartCompositionRequest{
		StageArn:     d.stage.Arn,
		Destinations: []ivsrealtime.DestinationConfiguration{{Channel: &ivsrealtime.ChannelDestinationConfiguration{ChannelArn: d.channel.Arn}}},
	}, &out)
	if err != nil {
		return "", err
	}
	d.composition = out.Composition
	err = tryout.Poll(ctx, 20*time.Second, func() error { return tryout.Playable(ctx, *d.channel.PlaybackUrl) })
	return fmt.Sprintf("playable after %v", time.Since(start).Round(10*time.Millisecond)), err
}

// play reads the playlist and the newest media, as a player does, and measures how old the newest part is, and how far
// apart sound and picture begin in it. The age is of the part's beginning: its last picture may last into the future.
func (d *Doctor) play(ctx context.Context) (string, error) {
	variant, err := tryout.FirstURI(ctx, *d.channel.PlaybackUrl)
	if err != nil {
		return "", err
	}
	var edge edge
	// Two seconds of it, so that what is measured is not the stream's beginning.
	err = tryout.Poll(ctx, 10*time.Second, func() error {
		body, err := tryout.Get(ctx, variant)
		if err != nil {
			return err
		}
		defer body.Close()
		edge, err = readEdge(body)
		if err == nil && edge.length < 2*time.Second {
			err = fmt.Errorf("the playlist holds %v of media", edge.length)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	age := time.Since(edge.began)
	apart, err := d.apart(ctx, variant, edge)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("newest part began %d ms ago, sound and picture begin %.1f ms apart in it", age.Milliseconds(), float64(apart.Microseconds())/1000), nil
}

// edge is the live end of a media playlist.
type edge struct {
	init, part string    // init is empty where there is none
	began      time.Time // the newest part, by the server's clock
	length     time.Duration
}

// readEdge reads a media playlist (rfc8216bis). Parts of a segment that is complete count with it.
func readEdge(playlist io.Reader) (edge, error) {
	var e edge
	var parts, segment time.Duration // since the last complete segment; of the next complete one
	var last time.Duration           // of the newest part
	var clock time.Time              // of the next segment
	lines := bufio.NewScanner(playlist)
	for lines.Scan() {
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "#EXT-X-MAP":
			e.init = attribute(value, "URI")
		case "#EXT-X-PROGRAM-DATE-TIME":
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return e, fmt.Errorf("the playlist's date %q: %w", value, err)
			}
			clock = t
		case "#EXT-X-PART":
			e.part = attribute(value, "URI")
			last = seconds(attribute(value, "DURATION"))
			parts += last
		case "#EXTINF":
			segment = seconds(strings.TrimSuffix(value, ","))
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			e.length += segment
			clock = clock.Add(segment)
			parts = 0
		}
	}
	e.length += parts
	e.began = clock.Add(parts - last)
	if e.part == "" || clock.IsZero() {
		return e, fmt.Errorf("the playlist has no parts or no date")
	}
	return e, lines.Err()
}

// attribute returns a value of an attribute list (RFC 8216 section 4.2), without quotes.
func attribute(list, name string) string {
	for a := range strings.SplitSeq(list, ",") {
		if key, value, _ := strings.Cut(a, "="); key == name {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

func seconds(s string) time.Duration {
	f, _ := strconv.ParseFloat(s, 64) // what is no number is no time
	return time.Duration(f * float64(time.Second))
}

// apart is how far the first sound and the first picture of the newest part are apart.
func (d *Doctor) apart(ctx context.Context, playlist string, e edge) (time.Duration, error) {
	var header []byte
	if e.init != "" {
		var err error
		if header, err = read(ctx, playlist, e.init); err != nil {
			return 0, err
		}
	}
	part, err := read(ctx, playlist, e.part)
	if err != nil {
		return 0, err
	}
	starts, err := startsOf(header, part)
	if err != nil {
		return 0, err
	}
	if len(starts) != 2 {
		return 0, fmt.Errorf("the newest part has %d tracks, not sound and picture", len(starts))
	}
	return (starts[0] - starts[1]).Abs(), nil
}

func read(ctx context.Context, base, uri string) ([]byte, error) {
	address, err := tryout.Resolve(base, uri)
	if err != nil {
		return nil, err
	}
	body, err := tryout.Get(ctx, address)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
