// Command stage measures the SFU: how many subscribers one publisher can have, against livekit-server under the same load;
// what an idle subscriber costs; whether joining and leaving leaves something behind; what loss does to the picture.
//
//	go run ./bench/stage                about five minutes, once livekit-server is built
//	go run ./bench/stage -parts idle    one part; the results of the others stay (fanout, idle, loss, churn)
//
// It writes results.json and results.md. Server and load share the machine's processors.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Results is what was measured.
type Results struct {
	When    time.Time `json:"when"`
	Machine string    `json:"machine"`
	LiveKit string    `json:"livekit"` // version, or why it is not there
	Fanout  []Fanout  `json:"fanout"`
	Idle    *Idle     `json:"idle,omitzero"`
	Churn   *Churn    `json:"churn,omitzero"`
	Lossy   *Lossy    `json:"lossy,omitzero"`
}

// The parts of the benchmark, each of which can be run alone.
const (
	fanningOut = "fanout" // subscribers to one publisher, with Footlight and with livekit-server
	idling     = "idle"   // subscribers to a publisher that is muted
	losing     = "loss"   // a subscriber over a bad network
	churning   = "churn"  // joins and leaves
)

var parts = []string{fanningOut, idling, losing, churning}

func run() error {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		return serve(strings.Join(os.Args[2:], ""))
	}
	dir := flag.String("dir", "bench/stage", "where the results go, and livekit's module is")
	program := flag.String("livekit", "", "a livekit-server to compare with; built from its Go module if empty; none")
	partsFlag := flag.String("parts", strings.Join(parts, ","), "`parts` to measure; the results of the others stay as they are")
	profile := flag.String("profile", "", "write our server's profiles there, and no results")
	levels := flag.String("levels", "50,75,100,150,200,300,400,500,600,800,1000,1200,1600,2000", "numbers of subscribers to try")
	subscribers := flag.Int("idle", 1000, "idle subscribers")
	cycles := flag.Int("churn", 10_000, "joins and leaves")
	rate := flag.Float64("loss", 0.1, "share of packets that the bad network loses, each way")
	trip := flag.Duration("trip", 100*time.Millisecond, "its round trip")
	flag.Parse()
	var counts []int
	for word := range strings.SplitSeq(*levels, ",") {
		n := 0
		if _, err := fmt.Sscan(word, &n); err != nil {
			return fmt.Errorf("-levels %s: %w", *levels, err)
		}
		counts = append(counts, n)
	}
	wanted := strings.Split(*partsFlag, ",")
	for _, p := range wanted {
		if !slices.Contains(parts, p) {
			return fmt.Errorf("there is no part %q of %v", p, parts)
		}
	}
	out, err := earlier(*dir)
	if err != nil {
		return err
	}
	out.When, out.Machine = time.Now().UTC().Truncate(time.Second), machine()
	lift()
	for _, part := range wanted {
		switch part {
		case fanningOut:
			err = out.fanOut(*dir, *program, *profile, counts)
		case idling:
			out.Idle, err = idle(*subscribers, *profile)
			fmt.Printf("%+v\n", out.Idle)
		case losing:
			out.Lossy, err = lossy(*rate, *trip, 20*time.Second)
			fmt.Printf("%+v\n", out.Lossy)
		case churning:
			out.Churn, err = churn(*cycles)
			fmt.Printf("%+v\n", out.Churn)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	if *profile != "" {
		return nil // profiling costs too much for the figures to mean anything
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*dir, "results.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*dir, "results.md"), []byte(out.markdown()), 0o644)
}

// earlier reads the results of the last run; zero when there are none.
func earlier(dir string) (Results, error) {
	var out Results
	b, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// fanOut measures our server, then livekit-server.
func (r *Results) fanOut(dir, program, profile string, counts []int) error {
	rows, err := fanout(&footlight{profile: profile}, counts, sayFanout)
	if err != nil {
		return err
	}
	r.Fanout, r.LiveKit = rows, "not measured"
	if program == "none" {
		return nil
	}
	if program == "" {
		program, err = buildLiveKit(dir)
	}
	if err != nil {
		r.LiveKit = "not measured: " + err.Error()
		fmt.Println(r.LiveKit)
		return nil
	}
	r.LiveKit = liveKitVersion(dir)
	if rows, err = fanout(&livekit{program: program}, counts, sayFanout); err != nil {
		return err
	}
	r.Fanout = append(r.Fanout, rows...)
	return nil
}

func sayFanout(f Fanout) {
	fmt.Printf("%-15s %5d subscribers  %7d packets/s  loss %.4f %%  %5.2f us/packet  %.2f cores, load %.2f  delay %.2f ms, p99 %.2f ms\n",
		f.Server, f.Subscribers, f.Packets, 100*f.Loss, f.CPU, f.Cores, f.Load, f.P50, f.P99)
}

func machine() string {
	name := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d x %s, %s", runtime.NumCPU(), name, runtime.Version())
}

// buildLiveKit builds livekit-server from its module, which has a go.mod of its own.
func buildLiveKit(dir string) (string, error) {
	program := filepath.Join(os.TempDir(), "footlight-bench-livekit-server")
	cmd := exec.Command("go", "build", "-o", program, "github.com/livekit/livekit-server/cmd/server")
	cmd.Dir, cmd.Stderr, cmd.Env = filepath.Join(dir, "livekit"), os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	fmt.Println("building livekit-server; the first time takes minutes")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build livekit-server: %w", err)
	}
	return program, nil
}

func liveKitVersion(dir string) string {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/livekit/livekit-server")
	cmd.Dir = filepath.Join(dir, "livekit")
	b, err := cmd.Output()
	if err != nil {
		return "unknown version"
	}
	return strings.TrimSpace(string(b))
}
