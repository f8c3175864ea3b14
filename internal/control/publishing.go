package control

import (
	"sync"

	"github.com/footlight-live/footlight/internal/arn"
	"github.com/footlight-live/footlight/internal/stage"
)

// publishing counts who publishes on each stage at this moment, from what the stages report.
type publishing struct {
	mu     sync.Mutex
	stages map[string]map[string]bool // participants by stage id
}

func (p *publishing) observe(e stage.Event) {
	if e.Grant.Hidden || e.Grant.Backstage {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case stage.PublishStarted:
		if p.stages == nil {
			p.stages = map[string]map[string]bool{}
		}
		if p.stages[e.StageID] == nil {
			p.stages[e.StageID] = map[string]bool{}
		}
		p.stages[e.StageID][e.Grant.ParticipantID] = true
	case stage.PublishStopped, stage.Left:
		delete(p.stages[e.StageID], e.Grant.ParticipantID)
		if len(p.stages[e.StageID]) == 0 {
			delete(p.stages, e.StageID)
		}
	case stage.SessionEnded:
		delete(p.stages, e.StageID)
	}
}

// Publishers is how many participants publish on a stage.
func (c *Control) Publishers(stageARN string) int {
	a, err := arn.Parse(stageARN)
	if err != nil {
		return 0
	}
	c.publishing.mu.Lock()
	defer c.publishing.mu.Unlock()
	return len(c.publishing.stages[a.ID])
}
