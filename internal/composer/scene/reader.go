package scene

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/color"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// reader takes a document apart and keeps the first thing that is wrong with it.
type reader struct{ err error }

// value takes the JSON value at path in, or fails.
type value = func(path string, data json.RawMessage)

// members are the members that an object may have.
type members map[string]value

func (r *reader) fail(path, what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s %s", path, what)
	}
}

// object gives each member to its value, in the order of their names. A member that is null counts as absent.
func (r *reader) object(path string, data json.RawMessage, known members) {
	if r.err != nil {
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if t, err := decoder.Token(); err != nil || t != json.Delim('{') {
		r.fail(orDocument(path), "must be an object")
		return
	}
	found := map[string]json.RawMessage{}
	for decoder.More() {
		t, err := decoder.Token()
		name, _ := t.(string)
		var v json.RawMessage
		if err != nil || decoder.Decode(&v) != nil {
			r.fail(orDocument(path), "is no valid JSON") // never: the document was checked as a whole
			return
		}
		if known[name] == nil {
			r.fail(orDocument(path), fmt.Sprintf("has no member %q; it can have %s", cut(name), strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
			return
		}
		if _, twice := found[name]; twice {
			r.fail(join(path, name), "is there twice")
			return
		}
		found[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if v := found[name]; string(v) != "null" {
			known[name](join(path, name), v)
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orDocument(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}

// cut makes foreign words fit for a message.
func cut(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

func (r *reader) nested(known members) value {
	return func(path string, data json.RawMessage) { r.object(path, data, known) }
}

func (r *reader) list(most int, each value) value {
	return func(path string, data json.RawMessage) {
		var all []json.RawMessage
		if json.Unmarshal(data, &all) != nil {
			r.fail(path, "must be a list")
			return
		}
		if len(all) > most {
			r.fail(path, fmt.Sprintf("has %d entries, more than %d", len(all), most))
			return
		}
		for i, v := range all {
			each(fmt.Sprintf("%s[%d]", path, i), v)
		}
	}
}

func (r *reader) number(to *int, least, most int) value {
	return func(path string, data json.RawMessage) {
		n, err := strconv.Atoi(string(data))
		if err != nil || n < least || n > most {
			r.fail(path, fmt.Sprintf("must be a whole number from %d to %d, not %s", least, most, cut(string(data))))
			return
		}
		*to = n
	}
}

func (r *reader) fraction(to *float64) value {
	return func(path string, data json.RawMessage) {
		n, err := strconv.ParseFloat(string(data), 64)
		if err != nil || !(n >= 0 && n <= 1) {
			r.fail(path, "must be a number from 0 to 1, not "+cut(string(data)))
			return
		}
		*to = n
	}
}

func (r *reader) flag(to *bool) value {
	return func(path string, data json.RawMessage) {
		if json.Unmarshal(data, to) != nil {
			r.fail(path, "must be true or false")
		}
	}
}

func (r *reader) text(to *string) value { return r.longText(to, maxText) }

func (r *reader) longText(to *string, most int) value {
	return func(path string, data json.RawMessage) {
		if json.Unmarshal(data, to) != nil {
			r.fail(path, "must be text in quotes")
		} else if utf8.RuneCountInString(*to) > most {
			r.fail(path, fmt.Sprintf("has more than %d characters", most))
		}
	}
}

var imageName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// name reads the name of an image.
func (r *reader) name(to *string) value {
	return func(path string, data json.RawMessage) {
		var s string
		if json.Unmarshal(data, &s) != nil || !imageName.MatchString(s) {
			r.fail(path, "must be the name of an image: 1 to 64 letters, digits, dashes and underscores")
			return
		}
		*to = s
	}
}

func (r *reader) color(to *color.RGBA) value {
	return func(path string, data json.RawMessage) {
		var s string
		err := json.Unmarshal(data, &s)
		n, parseErr := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 24)
		if err != nil || parseErr != nil || len(s) != 7 || s[0] != '#' {
			r.fail(path, "must be a colour like #1f6feb, not "+cut(string(data)))
			return
		}
		*to = color.RGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 255}
	}
}

func choice[T any](r *reader, to *T, words map[string]T) value {
	return func(path string, data json.RawMessage) {
		var s string
		v, ok := words[s]
		if json.Unmarshal(data, &s) == nil {
			v, ok = words[s]
		}
		if !ok {
			r.fail(path, fmt.Sprintf("must be one of %s, not %s", strings.Join(slices.Sorted(maps.Keys(words)), ", "), cut(string(data))))
			return
		}
		*to = v
	}
}
