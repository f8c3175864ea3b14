package server

import (
	"strings"
	"testing"

	gosrt "github.com/datarhei/gosrt"

	"github.com/footlight-live/footlight/internal/api/ivs"
)

// TestSRT: what a channel says of the SRT server leads there, and is right.
func TestSRT(t *testing.T) {
	s := startServer(t, func(c *Config) { c.SRTAddr = "127.0.0.1:0" })
	created, err := s.control.CreateChannel(t.Context(), &ivs.CreateChannelRequest{})
	if err != nil {
		t.Fatal(err)
	}
	srt, key := created.Channel.Srt, *created.StreamKey.Value
	if srt == nil || !strings.HasPrefix(*srt.Endpoint, "127.0.0.1:") {
		t.Fatalf("srt %+v", srt)
	}
	config := gosrt.DefaultConfig()
	config.StreamId, config.Passphrase = key, *srt.Passphrase+"x"
	if c, err := gosrt.Dial("srt", *srt.Endpoint, config); err == nil {
		c.Close()
		t.Error("let in with another passphrase")
	}
	config.Passphrase = *srt.Passphrase
	c, err := gosrt.Dial("srt", *srt.Endpoint, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, live := s.channels.Stream(*created.Channel.Arn); !live {
		t.Error("the channel has no stream")
	}
	without := startServer(t, func(*Config) {})
	created, err = without.control.CreateChannel(t.Context(), &ivs.CreateChannelRequest{})
	if err != nil || created.Channel.Srt != nil {
		t.Errorf("without a server: %+v, %v", created, err)
	}
}
