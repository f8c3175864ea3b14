package layout

import (
	"cmp"
	"slices"
	"strconv"
)

// order sorts in place: those whose attribute is an integer first, by its value, then the others; ties by
// arrival. Integers are what strconv.ParseInt reads in base 10: an optional sign and digits, 64 bits.
func order(attribute string, ps []Participant) {
	slices.SortFunc(ps, func(a, b Participant) int {
		if attribute != "" {
			x, xOK := rank(a, attribute)
			y, yOK := rank(b, attribute)
			switch {
			case xOK && !yOK:
				return -1
			case yOK && !xOK:
				return 1
			case x != y:
				return cmp.Compare(x, y)
			}
		}
		return cmp.Or(cmp.Compare(a.Joined, b.Joined), cmp.Compare(a.ID, b.ID))
	})
}

func rank(p Participant, attribute string) (int64, bool) {
	n, err := strconv.ParseInt(p.Attributes[attribute], 10, 64)
	if err != nil {
		return 0, false
	}
	return n, true
}

// first returns the index of the first participant whose attribute is the string "true", or -1.
func first(ps []Participant, attribute string) int {
	if attribute == "" {
		return -1
	}
	return slices.IndexFunc(ps, func(p Participant) bool { return p.Attributes[attribute] == "true" })
}
