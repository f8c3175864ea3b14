package stage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

const (
	maxOffer    = 256 << 10 // bytes
	maxSections = 16
)

// codec is the one payload type of a media section that the answer takes.
type codec struct {
	payloadType uint8
	fmtp        string // as offered
	rtx         uint8  // payload type of the retransmissions, 0 when not offered
	nack        bool
	feedback    []string // rtcp-fb values that are answered
}

// offer is a client's SDP offer, checked, and what was chosen from it.
type offer struct {
	desc  *sdp.SessionDescription // without simulcast, but see takeLayers
	video *codec                  // nil when no section offers H.264
	audio *codec                  // nil when no section offers Opus
	rids  []string                // the simulcast layers that the video section offers to send, nil without
	of    *sdp.MediaDescription   // the section of rids
	limit int                     // of the video to be sent, bits per second, for the answer; 0 for none

	hasVideo, hasAudio bool // there are such sections, whatever they offer
}

// parseOffer reads an SDP offer. What it returns has every section that the answer needs to have.
func parseOffer(body []byte) (*offer, *Error) {
	desc := new(sdp.SessionDescription)
	if err := desc.Unmarshal(body); err != nil {
		return nil, refuse(InvalidInput, "the body is not an SDP offer: %v", err)
	}
	if n := len(desc.MediaDescriptions); n == 0 || n > maxSections {
		return nil, refuse(InvalidInput, "the offer has %d media sections; send 1 to %d", n, maxSections)
	}
	o := &offer{desc: desc}
	mids := make(map[string]bool)
	for i, m := range desc.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		if mid == "" || mids[mid] {
			return nil, refuse(InvalidInput, "media section %d has no a=mid of its own", i)
		}
		mids[mid] = true
		switch m.MediaName.Media {
		case "video":
			o.hasVideo = true
			if o.video == nil {
				if o.video = chooseVideo(m); o.video != nil {
					o.rids, o.of = sendRIDs(m), m
				}
			}
		case "audio":
			o.hasAudio = true
			if o.audio == nil {
				o.audio = chooseAudio(m)
			}
		case "application":
		default:
			return nil, refuse(InvalidInput, "media section %d has the kind %q; only audio and video can be sent", i, m.MediaName.Media)
		}
		m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
			return a.Key == "rid" || a.Key == "simulcast" ||
				a.Key == "ssrc-group" && strings.HasPrefix(a.Value, "SIM")
		})
	}
	return o, nil
}

// takeLayers has the simulcast layers answered.
func (o *offer) takeLayers() {
	if o.rids == nil {
		return
	}
	for _, rid := range o.rids {
		o.of.Attributes = append(o.of.Attributes, sdp.Attribute{Key: "rid", Value: rid + " send"})
	}
	o.of.Attributes = append(o.of.Attributes, sdp.Attribute{Key: "simulcast", Value: "send " + strings.Join(o.rids, ";")})
}

// MaxLayers is how many simulcast layers of a publisher are taken (spec/realtime.md §3).
const MaxLayers = 3

// sendRIDs returns the layers that a section offers to send (RFC 8853 section 5.1, RFC 8851 section 4), at most
// MaxLayers: of alternatives the first one, paused or not. nil without simulcast, or when it names nothing that can be told apart.
func sendRIDs(m *sdp.MediaDescription) []string {
	offered := map[string]bool{}
	for _, a := range m.Attributes {
		if id, rest, _ := strings.Cut(a.Value, " "); a.Key == "rid" && (rest == "send" || strings.HasPrefix(rest, "send ")) && isRID(id) {
			offered[id] = true
		}
	}
	value, _ := m.Attribute("simulcast")
	words := strings.Fields(value)
	var rids []string
	for i := 0; i+1 < len(words); i += 2 { // "send" and "recv" each with a list
		if words[i] != "send" {
			continue
		}
		for layer := range strings.SplitSeq(words[i+1], ";") {
			id, _, _ := strings.Cut(layer, ",")
			if id = strings.TrimPrefix(id, "~"); offered[id] && len(rids) < MaxLayers {
				rids = append(rids, id)
				offered[id] = false
			}
		}
	}
	return rids
}

// isRID tells whether a name can be a layer's: letters, digits, - and _, as many as fit into the short form of an RTP
// header extension (RFC 8851 section 10, RFC 8285 section 4.2).
func isRID(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 16
}

// text is the offer as SDP.
func (o *offer) text() (string, error) {
	b, err := o.desc.Marshal()
	if err != nil {
		return "", fmt.Errorf("marshal offer: %w", err)
	}
	return string(b), nil
}

// h264Preference orders profiles, best first: constrained baseline is what every browser decodes and
// what the IVS documentation asks of publishers.
var h264Preference = []string{"42e0", "42c0", "4200", "4d40", "4de0", "4d00", "6400", "640c"}

// chooseVideo takes the best H.264 payload type of a section: packetization mode 1 before 0, then by profile.
func chooseVideo(m *sdp.MediaDescription) *codec {
	var best *codec
	bestRank := 0
	for _, pt := range payloadTypes(m, "h264/90000") {
		c := describe(m, pt)
		rank := 0
		if param(c.fmtp, "packetization-mode") != "1" {
			rank += 100
		}
		profile := strings.ToLower(param(c.fmtp, "profile-level-id"))
		if profile == "" {
			profile = "420010" // the default of RFC 6184 section 8.1
		}
		if i := slices.Index(h264Preference, profile[:min(4, len(profile))]); i >= 0 {
			rank += i
		} else {
			rank += len(h264Preference)
		}
		if best == nil || rank < bestRank {
			best, bestRank = c, rank
		}
	}
	if best == nil {
		return nil
	}
	for _, pt := range payloadTypes(m, "rtx/90000") {
		if param(describe(m, pt).fmtp, "apt") == strconv.Itoa(int(best.payloadType)) {
			best.rtx = pt
			break
		}
	}
	return best
}

// chooseAudio takes the first Opus payload type of a section.
func chooseAudio(m *sdp.MediaDescription) *codec {
	for _, pt := range payloadTypes(m, "opus/48000/2") {
		return describe(m, pt)
	}
	return nil
}

// payloadTypes lists the section's payload types with this encoding, in the order of preference of the m-line.
func payloadTypes(m *sdp.MediaDescription, encoding string) []uint8 {
	var out []uint8
	for _, format := range m.MediaName.Formats {
		n, err := strconv.ParseUint(format, 10, 7)
		if err != nil {
			continue
		}
		for _, a := range m.Attributes {
			pt, value, _ := strings.Cut(a.Value, " ")
			if a.Key == "rtpmap" && pt == format && strings.EqualFold(strings.TrimSpace(value), encoding) {
				out = append(out, uint8(n))
				break
			}
		}
	}
	return out
}

// feedbackTaken are the rtcp-fb values that the stage makes use of.
var feedbackTaken = []string{"nack", "nack pli", "ccm fir", "transport-cc"}

// describe collects what a section says about a payload type.
func describe(m *sdp.MediaDescription, pt uint8) *codec {
	c := &codec{payloadType: pt}
	for _, a := range m.Attributes {
		format, value, _ := strings.Cut(a.Value, " ")
		if format != strconv.Itoa(int(pt)) && !(a.Key == "rtcp-fb" && format == "*") {
			continue
		}
		switch a.Key {
		case "fmtp":
			c.fmtp = strings.TrimSpace(value)
		case "rtcp-fb":
			if value = strings.TrimSpace(value); slices.Contains(feedbackTaken, value) && !slices.Contains(c.feedback, value) {
				c.feedback = append(c.feedback, value)
				c.nack = c.nack || value == "nack"
			}
		}
	}
	return c
}

// param returns a parameter of an fmtp line, "" when absent.
func param(fmtp, name string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		if key, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}
