package wire

import "strings"

// Refusal is why a destination does not take a stream, whoever asks and however often: an error_code of the
// composition events and its reason. It travels as text, in the status with which an RTMP server refuses.
type Refusal struct{ Code, Reason string }

const refusalMark = "refused for good: "

// Error is the text that ParseRefusal understands.
func (r *Refusal) Error() string { return refusalMark + r.Code + ": " + r.Reason }

// ParseRefusal finds a refusal in a text that may hold more in front of it and, in brackets, behind it.
func ParseRefusal(text string) (r Refusal, ok bool) {
	_, text, ok = strings.Cut(text, refusalMark)
	if !ok {
		return Refusal{}, false
	}
	r.Code, r.Reason, ok = strings.Cut(text, ": ")
	r.Reason, _, _ = strings.Cut(r.Reason, "}")
	r.Reason, _, _ = strings.Cut(r.Reason, "]")
	return r, ok && r.Code != "" && !strings.ContainsAny(r.Code, " {}[]")
}
