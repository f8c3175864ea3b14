package stage

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of what the server does now (gauges) and has done since its start (counters).
type Stats struct {
	Stages       int // gauge: stages with somebody on them, or whose session has not ended yet
	Participants int // gauge: connected, not hidden
	Publishers   int // gauge: publishing or about to
	Subscribers  int // gauge: subscriptions, hidden ones included
	Sockets      int // gauge: open events sockets

	PacketsReceived    uint64 // RTP packets taken from publishers, duplicates not counted
	BytesReceived      uint64 // their payloads
	PacketsMalformed   uint64 // RTP packets of publishers that could not be read
	PacketsSent        uint64 // RTP packets sent to subscribers, retransmissions not counted
	BytesSent          uint64 // their payloads
	PacketsDropped     uint64 // RTP packets that a subscriber did not get because it was too slow
	PacketsResent      uint64 // retransmissions to subscribers
	NACKsReceived      uint64 // packets that subscribers asked for again
	NACKsSent          uint64 // packets that publishers were asked for again
	KeyFramesRequested uint64 // PLI and FIR of subscribers
	PLIsSent           uint64 // key-frame requests to publishers

	Layers []LayerStats // of all publishers' video, in no order
}

// LayerStats is what a publisher's simulcast layer does now. A publisher without simulcast has one, without a name; a Feed's is 0.
type LayerStats struct {
	StageID, ParticipantID string
	RID                    string // of RFC 8852; "" without simulcast, a Feed's number
	Width, Height          int    // pixels; 0 before the first key frame
	BitRate                int    // of the payloads, bits per second, over the newest second
	Packets                uint64 // received
	Flowing                bool   // something came within the last 3 s
	Subscribers            int    // that get this layer now
}

// counters are Stats' counters while they count; everybody adds.
type counters struct {
	stages, participants, publishers, subscribers, sockets atomic.Int64

	packetsReceived, bytesReceived, packetsMalformed atomic.Uint64
	packetsSent, bytesSent, packetsDropped           atomic.Uint64
	packetsResent, nacksReceived, nacksSent          atomic.Uint64
	keyFramesRequested, plisSent                     atomic.Uint64
}

// Stats returns a snapshot. Any goroutine may call it at any time.
func (s *Server) Stats() Stats {
	c := &s.counters
	return Stats{
		Stages:       int(c.stages.Load()),
		Participants: int(c.participants.Load()),
		Publishers:   int(c.publishers.Load()),
		Subscribers:  int(c.subscribers.Load()),
		Sockets:      int(c.sockets.Load()),

		PacketsReceived:    c.packetsReceived.Load(),
		BytesReceived:      c.bytesReceived.Load(),
		PacketsMalformed:   c.packetsMalformed.Load(),
		PacketsSent:        c.packetsSent.Load(),
		BytesSent:          c.bytesSent.Load(),
		PacketsDropped:     c.packetsDropped.Load(),
		PacketsResent:      c.packetsResent.Load(),
		NACKsReceived:      c.nacksReceived.Load(),
		NACKsSent:          c.nacksSent.Load(),
		KeyFramesRequested: c.keyFramesRequested.Load(),
		PLIsSent:           c.plisSent.Load(),

		Layers: s.layers(),
	}
}

// layers looks at the video of every publisher.
func (s *Server) layers() []LayerStats {
	var publishers []*publisher
	s.mu.Lock()
	for _, r := range s.resources {
		if r.publisher != nil {
			publishers = append(publishers, r.publisher)
		}
	}
	s.mu.Unlock()
	now := time.Now()
	var out []LayerStats
	for _, p := range publishers {
		served := p.video.served()
		sources := p.video.layers()
		for i, l := range lookAll(sources, now) {
			src := sources[i]
			out = append(out, LayerStats{
				StageID: p.grant.StageID, ParticipantID: p.grant.ParticipantID, RID: src.rid,
				Width: l.width, Height: l.height, BitRate: int(src.bitRate.Load()), Packets: src.packets.Load(),
				Flowing: l.flows, Subscribers: served[src],
			})
		}
	}
	return out
}
