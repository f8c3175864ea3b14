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

// play reads the playlist and the newest media, as a player does, and measures how long ago the beginning of the newest part was
// drawn, and how far apart sound and picture begin in it. The sound of that part has to be the participant's. Of pictures only key
// frames are decoded: the newest of them tells how far what was drawn is from the playlist's time.
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
	var header []byte
	if edge.init != "" {
		if header, err = read(ctx, variant, edge.init); err != nil {
			return "", err
		}
	}
	newest, err := readPart(ctx, variant, edge.part, header)
	if err != nil {
		return "", err
	}
	apart, err := newest.apart()
	if err != nil {
		return "", err
	}
	if err := d.listen(ctx, newest.sound); err != nil {
		return "", err
	}
	if edge.key != edge.part {
		if newest, err = readPart(ctx, variant, edge.key, header); err != nil {
			return "", err
		}
	}
	key, err := newest.keyFrame()
	if err != nil {
		return "", err
	}
	drawn, err := d.drawn(ctx, key)
	if err != nil {
		return "", err
	}
	age += edge.keyBegan.Sub(drawn)
	return fmt.Sprintf("the newest part begins with what was drawn %d ms ago, its sound and picture begin %.1f ms apart",
		age.Milliseconds(), float64(apart.Microseconds())/1000), nil
}

// edge is the live end of a media playlist.
type edge struct {
	init, part string    // init is empty where there is none
	began      time.Time // the newest part, by the server's clock
	key        string    // the newest part that begins with a key frame
	keyBegan   time.Time
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
			if attribute(value, "INDEPENDENT") == "YES" {
				e.key, e.keyBegan = e.part, clock.Add(parts)
			}
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
	if e.part == "" || e.key == "" || clock.IsZero() {
		return e, fmt.Errorf("the playlist has no parts, none with a key frame or no date")
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
