package frame

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// picture is what a test sends: the payloads of one access unit.
type picture struct {
	ts       int64
	payloads [][]byte
}

func idr(ts int64, n byte) picture {
	return picture{ts, [][]byte{stap([]byte{0x67, n}, []byte{0x68, n}), fu(0x65, true, false, n), fu(0x65, false, false, n+1), fu(0x65, false, true, n+2)}}
}

func delta(ts int64, n byte) picture {
	return picture{ts, [][]byte{fu(0x41, true, false, n), fu(0x41, false, true, n+1)}}
}

func stap(nals ...[]byte) []byte {
	out := []byte{0x78}
	for _, n := range nals {
		out = append(append(out, byte(len(n)>>8), byte(len(n))), n...)
	}
	return out
}

func fu(header byte, start, end bool, n byte) []byte {
	h := header & 0x1f
	if start {
		h |= 0x80
	}
	if end {
		h |= 0x40
	}
	return []byte{header&0xe0 | nalFUA, h, n}
}

func packets(first uint16, ps ...picture) []Packet {
	var out []Packet
	for _, p := range ps {
		for i, b := range p.payloads {
			out = append(out, Packet{Sequence: first, Timestamp: p.ts, Marker: i == len(p.payloads)-1, Payload: b,
				Arrival: time.Duration(p.ts) * 33 * ms})
			first++
		}
	}
	return out
}

// run pushes the packets at their arrival times, lets all deadlines pass at the end, and describes what came out.
func run(a *Assembler, ps []Packet) string {
	var out bytes.Buffer
	pop := func(now time.Duration) {
		for {
			au, ok := a.Pop(now)
			if !ok {
				return
			}
			kind := "P"
			if au.Key {
				kind = "K"
			}
			fmt.Fprintf(&out, "%s%d ", kind, au.Timestamp)
		}
	}
	for _, p := range ps {
		a.Push(p)
		pop(p.Arrival)
	}
	pop(time.Hour)
	return out.String()
}

func TestAssembler(t *testing.T) {
	gop := []picture{idr(0, 1), delta(1, 9), delta(2, 9), idr(3, 5), delta(4, 9)}
	// Packets: idr 0-3, delta 4-5, delta 6-7, idr 8-11, delta 12-13.
	drop := func(which ...int) func([]Packet) []Packet {
		return func(ps []Packet) []Packet {
			var out []Packet
			for i, p := range ps {
				if !slices.Contains(which, i) {
					out = append(out, p)
				}
			}
			return out
		}
	}
	for _, c := range []struct {
		name   string
		change func([]Packet) []Packet
		want   string
	}{
		{"in order", drop(), "K0 P1 P2 K3 P4 "},
		{"doubled", func(ps []Packet) []Packet { return slices.Concat(ps[:6], ps[:6], ps[6:], ps[6:]) }, "K0 P1 P2 K3 P4 "},
		{"swapped in a picture", func(ps []Packet) []Packet { ps[1], ps[2] = ps[2], ps[1]; return ps }, "K0 P1 P2 K3 P4 "},
		{"swapped over pictures", func(ps []Packet) []Packet { ps[5], ps[6] = ps[6], ps[5]; return ps }, "K0 P1 P2 K3 P4 "},
		{"joined in the middle", func(ps []Packet) []Packet { return ps[5:] }, "K3 P4 "},
		{"lost in a delta", drop(4), "K0 K3 P4 "},
		{"marker lost", drop(5), "K0 K3 P4 "},
		{"parameter sets lost", drop(8), "K0 P1 P2 "},
		{"key frame lost", drop(9), "K0 P1 P2 "},
		{"first packet after the key lost", drop(4, 5), "K0 K3 P4 "},
		{"two holes", drop(4, 6), "K0 K3 P4 "},
		{"retransmitted late", func(ps []Packet) []Packet {
			p := ps[4]
			p.Arrival = ps[8].Arrival
			return slices.Concat(ps[:4], ps[5:9], []Packet{p}, ps[9:])
		}, "K0 P1 P2 K3 P4 "},
		{"without the last marker", func(ps []Packet) []Packet { ps[3].Marker = false; return ps }, "K0 P1 P2 K3 P4 "},
		{"padding", func(ps []Packet) []Packet {
			out := slices.Clone(ps[:4])
			out = append(out, Packet{Sequence: ps[4].Sequence, Timestamp: 0}, Packet{Sequence: ps[4].Sequence + 1, Timestamp: 0})
			for _, p := range ps[4:] {
				p.Sequence += 2
				out = append(out, p)
			}
			return out
		}, "K0 P1 P2 K3 P4 "},
		{"new numbers", func(ps []Packet) []Packet {
			for i := 8; i < len(ps); i++ {
				ps[i].Sequence += 20_000
			}
			return ps
		}, "K0 P1 P2 K3 P4 "},
		{"garbage payload", func(ps []Packet) []Packet { ps[6].Payload = []byte{0x7c}; return ps }, "K0 P1 K3 P4 "},
	} {
		for _, first := range []uint16{0, 65530} {
			t.Run(fmt.Sprint(c.name, " from ", first), func(t *testing.T) {
				if got := run(&Assembler{Wait: 70 * ms, Overdue: 70 * ms}, c.change(packets(first, gop...))); got != c.want {
					t.Fatalf("got %q, want %q", got, c.want)
				}
			})
		}
	}
}

// TestSeparateParameterSets: OBS sends SPS and PPS in packets of their own; some senders set the marker on them.
func TestSeparateParameterSets(t *testing.T) {
	for _, marker := range []bool{false, true} {
		ps := []Packet{
			{Sequence: 1, Timestamp: 0, Marker: marker, Payload: []byte{0x67, 1}},
			{Sequence: 2, Timestamp: 0, Marker: marker, Payload: []byte{0x68, 1}},
			{Sequence: 3, Timestamp: 0, Marker: true, Payload: []byte{0x65, 0x88, 1}},
		}
		a := &Assembler{}
		for _, p := range ps {
			a.Push(p)
		}
		au, ok := a.Pop(0)
		want := []byte{0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 1, 0, 0, 0, 1, 0x65, 0x88, 1}
		if !ok || !au.Key || !bytes.Equal(au.Data, want) {
			t.Fatalf("marker %v: %v %+v", marker, ok, au)
		}
	}
}

// TestMarkerOnEverySlice: after the first damage such a sender is read by timestamps.
func TestMarkerOnEverySlice(t *testing.T) {
	a := &Assembler{}
	var out []string
	seq := uint16(0)
	for ts := range int64(6) {
		for slice := range 3 {
			payload := []byte{0x65, byte(slice)}
			a.Push(Packet{Sequence: seq, Timestamp: ts, Marker: true, Payload: payload})
			seq++
			for {
				au, ok := a.Pop(0)
				if !ok {
					break
				}
				out = append(out, fmt.Sprint(au.Timestamp, ":", len(au.Data)))
			}
		}
	}
	// The first picture is damaged, its rest dropped; then whole ones of 3 slices of 6 bytes.
	if want := []string{"0:6", "0:6", "1:18", "2:18", "3:18", "4:18"}; !slices.Equal(out, want) {
		t.Fatalf("got %v, want %v", out, want)
	}
}

func TestDeadline(t *testing.T) {
	a := &Assembler{Wait: 70 * ms, Overdue: 70 * ms}
	ps := packets(0, idr(0, 1), delta(1, 1), delta(2, 1))
	for i, p := range ps {
		if i != 4 {
			a.Push(p)
		}
	}
	a.Pop(ps[3].Arrival)
	at, ok := a.Deadline()
	if want := ps[5].Arrival + 70*ms; !ok || at != want {
		t.Fatalf("deadline %v %v, want %v", at, ok, want)
	}
	if a.NeedKey() {
		t.Fatal("needs a key frame while it may still be repaired")
	}
	if _, ok := a.Pop(at); ok || !a.NeedKey() || a.Lost() != 1 {
		t.Fatalf("after the deadline: ok %v, need key %v, lost %d", ok, a.NeedKey(), a.Lost())
	}
}

// TestSkipsToKeyFrame: a whole key frame behind a loss is taken as soon as the loss is overdue; else it waits on.
func TestSkipsToKeyFrame(t *testing.T) {
	ps := packets(0, idr(0, 1), delta(1, 1), delta(2, 1), idr(3, 1), delta(4, 1))
	a := &Assembler{Wait: 400 * ms, Overdue: 50 * ms}
	pop := func(now time.Duration) (out []int64) {
		for {
			au, ok := a.Pop(now)
			if !ok {
				return out
			}
			out = append(out, au.Timestamp)
		}
	}
	for i, p := range ps[:8] { // up to the second delta
		if i != 4 {
			a.Push(p)
		}
	}
	late := ps[5].Arrival
	if got := pop(late + 399*ms); !slices.Equal(got, []int64{0}) || a.NeedKey() {
		t.Fatalf("got %v, needs a key %v", got, a.NeedKey())
	}
	if got := a.Missing(late + 399*ms); got != 399*ms {
		t.Errorf("missing for %v", got)
	}
	for _, p := range ps[8:11] { // a key frame, but for its end
		a.Push(p)
	}
	if at, ok := a.Deadline(); !ok || at != late+400*ms {
		t.Errorf("deadline %v %v", at, ok)
	}
	a.Push(ps[11])
	if at, ok := a.Deadline(); !ok || at != late+50*ms {
		t.Errorf("deadline %v %v", at, ok)
	}
	if got := pop(late + 49*ms); len(got) > 0 {
		t.Errorf("got %v too early", got)
	}
	a.Push(ps[12])
	a.Push(ps[13])
	if got := pop(late + 50*ms); !slices.Equal(got, []int64{3, 4}) || a.Lost() != 1 || a.Missing(time.Hour) != 0 {
		t.Errorf("got %v, lost %d", got, a.Lost())
	}
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte{1, 0, 0x65, 1, 1, 0, 0x41}, uint64(1))
	f.Add([]byte{0, 1, 0x7c, 0, 1, 1, 0x78}, uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		a := &Assembler{Wait: 10 * ms, Overdue: 5 * ms}
		rnd := rand.New(rand.NewPCG(seed, 0))
		now, first := time.Duration(0), true
		for seq := uint16(seed); len(data) > 2; {
			n := min(int(data[0]%32), len(data)-2)
			p := Packet{Sequence: seq, Timestamp: int64(now/ms) / 33, Marker: data[1]&1 != 0, Payload: data[2 : 2+n], Arrival: now}
			seq += uint16(data[1] >> 1 & 3)
			data = data[2+n:]
			now += time.Duration(rnd.IntN(20)) * ms
			a.Push(p)
			for {
				au, ok := a.Pop(now)
				if !ok {
					break
				}
				if first && !au.Key {
					t.Fatal("the first access unit is no key frame")
				}
				if len(au.Data) == 0 {
					t.Fatal("an empty access unit")
				}
				first = false
			}
		}
	})
}
