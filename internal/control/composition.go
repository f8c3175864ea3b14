package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/composer/layout"
	"github.com/footlight-live/footlight/internal/composer/wire"
	"github.com/footlight-live/footlight/internal/composition"
	"github.com/footlight-live/footlight/internal/store"
)

// CompositionsOf makes the manager of compositions what Control needs of it.
func CompositionsOf(m *composition.Manager) Compositions { return managed{m} }

// managed are the compositions of a server that runs them.
type managed struct{ *composition.Manager }

func (m managed) InUse(ctx context.Context, _ arn.Type, resourceARN string) (bool, error) {
	return m.Manager.InUse(ctx, resourceARN) // an ARN holds its type
}

// Tags, and ChangeTags after it, make managed Tagged.
func (m managed) Tags(ctx context.Context, id string) (map[string]string, error) {
	r, err := m.Get(ctx, id)
	return r.Tags, orNotFound(err, "composition/"+id)
}

func (m managed) ChangeTags(ctx context.Context, id string, change func(map[string]string) error) error {
	return orNotFound(m.Manager.ChangeTags(ctx, id, change), "composition/"+id)
}

func (c *Control) manager() (*composition.Manager, error) {
	m, ok := c.Compositions.(managed)
	if !ok {
		return nil, notBuilt("This server does not run compositions")
	}
	return m.Manager, nil
}

// LiveTag is the tag of StartComposition that has the mix published to the stage over WebRTC too, with the value
// liveOn. Who may subscribe on the stage watches it as participant token.ComposerPrefix + composition id.
const (
	LiveTag = "footlight:webrtc"
	liveOn  = "on"
)

// MP4Tag is the tag of StartComposition that has one MP4 made of each of its recordings once it is over, with the value mp4On.
const (
	MP4Tag = "footlight:mp4"
	mp4On  = "on"
)

// CompositionJob is what a composer has to do now for a composition: addresses, token and stream keys are
// made anew for each start, and destinations that have ended are left out. The error is composition.ErrStageGone
// when there is no such stage any more.
func (c *Control) CompositionJob(ctx context.Context, r composition.Record) (wire.Job, error) {
	stage, err := arn.Parse(r.StageARN)
	if err != nil {
		return wire.Job{}, fmt.Errorf("job of composition %s: %w", r.ID, err)
	}
	if _, _, err := c.stages.Get(ctx, stage.ID); errors.Is(err, store.ErrNotFound) {
		return wire.Job{}, fmt.Errorf("job of composition %s: %s: %w", r.ID, r.StageARN, composition.ErrStageGone)
	} else if err != nil {
		return wire.Job{}, fmt.Errorf("job of composition %s: %w", r.ID, err)
	}
	token, err := c.ComposerToken(r.StageARN, r.ID)
	if err != nil {
		return wire.Job{}, err
	}
	urls := c.localURLs()
	job := wire.Job{
		CompositionID: r.ID, EventsURL: urls.Events + "/" + stage.ID, WHIPURL: urls.WHIP, Token: token,
		Layout: r.Layout, Tags: r.Tags, Live: r.Tags[LiveTag] == liveOn,
	}
	for _, d := range r.Destinations {
		if d.State.Ended() {
			continue
		}
		var key string
		if d.Records() {
			key = c.recordingKey(r.ID, d.ID)
		} else if key, err = c.CompositionStreamKey(d.ChannelARN, r.ID); err != nil {
			return wire.Job{}, err
		}
		job.Outputs = append(job.Outputs, wire.OutputJob{
			DestinationID: d.ID, URL: urls.RTMP, StreamKey: key,
			Width: d.Video.Width, Height: d.Video.Height, FrameRate: d.Video.FrameRate, BitRate: d.Video.BitRate,
		})
	}
	return job, nil
}

// StartComposition composes a stage to a channel, a recording or both from now on. It answers STARTING at once; what fails later
// is seen with GetComposition.
func (c *Control) StartComposition(ctx context.Context, in *ivsrealtime.StartCompositionRequest) (*ivsrealtime.StartCompositionResponse, error) {
	m, err := c.manager()
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	digest, err := requestDigest(in)
	if err != nil {
		return nil, err
	}
	// What has been started stays started, even if what it names has gone since.
	if r, ok, err := m.Existing(ctx, value(in.IdempotencyToken, ""), digest); err != nil {
		return nil, refusal(err)
	} else if ok {
		return &ivsrealtime.StartCompositionResponse{Composition: c.viewComposition(r)}, nil
	}
	c.references.RLock()
	defer c.references.RUnlock()
	r, err := c.newComposition(ctx, in)
	if err != nil {
		return nil, err
	}
	r.RequestHash = digest
	r, err = m.Create(ctx, r, composition.Limits{Account: c.Quotas.compositions().max, Stage: c.Quotas.compositionsPerStage().max})
	if err != nil {
		return nil, refusal(err)
	}
	return &ivsrealtime.StartCompositionResponse{Composition: c.viewComposition(r)}, nil
}

// refusal turns the manager's refusals into the API's errors.
func refusal(err error) error {
	switch {
	case errors.Is(err, composition.ErrConflict):
		return api.ConflictException("%v", err)
	case errors.Is(err, composition.ErrQuota), errors.Is(err, composition.ErrCapacity):
		return api.ServiceQuotaExceededException("%v", err)
	case errors.Is(err, composition.ErrMissing):
		// Said to the caller, unlike other faults of the server: who runs both can mend it.
		return &api.Error{Code: "InternalServerException", Status: http.StatusInternalServerError, Message: err.Error()}
	}
	return err
}

// newComposition checks a request by itself and against the resources that it names.
func (c *Control) newComposition(ctx context.Context, in *ivsrealtime.StartCompositionRequest) (composition.Record, error) {
	none := composition.Record{}
	if err := checkDestinations(in.Destinations); err != nil {
		return none, err
	}
	lay, err := fullLayout(in.Layout)
	if err != nil {
		return none, err
	}
	stage, err := c.reference("stageArn", *in.StageArn, arn.Stage)
	if err != nil {
		return none, err
	}
	if _, err := c.findStage(ctx, stage.ID, *in.StageArn); err != nil {
		return none, err
	}
	scene, err := c.SceneFor(ctx, in.Tags)
	if err != nil {
		return none, err
	}
	if v, ok := in.Tags[LiveTag]; ok && v != liveOn {
		return none, api.ValidationException("tag %s: the value is %q or the tag is left out", LiveTag, liveOn)
	}
	if v, ok := in.Tags[MP4Tag]; ok && v != mp4On {
		return none, api.ValidationException("tag %s: the value is %q or the tag is left out", MP4Tag, mp4On)
	} else if ok && !slices.ContainsFunc(in.Destinations, func(d ivsrealtime.DestinationConfiguration) bool { return d.S3 != nil }) {
		return none, api.ValidationException("tag %s: no destination is a recording", MP4Tag)
	}
	r := composition.Record{
		ID: arn.NewID(12), StageARN: *in.StageArn, State: composition.Starting, Started: c.Now().UTC(), Layout: lay, Scene: scene, Tags: in.Tags,
		IdempotencyToken: value(in.IdempotencyToken, ""),
	}
	for i, d := range in.Destinations {
		var dest composition.Destination
		if d.S3 != nil {
			dest, err = c.newRecordingDestination(ctx, fmt.Sprintf("destinations[%d].s3", i), stage.ID, r.ID, d.S3)
		} else {
			dest, err = c.newDestination(ctx, fmt.Sprintf("destinations[%d].channel", i), d.Channel)
		}
		dest.Name = value(d.Name, "")
		if err != nil {
			return none, err
		}
		r.Destinations = append(r.Destinations, dest)
	}
	return r, nil
}

func (c *Control) newDestination(ctx context.Context, member string, in *ivsrealtime.ChannelDestinationConfiguration) (composition.Destination, error) {
	d := composition.Destination{ID: arn.NewID(12), State: composition.Starting,
		ChannelARN: *in.ChannelArn, EncoderARN: value(in.EncoderConfigurationArn, "")}
	channel, err := c.reference(member+".channelArn", d.ChannelARN, arn.Channel)
	if err != nil {
		return d, err
	}
	if _, err := c.findChannel(ctx, channel.ID, d.ChannelARN); err != nil {
		return d, err
	}
	d.Video, err = c.encoding(ctx, member+".encoderConfigurationArn", d.EncoderARN)
	return d, err
}

// encoding is what an encoder configuration says, or the default profile when there is none.
func (c *Control) encoding(ctx context.Context, member, encoderARN string) (composition.Video, error) {
	video := defaultVideo
	if encoderARN != "" {
		encoder, err := c.reference(member, encoderARN, arn.EncoderConfiguration)
		if err != nil {
			return composition.Video{}, err
		}
		e, err := c.findEncoder(ctx, encoder.ID, encoderARN)
		if err != nil {
			return composition.Video{}, err
		}
		video = e.Video
	}
	return composition.Video{Width: int(video.Width), Height: int(video.Height), FrameRate: video.FrameRate, BitRate: int(video.BitRate)}, nil
}

// checkDestinations: each is a channel or a recording, and there is at most one of each.
func checkDestinations(ds []ivsrealtime.DestinationConfiguration) error {
	channels, recordings := 0, 0
	for i, d := range ds {
		switch {
		case d.Channel != nil && d.S3 != nil:
			return api.ValidationException("destinations[%d]: both channel and s3 are given; only one can be", i)
		case d.Channel != nil:
			channels++
		case d.S3 != nil:
			recordings++
		default:
			return api.ValidationException("destinations[%d]: neither channel nor s3 is given", i)
		}
	}
	if channels > 1 || recordings > 1 {
		return api.ValidationException("destinations: at most one channel and one s3 destination are allowed")
	}
	return nil
}

// fullLayout is a layout with all its defaults, as responses show it (spec/composition.md §2).
func fullLayout(in *ivsrealtime.LayoutConfiguration) (json.RawMessage, error) {
	out := ivsrealtime.LayoutConfiguration{}
	switch {
	case in != nil && in.Grid != nil && in.Pip != nil:
		return nil, api.ValidationException("layout: both grid and pip are given; only one can be")
	case in != nil && in.Pip != nil:
		p := *in.Pip
		out.Pip = &p
		orDefault(&p.FeaturedParticipantAttribute, "")
		orDefault(&p.OmitStoppedVideo, false)
		orDefault(&p.VideoFillMode, "COVER")
		orDefault(&p.GridGap, 0)
		orDefault(&p.PipParticipantAttribute, "")
		orDefault(&p.PipBehavior, "STATIC")
		orDefault(&p.PipOffset, 0)
		orDefault(&p.PipPosition, "BOTTOM_RIGHT")
		orDefault(&p.ParticipantOrderAttribute, "")
	default:
		g := ivsrealtime.GridConfiguration{}
		if in != nil && in.Grid != nil {
			g = *in.Grid
		}
		out.Grid = &g
		orDefault(&g.FeaturedParticipantAttribute, "")
		orDefault(&g.OmitStoppedVideo, false)
		orDefault(&g.VideoAspectRatio, "VIDEO")
		orDefault(&g.VideoFillMode, "") // not a member of the enum, yet what responses say
		orDefault(&g.GridGap, 2)
		orDefault(&g.ParticipantOrderAttribute, "")
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode layout: %w", err)
	}
	if _, err := layout.ParseConfig(b); err != nil {
		return nil, api.ValidationException("layout: %v", err)
	}
	return b, nil
}

// orDefault gives an absent member its default.
func orDefault[T any](p **T, def T) {
	if *p == nil {
		*p = &def
	}
}

// requestDigest tells whether two requests with one idempotencyToken ask for the same.
func requestDigest(in *ivsrealtime.StartCompositionRequest) (string, error) {
	body := *in
	body.IdempotencyToken = nil
	b, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("digest request: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// GetComposition shows one composition.
func (c *Control) GetComposition(ctx context.Context, in *ivsrealtime.GetCompositionRequest) (*ivsrealtime.GetCompositionResponse, error) {
	m, err := c.manager()
	if err != nil {
		return nil, err
	}
	a, err := c.ours(*in.Arn, arn.Composition)
	if err != nil {
		return nil, err
	}
	r, err := m.Get(ctx, a.ID)
	if err != nil {
		return nil, orNotFound(err, *in.Arn)
	}
	return &ivsrealtime.GetCompositionResponse{Composition: c.viewComposition(r)}, nil
}

// ListCompositions shows those that pass both filters.
func (c *Control) ListCompositions(ctx context.Context, in *ivsrealtime.ListCompositionsRequest) (*ivsrealtime.ListCompositionsResponse, error) {
	m, err := c.manager()
	if err != nil {
		return nil, err
	}
	stage, encoder := value(in.FilterByStageArn, ""), value(in.FilterByEncoderConfigurationArn, "")
	if stage != "" {
		if _, err := parse(stage, arn.Stage); err != nil {
			return nil, err
		}
	}
	if encoder != "" {
		if _, err := parse(encoder, arn.EncoderConfiguration); err != nil {
			return nil, err
		}
	}
	all, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	var list []composition.Record
	for _, r := range all {
		if (stage == "" || r.StageARN == stage) && (encoder == "" || r.Encodes(encoder)) {
			list = append(list, r)
		}
	}
	page, next, err := oldestFirst(c, "ListCompositions "+stage+" "+encoder, list,
		func(r composition.Record) string { return orderKey(r.Started, r.ID) }, in.MaxResults, in.NextToken, pageOf100)
	if err != nil {
		return nil, err
	}
	return &ivsrealtime.ListCompositionsResponse{Compositions: each(page, c.summarizeComposition), NextToken: next}, nil
}

// StopComposition begins a graceful end. Stopping again what is stopping or has stopped changes nothing.
func (c *Control) StopComposition(ctx context.Context, in *ivsrealtime.StopCompositionRequest) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	a, err := c.ours(*in.Arn, arn.Composition)
	if err != nil {
		return err
	}
	return orNotFound(m.Stop(ctx, a.ID), *in.Arn)
}

func (c *Control) viewComposition(r composition.Record) *ivsrealtime.Composition {
	var lay ivsrealtime.LayoutConfiguration
	if err := json.Unmarshal(r.Layout, &lay); err != nil {
		c.Log.Error("stored layout is damaged", "composition", r.ID, "error", err)
	}
	return &ivsrealtime.Composition{
		Arn: new(c.compositionARN(r.ID)), StageArn: &r.StageARN, State: new(string(r.State)), Layout: &lay,
		Destinations: each(r.Destinations, viewDestination), Tags: given(r.Tags),
		StartTime: api.TimeOf(r.Started), EndTime: timeOrNil(r.Ended),
	}
}

func viewDestination(d composition.Destination) ivsrealtime.Destination {
	if d.Records() {
		return viewRecordingDestination(d)
	}
	config := &ivsrealtime.ChannelDestinationConfiguration{ChannelArn: &d.ChannelARN}
	if d.EncoderARN != "" {
		config.EncoderConfigurationArn = &d.EncoderARN
	}
	return ivsrealtime.Destination{
		Id: &d.ID, State: new(string(d.State)), StartTime: timeOrNil(d.Started), EndTime: timeOrNil(d.Ended),
		Configuration: &ivsrealtime.DestinationConfiguration{Name: &d.Name, Channel: config},
	}
}

func (c *Control) summarizeComposition(r composition.Record) ivsrealtime.CompositionSummary {
	return ivsrealtime.CompositionSummary{
		Arn: new(c.compositionARN(r.ID)), StageArn: &r.StageARN, State: new(string(r.State)), Tags: given(r.Tags),
		StartTime: api.TimeOf(r.Started), EndTime: timeOrNil(r.Ended),
		Destinations: each(r.Destinations, func(d composition.Destination) ivsrealtime.DestinationSummary {
			return ivsrealtime.DestinationSummary{Id: &d.ID, State: new(string(d.State)), StartTime: timeOrNil(d.Started), EndTime: timeOrNil(d.Ended)}
		}),
	}
}

func (c *Control) compositionARN(id string) string { return c.Account.Of(arn.Composition, id).String() }

// timeOrNil leaves a time that has not come out of the response.
func timeOrNil(t time.Time) *api.Time {
	if t.IsZero() {
		return nil
	}
	return api.TimeOf(t)
}
