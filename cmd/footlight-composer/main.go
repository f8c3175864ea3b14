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

// command is something else than a composition that this program does. The help does not name them.
type command struct {
	arguments int
	run       func(arguments []string) error
}

var commands = map[string]command{
	"audio":     {0, audio},     // for RTMP into stages; see package transcode
	"hear":      {0, hear},      // for "footlight doctor"; see worker.Hear
	"ladder":    {2, sizes},     // for channels of type ADVANCED_SD and ADVANCED_HD; see package ladder
	"preview":   {0, draw},      // for "footlight layout preview" and the server; see package preview
	"publish":   {0, publish},   // for demos and tests
	"thumbnail": {1, thumbnail}, // for recordings; see preview.Thumbnail
}

func main() {
	if len(os.Args) == 1 {
		exit(composer.Process())
	}
	name, arguments := os.Args[1], os.Args[2:]
	if c, ok := commands[name]; ok && len(arguments) == c.arguments {
		exit(c.run(arguments))
	}
	switch name {
	case "--version":
		fmt.Println("footlight-composer", version.String())
	case "--help", "-h":
		fmt.Print(help)
	default:
		fmt.Fprint(os.Stderr, help)
		os.Exit(2)
	}
}

func audio([]string) error {
	return worker.Process(os.Stdin, os.Stdout, logger())
}

func hear([]string) error { return worker.Hear(os.Stdin, os.Stdout) }

func sizes(arguments []string) error {
	return ladder.Process(os.Stdin, os.Stdout, arguments[0], arguments[1], logger())
}

func draw([]string) error {
	if err := preview.Run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err) // the words are for the user of those two
		os.Exit(1)
	}
	return nil
}

// publish runs the synthetic participants that standard input lists, until it closes.
func publish([]string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return synth.RunPublishers(ctx, os.Stdin, os.Stdout)
}

func thumbnail(arguments []string) error {
	maxHeight, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	return preview.Thumbnail(os.Stdin, os.Stdout, maxHeight)
}

func logger() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "footlight-composer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
