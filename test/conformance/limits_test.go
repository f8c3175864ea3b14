package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// limit is one input at or beyond the edge of what the model allows.
type limit struct {
	at     string // the member, as messages name it
	what   string
	input  M
	within bool // at the edge: allowed
	raw    bool // a value of the wrong type, which no SDK would send
}

// absent is the value of a member that is left out.
type absent struct{}

// limits are all the limits of an operation, each tried from a valid input.
func (op *operation) limits(valid M) (out []limit) {
	op.visit(op.Input, "", valid, func(l limit, value any) {
		l.input = value.(M)
		out = append(out, l)
	})
	return out
}

// visit tries the limits of a shape. base is a valid value of it; emit gets each changed value.
func (op *operation) visit(name, at string, base any, emit func(limit, any)) {
	s := op.shape(name)
	try := func(what string, within bool, value any) {
		if at != "" {
			emit(limit{at: at, what: what, within: within}, value)
		}
	}
	wrong := func(value any) {
		if at != "" {
			emit(limit{at: at, what: fmt.Sprintf("%T", value), raw: true}, value)
		}
	}
	switch s.Type {
	case "structure":
		wrong("text")
		object := base.(M)
		for _, member := range slices.Sorted(maps.Keys(s.Members)) {
			m := s.Members[member]
			path := strings.TrimPrefix(at+"."+member, ".")
			put := func(l limit, value any) {
				changed := maps.Clone(object)
				if changed[member] = value; value == (absent{}) {
					delete(changed, member)
				}
				emit(l, changed)
			}
			child, there := object[member]
			if !there {
				child = op.minimal(m.Shape)
			}
			if slices.Contains(s.Required, member) && m.Location == "" {
				put(limit{at: path, what: "absent"}, absent{})
			}
			op.visit(m.Shape, path, child, func(l limit, value any) {
				if m.Location == "" || !l.raw {
					put(l, value)
				}
			})
		}
	case "list":
		wrong("text")
		elem := op.minimal(s.Member)
		if have, _ := base.([]any); len(have) > 0 {
			elem = have[0]
		}
		if s.Min != nil && *s.Min > 0 {
			try("too short", false, repeat(elem, int(*s.Min)-1))
		}
		if s.Max != nil {
			try("too long", false, repeat(elem, int(*s.Max)+1))
			try("longest", true, repeat(elem, int(*s.Max)))
		}
		op.visit(s.Member, at+".1.member", elem, func(l limit, value any) { emit(l, []any{value}) })
	case "map":
		wrong("text")
		if s.Max != nil {
			try("too many", false, entries(int(*s.Max)+1))
			try("most", true, entries(int(*s.Max)))
		}
		op.visit(s.Key, at+".key", "k", func(l limit, value any) {
			if key, ok := value.(string); ok {
				emit(l, M{key: "v"})
			}
		})
		op.visit(s.Value, at+".k.value", "v", func(l limit, value any) { emit(l, M{"k": value}) })
	case "string":
		wrong(42)
		if s.Enum != nil {
			try("not in the set", false, "NOT_A_VALUE")
			for _, value := range s.Enum {
				try(value, true, value)
			}
			return
		}
		if s.Min != nil && *s.Min > 0 {
			try("too short", false, s.text(int(*s.Min)-1))
			if shortest := s.text(int(*s.Min)); s.matches(shortest) {
				try("shortest", true, shortest)
			}
		}
		if s.Max != nil {
			try("too long", false, s.text(int(*s.Max)+1))
			try("longest", true, s.text(int(*s.Max)))
		}
		if s.Pattern != "" && !s.matches("ü \x01") && name != "ResourceArn" && !(s.Min != nil && *s.Min > 3) {
			try("wrong pattern", false, "ü \x01")
		}
	case "integer", "long", "float":
		wrong("text")
		if s.Min != nil {
			try("too small", false, int(*s.Min)-1)
			try("smallest", true, int(*s.Min))
		}
		if s.Max != nil {
			try("too large", false, int(*s.Max)+1)
			try("largest", true, int(*s.Max))
		}
	case "boolean":
		wrong("text")
		try("true", true, true)
		try("false", true, false)
	}
}

func repeat(x any, n int) []any { return slices.Repeat([]any{x}, n) }

func entries(n int) M {
	out := M{}
	for i := range n {
		out[fmt.Sprintf("k%d", i)] = "v"
	}
	return out
}

// minimal is a value that the model allows, with nothing that could be left out.
func (op *operation) minimal(name string) any {
	s := op.shape(name)
	switch s.Type {
	case "structure":
		out := M{}
		for _, member := range s.Required {
			out[member] = op.minimal(s.Members[member].Shape)
		}
		return out
	case "list":
		n := 0
		if s.Min != nil {
			n = int(*s.Min)
		}
		return repeat(op.minimal(s.Member), n)
	case "map":
		return M{}
	case "string":
		if s.Enum != nil {
			return s.Enum[0]
		}
		n := 1
		if s.Min != nil {
			n = max(n, int(*s.Min))
		}
		if text := s.text(n); s.matches(text) {
			return text
		}
		return s.text(80)
	case "boolean":
		return true
	}
	if s.Min != nil {
		return int(*s.Min)
	}
	return 1
}

var resourceType = regexp.MustCompile(`arn:aws:(\w+):\[a-z0-9-\]\+:\[0-9\]\+:([\w-]+)/`)

// text is a string of n characters that matches the shape's pattern, when that is possible.
func (s *shape) text(n int) string {
	begin := ""
	if m := resourceType.FindStringSubmatch(s.Pattern); m != nil {
		begin = "arn:aws:" + m[1] + ":us-east-1:000000000000:" + m[2] + "/"
	} else if strings.HasPrefix(s.Pattern, "st-") {
		begin = "st-"
	} else if strings.Contains(s.Pattern, "[a-z-]/") {
		begin = "arn:aws:ivs:us-east-1:000000000000:channel/"
	}
	if len(begin) >= n {
		return begin[:n]
	}
	return begin + strings.Repeat("a", n-len(begin))
}

func (s *shape) matches(text string) bool {
	return s.Pattern == "" || regexp.MustCompile(`^(?:`+s.Pattern+`)$`).MatchString(text)
}

var violation = regexp.MustCompile(`^\d+ validation errors? detected: Value .*failed to satisfy constraint: `)

// limits tries every limit of every operation: beyond it the answer is a ValidationException in AWS's words that
// names the member, at the edge it is anything but that.
func limits(c *check) {
	for _, op := range c.operations.sorted() {
		c.run(strings.ReplaceAll(op.name, " ", "_"), func(c *check) {
			all := op.limits(c.example(op.name, none))
			for _, l := range all {
				ctx, cancel := context.WithTimeout(c.Context(), callTime)
				var err error
				if !l.raw {
					_, err = c.sdk.call(ctx, op, l.input)
				}
				if l.raw || errors.Is(err, errNotSent) {
					_, err = c.raw(ctx, op, l.input)
				}
				cancel()
				f, refused := errors.AsType[*failure](err)
				if err != nil && !refused {
					c.Fatalf("%s %s: %v", l.at, l.what, err)
				}
				complaint := refused && f.Code == "ValidationException" && violation.MatchString(f.Message) && strings.Contains(f.Message, "at '"+l.at+"'")
				if l.within && l.at == "nextToken" {
					complaint = complaint && !strings.Contains(f.Message, "must be a token that") // of that length and those characters, but none of ours
				}
				switch {
				case !l.within && !complaint:
					c.Errorf("%s %s: want a ValidationException about it, got %v", l.at, l.what, err)
				case !l.within && f.Status != 400:
					c.Errorf("%s %s: status %d", l.at, l.what, f.Status)
				case l.within && (complaint || refused && f.Status == 500):
					c.Errorf("%s %s: want it to be allowed, got %v", l.at, l.what, err)
				}
			}
			c.book.tries(op.name, len(all))
			if slices.ContainsFunc(all, func(l limit) bool { return !l.within }) {
				c.shows("error ValidationException", op.name)
			}
			c.shows("limits", op.name)
		})
	}
}
