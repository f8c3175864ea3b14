package wire

import (
	"errors"
	"fmt"
	"testing"
)

func TestRefusal(t *testing.T) {
	want := Refusal{"AccessDeniedException", "Access denied to S3 bucket. Please verify your bucket policy."}
	for _, text := range []string{
		want.Error(),
		errors.Join(errors.New("publish"), &want).Error(),
		fmt.Sprintf("publish to 127.0.0.1: unexpected status: [<nil> {[{level error} {code NetStream.Publish.Failed} {description %s}]}]", want.Error()),
	} {
		if got, ok := ParseRefusal(text); !ok || got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "refused", "refused for good: ", "refused for good: a b: c"} {
		if got, ok := ParseRefusal(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
