package main

import (
	"fmt"
	"strings"
	"syscall"
)

// markdown is what people read.
func (r Results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The stage, measured\n\nMade by `go run ./bench/stage` on %s, %s. Server and load share the processors.\n",
		r.When.Format("2006-01-02"), r.Machine)
	r.fanout(&b)
	if i := r.Idle; i != nil {
		fmt.Fprintf(&b, "\n## %d idle subscribers\n\nOf sound and picture. %.0f KiB each of heap and stacks, %.0f KiB resident; %.1f goroutines each; %.2f cores in all.\n",
			i.Subscribers, i.Memory, i.Resident, i.Goroutines, i.CPU)
	}
	if l := r.Lossy; l != nil {
		fmt.Fprintf(&b, "\n## %.0f %% of loss, %.0f ms round trip\n\nOf %.1f frames/s sent, %.1f were whole within %d ms, %.1f could be shown.\n",
			100*l.Loss, l.RoundTrip, l.Sent, l.Whole, playout.Milliseconds(), l.Chain)
	}
	if c := r.Churn; c != nil {
		fmt.Fprintf(&b, "\n## %d joins and leaves\n\n%.0f a second. Heap and stacks in MiB, and goroutines, after each fifth:", c.Cycles, c.PerSecond)
		for i, m := range c.Memory {
			fmt.Fprintf(&b, " %.1f (%d)", float64(m)/(1<<20), c.Goroutines[i])
		}
		b.WriteString(".\n")
	}
	return b.String()
}

// fanout writes the levels of both servers, and what follows from them.
func (r Results) fanout(b *strings.Builder) {
	if len(r.Fanout) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## One publisher, 720p30 at 1.5 Mb/s\n\nlivekit-server is %s.\n\n| server | subscribers | packets/s | loss | CPU per packet | cores | of the load | delay p50 | p99 |\n|---|---|---|---|---|---|---|---|---|\n", r.LiveKit)
	for _, f := range r.Fanout {
		fmt.Fprintf(b, "| %s | %d | %d | %.3f %% | %.1f µs | %.2f | %.2f | %.2f ms | %.2f ms |\n",
			f.Server, f.Subscribers, f.Packets, 100*f.Loss, f.CPU, f.Cores, f.Load, f.P50, f.P99)
	}
	ours, theirs := r.most("footlight"), r.most("livekit-server")
	fmt.Fprintf(b, "\nThe most that hold with less than 0.1 %% of loss: **%d** with Footlight", ours.Subscribers)
	if theirs.Subscribers > 0 {
		fmt.Fprintf(b, ", **%d** with livekit-server: %.1f ×", theirs.Subscribers, float64(ours.Subscribers)/float64(theirs.Subscribers))
	}
	b.WriteString(".\n\nFootlight's delay, p50 and p99, at the levels nearest to half of a load:\n")
	delay := func(load string, n int) {
		at := r.near("footlight", n)
		fmt.Fprintf(b, "\n* half of %s, which is %d: %.2f and %.2f ms (%d subscribers)", load, n, at.P50, at.P99, at.Subscribers)
	}
	if n := theirs.Subscribers; n > 0 {
		delay(fmt.Sprintf("the load asked for, %.1f times what livekit-server holds", demanded), int(demanded*float64(n)/2))
	}
	delay("its own most", ours.Subscribers/2)
	b.WriteString("\n")
}

// demanded is the goal: how many times what livekit-server holds.
const demanded = 1.5

// most is the highest level of a server that holds, with all below it.
func (r Results) most(server string) (best Fanout) {
	for _, f := range r.Fanout {
		if f.Server != server {
			continue
		}
		if f.Loss >= holding {
			break
		}
		best = f
	}
	return best
}

// near is the level of a server that is closest to a number of subscribers.
func (r Results) near(server string, n int) (best Fanout) {
	for _, f := range r.Fanout {
		if f.Server == server && (best.Subscribers == 0 || abs(f.Subscribers-n) < abs(best.Subscribers-n)) {
			best = f
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// lift raises the limit of open files to what is allowed: every subscriber has a socket.
func lift() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}
