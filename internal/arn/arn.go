// Package arn names Footlight's resources the way Amazon IVS does.
//
// Every resource has the form arn:aws:ivs:<region>:<account>:<type>/<id>;
// both services share the partition and the service part.
package arn

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// Type is the resource type in an ARN.
type Type string

// The resource types of IVS and IVS Real-Time.
const (
	Channel                   Type = "channel"
	StreamKey                 Type = "stream-key"
	PlaybackKey               Type = "playback-key"
	RecordingConfiguration    Type = "recording-configuration"
	PlaybackRestrictionPolicy Type = "playback-restriction-policy"
	AdConfiguration           Type = "ad-configuration"
	Stage                     Type = "stage"
	Composition               Type = "composition"
	EncoderConfiguration      Type = "encoder-configuration"
	StorageConfiguration      Type = "storage-configuration"
	IngestConfiguration       Type = "ingest-configuration"
	PublicKey                 Type = "public-key"
)

// Account is the region and account that a server answers for.
type Account struct {
	Region string // for example us-east-1
	ID     string // twelve digits
}

// ARN is a parsed resource name.
type ARN struct {
	Account
	Type Type
	ID   string
}

// Of builds the ARN of a resource of this account.
func (a Account) Of(t Type, id string) ARN { return ARN{Account: a, Type: t, ID: id} }

// String returns the ARN in its wire form.
func (a ARN) String() string {
	return "arn:aws:ivs:" + a.Region + ":" + a.Account.ID + ":" + string(a.Type) + "/" + a.ID
}

// Parse reads the wire form. It accepts any region, account and type that are not empty;
// whether the resource is ours is the caller's question.
func Parse(s string) (ARN, error) {
	rest, ok := strings.CutPrefix(s, "arn:aws:ivs:")
	if !ok {
		return ARN{}, fmt.Errorf("parse arn %q: it does not start with arn:aws:ivs: as ours do", s)
	}
	region, rest, ok1 := strings.Cut(rest, ":")
	account, rest, ok2 := strings.Cut(rest, ":")
	typ, id, ok3 := strings.Cut(rest, "/")
	if !ok1 || !ok2 || !ok3 || region == "" || account == "" || typ == "" || id == "" {
		return ARN{}, fmt.Errorf("parse arn %q: want arn:aws:ivs:region:account:type/id", s)
	}
	return ARN{Account: Account{Region: region, ID: account}, Type: Type(typ), ID: id}, nil
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// NewID returns n random characters of [A-Za-z0-9], from the system's secure source.
// Resource ids have 12.
func NewID(n int) string {
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/4+1)
	for len(out) < n {
		rand.Read(buf)
		for _, b := range buf {
			// 248 is the largest multiple of 62 in a byte: taking only those keeps every character equally likely.
			if b < 248 && len(out) < n {
				out = append(out, alphanumeric[b%62])
			}
		}
	}
	return string(out)
}
