package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/footlight-live/footlight/test/harness"
)

// check is a test by one SDK. What it shows goes into the book, unless it fails.
type check struct {
	*testing.T
	*world
	worlds *worlds
	sdk    sdk
	start  func(t testing.TB, url, key, secret string) sdk // makes another one, for another server or key
	book   *book
}

// run is a subtest.
func (c *check) run(name string, f func(c *check)) {
	c.T.Helper()
	c.T.Run(name, func(t *testing.T) {
		sub := *c
		sub.T = t
		f(&sub)
	})
}

// with is the same check with another world or key.
func (c *check) with(w *world, key, secret string) *check {
	other := *c
	other.world, other.sdk = w, c.start(c.T, w.URL, key, secret)
	c.Cleanup(other.sdk.close)
	return &other
}

// try calls an operation. It skips the test when that is not built yet.
func (c *check) try(name string, in M) (M, error) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	op := c.operations.find(c.T, name)
	out, err := c.sdk.call(ctx, op, in)
	if errors.Is(err, errNotSent) {
		out, err = c.raw(ctx, op, in)
	}
	if f, ok := errors.AsType[*failure](err); ok && f.Code == "NotImplementedException" {
		c.Skipf("%s: %s", name, f.Message)
	}
	return out, err
}

// do calls an operation that must succeed.
func (c *check) do(name string, in M) M {
	c.Helper()
	out, err := c.patiently(name, in)
	if err != nil {
		c.Fatalf("%s %v: %v", name, in, err)
	}
	return out
}

// patiently is try, again and again as long as the rate of an operation is used up.
func (c *check) patiently(name string, in M) (out M, err error) {
	c.Helper()
	for deadline := time.Now().Add(callTime); ; time.Sleep(100 * time.Millisecond) {
		out, err = c.try(name, in)
		if f, ok := errors.AsType[*failure](err); !ok || f.Code != "ThrottlingException" || time.Now().After(deadline) {
			return out, err
		}
	}
}

// refused calls an operation that must answer with an error, as the SDK's type for it when the model documents it.
func (c *check) refused(code, name string, in M) {
	c.Helper()
	_, err := c.patiently(name, in)
	f, ok := errors.AsType[*failure](err)
	if !ok || f.Code != code {
		c.Errorf("%s %v: want %s, got %v", name, in, code, err)
		return
	}
	documented := slices.Contains(c.operations.find(c.T, name).Errors, code)
	if documented && !f.Typed {
		c.Errorf("%s: the SDK does not know %s", name, code)
	}
	if want := statuses[code]; f.Status != want {
		c.Errorf("%s: %s came with status %d, want %d", name, code, f.Status, want)
	}
	if documented {
		c.book.note(c.sdk.name(), name, "error "+code)
	}
}

// statuses are those of the documented errors (spec/api-conventions.md §3).
var statuses = map[string]int{
	"ValidationException": 400, "ServiceQuotaExceededException": 402, "AccessDeniedException": 403, "PendingVerification": 403,
	"ResourceNotFoundException": 404, "ChannelNotBroadcasting": 404, "ConflictException": 409, "ThrottlingException": 429,
	"InternalServerException": 500, "ServiceUnavailable": 503, "StreamUnavailable": 503,
}

// shows notes what was seen of operations.
func (c *check) shows(what string, names ...string) {
	if c.Failed() {
		return
	}
	for _, name := range names {
		c.operations.find(c.T, name)
		c.book.note(c.sdk.name(), name, what)
	}
}

// is compares a value with what it should be. Strings of want that begin with ~ are patterns of the whole value, and
// "~" alone is anything.
func (c *check) is(what string, got, want any) {
	c.Helper()
	if diff := differ("", got, want, true); diff != "" {
		c.Errorf("%s%s\n%s", what, diff, canonical(got))
	}
}

// has is is, but objects may have more members.
func (c *check) has(what string, got, want any) {
	c.Helper()
	if diff := differ("", got, want, false); diff != "" {
		c.Errorf("%s%s\n%s", what, diff, canonical(got))
	}
}

func differ(at string, got, want any, whole bool) string {
	switch want := want.(type) {
	case M:
		object, ok := got.(M)
		if !ok {
			return fmt.Sprintf("%s is %v, not an object", at, got)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if diff := differ(at+"."+name, object[name], want[name], whole); diff != "" {
				return diff
			}
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if _, ok := want[name]; !ok && whole {
				return fmt.Sprintf("%s.%s should not be there", at, name)
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s is %v, want %d elements", at, got, len(want))
		}
		for i := range want {
			if diff := differ(fmt.Sprintf("%s[%d]", at, i), list[i], want[i], whole); diff != "" {
				return diff
			}
		}
		return ""
	case string:
		if pattern, ok := strings.CutPrefix(want, "~"); ok {
			if got == nil || pattern != "" && !regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(fmt.Sprint(got)) {
				return fmt.Sprintf("%s is %v, want %s", at, got, want)
			}
			return ""
		}
	}
	if canonical(got) != canonical(want) {
		return fmt.Sprintf("%s is %v, want %v", at, got, want)
	}
	return ""
}

// eventually waits until try has no complaint.
func (c *check) eventually(what string, try func() error) {
	c.Helper()
	harness.Eventually(c.T, time.Minute, what, func(context.Context) error { return try() })
}

// told waits until the event log holds these events of a resource, as is compares. Health is left out, which is up to how busy
// the machine is.
func (c *check) told(resource, want string) {
	c.Helper()
	c.eventually("the event log", func() error {
		var names []string
		for _, e := range c.events(resource) {
			if name := str(e, "detail", "event_name"); !strings.HasPrefix(name, "Starvation ") {
				names = append(names, name)
			}
		}
		if diff := differ("", strings.Join(names, ", "), want, true); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// at is a value inside of an answer, nil when it is not there. Steps are members' names, or indexes.
func at(x any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := x.(M)
			x = object[step]
		case int:
			list, _ := x.([]any)
			if step >= len(list) {
				return nil
			}
			x = list[step]
		}
	}
	return x
}

// str is at for a string.
func str(x any, path ...any) string {
	s, _ := at(x, path...).(string)
	return s
}

// list is at for a list.
func list(x any, path ...any) []any {
	l, _ := at(x, path...).([]any)
	return l
}

// book keeps what was shown of the operations, by SDK. Safe for concurrent use.
type book struct {
	mu    sync.Mutex
	facts map[string]map[string]map[string]bool // SDK, operation, fact
	tried map[string]int                        // limits, by operation
}

func (b *book) note(sdk, operation, fact string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.facts == nil {
		b.facts = map[string]map[string]map[string]bool{}
	}
	if b.facts[sdk] == nil {
		b.facts[sdk] = map[string]map[string]bool{}
	}
	if b.facts[sdk][operation] == nil {
		b.facts[sdk][operation] = map[string]bool{}
	}
	b.facts[sdk][operation][fact] = true
}

// shown reports whether every SDK has shown a fact.
func (b *book) shown(operation, fact string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, facts := range b.facts {
		if !facts[operation][fact] {
			return false
		}
	}
	return len(b.facts) > 0
}

// tries notes how many limits an operation has.
func (b *book) tries(operation string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tried == nil {
		b.tried = map[string]int{}
	}
	b.tried[operation] = n
}

// callTime is how long a single call may take on a busy machine.
const callTime = time.Minute
