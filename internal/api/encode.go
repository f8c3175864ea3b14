package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// encode writes an output; none is the empty object. What is absent is left out.
//
// It is the mirror image of decode, for the same types, and exists because lists of a hundred resources are what the
// server spends its time on: it takes a third of encoding/json's.
func encode(output any) ([]byte, error) {
	if output == nil {
		return []byte("{}"), nil
	}
	v := reflect.ValueOf(output)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	size, _ := outputSizes.LoadOrStore(v.Type(), new(atomic.Int64))
	last := size.(*atomic.Int64)
	b, err := appendValue(make([]byte, 0, last.Load()+64), v)
	if err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	last.Store(int64(len(b)))
	return b, nil
}

// outputSizes are the lengths of the last outputs, so that most are written without growing: reflect.Type → *atomic.Int64.
var outputSizes sync.Map

// outputMember is a member that travels in the body, with its name as JSON and a colon.
type outputMember struct {
	name  string
	index int
}

var outputMembers sync.Map // reflect.Type → []outputMember

func outputMembersOf(t reflect.Type) []outputMember {
	if known, ok := outputMembers.Load(t); ok {
		return known.([]outputMember)
	}
	var out []outputMember
	for _, f := range membersOf(t) {
		out = append(out, outputMember{strconv.Quote(f.name) + ":", f.index})
	}
	outputMembers.Store(t, out)
	return out
}

// appendValue writes a value of one of the types that the generator emits.
func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	switch v.Kind() {
	case reflect.Pointer:
		return appendValue(b, v.Elem())
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Float64:
		if f := v.Float(); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return strconv.AppendInt(b, int64(f), 10), nil
		}
		return appendJSON(b, v.Float())
	case reflect.Struct:
		if v.Type() == timeType {
			return appendJSON(b, v.Interface())
		}
		return appendStruct(b, v)
	case reflect.Slice:
		return appendList(b, v)
	case reflect.Map:
		return appendMap(b, v)
	}
	return nil, fmt.Errorf("the generator does not emit %s", v.Type())
}

func appendStruct(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '{')
	first := true
	for _, m := range outputMembersOf(v.Type()) {
		f := v.Field(m.index)
		if f.IsZero() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		if b, err = appendValue(append(b, m.name...), f); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendList(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, v reflect.Value) (_ []byte, err error) {
	texts, ok := v.Interface().(map[string]string)
	if !ok {
		return appendJSON(b, v.Interface())
	}
	b = append(b, '{')
	for i, key := range Keys(texts) {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendString(b, key); err != nil {
			return nil, err
		}
		if b, err = appendString(append(b, ':'), texts[key]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendString quotes a string. Most are plain ASCII, and need no more than that.
func appendString(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return appendJSON(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

// appendJSON leaves a value to encoding/json.
func appendJSON(b []byte, x any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...), nil
}
