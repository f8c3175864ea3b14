package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// model is one service as the files in internal/api/model describe it.
type model struct {
	Service     string               `json:"service"`
	APIVersion  string               `json:"apiVersion"`
	SigningName string               `json:"signingName"`
	Operations  map[string]operation `json:"operations"`
	Shapes      map[string]*shape    `json:"shapes"`
}

type operation struct {
	Method string   `json:"method"`
	URI    string   `json:"uri"`
	Status int      `json:"status"`
	Input  string   `json:"input"`
	Output string   `json:"output"`
	Errors []string `json:"errors"`
}

// shape is a type of the model. Min and Max bound a length, a number of elements or a value,
// after the type.
type shape struct {
	Type      string   `json:"type"`
	Members   members  `json:"members"`
	Required  []string `json:"required"`
	Member    string   `json:"member"` // element of a list
	Key       string   `json:"key"`    // of a map
	Value     string   `json:"value"`  // of a map
	Min       *int64   `json:"min"`
	Max       *int64   `json:"max"`
	Pattern   string   `json:"pattern"`
	Enum      []string `json:"enum"`
	Sensitive bool     `json:"sensitive"`
	Error     int      `json:"error"` // HTTP status; 0 when the shape is not an error
}

type member struct {
	Name         string `json:"-"`
	Shape        string `json:"shape"`
	Location     string `json:"location"` // "", header, uri, querystring
	LocationName string `json:"locationName"`
}

// members keeps the order of the file, so that the generated structs read like the API reference.
type members []member

func (m *members) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var one member
		if err := d.Decode(&one); err != nil {
			return err
		}
		one.Name = name.(string)
		*m = append(*m, one)
	}
	return nil
}

// load reads a model and checks that every shape that it names exists.
func load(fsys fs.FS, name string) (*model, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	missing := func(s string) bool { return s != "" && m.Shapes[s] == nil }
	for op, o := range m.Operations {
		if missing(o.Input) || missing(o.Output) {
			return nil, fmt.Errorf("%s: operation %s names an unknown shape", name, op)
		}
	}
	for n, s := range m.Shapes {
		if missing(s.Member) || missing(s.Key) || missing(s.Value) ||
			slices.ContainsFunc(s.Members, func(x member) bool { return missing(x.Shape) }) {
			return nil, fmt.Errorf("%s: shape %s names an unknown shape", name, n)
		}
	}
	return m, nil
}

// body returns the members that travel in structs: all but headers.
func (s *shape) body() []member {
	return slices.DeleteFunc(slices.Clone(s.Members), func(m member) bool { return m.Location == "header" })
}

// hasOutput reports whether an operation answers with anything in the body.
func (m *model) hasOutput(o operation) bool {
	return o.Output != "" && len(m.Shapes[o.Output].body()) > 0
}

// structures returns the names of the structures that the roots reach, sorted.
func (m *model) structures(roots ...string) []string {
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		s := m.Shapes[name]
		if s == nil || seen[name] {
			return
		}
		seen[name] = true
		for _, x := range s.body() {
			visit(x.Shape)
		}
		visit(s.Member)
		visit(s.Value)
	}
	for _, r := range roots {
		visit(r)
	}
	var out []string
	for name := range seen {
		if m.Shapes[name].Type == "structure" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// inputs and outputs return the roots of the requests and of the responses with a body.
func (m *model) inputs() (out []string) {
	for _, o := range m.Operations {
		out = append(out, o.Input)
	}
	return out
}

func (m *model) outputs() (out []string) {
	for _, o := range m.Operations {
		if m.hasOutput(o) {
			out = append(out, o.Output)
		}
	}
	return out
}
