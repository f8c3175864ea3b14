package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// emitTypes writes the structures of all requests and responses.
func emitTypes(p *printer, m *model, _ string) {
	p.line("import %q", "github.com/footlight-live/footlight/internal/api")
	for _, name := range m.structures(append(m.inputs(), m.outputs()...)...) {
		s := m.Shapes[name]
		p.line("")
		p.line("// %s is a structure of the API.", name)
		p.line("type %s struct {", name)
		for _, x := range s.body() {
			tag := x.Name + ",omitzero"
			if x.Location != "" {
				tag = "-"
			}
			p.line("\t%s %s `json:%q`%s", goName(x.Name), m.goType(x.Shape, true), tag, m.note(s, x))
		}
		if slices.Contains(prewritten, name) {
			p.line("")
			p.line("\tWritten string `json:\"-\"` // what AppendJSON appended for the members, to be appended again; empty: not yet")
		}
		p.line("}")
	}
}

// goType is the Go type of a shape; as a member, scalars and structures are pointers. So are structures in lists that
// carry their text: they are made once and shared.
func (m *model) goType(name string, asMember bool) string {
	s := m.Shapes[name]
	pointer := ""
	if asMember {
		pointer = "*"
	}
	switch s.Type {
	case "string":
		return pointer + "string"
	case "boolean":
		return pointer + "bool"
	case "integer":
		return pointer + "int32"
	case "long":
		return pointer + "int64"
	case "float", "double":
		return pointer + "float64"
	case "timestamp":
		return pointer + "api.Time"
	case "structure":
		return pointer + name
	case "list":
		return "[]" + m.goType(s.Member, slices.Contains(prewritten, s.Member))
	case "map":
		return "map[string]" + m.goType(s.Value, false)
	}
	panic(fmt.Sprintf("shape %s has type %q, which the generator does not know", name, s.Type))
}

// note is the comment of a field: what the model says about its values.
func (m *model) note(owner *shape, x member) string {
	var notes []string
	if slices.Contains(owner.Required, x.Name) {
		notes = append(notes, "required")
	}
	s := m.Shapes[x.Shape]
	if s.Min != nil || s.Max != nil {
		what := map[string]string{"string": "characters", "list": "elements", "map": "entries"}[s.Type]
		notes = append(notes, strings.TrimSpace(bounds(s)+" "+what))
	}
	if len(s.Enum) > 0 {
		notes = append(notes, strings.Join(s.Enum, " | "))
	}
	if s.Sensitive {
		notes = append(notes, "secret")
	}
	switch x.Location {
	case "uri":
		notes = append(notes, "from the path")
	case "querystring":
		notes = append(notes, "from the query, key "+x.LocationName)
	}
	if len(notes) == 0 {
		return ""
	}
	return " // " + strings.Join(notes, "; ")
}

func bounds(s *shape) string {
	switch {
	case s.Max == nil:
		return fmt.Sprintf("at least %d", *s.Min)
	case s.Min == nil:
		return fmt.Sprintf("at most %d", *s.Max)
	}
	return fmt.Sprintf("%d..%d", *s.Min, *s.Max)
}

// emitEnums writes the values of every enum as untyped constants, so that new(pkg.Name) is a *string.
func emitEnums(p *printer, m *model, _ string) {
	for _, name := range slices.Sorted(maps.Keys(m.Shapes)) {
		s := m.Shapes[name]
		if len(s.Enum) == 0 {
			continue
		}
		p.line("")
		p.line("// Values of %s.", name)
		p.line("const (")
		for _, v := range s.Enum {
			p.line("\t%s = %q", enumName(name, v), v)
		}
		p.line(")")
	}
}
