package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/footlight-live/footlight/internal/accesskey"
	"github.com/footlight-live/footlight/internal/doctor"
	"github.com/footlight-live/footlight/internal/server"
	"github.com/footlight-live/footlight/internal/tryout"
)

type doctorCommand struct {
	DataDir  string `help:"Data dir of the server. Without it, the AWS_ variables say which server and with which key." type:"path" placeholder:"DIR"`
	Composer string `help:"The composer program. Default: footlight-composer beside this program." type:"path" placeholder:"FILE"`
	Verbose  bool   `help:"Print what the synthetic participant says." short:"v"`
}

// Help is what --help adds.
func (c *doctorCommand) Help() string {
	return "It reaches the server as its users do: from this machine, by the addresses that the server hands out. Run it on the server first, and then from where publishers or viewers are. It makes a stage and a channel and deletes them."
}

func (c *doctorCommand) Run(ctx context.Context) error {
	api, err := c.api()
	if err != nil {
		return err
	}
	if c.Composer == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		c.Composer = filepath.Join(filepath.Dir(self), "footlight-composer")
	}
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return (&doctor.Doctor{API: api, Composer: c.Composer, Out: os.Stdout, Log: log}).Run(ctx)
}

// api is the server of the data dir, or of the environment.
func (c *doctorCommand) api() (tryout.API, error) {
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); c.DataDir == "" && endpoint != "" {
		return tryout.API{
			Endpoint: strings.TrimRight(endpoint, "/"), Region: os.Getenv("AWS_DEFAULT_REGION"),
			Key: aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")},
		}, nil
	}
	if c.DataDir == "" {
		c.DataDir = defaultDataDir
	}
	runtime, err := server.ReadRuntime(c.DataDir)
	if err != nil {
		return tryout.API{}, err
	}
	keys, err := accesskey.Open(c.DataDir)
	if err != nil {
		return tryout.API{}, err
	}
	key := keys.First()
	return tryout.API{
		Endpoint: runtime.Endpoint, Region: runtime.Region, Key: aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret},
	}, nil
}
