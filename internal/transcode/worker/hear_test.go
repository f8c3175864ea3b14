package worker

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/footlight-live/footlight/internal/av"
	"github.com/footlight-live/footlight/internal/synth/signal"
	"github.com/footlight-live/footlight/internal/transcode"
)

// heard has messages decoded.
func heard(t *testing.T, messages []transcode.Message) (pcm []float32, err error) {
	t.Helper()
	var in, out bytes.Buffer
	for _, m := range messages {
		if err := m.Write(&in); err != nil {
			t.Fatal(err)
		}
	}
	err = Hear(&in, &out)
	pcm = make([]float32, out.Len()/4)
	if err := binary.Read(&out, binary.LittleEndian, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm, err
}

func TestHear(t *testing.T) {
	config, units := encode(t, 44100, 1) // a second of silence and one of 1000 Hz
	messages := []transcode.Message{{Kind: transcode.Config, Data: config}}
	for _, u := range units {
		messages = append(messages, transcode.Message{Kind: transcode.Unit, Data: u})
	}
	pcm, err := heard(t, messages)
	if err != nil || len(pcm) < 2*2*sampleRate*95/100 {
		t.Fatalf("%d samples of AAC, %v", len(pcm)/2, err)
	}
	if from := onset(pcm); from < sampleRate*9/10 || from > sampleRate*11/10 {
		t.Errorf("the tone begins at sample %d", from)
	}
	if n := crossings(pcm, sampleRate*3/2, sampleRate/4); n < 248 || n > 252 {
		t.Errorf("a quarter of a second of 1000 Hz crosses zero %d times", n)
	}

	encoder, err := av.NewOpusEncoder(bitRate)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	messages = nil
	for i := range int64(50) {
		frame, packet := make([]float32, 2*packetSamples), make([]byte, 1500)
		signal.FillSound(frame, 3, i*packetSamples)
		n, err := encoder.Encode(frame, packet)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, transcode.Message{Kind: transcode.Unit, Data: packet[:n]})
	}
	pcm, err = heard(t, messages)
	if err != nil || len(pcm) != 50*2*packetSamples {
		t.Fatalf("%d samples of Opus, %v", len(pcm)/2, err)
	}
	if level := signal.ToneLevel(pcm, 3); level < -33 || level > -27 {
		t.Errorf("the tone is at %.1f dB", level)
	}

	for what, m := range map[string]transcode.Message{
		"a configuration that is none": {Kind: transcode.Config, Data: []byte{0xff}},
		"an empty unit":                {Kind: transcode.Unit},
		"another message":              {Kind: transcode.Packet, Data: []byte{1}},
	} {
		if _, err := heard(t, []transcode.Message{m}); err == nil {
			t.Errorf("%s is decoded", what)
		}
	}
}
