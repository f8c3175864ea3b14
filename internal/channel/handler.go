package channel

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel/hls"
)

const (
	// playbackRoot is what every playback URL begins with, as on IVS (spec/lowlatency.md §1).
	playbackRoot = "/api/video/v1/"
	// mediaPlaylist is the name of a stream's one media playlist; where there are several, each is named after its rendition.
	mediaPlaylist = "live.m3u8"
	viewerParam   = "viewer"
	tokenParam    = "token"

	// What players get for a channel that is offline or does not exist (spec/lowlatency.md §6).
	offlineBody = `[{"type":"error","error":"Can not find channel","error_code":"transcode_does_not_exist"}]` + "\n"
)

// Refusals of the handler's own; those of the Gate come beside them.
var (
	deniedNoGate  = Denied{"unauthorized", "This channel is private, and nothing here checks tokens"}
	deniedSession = Denied{"session_invalid", "This address belongs to no playback session, or the session is over: load the playback URL again"}
	deniedRevoked = Denied{"session_revoked", "The playback session of this viewer has been revoked"}
	deniedOrigin  = Denied{"origin_not_allowed", "The playback session belongs to another origin; the header Origin must name its own with every request"}
	deniedViewers = Denied{"concurrent_viewers_exceeded", "There are as many viewers as the quota allows"}
	deniedPicture = Denied{"resolution_not_allowed", "The picture is larger than the token's aws:maximum-resolution allows, and there is no smaller rendition"}
)

// Handler serves everything under /api/video/v1/: the multivariant playlist
// {region}.{account}.channel.{id}.m3u8, and below {region}.{account}.channel.{id}/ the media playlist,
// its segments and its parts. Those of a guarded channel are one level deeper, below the viewer's session.
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
	renditions := l.offer()
	switch {
	case len(renditions) == 0 || !inside && l.over.Load():
		offline(w)
	case !inside:
		s.startSession(w, r, l, renditions, name)
	default:
		s.media(w, r, l, renditions, file)
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

// startSession answers a request of the multivariant playlist with the addresses of a new session.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, l *live, renditions []rendition, name string) {
	var g Grant
	if s.crowded() {
		l.tellCrowded(s.maxViewers())
		s.refuse(w, l, deniedViewers)
		return
	}
	if l.channel.guarded() {
		var err error
		if g, err = s.admit(r, l); err == nil {
			renditions = slices.DeleteFunc(renditions, func(r rendition) bool { return !r.within(g.Limit) })
			if len(renditions) == 0 {
				err = deniedPicture
			}
		}
		if err != nil {
			s.refuse(w, l, err)
			return
		}
		allowOrigin(w, g.Origin)
	}
	text := s.seals.seal(l.channel.ARN, newSession(g, time.Now()))
	if l.channel.guarded() {
		multivariant(w, r, l, renditions, name+"/"+text+"/", "")
	} else {
		multivariant(w, r, l, renditions, name+"/", "?"+viewerParam+"="+text)
	}
}

// admit asks the gate.
func (s *Server) admit(r *http.Request, l *live) (Grant, error) {
	if s.Gate == nil {
		return Grant{}, deniedNoGate
	}
	v := Viewing{
		ChannelARN: l.channel.ARN, Token: r.URL.Query().Get(tokenParam), Origin: r.Header.Get("Origin"), Probe: r.Method == http.MethodHead,
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		v.Address = at.Addr().Unmap()
	}
	return s.Gate.AdmitViewer(r.Context(), v)
}

// within tells whether a rendition's picture is within a limit.
func (r rendition) within(limit Resolution) bool { return limit.holds(r.width, r.height) }

// media answers a request of a media playlist, a segment or a part. Those of a guarded channel need the session in
// their path; an open channel's only count it.
func (s *Server) media(w http.ResponseWriter, r *http.Request, l *live, renditions []rendition, file string) {
	var v session
	audience := hls.Public
	if l.channel.guarded() {
		text, rest, _ := strings.Cut(file, "/")
		var err error
		if v, err = s.enter(r, l, text); err != nil {
			s.refuse(w, l, err)
			return
		}
		if v.Strict {
			allowOrigin(w, v.Origin)
		}
		file, audience = rest, hls.Private
	} else if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && strings.HasSuffix(file, ".m3u8") {
		v, _ = s.seals.open(l.channel.ARN, q.Get(viewerParam), time.Now())
	}
	if strings.HasSuffix(file, ".m3u8") {
		i := slices.IndexFunc(renditions, func(r rendition) bool { return r.file == file })
		switch {
		case i < 0:
			offline(w)
		case !renditions[i].within(v.Limit):
			s.refuse(w, l, deniedPicture)
		default:
			l.viewers.note(v.id, time.Now())
			renditions[i].muxer.ServePlaylist(w, r, audience)
		}
		return
	}
	for _, x := range renditions {
		if !x.muxer.Has(file) {
			continue
		}
		if !x.within(v.Limit) {
			s.refuse(w, l, deniedPicture)
		} else if !x.muxer.ServeFile(w, r, file, audience) {
			offline(w)
		}
		return
	}
	offline(w)
}

// enter checks the session in the path of a guarded channel's address.
func (s *Server) enter(r *http.Request, l *live, text string) (session, error) {
	v, ok := s.seals.open(l.channel.ARN, text, time.Now())
	switch {
	case !ok:
		return v, deniedSession
	case v.Viewer != "" && (s.Gate == nil || s.Gate.ViewerRevoked(l.channel.ARN, v.Viewer, v.Version)):
		return v, deniedRevoked
	case v.Strict && r.Header.Get("Origin") != v.Origin:
		return v, deniedOrigin
	}
	return v, nil
}

// allowOrigin narrows CORS to one origin; empty leaves it open.
func allowOrigin(w http.ResponseWriter, origin string) {
	if origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Vary", "Origin")
	}
}

// multivariant answers with the renditions, whose playlists have addresses of a beginning and an end.
func multivariant(w http.ResponseWriter, r *http.Request, l *live, renditions []rendition, before, after string) {
	s := l.shown.Load()
	var variants []hls.Variant
	for _, x := range renditions {
		v := hls.Variant{URI: before + x.file + after}
		if len(renditions) > 1 {
			v.Name = x.name
		}
		v.PeakBitRate, v.MeanBitRate = x.muxer.BitRates()
		if i := slices.IndexFunc(s.Renditions, func(v VideoInfo) bool { return v.Track == x.track }); i >= 0 {
			video := s.Renditions[i]
			v.Codecs, v.Width, v.Height, v.FrameRate = video.Codec, video.Width, video.Height, video.FrameRate
			announced := video.BitRate
			if s.Audio != nil {
				v.Codecs += "," + s.Audio.Codec
				announced += s.Audio.BitRate
			}
			v.PeakBitRate = max(v.PeakBitRate, announced)
		}
		variants = append(variants, v)
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Cache-Control", "no-store") // each viewer has a session
	if r.Method != http.MethodHead {
		w.Write(hls.RenderMultivariant(variants))
	}
}

func offline(w http.ResponseWriter) { answer(w, http.StatusNotFound, offlineBody) }

// refuse answers with the reason. CORS stays open, so that the page can read it.
func (s *Server) refuse(w http.ResponseWriter, l *live, err error) {
	if errors.Is(err, ErrUnknownChannel) {
		offline(w)
		return
	}
	status := http.StatusForbidden
	denied, ok := errors.AsType[Denied](err)
	if !ok {
		l.log.Error("cannot decide about a viewer", "error", err)
		status, denied = http.StatusServiceUnavailable, Denied{"unavailable", "Playback cannot be authorized now, try again"}
		w.Header().Set("Retry-After", "1")
	}
	answer(w, status, errorBody(denied))
}

// errorBody has the form of offlineBody.
func errorBody(d Denied) string {
	type entry struct {
		Type  string `json:"type"`
		Error string `json:"error"`
		Code  string `json:"error_code"`
	}
	b, err := json.Marshal([]entry{{"error", d.Message, d.Code}})
	if err != nil { // strings always can
		return offlineBody
	}
	return string(b) + "\n"
}

func answer(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(body))
}
