package main

import (
	"fmt"
	"math"
	"strings"
)

// Sizes of the plot, in its own units.
const (
	panelWidth, panelHeight = 300, 240
	marginLeft, marginTop   = 56, 56
	panelGap                = 50
)

// series is one line of the plot.
type series struct {
	name, colour, label string
}

// lines have colours that are told apart on white and on black.
var lines = []series{
	{gstreamer.Name, "#d29922", "GStreamer"},
	{ffmpeg.Name, "#8b949e", "ffmpeg"},
	{footlight.Name, "#2f81f7", "Footlight"},
}

// plot draws CPU against the number of participants, 360p at the left and 720p at the right, in an SVG that follows
// the reader's light or dark scheme.
func (r *Report) plot() string {
	top := 0.0
	for i := range r.Cases {
		for _, e := range r.Cases[i].Engines {
			top = max(top, e.CPU)
		}
	}
	top = math.Ceil(top*2) / 2
	width := marginLeft + 2*panelWidth + panelGap + 20
	height := marginTop + panelHeight + 60
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>CPU time of a composition by number of participants</title>
<style>text{fill:#1f2328}.grid{stroke:#d1d9e0}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#3d444d}}</style>
`, width, height)
	for i, h := range []int{360, 720} {
		r.panel(&b, marginLeft+i*(panelWidth+panelGap), h, top)
	}
	x := marginLeft
	for _, l := range append(lines, series{simulcastEngine.Name, "#3fb950", "Footlight, simulcast"}, series{browser.Name, "#f85149", "filmed browser"}) {
		fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="4" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n", x, height-14, l.colour, x+9, height-10, l.label)
		x += 34 + 7*len(l.label)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws the jobs of one input height.
func (r *Report) panel(b *strings.Builder, left, inputHeight int, top float64) {
	x := func(n int) float64 { return float64(left) + float64(n)/12*panelWidth }
	y := func(cpu float64) float64 { return marginTop + panelHeight*(1-cpu/top) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="14" font-weight="600">%dp participants</text><text x="%d" y="%d" font-size="11">CPU seconds per second</text>`+"\n",
		left, marginTop-30, inputHeight, left, marginTop-12)
	for cpu := 0.0; cpu <= top; cpu += 0.5 {
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%.1f</text>`+"\n",
			left, left+panelWidth, y(cpu), y(cpu), left-6, y(cpu)+4, cpu)
	}
	for _, n := range counts {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(n), marginTop+panelHeight+18, n)
	}
	draw := func(name, colour string, match func(Job) bool) {
		var points []string
		for i := range r.Cases {
			c := &r.Cases[i]
			if e := c.result(name); c.Job.Content == moving && match(c.Job) && e.CPU > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(c.Job.Inputs), y(e.CPU)))
			}
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colour, strings.Join(points, " "))
		for _, p := range points {
			px, py, _ := strings.Cut(p, ",")
			fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="3.5" fill="%s"/>`, px, py, colour)
		}
		b.WriteString("\n")
	}
	size := func(j Job) bool { return j.InputHeight == inputHeight }
	for _, l := range lines {
		draw(l.name, l.colour, size)
	}
	draw(browser.Name, "#f85149", size)
	if inputHeight == 720 { // they publish 720p; which layer is taken depends on the tile
		draw(simulcastEngine.Name, "#3fb950", func(Job) bool { return true })
	}
}
