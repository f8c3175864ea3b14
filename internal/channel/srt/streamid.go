package srt

import (
	"errors"
	"strings"
)

// parseStreamID reads what a caller gives as its stream id: the stream key alone, or with more in the form of SRT's
// access control, #!::u=<key>,priority=N (spec/lowlatency.md §3).
func parseStreamID(id string) (key, priority string, err error) {
	list, ok := strings.CutPrefix(id, "#!::")
	if !ok {
		return id, "", nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "u":
			key = value
		case "priority":
			priority = value
		case "m":
			if value != "publish" {
				return "", "", Refusal{BadMode, "SRT is only to publish: watch the channel's playback URL"}
			}
		}
	}
	if key == "" {
		return "", "", Refusal{BadRequest, errNoKey.Error()}
	}
	return key, priority, nil
}

var errNoKey = errors.New("the stream id must be the stream key, or #!::u=<stream key>,priority=<number>")
