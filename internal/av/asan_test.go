package av

import (
	"context"
	"errors"
	"image"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inSanitizer is set in the environment of the tests' second run.
const inSanitizer = "FOOTLIGHT_ADDRESS_SANITIZER"

// TestAddressSanitizer builds this package's tests once more, with the C part and Go's calls of it under the
// address sanitizer, and runs those that feed hostile bytes, fuzz seeds included, and those that draw: what reads
// or writes beyond its memory fails here.
func TestAddressSanitizer(t *testing.T) {
	if os.Getenv(inSanitizer) != "" {
		t.Skip("this is the second run")
	}
	if testing.Short() {
		t.Skip("builds everything once more")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "sh", "-c", `echo 'int main(void){return 0;}' | ${CC:-cc} -fsanitize=address -x c -o "$0" - && "$0"`,
		filepath.Join(t.TempDir(), "probe")).CombinedOutput(); err != nil {
		t.Skipf("the C compiler has no address sanitizer: %v: %s", err, out)
	}
	binary := filepath.Join(t.TempDir(), "av.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-asan", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		if strings.Contains(string(out), "-asan is not supported") || strings.Contains(string(out), "-asan requires") {
			t.Skipf("no address sanitizer: %s", out)
		}
		t.Fatalf("build with the address sanitizer: %v\n%s", err, out)
	}
	// What encodes for minutes of media is left out: it sees nothing from outside.
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^Fuzz|Hostile|Draw|Canvas|Layer|Refuse", "-test.short")
	// Leaks are what livePictures is for: Go ends without the sanitizer's last check.
	cmd.Env = append(os.Environ(), inSanitizer+"=1", "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "AddressSanitizer") {
		t.Fatalf("under the address sanitizer: %v\n%s", err, out)
	}
}

// TestHostilePictures decodes and draws hundreds of pictures with bytes overwritten, left out or doubled, as no
// network does it: through whatever comes out, whole pictures are decoded again.
func TestHostilePictures(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	packets := clip(t, 128, 96, 6, 3)
	d := newDecoder(t)
	defer d.Close()
	canvas, err := NewCanvas(98, 62)
	if err != nil {
		t.Fatal(err)
	}
	defer canvas.Close()
	shown := 0
	decode := func(p []byte, pts int) {
		pic, err := d.Decode(p, int64(pts))
		if err != nil || pic == nil {
			return
		}
		defer pic.Release()
		shown++
		if err := canvas.DrawPicture(pic, image.Rect(0, 0, pic.Width, pic.Height), canvas.Bounds()); err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("draw: %v", err)
		}
	}
	for round := range 150 {
		for i, p := range packets {
			decode(mangle(random, p), 100*round+i)
		}
	}
	shown = 0
	d.Flush()
	for i, p := range packets {
		decode(p, 1_000_000+i)
	}
	if shown != len(packets) {
		t.Errorf("after all that %d of %d whole pictures came out", shown, len(packets))
	}
}

// TestHostileSound does the same with Opus.
func TestHostileSound(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	encoder, err := NewOpusEncoder(32_000)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	d, err := NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pcm, buf := make([]float32, 2*960), make([]byte, 1500)
	out := make([]float32, 2*MaxOpusSamples)
	for round := range 500 {
		for i := range pcm {
			pcm[i] = random.Float32() - 0.5
		}
		n, err := encoder.Encode(pcm, buf)
		if err != nil {
			t.Fatal(err)
		}
		if p := mangle(random, buf[:n]); len(p) > 0 {
			// Garbage may well be a legal packet; what counts is that nothing breaks.
			_, _ = d.Decode(p, out)
			_, _ = d.DecodeFEC(p, out, 120*(1+round%48))
			_, _ = d.DecodeLost(out, 120*(1+round%48))
		}
	}
	n, err := encoder.Encode(pcm, buf)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.Decode(buf[:n], out); err != nil || n != 960 {
		t.Errorf("after all that a good packet gives %d samples, %v", n, err)
	}
}

// mangle returns a damaged copy.
func mangle(random *rand.Rand, p []byte) []byte {
	p = append([]byte(nil), p...)
	for range 1 + random.IntN(4) {
		if len(p) < 2 {
			break
		}
		at := random.IntN(len(p))
		length := min(1+random.IntN(16), len(p)-at)
		switch random.IntN(4) {
		case 0:
			for i := range length {
				p[at+i] = byte(random.Uint32())
			}
		case 1:
			p[at] ^= 1 << random.IntN(8)
		case 2:
			p = append(p[:at], p[at+length:]...)
		case 3:
			p = append(p[:at+length], append([]byte(nil), p[at:]...)...)
		}
	}
	return p
}
