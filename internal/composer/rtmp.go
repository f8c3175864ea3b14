package composer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/footlight-live/footlight/internal/composer/wire"
)

const (
	rtmpConnectTimeout = 5 * time.Second
	// rtmpWriteTimeout is how long a peer may take nothing before the connection counts as broken.
	rtmpWriteTimeout = 5 * time.Second
	// mediaStream is the one message stream that the client library opens, as it goes over the wire.
	mediaStream = 0x1000000
)

// headers is what a player needs before the first frame.
type headers struct {
	sps, pps []byte
	audio    mpeg4audio.AudioSpecificConfig
}

// rtmpConn publishes to one RTMP server. One goroutine owns it; only readable may be read elsewhere.
type rtmpConn struct {
	client *gortmplib.Client
	conn   *pumpConn
}

// dialRTMP connects, publishes under the job's key and sends metadata and headers.
// Errors hold no stream key.
func dialRTMP(ctx context.Context, job wire.OutputJob, h headers) (*rtmpConn, error) {
	u, err := url.Parse(job.URL)
	if err != nil || (u.Scheme != "rtmp" && u.Scheme != "rtmps") {
		return nil, fmt.Errorf("publish to %q: want rtmp://host/app", job.URL)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.Fragment = job.StreamKey // the library's way to name it
	ctx, cancel := context.WithTimeout(ctx, rtmpConnectTimeout)
	defer cancel()
	r := &rtmpConn{}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if u.Scheme == "rtmps" {
			c = tls.Client(c, &tls.Config{ServerName: u.Hostname()})
		}
		r.conn = newPumpConn(c)
		return r.conn, nil
	}
	r.client = &gortmplib.Client{URL: u, Publish: true, DialContext: dial, DialTLSContext: dial}
	if err := r.client.Initialize(ctx); err != nil {
		if r.conn != nil {
			r.conn.Close()
		}
		return nil, fmt.Errorf("publish to %s: %w", u.Host, redact(err, job.StreamKey))
	}
	if err := r.start(job, h); err != nil {
		r.conn.Close()
		return nil, fmt.Errorf("publish to %s: %w", u.Host, err)
	}
	return r, nil
}

// start sends metadata and the decoders' configurations.
func (r *rtmpConn) start(job wire.OutputJob, h headers) error {
	var sps h264.SPS
	if err := sps.Unmarshal(h.sps); err != nil {
		return fmt.Errorf("read our own SPS: %w", err)
	}
	set := func(b []byte) []mp4.AVCParameterSet {
		return []mp4.AVCParameterSet{{Length: uint16(len(b)), NALUnit: b}}
	}
	for _, m := range []message.Message{
		&message.DataAMF0{ChunkStreamID: 4, MessageStreamID: mediaStream, Payload: []any{"@setDataFrame", "onMetaData", amf0.Object{
			{Key: "encoder", Value: "Footlight"},
			{Key: "videocodecid", Value: float64(message.CodecH264)},
			{Key: "width", Value: float64(job.Width)},
			{Key: "height", Value: float64(job.Height)},
			{Key: "framerate", Value: job.FrameRate},
			{Key: "videodatarate", Value: float64(job.BitRate) / 1000},
			{Key: "audiocodecid", Value: float64(message.CodecMPEG4Audio)},
			{Key: "audiodatarate", Value: float64(audioBitRate) / 1000},
			{Key: "audiosamplerate", Value: float64(h.audio.SampleRate)},
			{Key: "audiochannels", Value: float64(2)},
			{Key: "stereo", Value: true},
		}}},
		&message.Video{ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: mediaStream, Codec: message.CodecH264,
			IsKeyFrame: true, Type: message.VideoTypeConfig, AVCConfig: &mp4.AVCDecoderConfiguration{
				AnyTypeBox:                 mp4.AnyTypeBox{Type: mp4.BoxTypeAvcC()},
				ConfigurationVersion:       1,
				Profile:                    sps.ProfileIdc,
				ProfileCompatibility:       h.sps[2],
				Level:                      sps.LevelIdc,
				Reserved:                   0b111111,
				LengthSizeMinusOne:         3,
				Reserved2:                  0b111,
				NumOfSequenceParameterSets: 1,
				SequenceParameterSets:      set(h.sps),
				NumOfPictureParameterSets:  1,
				PictureParameterSets:       set(h.pps),
			}},
		&message.Audio{ChunkStreamID: message.AudioChunkStreamID, MessageStreamID: mediaStream, Codec: message.CodecMPEG4Audio,
			Rate: message.AudioRate44100, Depth: message.AudioDepth16, IsStereo: true, AACType: message.AudioAACTypeConfig, AACConfig: &h.audio},
	} {
		if err := r.write(m); err != nil {
			return err
		}
	}
	return nil
}

func (r *rtmpConn) write(m message.Message) error {
	// A socket that takes no deadline is closed, and the write says so.
	_ = r.conn.SetWriteDeadline(time.Now().Add(rtmpWriteTimeout))
	return r.client.Write(m)
}

// send writes one frame.
func (r *rtmpConn) send(f *packet) error {
	if !f.video {
		return r.write(&message.Audio{ChunkStreamID: message.AudioChunkStreamID, MessageStreamID: mediaStream, Codec: message.CodecMPEG4Audio,
			Rate: message.AudioRate44100, Depth: message.AudioDepth16, IsStereo: true, AACType: message.AudioAACTypeAU, AU: f.data, DTS: f.pts})
	}
	return r.write(&message.Video{ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: mediaStream, Codec: message.CodecH264,
		IsKeyFrame: f.key, Type: message.VideoTypeAU, AU: f.data, DTS: f.pts})
}

// readable is signalled when the server has said something, or has gone.
func (r *rtmpConn) readable() <-chan struct{} { return r.conn.signal }

// hear reads what the server said: the library answers pings; a status that is an error ends the publishing.
func (r *rtmpConn) hear() error {
	for {
		if err, pending := r.conn.state(); !pending {
			return err
		}
		m, err := r.client.Read()
		if err != nil {
			return fmt.Errorf("read from the server: %w", err)
		}
		if c, ok := m.(*message.CommandAMF0); ok && c.Name == "onStatus" {
			if text := fmt.Sprint(c.Arguments...); strings.Contains(text, "error") {
				return fmt.Errorf("the server ended the publishing: %s", text)
			}
		}
	}
}

// bye tells the server that the stream ends here for good, then closes.
func (r *rtmpConn) bye(streamKey string) {
	defer r.conn.Close()
	for i, c := range []message.CommandAMF0{
		{ChunkStreamID: 3, Name: "FCUnpublish", Arguments: []any{nil, streamKey}},
		{ChunkStreamID: 3, Name: "deleteStream", Arguments: []any{nil, float64(1)}},
	} {
		c.CommandID = 6 + i
		if r.write(&c) != nil {
			return
		}
	}
	// Wait until the server has closed, so that everything was read.
	deadline := time.NewTimer(time.Second)
	defer deadline.Stop()
	for {
		select {
		case <-r.conn.signal:
			if r.hear() != nil {
				return
			}
		case <-deadline.C:
			return
		}
	}
}

func (r *rtmpConn) close() { r.conn.Close() }

// pumpConn reads ahead in a goroutine of its own, so that one goroutine can write media, notice what the
// server says, and answer it: the library's connection is not for two goroutines, as its reads also write.
type pumpConn struct {
	net.Conn
	signal chan struct{} // has one entry when there is something new

	mu   sync.Mutex
	cond sync.Cond
	buf  bytes.Buffer
	err  error // why nothing more comes
}

// maxUnread bounds what a server may say without being heard: it has little to say to a publisher.
const maxUnread = 64 << 10

func newPumpConn(c net.Conn) *pumpConn {
	p := &pumpConn{Conn: c, signal: make(chan struct{}, 1)}
	p.cond.L = &p.mu
	go p.pump()
	return p
}

func (p *pumpConn) pump() {
	buf := make([]byte, 4096)
	for {
		n, err := p.Conn.Read(buf)
		p.mu.Lock()
		p.buf.Write(buf[:n])
		if err == nil && p.buf.Len() > maxUnread {
			err = errors.New("the server talks too much")
		}
		p.err = err
		p.cond.Broadcast()
		p.mu.Unlock()
		select {
		case p.signal <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Read waits for bytes.
func (p *pumpConn) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.buf.Len() == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.cond.Wait()
	}
	return p.buf.Read(b)
}

// state tells whether bytes wait to be read, else why none will come, if so.
func (p *pumpConn) state() (err error, pending bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buf.Len() > 0 {
		return nil, true
	}
	if errors.Is(p.err, io.EOF) {
		return errors.New("the server closed the connection"), false
	}
	return p.err, false
}
