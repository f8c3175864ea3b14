package control

import (
	"strings"
	"testing"
)

func TestSetQuota(t *testing.T) {
	var q Quotas
	for _, name := range []string{"channels", "stages", "compositions-per-stage", "public-keys", "recording-configurations"} {
		if err := q.Set(name, 7); err != nil {
			t.Error(err)
		}
	}
	if q.Channels != 7 || q.Stages != 7 || q.CompositionsPerStage != 7 || q.PublicKeys != 7 || q.RecordingConfigurations != 7 || q.Compositions != 0 {
		t.Errorf("quotas %+v", q)
	}
	if err := q.Set("tokens", 1); err == nil || !strings.Contains(err.Error(), "encoder-configurations") {
		t.Errorf("an unknown quota: %v", err)
	}
	for _, n := range []int{0, -1} {
		if err := q.Set("channels", n); err == nil {
			t.Errorf("a quota of %d was taken", n)
		}
	}
}
