package channel

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel/hls"
)

const (
	// playbackRoot is what every playback URL begins with, as on IVS (spec/lowlatency.md §1).
	playbackRoot = "/api/video/v1/"
	// mediaPlaylist is the name of a channel's one media playlist.
	mediaPlaylist = "live.m3u8"
	viewerParam   = "viewer"

	// What players get for a channel that is offline or does not exist, and for a private one (spec/lowlatency.md §6).
	offlineBody = `[{"type":"error","error":"Can not find channel","error_code":"transcode_does_not_exist"}]` + "\n"
	privateBody = `[{"type":"error","error":"This channel is private and playback tokens are not built yet","error_code":"unauthorized"}]` + "\n"
)

// Handler serves everything under /api/video/v1/: the multivariant playlist
// {region}.{account}.channel.{id}.m3u8, and below {region}.{account}.channel.{id}/ the media playlist,
// its segments and its parts.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Date, Server")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "*, Range")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, file, inside := strings.Cut(strings.TrimPrefix(r.URL.Path, playbackRoot), "/")
	if !inside {
		var ok bool
		if name, ok = strings.CutSuffix(name, ".m3u8"); !ok {
			offline(w)
			return
		}
	}
	channelARN, ok := channelOf(name)
	if !ok {
		offline(w)
		return
	}
	l := s.find(channelARN)
	if l == nil {
		offline(w)
		return
	}
	muxer := l.muxer.Load()
	switch {
	case l.channel.Authorized:
		answer(w, http.StatusForbidden, privateBody)
	case muxer == nil || !muxer.Ready():
		offline(w)
	case !inside && l.over.Load():
		offline(w)
	case !inside:
		multivariant(w, r, l, muxer, name)
	case file == mediaPlaylist:
		if q, err := url.ParseQuery(r.URL.RawQuery); err == nil {
			l.viewers.note(q.Get(viewerParam), time.Now())
		}
		muxer.ServePlaylist(w, r)
	case !muxer.ServeFile(w, r, file):
		offline(w)
	}
}

// channelOf turns {region}.{account}.channel.{id} into the channel's ARN.
func channelOf(name string) (string, bool) {
	parts := strings.Split(name, ".")
	if len(name) > 128 || len(parts) != 4 || parts[2] != string(arn.Channel) {
		return "", false
	}
	for _, p := range parts {
		if p == "" {
			return "", false
		}
	}
	return arn.Account{Region: parts[0], ID: parts[1]}.Of(arn.Channel, parts[3]).String(), true
}

// multivariant answers with the one rendition, whose address carries a new viewer's id.
func multivariant(w http.ResponseWriter, r *http.Request, l *live, muxer *hls.Muxer, name string) {
	s := l.shown.Load()
	v := hls.Variant{URI: name + "/" + mediaPlaylist + "?" + viewerParam + "=" + arn.NewID(viewerIDLength)}
	v.PeakBitRate, v.MeanBitRate = muxer.BitRates()
	if s.Video != nil {
		v.Codecs, v.Width, v.Height, v.FrameRate = s.Video.Codec, s.Video.Width, s.Video.Height, s.Video.FrameRate
		announced := s.Video.BitRate
		if s.Audio != nil {
			v.Codecs += "," + s.Audio.Codec
			announced += s.Audio.BitRate
		}
		v.PeakBitRate = max(v.PeakBitRate, announced)
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Cache-Control", "no-store") // each viewer has an id
	if r.Method != http.MethodHead {
		w.Write(hls.RenderMultivariant(v))
	}
}

func offline(w http.ResponseWriter) { answer(w, http.StatusNotFound, offlineBody) }

func answer(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
