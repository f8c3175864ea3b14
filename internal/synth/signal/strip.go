package signal

import "image"

// The strip is StripRows rows of StripColumns cells, most significant bit first, row by row; white is 1:
// 6 bits index, 42 bits milliseconds since the Unix epoch (enough until 2109), 16 bits checksum.
const (
	StripColumns = 16
	StripRows    = 4
	StripCells   = StripColumns * StripRows

	indexBits = 6
	timeBits  = 42
	// MaxIndex is the largest participant index that fits into a strip.
	MaxIndex = 1<<indexBits - 1
)

// The strip's place as shares of the picture's width and height. The width of 0.384 stays visible when a
// 16:9 picture is cropped to 3:4, which keeps 0.42 of it.
const (
	StripLeft   = 0.308
	StripTop    = 0.082
	StripWidth  = 0.384
	StripHeight = 0.168
)

// EncodeStrip returns the 64 cells for a participant index (0 to MaxIndex) and a time in milliseconds
// since the Unix epoch; the first cell is the most significant bit.
func EncodeStrip(index int, timeMS int64) uint64 {
	payload := uint64(index&MaxIndex)<<timeBits | uint64(timeMS)&(1<<timeBits-1)
	return payload<<16 | uint64(checksum(payload))
}

// DecodeStrip is the inverse of EncodeStrip; ok is false when the checksum does not match.
func DecodeStrip(cells uint64) (index int, timeMS int64, ok bool) {
	payload := cells >> 16
	if uint16(cells) != checksum(payload) {
		return 0, 0, false
	}
	return int(payload >> timeBits), int64(payload & (1<<timeBits - 1)), true
}

// checksum is CRC-16/CCITT-FALSE over the 6 bytes of payload, most significant first. Its start value
// makes an all-black strip invalid.
func checksum(payload uint64) uint16 {
	crc := uint16(0xFFFF)
	for shift := indexBits + timeBits - 8; shift >= 0; shift -= 8 {
		crc ^= uint16(payload>>shift&0xFF) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// stripCell is the pixel rectangle of one cell in a picture of the given size.
func stripCell(width, height, column, row int) image.Rectangle {
	x := func(c int) int { return round((StripLeft + StripWidth*float64(c)/StripColumns) * float64(width)) }
	y := func(r int) int { return round((StripTop + StripHeight*float64(r)/StripRows) * float64(height)) }
	return image.Rect(x(column), y(row), x(column+1), y(row+1))
}
