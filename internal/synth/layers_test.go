package synth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/synth/link"
	"github.com/footlight-live/footlight/test/judge"
)

// viewer subscribes to a participant's video at the house and keeps everything that comes.
type viewer struct {
	h       *house
	url     string // of the session
	packets chan *rtp.Packet
	peer    *webrtc.PeerConnection

	mu      sync.Mutex
	reports []*rtcp.SenderReport
}

func (h *house) view(participant, as string) *viewer {
	h.t.Helper()
	return h.viewOver(participant, as, nil, nil)
}

// viewOver views over a link: up is to the house, down from it. Missing packets are asked for.
func (h *house) viewOver(participant, as string, up, down func() link.Conditions) *viewer {
	h.t.Helper()
	v := &viewer{h: h, packets: make(chan *rtp.Packet, 100_000)}
	media, settings := new(webrtc.MediaEngine), webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: link.Wrap(conn, up, down)})
	h.t.Cleanup(func() { _ = mux.Close() })
	settings.SetICEUDPMux(mux)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if err := media.RegisterDefaultCodecs(); err != nil {
		h.t.Fatal(err)
	}
	registry := new(interceptor.Registry)
	if err := webrtc.ConfigureNackWithOptions(media, registry, []nack.GeneratorOption{nack.GeneratorInterval(40 * time.Millisecond)}); err != nil {
		h.t.Fatal(err)
	}
	if err := webrtc.ConfigureRTCPReports(registry); err != nil {
		h.t.Fatal(err)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(registry))
	if v.peer, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = v.peer.GracefulClose() })
	v.peer.OnTrack(v.receive)
	if _, err := v.peer.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		h.t.Fatal(err)
	}
	offer, err := v.peer.CreateOffer(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(v.peer)
	if err := v.peer.SetLocalDescription(offer); err != nil {
		h.t.Fatal(err)
	}
	<-gathered
	var answer string
	eventually(h.t, participant+" publishes", func() bool {
		var status int
		status, v.url, answer = h.post("/whip/subscribe/"+participant, as, "application/sdp", v.peer.LocalDescription().SDP)
		return status == http.StatusCreated
	})
	if err := v.peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *house) post(path, as, contentType, body string) (status int, location, answer string) {
	h.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = h.http.URL + path
	}
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+h.token(as))
	request.Header.Set("Content-Type", contentType)
	response, err := h.http.Client().Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Location"), string(b)
}

func (v *viewer) receive(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	go func() {
		for {
			packets, _, err := receiver.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if r, ok := p.(*rtcp.SenderReport); ok {
					v.mu.Lock()
					v.reports = append(v.reports, r)
					v.mu.Unlock()
				}
			}
		}
	}()
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		v.packets <- p
	}
}

// show tells the stage how large the viewer shows the video.
func (v *viewer) show(width, height int) {
	v.h.t.Helper()
	body, err := json.Marshal(map[string]int{"width": width, "height": height})
	if err != nil {
		v.h.t.Fatal(err)
	}
	if status, _, answer := v.h.post(v.url+"/size", "viewer", "application/json", string(body)); status != http.StatusNoContent {
		v.h.t.Fatalf("tell the size: %d %s", status, answer)
	}
}

// shown is a picture that a viewer decoded.
type shown struct {
	width, height int
	time          uint32
	captured      time.Time // as its strip says, to the millisecond
}

// projector decodes what a viewer gets and checks that it is one stream: numbers without a hole, timestamps that rise.
type projector struct {
	*viewer
	decoder *av.H264Decoder
	unit    bytes.Buffer
	depack  codecs.H264Packet
	last    *rtp.Packet
	early   map[uint16]*rtp.Packet // that came before those before them
	index   int                    // expected in the strips
}

func (v *viewer) project(index int) *projector {
	v.h.t.Helper()
	decoder, err := av.NewH264Decoder()
	if err != nil {
		v.h.t.Fatal(err)
	}
	v.h.t.Cleanup(decoder.Close)
	return &projector{viewer: v, decoder: decoder, index: index, early: map[uint16]*rtp.Packet{}}
}

// packet returns the next packet in order: a busy machine loses some, which come again.
func (j *projector) packet() *rtp.Packet {
	j.h.t.Helper()
	timeout := time.After(patience)
	for {
		if j.last != nil {
			if p := j.early[j.last.SequenceNumber+1]; p != nil {
				delete(j.early, p.SequenceNumber)
				j.last = p
				return p
			}
		}
		select {
		case p := <-j.packets:
			if j.last == nil {
				j.last = p
				return p
			}
			if int16(p.SequenceNumber-j.last.SequenceNumber) > 0 {
				j.early[p.SequenceNumber] = p
			}
		case <-timeout:
			j.h.t.Fatalf("nothing comes after packet %v, but %d later ones; the stage has %+v", j.last, len(j.early), j.h.Stats())
		}
	}
}

// next returns the next picture.
func (j *projector) next() shown {
	j.h.t.Helper()
	for {
		last := j.last
		p := j.packet()
		if last != nil {
			if d := int32(p.Timestamp - last.Timestamp); d < 0 || d == 0 == last.Marker {
				j.h.t.Errorf("timestamp %d follows %d, at the end of a picture: %v", p.Timestamp, last.Timestamp, last.Marker)
			}
		}
		part, err := j.depack.Unmarshal(p.Payload)
		if err != nil {
			j.h.t.Errorf("packet %d: %v", p.SequenceNumber, err)
			continue
		}
		j.unit.Write(part)
		if !p.Marker {
			continue
		}
		unit := bytes.Clone(j.unit.Bytes())
		j.unit.Reset()
		picture, err := j.decoder.Decode(unit, int64(p.Timestamp))
		if err != nil || picture == nil {
			j.h.t.Errorf("a picture cannot be decoded: %v", err)
			continue
		}
		img, err := copyPicture(picture)
		if err != nil {
			j.h.t.Fatal(err)
		}
		index, ms, ok := judge.ReadStrip(img, img.Rect)
		if !ok || index != j.index {
			j.h.t.Errorf("the strip of a picture of %v says %d, %v", img.Rect.Max, index, ok)
		}
		return shown{img.Rect.Dx(), img.Rect.Dy(), p.Timestamp, time.UnixMilli(ms)}
	}
}

func copyPicture(picture *av.Picture) (*image.YCbCr, error) {
	defer picture.Release()
	canvas, err := av.NewCanvas(picture.Width, picture.Height)
	if err != nil {
		return nil, err
	}
	defer canvas.Close()
	if err := canvas.DrawPicture(picture, canvas.Bounds(), canvas.Bounds()); err != nil {
		return nil, err
	}
	return canvas.Image(), nil
}

// await reads until pictures have this width, and then some more.
func (j *projector) await(width int) (pictures []shown) {
	j.h.t.Helper()
	timeout := time.Now().Add(patience)
	for more := 0; more < 5; {
		s := j.next()
		pictures = append(pictures, s)
		if s.width == width {
			more++
		} else if time.Now().After(timeout) {
			j.h.t.Fatalf("pictures stay %d wide; want %d; the stage has %+v", s.width, width, j.h.Stats())
		}
	}
	return pictures
}

// checkReports maps every picture by every report: all must give the time of capture.
func (j *projector) checkReports(pictures []shown, tolerance time.Duration) {
	j.h.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.reports) == 0 {
		j.h.t.Error("no sender report came")
	}
	for _, r := range j.reports {
		at := time.Unix(int64(r.NTPTime>>32)-2208988800, int64((r.NTPTime&math.MaxUint32)*1e9>>32))
		for _, s := range pictures {
			captured := at.Add(time.Duration(int32(s.time-r.RTPTime)) * time.Second / 90000)
			if off := captured.Sub(s.captured); off < -tolerance || off > tolerance+time.Millisecond {
				j.h.t.Errorf("a report puts a picture of %dx%d %v after its capture", s.width, s.height, off)
				return
			}
		}
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publishTo("ada", &Publisher{Index: 5, Width: 640, Height: 360, FrameRate: 15, Layers: 3})
	// Once all layers have had reports, changes are exact.
	eventually(t, "all layers flow for a while", func() bool {
		n := 0
		for _, l := range h.Stats().Layers {
			if l.Packets > 40 {
				n++
			}
		}
		return n == 3
	})
	j := h.view("ada", "viewer").project(5)
	var pictures []shown
	see := func(what string, width int) {
		t.Helper()
		t.Log(what)
		// Those right behind a change may be pressed together.
		seen := j.await(width)
		pictures = append(pictures, seen[len(seen)-1])
	}
	see("the largest layer, when nothing is said", 640)
	j.show(318, 178)
	see("the layer that fits", 320)
	j.show(160, 90)
	see("the smallest", 160)
	j.show(365, 205)
	see("320 is nearly enough", 320)
	j.show(366, 205)
	see("320 is too little", 640)
	j.show(1280, 720)
	for range 10 {
		if s := j.next(); s.width != 640 {
			t.Errorf("%d wide, although 640 is the most", s.width)
		}
	}
	j.show(160, 90)
	see("down again", 160)
	p.SetFaults(Faults{PauseLayers: []string{"low"}})
	see("the layer stops, the next one comes", 320)
	p.SetFaults(Faults{PauseLayers: []string{"low", "mid"}})
	see("and the next", 640)
	p.SetFaults(Faults{})
	see("back", 160)
	p.SetFaults(Faults{Width: 360, Height: 640})
	j.show(0, 0)
	see("the telephone is turned", 360)
	j.checkReports(pictures, 3*time.Millisecond)

	stats := h.Stats()
	if stats.PacketsDropped != 0 || len(stats.Layers) != 3 {
		t.Errorf("stats: %+v", stats)
	}
	for i, want := range []string{"hi 360x640", "mid 180x320", "low 160x90"} { // a quarter of 360x640 is not sent
		l := stats.Layers[i]
		if got := fmt.Sprintf("%s %dx%d", l.RID, l.Width, l.Height); got != want || l.ParticipantID != "ada" || l.StageID != "stage1" || l.Packets == 0 {
			t.Errorf("layer %+v; want %s", l, want)
		}
	}
	if l := stats.Layers[0]; l.Subscribers != 1 || !l.Flowing || l.BitRate == 0 {
		t.Errorf("the layer that is watched: %+v", l)
	}
}

// TestLayersWithoutReports has nothing but arrival to align layers by.
func TestLayersWithoutReports(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := &Publisher{Index: 5, Width: 320, Height: 180, FrameRate: 15, Layers: 2}
	p.SetFaults(Faults{NoReports: true})
	h.publishTo("ada", p)
	j := h.view("ada", "viewer").project(5)
	j.await(320)
	j.show(160, 90)
	j.await(160)
	j.show(320, 180)
	j.await(320)
	for range 30 { // those right behind a change may be pressed together
		j.next()
	}
	var pictures []shown
	for range 4 {
		pictures = append(pictures, j.next())
	}
	p.SetFaults(Faults{})
	eventually(t, "a report comes", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.reports) > 0
	})
	j.checkReports(pictures, 3*time.Millisecond)
}

// TestLayersOfOrdinaryPublisher: without simulcast a told size changes nothing.
func TestLayersOfOrdinaryPublisher(t *testing.T) {
	h := newHouse(t)
	h.publishTo("ada", &Publisher{Index: 5, Width: 320, Height: 180, FrameRate: 15})
	j := h.view("ada", "viewer").project(5)
	j.await(320)
	j.show(16, 16)
	j.await(320)
	for path, want := range map[string]int{"": 404, "x": 404} {
		if status, _, _ := h.post("/whip/sessions/"+path+"/size", "viewer", "application/json", "{}"); status != want && status/100 != 4 {
			t.Errorf("%q: %d", path, status)
		}
	}
	for body, want := range map[string]int{`{"width":-1,"height":5}`: 400, `{"width":1e9,"height":5}`: 400, `[]`: 400, `x`: 400, `{}`: 204, `{"width":5,"height":5,"more":1}`: 204} {
		if status, _, answer := h.post(j.url+"/size", "viewer", "application/json", body); status != want {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	if status, _, _ := h.post(j.url+"/size", "viewer", "text/plain", `{}`); status != 415 {
		t.Errorf("text/plain: %d", status)
	}
}
