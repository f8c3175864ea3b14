package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// laxPatterns are the shapes whose pattern is wrong in the model: the one of ResourceArn misses
// a + and would refuse every ARN that exists (spec/api-conventions.md §4).
var laxPatterns = []string{"ResourceArn"}

// emitValidation writes Validate for every request and the checks of everything below it.
func emitValidation(p *printer, m *model, _ string) {
	p.line("import %q", "github.com/footlight-live/footlight/internal/api")

	names := m.structures(m.inputs()...)
	rules := map[string]bool{}
	for _, n := range names {
		for _, x := range m.Shapes[n].body() {
			m.collectRules(x.Shape, rules)
		}
	}
	p.line("")
	p.line("var (")
	for _, n := range slices.Sorted(maps.Keys(rules)) {
		p.line("\trule%s = %s", n, m.rule(n))
	}
	p.line(")")

	roots := m.inputs()
	for _, n := range names {
		if slices.Contains(roots, n) {
			p.line("")
			p.line("// Validate checks the request against the model. The error is a ValidationException.")
			p.line("func (in *%s) Validate() error {", n)
			p.line("\tvar v api.Violations")
			p.line("\tin.validate(&v, \"\")")
			p.line("\treturn v.Err()")
			p.line("}")
		}
		p.line("")
		p.line("func (in *%s) validate(v *api.Violations, at string) {", n)
		for _, x := range m.Shapes[n].body() {
			required := slices.Contains(m.Shapes[n].Required, x.Name)
			m.emitCheck(p, fmt.Sprintf("at+%q", x.Name), "in."+goName(x.Name), x.Shape, required)
		}
		p.line("}")
	}
}

// constrained reports whether a shape has a rule of its own.
func (s *shape) constrained() bool {
	return s.Min != nil || s.Max != nil || s.Pattern != "" || len(s.Enum) > 0
}

// collectRules notes the rule of a shape and of its elements; a structure's are collected by its own turn.
func (m *model) collectRules(name string, rules map[string]bool) {
	s := m.Shapes[name]
	if s.Type == "structure" {
		return
	}
	if s.constrained() {
		rules[name] = true
	}
	for _, sub := range []string{s.Member, s.Key, s.Value} {
		if sub != "" {
			m.collectRules(sub, rules)
		}
	}
}

// rule is the Go expression of a shape's rule.
func (m *model) rule(name string) string {
	s := m.Shapes[name]
	if s.Type == "string" {
		var f []string
		if s.Min != nil {
			f = append(f, fmt.Sprintf("Min: %d", *s.Min))
		}
		if s.Max != nil {
			f = append(f, fmt.Sprintf("Max: %d", *s.Max))
		}
		if s.Pattern != "" && !slices.Contains(laxPatterns, name) {
			f = append(f, fmt.Sprintf("Pattern: api.Pattern(%q)", s.Pattern))
		}
		if len(s.Enum) > 0 {
			f = append(f, fmt.Sprintf("Enum: %#v", s.Enum))
		}
		if s.Sensitive {
			f = append(f, "Secret: true")
		}
		return "api.StringRule{" + strings.Join(f, ", ") + "}"
	}
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	if s.Min != nil {
		lo = *s.Min
	}
	if s.Max != nil {
		hi = *s.Max
	}
	bound := func(n int64) string {
		switch n {
		case math.MinInt64:
			return "api.Unbounded.Min"
		case math.MaxInt64:
			return "api.Unbounded.Max"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("api.Range{Min: %s, Max: %s}", bound(lo), bound(hi))
}

// emitCheck writes the checks of one member. at is the Go expression of its path, value the one of its value.
func (m *model) emitCheck(p *printer, at, value, name string, required bool) {
	s := m.Shapes[name]
	if required {
		p.line("v.Required(%s, %s == nil)", at, value)
	}
	switch s.Type {
	case "string":
		if s.constrained() {
			p.line("v.String(%s, %s, &rule%s)", at, value, name)
		}
	case "integer", "long", "float", "double":
		if s.constrained() {
			p.line("api.Number(v, %s, %s, rule%s)", at, value, name)
		}
	case "structure":
		p.line("if %s != nil {", value)
		p.line("%s.validate(v, %s+\".\")", value, at)
		p.line("}")
	case "list":
		if s.constrained() {
			p.line("v.Size(%s, %s == nil, len(%s), rule%s)", at, value, value, name)
		}
		elem := m.Shapes[s.Member]
		switch {
		case elem.Type == "structure":
			p.line("for i := range %s {", value)
			p.line("%s[i].validate(v, api.Item(%s, i)+\".\")", value, at)
			p.line("}")
		case elem.Type == "string" && elem.constrained():
			p.line("for i := range %s {", value)
			p.line("v.String(api.Item(%s, i), &%s[i], &rule%s)", at, value, s.Member)
			p.line("}")
		case elem.Type == "list" || elem.Type == "map":
			panic("list of " + elem.Type + " in " + name)
		}
	case "map":
		if s.constrained() {
			p.line("v.Size(%s, %s == nil, len(%s), rule%s)", at, value, value, name)
		}
		key, elem := m.Shapes[s.Key], m.Shapes[s.Value]
		if key.Type != "string" || elem.Type != "string" {
			panic("map " + name + " is not of strings")
		}
		if key.constrained() || elem.constrained() {
			p.line("for _, key := range api.Keys(%s) {", value)
			if key.constrained() {
				p.line("v.String(api.MapKey(%s), &key, &rule%s)", at, s.Key)
			}
			if elem.constrained() {
				p.line("v.String(api.MapValue(%s, key), new(%s[key]), &rule%s)", at, value, s.Value)
			}
			p.line("}")
		}
	}
}
