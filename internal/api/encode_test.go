package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// shapes has a member of each type that the generator emits.
type shapes struct {
	Text    *string           `json:"text,omitzero"`
	Flag    *bool             `json:"flag,omitzero"`
	Small   *int32            `json:"small,omitzero"`
	Large   *int64            `json:"large,omitzero"`
	Number  *float64          `json:"number,omitzero"`
	When    *Time             `json:"when,omitzero"`
	Child   *shapes           `json:"child,omitzero"`
	Texts   []string          `json:"texts,omitzero"`
	Numbers []int32           `json:"numbers,omitzero"`
	Things  []shapes          `json:"things,omitzero"`
	Tags    map[string]string `json:"tags,omitzero"`
	Query   []string          `json:"-"`
}

// drawShapes draws a value; deep says how deep it may be.
func drawShapes(t *rapid.T, deep int) shapes {
	s := shapes{Query: []string{"not in the body"}}
	optional := func(name string, set func()) {
		if rapid.Bool().Draw(t, name) {
			set()
		}
	}
	optional("text", func() { s.Text = new(rapid.String().Draw(t, "text")) })
	optional("flag", func() { s.Flag = new(rapid.Bool().Draw(t, "flag")) })
	optional("small", func() { s.Small = new(rapid.Int32().Draw(t, "small")) })
	optional("large", func() { s.Large = new(rapid.Int64().Draw(t, "large")) })
	optional("number", func() { s.Number = new(rapid.Float64().Draw(t, "number")) })
	optional("when", func() { s.When = TimeOf(time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "when"), 123e6)) })
	optional("texts", func() { s.Texts = append([]string{}, rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "texts")...) })
	optional("numbers", func() { s.Numbers = append([]int32{}, rapid.SliceOfN(rapid.Int32(), 0, 3).Draw(t, "numbers")...) })
	optional("tags", func() { s.Tags = rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "tags") })
	if deep > 0 {
		optional("child", func() { s.Child = new(drawShapes(t, deep-1)) })
		optional("things", func() { s.Things = []shapes{drawShapes(t, deep-1), drawShapes(t, deep-1)} })
	}
	return s
}

// TestEncodeIsJSON: what encode writes has the same content as what encoding/json writes.
func TestEncodeIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawShapes(t, 2)
		got, err := encode(&s)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := content(t, got), content(t, want); !reflect.DeepEqual(a, b) {
			t.Fatalf("encode wrote %s, encoding/json %s", got, want)
		}
	})
}

func content(t *rapid.T, text []byte) (x any) {
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&x); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return x
}

func TestEncodeText(t *testing.T) {
	got, err := encode(&shapes{Text: new("a<b>&\"\\\n\u2028ü\xff"), Texts: []string{}, Number: new(29.97), Tags: map[string]string{}})
	if want := `{"text":"a<b>&\"\\\n\u2028ü\ufffd","number":29.97,"texts":[],"tags":{}}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if got, err := encode(nil); err != nil || string(got) != "{}" {
		t.Errorf("%s, %v", got, err)
	}
}
