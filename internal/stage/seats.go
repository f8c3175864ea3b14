package stage

import "sync/atomic"

// seats are those of the whole server, which all stages share. Hidden and backstage participants need none.
type seats struct{ taken atomic.Int64 }

// take takes a seat, if there is one.
func (s *seats) take(limit int) bool {
	if s.taken.Add(1) <= int64(limit) {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *seats) leave() { s.taken.Add(-1) }

// seatPublisher gives a publisher a seat, that of the participant's older one if it has one.
func (st *stage) seatPublisher(pub *publisher) *Error {
	g := pub.grant
	if g.Backstage || g.Hidden {
		return nil
	}
	if p := st.participants[g.ParticipantID]; p != nil && p.publisher != nil && p.publisher.seated {
		pub.seated, p.publisher.seated = true, false
		return nil
	}
	limit := st.server.maxAllPublishers()
	if pub.seated = st.server.publisherSeats.take(limit); !pub.seated {
		return refuse(QuotaExceeded, "all stages together have their %d publishers already; try again when one has left", limit)
	}
	return nil
}

// seatSubscriber gives a subscriber a seat.
func (st *stage) seatSubscriber(u *subscriber) *Error {
	if u.grant.Hidden {
		return nil
	}
	limit := st.server.maxSubscriptions()
	if u.seated = st.server.subscriberSeats.take(limit); !u.seated {
		return refuse(QuotaExceeded, "all stages together have their %d subscriptions already; try again later", limit)
	}
	return nil
}
