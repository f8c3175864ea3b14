package stage

import "sync"

// history keeps the last packets of one source for retransmission. The source adds, the goroutines
// that answer the subscribers' NACKs get.
type history struct {
	mu   sync.RWMutex
	ring []*packet // by index modulo the length, a power of two
}

func newHistory(size int) *history { return &history{ring: make([]*packet, size)} }

// has reports whether the packet with this index is kept.
func (h *history) has(index int64) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.ring[index&int64(len(h.ring)-1)]
	return p != nil && p.index == index
}

// add keeps p in place of the packet one ring length before it.
func (h *history) add(p *packet) {
	p.retain()
	h.mu.Lock()
	slot := &h.ring[p.index&int64(len(h.ring)-1)]
	old := *slot
	*slot = p
	h.mu.Unlock()
	if old != nil {
		old.release()
	}
}

// get returns the packet with this index, which the caller then holds, or nil.
func (h *history) get(index int64) *packet {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.ring[index&int64(len(h.ring)-1)]
	if p == nil || p.index != index {
		return nil
	}
	p.retain()
	return p
}

// clear releases everything.
func (h *history) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, p := range h.ring {
		if p != nil {
			p.release()
			h.ring[i] = nil
		}
	}
}
