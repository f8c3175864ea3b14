// Command stage measures the SFU: how many subscribers one publisher can have, against livekit-server under the same load;
// what an idle subscriber costs; whether joining and leaving leaves something behind; what loss does to the picture.
//
//	go run ./bench/stage
//
// It writes results.json and results.md. Server and load share the machine's processors.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

func run() error {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		return serve(strings.Join(os.Args[2:], ""))
	}
	dir := flag.String("dir", "bench/stage", "where the results go, and livekit's module is")
	program := flag.String("livekit", "", "a livekit-server to compare with; built from its Go module if empty")
	only := flag.String("only", "", "measure only what has this in its name: footlight, livekit, idle, churn, loss")
	profile := flag.String("profile", "", "write our server's profiles there")
	levels := flag.String("levels", "50,100,200,300,400,500,600,700,800,900,1000,1200,1400,1600,1800,2000", "numbers of subscribers to try")
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
	wanted := func(name string) bool { return strings.Contains(name, *only) }
	out := Results{When: time.Now().UTC().Truncate(time.Second), Machine: machine()}
	lift()
	if wanted("footlight") {
		rows, err := fanout(&footlight{profile: *profile}, counts, sayFanout)
		if err != nil {
			return err
		}
		out.Fanout = append(out.Fanout, rows...)
	}
	if wanted("livekit") {
		var err error
		if *program == "" {
			*program, err = buildLiveKit(*dir)
		}
		if err != nil {
			out.LiveKit = "not measured: " + err.Error()
			fmt.Println(out.LiveKit)
		} else {
			out.LiveKit = liveKitVersion(*dir)
			rows, err := fanout(&livekit{program: *program}, counts, sayFanout)
			if err != nil {
				return err
			}
			out.Fanout = append(out.Fanout, rows...)
		}
	}
	if wanted("idle") {
		i, err := idle(*subscribers, *profile)
		if err != nil {
			return err
		}
		fmt.Printf("%+v\n", i)
		out.Idle = &i
	}
	if wanted("loss") {
		l, err := lossy(*rate, *trip, 30*time.Second)
		if err != nil {
			return err
		}
		fmt.Printf("%+v\n", l)
		out.Lossy = &l
	}
	if wanted("churn") {
		c, err := churn(*cycles)
		if err != nil {
			return err
		}
		fmt.Printf("%+v\n", c)
		out.Churn = &c
	}
	if *only != "" {
		return nil // a part is for looking at, not for keeping
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

func sayFanout(f Fanout) {
	fmt.Printf("%-15s %5d subscribers  %7d packets/s  loss %.4f %%  %5.2f us/packet  %.2f cores  delay %.2f ms, p99 %.2f ms\n",
		f.Server, f.Subscribers, f.Packets, 100*f.Loss, f.CPU, f.Cores, f.P50, f.P99)
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
