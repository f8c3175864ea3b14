package server

import (
	"strings"
	"testing"
)

// TestConfigRefuses: a mistake in a flag is answered with its name and what is wrong.
func TestConfigRefuses(t *testing.T) {
	good := func() Config {
		return Config{DataDir: "d", HTTPAddr: "127.0.0.1:0", Region: "us-east-1", AccountID: "000000000000"}
	}
	c := good()
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	for words, change := range map[string]func(*Config){
		"--max-composer-cores":  func(c *Config) { c.MaxComposerCores = -1 },
		"--max-composer-memory": func(c *Config) { c.MaxComposerMemory = 1024 },
		"--webhook":             func(c *Config) { c.Webhooks = []string{"https://example.com/a", "example.com"} },
		"--account-id":          func(c *Config) { c.AccountID = "me" },
		"--http-addr":           func(c *Config) { c.HTTPAddr = "4080" },
		"--rtmp-addr":           func(c *Config) { c.RTMPAddr = "10.0.0.1" },
		"--srt-addr":            func(c *Config) { c.SRTAddr = "9000" },
		"--public-url":          func(c *Config) { c.HTTPAddr = ":80" },
	} {
		c := good()
		change(&c)
		if err := c.validate(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
