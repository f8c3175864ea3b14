package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/footlight-live/footlight/internal/accesskey"
)

// notFound names resources that do not exist in otherwise valid inputs.
func notFound(c *check) {
	replica := M{"sourceStageArn": none("stage"), "destinationStageArn": c.Stage, "participantId": "nobody"}
	special := map[string]M{
		"CreateChannel":               {"playbackRestrictionPolicyArn": none("playback-restriction-policy")},
		"StartParticipantReplication": replica, "StopParticipantReplication": replica,
	}
	for _, op := range c.operations.sorted() {
		if !slices.Contains(op.Errors, "ResourceNotFoundException") {
			continue
		}
		in, ok := special[op.name]
		if !ok {
			in = gone(c.example(op.name, none)).(M)
		}
		if !ok && strings.HasPrefix(op.call, "Create") && op.name != "CreateStreamKey" && op.name != "CreateParticipantToken" {
			continue // refers to nothing that could be missing; a folder as object store has every bucket
		}
		c.run(strings.ReplaceAll(op.name, " ", "_"), func(c *check) { c.refused("ResourceNotFoundException", op.name, in) })
	}
}

// gone replaces ARNs by those of resources that do not exist.
func gone(x any) any {
	switch x := x.(type) {
	case M:
		out := M{}
		for name, value := range x {
			out[name] = gone(value)
		}
		return out
	case []any:
		var out []any
		for _, value := range x {
			out = append(out, gone(value))
		}
		return out
	case string:
		if kind, _, ok := strings.Cut(strings.TrimPrefix(x, "arn:aws:ivs:us-east-1:000000000000:"), "/"); ok && strings.HasPrefix(x, "arn:aws:ivs:") {
			return none(kind)
		}
	}
	return x
}

// accessDenied calls what changes anything with a key that may only read. What only reads has no such error here:
// every key may read everything.
func accessDenied(c *check) {
	key, err := accesskey.Create(c.DataDir, "conformance", true)
	if err != nil {
		c.Fatal(err)
	}
	reader := c.with(c.world, key.ID, key.Secret)
	for _, op := range c.operations.sorted() {
		in := c.example(op.name, none)
		if op.writes() {
			reader.refused("AccessDeniedException", op.name, in)
		} else if _, err := reader.sdk.call(c.Context(), op, in); err != nil {
			if f, ok := errors.AsType[*failure](err); !ok || f.Code == "AccessDeniedException" {
				c.Errorf("%s with a key that may read: %v", op.name, err)
			}
		}
	}
}

// quotaErrors makes one more than a quota of one allows.
func quotaErrors(c *check) {
	strict := c.with(c.worlds.strict, c.worlds.strict.key, c.worlds.strict.secret)
	strict.Encoder = ""        // none is needed
	used := map[string][]any{} // ARNs, by kind
	for _, r := range resources {
		strict.run(r.kind, func(c *check) {
			in := func() M {
				if r.minimal == nil {
					return M{}
				}
				return r.minimal(c.world)
			}
			quota := 1
			if r.kind == "channel" {
				quota = 2 // for two compositions
			}
			for range quota {
				used[r.kind] = append(used[r.kind], str(c.do(r.create, in()), r.member, "arn"))
			}
			c.refused("ServiceQuotaExceededException", r.create, in())
		})
	}
	strict.run("stream-key", func(c *check) {
		c.refused("ServiceQuotaExceededException", "CreateStreamKey", M{"channelArn": used["channel"][0]})
	})
	strict.run("composition", func(c *check) {
		to := func(channel any) M {
			return M{"stageArn": used["stage"][0], "destinations": []any{M{"channel": M{"channelArn": channel}}}}
		}
		arn := M{"arn": str(c.do("StartComposition", to(used["channel"][0])), "composition", "arn")}
		c.refused("ServiceQuotaExceededException", "StartComposition", to(used["channel"][1]))
		c.do("StopComposition", arn)
		c.eventually("the composition stops", func() error { return state(c, arn, "STOPPED") })
	})
	// Room for the other SDK.
	for _, r := range resources {
		for _, arn := range used[r.kind] {
			strict.do(r.delete, M{"arn": arn})
		}
	}
}

// throttling calls each operation of a server with IVS's rates until it is told to slow down: by the SDK where the
// model documents that.
func throttling(c *check) {
	throttled := c.with(c.worlds.throttled, c.worlds.throttled.key, c.worlds.throttled.secret)
	for _, op := range c.operations.sorted() {
		in := throttled.example(op.name, none)
		documented := slices.Contains(op.Errors, "ThrottlingException")
		call := throttled.raw
		if documented {
			call = throttled.sdk.call
		}
		var told atomic.Pointer[failure]
		var callers sync.WaitGroup
		for range 8 { // faster than any rate, on a slow machine too
			callers.Go(func() {
				for i := 0; i < 500 && told.Load() == nil; i++ {
					ctx, cancel := context.WithTimeout(c.Context(), callTime)
					_, err := call(ctx, op, in)
					cancel()
					if f, ok := errors.AsType[*failure](err); ok && f.Code == "ThrottlingException" {
						told.Store(f)
					}
				}
			})
		}
		callers.Wait()
		f := told.Load()
		switch {
		case f == nil:
			c.Errorf("%s can be called thousands of times at once", op.name)
		case f.Status != 429 || !f.Typed:
			c.Errorf("%s: %d %+v", op.name, f.Status, f)
		case documented:
			c.shows("error ThrottlingException", op.name)
		}
	}
}
