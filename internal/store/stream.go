package store

import "github.com/nats-io/nats.go/jetstream"

// JetStream is what the buckets lie in, for what is no record: streams of messages. Names of streams that begin with
// KV_ and OBJ_ are taken.
func (s *Store) JetStream() jetstream.JetStream { return s.js }
