// Package demo runs the whole walk-through on one machine: a server, four synthetic participants on a
// stage, and a composition of them on a channel. Everything goes through the public interfaces: signed API
// requests, WHIP, HLS.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/footlight-live/footlight/internal/accesskey"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/server"
	"github.com/footlight-live/footlight/internal/tryout"
)

// Names of the synthetic participants, in order of arrival.
var names = []string{"Ada", "Grace", "Katherine", "Hedy"}

// Run sets up the demo, prints where to watch and how to join, and holds it until ctx ends.
// The state lives in a folder that is removed at the end, unless config names one.
func Run(ctx context.Context, config server.Config, out io.Writer) (err error) {
	if config.DataDir == "" {
		dir, err := os.MkdirTemp("", "footlight-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer os.RemoveAll(dir)
		config.DataDir = dir
	}
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	logPath := filepath.Join(config.DataDir, "server.log")
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer logFile.Close()

	d := &demo{config: config, out: out, progress: tryout.NewProgress(out), log: slog.New(slog.NewTextHandler(logFile, nil))}
	defer d.close()
	fmt.Fprintf(out, "\n  Footlight demo: %d participants on a stage, composed onto a channel\n\n", len(names))
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while it starts is no failure
		}
		return err
	}
	d.printAddresses()
	select {
	case <-ctx.Done():
		fmt.Fprint(out, "\n  stopping\n")
		return nil
	case err := <-d.publishers.Ended:
		d.publishers = nil
		return fmt.Errorf("demo: the synthetic participants ended: %w", err)
	}
}

// demo holds what the steps of one run make. It is used by one goroutine.
type demo struct {
	config     server.Config
	out        io.Writer
	progress   *tryout.Progress
	log        *slog.Logger
	server     *server.Server
	api        tryout.API
	publishers *tryout.Publishers

	channel     *ivs.Channel
	stage       *ivsrealtime.Stage
	encoder     *ivsrealtime.EncoderConfiguration
	composition *ivsrealtime.Composition
	guest       string // token for the user
}

func (d *demo) start(ctx context.Context) error {
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"starting the server", d.startServer},
		{"creating channel, stage and encoder configuration", d.createResources},
		{"publishing the participants over WHIP", d.publish},
		{"starting the composition", d.startComposition},
		{"waiting for the first playable part", d.waitPlayable},
	}
	for _, s := range steps {
		if err := d.progress.Step(s.name, func() error { return s.run(ctx) }); err != nil {
			return fmt.Errorf("demo: %s: %w", s.name, err)
		}
	}
	return nil
}

func (d *demo) startServer(ctx context.Context) error {
	s := &server.Server{Config: d.config, Log: d.log}
	if err := s.Start(ctx); err != nil {
		return err
	}
	d.server = s
	keys, err := accesskey.Open(d.config.DataDir)
	if err != nil {
		return err
	}
	key := keys.First()
	d.api = tryout.API{Endpoint: s.URL(), Region: d.config.Region, Key: aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}}
	return nil
}

func (d *demo) createResources(ctx context.Context) error {
	var channel ivs.CreateChannelResponse
	if err := d.api.Call(ctx, "CreateChannel", ivs.CreateChannelRequest{Name: new("demo")}, &channel); err != nil {
		return err
	}
	var stage ivsrealtime.CreateStageResponse
	if err := d.api.Call(ctx, "CreateStage", ivsrealtime.CreateStageRequest{Name: new("demo")}, &stage); err != nil {
		return err
	}
	var encoder ivsrealtime.CreateEncoderConfigurationResponse
	video := &ivsrealtime.Video{Width: new(int32(1280)), Height: new(int32(720)), Framerate: new(30.0), Bitrate: new(int32(2_500_000))}
	if err := d.api.Call(ctx, "CreateEncoderConfiguration", ivsrealtime.CreateEncoderConfigurationRequest{Name: new("demo"), Video: video}, &encoder); err != nil {
		return err
	}
	d.channel, d.stage, d.encoder = channel.Channel, stage.Stage, encoder.EncoderConfiguration
	return nil
}

// token asks the API for a participant token.
func (d *demo) token(ctx context.Context, name string) (string, error) {
	var out ivsrealtime.CreateParticipantTokenResponse
	err := d.api.Call(ctx, "CreateParticipantToken", ivsrealtime.CreateParticipantTokenRequest{
		StageArn: d.stage.Arn, UserId: new(name), Attributes: map[string]string{"username": name},
	}, &out)
	if err != nil {
		return "", err
	}
	return *out.ParticipantToken.Token, nil
}

func (d *demo) publish(ctx context.Context) error {
	tokens := make([]string, len(names))
	for i, name := range names {
		var err error
		if tokens[i], err = d.token(ctx, name); err != nil {
			return err
		}
	}
	var err error
	if d.guest, err = d.token(ctx, "guest"); err != nil {
		return err
	}
	d.publishers, err = tryout.StartPublishers(d.server.Composer(), *d.stage.Endpoints.Whip, names, tokens, d.log)
	if err != nil {
		return err
	}
	return tryout.Poll(ctx, 20*time.Second, func() error { return d.allPublishing(ctx) })
}

// allPublishing is nil once the stage has seen every participant publish.
func (d *demo) allPublishing(ctx context.Context) error {
	var stage ivsrealtime.GetStageResponse
	if err := d.api.Call(ctx, "GetStage", ivsrealtime.GetStageRequest{Arn: d.stage.Arn}, &stage); err != nil {
		return err
	}
	if stage.Stage.ActiveSessionId == nil {
		return errors.New("nobody is on the stage yet")
	}
	var list ivsrealtime.ListParticipantsResponse
	in := ivsrealtime.ListParticipantsRequest{StageArn: d.stage.Arn, SessionId: stage.Stage.ActiveSessionId, FilterByPublished: new(true)}
	if err := d.api.Call(ctx, "ListParticipants", in, &list); err != nil {
		return err
	}
	if n := len(list.Participants); n < len(names) {
		return fmt.Errorf("%d of %d participants publish", n, len(names))
	}
	return nil
}

func (d *demo) startComposition(ctx context.Context) error {
	var out ivsrealtime.StartCompositionResponse
	err := d.api.Call(ctx, "StartComposition", ivsrealtime.StartCompositionRequest{
		StageArn: d.stage.Arn,
		Destinations: []ivsrealtime.DestinationConfiguration{{
			Channel: &ivsrealtime.ChannelDestinationConfiguration{ChannelArn: d.channel.Arn, EncoderConfigurationArn: d.encoder.Arn},
		}},
	}, &out)
	d.composition = out.Composition
	return err
}

func (d *demo) waitPlayable(ctx context.Context) error {
	return tryout.Poll(ctx, 20*time.Second, func() error { return tryout.Playable(ctx, *d.channel.PlaybackUrl) })
}

func (d *demo) printAddresses() {
	base := d.server.URL()
	fmt.Fprintf(d.out, `
  Footlight is live.

  Watch      %s/console/watch?src=%s
  Playback   %s
  Join       %s/console/join#token=%s
  AWS CLI    eval "$(%s env --data-dir %s)"
  Log        %s
  Stop       Ctrl-C

`, base, url.QueryEscape(*d.channel.PlaybackUrl), *d.channel.PlaybackUrl, base, d.guest,
		os.Args[0], d.config.DataDir, filepath.Join(d.config.DataDir, "server.log"))
}

// close ends everything in the order that leaves nothing half done: composition, participants, server.
func (d *demo) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if d.composition != nil {
		if err := d.api.Call(ctx, "StopComposition", ivsrealtime.StopCompositionRequest{Arn: d.composition.Arn}, nil); err != nil {
			d.log.Warn("demo: stop the composition", "error", err)
		}
	}
	if d.publishers != nil {
		d.publishers.Close()
	}
	if d.server != nil {
		d.server.Close()
	}
}
