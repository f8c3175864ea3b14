package record

import (
	"testing"
	"time"

	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/objectstore/s3test"
)

// TestS3 records to a real S3 server, into a bucket that is there and one that is not.
func TestS3(t *testing.T) {
	server := s3test.Start(t)
	server.MakeBucket(t, "recordings")
	store, err := objectstore.Open(t.Context(), objectstore.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	rec := startRecorder(t, t.TempDir(), store)
	spec := mp4Spec("s3")
	r, source := open(t, rec, spec)
	testClip(t).play(source, 0, 5*time.Second, 0)
	source.Close()
	end(t, r, Cause{})
	all := stored(t, store, spec)
	if f := decodeMP4(t, all["media/mp4/"+spec.Rendition+".mp4"]); len(f.pictures) != 5*clipRate {
		t.Errorf("the MP4 has %d pictures", len(f.pictures))
	}
	if f := decode(t, all, "multivariant.m3u8"); f.frames != 5*clipRate || f.longest > 41*time.Millisecond {
		t.Errorf("decoded: %+v", f)
	}
	nowhere := compositeSpec("nowhere")
	nowhere.Bucket = "no-such-bucket"
	if _, err := rec.Open(t.Context(), nowhere); err == nil {
		t.Error("a bucket that does not exist is taken")
	}
}
