// Package channel is the live side of channels: ingest, stream sessions and playback.
package channel
