package ts

import "encoding/binary"

const (
	patPID = 0
	pmtPID = 0x1000
	// program is the number of the one program.
	program = 1

	tablePAT, tablePMT = 0x00, 0x02
)

// What tells that metadata is ID3 ("Timed Metadata for HTTP Live Streaming", Apple).
var (
	// id3Pointer is the metadata_pointer_descriptor of the program: application format and format are "ID3 ", service 0,
	// carried in this program.
	id3Pointer = []byte{0x25, 15, 0xff, 0xff, 'I', 'D', '3', ' ', 0xff, 'I', 'D', '3', ' ', 0, 0x1f, program >> 8, program}
	// id3Descriptor is the metadata_descriptor of the stream, with the same formats and service.
	id3Descriptor = []byte{0x26, 13, 0xff, 0xff, 'I', 'D', '3', ' ', 0xff, 'I', 'D', '3', ' ', 0, 0x0f}
)

// association is the body of a PAT (§2.4.4.3).
func association(version byte) []byte {
	b := tableHead(tablePAT, 1, version) // transport_stream_id
	b = binary.BigEndian.AppendUint16(b, program)
	return binary.BigEndian.AppendUint16(b, 0xe000|pmtPID)
}

// programMap is the body of a PMT (§2.4.4.8).
func programMap(version byte, streams []*Stream) []byte {
	var pointer []byte
	for _, s := range streams {
		if s.Kind == Metadata {
			pointer = id3Pointer
		}
	}
	b := tableHead(tablePMT, program, version)
	b = binary.BigEndian.AppendUint16(b, 0xe000|streams[0].PID) // PCR
	b = binary.BigEndian.AppendUint16(b, 0xf000|uint16(len(pointer)))
	b = append(b, pointer...)
	for _, s := range streams {
		var descriptor []byte
		if s.Kind == Metadata {
			descriptor = id3Descriptor
		}
		b = append(b, byte(s.Kind))
		b = binary.BigEndian.AppendUint16(b, 0xe000|s.PID)
		b = binary.BigEndian.AppendUint16(b, 0xf000|uint16(len(descriptor)))
		b = append(b, descriptor...)
	}
	return b
}

// tableHead begins a section that is the only one of its table, with a length to be filled in.
func tableHead(table byte, id uint16, version byte) []byte {
	return []byte{table, 0xb0, 0, byte(id >> 8), byte(id), 0xc1 | version<<1, 0, 0}
}

// section fills a packet with a section that has neither length nor checksum yet.
func section(packet []byte, pid uint16, body []byte) {
	length := len(body) - 3 + 4
	body[1] |= byte(length >> 8)
	body[2] = byte(length)
	b := append(packet[:0], 0x47, 0x40|byte(pid>>8), byte(pid), 0x10, 0) // pointer_field
	b = append(b, body...)
	b = binary.BigEndian.AppendUint32(b, CRC(body))
	appendStuffing(b, PacketSize-len(b))
}

// CRC is the CRC_32 of sections (annex A).
func CRC(data []byte) uint32 {
	crc := uint32(0xffffffff)
	for _, x := range data {
		crc ^= uint32(x) << 24
		for range 8 {
			if crc>>31 == 1 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
