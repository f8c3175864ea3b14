package doctor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/footlight-live/footlight/internal/synth/signal"
	"github.com/footlight-live/footlight/internal/transcode"
)

// sound is a stretch of it: Opus packets, or AAC access units with their AudioSpecificConfig.
type sound struct {
	config []byte // nil: Opus
	units  [][]byte
}

// faintest is how loud the participant's tone has to be at least, in dBFS: it is sent at -30, and a mix may be turned down.
const faintest = -48

// listen tells whether sound is our participant's.
func (d *Doctor) listen(ctx context.Context, s sound) error {
	var in bytes.Buffer
	if s.config != nil {
		_ = transcode.Message{Kind: transcode.Config, Data: s.config}.Write(&in) // a buffer takes all
	}
	for _, u := range s.units {
		_ = transcode.Message{Kind: transcode.Unit, Data: u}.Write(&in)
	}
	out, err := d.decode(ctx, "sound", &in, "hear")
	if err != nil {
		return err
	}
	pcm := make([]float32, len(out)/4)
	if _, err := binary.Decode(out, binary.LittleEndian, pcm); err != nil {
		return fmt.Errorf("the sound cannot be decoded: %w", err)
	}
	return judgeTone(pcm)
}

// judgeTone looks for the tone that our participant sends all the time, and for nobody else's.
func judgeTone(pcm []float32) error {
	ours := signal.ToneLevel(pcm, 0)
	if ours < faintest {
		return fmt.Errorf("the tone that was sent is not in the sound that arrives: its level is %.0f dB", ours)
	}
	for other := 1; other < signal.Participants; other++ {
		if signal.ToneLevel(pcm, other) > ours {
			return errors.New("the sound that arrives is not the one that was sent")
		}
	}
	return nil
}
