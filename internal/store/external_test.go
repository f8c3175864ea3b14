package store

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// TestExternalServer runs two stores over one NATS server that listens on a port: what one writes, the other
// reads and watches, and closing one leaves the other alone.
func TestExternalServer(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(connectTimeout) {
		t.Fatal("the nats server was not ready")
	}
	first, err := Open(t.Context(), Options{URL: ns.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), Options{URL: ns.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	writer, reader := bucket[record](t, first, "shared"), bucket[record](t, second, "shared")
	if err := writer.Create(t.Context(), "a", record{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := reader.Get(t.Context(), "a"); err != nil || got.Name != "one" {
		t.Errorf("get %+v, %v", got, err)
	}
	if _, err := reader.Update(t.Context(), "a", func(r *record) error { r.Count++; return nil }); err != nil {
		t.Error(err)
	}
	if got, _, err := writer.Get(t.Context(), "a"); err != nil || got.Count != 1 {
		t.Errorf("get %+v, %v", got, err)
	}
	first.Close()
	if list, err := reader.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("list %v, %v", list, err)
	}
}
