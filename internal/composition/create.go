package composition

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Limits are how many compositions may be live at once.
type Limits struct {
	Account, Stage int
}

// Kinds of refusal.
var (
	ErrConflict = errors.New("conflict")
	ErrQuota    = errors.New("quota")
	ErrCapacity = errors.New("capacity")
	ErrMissing  = errors.New("composer missing")
)

// ErrStageGone is what Job says of a composition whose stage has been deleted.
var ErrStageGone = errors.New("stage gone")

// Refusal is why a composition is not started: Kind is one of the errors above, Message is for the caller.
type Refusal struct {
	Kind    error
	Message string
}

func (r *Refusal) Error() string { return r.Message }
func (r *Refusal) Unwrap() error { return r.Kind }

func refuse(kind error, format string, args ...any) error {
	return &Refusal{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Existing finds the composition that a request with this idempotency token has made, whatever has become since of
// what the request names. An ErrConflict says that it was another request.
func (m *Manager) Existing(ctx context.Context, token, requestHash string) (r Record, ok bool, err error) {
	if token == "" {
		return r, false, nil
	}
	all, err := m.records.List(ctx, "")
	if err != nil {
		return r, false, err
	}
	return existing(all, token, requestHash)
}

func existing(all []Record, token, requestHash string) (r Record, ok bool, err error) {
	for _, r := range all {
		switch {
		case token == "" || r.IdempotencyToken != token:
		case r.RequestHash == requestHash:
			return r, true, nil
		default:
			return Record{}, false, refuse(ErrConflict, "The idempotency token %s was used for another request", token)
		}
	}
	return Record{}, false, nil
}

// Create stores a composition and starts it. A record with the idempotency token of an existing one and the
// same request gives the existing one.
func (m *Manager) Create(ctx context.Context, r Record, limits Limits) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, err := m.records.List(ctx, "")
	if err != nil {
		return Record{}, err
	}
	if old, ok, err := existing(all, r.IdempotencyToken, r.RequestHash); ok || err != nil {
		return old, err
	}
	if err := admit(all, r, limits); err != nil {
		return Record{}, err
	}
	if err := m.carries(all, r); err != nil {
		return Record{}, err
	}
	if !m.hasComposer() {
		return Record{}, refuse(ErrMissing, "The server has no composer program: build it with `make build`, or name it with `footlight serve --composer FILE`")
	}
	if err := m.records.Create(ctx, r.ID, r); err != nil {
		return Record{}, err
	}
	m.begin(r)
	return r, nil
}

// hasComposer tells whether the composer program is there, and logs when it is not.
func (m *Manager) hasComposer() bool {
	info, err := os.Stat(m.Composer)
	if err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
		return true
	}
	m.Log.Error("no composer program: compositions will be refused; build it with `make build`, or name it with --composer", "path", m.Composer, "error", err)
	return false
}

// admit holds a new composition against those that have not ended.
func admit(all []Record, r Record, limits Limits) error {
	account, stage := 0, 0
	for _, other := range all {
		if other.State.Ended() {
			continue
		}
		account++
		if other.StageARN == r.StageARN {
			stage++
		}
		for _, d := range r.Destinations {
			if !d.Records() && other.uses(d.ChannelARN) {
				return refuse(ErrConflict, "Channel: %s is a destination of another composition", d.ChannelARN)
			}
		}
	}
	if account >= limits.Account {
		return refuse(ErrQuota, "The quota of %d concurrent compositions is used up", limits.Account)
	}
	if stage >= limits.Stage {
		return refuse(ErrQuota, "The quota of %d concurrent compositions per stage is used up", limits.Stage)
	}
	return nil
}
