package stage

// size is a picture's width and height in pixels. The zero size is unknown.
type size struct{ width, height int }

func (s size) area() int { return s.width * s.height }

// maxSide is the largest side that a sequence parameter set is believed, in pixels: H.264's highest level allows
// no more.
const maxSide = 16384

// pictureSize reads the size of the pictures, as they are to be shown, from a sequence parameter set with its NAL
// header (ITU-T H.264 sections 7.3.2.1.1 and 7.4.2.1.1). ok is false for what is none.
func pictureSize(sps []byte) (s size, ok bool) {
	if len(sps) < 4 || sps[0]&0x1f != nalSPS {
		return size{}, false
	}
	b := bits{data: sps[4:]}
	profile := sps[1]
	b.ue() // seq_parameter_set_id
	chroma, separate := uint32(1), false
	switch profile {
	case 66, 77, 88: // baseline, main and extended say nothing of these
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		if chroma = b.ue(); chroma == 3 {
			separate = b.u(1) == 1
		}
		b.ue() // bit_depth_luma_minus8
		b.ue() // bit_depth_chroma_minus8
		b.u(1) // qpprime_y_zero_transform_bypass_flag
		if b.u(1) == 1 {
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if b.u(1) == 1 {
					b.scalingList(i)
				}
			}
		}
	default:
		return size{}, false // a profile that does not exist
	}
	b.ue() // log2_max_frame_num_minus4
	switch b.ue() {
	case 0:
		b.ue() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		b.u(1)
		b.ue()
		b.ue()
		n := b.ue()
		if n > 255 {
			return size{}, false
		}
		for range n {
			b.ue()
		}
	}
	b.ue() // max_num_ref_frames
	b.u(1) // gaps_in_frame_num_value_allowed_flag
	width := int(b.ue()) + 1
	height := int(b.ue()) + 1
	frames := b.u(1) // frame_mbs_only_flag
	if frames == 0 {
		height *= 2
		b.u(1) // mb_adaptive_frame_field_flag
	}
	if width > maxSide/16 || height > maxSide/16 {
		return size{}, false
	}
	width, height = 16*width, 16*height
	b.u(1) // direct_8x8_inference_flag
	if b.u(1) == 1 {
		left, right, top, bottom := int(b.ue()), int(b.ue()), int(b.ue()), int(b.ue())
		if max(left, right, top, bottom) > maxSide {
			return size{}, false
		}
		unitX, unitY := 1, 2-int(frames) // table 6-1 and equations 7-19 to 7-22
		if !separate && (chroma == 1 || chroma == 2) {
			unitX = 2
		}
		if !separate && chroma == 1 {
			unitY *= 2
		}
		width -= unitX * (left + right)
		height -= unitY * (top + bottom)
	}
	if b.short || width <= 0 || height <= 0 {
		return size{}, false
	}
	return size{width, height}, true
}

// bits reads a raw byte sequence payload, passing over emulation prevention bytes (ITU-T H.264 section 7.4.1).
// After the end it reads zeros and short is set.
type bits struct {
	data  []byte
	at    int // bits
	zeros int // zero bytes before the present one
	short bool
}

func (b *bits) u(n int) uint32 {
	var v uint32
	for range n {
		i := b.at / 8
		if i >= len(b.data) {
			b.short = true
			return 0
		}
		if b.at%8 == 0 {
			if b.zeros >= 2 && b.data[i] == 3 {
				b.at += 8
				b.zeros = 0
				if i++; i >= len(b.data) {
					b.short = true
					return 0
				}
			}
			if b.data[i] == 0 {
				b.zeros++
			} else {
				b.zeros = 0
			}
		}
		v = v<<1 | uint32(b.data[i]>>(7-b.at%8)&1)
		b.at++
	}
	return v
}

// ue reads an Exp-Golomb code (section 9.1).
func (b *bits) ue() uint32 {
	zeros := 0
	for b.u(1) == 0 {
		if zeros++; zeros > 31 || b.short {
			b.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + b.u(zeros)
}

// se is ue for signed values.
func (b *bits) se() int32 {
	v := b.ue()
	if v%2 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// scalingList passes over the ith list (section 7.3.2.1.1.1).
func (b *bits) scalingList(i int) {
	n := 16
	if i >= 6 {
		n = 64
	}
	last, next := int32(8), int32(8)
	for range n {
		if next != 0 {
			next = (last + b.se()) & 0xff
		}
		if next != 0 {
			last = next
		}
	}
}
