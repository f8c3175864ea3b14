package store

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
)

// startEmbedded runs a NATS server in this process with its files under dir/nats.
// It listens on no port: only in-process connections reach it.
func startEmbedded(dir string, log *slog.Logger) (*server.Server, error) {
	ns, err := server.NewServer(&server.Options{
		ServerName: "footlight",
		DontListen: true,
		JetStream:  true,
		StoreDir:   filepath.Join(dir, "nats"),
		SyncAlways: true, // an acknowledged write is on disk
		NoSigs:     true, // signals are the program's business
		// The disk is the limit. Left to itself the server reserves what streams may grow to from three quarters of what is
		// free at its start, and with 300 MB free there would be no start at all.
		JetStreamMaxStore: server.JetStreamMaxStoreDefault,
	})
	if err != nil {
		return nil, fmt.Errorf("store: prepare the embedded nats server in %s: %w", dir, err)
	}
	reported := &serverLog{log: log}
	ns.SetLogger(reported, false, false)
	go ns.Start()
	if !ns.ReadyForConnections(connectTimeout) || !ns.JetStreamEnabled() {
		ns.Shutdown()
		ns.WaitForShutdown()
		if why := reported.lastError(); why != "" {
			return nil, fmt.Errorf("store: start the embedded nats server in %s: %s", dir, why)
		}
		return nil, fmt.Errorf("store: the embedded nats server in %s was not ready within %s", dir, connectTimeout)
	}
	return ns, nil
}
