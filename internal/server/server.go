// Package server is the product: it wires the parts of Footlight into one process.
//
// Start either brings everything up or gives back what it took. Close ends it in the reverse order:
// compositions are let go first (they resume at the next start), the store last.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/footlight-live/footlight/internal/accesskey"
	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/api/sigv4"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/console"
	"github.com/footlight-live/footlight/internal/control"
	"github.com/footlight-live/footlight/internal/event"
	"github.com/footlight-live/footlight/internal/extension"
	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
)

// Server is one Footlight node. Set the exported fields, then Start, and Close once.
type Server struct {
	Config
	Log *slog.Logger // default: discard

	store        *store.Store
	control      *control.Control
	stages       *stage.Server
	channels     *channel.Server
	ingests      *ingest.Server
	compositions *composition.Manager
	recorder     *record.Recorder
	links        *record.Links
	events       *event.Log
	keys         *accesskey.Keys

	certificate *certificate // self-signed where none is configured: it is for RTMPS only then
	listener    net.Listener
	http        *http.Server
	serving     sync.WaitGroup
	cancel      context.CancelFunc // ends what the parts do in the background
	url         string             // public URL of the HTTP address, no trailing slash
	closers     []func()           // in the order of starting
	closeOnce   sync.Once
}

// URL is the address under which clients reach this server's HTTP, without a trailing slash. Valid after Start.
func (s *Server) URL() string { return s.url }

// Composer is the path of the composer program. Valid after Start.
func (s *Server) Composer() string { return s.Config.Composer }

// Start brings the server up. It returns once every port is open and the stored compositions are being resumed.
// An error has given back everything. ctx bounds the start only.
func (s *Server) Start(ctx context.Context) (err error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if err := s.Config.validate(); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	for _, part := range []func(context.Context, context.Context) error{
		s.openState, s.listen, s.startEvents, s.startControl, s.startStages, s.startIngest, s.startChannels, s.startCompositions, s.serve,
	} {
		if err := part(ctx, background); err != nil {
			return err
		}
	}
	s.Log.Info("footlight is up", "url", s.url, "dataDir", s.DataDir)
	return nil
}

// Close ends the server and waits until nothing of it runs. Compositions stay in the store and resume at the next start.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		for i := len(s.closers) - 1; i >= 0; i-- {
			s.closers[i]()
		}
		if s.cancel != nil {
			s.cancel()
		}
		s.serving.Wait()
	})
}

func (s *Server) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *Server) openState(ctx, _ context.Context) (err error) {
	defer func() { err = dataDirError(err) }()
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data dir (--data-dir %s): %w", s.DataDir, err)
	}
	if s.keys, err = accesskey.Open(s.DataDir); err != nil {
		return err
	}
	s.keys.Log = s.Log
	s.onClose(func() {
		if err := s.keys.Close(); err != nil {
			s.Log.Warn("close the access keys", "error", err)
		}
	})
	if s.store, err = store.Open(ctx, store.Options{Dir: s.DataDir, URL: s.NATSURL, Log: s.Log}); err != nil {
		return err
	}
	s.onClose(func() { s.store.Close() })
	return nil
}

// dataDirError adds what the user can do about a data dir that does not take files.
func dataDirError(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: choose a data dir (--data-dir) that belongs to the user who runs the server", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: make room on the disk of the data dir (--data-dir)", err)
	}
	return err
}

// listen opens the HTTP address first, since every other part hands out URLs that hold it.
func (s *Server) listen(context.Context, context.Context) error {
	l, err := net.Listen("tcp", s.HTTPAddr)
	if err != nil {
		return listenError("http", err, map[string]string{"--http-addr": s.HTTPAddr})
	}
	scheme := "http"
	if s.TLSCert != "" {
		scheme = "https"
	}
	s.listener = l
	s.onClose(func() { l.Close() })
	s.url = s.PublicURL
	if s.url == "" {
		s.url = scheme + "://" + l.Addr().String()
	}
	if s.TLSCert != "" {
		s.certificate, err = openCertificate(s.TLSCert, s.TLSKey, s.Log)
	} else {
		s.certificate, err = selfSigned(s.publicHost(s.url))
	}
	if err != nil {
		return err
	}
	s.compareRegion()
	return writeRuntime(s.DataDir, Runtime{Endpoint: s.url, Region: s.Region})
}

// listenError turns a failed listen into what the user can do about it. addrs has the address of each flag that it can
// have been; the error says which, where it comes from the kernel.
func listenError(what string, err error, addrs map[string]string) error {
	maps.DeleteFunc(addrs, func(_, addr string) bool { return addr == "" })
	flag, addr := strings.Join(slices.Sorted(maps.Keys(addrs)), " or "), strings.Join(slices.Sorted(maps.Values(addrs)), " or ")
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil {
		for f, a := range addrs {
			if a == op.Addr.String() {
				flag, addr = f, a
			}
		}
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is taken by another program: stop it, or choose another address with %s (a port of 0 takes any free one)", what, addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine does not have the address %s (%s): choose one that it has, or 0.0.0.0 for all of them; --public-url and --public-ip say what clients dial instead", what, addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: this user may not listen on %s (%s): choose a port from 1024 on, or give the program CAP_NET_BIND_SERVICE", what, addr, flag)
	}
	return fmt.Errorf("%s: listen on %s (%s): %w", what, addr, flag, err)
}

// serve opens the HTTP address to requests: it comes last, so that nobody is answered by half a server.
func (s *Server) serve(context.Context, context.Context) error {
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // of a request with its body; sockets that are taken over have none
		MaxHeaderBytes:    64 << 10,         // the events socket carries tokens of up to 2 KB in a header
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	if s.TLSCert != "" {
		s.http.TLSConfig = s.certificate.config()
	}
	s.onClose(func() { s.http.Close() })
	s.serving.Go(func() {
		err := error(nil)
		if s.http.TLSConfig != nil {
			err = s.http.ServeTLS(s.listener, "", "")
		} else {
			err = s.http.Serve(s.listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.Log.Error("http ended", "error", err)
		}
	})
	return nil
}

// handler is the map of the HTTP address.
func (s *Server) handler() http.Handler {
	apis := s.apiHandler()
	stages := s.stages.Handler()
	mux := http.NewServeMux()
	mux.Handle("/api/video/v1/", s.channels.Handler())
	mux.Handle(control.ClientConfigurationPath, s.control.ClientConfiguration())
	mux.Handle("/whip", stages)
	mux.Handle("/whip/", stages)
	mux.Handle("/events/", stages)
	mux.Handle("/console/", console.Handler())
	mux.Handle("/sdk/", console.Handler())
	mux.Handle(extension.Root, s.extension())
	mux.Handle(record.Path, s.links)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			http.Redirect(w, r, "/console/", http.StatusFound)
			return
		}
		stages.ServeHTTP(w, r) // encoders publish at the root, as at IVS's global WHIP address
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The API's paths hold escaped ARNs, which a mux would unescape: they are told apart first. Footlight's own API
		// takes signatures for any service.
		if !strings.HasPrefix(r.URL.Path, extension.Root) && apis.Match(r) {
			apis.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) apiHandler() *api.Handler {
	operations := append(ivs.Operations(s.control.IVS()), ivsrealtime.Operations(s.control.RealTime())...)
	return &api.Handler{Operations: operations, Keys: s.keys, Permit: s.permit(), Log: s.Log}
}

// permit notes the use of a key, and refuses what it may not call and what comes too fast.
func (s *Server) permit() func(sigv4.Identity, api.Operation) error {
	var throttle api.Throttle
	return func(who sigv4.Identity, op api.Operation) error {
		s.keys.Use(who.AccessKeyID)
		if !op.Reads() && s.keys.ReadOnly(who.AccessKeyID) {
			return api.AccessDeniedException("The access key %s may only read: it may not call %s", who.AccessKeyID, op.Name)
		}
		if s.Throttle == "aws" {
			return throttle.Allow(op)
		}
		return nil
	}
}

func (s *Server) extension() *extension.Handler {
	return &extension.Handler{
		Control: s.control, Compositions: s.compositions, Streams: s.channels, Capacity: s.compositions.Capacity,
		Events: s.events.Handler(), Keys: s.keys, ReadOnly: s.keys.ReadOnly, Composer: s.Config.Composer, Log: s.Log,
		RecordingLink: s.links.Of, URL: s.url,
	}
}
