package av

import "unsafe"

// Luma returns one sample of the picture's brightness, 0 for a place outside of it.
func (p *Picture) Luma(x, y int) uint8 {
	if x < 0 || y < 0 || x >= p.Width || y >= p.Height {
		return 0
	}
	f := p.frame
	return *(*uint8)(unsafe.Add(unsafe.Pointer(f.data[0]), y*int(f.linesize[0])+x))
}
