// Command footlight is the server and its command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Serve     serveCommand     `cmd:"" help:"Run the server."`
	Env       envCommand       `cmd:"" help:"Print the environment that points the AWS CLI and SDKs at the server: eval \"$(footlight env)\"."`
	Keys      keysCommand      `cmd:"" help:"Create, list and delete the access keys of a data dir."`
	Layout    layoutCommand    `cmd:"" help:"Look at layouts."`
	Events    eventsCommand    `cmd:"" help:"Print what happened to stages, compositions and channels, and follow what happens."`
	Doctor    doctorCommand    `cmd:"" help:"Try a running server from here, over every path, and say what to change where something fails."`
	Demo      demoCommand      `cmd:"" help:"Run a server with four synthetic participants and a composition of them, and say where to watch."`
	Recording recordingCommand `cmd:"" help:"List recordings, check what is in the object store, finish what a server left."`
}

func main() {
	var cli commands
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := kong.Parse(&cli,
		kong.Name("footlight"),
		kong.Description("Self-hosted live video with the Amazon IVS APIs: stages, server-side composition, low-latency channels.\n\nStart with `footlight demo`, or run `footlight serve` and point the AWS CLI at it with `footlight env`."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "footlight:", err)
		os.Exit(1)
	}
}
