package synth

// Faults is what a publisher does wrong on purpose. The zero value does nothing wrong.
// Changes take effect within a picture.
type Faults struct {
	PauseVideo bool    `json:"pauseVideo,omitzero"` // sends no video
	PauseAudio bool    `json:"pauseAudio,omitzero"` // sends no audio
	Silent     bool    `json:"silent,omitzero"`     // sends neither, nor reports; the connection stays alive
	Garbage    bool    `json:"garbage,omitzero"`    // random bytes instead of both payloads
	Offline    bool    `json:"offline,omitzero"`    // no packet leaves or reaches the socket, as with a cut cable
	Loss       float64 `json:"loss,omitzero"`       // share of the RTP and RTCP packets sent that get lost, 0 to 1
	Width      int     `json:"width,omitzero"`      // another picture size from now on, even pixels;
	Height     int     `json:"height,omitzero"`     // 0 is the publisher's own
}
