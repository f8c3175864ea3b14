package channel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
)

// session is one viewing of a channel: from its multivariant playlist on, whatever else is asked for. It stands in the
// addresses that follow, sealed by the server's key, so that nothing is kept of it and it outlives a restart.
type session struct {
	id      string // viewerIDLength characters, by which viewers are counted
	expires time.Time
	Grant
}

func newSession(g Grant, now time.Time) session {
	return session{id: arn.NewID(viewerIDLength), expires: now.Add(sessionLength), Grant: g}
}

const (
	// sealLength is that of the truncated HMAC-SHA256, in bytes.
	sealLength = 16
	// maxSession bounds what is decoded, in characters: an origin and a viewer's name are far shorter.
	maxSession = 1024

	strictFlag = 1 << 7 // beside the limit's number
)

var limits = []Resolution{"", SD, HD, FullHD}

// seals makes and reads the text of sessions. Safe for concurrent use.
type seals struct{ key []byte }

// seal writes a session of a channel as [A-Za-z0-9_-].
func (k seals) seal(channelARN string, s session) string {
	b := make([]byte, 0, 128)
	b = append(b, s.id...)
	b = binary.BigEndian.AppendUint32(b, uint32(s.expires.Unix()))
	flags := byte(max(0, slices.Index(limits, s.Limit)))
	if s.Strict {
		flags |= strictFlag
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, s.Version)
	b = binary.AppendUvarint(b, uint64(len(s.Viewer)))
	b = append(b, s.Viewer...)
	b = append(b, s.Origin...)
	return base64.RawURLEncoding.EncodeToString(append(b, k.mac(channelARN, b)...))
}

// open reads a session of a channel; false: it is not ours, of another channel, or over.
func (k seals) open(channelARN, text string, now time.Time) (session, bool) {
	if len(text) > maxSession {
		return session{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder passes over line breaks; a session has none.
	if err != nil || strings.ContainsAny(text, "\r\n") || len(b) < sealLength {
		return session{}, false
	}
	b, seal := b[:len(b)-sealLength], b[len(b)-sealLength:]
	if !hmac.Equal(seal, k.mac(channelARN, b)) {
		return session{}, false
	}
	s, ok := parseSession(b)
	return s, ok && now.Before(s.expires)
}

func parseSession(b []byte) (s session, ok bool) {
	const head = viewerIDLength + 4 + 1
	if len(b) < head {
		return session{}, false
	}
	s.id = string(b[:viewerIDLength])
	s.expires = time.Unix(int64(binary.BigEndian.Uint32(b[viewerIDLength:])), 0)
	flags := b[head-1]
	s.Strict = flags&strictFlag != 0
	limit := int(flags &^ strictFlag)
	if limit >= len(limits) {
		return session{}, false
	}
	s.Limit = limits[limit]
	b = b[head:]
	version, n := binary.Varint(b)
	if n <= 0 {
		return session{}, false
	}
	s.Version = version
	b = b[n:]
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return session{}, false
	}
	b = b[n:]
	s.Viewer, s.Origin = string(b[:length]), string(b[length:])
	return s, true
}

func (k seals) mac(channelARN string, b []byte) []byte {
	h := hmac.New(sha256.New, k.key)
	h.Write([]byte(channelARN))
	h.Write([]byte{0})
	h.Write(b)
	return h.Sum(nil)[:sealLength]
}
