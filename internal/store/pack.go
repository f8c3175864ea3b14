package store

import (
	"reflect"
	"strings"
)

// pack moves the text of a record and its key into one piece of memory, and returns the key there. A decoded record has
// a piece for each string, and Go's collector visits every piece each time it runs.
func pack[T any](key string, record *T) string {
	v, length := reflect.ValueOf(record).Elem(), len(key)
	eachString(v, func(s string) string { length += len(s); return s })
	var b strings.Builder
	b.Grow(length)
	move := func(s string) string {
		start := b.Len()
		b.WriteString(s)
		return b.String()[start:]
	}
	eachString(v, move)
	return move(key)
}

// eachString replaces every string that a record has of its JSON.
func eachString(v reflect.Value, by func(string) string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(by(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			eachString(v.Elem(), by)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Field(i); field.CanSet() { // it is exported
				eachString(field, by)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), by)
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		all := reflect.MakeMapWithSize(v.Type(), v.Len())
		for pair := v.MapRange(); pair.Next(); {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.SetIterKey(pair)
			value.SetIterValue(pair)
			eachString(key, by)
			eachString(value, by)
			all.SetMapIndex(key, value)
		}
		v.Set(all)
	}
}
