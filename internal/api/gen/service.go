package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// emitService writes the Service interface, its Unimplemented form and the route table.
func emitService(p *printer, m *model, pkg string) {
	ops := slices.Sorted(maps.Keys(m.Operations))
	p.line("import (")
	p.line("%q", "context")
	p.line("%q", "net/http")
	if slices.ContainsFunc(ops, func(o string) bool { return strings.Contains(m.Operations[o].URI, "{") }) {
		p.line("%q", "net/url")
	}
	p.line("")
	p.line("%q", "github.com/footlight-live/footlight/internal/api")
	p.line(")")

	p.line("")
	p.line("// Service is what an implementation of the %s API provides. Inputs are decoded and valid.", m.Service)
	p.line("// An operation whose response has no body returns only an error. An error that is not an")
	p.line("// *api.Error reaches the client as InternalServerException without its text.")
	p.line("type Service interface {")
	for _, name := range ops {
		p.line("%s(ctx context.Context, in *%s) %s", name, m.Operations[name].Input, m.results(m.Operations[name]))
	}
	p.line("}")

	p.line("")
	p.line("// Unimplemented answers every operation with NotImplementedException. Embed it to build up a Service.")
	p.line("type Unimplemented struct{}")
	p.line("")
	p.line("var _ Service = Unimplemented{}")
	for _, name := range ops {
		o := m.Operations[name]
		value := ""
		if m.hasOutput(o) {
			value = "nil, "
		}
		p.line("")
		p.line("// %s answers NotImplementedException.", name)
		p.line("func (Unimplemented) %s(context.Context, *%s) %s {", name, o.Input, m.results(o))
		p.line("return %sapi.NotBuilt(%q)", value, name)
		p.line("}")
	}

	p.line("")
	p.line("// Operations is the route table of s.")
	p.line("func Operations(s Service) []api.Operation {")
	p.line("return []api.Operation{")
	for _, name := range ops {
		o := m.Operations[name]
		route := "Route"
		if !m.hasOutput(o) {
			route = "RouteEmpty"
		}
		method := map[string]string{"GET": "http.MethodGet", "POST": "http.MethodPost", "DELETE": "http.MethodDelete"}[o.Method]
		end := ","
		if b := m.binding(o); b != "" {
			end = ".Bind(" + b + "),"
		}
		p.line("api.%s(%q, %q, %s, %q, %d, s.%s)%s", route, pkg, name, method, o.URI, o.Status, name, end)
	}
	p.line("}")
	p.line("}")

	for _, name := range ops {
		if b := m.binding(m.Operations[name]); b != "" {
			m.emitBinding(p, b, m.Operations[name])
		}
	}
}

func (m *model) results(o operation) string {
	if m.hasOutput(o) {
		return fmt.Sprintf("(*%s, error)", o.Output)
	}
	return "error"
}

// binding is the name of the function that fills the members from the path and the query,
// or "" when the input has none.
func (m *model) binding(o operation) string {
	if slices.ContainsFunc(m.Shapes[o.Input].body(), func(x member) bool { return x.Location != "" }) {
		return "bind" + o.Input
	}
	return ""
}

func (m *model) emitBinding(p *printer, name string, o operation) {
	p.line("")
	p.line("func %s(input api.Input, label string, query url.Values) {", name)
	p.line("in := input.(*%s)", o.Input)
	for _, x := range m.Shapes[o.Input].body() {
		switch x.Location {
		case "uri":
			p.line("in.%s = &label", goName(x.Name))
		case "querystring":
			p.line("in.%s = query[%q]", goName(x.Name), x.LocationName)
		}
	}
	p.line("}")
}
