package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	"github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"

	"github.com/footlight-live/footlight/internal/extension"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/synth"
	"github.com/footlight-live/footlight/test/harness"
	"github.com/footlight-live/footlight/test/judge"
)

const (
	bucket = "recordings"
	// recoveryPoint is what docs/recording.md promises.
	recoveryPoint = 1500 * time.Millisecond
	// killsPerTape is how often one recording is hit.
	killsPerTape = 5
	// stopTime is a little more than a composition needs to stop.
	stopTime = 40 * time.Millisecond
)

// BenchmarkKilled kills processes of a running server as kill -9 does, at random instants of compositions that go to a
// channel and to a recording at once: the composer, the server, and the server while the composition stops, each of them
// FOOTLIGHT_KILLS (4) times. Every fifth kill hits the start of a composition, the others hit it while media comes.
//
// Whatever the object store had must still be there as it was, the channel's playlist must go on, and every prefix must end
// whole: each byte is read, each picture decoded. The figures are what a recording lacks before a kill of what had reached
// the server, and for how long nothing comes afterwards.
func BenchmarkKilled(b *testing.B) {
	n := 4
	if text := os.Getenv("FOOTLIGHT_KILLS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			b.Fatalf("FOOTLIGHT_KILLS is %q, not a number", text)
		}
	}
	for _, victim := range []string{"composer", "server", "stopping"} {
		b.Run(victim, func(b *testing.B) {
			k := newKilling(b)
			for k.kills < n {
				if victim == "stopping" {
					k.stopping()
				} else {
					k.running(victim, min(killsPerTape, n-k.kills))
				}
			}
			keep(b, map[string]float64{"kills": float64(k.kills), "kills-while-media-came": float64(len(k.lost)),
				"lost-mean-s": mean(k.lost).Seconds(), "lost-max-s": slices.Max(append(k.lost, 0)).Seconds(),
				"away-mean-s": mean(k.away).Seconds(), "away-max-s": slices.Max(append(k.away, 0)).Seconds(),
				"stored-objects-lost": float64(k.missing), "recordings": float64(k.tapes), "recordings-valid": float64(k.valid)})
		})
	}
}

// killing is a server to be killed, with somebody on a stage.
type killing struct {
	b                *testing.B
	server           *harness.Server
	stage            *types.Stage
	encoder, storage string // ARNs
	env              map[string]string

	kills, tapes, valid int
	missing             int             // objects that the store had once
	lost                []time.Duration // of each kill while media came
	away                []time.Duration // from each kill until media came again
}

func newKilling(b *testing.B) *killing {
	k := &killing{b: b, server: harness.StartServer(b)}
	k.stage, k.encoder, k.env = k.server.CreateStage("killed"), k.server.CreateEncoder(1280, 720, 30, 2_500_000), k.server.Env()
	storage, err := k.server.RealTime.CreateStorageConfiguration(b.Context(), &ivsrealtime.CreateStorageConfigurationInput{
		S3: &types.S3StorageConfiguration{BucketName: new(bucket)},
	})
	if err != nil {
		b.Fatal(err)
	}
	k.storage = *storage.StorageConfiguration.Arn
	k.server.Publish(k.stage, 3, "Ada", func(p *synth.Publisher) { p.FrameRate = 15 })
	k.server.WaitPublishing(k.stage, 1)
	return k
}

// tape is one composition.
type tape struct {
	arn, id, dir string // id is the recording's, dir its folder in the store
	prefix       string
	channel      *ivstypes.Channel
	sequence     int64               // of the channel's playlist, as last seen
	stored       map[string][32]byte // what the store has had, but for what it overwrites
	segments     []string            // that the playlist has named
	kills        []kill
	seen         bool // Ada is in the picture at the end
}

// kill is one of them. since is when media began to come before it; zero: none came.
type kill struct{ at, since time.Time }

func (k *killing) begin() *tape {
	k.b.Helper()
	channel := k.server.CreateChannel("killed")
	out, err := k.server.RealTime.StartComposition(k.b.Context(), &ivsrealtime.StartCompositionInput{StageArn: k.stage.Arn, Destinations: []types.DestinationConfiguration{
		{Channel: &types.ChannelDestinationConfiguration{ChannelArn: channel.Arn, EncoderConfigurationArn: &k.encoder}},
		{S3: &types.S3DestinationConfiguration{StorageConfigurationArn: &k.storage, EncoderConfigurationArns: []string{k.encoder}}},
	}})
	if err != nil {
		k.b.Fatal(err)
	}
	d := out.Composition.Destinations[1]
	prefix := *d.Detail.S3.RecordingPrefix
	arn := *out.Composition.Arn
	k.tapes++
	return &tape{
		arn: arn, id: "composite-" + arn[strings.LastIndexByte(arn, '/')+1:] + "-" + *d.Id, prefix: prefix, channel: channel,
		dir: filepath.Join(k.server.DataDir, "objects", bucket, filepath.FromSlash(prefix)), stored: map[string][32]byte{},
	}
}

// running kills a process again and again while one composition runs.
func (k *killing) running(victim string, times int) {
	k.b.Helper()
	t := k.begin()
	for i := range times {
		if i == 0 {
			k.watch(t, time.Now().Add(rand.N(3*time.Second)))
		} else {
			k.comes(t)
			k.watch(t, time.Now().Add(rand.N(4*time.Second)))
		}
		k.remember(t)
		if victim == "server" {
			k.killServer(t)
			continue
		}
		var composers []int
		harness.Eventually(k.b, 30*time.Second, "there is a composer", func(context.Context) error {
			if composers = k.server.Composers(); len(composers) != 1 {
				return fmt.Errorf("there are %d", len(composers))
			}
			return nil
		})
		k.kills++
		t.kills[len(t.kills)-1].at = time.Now()
		if err := syscall.Kill(composers[0], syscall.SIGKILL); err != nil {
			k.b.Fatal(err)
		}
		k.pauses(t)
	}
	k.comes(t)
	k.goesOn(t)
	t.seen = true
	if _, err := k.server.RealTime.StopComposition(k.b.Context(), &ivsrealtime.StopCompositionInput{Arn: &t.arn}); err != nil {
		k.b.Fatal(err)
	}
	k.judge(t)
}

// stopping kills the server while a composition stops.
func (k *killing) stopping() {
	k.b.Helper()
	t := k.begin()
	k.comes(t)
	k.watch(t, time.Now().Add(rand.N(4*time.Second)))
	k.remember(t)
	stopped, acknowledged := time.Now(), make(chan bool, 1)
	go func() {
		_, err := k.server.RealTime.StopComposition(context.Background(), &ivsrealtime.StopCompositionInput{Arn: &t.arn}, once)
		acknowledged <- err == nil
	}()
	time.Sleep(rand.N(stopTime)) // until the random instant
	k.killServer(t)
	t.kills[0].at = stopped // what came after that belongs to nobody
	if !<-acknowledged {
		if _, err := k.server.RealTime.StopComposition(k.b.Context(), &ivsrealtime.StopCompositionInput{Arn: &t.arn}); err != nil {
			k.b.Fatal(err)
		}
	}
	k.judge(t)
}

// once has a client not try again: the answer counts that a server gave before it died.
func once(o *ivsrealtime.Options) { o.RetryMaxAttempts = 1 }

func (k *killing) killServer(t *tape) {
	k.b.Helper()
	k.kills++
	t.kills[len(t.kills)-1].at = time.Now()
	k.server.Kill()
	k.server.Start()
}

// recording is how the recording fares; zero before it has begun.
func (k *killing) recording(t *tape) (r extension.Recording) {
	k.b.Helper()
	req, err := http.NewRequestWithContext(k.b.Context(), http.MethodGet, k.server.URL+"/footlight/v1/recordings/"+t.id, nil)
	if err != nil {
		k.b.Fatal(err)
	}
	req.SetBasicAuth(k.env["AWS_ACCESS_KEY_ID"], k.env["AWS_SECRET_ACCESS_KEY"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		k.b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return r
	}
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		k.b.Fatal(err)
	}
	return r
}

// comes waits until media comes.
func (k *killing) comes(t *tape) {
	k.b.Helper()
	harness.Eventually(k.b, time.Minute, "media comes", func(context.Context) error {
		if state := k.recording(t).State; state != record.Active {
			return fmt.Errorf("the recording is %s", state)
		}
		return nil
	})
}

// pauses waits until none comes.
func (k *killing) pauses(t *tape) {
	k.b.Helper()
	harness.Eventually(k.b, time.Minute, "the recording notices", func(context.Context) error {
		if k.recording(t).State == record.Active {
			return errors.New("it goes on")
		}
		return nil
	})
}

// watch looks at the recording until an instant, and begins a kill with what it saw.
func (k *killing) watch(t *tape, until time.Time) {
	k.b.Helper()
	var next kill
	for {
		switch {
		case k.recording(t).State != record.Active:
			next.since = time.Time{}
		case next.since.IsZero():
			next.since = time.Now()
		}
		left := time.Until(until)
		if left <= 0 {
			break
		}
		time.Sleep(min(left, 50*time.Millisecond)) // until the random instant
	}
	t.kills = append(t.kills, next)
}

// remember notes what the store and the channel have.
func (k *killing) remember(t *tape) {
	k.b.Helper()
	if variant, err := harness.Variant(k.b.Context(), *t.channel.PlaybackUrl); err == nil {
		if n, err := harness.MediaSequence(k.b.Context(), variant); err == nil {
			t.sequence = n
		}
	}
	t.segments = uris(k.playlist(t))
	err := filepath.WalkDir(t.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(path) == ".m3u8" {
			return err
		}
		if _, known := t.stored[path]; known {
			return nil
		}
		data, err := os.ReadFile(path)
		t.stored[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		k.b.Fatal(err)
	}
}

// playlist is the media playlist in the store; empty when there is none.
func (k *killing) playlist(t *tape) *playlist.Media {
	k.b.Helper()
	paths, _ := filepath.Glob(filepath.Join(t.dir, "media", "hls", "*", "playlist.m3u8"))
	if len(paths) == 0 {
		return &playlist.Media{}
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		k.b.Fatal(err)
	}
	p, err := playlist.Unmarshal(data)
	if err != nil {
		k.b.Fatalf("%v\n%s", err, data)
	}
	return p.(*playlist.Media)
}

func uris(p *playlist.Media) (all []string) {
	for _, s := range p.Segments {
		all = append(all, s.URI)
	}
	return all
}

// goesOn waits until Ada is recorded and the channel plays, and looks whether its playlist went on.
func (k *killing) goesOn(t *tape) {
	k.b.Helper()
	k.server.WaitPublishing(k.stage, 1)
	from := k.recording(t).DurationMS
	harness.Eventually(k.b, time.Minute, "some seconds more are recorded", func(context.Context) error {
		if now := k.recording(t).DurationMS; now < from+4000 {
			return fmt.Errorf("%d ms are", now)
		}
		return nil
	})
	harness.WaitPlayable(k.b, *t.channel.PlaybackUrl)
	variant, err := harness.Variant(k.b.Context(), *t.channel.PlaybackUrl)
	if err != nil {
		k.b.Fatal(err)
	}
	if n, err := harness.MediaSequence(k.b.Context(), variant); err != nil || n < t.sequence {
		k.b.Errorf("the channel's playlist went from %d to %d, %v", t.sequence, n, err)
	}
}

// judge waits for the end of a composition and reads all of its recording.
func (k *killing) judge(t *tape) {
	k.b.Helper()
	k.server.WaitComposition(&t.arn, types.CompositionStateStopped)
	out, err := k.server.RealTime.GetComposition(k.b.Context(), &ivsrealtime.GetCompositionInput{Arn: &t.arn})
	if err != nil {
		k.b.Fatal(err)
	}
	for _, d := range out.Composition.Destinations {
		if d.State != types.DestinationStateStopped {
			k.b.Errorf("%s: a destination is %s", t.prefix, d.State)
		}
	}
	for path, sum := range t.stored {
		if data, err := os.ReadFile(path); err != nil || sha256.Sum256(data) != sum {
			k.missing++
			k.b.Errorf("%s was stored and is another one or gone: %v", path, err)
		}
	}
	p := k.playlist(t)
	if len(p.Segments) > 0 && !p.Endlist || len(p.Segments) < len(t.segments) || !slices.Equal(uris(p)[:len(t.segments)], t.segments) {
		k.b.Errorf("%s: the playlist named %v, and now %s", t.prefix, t.segments, harness.JSON(p))
		return
	}
	k.measure(t, p)
	if err := k.whole(t); err != nil {
		k.b.Errorf("%s: %v", t.prefix, err)
		return
	}
	k.valid++
}

// measure finds what lacks before each kill. A run of media lies between two breaks of the playlist.
func (k *killing) measure(t *tape, p *playlist.Media) {
	type run struct {
		from   time.Time
		length time.Duration
	}
	var runs []run
	for _, s := range p.Segments {
		if s.DateTime != nil {
			runs = append(runs, run{from: *s.DateTime})
		}
		runs[len(runs)-1].length += s.Duration
	}
	var before time.Time
	for _, kill := range t.kills {
		end := kill.since
		for _, r := range runs {
			if r.from.After(before) && r.from.Before(kill.at) {
				end = r.from.Add(r.length)
			}
		}
		if i := slices.IndexFunc(runs, func(r run) bool { return r.from.After(kill.at) }); i >= 0 {
			k.away = append(k.away, runs[i].from.Sub(kill.at))
		}
		before = kill.at
		if end.IsZero() {
			continue // nothing had come
		}
		lost := max(0, kill.at.Sub(end))
		if k.lost = append(k.lost, lost); lost > recoveryPoint {
			k.b.Errorf("%s: %v are lost", t.prefix, lost)
		}
	}
}

// whole reads every object of a recording and decodes it.
func (k *killing) whole(t *tape) error {
	store, err := objectstore.Open(k.b.Context(), objectstore.Config{Dir: filepath.Join(k.server.DataDir, "objects")})
	if err != nil {
		return err
	}
	from, err := store.Bucket(bucket)
	if err != nil {
		return err
	}
	report, err := record.Check(k.b.Context(), from, t.prefix)
	if err != nil || len(report.Problems) > 0 {
		return fmt.Errorf("%w %q", err, report.Problems)
	}
	if report.Segments == 0 {
		return nil // killed before there was anything: measure has looked whether that may be
	}
	input := filepath.Join(t.dir, "media", "hls", "multivariant.m3u8")
	text, err := exec.CommandContext(k.b.Context(), "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", input).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ffprobe: %w: %s", err, text)
	}
	length, err := time.ParseDuration(string(bytes.TrimSpace(text)) + "s")
	if off := length - report.Duration; err != nil || off.Abs() > 100*time.Millisecond {
		return fmt.Errorf("ffprobe says %v, the playlist %v: %w", length, report.Duration, err)
	}
	c, err := judge.Record(k.b.Context(), input, time.Hour, judge.Options{Tiles: harness.GridTiles(1), InputArgs: []string{"-xerror", "-err_detect", "explode"}})
	if err != nil {
		return err
	}
	if m := c.Motion(0, 3, 0, judge.Forever); t.seen && m.Frames == 0 || m.Back > 0 {
		return fmt.Errorf("Ada's pictures: %+v", m)
	}
	return nil
}

func mean(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(max(1, len(all)))
}
