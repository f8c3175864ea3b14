package console

import (
	"strconv"
	"testing"
)

// TestWatchMetadata puts a text into a live stream: hls.js must show it as a cue when its picture plays, within the
// frame that was newest when the server took it, and not twice.
func TestWatchMetadata(t *testing.T) { inBoth(t, testWatchMetadata) }

func testWatchMetadata(t *testing.T, d oneChannel) {
	s := newStudioOf(t, d)
	s.publish(testPicture)
	p := open(t, s.link("channel="+testChannel), desktop)
	p.awaitPlaying()
	p.run(`
		window.cues = [];
		const watched = new Set();
		setInterval(() => {
			for (const track of footlight.video.textTracks) {
				if (track.kind !== "metadata" || watched.has(track)) continue;
				watched.add(track);
				track.mode = "hidden";
				track.addEventListener("cuechange", () => {
					for (const cue of track.activeCues)
						if (!cues.some((c) => c.start === cue.startTime))
							cues.push({ start: cue.startTime, at: footlight.video.currentTime, key: cue.value.key, info: cue.value.info, data: cue.value.data });
				});
			}
		}, 10);`)
	const arn = "arn:aws:ivs:us-east-1:000000000000:channel/ChAnNeL12345"
	for _, text := range []string{"goal: 1–0", `{"question":"who?"}`} {
		if err := s.live.PutMetadata(arn, text); err != nil {
			t.Fatal(err)
		}
		p.await("the cue fires", `cues.at(-1)?.data === `+strconv.Quote(text))
	}
	p.await("each cue fires once, as TXXX without a description, when its picture plays", `cues.length === 2
		&& cues.every((c) => c.key === "TXXX" && c.info === "" && c.at >= c.start - 0.05 && c.at < c.start + 2)`)
}
