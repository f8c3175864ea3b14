// Command footlight is the server and its command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/footlight-live/footlight/internal/version"
)

type commands struct {
	Version kong.VersionFlag `help:"Print which build this is."`

	Serve     serveCommand     `cmd:"" help:"Run the server."`
	Env       envCommand       `cmd:"" help:"Print the environment that points the AWS CLI and SDKs at the server: eval \"$(footlight env)\"."`
	Keys      keysCommand      `cmd:"" help:"Create, list and delete the access keys of a data dir."`
	Layout    layoutCommand    `cmd:"" help:"Look at layouts."`
	Events    eventsCommand    `cmd:"" help:"Print what happened to stages, compositions and channels, and follow what happens."`
	Doctor    doctorCommand    `cmd:"" help:"Try a running server from here, over every path, and say what to change where something fails."`
	Demo      demoCommand      `cmd:"" help:"Run a server with four synthetic participants and a composition of them, and say where to watch."`
	Recording recordingCommand `cmd:"" help:"List recordings, check what is in the object store, finish what a server left."`
}

var options = []kong.Option{
	kong.Name("footlight"),
	kong.Description("Self-hosted live video with the Amazon IVS APIs: stages, server-side composition, low-latency channels.\n\nStart with `footlight demo`, or run `footlight serve` and point the AWS CLI at it with `footlight env`."),
	kong.ShortUsageOnError(), // the error is what one is to read, not a screen of flags before it
	kong.ValueFormatter(describe),
	kong.Vars{"version": "footlight " + version.String()},
}

// describe is the help of a flag, with its default where kong shows the placeholder instead.
func describe(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if v.HasDefault && v.Flag != nil && v.Flag.PlaceHolder != "" {
		text += " Default: " + v.Default + "."
	}
	return text
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := kong.Parse(new(commands), append(options, kong.BindTo(ctx, (*context.Context)(nil)))...)
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "footlight:", err)
		os.Exit(1)
	}
}
