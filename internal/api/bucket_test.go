package api

import (
	"fmt"
	"testing"
	"time"
)

// Buckets that are full again are not kept for ever.
func TestBucketsAreThrownAway(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var b Buckets
	for i := range manyBuckets + 10 {
		if !b.Take("x "+fmt.Sprint(i), 1, now.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("the first token of bucket %d is refused", i)
		}
	}
	if len(b.buckets) > manyBuckets {
		t.Errorf("%d buckets are kept", len(b.buckets))
	}
}
