package worker

import (
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// TestParameters are such as other programs read.
func TestParameters(t *testing.T) {
	l := run(t, ladder.AdvancedHD, messages(film(t, "1280x720", 30, 1, "-bf", "0")))
	for i, sets := range l.tracks {
		var sps h264.SPS
		if err := sps.Unmarshal(sets[0]); err != nil {
			t.Fatalf("track %d: %v (%x)", i, err, sets[0])
		}
		if sps.Width() != hd[i].X || sps.Height() != hd[i].Y || sps.ProfileIdc != 77 {
			t.Errorf("track %d: %dx%d, profile %d (%x)", i, sps.Width(), sps.Height(), sps.ProfileIdc, sets[0])
		}
	}
}
