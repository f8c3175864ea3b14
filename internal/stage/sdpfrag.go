package stage

import (
	"fmt"
	"strings"
)

const (
	maxFragment   = 64 << 10 // bytes
	maxCandidates = 100
)

// fragment is a body of type application/trickle-ice-sdpfrag (RFC 8840 section 9).
type fragment struct {
	ufrag, pwd string // ICE credentials, "" when absent
	candidates []candidate
	end        bool // no more candidates will follow
}

// candidate is a candidate attribute ("candidate:…") and the section that it was sent for.
type candidate struct{ mid, value string }

// parseFragment reads an SDP fragment. Attributes that it does not know are left out, as RFC 8840 asks.
func parseFragment(body []byte) (fragment, error) {
	var f fragment
	mid := ""
	for i, line := range strings.Split(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n") {
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' {
			return fragment{}, fmt.Errorf("line %d is not of the form x=value", i+1)
		}
		value := line[2:]
		if line[0] == 'm' {
			mid = ""
		}
		if line[0] != 'a' {
			continue
		}
		name, arg, _ := strings.Cut(value, ":")
		switch name {
		case "ice-ufrag":
			f.ufrag = arg
		case "ice-pwd":
			f.pwd = arg
		case "mid":
			mid = arg
		case "candidate":
			if len(f.candidates) == maxCandidates {
				return fragment{}, fmt.Errorf("more than %d candidates", maxCandidates)
			}
			f.candidates = append(f.candidates, candidate{mid: mid, value: value})
		case "end-of-candidates":
			f.end = true
		}
	}
	if (f.ufrag == "") != (f.pwd == "") {
		return fragment{}, fmt.Errorf("ice-ufrag and ice-pwd must come together")
	}
	return f, nil
}

// String writes the fragment as the answer to an ICE restart: the credentials, then the candidates
// under one section, which with BUNDLE stand for all.
func (f fragment) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", f.ufrag, f.pwd)
	for i, c := range f.candidates {
		if i == 0 {
			fmt.Fprintf(&b, "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:%s\r\n", c.mid)
		}
		fmt.Fprintf(&b, "a=%s\r\n", c.value)
	}
	if f.end {
		b.WriteString("a=end-of-candidates\r\n")
	}
	return b.String()
}
