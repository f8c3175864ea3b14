package judge

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/synth/signal"
)

const (
	clipLength = 4 * time.Second
	clipRate   = 30
)

// clipStart is not on a whole second, as in real life.
var clipStart = time.Unix(1764000000, 0).Add(400 * time.Millisecond)

// clips are the participants that were encoded already, in the folder that TestMain removes.
var clips = struct {
	folder string
	made   map[int]string
}{made: map[int]string{}}

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "judge")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	clips.folder = folder
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// clip is the file of a synthetic participant.
func clip(t *testing.T, index int) string {
	t.Helper()
	if clips.made[index] == "" {
		path := filepath.Join(clips.folder, fmt.Sprintf("%d.mkv", index))
		writeClip(t, path, index)
		clips.made[index] = path
	}
	return clips.made[index]
}

// writeClip encodes a synthetic participant as a file, at 400 kb/s like a poor uplink would.
func writeClip(t *testing.T, path string, index int) {
	t.Helper()
	painter, err := signal.NewPainter(index, fmt.Sprintf("Participant %d", index), 640, 360)
	if err != nil {
		t.Fatal(err)
	}
	ffmpeg(t, func(video, audio io.Writer) error {
		var wait sync.WaitGroup
		var soundErr error
		wait.Go(func() {
			pcm := make([]float32, int(2*signal.SampleRate*clipLength/time.Second))
			signal.FillSound(pcm, index, signal.SampleAt(clipStart))
			soundErr = binary.Write(audio, binary.LittleEndian, pcm)
			soundErr = closeWith(audio, soundErr)
		})
		frame := painter.NewFrame()
		for n := range int(clipLength * clipRate / time.Second) {
			painter.Draw(frame, clipStart.Add(time.Duration(n)*time.Second/clipRate))
			for _, plane := range [][]byte{frame.Y, frame.Cb, frame.Cr} {
				if _, err := video.Write(plane); err != nil {
					return err
				}
			}
		}
		err := closeWith(video, nil)
		wait.Wait()
		if err == nil {
			err = soundErr
		}
		return err
	},
		"-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "640x360", "-r", "30", "-i", "pipe:3",
		"-f", "f32le", "-ar", "48000", "-ac", "2", "-i", "pipe:4",
		"-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "baseline", "-b:v", "400k",
		"-maxrate", "400k", "-bufsize", "400k", "-g", "60", "-c:a", "libopus", "-b:a", "64k", path)
}

func closeWith(w io.Writer, err error) error {
	if closeErr := w.(io.Closer).Close(); err == nil {
		err = closeErr
	}
	return err
}

// ffmpeg runs ffmpeg with two pipes that feed writes to, when it is not nil.
func ffmpeg(t *testing.T, feed func(video, audio io.Writer) error, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not on PATH")
	}
	command := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-y", "-nostdin"}, args...)...)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	var ours []*os.File
	for range 2 {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		command.ExtraFiles = append(command.ExtraFiles, reader)
		ours = append(ours, writer)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	closeAll(command.ExtraFiles)
	var feedErr error
	if feed != nil {
		feedErr = feed(ours[0], ours[1])
	} else {
		closeAll(ours)
	}
	if err := command.Wait(); err != nil || feedErr != nil {
		t.Fatalf("ffmpeg %s: %v, %v: %s", strings.Join(args, " "), err, feedErr, complaints.String())
	}
}

// grid2x2 are the tiles of a 1280x720 composite of four with a gap of 2.
var grid2x2 = []image.Rectangle{
	image.Rect(0, 0, 638, 358), image.Rect(640, 0, 1278, 358), image.Rect(0, 360, 638, 718), image.Rect(640, 360, 1278, 718),
}

// writeComposite shows participants 2, 5, 7 and 11 in a grid with their mixed sound and some noise; the
// sound of all is late by the given time. It returns the file.
func writeComposite(t *testing.T, late time.Duration, encoding ...string) string {
	t.Helper()
	folder := t.TempDir()
	var inputs []string
	var filter, videos, audios string
	for i, index := range []int{2, 5, 7, 11} {
		inputs = append(inputs, "-i", clip(t, index))
		filter += fmt.Sprintf("[%d:v]scale=640:360,crop=636:356,scale=638:358:flags=bilinear[v%d];", i, i)
		videos += fmt.Sprintf("[v%d]", i)
		audios += fmt.Sprintf("[%d:a]", i)
	}
	filter += videos + "xstack=inputs=4:layout=0_0|640_0|0_360|640_360,pad=1280:720[v];" +
		"anoisesrc=r=48000:a=0.003:d=4:seed=7,aformat=channel_layouts=stereo[noise];" +
		audios + fmt.Sprintf("[noise]amix=inputs=5:normalize=0,adelay=%d:all=1[a]", late.Milliseconds())
	if len(encoding) == 0 {
		encoding = []string{filepath.Join(folder, "composite.mp4")}
	}
	args := append(inputs, "-filter_complex", filter, "-map", "[v]", "-map", "[a]",
		"-c:v", "libx264", "-preset", "superfast", "-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "1500k", "-g", "60", "-bf", "0",
		"-c:a", "aac", "-b:a", "128k")
	ffmpeg(t, nil, append(args, encoding...)...)
	return encoding[len(encoding)-1]
}

func TestRecordComposite(t *testing.T) {
	capture, err := Record(t.Context(), writeComposite(t, 0), time.Minute, Options{Tiles: grid2x2})
	if err != nil {
		t.Fatal(err)
	}
	checkComposite(t, capture, 0)

	if facts := capture.Facts; facts.VideoCodec != "h264" || facts.Width != 1280 || facts.Height != 720 ||
		facts.FrameRate != 30 || facts.BFrames || facts.AudioCodec != "aac" || facts.AudioProfile != "LC" ||
		facts.SampleRate != 48000 || facts.Channels != 2 {
		t.Errorf("facts %+v", facts)
	}
	if cadence := capture.Cadence(); cadence.Frames != 120 || cadence.Missing != 0 || cadence.Duplicates != 0 || len(cadence.Gaps) != 0 {
		t.Errorf("cadence %+v", cadence)
	}
	if motion := capture.Motion(1, 5, 0, Forever); motion.Frames < 119 || motion.Fresh != motion.Frames || motion.Back != 0 || motion.Frozen > 40*time.Millisecond {
		t.Errorf("motion %+v", motion)
	}
	// Every strip fits its frame's PTS: nothing is read wrong.
	for _, frame := range capture.Frames {
		for tile, reading := range frame.Tiles {
			shown := time.UnixMilli(reading.TimeMS).Sub(clipStart)
			if off := shown - frame.PTS; reading.OK && off.Abs() > 60*time.Millisecond {
				t.Fatalf("tile %d shows %v at %v", tile, shown, frame.PTS)
			}
		}
	}
}

// checkComposite checks what every recording of writeComposite must have.
func checkComposite(t *testing.T, capture *Capture, late time.Duration) {
	t.Helper()
	for tile, index := range []int{2, 5, 7, 11} {
		if share := capture.Share(tile, index, 0, Forever); share < 0.98 {
			t.Errorf("participant %d is in tile %d for %v of the time", index, tile, share)
		}
		sync := capture.LipSync(index)
		if n := len(sync.Offsets); n < 3 || n > 4 {
			t.Errorf("participant %d: %d beeps with flashes; want 3 or 4", index, n)
		}
		if off := sync.Fine - late; off.Abs() > 3*time.Millisecond {
			t.Errorf("participant %d: sound is late by %v (%v); want %v", index, sync.Fine, sync.Offsets, late)
		}
		if off := sync.Median - late; off.Abs() > 40*time.Millisecond {
			t.Errorf("participant %d: sound is late by %v (%v); want %v within a frame", index, sync.Median, sync.Offsets, late)
		}
		if level := capture.Tone(index, 500*time.Millisecond, 3500*time.Millisecond); level < -33 || level > -28 {
			t.Errorf("participant %d: tone of %v dBFS; want about -30", index, level)
		}
	}
	if got := fmt.Sprint(capture.Tones(500*time.Millisecond, 3500*time.Millisecond)); got != "[2 5 7 11]" {
		t.Errorf("tones of %v", got)
	}
	for _, beep := range capture.Beeps {
		if i := beep.Index; i != 2 && i != 5 && i != 7 && i != 11 {
			t.Errorf("a beep of participant %d who is not there: %+v", i, beep)
		}
	}
	if black, silent := capture.Black(0, Forever), capture.Silent(0, Forever); black != 0 || silent > 0.1 {
		t.Errorf("black for %v, silent for %v", black, silent)
	}
}

func TestRecordLateSound(t *testing.T) {
	const late = 120 * time.Millisecond
	capture, err := Record(t.Context(), writeComposite(t, late), time.Minute, Options{Tiles: grid2x2})
	if err != nil {
		t.Fatal(err)
	}
	checkComposite(t, capture, late)
}

func TestRecordHLS(t *testing.T) {
	folder := t.TempDir()
	writeComposite(t, 0, "-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "2", "-hls_playlist_type", "vod",
		filepath.Join(folder, "live.m3u8"))
	server := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer server.Close()
	seen := 0
	capture, err := Record(t.Context(), server.URL+"/live.m3u8", 2*time.Second, Options{
		Tiles:   grid2x2,
		OnFrame: func(number int, luma *image.Gray) { seen++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if frames := capture.Cadence().Frames; frames < 45 || seen < frames {
		t.Errorf("%d frames, %d of them seen; want at least 45", frames, seen)
	}
	if share := capture.Share(3, 11, 0, Forever); share < 0.98 {
		t.Errorf("participant 11 is in tile 3 for %v of the time", share)
	}
}

func TestRecordFindsMissingFrames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holes.mkv")
	ffmpeg(t, nil, "-f", "lavfi", "-i", "color=black:s=320x180:r=30:d=3", "-f", "lavfi", "-i", "anullsrc=r=48000:d=3",
		"-vf", "select='not(between(n,30,34)+eq(n,60))'", "-fps_mode", "passthrough", "-c:v", "libx264", "-bf", "0", "-c:a", "aac", path)
	capture, err := Record(t.Context(), path, time.Minute, Options{Tiles: []image.Rectangle{image.Rect(0, 0, 320, 180)}})
	if err != nil {
		t.Fatal(err)
	}
	cadence := capture.Cadence()
	if cadence.Frames != 84 || cadence.Missing != 6 || len(cadence.Gaps) != 2 || cadence.Longest < 199*time.Millisecond || cadence.Longest > 201*time.Millisecond {
		t.Errorf("cadence %+v", cadence)
	}
	if black, silent := capture.Black(0, Forever), capture.Silent(0, Forever); black != 1 || silent != 1 {
		t.Errorf("black for %v, silent for %v; want all", black, silent)
	}
	if p := capture.Presence(0, Forever); len(p) != 0 {
		t.Errorf("somebody is in a black picture: %+v", p)
	}
	if tones := capture.Tones(0, Forever); len(tones) != 0 || len(capture.Beeps) != 0 {
		t.Errorf("tones of %v and beeps %+v in silence", tones, capture.Beeps)
	}
}

func TestRecordOneStreamOnly(t *testing.T) {
	folder := t.TempDir()
	for _, drop := range []string{"-vn", "-an"} {
		path := filepath.Join(folder, "one"+drop+".mkv")
		ffmpeg(t, nil, "-i", clip(t, 5), "-c", "copy", drop, path)
		capture, err := Record(t.Context(), path, time.Minute, Options{Tiles: []image.Rectangle{image.Rect(0, 0, 640, 360)}})
		if err != nil {
			t.Fatal(err)
		}
		tones, share := fmt.Sprint(capture.Tones(0, Forever)), capture.Share(0, 5, 0, Forever)
		if drop == "-vn" && (tones != "[5]" || share != 0 || len(capture.Frames) != 0) {
			t.Errorf("without video: tones of %v, share %v", tones, share)
		}
		if drop == "-an" && (tones != "[]" || share < 0.98 || len(capture.Sound) != 0) {
			t.Errorf("without audio: tones of %v, share %v", tones, share)
		}
	}
}

func TestRecordErrors(t *testing.T) {
	folder := t.TempDir()
	garbage := filepath.Join(folder, "garbage.mp4")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("garbage "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(folder, "missing.mp4"), garbage} {
		if capture, err := Record(t.Context(), path, time.Second, Options{}); err == nil || capture != nil {
			t.Errorf("%s: %v, %v; want an error", path, capture, err)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	}
}

// Twelve tiles are the smallest ones there are: 318x178, here of 400 kb/s uplinks and at 1 Mb/s for all twelve.
func TestRecordTwelveSmallTiles(t *testing.T) {
	var inputs []string
	var filter, videos, places string
	var tiles []image.Rectangle
	indexes := []int{2, 5, 7, 11}
	for i, index := range indexes {
		inputs = append(inputs, "-i", clip(t, index))
		filter += fmt.Sprintf("[%d:v]crop=636:356,scale=318:178:flags=bilinear,split=3[a%d][b%d][c%d];", i, i, i, i)
	}
	for row, part := range []string{"a", "b", "c"} {
		for i := range indexes {
			videos += fmt.Sprintf("[%s%d]", part, i)
			at := image.Pt(i*320, 90+row*180)
			places += fmt.Sprintf("|%d_%d", at.X, at.Y)
			tiles = append(tiles, image.Rectangle{Min: at, Max: at.Add(image.Pt(318, 178))})
		}
	}
	path := filepath.Join(t.TempDir(), "twelve.mp4")
	args := append(inputs, "-filter_complex", filter+videos+"xstack=inputs=12:layout="+places[1:]+":fill=black,pad=1280:720[v]", "-map", "[v]",
		"-c:v", "libx264", "-preset", "superfast", "-b:v", "1000k", "-maxrate", "1000k", "-bufsize", "1000k", "-g", "60", "-bf", "0", path)
	ffmpeg(t, nil, args...)
	capture, err := Record(t.Context(), path, time.Minute, Options{Tiles: tiles})
	if err != nil {
		t.Fatal(err)
	}
	for tile := range tiles {
		index := indexes[tile%4]
		if share := capture.Share(tile, index, 0, Forever); share < 0.95 {
			t.Errorf("participant %d is in tile %d for %v of the time", index, tile, share)
		}
	}
}
