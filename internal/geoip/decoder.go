package geoip

import "errors"

var errBroken = errors.New("the data is broken")

const (
	// maxDepth and maxValues bound what one look-up decodes, so that pointers cannot make it endless.
	maxDepth  = 16
	maxValues = 4096
)

// The types of the format that matter here.
const (
	typePointer = 1
	typeString  = 2
	typeMap     = 7
	typeArray   = 11
	typeBoolean = 14
)

// decoder is a data section, in which values lie at offsets.
type decoder []byte

// value decodes what lies at an offset: a string, a uint64, a map[string]any, or nil for what nobody asks for here.
func (d decoder) value(at uint) (any, error) {
	r := reader{decoder: d, at: at, left: maxValues}
	return r.next(0)
}

// reader walks over the values.
type reader struct {
	decoder
	at   uint
	left int
}

// take returns the next n bytes.
func (r *reader) take(n uint) ([]byte, error) {
	if r.at > uint(len(r.decoder)) || n > uint(len(r.decoder))-r.at {
		return nil, errBroken
	}
	b := r.decoder[r.at : r.at+n]
	r.at += n
	return b, nil
}

// number reads an unsigned integer of n bytes, big endian.
func (r *reader) number(n uint) (uint64, error) {
	b, err := r.take(n)
	v := uint64(0)
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v, err
}

func (r *reader) next(depth int) (any, error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, errBroken
	}
	control, err := r.number(1)
	if err != nil {
		return nil, err
	}
	kind := control >> 5
	if kind == typePointer {
		return r.follow(control, depth)
	}
	if kind == 0 {
		more, err := r.number(1)
		if err != nil {
			return nil, err
		}
		kind = 7 + more
	}
	size := control & 31
	if size > 28 {
		n := uint(size) - 28
		more, err := r.number(n)
		if err != nil {
			return nil, err
		}
		size = more + []uint64{29, 285, 65821}[n-1]
	}
	switch kind {
	case typeString:
		b, err := r.take(uint(size))
		return string(b), err
	case 5, 6, 9: // uint16, uint32, uint64
		if size > 8 {
			return nil, errBroken
		}
		return r.number(uint(size))
	case typeMap:
		m := map[string]any{}
		for range size {
			key, err := r.next(depth + 1)
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if !ok {
				return nil, errBroken
			}
			if m[name], err = r.next(depth + 1); err != nil {
				return nil, err
			}
		}
		return m, nil
	case typeArray:
		for range size {
			if _, err := r.next(depth + 1); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case typeBoolean: // the size is the value
		return nil, nil
	}
	_, err = r.take(uint(size))
	return nil, err
}

// follow reads the value that a pointer leads to, and stays behind the pointer.
func (r *reader) follow(control uint64, depth int) (any, error) {
	form := control >> 3 & 3
	to, err := r.number(uint(form) + 1)
	if err != nil {
		return nil, err
	}
	if form < 3 {
		to |= (control & 7) << (8 * (form + 1))
		to += []uint64{0, 2048, 526336}[form]
	}
	back := r.at
	r.at = uint(to)
	v, err := r.next(depth + 1)
	r.at = back
	return v, err
}
