package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/footlight-live/footlight/internal/api/ivs"
	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/channel"
	"github.com/footlight-live/footlight/internal/store"
	"github.com/footlight-live/footlight/internal/transcode/ladder"
)

// The first parts of stream keys: of encoders, of compositions, and those that are given out for multitrack input.
const (
	encoderKey     = "sk"
	compositionKey = "cp"
	derivedKey     = "mk" // of encoders, see multitrackKey
)

// ResolveStreamKey says whom a stream key lets in, or channel.ErrUnknownStreamKey. Keys have the form
// sk_<region>_<channel>_<secret>, those of compositions cp_<region>_<channel>_<composition>_<secret>; the latter
// open the channel until their composition ends.
func (c *Control) ResolveStreamKey(ctx context.Context, key string) (channel.Publisher, error) {
	parts := strings.Split(key, "_")
	if len(parts) < 4 || parts[1] != c.Account.Region {
		return channel.Publisher{}, channel.ErrUnknownStreamKey
	}
	r, _, err := c.channels.Get(ctx, parts[2])
	if errors.Is(err, store.ErrNotFound) {
		return channel.Publisher{}, channel.ErrUnknownStreamKey
	}
	if err != nil {
		return channel.Publisher{}, fmt.Errorf("resolve stream key: %w", err)
	}
	p := channel.Publisher{Channel: c.liveChannel(r), Passphrase: c.srtPassphrase(r.ID)}
	if p.Channel.RecordedSizes, err = c.recordedSizes(ctx, r); err != nil {
		return channel.Publisher{}, fmt.Errorf("resolve stream key: %w", err)
	}
	switch {
	case len(parts) == 4 && parts[0] == encoderKey && r.StreamKey != nil && same(key, c.streamKeyValue(r.ID, *r.StreamKey)):
		p.Source, p.AllowPlain = "encoder", r.InsecureIngest
	case len(parts) == 5 && parts[0] == derivedKey && r.StreamKey != nil && r.Multitrack.Enabled &&
		c.derived(key, c.multitrackName(r.ID), c.streamKeyValue(r.ID, *r.StreamKey)):
		p.Source, p.AllowPlain = "encoder", r.InsecureIngest
	case len(parts) == 5 && parts[0] == compositionKey && same(key, c.compositionKeyValue(r.ID, parts[3])):
		// The key can be made again at any time, so what revokes it is the end of its composition.
		feeds, err := c.feeds(ctx, parts[3], p.Channel.ARN)
		if err != nil {
			return channel.Publisher{}, fmt.Errorf("resolve stream key: %w", err)
		}
		if !feeds {
			return channel.Publisher{}, channel.ErrUnknownStreamKey
		}
		p.Source, p.AllowPlain = "composition/"+parts[3], true
	default:
		return channel.Publisher{}, channel.ErrUnknownStreamKey
	}
	return p, nil
}

// multitrackKeyLife is how long a key opens its channel that was given out for multitrack input (spec/lowlatency.md §3).
const multitrackKeyLife = 48 * time.Hour

// multitrackKey is mk_<region>_<channel>_<end>_<secret>, derived from the channel's stream key.
func (c *Control) multitrackKey(channelID string, key streamKeyRecord, end time.Time) string {
	return c.derive(c.multitrackName(channelID), c.streamKeyValue(channelID, key), end)
}

func (c *Control) multitrackName(channelID string) string {
	return derivedKey + "_" + c.Account.Region + "_" + channelID
}

// derive is a key <name>_<end>_<secret>, with the end in Unix seconds, for what own opens until then. It is computed from
// that one, so that nothing of it is stored and it dies with it.
func (c *Control) derive(name, own string, end time.Time) string {
	public := name + "_" + strconv.FormatInt(end.Unix(), 10)
	mac := hmac.New(sha256.New, c.ingestSecret)
	mac.Write([]byte(public + "\x00" + own))
	return public + "_" + hex.EncodeToString(mac.Sum(nil))
}

// derived tells whether a key was derived from own with this name, and still holds.
func (c *Control) derived(key, name, own string) bool {
	text, _, _ := strings.Cut(strings.TrimPrefix(key, name+"_"), "_")
	seconds, err := strconv.ParseInt(text, 10, 64)
	end := time.Unix(seconds, 0)
	return err == nil && c.Now().Before(end) && same(key, c.derive(name, own, end))
}

// channelOfKey is the channel's id in an encoder's stream key, valid or not.
func (c *Control) channelOfKey(key string) (string, bool) {
	parts := strings.Split(key, "_")
	if len(parts) != 4 || parts[0] != encoderKey {
		return "", false
	}
	return parts[2], true
}

// same compares secrets in a time that tells nothing about them.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// ResolveChannel finds a channel by the parts of its playback URL, or channel.ErrUnknownChannel.
func (c *Control) ResolveChannel(ctx context.Context, region, account, channelID string) (channel.Channel, error) {
	if (arn.Account{Region: region, ID: account}) != c.Account {
		return channel.Channel{}, channel.ErrUnknownChannel
	}
	r, _, err := c.channels.Get(ctx, channelID)
	if errors.Is(err, store.ErrNotFound) {
		return channel.Channel{}, channel.ErrUnknownChannel
	}
	if err != nil {
		return channel.Channel{}, fmt.Errorf("resolve channel: %w", err)
	}
	return c.liveChannel(r), nil
}

func (c *Control) liveChannel(r channelRecord) channel.Channel {
	return channel.Channel{
		ARN: c.channelARN(r.ID), ID: r.ID, Name: r.Name, Authorized: r.Authorized, Restricted: r.RestrictionPolicy != "",
		Recorded: r.RecordingConfiguration != "",
		Basic:    r.Type == ivs.ChannelTypeBasic, NormalLatency: r.LatencyMode == ivs.ChannelLatencyModeNormal,
		FragmentedMP4: r.Container == ivs.ContainerFormatFragmentedMp4, Multitrack: r.Multitrack.live(), Ladder: r.ladder(),
	}
}

// ladder is in which sizes the channel's picture is shown.
func (r channelRecord) ladder() channel.Ladder {
	if r.Preset == "" {
		return channel.Ladder{}
	}
	return channel.Ladder{Type: ladder.Type(r.Type), Preset: ladder.Preset(r.Preset)}
}

// CompositionStreamKey is the key with which a composition publishes to a channel of this account. It is
// always the same for the same two, and nothing of it is stored.
func (c *Control) CompositionStreamKey(channelARN, compositionID string) (string, error) {
	a, err := c.ours(channelARN, arn.Channel)
	if err != nil {
		return "", fmt.Errorf("stream key of composition %s: %w", compositionID, err)
	}
	if compositionID == "" || strings.Contains(compositionID, "_") {
		return "", fmt.Errorf("stream key of composition %q: not an id", compositionID)
	}
	return c.compositionKeyValue(a.ID, compositionID), nil
}

func (c *Control) compositionKeyValue(channelID, compositionID string) string {
	public := compositionKey + "_" + c.Account.Region + "_" + channelID + "_" + compositionID
	mac := hmac.New(sha256.New, c.ingestSecret)
	mac.Write([]byte(public))
	return public + "_" + hex.EncodeToString(mac.Sum(nil))
}

// srtPassphrase is what encrypts SRT to a channel, 64 characters. It is always the same, and nothing of it is stored.
func (c *Control) srtPassphrase(channelID string) string {
	mac := hmac.New(sha256.New, c.ingestSecret)
	mac.Write([]byte("srt\x00" + channelID))
	return hex.EncodeToString(mac.Sum(nil))
}
