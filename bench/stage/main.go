// Command stage measures the SFU: how many subscribers one publisher can have, against livekit-server under the same load;
// what an idle subscriber costs; whether joining and leaving leaves something behind; what loss does to the picture.
//
//	go run ./bench/stage
//
// It writes results.json and results.md beside itself.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		return serve(strings.Join(os.Args[2:], ""))
	}
	dir := flag.String("dir", "bench/stage", "where the results go")
	program := flag.String("livekit", "", "a livekit-server to compare with; built from its Go module if empty")
	only := flag.String("only", "", "measure only what has this in its name: footlight, livekit, idle, churn, loss")
	profile := flag.String("profile", "", "write our server's processor profile of the fan-out there")
	levels := flag.String("levels", "50,100,200,300,400,500,600,700,800,1000,1200,1400,1600,2000", "numbers of subscribers to try")
	flag.Parse()
	_ = dir
	var counts []int
	for word := range strings.SplitSeq(*levels, ",") {
		n := 0
		if _, err := fmt.Sscan(word, &n); err != nil {
			return err
		}
		counts = append(counts, n)
	}
	for _, t := range []target{&footlight{profile: *profile}, &livekit{program: *program}} {
		if !strings.Contains(t.name(), *only) {
			continue
		}
		if _, err := fanout(t, counts, func(f Fanout) { fmt.Printf("%+v\n", f) }); err != nil {
			return err
		}
	}
	return nil
}
