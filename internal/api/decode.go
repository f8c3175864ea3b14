package api

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// decode fills a generated input from a body. An empty body is the empty object, unknown members
// are ignored, and null is the same as absent. A body that is no JSON object gives a
// SerializationException, a member of the wrong type a ValidationException with its path.
//
// It exists because encoding/json matches names without regard to case, turns null elements into
// zero values, does not say where in a list an error is, and leaves several times as much garbage.
func decode(body []byte, in any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !utf8.Valid(body) {
		return SerializationException("the request body is not valid UTF-8")
	}
	if !json.Valid(body) {
		return SerializationException("the request body is not valid JSON: %v", json.Unmarshal(body, new(any)))
	}
	p := parser{body}
	content := p.value()
	o, ok := content.(object)
	if !ok {
		return SerializationException("the request body must be a JSON object, not %s", kindOf(content))
	}
	var v Violations
	decodeStruct(&v, "", reflect.ValueOf(in).Elem(), o)
	return v.Err()
}

// kindOf names the JSON type of a decoded value.
func kindOf(x any) string {
	switch x.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}

func decodeStruct(v *Violations, at string, to reflect.Value, o object) {
	for _, f := range membersOf(to.Type()) {
		if x := o.get(f.name); x != nil {
			decodeValue(v, at+f.name, to.Field(f.index), x)
		}
	}
}

var timeType = reflect.TypeFor[Time]()

// decodeValue fills to, which is of one of the types that the generator emits, from x, which is not nil.
func decodeValue(v *Violations, at string, to reflect.Value, x any) {
	wrong := func(want string) { v.add("", at, "Member must be "+want+", not "+kindOf(x)) }
	if to.Type() == timeType {
		s, ok := x.(string)
		if !ok || to.Addr().Interface().(*Time).UnmarshalText([]byte(s)) != nil {
			wrong("a timestamp in ISO 8601")
		}
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		decodeValue(v, at, to.Elem(), x)
	case reflect.String:
		if s, ok := x.(string); ok {
			to.SetString(s)
		} else {
			wrong("a string")
		}
	case reflect.Bool:
		if b, ok := x.(bool); ok {
			to.SetBool(b)
		} else {
			wrong("a boolean")
		}
	case reflect.Int32, reflect.Int64:
		n, ok := x.(json.Number)
		if !ok {
			wrong("an integer")
			return
		}
		i, ok := integer(n)
		if !ok || to.OverflowInt(i) {
			v.add("'"+shorten(n.String())+"' ", at, "Member must be an integer of "+strconv.Itoa(to.Type().Bits())+" bits")
			return
		}
		to.SetInt(i)
	case reflect.Float64:
		n, ok := x.(json.Number)
		if !ok {
			wrong("a number")
			return
		}
		f, err := n.Float64()
		if err != nil {
			v.add("'"+shorten(n.String())+"' ", at, "Member must be a number that a double can hold")
			return
		}
		to.SetFloat(f)
	case reflect.Struct:
		if o, ok := x.(object); ok {
			decodeStruct(v, at+".", to, o)
		} else {
			wrong("an object")
		}
	case reflect.Slice:
		list, ok := x.([]any)
		if !ok {
			wrong("a list")
			return
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		for i, elem := range list {
			if elem == nil {
				v.Required(Item(at, i), true)
			} else {
				decodeValue(v, Item(at, i), to.Index(i), elem)
			}
		}
	case reflect.Map:
		o, ok := x.(object)
		if !ok {
			wrong("an object")
			return
		}
		decodeMap(v, at, to, o)
	default:
		panic("decode: the generator does not emit " + to.Type().String())
	}
}

func decodeMap(v *Violations, at string, to reflect.Value, o object) {
	to.Set(reflect.MakeMapWithSize(to.Type(), len(o)))
	value := reflect.New(to.Type().Elem()).Elem()
	for _, m := range o {
		if m.value == nil {
			v.Required(MapValue(at, m.name), true)
			continue
		}
		value.SetZero()
		decodeValue(v, MapValue(at, m.name), value, m.value)
		to.SetMapIndex(reflect.ValueOf(m.name), value)
	}
}

// integer reads a number without a fraction; 1e2 and 5.0 are integers too.
func integer(n json.Number) (int64, bool) {
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	// 2^53: above it a double is not exact.
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

type field struct {
	name  string
	index int
}

var membersByType sync.Map // reflect.Type → []field

// membersOf lists the members of a generated structure that travel in the body.
func membersOf(t reflect.Type) []field {
	if known, ok := membersByType.Load(t); ok {
		return known.([]field)
	}
	var out []field
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "-" {
			out = append(out, field{name, i})
		}
	}
	membersByType.Store(t, out)
	return out
}
