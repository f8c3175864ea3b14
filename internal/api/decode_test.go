package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// sample has every kind of member that the generator emits.
type sample struct {
	Name   *string           `json:"name,omitzero"`
	Flag   *bool             `json:"flag,omitzero"`
	Small  *int32            `json:"small,omitzero"`
	Large  *int64            `json:"large,omitzero"`
	Rate   *float64          `json:"rate,omitzero"`
	When   *Time             `json:"when,omitzero"`
	Inner  *sample           `json:"inner,omitzero"`
	Names  []string          `json:"names,omitzero"`
	Inners []sample          `json:"inners,omitzero"`
	Tags   map[string]string `json:"tags,omitzero"`
	Arn    *string           `json:"-"`
}

func TestDecode(t *testing.T) {
	noon := &Time{time.Date(2026, 1, 1, 12, 0, 0, 345e6, time.UTC)}
	for _, c := range []struct {
		body string
		want sample
	}{
		{``, sample{}},
		{"  \n", sample{}},
		{`{}`, sample{}},
		{`{"name":"","flag":false,"small":0,"names":[],"tags":{}}`,
			sample{Name: new(""), Flag: new(false), Small: new(int32(0)), Names: []string{}, Tags: map[string]string{}}},
		{`{"name":null,"names":null,"inner":null,"tags":null}`, sample{}},
		{`{"Name":"other case","NAME":"x","unknown":{"deep":[1]},"-":"a","Arn":"a"}`, sample{}},
		{`{"small":2147483647,"large":-9223372036854775808,"rate":29.97}`,
			sample{Small: new(int32(2147483647)), Large: new(int64(-9223372036854775808)), Rate: new(29.97)}},
		{`{"unknown":[1,-2.5e+3,true,false,null,"x\\",{"a":[[]]}],"small":7}`, sample{Small: new(int32(7))}},
		{`{"small":3e1,"large":5.0,"rate":30}`, sample{Small: new(int32(30)), Large: new(int64(5)), Rate: new(30.0)}},
		{`{"when":"2026-01-01T13:00:00.345+01:00"}`, sample{When: noon}},
		{`{"inner":{"inner":{"name":"\u00e9\n"}},"inners":[{"small":1},{}]}`,
			sample{Inner: &sample{Inner: &sample{Name: new("é\n")}}, Inners: []sample{{Small: new(int32(1))}, {}}}},
		{` { "name" : "\"\\\u00e9" , "inners" : [ { "small" : 1 , "names" : [ ] } ] , "flag" : true } `,
			sample{Name: new(`"\é`), Inners: []sample{{Small: new(int32(1)), Names: []string{}}}, Flag: new(true)}},
		{`{"name":"first","name":"last","tags":{"k":"first","k":"last"}}`, sample{Name: new("last"), Tags: map[string]string{"k": "last"}}},
		{`{"names":["a",""],"tags":{"":"x","k":""}}`, sample{Names: []string{"a", ""}, Tags: map[string]string{"": "x", "k": ""}}},
	} {
		var got sample
		if err := decode([]byte(c.body), &got); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("decode(%s) = %+v, %v", c.body, got, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const serialization, validation = "SerializationException", "ValidationException"
	for _, c := range []struct{ body, code, want string }{
		{`{`, serialization, "not valid JSON"},
		{`{"name":}`, serialization, "not valid JSON"},
		{`{} {}`, serialization, "after top-level value"},
		{`{}]`, serialization, "after top-level value"},
		{`[]`, serialization, "not a list"},
		{`null`, serialization, "not null"},
		{`"x"`, serialization, "not a string"},
		{"{\"name\":\"\xff\"}", serialization, "UTF-8"},
		{strings.Repeat("[", 20000), serialization, "not valid JSON"},
		{`{"name":1}`, validation, "Value at 'name' failed to satisfy constraint: Member must be a string, not a number"},
		{`{"flag":"true"}`, validation, "'flag'"},
		{`{"small":"1"}`, validation, "Member must be an integer, not a string"},
		{`{"small":1.5}`, validation, "Value '1.5' at 'small'"},
		{`{"small":2147483648}`, validation, "an integer of 32 bits"},
		{`{"large":9223372036854775808}`, validation, "an integer of 64 bits"},
		{`{"large":1e400}`, validation, "an integer of 64 bits"},
		{`{"rate":1e400}`, validation, "'rate'"},
		{`{"rate":true}`, validation, "a number, not a boolean"},
		{`{"when":1767268800}`, validation, "'when'"},
		{`{"when":"noon"}`, validation, "'when'"},
		{`{"inner":[]}`, validation, "an object, not a list"},
		{`{"names":"a"}`, validation, "'names'"},
		{`{"names":["a",null]}`, validation, "Value null at 'names.2.member'"},
		{`{"names":[{}]}`, validation, "'names.1.member'"},
		{`{"inners":[{},{"inner":{"small":"x"}}]}`, validation, "'inners.2.member.inner.small'"},
		{`{"tags":[]}`, validation, "'tags'"},
		{`{"tags":{"k":null}}`, validation, "Value null at 'tags.k.value'"},
		{`{"tags":{"k":1}}`, validation, "'tags.k.value'"},
		{`{"name":1,"flag":1}`, validation, "2 validation errors detected: "},
	} {
		var e *Error
		if err := decode([]byte(c.body), new(sample)); !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.want) {
			t.Errorf("decode(%.40s) gave %v, want %s with %q", c.body, err, c.code, c.want)
		}
	}
}

// TestLongMessages: what a client sends does not come back whole.
func TestLongMessages(t *testing.T) {
	var v Violations
	for range 1000 {
		v.String("name", new(strings.Repeat("é", 5000)), &StringRule{Max: 1})
	}
	v.String("key", new("hunter2"), &StringRule{Max: 1, Secret: true})
	err := v.Err().Error()
	if len(err) > 8000 || !strings.Contains(err, "1001 validation errors") || strings.Contains(err, "hunter2") {
		t.Errorf("message of %d bytes: %.100s", len(err), err)
	}
}

func TestTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	for _, c := range []struct {
		in   time.Time
		want string
	}{
		{time.Date(2026, 1, 1, 13, 0, 0, 0, zone), `"2026-01-01T12:00:00Z"`},
		{time.Date(2026, 1, 1, 12, 0, 0, 345678901, time.UTC), `"2026-01-01T12:00:00.345Z"`},
	} {
		got, err := json.Marshal(struct{ T *Time }{TimeOf(c.in)})
		if err != nil || string(got) != `{"T":`+c.want+`}` {
			t.Errorf("%s, %v", got, err)
		}
		var back Time
		if err := json.Unmarshal([]byte(c.want), &back); err != nil || !back.Equal(c.in.Truncate(time.Millisecond)) {
			t.Errorf("%s came back as %v, %v", c.want, back, err)
		}
	}
	for _, bad := range []string{`1`, `"x"`, `""`, `"`, ``} {
		if err := new(Time).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// FuzzDecode: whatever comes is refused by a typed error, or survives being sent again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"x","inner":{"names":["a"]},"inners":[{"rate":1.5}],"tags":{"a":"b"},"when":"2026-01-01T12:00:00Z"}`))
	f.Add([]byte(`{"small":1e9,"large":null,"inners":[null]}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var in, again sample
		if err := decode(body, &in); err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 400 {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(text, &again); err != nil {
			t.Fatalf("%s was accepted, but not %s: %v", body, text, err)
		}
		if second, err := json.Marshal(again); err != nil || string(second) != string(text) {
			t.Fatalf("%s became %s, %v", text, second, err)
		}
	})
}

// FuzzParse: valid JSON is what encoding/json says that it is.
func FuzzParse(f *testing.F) {
	f.Add([]byte(` {"a":"x\"\\\u00e9\ud800","b":[1,-2.5e+3,true,false,null,[],{}],"a":{"b": "" }} `))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || !json.Valid(text) {
			return
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		p := parser{text}
		if got := asMaps(p.value()); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is %#v, want %#v", text, got, want)
		}
	})
}

// asMaps turns the objects in a value into what encoding/json makes of them.
func asMaps(x any) any {
	switch x := x.(type) {
	case object:
		out := map[string]any{}
		for _, m := range x {
			out[m.name] = asMaps(m.value)
		}
		return out
	case []any:
		for i := range x {
			x[i] = asMaps(x[i])
		}
	}
	return x
}
