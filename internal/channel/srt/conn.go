package srt

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"github.com/footlight-live/footlight/internal/unit"
)

// mostBuffered is how much may wait inside the protocol, in bytes: 30 s of what a channel takes. A caller chooses how
// long packets wait, up to 65 s.
const mostBuffered = 32 << 20

// conn is one connection. Its goroutine owns it.
type conn struct {
	srt         gosrt.Conn
	publication Publication
	timeout     time.Duration // without media
	heard       atomic.Int64  // Unix nanoseconds of the last unit, or the start
}

// run reads until the end and returns why it ended: io.EOF for both a goodbye and a peer that is gone.
func (c *conn) run(ctx context.Context, cut context.CancelCauseFunc) error {
	defer context.AfterFunc(ctx, func() { c.srt.Close() })()
	c.heard.Store(time.Now().UnixNano())
	watched := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(ended, cut)
	}()
	defer func() {
		close(ended)
		<-watched
	}()
	return demux(c.srt, func(u unit.Unit) error {
		c.heard.Store(time.Now().UnixNano())
		return c.publication.Write(ctx, u)
	})
}

// watch cuts a connection that brings nothing, or much too much.
func (c *conn) watch(ended <-chan struct{}, cut context.CancelCauseFunc) {
	tick := time.NewTicker(min(time.Second, c.timeout))
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case now := <-tick.C:
			if now.Sub(time.Unix(0, c.heard.Load())) > c.timeout {
				cut(fmt.Errorf("no media for %v", c.timeout))
				return
			}
			var st gosrt.Statistics
			c.srt.Stats(&st)
			if st.Instantaneous.ByteRecvBuf > mostBuffered {
				cut(errors.New("too much data waits: lower the latency or the bit rate"))
				return
			}
		}
	}
}
