package composition

import (
	"context"
	"encoding/json"
	"time"
)

// uploadPatience is how long a composition stays STOPPING until the object store has its recording: who acts on
// Session End finds the recording complete. After that the destination has failed; the upload goes on all the same.
const uploadPatience = 10 * time.Minute

// S3 is where and how an output is recorded.
type S3 struct {
	StorageARN string          `json:"storageConfigurationArn"`
	Bucket     string          `json:"bucket"`
	Prefix     string          `json:"prefix"`                           // of all keys
	Rendition  string          `json:"rendition"`                        // the folder of the media
	Segment    int             `json:"segment"`                          // target duration in seconds
	Thumbnails *Thumbnails     `json:"thumbnails,omitzero"`              // nil: none
	Echo       json.RawMessage `json:"thumbnailConfigurations,omitzero"` // as the request has them
}

// Thumbnails say which pictures are kept beside a recording.
type Thumbnails struct {
	Interval int      `json:"interval"` // seconds
	Storage  []string `json:"storage"`  // SEQUENTIAL, LATEST or both
}

// Records reports whether the destination is a recording, not a channel.
func (d *Destination) Records() bool { return d.S3 != nil }

// finishRecording ends the recording of a destination, if there is one, and returns what is closed when the object
// store has all of it.
func (l *live) finishRecording(ctx context.Context, d *Destination, cause Cause) <-chan struct{} {
	if l.manager.FinishRecording == nil || !d.Records() {
		return nil
	}
	stored, err := l.manager.FinishRecording(ctx, l.record, *d, cause)
	if err != nil {
		l.log.Error("cannot end the recording", "destination", d.ID, "error", err)
	}
	return stored
}

// finishRecordings ends what is recorded and waits until it is stored. It reports whether the composition can end:
// not when the server does.
func (l *live) finishRecordings(cause Cause) bool {
	ctx := l.manager.ctx
	if cause == stageDeleted {
		cause = Cause{Reason: cause.Reason} // the recording itself is whole
	}
	ends := make([]<-chan struct{}, len(l.record.Destinations))
	for i := range l.record.Destinations {
		if d := &l.record.Destinations[i]; d.Records() && !d.State.Ended() {
			ends[i] = l.finishRecording(ctx, d, cause)
		}
	}
	patience := time.NewTimer(uploadPatience)
	defer patience.Stop()
	for i, stored := range ends {
		d := &l.record.Destinations[i]
		for waiting := stored != nil; waiting; {
			select {
			case <-stored: // whatever the time
				waiting = false
				continue
			default:
			}
			select {
			case <-stored:
				waiting = false
			case <-patience.C:
				patience.Reset(0) // for the others too
				l.log.Error("the object store does not have the recording yet: its upload goes on, the composition ends", "destination", d.ID)
				l.moveDestination(d, Failed, internalFailure)
				l.event("Destination Failure", d.ID, internalFailure)
				waiting = false
			case r := <-l.requests:
				if r.scene != nil {
					r.taken <- refuse(ErrConflict, "The composition is stopping")
					continue
				}
				if r.stop.Code != "" {
					l.record.Cause = *r.stop
					l.save()
				}
				r.taken <- nil
			case <-ctx.Done():
				return false // the next start ends it
			}
		}
	}
	return ctx.Err() == nil
}
