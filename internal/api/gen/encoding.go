package main

import "slices"

// prewritten are the structures that may carry their own text: a list of them is only copied, and holds pointers.
var prewritten = []string{"ChannelSummary"}

// emitEncoding writes the AppendJSON of every structure of the responses: one call of a function of package api for each
// member.
func emitEncoding(p *printer, m *model, _ string) {
	p.line("import %q", "github.com/footlight-live/footlight/internal/api")
	for _, name := range m.structures(m.outputs()...) {
		p.line("")
		p.line("// AppendJSON implements api.Output.")
		p.line("func (s *%s) AppendJSON(b []byte) []byte {", name)
		if slices.Contains(prewritten, name) {
			p.line("if s.Written != \"\" {")
			p.line("return append(b, s.Written...)")
			p.line("}")
		}
		p.line("b = append(b, '{')")
		for _, x := range m.Shapes[name].body() {
			p.line("b = api.%sMember(b, `%q:`, s.%s)", m.encoding(x.Shape), x.Name, goName(x.Name))
		}
		p.line("return api.EndObject(b)")
		p.line("}")
	}
}

// encoding is the first part of the name of the function that appends a member.
func (m *model) encoding(shape string) string {
	kinds := map[string]string{
		"*string": "String", "*bool": "Bool", "*int32": "Int", "*int64": "Int", "*float64": "Float", "*api.Time": "Time",
		"[]string": "Strings", "map[string]string": "Map",
	}
	if kind, ok := kinds[m.goType(shape, true)]; ok {
		return kind
	}
	if s := m.Shapes[shape]; s.Type == "list" && slices.Contains(prewritten, s.Member) {
		return "Shared"
	} else if s.Type == "list" {
		return "Objects"
	}
	return "Object"
}
