// Command footlight-composer mixes one stage into one picture and one sound.
// The server starts one for each composition; see package composer.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/footlight-live/footlight/internal/composer"
	"github.com/footlight-live/footlight/internal/composer/video/preview"
	"github.com/footlight-live/footlight/internal/synth"
	ladder "github.com/footlight-live/footlight/internal/transcode/ladder/worker"
	"github.com/footlight-live/footlight/internal/transcode/worker"
	"github.com/footlight-live/footlight/internal/version"
)

const help = `footlight-composer mixes everyone on a Footlight stage into one picture and one sound.

"footlight serve" starts one of these for each composition and tells it over an inherited socket
what to do; it takes no arguments but --version and is not started by hand. It must lie beside the
footlight program, or be named by "footlight serve --composer FILE".
`

func main() {
	if len(os.Args) == 2 && os.Args[1] == "publish" { // for demos and tests; not in the help
		exit(publish())
	}
	if len(os.Args) == 2 && os.Args[1] == "preview" { // for "footlight layout preview" and the server; see package preview
		if err := preview.Run(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err) // the words are for the user of those two
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "audio" { // for RTMP into stages; see package transcode
		exit(worker.Process(os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))))
	}
	if len(os.Args) == 4 && os.Args[1] == "ladder" { // for channels of type ADVANCED_SD and ADVANCED_HD; see package ladder
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		exit(ladder.Process(os.Stdin, os.Stdout, os.Args[2], os.Args[3], log))
	}
	if len(os.Args) == 3 && os.Args[1] == "thumbnail" { // for recordings; see preview.Thumbnail
		maxHeight, err := strconv.Atoi(os.Args[2])
		if err == nil {
			err = preview.Thumbnail(os.Stdin, os.Stdout, maxHeight)
		}
		exit(err)
	}
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("footlight-composer", version.String())
		return
	}
	if len(os.Args) > 1 {
		out, code := os.Stderr, 2
		if os.Args[1] == "--help" || os.Args[1] == "-h" {
			out, code = os.Stdout, 0
		}
		fmt.Fprint(out, help)
		os.Exit(code)
	}
	exit(composer.Process())
}

// publish runs the synthetic participants that standard input lists, until it closes.
func publish() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return synth.RunPublishers(ctx, os.Stdin, os.Stdout)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "footlight-composer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
