package server

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. On the command line it may have a unit, a power of 1024: K, M, G, or KiB, MiB, GiB.
type Size int64

// UnmarshalText reads 1000, 512M or 20GiB.
func (s *Size) UnmarshalText(text []byte) error {
	digits, unit := strings.TrimSuffix(string(text), "iB"), int64(1)
	if n := len(digits) - 1; n >= 0 {
		switch digits[n] {
		case 'K':
			unit = 1 << 10
		case 'M':
			unit = 1 << 20
		case 'G':
			unit = 1 << 30
		}
	}
	if unit > 1 {
		digits = digits[:len(digits)-1]
	} else {
		digits = string(text) // iB alone is no unit
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is no size: give bytes, or a whole number with K, M or G, for example 512M or 20G", text)
	}
	*s = Size(n * unit)
	return nil
}
