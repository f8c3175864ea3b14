package server

import "testing"

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]string{
		"[::]:4080": "127.0.0.1:4080", "0.0.0.0:1935": "127.0.0.1:1935", ":80": "127.0.0.1:80",
		"127.0.0.1:4080": "127.0.0.1:4080", "192.0.2.7:4080": "192.0.2.7:4080", "[2001:db8::1]:1935": "[2001:db8::1]:1935", "[::1]:1": "[::1]:1",
	} {
		if got := loopback(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
