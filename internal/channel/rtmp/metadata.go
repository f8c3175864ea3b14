package rtmp

import (
	"strings"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// parseMetadata reads a data message and reports whether it is onMetaData.
func parseMetadata(d amf0.Data) (Metadata, bool) {
	if len(d) > 0 && d[0] == "@setDataFrame" {
		d = d[1:]
	}
	if len(d) < 2 || d[0] != "onMetaData" {
		return Metadata{}, false
	}
	o, ok := object(d[1])
	if !ok {
		return Metadata{}, false
	}
	var m Metadata
	if s, ok := o.GetString("encoder"); ok {
		m.Encoder = strings.ToValidUTF8(s[:min(len(s), 128)], "")
	}
	m.VideoBitRate = int(1000 * within(o, "videodatarate", 1e6))
	m.AudioBitRate = int(1000 * within(o, "audiodatarate", 1e5))
	m.FrameRate = within(o, "framerate", 1000)
	if m.FrameRate == 0 {
		m.FrameRate = within(o, "fps", 1000)
	}
	_, codec := o.Get("audiocodecid")
	m.HasAudio = codec || m.AudioBitRate > 0
	return m, true
}

// within returns a member's number, or 0 when it is absent, not a number or not in (0, limit].
func within(o amf0.Object, name string, limit float64) float64 {
	v, _ := o.GetFloat64(name)
	if !(v > 0 && v <= limit) {
		return 0
	}
	return v
}

func object(v any) (amf0.Object, bool) {
	switch o := v.(type) {
	case amf0.Object:
		return o, true
	case amf0.ECMAArray:
		return amf0.Object(o), true
	}
	return nil, false
}
