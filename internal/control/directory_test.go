package control

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/footlight-live/footlight/internal/channel"
)

func TestResolveStreamKey(t *testing.T) {
	f := start(t)
	created := f.must(t, "CreateChannel", `{}`)
	other := f.must(t, "CreateChannel", `{"insecureIngest":true}`)
	name, value := text(t, created, "channel", "arn"), text(t, created, "streamKey", "value")
	_, id, _ := strings.Cut(name, "/")

	if p, err := f.ResolveStreamKey(t.Context(), value); err != nil || p.Channel.ID != id || p.Channel.ARN != name || p.AllowPlain || p.Source != "encoder" {
		t.Errorf("encoder's key: %+v, %v", p, err)
	}
	composed, err := f.CompositionStreamKey(name, "Comp12345678")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(composed, "cp_us-east-1_"+id+"_Comp12345678_") {
		t.Errorf("composition's key %s", composed)
	}
	resolves := func() {
		t.Helper()
		if p, err := f.ResolveStreamKey(t.Context(), composed); err != nil || p.Channel.ARN != name || !p.AllowPlain || p.Source != "composition/Comp12345678" {
			t.Errorf("composition's key: %+v, %v", p, err)
		}
	}
	if p, err := f.ResolveStreamKey(t.Context(), composed); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("key of a composition that does not feed the channel: %+v, %v", p, err)
	}
	f.compositions.feed("Comp12345678", name, true)
	resolves()

	_, otherID, _ := strings.Cut(text(t, other, "channel", "arn"), "/")
	for _, bad := range []string{
		"", "_", "___", "____", "sk", "garbage", value + "x", value[:len(value)-1], value + "_", strings.ToUpper(value),
		strings.Replace(value, "us-east-1", "eu-west-1", 1), strings.Replace(value, id, otherID, 1), strings.Replace(value, "sk_", "cp_", 1),
		"sk_us-east-1_" + id + "_", "sk_us-east-1_nochannel_" + strings.Repeat("a", 30),
		composed + "x", strings.Replace(composed, "Comp12345678", "Comp12345679", 1), strings.Replace(composed, id, otherID, 1),
		strings.Replace(composed, "cp_", "sk_", 1), "cp_us-east-1_" + id + "_Comp12345678_", strings.Repeat("a_", 4000), "sk_us-east-1_" + strings.Repeat("é", 600) + "_x",
	} {
		if p, err := f.ResolveStreamKey(t.Context(), bad); err == nil {
			t.Errorf("%.60q opens %+v", bad, p)
		} else if !errors.Is(err, channel.ErrUnknownStreamKey) {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
	if _, err := f.CompositionStreamKey("arn:aws:ivs:us-east-1:999999999999:channel/x", "c"); err == nil {
		t.Error("a key for another account's channel was made")
	}
	if _, err := f.CompositionStreamKey(name, "a_b"); err == nil {
		t.Error("a key for an id with an underscore was made")
	}

	// The secrets outlive the process.
	f.restart(t)
	f.compositions.feed("Comp12345678", name, true)
	resolves()
	if p, err := f.ResolveStreamKey(t.Context(), value); err != nil || p.Channel.ID != id {
		t.Errorf("encoder's key after a restart: %+v, %v", p, err)
	}
	f.must(t, "DeleteChannel", fmt.Sprintf(`{"arn":%q}`, name))
	if _, err := f.ResolveStreamKey(t.Context(), composed); !errors.Is(err, channel.ErrUnknownStreamKey) {
		t.Errorf("composition's key of a deleted channel: %v", err)
	}
}

func TestResolveChannel(t *testing.T) {
	f := start(t)
	name := text(t, f.must(t, "CreateChannel", `{"name":"n"}`), "channel", "arn")
	_, id, _ := strings.Cut(name, "/")
	if c, err := f.ResolveChannel(t.Context(), "us-east-1", "000000000000", id); err != nil || !reflect.DeepEqual(c, channel.Channel{ARN: name, ID: id, Name: "n"}) {
		t.Errorf("channel %+v, %v", c, err)
	}
	for _, bad := range [][3]string{{"eu-west-1", "000000000000", id}, {"us-east-1", "111111111111", id}, {"us-east-1", "000000000000", "x"}, {"", "", ""}} {
		if c, err := f.ResolveChannel(t.Context(), bad[0], bad[1], bad[2]); !errors.Is(err, channel.ErrUnknownChannel) {
			t.Errorf("%v: %+v, %v", bad, c, err)
		}
	}
}

// FuzzResolveStreamKey: whatever a stranger sends as a key opens nothing and is no error of ours.
func FuzzResolveStreamKey(f *testing.F) {
	fix := start(f)
	created := fix.must(f, "CreateChannel", `{}`)
	f.Add(text(f, created, "streamKey", "value") + "x")
	f.Add("cp_us-east-1_a_b_c")
	f.Add("sk_us-east-1__")
	f.Fuzz(func(t *testing.T, key string) {
		if key == text(t, created, "streamKey", "value") {
			return
		}
		if _, err := fix.ResolveStreamKey(t.Context(), key); !errors.Is(err, channel.ErrUnknownStreamKey) {
			t.Fatalf("%q: %v", key, err)
		}
	})
}
