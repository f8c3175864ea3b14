package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Output is a structure of a response. The generator writes its method, since lists of a hundred resources are what the
// server spends its time on.
type Output interface {
	// AppendJSON appends the object. What is absent is left out.
	AppendJSON(b []byte) []byte
}

// The functions that end in Member append a member with a comma after it, or nothing when it is absent; EndObject takes
// the last comma away. name is the name as JSON, with its colon.

// StringMember appends a string.
func StringMember(b []byte, name string, s *string) []byte {
	if s == nil {
		return b
	}
	return append(appendString(append(b, name...), *s), ',')
}

// BoolMember appends a boolean.
func BoolMember(b []byte, name string, v *bool) []byte {
	if v == nil {
		return b
	}
	return append(strconv.AppendBool(append(b, name...), *v), ',')
}

// IntMember appends an integer.
func IntMember[T int32 | int64](b []byte, name string, n *T) []byte {
	if n == nil {
		return b
	}
	return append(strconv.AppendInt(append(b, name...), int64(*n), 10), ',')
}

// FloatMember appends a number, which is finite.
func FloatMember(b []byte, name string, f *float64) []byte {
	if f == nil {
		return b
	}
	return append(strconv.AppendFloat(append(b, name...), *f, 'f', -1, 64), ',')
}

// TimeMember appends a timestamp.
func TimeMember(b []byte, name string, t *Time) []byte {
	if t == nil {
		return b
	}
	return append(t.UTC().AppendFormat(append(b, name...), `"`+timeLayout+`"`), ',')
}

// ObjectMember appends a structure.
func ObjectMember[T any, O interface {
	*T
	Output
}](b []byte, name string, o O) []byte {
	if o == nil {
		return b
	}
	return append(o.AppendJSON(append(b, name...)), ',')
}

// ObjectsMember appends a list of structures.
func ObjectsMember[T any, O interface {
	*T
	Output
}](b []byte, name string, list []T) []byte {
	if list == nil {
		return b
	}
	b = append(append(b, name...), '[')
	for i := range list {
		b = append(O(&list[i]).AppendJSON(b), ',')
	}
	return append(endWith(b, ']'), ',')
}

// SharedMember appends a list of structures that others hold as well.
func SharedMember[O Output](b []byte, name string, list []O) []byte {
	if list == nil {
		return b
	}
	b = append(append(b, name...), '[')
	for _, o := range list {
		b = append(o.AppendJSON(b), ',')
	}
	return append(endWith(b, ']'), ',')
}

// StringsMember appends a list of strings.
func StringsMember(b []byte, name string, list []string) []byte {
	if list == nil {
		return b
	}
	b = append(append(b, name...), '[')
	for _, s := range list {
		b = append(appendString(b, s), ',')
	}
	return append(endWith(b, ']'), ',')
}

// MapMember appends a map of strings, by their keys.
func MapMember(b []byte, name string, texts map[string]string) []byte {
	if texts == nil {
		return b
	}
	b = append(append(b, name...), '{')
	var room [8]string // most have fewer keys: they need no other
	keys := room[:0]
	for key := range texts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		b = append(appendString(append(appendString(b, key), ':'), texts[key]), ',')
	}
	return append(EndObject(b), ',')
}

// EndObject closes an object after its last member.
func EndObject(b []byte) []byte { return endWith(b, '}') }

// endWith closes an object or a list: over the last comma if there is one.
func endWith(b []byte, end byte) []byte {
	if last := len(b) - 1; b[last] == ',' {
		b[last] = end
		return b
	}
	return append(b, end)
}

// appendString quotes a string. Most are plain ASCII, and need no more than that.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendEscaped leaves a string to encoding/json.
func appendEscaped(b []byte, s string) []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string in memory always encodes
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}
