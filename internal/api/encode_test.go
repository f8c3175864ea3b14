package api_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

// outputs are the responses of all operations.
func outputs() (types []reflect.Type) {
	for _, service := range []reflect.Type{reflect.TypeFor[ivs.Service](), reflect.TypeFor[ivsrealtime.Service]()} {
		for i := range service.NumMethod() {
			if call := service.Method(i).Type; call.NumOut() == 2 {
				types = append(types, call.Out(0).Elem())
			}
		}
	}
	return types
}

// TestOutputsAreJSON: every response is written as encoding/json would write it, byte by byte.
func TestOutputsAreJSON(t *testing.T) {
	types := outputs()
	if len(types) < 50 {
		t.Fatalf("only %d operations have an output", len(types))
	}
	rapid.Check(t, func(t *rapid.T) {
		v := reflect.New(rapid.SampledFrom(types).Draw(t, "type"))
		fill(t, v.Elem())
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(v.Interface()); err != nil {
			t.Fatal(err)
		}
		if got := v.Interface().(api.Output).AppendJSON(nil); string(got)+"\n" != want.String() {
			t.Fatalf("%s: wrote\n%s, encoding/json\n%s", v.Elem().Type(), got, want.Bytes())
		}
	})
}

// fill draws a value of a type that the generator emits; pointers, lists and maps may be nil.
func fill(t *rapid.T, v reflect.Value) {
	if v.Type() == reflect.TypeFor[api.Time]() {
		v.Set(reflect.ValueOf(*api.TimeOf(time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "time")))))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Written" {
				fill(t, v.Field(i))
			}
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 2).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				elem := v.Index(i)
				if elem.Kind() == reflect.Pointer { // never nil in a list
					elem.Set(reflect.New(elem.Type().Elem()))
					elem = elem.Elem()
				}
				fill(t, elem)
			}
		}
	case reflect.Map:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.ValueOf(rapid.MapOfN(rapid.String(), rapid.String(), 0, 10).Draw(t, "map")))
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "integer") >> (64 - v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(1e-3, 1e9).Draw(t, "number"))
	default:
		t.Fatalf("the generator does not emit %s", v.Type())
	}
}

// TestOutputText has what is rare: characters that need care, and empty lists and maps.
func TestOutputText(t *testing.T) {
	for _, c := range []struct {
		output api.Output
		want   string
	}{
		{&ivs.ListChannelsResponse{}, `{}`},
		{&ivs.ListChannelsResponse{Channels: []*ivs.ChannelSummary{}, NextToken: new("")}, `{"channels":[],"nextToken":""}`},
		{&ivs.ListChannelsResponse{Channels: []*ivs.ChannelSummary{{}, {Name: new("a,"), Tags: map[string]string{}}}}, `{"channels":[{},{"name":"a,","tags":{}}]}`},
		{&ivs.ListChannelsResponse{Channels: []*ivs.ChannelSummary{{Name: new("a"), Written: `{"name":"b"}`}}}, `{"channels":[{"name":"b"}]}`},
		{&ivsrealtime.Video{Framerate: new(29.97), Width: new(int32(-1))}, `{"width":-1,"framerate":29.97}`},
		{&ivs.Channel{Name: new("a<b>&\"\\\n\x7f\u2028ü\xff")}, `{"name":"a<b>&\"\\\n` + "\x7f" + `\u2028ü\ufffd"}`},
	} {
		if got := c.output.AppendJSON(nil); string(got) != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
