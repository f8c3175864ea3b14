package api

import (
	"bytes"
	"encoding/json"
	"slices"
)

// object is a JSON object as it was sent: in its order, and perhaps with a name twice.
type object []member

type member struct {
	name  string
	value any // nil, bool, json.Number, string, []any or object
}

// get returns the value of a name, the last one when there are several, or nil.
func (o object) get(name string) any {
	for _, m := range slices.Backward(o) {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parser takes JSON apart that json.Valid has found valid, in valid UTF-8. It leaves little behind beside the values:
// every request comes this way.
type parser struct{ rest []byte }

// next skips what does not count and returns the byte after it.
func (p *parser) next() byte {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n,:")
	return p.rest[0]
}

// take returns the next n bytes.
func (p *parser) take(n int) []byte {
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *parser) value() any {
	switch p.next() {
	case '{':
		p.take(1)
		o := object{}
		for p.next() != '}' {
			name := p.string()
			o = append(o, member{name, p.value()})
		}
		p.take(1)
		return o
	case '[':
		p.take(1)
		list := []any{}
		for p.next() != ']' {
			list = append(list, p.value())
		}
		p.take(1)
		return list
	case '"':
		return p.string()
	case 't':
		p.take(len("true"))
		return true
	case 'f':
		p.take(len("false"))
		return false
	case 'n':
		p.take(len("null"))
		return nil
	}
	end := bytes.IndexAny(p.rest, " \t\r\n,]}")
	if end < 0 {
		end = len(p.rest)
	}
	return json.Number(p.take(end))
}

// string reads a string. Most are without an escape; the others are left to encoding/json.
func (p *parser) string() (s string) {
	p.take(1)
	end := bytes.IndexAny(p.rest, `"\`)
	if p.rest[end] == '"' {
		s = string(p.take(end))
		p.take(1)
		return s
	}
	for end = 0; p.rest[end] != '"'; end++ {
		if p.rest[end] == '\\' {
			end++ // over what it escapes
		}
	}
	quoted := slices.Concat([]byte{'"'}, p.take(end+1))
	_ = json.Unmarshal(quoted, &s) // it is valid
	return s
}
