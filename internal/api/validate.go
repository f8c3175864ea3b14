package api

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// StringRule is what the model says about a string.
type StringRule struct {
	Min, Max int            // characters; Max 0 means no upper limit
	Pattern  *regexp.Regexp // of the whole value; nil means any
	Enum     []string       // nil means any
	Secret   bool           // the value is never repeated in a message
}

// Range is what the model says about a number, or about the number of elements of a list or a map.
// Both ends belong to it.
type Range struct{ Min, Max int64 }

// Unbounded is the range of a number that the model does not limit.
var Unbounded = Range{Min: math.MinInt64, Max: math.MaxInt64}

// Pattern compiles a pattern of the model. The services match the whole value, whether or not the
// pattern is anchored. It is meant for package variables and panics when the pattern is wrong.
func Pattern(expr string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + expr + `)\z`) }

// patternText is the pattern as the model has it.
func patternText(p *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(p.String(), `\A(?:`), `)\z`)
}

// maxReported bounds a message: after so many violations the rest is only counted.
const maxReported = 8

// Violations collects what is wrong with a request, in the order of the model.
// The zero value is ready. It is used by one goroutine.
type Violations struct {
	texts []string
	count int
}

// Err returns nil or a ValidationException in the words of AWS:
// "1 validation error detected: Value 'x' at 'type' failed to satisfy constraint: …".
func (v *Violations) Err() error {
	switch v.count {
	case 0:
		return nil
	case 1:
		return ValidationException("1 validation error detected: %s", v.texts[0])
	}
	return ValidationException("%d validation errors detected: %s", v.count, strings.Join(v.texts, "; "))
}

func (v *Violations) add(value, at, constraint string) {
	v.count++
	if len(v.texts) < maxReported {
		v.texts = append(v.texts, fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: %s", value, at, constraint))
	}
}

// Required notes a member that must be present. An empty value is present.
func (v *Violations) Required(at string, missing bool) {
	if missing {
		v.add("null ", at, "Member must not be null")
	}
}

// String checks a string that may be absent (nil).
func (v *Violations) String(at string, s *string, rule *StringRule) {
	if s == nil {
		return
	}
	refuse := func(constraint string) {
		value := ""
		if !rule.Secret {
			value = "'" + shorten(*s) + "' "
		}
		v.add(value, at, constraint)
	}
	n := utf8.RuneCountInString(*s)
	switch {
	case n < rule.Min:
		refuse("Member must have length greater than or equal to " + strconv.Itoa(rule.Min))
	case rule.Max > 0 && n > rule.Max:
		refuse("Member must have length less than or equal to " + strconv.Itoa(rule.Max))
	case rule.Pattern != nil && !rule.Pattern.MatchString(*s):
		refuse("Member must satisfy regular expression pattern: " + patternText(rule.Pattern))
	case rule.Enum != nil && !slices.Contains(rule.Enum, *s):
		refuse("Member must satisfy enum value set: [" + strings.Join(rule.Enum, ", ") + "]")
	}
}

// Number checks a number that may be absent (nil).
func Number[T int32 | int64 | float64](v *Violations, at string, n *T, rule Range) {
	if n == nil {
		return
	}
	// A float64 is exact for every bound in the models.
	switch x := float64(*n); {
	case x < float64(rule.Min):
		v.add(fmt.Sprintf("'%v' ", *n), at, "Member must have value greater than or equal to "+strconv.FormatInt(rule.Min, 10))
	case x > float64(rule.Max):
		v.add(fmt.Sprintf("'%v' ", *n), at, "Member must have value less than or equal to "+strconv.FormatInt(rule.Max, 10))
	}
}

// Size checks the number of elements of a list or a map that may be absent.
func (v *Violations) Size(at string, absent bool, n int, rule Range) {
	switch {
	case absent:
	case int64(n) < rule.Min:
		v.add("", at, "Member must have length greater than or equal to "+strconv.FormatInt(rule.Min, 10))
	case int64(n) > rule.Max:
		v.add("", at, "Member must have length less than or equal to "+strconv.FormatInt(rule.Max, 10))
	}
}

// Item is the path of a list's element, counted from 1 as AWS does: arns.1.member.
func Item(at string, i int) string { return at + "." + strconv.Itoa(i+1) + ".member" }

// MapKey is the path of a map's keys.
func MapKey(at string) string { return at + ".key" }

// MapValue is the path of the value of one key of a map.
func MapValue(at, key string) string { return at + "." + shorten(key) + ".value" }

// Keys returns a map's keys sorted, so that messages do not change from run to run.
func Keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// shorten keeps messages readable when the value is long.
func shorten(s string) string {
	const most = 256
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
