package geoip

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writer makes databases: a tree of records, each a node's number, a place in the data, or nothing.
type writer struct {
	bits  int
	v6    bool
	nodes [][2]int // child; 0: nothing; negative: data at -n-1
	data  []byte
}

func text(s string) []byte {
	if len(s) < 29 {
		return append([]byte{typeString<<5 | byte(len(s))}, s...)
	}
	return append([]byte{typeString<<5 | 29, byte(len(s) - 29)}, s...)
}

func mapOf(pairs ...[]byte) []byte {
	b := []byte{typeMap<<5 | byte(len(pairs)/2)}
	for _, p := range pairs {
		b = append(b, p...)
	}
	return b
}

func uint32Of(n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, uint32(n))
}

// add leads a prefix to a value in the data.
func (w *writer) add(prefix string, value []byte) {
	p := netip.MustParsePrefix(prefix)
	b, length := p.Addr().AsSlice(), p.Bits()
	if w.v6 && p.Addr().Is4() {
		b, length = append(make([]byte, 12), b...), length+96
	}
	if len(w.nodes) == 0 {
		w.nodes = append(w.nodes, [2]int{})
	}
	node := 0
	for i := range length {
		side := int(b[i/8] >> (7 - i%8) & 1)
		if i == length-1 {
			w.nodes[node][side] = -len(w.data) - 1
			break
		}
		if w.nodes[node][side] == 0 {
			w.nodes = append(w.nodes, [2]int{})
			w.nodes[node][side] = len(w.nodes) - 1
		}
		node = w.nodes[node][side]
	}
	w.data = append(w.data, value...)
}

func (w *writer) bytes() []byte {
	var b []byte
	for _, n := range w.nodes {
		var r [2]uint32
		for side, child := range n {
			switch {
			case child == 0:
				r[side] = uint32(len(w.nodes))
			case child < 0:
				r[side] = uint32(len(w.nodes) + separator - child - 1)
			default:
				r[side] = uint32(child)
			}
		}
		switch w.bits {
		case 24:
			b = append(b, byte(r[0]>>16), byte(r[0]>>8), byte(r[0]), byte(r[1]>>16), byte(r[1]>>8), byte(r[1]))
		case 28:
			b = append(b, byte(r[0]>>16), byte(r[0]>>8), byte(r[0]), byte(r[0]>>24)<<4|byte(r[1]>>24)&15, byte(r[1]>>16), byte(r[1]>>8), byte(r[1]))
		default:
			b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, r[0]), r[1])
		}
	}
	b = append(b, make([]byte, separator)...)
	b = append(b, w.data...)
	version := 4
	if w.v6 {
		version = 6
	}
	b = append(b, marker...)
	return append(b, mapOf(
		text("node_count"), uint32Of(len(w.nodes)), text("record_size"), uint32Of(w.bits), text("ip_version"), uint32Of(version),
		text("description"), mapOf(text("en"), text(strings.Repeat("x", 100))), text("languages"), []byte{2, 4, typeString<<5 | 1, 'a', typeString<<5 | 1, 'b'},
	)...)
}

// sample has a value of each form that databases have.
func sample(bits int, v6 bool) []byte {
	w := &writer{bits: bits, v6: v6}
	nested := mapOf(text("continent"), mapOf(text("code"), text("EU")), text("is"), []byte{1, 7}, text("f"), []byte{4, 8, 0, 0, 0, 0}, text("country"), mapOf(text("iso_code"), text("DE")))
	w.add("1.0.0.0/8", nested)
	w.add("2.2.0.0/16", []byte{typePointer << 5, 0}) // to the first
	w.add("3.0.0.0/8", mapOf(text("country_code"), text("FR")))
	w.add("4.4.4.4/32", mapOf(text("country"), text("US")))
	w.add("5.0.0.0/8", mapOf(text("city"), text("Nowhere")))
	if v6 {
		w.add("2001:db8::/32", mapOf(text("country"), mapOf(text("iso_code"), text("JP"))))
	}
	return w.bytes()
}

func TestCountry(t *testing.T) {
	for _, bits := range []int{24, 28, 32} {
		for _, v6 := range []bool{false, true} {
			file := filepath.Join(t.TempDir(), "country.mmdb")
			if err := os.WriteFile(file, sample(bits, v6), 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := Open(file)
			if err != nil {
				t.Fatalf("%d bits: %v", bits, err)
			}
			japan := ""
			if v6 {
				japan = "JP"
			}
			for address, want := range map[string]string{
				"1.2.3.4": "DE", "::ffff:1.2.3.4": "DE", "2.2.255.255": "DE", "2.3.0.0": "", "3.3.3.3": "FR", "4.4.4.4": "US", "4.4.4.5": "",
				"5.5.5.5": "", "127.0.0.1": "", "2001:db8::1": japan, "2001:db9::1": "", "::1": "",
			} {
				if got := db.Country(netip.MustParseAddr(address)); got != want {
					t.Errorf("%d bits, IPv6 %v: %s is in %q, want %q", bits, v6, address, got, want)
				}
			}
			if got := db.Country(netip.Addr{}); got != "" {
				t.Errorf("no address is in %q", got)
			}
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := sample(24, false)
	at := strings.Index(string(good), marker)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "no metadata": good[:at+len(marker)], "cut metadata": good[:len(good)-150],
		"no tree": good[at:],
	} {
		if _, err := parse(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file was opened")
	}
}

func FuzzCountry(f *testing.F) {
	f.Add(sample(24, true), []byte{1, 2, 3, 4})
	f.Add(sample(28, false), []byte{2, 2, 3, 4})
	loop := &writer{bits: 24}
	loop.add("0.0.0.0/1", []byte{typePointer << 5, 0}) // leads to itself
	f.Add(loop.bytes(), []byte{1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, file, address []byte) {
		db, err := parse(file)
		if err != nil {
			return
		}
		if a, ok := netip.AddrFromSlice(address); ok {
			db.Country(a)
		}
	})
}
