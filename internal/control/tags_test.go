package control

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	ivssdk "github.com/aws/aws-sdk-go-v2/service/ivs"
	rtsdk "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
)

func TestTags(t *testing.T) {
	f := start(t)
	channel := f.must(t, "CreateChannel", `{"tags":{"keep":"1"}}`)
	key := text(t, channel, "streamKey", "arn")
	f.must(t, "DeleteStreamKey", fmt.Sprintf(`{"arn":%q}`, key))
	key = text(t, f.must(t, "CreateStreamKey", fmt.Sprintf(`{"channelArn":%q,"tags":{"keep":"1"}}`, text(t, channel, "channel", "arn"))), "streamKey", "arn")
	ivsTags := func(resource string) (map[string]string, error) {
		out, err := f.ivs.ListTagsForResource(t.Context(), &ivssdk.ListTagsForResourceInput{ResourceArn: &resource})
		if err != nil {
			return nil, err
		}
		return out.Tags, nil
	}
	rtTags := func(resource string) (map[string]string, error) {
		out, err := f.rt.ListTagsForResource(t.Context(), &rtsdk.ListTagsForResourceInput{ResourceArn: &resource})
		if err != nil {
			return nil, err
		}
		return out.Tags, nil
	}
	want := func(resource string, got map[string]string, err error, want map[string]string) {
		t.Helper()
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("tags of %s: %v, %v; want %v", resource, got, err, want)
		}
	}
	for _, r := range []string{text(t, channel, "channel", "arn"), key} {
		if _, err := f.ivs.TagResource(t.Context(), &ivssdk.TagResourceInput{ResourceArn: &r, Tags: map[string]string{"keep": "2", "ümlaut = +": "a/b:c"}}); err != nil {
			t.Fatal(err)
		}
		got, err := ivsTags(r)
		want(r, got, err, map[string]string{"keep": "2", "ümlaut = +": "a/b:c"})
		for range 2 { // idempotent
			if _, err := f.ivs.UntagResource(t.Context(), &ivssdk.UntagResourceInput{ResourceArn: &r, TagKeys: []string{"ümlaut = +"}}); err != nil {
				t.Fatal(err)
			}
		}
		got, err = ivsTags(r)
		want(r, got, err, map[string]string{"keep": "2"})
	}
	stage := text(t, f.must(t, "CreateStage", `{"tags":{"keep":"1"}}`), "stage", "arn")
	encoder := text(t, f.must(t, "CreateEncoderConfiguration", `{"tags":{"keep":"1"}}`), "encoderConfiguration", "arn")
	for _, r := range []string{stage, encoder} {
		if _, err := f.rt.TagResource(t.Context(), &rtsdk.TagResourceInput{ResourceArn: &r, Tags: map[string]string{"a": "", "b": "2"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.rt.UntagResource(t.Context(), &rtsdk.UntagResourceInput{ResourceArn: &r, TagKeys: []string{"keep", "never", "b"}}); err != nil {
			t.Fatal(err)
		}
		got, err := rtTags(r)
		want(r, got, err, map[string]string{"a": ""})
	}
	// Tags show up with the resource, and stay over a restart.
	f.restart(t)
	if got := text(t, f.must(t, "GetStage", fmt.Sprintf(`{"arn":%q}`, stage)), "stage", "tags", "a"); got != "" {
		t.Errorf("tag a of the stage is %q", got)
	}
	if got := text(t, f.must(t, "GetStreamKey", fmt.Sprintf(`{"arn":%q}`, key)), "streamKey", "tags", "keep"); got != "2" {
		t.Errorf("tag keep of the stream key is %q", got)
	}
}

func TestTagRefusals(t *testing.T) {
	f := start(t)
	stage := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	refused := func(method, target, body string, status int, words string) {
		t.Helper()
		_, err := f.send(t, method, target, body)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s %s: %v, want %d with %q", method, target, err, status, words)
		}
	}
	many := func(from, n int) string {
		var tags []string
		for i := range n {
			tags = append(tags, fmt.Sprintf(`"k%d":"v"`, from+i))
		}
		return `{"tags":{` + strings.Join(tags, ",") + `}}`
	}
	for _, r := range []string{
		"arn:aws:ivs:us-east-1:000000000000:stage/abcdefghijkl", "arn:aws:ivs:us-east-1:000000000000:channel/abcdefghijkl",
		"arn:aws:ivs:us-east-1:000000000000:stream-key/abcdefghijkl", "arn:aws:ivs:us-east-1:000000000000:encoder-configuration/abcdefghijkl",
		"arn:aws:ivs:us-east-1:000000000000:composition/abcdefghijkl", "arn:aws:ivs:us-east-1:000000000000:public-key/abcdefghijkl",
		strings.Replace(stage, "000000000000", "111111111111", 1),
	} {
		refused(http.MethodGet, escaped(r), "", 404, "ResourceNotFoundException: Resource: "+r+" not found")
		refused(http.MethodPost, escaped(r), `{"tags":{"a":"b"}}`, 404, "ResourceNotFoundException")
		refused(http.MethodDelete, escaped(r)+"?tagKeys=a", "", 404, "ResourceNotFoundException")
	}
	refused(http.MethodGet, escaped("nonsense"), "", 400, "ValidationException")
	refused(http.MethodPost, escaped(stage), `{"tags":{"aws:cloud":"b"}}`, 400, "reserved")
	refused(http.MethodPost, escaped(stage), `{"tags":{"":"b"}}`, 400, "ValidationException")
	refused(http.MethodPost, escaped(stage), `{"tags":{"a":"`+strings.Repeat("x", 257)+`"}}`, 400, "ValidationException")
	refused(http.MethodPost, escaped(stage), many(0, 51), 400, "ValidationException")
	if _, err := f.send(t, http.MethodPost, escaped(stage), many(0, 50)); err != nil {
		t.Errorf("50 tags: %v", err)
	}
	refused(http.MethodPost, escaped(stage), many(50, 1), 400, "51 tags")
	if _, err := f.send(t, http.MethodPost, escaped(stage), many(49, 1)); err != nil {
		t.Errorf("overwriting one of 50: %v", err)
	}
}

// TestTagRace: tags that are set at the same time are all there afterwards.
func TestTagRace(t *testing.T) {
	f := start(t)
	stage := text(t, f.must(t, "CreateStage", `{}`), "stage", "arn")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := f.rt.TagResource(t.Context(), &rtsdk.TagResourceInput{ResourceArn: &stage, Tags: map[string]string{fmt.Sprint(i): "x"}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if out, err := f.rt.ListTagsForResource(t.Context(), &rtsdk.ListTagsForResourceInput{ResourceArn: &stage}); err != nil || len(out.Tags) != 16 {
		t.Errorf("%d tags, %v", len(out.Tags), err)
	}
}
