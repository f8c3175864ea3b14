package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/footlight-live/footlight/internal/extension"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
)

type recordingCommand struct {
	Ls      recordingLsCommand      `cmd:"" help:"List the recordings of a running server, the newest first."`
	Fsck    recordingFsckCommand    `cmd:"" help:"Read every object of one recording in the object store and say what is wrong with it."`
	Recover recordingRecoverCommand `cmd:"" help:"Without a server: bring everything that a server left in its spool into the object store, and close those recordings."`
}

type recordingLsCommand struct {
	DataDir string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
	JSON    bool   `name:"json" help:"All that the server says, as JSON."`
}

func (c *recordingLsCommand) Run(ctx context.Context) error {
	request, err := signedGet(ctx, c.DataDir, "recordings")
	if err != nil {
		return fmt.Errorf("list recordings: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("list recordings: is the server up? %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answered %s: %s", response.Status, bytes.TrimSpace(body))
	}
	if err != nil {
		return fmt.Errorf("list recordings: %w", err)
	}
	if c.JSON {
		_, err := os.Stdout.Write(body)
		return err
	}
	var list extension.Recordings
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("list recordings: %w", err)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STARTED\tKIND\tSTATE\tLENGTH\tRENDITIONS\tWAITING\tBUCKET/PREFIX")
	for _, r := range list.Recordings {
		length := (time.Duration(r.DurationMS) * time.Millisecond).Round(time.Second)
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%d\t%d\t%s/%s\n", moment(r.StartTime), r.Kind, r.State, length, len(r.Renditions), r.Waiting, r.Bucket, r.Prefix)
	}
	return w.Flush()
}

// storeFlags say where the object store is, as those of serve do.
type storeFlags struct {
	DataDir string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
	Storage string `help:"The object store, as given to serve. Default: the folder objects in the data dir." placeholder:"URL"`
}

// folder is where the objects are without --storage.
func (f storeFlags) folder() string { return filepath.Join(f.DataDir, "objects") }

func (f storeFlags) open(ctx context.Context) (objectstore.Store, error) {
	return objectstore.Open(ctx, objectstore.Config{URL: f.Storage, Dir: f.folder()})
}

type recordingFsckCommand struct {
	storeFlags
	Bucket string `arg:"" help:"Bucket of the recording."`
	Prefix string `arg:"" help:"Its prefix, as GetComposition and the events have it."`
	Repair bool   `help:"Close the recording when it has no end: for one whose spool is lost. A server that still has it closes it by itself."`
}

func (c *recordingFsckCommand) Run(ctx context.Context) error {
	if _, err := os.Stat(c.folder()); c.Storage == "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no object store in %s: name the server's data dir with --data-dir, or its store with --storage", c.DataDir)
	}
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	bucket, err := store.Bucket(c.Bucket)
	if err != nil {
		return err
	}
	if isEmpty(ctx, bucket, c.Prefix) {
		return fmt.Errorf("check %s/%s: nothing is stored there; `footlight recording ls` shows buckets and prefixes", c.Bucket, c.Prefix)
	}
	report, err := record.Check(ctx, bucket, c.Prefix)
	if err == nil && c.Repair && (!report.Ended || !report.Closed) {
		if err = record.Repair(ctx, bucket, c.Prefix); err == nil {
			fmt.Println("closed the recording")
			report, err = record.Check(ctx, bucket, c.Prefix)
		}
	}
	if err != nil {
		return fmt.Errorf("check %s/%s: %w", c.Bucket, c.Prefix, err)
	}
	if report.Renditions > 1 {
		fmt.Printf("%d renditions, ", report.Renditions)
	}
	fmt.Printf("%d segments, %v, %d bytes\n", report.Segments, report.Duration.Round(time.Millisecond), report.Bytes)
	for _, key := range report.Loose {
		fmt.Println("in no playlist:", key)
	}
	for _, p := range report.Problems {
		fmt.Println("problem:", p)
	}
	if n := len(report.Problems); n > 0 {
		return fmt.Errorf("%d problems", n)
	}
	return nil
}

// isEmpty tells whether a prefix has no object. It is false where the store does not say.
func isEmpty(ctx context.Context, bucket objectstore.Bucket, prefix string) bool {
	for range bucket.List(ctx, strings.Trim(prefix, "/")+"/") {
		return false
	}
	return true
}

type recordingRecoverCommand struct {
	storeFlags
}

func (c *recordingRecoverCommand) Run(ctx context.Context) error {
	dir := filepath.Join(c.DataDir, "spool")
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("recover recordings: there is no spool in %s: name the server's data dir with --data-dir", c.DataDir)
	}
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	rec := &record.Recorder{Dir: dir, Objects: store, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if err := rec.Start(ctx); err != nil {
		return fmt.Errorf("recover recordings: stop the server first: %w", err)
	}
	defer rec.Close()
	all := rec.All()
	for _, r := range all {
		if err := r.End(ctx, record.Cause{Message: "closed by footlight recording recover"}); err != nil {
			return fmt.Errorf("recover %s: %w", r.Spec().ID, err)
		}
	}
	for _, r := range all {
		select {
		case <-r.Stored():
			fmt.Printf("%s/%s: %v\n", r.Spec().Bucket, r.Spec().Prefix, r.Status().Duration.Round(time.Millisecond))
		case <-ctx.Done():
			return errors.New("recover recordings: not everything is stored; nothing is lost, try again")
		}
	}
	return nil
}
