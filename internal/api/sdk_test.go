package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdkivs "github.com/aws/aws-sdk-go-v2/service/ivs"
	ivstypes "github.com/aws/aws-sdk-go-v2/service/ivs/types"
	sdkrealtime "github.com/aws/aws-sdk-go-v2/service/ivsrealtime"
	realtimetypes "github.com/aws/aws-sdk-go-v2/service/ivsrealtime/types"
	"github.com/aws/smithy-go"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
)

// fixed is a credentials provider.
type fixed aws.Credentials

func (f fixed) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials(f), nil }

func (s *server) ivs(credentials aws.Credentials) *sdkivs.Client {
	return sdkivs.New(sdkivs.Options{Region: "us-east-1", BaseEndpoint: &s.URL, Credentials: fixed(credentials), Retryer: aws.NopRetryer{}})
}

func (s *server) realtime() *sdkrealtime.Client {
	return sdkrealtime.New(sdkrealtime.Options{Region: "eu-west-1", BaseEndpoint: &s.URL, Credentials: fixed(testCredentials), Retryer: aws.NopRetryer{}})
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// refusing answers operations that together model every error of ivs by an error.
type refusing struct {
	ivs.Unimplemented
	err error
}

func (r refusing) CreateAdConfiguration(context.Context, *ivs.CreateAdConfigurationRequest) (*ivs.CreateAdConfigurationResponse, error) {
	return nil, r.err
}

func (r refusing) StopStream(context.Context, *ivs.StopStreamRequest) error { return r.err }

func (r refusing) BatchGetChannel(context.Context, *ivs.BatchGetChannelRequest) (*ivs.BatchGetChannelResponse, error) {
	return nil, r.err
}

// refusingStages does so for ivsrealtime.
type refusingStages struct {
	ivsrealtime.Unimplemented
	err error
}

func (r refusingStages) StartComposition(context.Context, *ivsrealtime.StartCompositionRequest) (*ivsrealtime.StartCompositionResponse, error) {
	return nil, r.err
}

// TestTypedErrors: the official clients decode each modelled error to its own type, with its text
// in the member that the model has for it.
func TestTypedErrors(t *testing.T) {
	const text = "reason with <html> & “quotes”"
	create := func(s *server) error {
		_, err := s.ivs(testCredentials).CreateAdConfiguration(t.Context(), &sdkivs.CreateAdConfigurationInput{
			MediaTailorPlaybackConfigurations: []ivstypes.MediaTailorPlaybackConfiguration{{
				PlaybackConfigurationArn: aws.String("arn:aws:mediatailor:us-east-1:000000000000:playbackConfiguration/x")}}})
		return err
	}
	stop := func(s *server) error {
		_, err := s.ivs(testCredentials).StopStream(t.Context(), &sdkivs.StopStreamInput{ChannelArn: aws.String(channelARN)})
		return err
	}
	get := func(s *server) error {
		_, err := s.ivs(testCredentials).BatchGetChannel(t.Context(), &sdkivs.BatchGetChannelInput{Arns: []string{channelARN}})
		return err
	}
	start := func(s *server) error {
		_, err := s.realtime().StartComposition(t.Context(), &sdkrealtime.StartCompositionInput{StageArn: aws.String(stageARN),
			Destinations: []realtimetypes.DestinationConfiguration{{Channel: &realtimetypes.ChannelDestinationConfiguration{ChannelArn: aws.String(channelARN)}}}})
		return err
	}
	for _, c := range []struct {
		err    *api.Error
		call   func(*server) error
		typed  func(error) bool
		status int
	}{
		{api.AccessDeniedException(text), create, is[*ivstypes.AccessDeniedException], 403},
		{api.ChannelNotBroadcasting(text), stop, is[*ivstypes.ChannelNotBroadcasting], 404},
		{api.ConflictException(text), create, is[*ivstypes.ConflictException], 409},
		{api.InternalServerException(text), create, is[*ivstypes.InternalServerException], 500},
		{api.PendingVerification(text), create, is[*ivstypes.PendingVerification], 403},
		{api.ResourceNotFoundException(text), create, is[*ivstypes.ResourceNotFoundException], 404},
		{api.ServiceQuotaExceededException(text), create, is[*ivstypes.ServiceQuotaExceededException], 402},
		{api.ServiceUnavailable(text), get, is[*ivstypes.ServiceUnavailable], 503},
		{api.StreamUnavailable(text), stop, is[*ivstypes.StreamUnavailable], 503},
		{api.ThrottlingException(text), create, is[*ivstypes.ThrottlingException], 429},
		{api.ValidationException(text), create, is[*ivstypes.ValidationException], 400},

		{api.AccessDeniedException(text), start, is[*realtimetypes.AccessDeniedException], 403},
		{api.ConflictException(text), start, is[*realtimetypes.ConflictException], 409},
		{api.InternalServerException(text), start, is[*realtimetypes.InternalServerException], 500},
		{api.PendingVerification(text), start, is[*realtimetypes.PendingVerification], 403},
		{api.ResourceNotFoundException(text), start, is[*realtimetypes.ResourceNotFoundException], 404},
		{api.ServiceQuotaExceededException(text), start, is[*realtimetypes.ServiceQuotaExceededException], 402},
		{api.ValidationException(text), start, is[*realtimetypes.ValidationException], 400},
	} {
		err := c.call(serve(t, refusing{err: c.err}, refusingStages{err: c.err}, 0))
		e, ok := errors.AsType[smithy.APIError](err)
		if !ok || !c.typed(err) || e.ErrorCode() != c.err.Code {
			t.Errorf("%s: %T %v", c.err.Code, e, err)
			continue
		}
		members := reflect.ValueOf(e).Elem()
		for name, want := range map[string]string{"ExceptionMessage": text, "XAmznErrorType": c.err.Code, "CacheControl": "no-store, no-cache"} {
			if got, _ := members.FieldByName(name).Interface().(*string); aws.ToString(got) != want {
				t.Errorf("%s: %s is %q, want %q", c.err.Code, name, aws.ToString(got), want)
			}
		}
		if r, ok := errors.AsType[*awshttp.ResponseError](err); !ok || r.HTTPStatusCode() != c.status || !uuid.MatchString(r.ServiceRequestID()) {
			t.Errorf("%s: response %+v", c.err.Code, r)
		}
	}
}

func TestSDKWithWrongKeys(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	for want, credentials := range map[string]aws.Credentials{
		"InvalidSignatureException":   {AccessKeyID: keyID, SecretAccessKey: "wrong"},
		"UnrecognizedClientException": {AccessKeyID: "AKIAOTHER", SecretAccessKey: secret},
		"NotImplementedException":     {AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: "tolerated"},
	} {
		_, err := s.ivs(credentials).ListChannels(t.Context(), &sdkivs.ListChannelsInput{})
		if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// noting answers the creation of a channel and keeps the request; the other two carry what is hard
// to carry: times, tags and values that are empty.
type noting struct {
	ivs.Unimplemented
	got *ivs.CreateChannelRequest
}

var started = time.Date(2026, 11, 22, 18, 0, 0, 123e6, time.UTC)

func (n *noting) CreateChannel(_ context.Context, in *ivs.CreateChannelRequest) (*ivs.CreateChannelResponse, error) {
	n.got = in
	return &ivs.CreateChannelResponse{Channel: &ivs.Channel{
		Arn: new(channelARN), Name: in.Name, Type: new(ivs.ChannelTypeStandard), RecordingConfigurationArn: new(""),
		Authorized: new(false), Tags: in.Tags,
	}}, nil
}

func (n *noting) GetStream(context.Context, *ivs.GetStreamRequest) (*ivs.GetStreamResponse, error) {
	return &ivs.GetStreamResponse{Stream: &ivs.Stream{StartTime: api.TimeOf(started), ViewerCount: new(int64(0)), Health: new(ivs.StreamHealthHealthy)}}, nil
}

func (n *noting) ListChannels(context.Context, *ivs.ListChannelsRequest) (*ivs.ListChannelsResponse, error) {
	return &ivs.ListChannelsResponse{Channels: []*ivs.ChannelSummary{}}, nil
}

func TestValuesSurvive(t *testing.T) {
	n := new(noting)
	s := serve(t, n, ivsrealtime.Unimplemented{}, 0)
	client := s.ivs(testCredentials)

	tags := map[string]string{"team": "live", "ünïcode key": ""}
	created, err := client.CreateChannel(t.Context(), &sdkivs.CreateChannelInput{Name: aws.String(""), Tags: tags, Authorized: true})
	if err != nil {
		t.Fatal(err)
	}
	if n.got.Name == nil || *n.got.Name != "" || n.got.Authorized == nil || !*n.got.Authorized || n.got.Type != nil || !maps.Equal(n.got.Tags, tags) {
		t.Errorf("the service got %+v", n.got)
	}
	c := created.Channel
	if c.Name == nil || *c.Name != "" || c.RecordingConfigurationArn == nil || *c.RecordingConfigurationArn != "" || c.Preset != "" ||
		c.Type != ivstypes.ChannelTypeStandardChannelType || !maps.Equal(c.Tags, tags) || created.StreamKey != nil {
		t.Errorf("the client got %+v", c)
	}

	created, err = client.CreateChannel(t.Context(), &sdkivs.CreateChannelInput{Tags: map[string]string{}})
	if err != nil || created.Channel.Tags == nil || len(created.Channel.Tags) != 0 || created.Channel.Name != nil {
		t.Errorf("empty tags came back as %+v, %v", created, err)
	}
	// What is absent is left out, never null.
	want := `{"channel":{"arn":"` + channelARN + `","recordingConfigurationArn":"","type":"STANDARD","authorized":false}}`
	if a := s.send(t, "POST", "/CreateChannel", "{}"); !sameJSON(t, a.body, want) {
		t.Errorf("body %s, want %s", a.body, want)
	}

	stream, err := client.GetStream(t.Context(), &sdkivs.GetStreamInput{ChannelArn: aws.String(channelARN)})
	if err != nil || !aws.ToTime(stream.Stream.StartTime).Equal(started) || stream.Stream.ViewerCount != 0 {
		t.Errorf("stream %+v, %v", stream, err)
	}
	list, err := client.ListChannels(t.Context(), &sdkivs.ListChannelsInput{})
	if err != nil || list.Channels == nil || len(list.Channels) != 0 || list.NextToken != nil {
		t.Errorf("empty list came back as %+v, %v", list, err)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// tagger keeps the tags of one resource. Guarded by its mutex.
type tagger struct {
	ivs.Unimplemented
	mu   sync.Mutex
	arn  string
	tags map[string]string
}

func (g *tagger) TagResource(_ context.Context, in *ivs.TagResourceRequest) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arn, g.tags = *in.ResourceArn, in.Tags
	return nil
}

func (g *tagger) UntagResource(_ context.Context, in *ivs.UntagResourceRequest) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range in.TagKeys {
		delete(g.tags, k)
	}
	return nil
}

func (g *tagger) ListTagsForResource(context.Context, *ivs.ListTagsForResourceRequest) (*ivs.ListTagsForResourceResponse, error) {
	_, tags := g.now()
	return &ivs.ListTagsForResourceResponse{Tags: tags}, nil
}

// now returns what is kept.
func (g *tagger) now() (arn string, tags map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arn, maps.Clone(g.tags)
}

func TestTags(t *testing.T) {
	g := new(tagger)
	s := serve(t, g, ivsrealtime.Unimplemented{}, 0)
	client := s.ivs(testCredentials)
	if _, err := client.TagResource(t.Context(), &sdkivs.TagResourceInput{ResourceArn: aws.String(channelARN),
		Tags: map[string]string{"a": "1", "b c/+=": "2", "d": ""}}); err != nil {
		t.Fatal(err)
	}
	if arn, _ := g.now(); arn != channelARN {
		t.Errorf("the service got the ARN %q", arn)
	}
	if _, err := client.UntagResource(t.Context(), &sdkivs.UntagResourceInput{ResourceArn: aws.String(channelARN), TagKeys: []string{"b c/+=", "a", "none"}}); err != nil {
		t.Fatal(err)
	}
	list, err := client.ListTagsForResource(t.Context(), &sdkivs.ListTagsForResourceInput{ResourceArn: aws.String(channelARN)})
	if err != nil || !maps.Equal(list.Tags, map[string]string{"d": ""}) {
		t.Errorf("tags %+v, %v", list, err)
	}
	// The ARN's type decides, not the client: the other service is not built here.
	_, err = s.realtime().ListTagsForResource(t.Context(), &sdkrealtime.ListTagsForResourceInput{ResourceArn: aws.String(stageARN)})
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "NotImplementedException" {
		t.Errorf("tags of a stage: %v", err)
	}
	if _, err := s.realtime().ListTagsForResource(t.Context(), &sdkrealtime.ListTagsForResourceInput{ResourceArn: aws.String(channelARN)}); err != nil {
		t.Errorf("tags of a channel by the other client: %v", err)
	}
}

// TestWrongClock: an SDK whose clock is wrong learns ours from the answer and succeeds by itself.
func TestWrongClock(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		s := serve(t, new(noting), ivsrealtime.Unimplemented{}, skew)
		_, err := s.ivs(testCredentials).ListChannels(t.Context(), &sdkivs.ListChannelsInput{})
		if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "InvalidSignatureException" {
			t.Errorf("without retries: %v", err)
		}
		client := sdkivs.New(sdkivs.Options{Region: "us-east-1", BaseEndpoint: &s.URL, Credentials: fixed(testCredentials)})
		if _, err := client.ListChannels(t.Context(), &sdkivs.ListChannelsInput{}); err != nil {
			t.Errorf("with the SDK's own retries: %v", err)
		}
	}
}

// TestNotBuiltIsNotRetried: the SDK gives up at once on an operation that is not built yet.
func TestNotBuiltIsNotRetried(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, ivsrealtime.Unimplemented{}, 0)
	tries := 0
	client := sdkivs.New(sdkivs.Options{Region: "us-east-1", BaseEndpoint: &s.URL, Credentials: fixed(testCredentials),
		HTTPClient: countingClient{&tries, s.Client()}})
	_, err := client.ListChannels(t.Context(), &sdkivs.ListChannelsInput{})
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "NotImplementedException" || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

type countingClient struct {
	tries *int
	*http.Client
}

func (c countingClient) Do(r *http.Request) (*http.Response, error) {
	*c.tries++
	return c.Client.Do(r)
}

// pager lists stages, two by default.
type pager struct {
	ivsrealtime.Unimplemented
	api.Pager
}

func (p *pager) ListStages(_ context.Context, in *ivsrealtime.ListStagesRequest) (*ivsrealtime.ListStagesResponse, error) {
	names := []string{"a", "b", "c", "d", "e"}
	page, next, err := api.Page(&p.Pager, "ListStages", names, func(s string) string { return s }, in.MaxResults, in.NextToken, 2, 100)
	if err != nil {
		return nil, err
	}
	out := &ivsrealtime.ListStagesResponse{Stages: []ivsrealtime.StageSummary{}, NextToken: next}
	for _, n := range page {
		out.Stages = append(out.Stages, ivsrealtime.StageSummary{Arn: new(stageARN), Name: &n})
	}
	return out, nil
}

func TestSDKPaginator(t *testing.T) {
	s := serve(t, ivs.Unimplemented{}, new(pager), 0)
	pages := sdkrealtime.NewListStagesPaginator(s.realtime(), &sdkrealtime.ListStagesInput{})
	var got []string
	n := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n++
		for _, stage := range page.Stages {
			got = append(got, aws.ToString(stage.Name))
		}
	}
	if n != 3 || !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("%d pages with %v", n, got)
	}
	_, err := s.realtime().ListStages(t.Context(), &sdkrealtime.ListStagesInput{NextToken: aws.String("Zm9v")})
	if !is[*realtimetypes.ValidationException](err) {
		t.Errorf("a foreign token: %v", err)
	}
}
