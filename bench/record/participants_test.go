package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp/codecs"

	"github.com/footlight-live/footlight/internal/capture"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
)

// BenchmarkParticipants records 20 participants of two stages at once for FOOTLIGHT_RECORD (20s, in steps of 2s): from the
// stages' fan-out to the folder. What publishing alone takes is measured before, and left out.
func BenchmarkParticipants(b *testing.B) {
	const stages, each, alone = 2, 10, 10 * time.Second
	length := setting(b, "FOOTLIGHT_RECORD", 20*time.Second)
	rec, bucket := startRecorder(b, nil)
	sfu := &stage.Server{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Admission: nobody{}, Log: slog.New(slog.DiscardHandler)}
	if err := sfu.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer sfu.Close()
	var people []*person
	for i := range stages * each {
		people = append(people, newPerson(b, sfu, fmt.Sprint("stage-", i/each), fmt.Sprint("participant-", i)))
	}
	before := ownCPU(b)
	publish(people, 0, alone)
	publishing := (ownCPU(b) - before) / alone.Seconds()

	before = ownCPU(b)
	for _, p := range people {
		p.record(b, sfu, rec)
	}
	publish(people, alone, length)
	for _, p := range people {
		p.feed.Close("the bench is over")
		<-p.captured
		finish(b, p.recording)
	}
	cost := ((ownCPU(b)-before)/length.Seconds() - publishing) / float64(len(people))
	for _, p := range people {
		check(b, bucket, p.recording, length)
	}
	keep(b, map[string]float64{"participants": float64(len(people)), "cpu-percent-of-a-core-each": 100 * cost})
}

// nobody is let in through a door that the benchmark does not use.
type nobody struct{}

func (nobody) Admit(context.Context, string) (stage.Grant, error) {
	return stage.Grant{}, errors.New("nobody is expected")
}

// person publishes the clip's picture, and 64 kb/s of sound.
type person struct {
	stage    string
	feed     *stage.Feed
	pictures [][][]byte // RTP payloads of the clip's pictures

	recording *record.Recording
	captured  chan struct{} // closed when all that was heard is in the recording
}

func newPerson(b *testing.B, sfu *stage.Server, stageID, id string) *person {
	b.Helper()
	c, err := loadClip()
	if err != nil {
		b.Fatal(err)
	}
	p := &person{stage: stageID, captured: make(chan struct{})}
	var payloader codecs.H264Payloader
	for _, f := range c.video {
		units := f.NALUs
		if f.Key {
			units = append([][]byte{c.tracks.SPS, c.tracks.PPS}, units...)
		}
		picture, err := h264.AnnexB(units).Marshal()
		if err != nil {
			b.Fatal(err)
		}
		p.pictures = append(p.pictures, payloader.Payload(stage.MaxPayload, picture))
	}
	p.feed, err = sfu.OpenFeed(b.Context(), stage.Grant{StageID: stageID, ParticipantID: id, Publish: true}, stage.FeedOptions{Protocol: "RTMP"})
	if err != nil {
		b.Fatal(err)
	}
	p.feed.Start()
	return p
}

// record records the person, as the server does, from the next key frame on.
func (p *person) record(b *testing.B, sfu *stage.Server, rec *record.Recorder) {
	b.Helper()
	id := p.feed.ParticipantID()
	ear, err := sfu.Listen(b.Context(), p.stage, id)
	if err != nil {
		b.Fatal(err)
	}
	p.recording, err = rec.Open(b.Context(), record.Spec{
		ID: id, Kind: record.Participant, Bucket: "recordings", Prefix: "bench/" + id, Started: time.Now(), Media: record.AudioVideo, Segment: 6 * time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	source := p.recording.Source()
	go func() {
		defer close(p.captured)
		defer source.Close()
		defer ear.Close()
		capture.Run(b.Context(), ear, source, 6*time.Second)
	}()
}

// publish has everybody publish in real time, from a time of the media on, for so long.
func publish(people []*person, from, length time.Duration) {
	sound := make([]byte, 160)
	sound[0] = 0xfc // 20 ms of CELT, stereo (RFC 6716 section 3.1)
	began := time.Now()
	picture := int(from * frameRate / time.Second)
	for at := from; at < from+length; at += 20 * time.Millisecond {
		time.Sleep(time.Until(began.Add(at - from))) // an encoder's pace
		for _, p := range people {
			p.feed.Audio(at, sound)
		}
		for ; time.Duration(picture)*time.Second/frameRate < at+20*time.Millisecond; picture++ {
			for _, p := range people {
				p.feed.Video(0, time.Duration(picture)*time.Second/frameRate, p.pictures[picture%len(p.pictures)])
			}
		}
	}
}
