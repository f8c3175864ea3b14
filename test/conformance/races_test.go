package conformance

import (
	"errors"
	"fmt"
	"sync"
)

// outcomes calls n times at once and counts the answers, by error code; "" is success.
func (c *check) outcomes(n int, call func(i int) (string, M)) map[string]int {
	c.Helper()
	var mu sync.Mutex
	var callers sync.WaitGroup
	count := map[string]int{}
	for i := range n {
		callers.Go(func() {
			name, in := call(i)
			_, err := c.sdk.call(c.Context(), c.operations[name], in)
			code := ""
			if f, ok := errors.AsType[*failure](err); ok {
				code = f.Code
			} else if err != nil {
				code = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			count[code]++
		})
	}
	callers.Wait()
	return count
}

// races lets clients get in one another's way. Whoever wins, what is left is one of the states that there may be.
func races(c *check) {
	c.run("tags", func(c *check) {
		stage := str(c.do("CreateStage", M{}), "stage", "arn")
		got := c.outcomes(16, func(i int) (string, M) {
			return "ivs-realtime TagResource", M{"resourceArn": stage, "tags": M{fmt.Sprintf("k%d", i): "v"}}
		})
		if n := len(at(c.do("GetStage", M{"arn": stage}), "stage", "tags").(M)); got[""] != 16 || n != 16 {
			c.Errorf("%v, and %d tags", got, n)
		}
	})
	c.run("one idempotency token", func(c *check) {
		stage := str(c.do("CreateStage", M{}), "stage", "arn")
		channel := str(c.do("CreateChannel", M{}), "channel", "arn")
		start := M{"stageArn": stage, "idempotencyToken": "race-" + c.sdk.name(), "destinations": []any{M{"channel": M{"channelArn": channel, "encoderConfigurationArn": c.Encoder}}}}
		got := c.outcomes(8, func(int) (string, M) { return "StartComposition", start })
		all := list(c.do("ListCompositions", M{"filterByStageArn": stage}), "compositions")
		if got[""] != 8 || len(all) != 1 {
			c.Errorf("%v, and %d compositions", got, len(all))
		}
		c.do("StopComposition", M{"arn": str(all, 0, "arn")})
	})
	c.run("delete against start", func(c *check) {
		stage := str(c.do("CreateStage", M{}), "stage", "arn")
		channel := str(c.do("CreateChannel", M{}), "channel", "arn")
		got := c.outcomes(5, func(i int) (string, M) {
			if i == 2 {
				return "DeleteStage", M{"arn": stage}
			}
			return "StartComposition", M{"stageArn": stage, "destinations": []any{M{"channel": M{"channelArn": channel, "encoderConfigurationArn": c.Encoder}}}}
		})
		if got[""] < 1 || got[""] > 2 || got[""]+got["ResourceNotFoundException"]+got["ConflictException"] != 5 {
			c.Errorf("outcomes %v", got)
		}
		c.refused("ResourceNotFoundException", "GetStage", M{"arn": stage})
		c.eventually("nothing sends to the channel", func() error {
			_, err := c.try("DeleteChannel", M{"arn": channel})
			return err
		})
		for _, one := range list(c.do("ListCompositions", M{"filterByStageArn": stage}), "compositions") {
			if s := str(one, "state"); s != "FAILED" {
				c.Errorf("a composition of the stage that was deleted is %s", s)
			}
		}
	})
	c.run("delete against attach", func(c *check) {
		for range 5 {
			policy := str(c.do("CreatePlaybackRestrictionPolicy", M{}), "playbackRestrictionPolicy", "arn")
			channel := str(c.do("CreateChannel", M{}), "channel", "arn")
			got := c.outcomes(2, func(i int) (string, M) {
				if i == 0 {
					return "DeletePlaybackRestrictionPolicy", M{"arn": policy}
				}
				return "UpdateChannel", M{"arn": channel, "playbackRestrictionPolicyArn": policy}
			})
			attached := str(c.do("GetChannel", M{"arn": channel}), "channel", "playbackRestrictionPolicyArn")
			_, err := c.try("GetPlaybackRestrictionPolicy", M{"arn": policy})
			kept := attached == policy && err == nil && got["ConflictException"] == 1
			gone := attached == "" && err != nil && got["ResourceNotFoundException"] == 1
			if got[""] != 1 || !kept && !gone {
				c.Errorf("%v: the channel has %q, the policy %v", got, attached, err)
			}
			c.do("DeleteChannel", M{"arn": channel})
		}
	})
	c.run("update against delete", func(c *check) {
		channel := str(c.do("CreateChannel", M{}), "channel", "arn")
		got := c.outcomes(6, func(i int) (string, M) {
			if i == 3 {
				return "DeleteChannel", M{"arn": channel}
			}
			return "UpdateChannel", M{"arn": channel, "name": fmt.Sprint("n", i)}
		})
		if got[""] < 1 || got[""]+got["ResourceNotFoundException"] != 6 {
			c.Errorf("outcomes %v", got)
		}
		c.refused("ResourceNotFoundException", "GetChannel", M{"arn": channel})
	})
	c.run("quota", func(c *check) {
		strict := c.with(c.worlds.strict, c.worlds.strict.key, c.worlds.strict.secret)
		for _, r := range resources[:7] {
			want := 1
			if r.kind == "channel" {
				want = 2
			}
			got := strict.outcomes(16, func(int) (string, M) {
				if r.minimal == nil {
					return r.create, M{}
				}
				return r.create, r.minimal(strict.world)
			})
			if got[""] != want || got["ServiceQuotaExceededException"] != 16-want {
				c.Errorf("%s: %v", r.kind, got)
			}
			for _, item := range list(strict.do(r.list, M{"maxResults": 50}), r.listed) {
				strict.do(r.delete, M{"arn": str(item, "arn")})
			}
		}
	})
}
