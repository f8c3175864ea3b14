package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/footlight-live/footlight/internal/accesskey"
	"github.com/footlight-live/footlight/internal/demo"
	"github.com/footlight-live/footlight/internal/server"
)

type serveCommand struct {
	server.Config
	LogLevel  slog.Level `name:"log-level" help:"Least level to log: debug, info, warn or error." default:"info"`
	LogFormat string     `name:"log-format" help:"How to log: ${enum}." enum:"text,json" default:"text"`
}

// defaultDataDir is what serve and env use where --data-dir is not given.
const defaultDataDir = "data"

// checkDataDir refuses a folder that is nobody's data dir, most likely a slip, before a command makes one of it.
func checkDataDir(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, accesskey.FileName)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no server's data dir: name the right one with --data-dir", dir)
	}
	return nil
}

func (c *serveCommand) Run(ctx context.Context) error {
	loosenWaits()
	server.DelayCollector()
	if c.DataDir == "" {
		c.DataDir = defaultDataDir
	}
	options := &slog.HandlerOptions{Level: c.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(os.Stderr, options)
	}
	s := &server.Server{Config: c.Config, Log: slog.New(handler)}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Close()
	fmt.Printf("Footlight is up at %s\nIn another shell:  eval \"$(%s env --data-dir %s)\"  and then for example:  aws ivs create-channel\n", s.URL(), os.Args[0], c.DataDir)
	<-ctx.Done()
	return nil
}

type envCommand struct {
	DataDir string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
}

func (c *envCommand) Run() error {
	runtime, err := server.ReadRuntime(c.DataDir)
	if err != nil {
		return err
	}
	keys, err := accesskey.Open(c.DataDir)
	if err != nil {
		return err
	}
	key := keys.First()
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", runtime.Endpoint},
		{"AWS_ACCESS_KEY_ID", key.ID},
		{"AWS_SECRET_ACCESS_KEY", key.Secret},
		{"AWS_DEFAULT_REGION", runtime.Region},
	} {
		fmt.Printf("export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	// A session token or profile of a real account would go along with these keys and spoil them.
	fmt.Println("unset AWS_SESSION_TOKEN AWS_PROFILE")
	return nil
}

type demoCommand struct {
	server.Config // without --data-dir the demo lives in a temporary folder
}

func (c *demoCommand) Run(ctx context.Context) error {
	loosenWaits()
	server.DelayCollector()
	return demo.Run(ctx, c.Config, os.Stdout)
}
