package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// state asks the server, after a collection, for its goroutines and the bytes of its heap and stacks.
func (f *footlight) state() (goroutines int, bytes int64, err error) {
	res, err := http.Get(f.url + "/bench/state")
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(string(b), &goroutines, &bytes)
	return goroutines, bytes, err
}

// keep writes profiles of the server to the folder that -profile names.
func (f *footlight) keep(names ...string) {
	for _, name := range names {
		if res, err := http.Get(f.url + "/bench/profile/" + name); err == nil && f.profile != "" {
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			_ = os.WriteFile(f.profile+"."+name, b, 0o644)
		}
	}
}

// Idle is what subscribers to sound and picture cost that receive nothing because the publisher is muted.
type Idle struct {
	Subscribers int     `json:"subscribers"`
	Memory      float64 `json:"heapAndStackKiBPerSubscriber"`
	Resident    float64 `json:"residentKiBPerSubscriber"`
	Goroutines  float64 `json:"goroutinesPerSubscriber"`
	CPU         float64 `json:"coresInAll"`
}

func idle(n int, profile string) (*Idle, error) {
	f := &footlight{profile: profile, sound: true}
	h, err := open(f)
	if err != nil {
		return nil, err
	}
	defer h.close()
	h.camera.muted.Store(true)
	goroutines, bytes, err := f.state()
	if err != nil {
		return nil, err
	}
	resident, had := h.server.memory(), len(h.viewers)
	if err := h.grow(had + n); err != nil {
		return nil, err
	}
	time.Sleep(3 * time.Second)
	f.keep("heap", "goroutine")
	goroutines2, bytes2, err := f.state()
	if err != nil {
		return nil, err
	}
	cpu, start := h.server.cpu(), time.Now()
	time.Sleep(window)
	return &Idle{
		Subscribers: n,
		Memory:      float64(bytes2-bytes) / 1024 / float64(n),
		Resident:    float64(h.server.memory()-resident) / 1024 / float64(n),
		Goroutines:  float64(goroutines2-goroutines) / float64(n),
		CPU:         (h.server.cpu() - cpu).Seconds() / time.Since(start).Seconds(),
	}, nil
}

// Churn is what joining and leaving leaves behind.
type Churn struct {
	Cycles     int     `json:"cycles"`
	PerSecond  float64 `json:"cyclesPerSecond"`
	Memory     []int64 `json:"heapAndStackBytes"` // after each fifth
	Goroutines []int   `json:"goroutines"`
}

func churn(cycles int) (*Churn, error) {
	f := &footlight{}
	h, err := open(f)
	if err != nil {
		return nil, err
	}
	defer h.close()
	const fifths = 5
	out := &Churn{Cycles: cycles}
	var took time.Duration
	for fifth := range fifths {
		start := time.Now()
		limit := make(chan struct{}, 8)
		var work sync.WaitGroup
		var failed error
		var once sync.Once
		for n := range cycles / fifths {
			limit <- struct{}{}
			work.Go(func() {
				defer func() { <-limit }()
				at, err := h.poller.listen(false)
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
				p, err := f.subscribe(1000+fifth*cycles+n, at)
				if p != nil {
					// Half of them say goodbye, as pages do that are closed in order.
					if n%2 == 0 && p.location != "" {
						if req, err := http.NewRequest(http.MethodDelete, p.location, nil); err == nil {
							if res, err := http.DefaultClient.Do(req); err == nil {
								res.Body.Close()
							}
						}
					}
					p.close()
				}
				if err != nil {
					once.Do(func() { failed = err })
				}
			})
		}
		work.Wait()
		if failed != nil {
			return out, failed
		}
		took += time.Since(start)
		time.Sleep(12 * time.Second) // until those are gone that said nothing
		goroutines, bytes, err := f.state()
		if err != nil {
			return out, err
		}
		out.Goroutines, out.Memory = append(out.Goroutines, goroutines), append(out.Memory, bytes)
	}
	out.PerSecond = float64(cycles) / took.Seconds()
	return out, nil
}
