package main

import (
	"fmt"
	"maps"
	"slices"
)

// emitErrors writes a constructor for each error of the models.
func emitErrors(p *printer, models []*model) error {
	status := map[string]int{}
	for _, m := range models {
		for name, s := range m.Shapes {
			if s.Error == 0 {
				continue
			}
			if was, ok := status[name]; ok && was != s.Error {
				return fmt.Errorf("error %s has status %d in one model and %d in another", name, was, s.Error)
			}
			status[name] = s.Error
		}
	}
	for _, name := range slices.Sorted(maps.Keys(status)) {
		p.line("")
		p.line("// %s is the modelled error of that name, HTTP status %d.", name, status[name])
		p.line("func %s(format string, args ...any) *Error {", name)
		p.line("return newError(%q, %d, format, args...)", name, status[name])
		p.line("}")
	}
	return nil
}
