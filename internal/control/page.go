package control

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/footlight-live/footlight/internal/api"
)

// pageSize is the default and the largest size of an operation's pages.
type pageSize struct{ def, max int }

// The sizes of spec/api-conventions.md §5.
var (
	pageOf100 = pageSize{100, 100} // channels, streams, stream sessions, encoder configurations, compositions
	pageOf50  = pageSize{50, 100}  // stages, stage sessions, participants, events
	pageOf1   = pageSize{1, 50}    // stream keys

	pageOfReplicas = pageSize{50, 50}
)

// orderKey sorts by time, then by id, as text.
func orderKey(t time.Time, id string) string {
	const zeros = "0000000000000000000" // 19 digits are enough from 2001 to 2262
	var room [20]byte
	n := strconv.AppendInt(room[:0], t.UnixNano(), 10)
	return zeros[min(len(n), len(zeros)):] + string(n) + "-" + id
}

// byAge is the order of orderKey.
func byAge(a time.Time, aID string, b time.Time, bID string) int {
	return cmp.Or(cmp.Compare(a.UnixNano(), b.UnixNano()), cmp.Compare(aID, bID))
}

// oldestFirst sorts the list by key and cuts the page out of it. scope names the operation and, after a
// space, everything that a token must not be carried across.
func oldestFirst[T any](c *Control, scope string, list []T, key func(T) string, n *int32, next *string, size pageSize) ([]T, *string, error) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return api.Page(c.Pager, scope, list, key, n, next, size.def, size.max)
}

// newestFirst is oldestFirst the other way round.
func newestFirst[T any](c *Control, scope string, list []T, key func(T) string, n *int32, next *string, size pageSize) ([]T, *string, error) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(b), key(a)) })
	return api.Page(c.Pager, scope, list, key, n, next, size.def, size.max)
}

// each maps a list for a response; it is never nil.
func each[T, U any](list []T, f func(T) U) []U {
	out := make([]U, 0, len(list))
	for _, item := range list {
		out = append(out, f(item))
	}
	return out
}

// value is what an optional member holds, or the fallback when it is absent.
func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}
