package rtmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

const (
	// appName is the RTMP application of every channel (spec/lowlatency.md §3).
	appName = "app"
	// setupBudget is how much a connection may send before it publishes. The handshake takes 3 KiB.
	setupBudget = 128 << 10
	// maxChunkSize bounds what one chunk header makes the library allocate. Encoders use 4 to 128 KiB.
	maxChunkSize = 1 << 20
	// maxCommand bounds command and data messages; it also bounds the depth of AMF0's recursion.
	maxCommand = 64 << 10
	// streamID is the one message stream, little-endian as on the wire.
	streamID = 0x1000000
)

// conn is one connection. Its goroutine owns it.
type conn struct {
	server    *Server
	net       net.Conn
	encrypted bool
	log       *slog.Logger

	reader *rawmessage.Reader
	writer *message.Writer

	app         string
	published   bool
	publication Publication
	publishID   int
	video       videoDecoder
}

// budgetReader fails after so many bytes, unless the limit is lifted.
type budgetReader struct {
	r     io.Reader
	left  int
	lifts bool
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.lifts {
		return b.r.Read(p)
	}
	if b.left <= 0 {
		return 0, errors.New("too much data before publish")
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// deadlineWriter gives each write ten seconds: a publisher that does not read its acknowledgements is gone.
type deadlineWriter struct{ net.Conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return w.Conn.Write(p)
}

type readWriter struct {
	io.Reader
	io.Writer
}

// run talks to the peer until the end and returns why it ended: nil is a goodbye.
func (c *conn) run(ctx context.Context, cut context.CancelCauseFunc) (reason error) {
	budget := &budgetReader{r: c.net, left: setupBudget}
	counted := bytecounter.NewReadWriter(readWriter{budget, deadlineWriter{c.net}})
	key, _, err := handshake.DoServer(counted, false)
	if err != nil {
		return fmt.Errorf("RTMP handshake: %w", err)
	}
	if key != nil {
		return errors.New("RTMP handshake: RTMPE is not supported, use RTMPS")
	}
	c.writer = message.NewWriter(counted, counted.Writer, false)
	c.reader = rawmessage.NewReader(counted, counted.Reader, func(n uint32) error {
		return c.writer.Write(&message.Acknowledge{Value: n})
	})

	for c.publication == nil {
		raw, err := c.reader.Read()
		if err != nil {
			return fmt.Errorf("read RTMP message: %w", err)
		}
		if err := c.setup(ctx, cut, raw); err != nil {
			return err
		}
	}
	goodbye := false
	defer func() { c.publication.Close(goodbye, reason) }()
	budget.lifts = true
	timeout := cmp.Or(c.server.ReadTimeout, 30*time.Second)
	c.armRead(ctx, timeout)
	for {
		raw, err := c.reader.Read()
		if err != nil {
			if netErr := net.Error(nil); errors.As(err, &netErr) && netErr.Timeout() {
				return fmt.Errorf("no media for %v", timeout)
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errors.New("the publisher vanished: connection closed without goodbye")
			}
			return fmt.Errorf("read RTMP message: %w", err)
		}
		units, bye, err := c.receive(raw)
		if err != nil {
			return err
		}
		if bye {
			goodbye = true
			return nil
		}
		for _, u := range units {
			if err := c.publication.Write(ctx, u); err != nil {
				return err
			}
			if _, ok := u.(Metadata); !ok {
				c.armRead(ctx, timeout)
			}
		}
	}
}

// armRead starts the time that the next media message may take. A cut that came before stays in force.
func (c *conn) armRead(ctx context.Context, timeout time.Duration) {
	c.net.SetReadDeadline(time.Now().Add(timeout))
	if ctx.Err() != nil {
		c.net.SetReadDeadline(time.Unix(1, 0))
	}
}

// setup handles one message before publishing.
func (c *conn) setup(ctx context.Context, cut context.CancelCauseFunc, raw *rawmessage.Message) error {
	if done, err := c.control(raw); done || err != nil {
		return err
	}
	if message.Type(raw.Type) != message.TypeCommandAMF0 {
		return nil
	}
	cmd, err := parseCommand(raw.Body)
	if err != nil {
		return err
	}
	switch cmd.name {
	case "connect":
		return c.connect(raw.ChunkStreamID, cmd)
	case "createStream":
		return c.write(&message.CommandAMF0{
			ChunkStreamID: raw.ChunkStreamID, Name: "_result", CommandID: cmd.id,
			Arguments: []any{nil, float64(1)},
		})
	case "play":
		return Refusal{Code: "NetStream.Play.Failed", Reason: "this server takes RTMP only to publish: watch the channel's playback URL"}
	case "publish":
		return c.publish(ctx, cut, cmd)
	}
	return nil // releaseStream, FCPublish, _checkbw: no encoder waits for an answer
}

func (c *conn) connect(chunkStream byte, cmd command) error {
	if len(cmd.args) < 1 {
		return errors.New("RTMP connect without arguments")
	}
	o, ok := object(cmd.args[0])
	if !ok {
		return errors.New("RTMP connect without an object")
	}
	if c.app, ok = o.GetString("app"); !ok {
		return errors.New("RTMP connect without an application")
	}
	for _, m := range []message.Message{
		&message.SetWindowAckSize{Value: 2500000},
		&message.SetPeerBandwidth{Value: 2500000, Type: 2},
		&message.SetChunkSize{Value: 65536},
		&message.CommandAMF0{
			ChunkStreamID: chunkStream, Name: "_result", CommandID: cmd.id,
			Arguments: []any{
				amf0.Object{
					{Key: "fmsVer", Value: "FMS/3,0,1,123"},
					{Key: "capabilities", Value: float64(31)},
				},
				connectAnswer(),
			},
		},
	} {
		if err := c.write(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) publish(ctx context.Context, cut context.CancelCauseFunc, cmd command) error {
	c.publishID = cmd.id
	name := ""
	if len(cmd.args) > 1 {
		name, _ = cmd.args[1].(string)
	}
	key, priority, ok := streamKey(c.app, name)
	if !ok {
		return Refusal{Code: "NetStream.Publish.BadName", Reason: "the address must be /" + appName + "/<stream key>"}
	}
	p, err := c.server.Publish(ctx, Request{
		Key: key, Priority: priority, Encrypted: c.encrypted, Remote: c.net.RemoteAddr().String(), Cut: cut,
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	c.publication, c.published = p, true
	if err := c.status("status", "NetStream.Publish.Start", "publishing"); err != nil {
		p.Close(false, err)
		c.publication = nil
		return err
	}
	return nil
}

// streamKey joins the application and the stream's name, which encoders split in different places,
// and returns what follows "app/", and the priority that its query asks for.
func streamKey(app, name string) (key, priority string, ok bool) {
	app, query, _ := strings.Cut(app, "?")
	name, more, _ := strings.Cut(name, "?")
	for pair := range strings.SplitSeq(query+"&"+more, "&") {
		if value, ok := strings.CutPrefix(pair, "priority="); ok {
			priority = value
		}
	}
	key, ok = strings.CutPrefix(strings.Trim(strings.Trim(app, "/")+"/"+name, "/"), appName+"/")
	return key, priority, ok && key != "" && !strings.Contains(key, "/")
}

// receive turns one message of a publisher into units, or reports its goodbye.
func (c *conn) receive(raw *rawmessage.Message) (units []Unit, goodbye bool, err error) {
	if done, err := c.control(raw); done || err != nil {
		return nil, false, err
	}
	switch message.Type(raw.Type) {
	case message.TypeVideo:
		units, err = c.video.decode(raw.Timestamp, raw.Body)
	case message.TypeAudio:
		var u Unit
		if u, err = decodeAudio(raw.Timestamp, raw.Body); u != nil {
			units = []Unit{u}
		}
	case message.TypeDataAMF0:
		if len(raw.Body) > maxCommand {
			return nil, false, fmt.Errorf("RTMP data message of %d bytes", len(raw.Body))
		}
		// An encoder's private data message that is no AMF0 is no reason to stop its stream.
		if data, err := amf0.Unmarshal(raw.Body); err == nil {
			if m, ok := parseMetadata(data); ok {
				return []Unit{m}, false, nil
			}
		}
	case message.TypeCommandAMF0:
		cmd, err := parseCommand(raw.Body)
		if err != nil {
			return nil, false, err
		}
		switch cmd.name {
		case "FCUnpublish", "deleteStream", "closeStream":
			return nil, true, nil
		}
	}
	return units, false, err
}

// control handles the messages of the chunk stream itself and reports whether raw was one of them.
func (c *conn) control(raw *rawmessage.Message) (done bool, err error) {
	body := raw.Body
	switch message.Type(raw.Type) {
	case message.TypeSetChunkSize, message.TypeAbortMessage, message.TypeSetWindowAckSize:
		if len(body) < 4 {
			return true, errTruncated
		}
		v := uint32(body[0])<<24 | uint32(body[1])<<16 | uint32(body[2])<<8 | uint32(body[3])
		switch message.Type(raw.Type) {
		case message.TypeSetChunkSize:
			if v == 0 || v > maxChunkSize {
				return true, fmt.Errorf("RTMP chunk size %d, want 1 to %d", v, maxChunkSize)
			}
			return true, c.reader.SetChunkSize(v)
		case message.TypeAbortMessage:
			c.reader.AbortChunkStream(v)
		default:
			c.reader.SetWindowAckSize(v)
		}
		return true, nil
	case message.TypeAcknowledge, message.TypeSetPeerBandwidth:
		return true, nil
	case message.TypeUserControl:
		if len(body) >= 6 && message.UserControlType(uint16(body[0])<<8|uint16(body[1])) == message.UserControlTypePingRequest {
			return true, c.write(&message.UserControlPingResponse{
				ServerTime: uint32(body[2])<<24 | uint32(body[3])<<16 | uint32(body[4])<<8 | uint32(body[5]),
			})
		}
		return true, nil
	}
	return false, nil
}

type command struct {
	name string
	id   int
	args amf0.Data
}

func parseCommand(body []byte) (command, error) {
	if len(body) > maxCommand {
		return command{}, fmt.Errorf("RTMP command of %d bytes", len(body))
	}
	data, err := amf0.Unmarshal(body)
	if err != nil {
		return command{}, fmt.Errorf("parse RTMP command: %w", err)
	}
	if len(data) < 2 {
		return command{}, errors.New("parse RTMP command: incomplete")
	}
	name, ok1 := data[0].(string)
	id, ok2 := data[1].(float64)
	if !ok1 || !ok2 {
		return command{}, errors.New("parse RTMP command: want a name and a number")
	}
	return command{name: name, id: int(id), args: data[2:]}, nil
}

func (c *conn) write(m message.Message) error {
	if err := c.writer.Write(m); err != nil {
		return fmt.Errorf("write RTMP message: %w", err)
	}
	return nil
}

func (c *conn) status(level, code, description string) error {
	return c.write(&message.CommandAMF0{
		ChunkStreamID: 5, MessageStreamID: streamID, Name: "onStatus", CommandID: c.publishID,
		Arguments: []any{nil, amf0.Object{
			{Key: "level", Value: level},
			{Key: "code", Value: code},
			{Key: "description", Value: description},
		}},
	})
}

// tellFailure tells the peer why the connection ends, and reports whether the connection has got far
// enough for that.
func (c *conn) tellFailure(reason error) bool {
	if c.writer == nil {
		return false
	}
	code, text := "NetStream.Publish.Failed", reason.Error()
	if refusal := (Refusal{}); errors.As(reason, &refusal) {
		code, text = refusal.Code, refusal.Reason
	}
	return c.status("error", code, text) == nil
}
