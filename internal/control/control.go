package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/footlight-live/footlight/internal/api"
	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/api/ivsrealtime"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/ingest"
	"github.com/footlight-live/footlight/internal/objectstore"
	"github.com/footlight-live/footlight/internal/record"
	"github.com/footlight-live/footlight/internal/stage"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/token"
)

// Control answers for the resources of one account in one region. Set the fields, then Start, then use it
// from any goroutine, then Close. Streams, Stages, Ingests and Compositions may be set after Start, before the first
// request.
type Control struct {
	Account arn.Account  // default us-east-1, 000000000000
	Store   *store.Store // required
	URLs    func() URLs  // public addresses, asked for at every response
	// Local are the addresses under which programs on this machine reach the server; default URLs. Composers use
	// them: what is public may lie behind a proxy, or be a name that does not lead back here.
	Local  func() URLs
	Quotas Quotas
	Rates  Rates
	// Countries finds viewers for the policies that name countries; nil: there can be no such policies.
	Countries Countries
	Log       *slog.Logger     // default: discard
	Now       func() time.Time // wall clock; default time.Now

	// Keyring signs participant tokens and Pager the tokens of List operations. Start makes those that are
	// nil, with keys that it keeps in the store.
	Keyring *token.Keyring
	Pager   *api.Pager

	// Objects has the buckets of storage and recording configurations; without it none can be created.
	Objects objectstore.Store

	// Recorder records; without it nothing is.
	Recorder *record.Recorder

	Streams      Streams
	Stages       Stages
	Ingests      Ingests
	Compositions Compositions
	Events       Events // nil: nobody is told

	buckets
	ingestSecret []byte // makes the stream keys of compositions
	sessionKey   []byte // see PlaybackSessionKey
	linkKey      []byte // see RecordingLinkKey

	paces          paces
	revokedViewers revokedViewers

	// counting is held from counting the resources of a kind until one more is stored, so that the quotas hold: for
	// reading as long as those that are creating would fit even if all were of the kind, else for writing.
	counting sync.RWMutex
	creating atomic.Int64
	// tapes are the recordings of channels that are not over.
	tapes tapes
	// participantTapes are those of participants.
	participantTapes participantTapes
	// references is held for reading from looking a resource up until what refers to it is stored, and for
	// writing from finding that nothing refers to a resource until that is gone.
	references sync.RWMutex

	background background
	settling   time.Duration // default defaultSettling

	decoding sync.Mutex // one image at a time has its pixels in memory

	publishing    publishing
	stageJournal  *journal
	streamJournal *journal
	// recordingJournal writes what happens to recordings.
	recordingJournal *journal
}

// buckets are the records, by resource.
type buckets struct {
	secrets  *store.Bucket[secretRecord]
	channels *store.Bucket[channelRecord] // by channel id
	// streamKeys leads from a stream key's id to its channel, whose record holds the key itself.
	streamKeys     *store.Bucket[streamKeyIndex]
	streamSessions *store.Bucket[streamSessionRecord] // channel/stream
	stages         *store.Bucket[stageRecord]         // by stage id
	revocations    *store.Bucket[revocationRecord]    // stage/participant
	stageSessions  *store.Bucket[stageSessionRecord]  // stage/session
	participants   *store.Bucket[participantRecord]   // stage/session/participant
	events         *store.Bucket[eventRecord]         // stage/session/participant/order
	replications   *store.Bucket[replicationRecord]   // source stage/participant/destination stage
	encoders       *store.Bucket[encoderRecord]       // by encoder configuration id
	publicKeys     *store.Bucket[publicKeyRecord]     // by public key id
	storages       *store.Bucket[storageRecord]       // by storage configuration id
	recordings     *store.Bucket[recordingRecord]     // by recording configuration id
	recorded       *store.Bucket[recordedRecord]      // by recording id
	scenes         *store.Bucket[NamedScene]          // by name
	images         *store.Objects                     // by name
	ingests        *store.Bucket[ingestRecord]        // by ingest configuration id

	playbackKeys      *store.Bucket[playbackKeyRecord]      // by playback key pair id
	policies          *store.Bucket[policyRecord]           // by playback restriction policy id
	adConfigurations  *store.Bucket[adConfigurationRecord]  // by ad configuration id
	viewerRevocations *store.Bucket[viewerRevocationRecord] // channel/hash of the viewer
	usedTokens        *store.Bucket[usedTokenRecord]        // channel/hash of the claim
}

// historyRetention is how long sessions, participants and events are kept: what IVS keeps stream sessions
// (spec/realtime.md §1).
const historyRetention = 60 * 24 * time.Hour

// Start opens the records, ends the sessions that an earlier process left open, and sweeps what a crash
// left behind.
func (c *Control) Start(ctx context.Context) error {
	if c.Store == nil {
		return errors.New("start control: no store")
	}
	if c.Account.Region == "" {
		c.Account.Region = "us-east-1"
	}
	if c.Account.ID == "" {
		c.Account.ID = "000000000000"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("component", "control")
	if c.Now == nil {
		c.Now = time.Now
	}
	c.background.open()
	for _, step := range []func(context.Context) error{
		c.openBuckets, c.loadSecrets, c.sweepChannels, c.sweepStages, c.sweepReplications, c.detachIngests, c.resumeRecordings,
	} {
		if err := step(ctx); err != nil {
			c.background.close()
			return fmt.Errorf("start control: %w", err)
		}
	}
	c.stageJournal = startJournal(c.Log.With("journal", "stages"))
	c.streamJournal = startJournal(c.Log.With("journal", "streams"))
	c.recordingJournal = startJournal(c.Log.With("journal", "recordings"))
	return nil
}

// Close writes down what the live side has reported and ends. The store must still be open.
func (c *Control) Close() {
	c.background.close()
	for _, j := range []*journal{c.stageJournal, c.streamJournal, c.recordingJournal} {
		if j != nil {
			j.close()
		}
	}
}

func (c *Control) openBuckets(ctx context.Context) error {
	history := store.Retain(historyRetention)
	return errors.Join(
		open(ctx, c, &c.secrets, "secrets"),
		mirror(ctx, c, &c.channels, "channels", func(a, b *channelRecord) int { return byAge(a.Created, a.ID, b.Created, b.ID) }, c.listChannel),
		open(ctx, c, &c.streamKeys, "stream-keys"),
		open(ctx, c, &c.streamSessions, "stream-sessions", history),
		mirror(ctx, c, &c.stages, "stages", func(a, b *stageRecord) int { return byAge(a.Created, a.ID, b.Created, b.ID) }, nil),
		open(ctx, c, &c.revocations, "revocations"),
		open(ctx, c, &c.stageSessions, "stage-sessions", history),
		open(ctx, c, &c.participants, "participants", history),
		open(ctx, c, &c.events, "participant-events", history),
		open(ctx, c, &c.replications, "participant-replications", history),
		open(ctx, c, &c.encoders, "encoder-configurations"),
		open(ctx, c, &c.publicKeys, "public-keys"),
		open(ctx, c, &c.storages, "storage-configurations"),
		open(ctx, c, &c.recordings, "recording-configurations"),
		open(ctx, c, &c.recorded, "recordings", history),
		open(ctx, c, &c.scenes, "scenes"),
		c.openImages(ctx),
		open(ctx, c, &c.ingests, "ingest-configurations"),
		open(ctx, c, &c.playbackKeys, "playback-keys"),
		open(ctx, c, &c.policies, "playback-restriction-policies"),
		open(ctx, c, &c.adConfigurations, "ad-configurations"),
		open(ctx, c, &c.viewerRevocations, "viewer-revocations"),
		open(ctx, c, &c.usedTokens, "used-playback-tokens"),
	)
}

func (c *Control) openImages(ctx context.Context) (err error) {
	c.images, err = store.NewObjects(ctx, c.Store, "images")
	return err
}

func open[T any](ctx context.Context, c *Control, b **store.Bucket[T], name string, opts ...store.BucketOption) (err error) {
	*b, err = store.NewBucket[T](ctx, c.Store, name, opts...)
	return err
}

// mirror opens a bucket that is kept in memory, in order.
func mirror[T any](ctx context.Context, c *Control, b **store.Bucket[T], name string, order func(a, b *T) int, derive func(*T)) (err error) {
	*b, err = store.Mirrored(ctx, c.Store, name, order, derive)
	return err
}

// The two services share Control. What it has wins over the refusals of Unimplemented because these lie one
// level of embedding deeper; only the tag operations, which both services have, are written per service.
type (
	ivsNotBuilt      struct{ ivs.Unimplemented }
	realTimeNotBuilt struct{ ivsrealtime.Unimplemented }

	ivsService struct {
		*Control
		ivsNotBuilt
	}
	realTimeService struct {
		*Control
		realTimeNotBuilt
	}
)

// IVS is the service of channels.
func (c *Control) IVS() ivs.Service { return ivsService{Control: c} }

// RealTime is the service of stages and compositions.
func (c *Control) RealTime() ivsrealtime.Service { return realTimeService{Control: c} }

// StageObserver hears what happens on the stages.
func (c *Control) StageObserver() stage.Observer { return stageObserver{c} }

// StreamObserver hears what happens to the live streams of channels.
func (c *Control) StreamObserver() channel.Observer { return streamObserver{c} }

var (
	_ stage.Admission   = (*Control)(nil)
	_ ingest.Directory  = (*Control)(nil)
	_ channel.Directory = (*Control)(nil)
	_ channel.Gate      = (*Control)(nil)
)
