package rtmp

import "github.com/footlight-live/footlight/internal/unit"

// What a connection sends: see package unit.
type (
	Unit        = unit.Unit
	Metadata    = unit.Metadata
	VideoParams = unit.VideoParams
	VideoFrame  = unit.VideoFrame
	AudioParams = unit.AudioParams
	AudioFrame  = unit.AudioFrame

	UnsupportedError = unit.UnsupportedError
)
