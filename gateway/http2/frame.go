package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// maxFrame is the most payload of a frame that we send or take, in bytes: SETTINGS_MAX_FRAME_SIZE as it is at first.
const maxFrame = 16 << 10

func appendFrame(b []byte, kind http2.FrameType, flags http2.Flags, id uint32, length int) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags), byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendData(b []byte, id uint32, data []byte, end bool) []byte {
	var flags http2.Flags
	if end {
		flags = http2.FlagDataEndStream
	}
	return append(appendFrame(b, http2.FrameData, flags, id, len(data)), data...)
}

// appendHead appends a HEADERS frame of an encoded block, with CONTINUATION frames behind it if one does not hold it.
func appendHead(b []byte, id uint32, block []byte, end bool) []byte {
	kind, flags := http2.FrameHeaders, http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	for len(block) > maxFrame {
		b = append(appendFrame(b, kind, flags, id, maxFrame), block[:maxFrame]...)
		block, kind, flags = block[maxFrame:], http2.FrameContinuation, 0
	}
	return append(appendFrame(b, kind, flags|http2.FlagHeadersEndHeaders, id, len(block)), block...)
}

func appendSettings(b []byte, list ...http2.Setting) []byte {
	b = appendFrame(b, http2.FrameSettings, 0, 0, 6*len(list))
	for _, s := range list {
		b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
		b = binary.BigEndian.AppendUint32(b, s.Val)
	}
	return b
}

func appendSettingsAck(b []byte) []byte {
	return appendFrame(b, http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
}

func appendPing(b []byte, ack bool, data [8]byte) []byte {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	return append(appendFrame(b, http2.FramePing, flags, 0, len(data)), data[:]...)
}

func appendReset(b []byte, id uint32, code http2.ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(b, http2.FrameRSTStream, 0, id, 4), uint32(code))
}

func appendWindowUpdate(b []byte, id uint32, increment int32) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(b, http2.FrameWindowUpdate, 0, id, 4), uint32(increment))
}

func appendGoAway(b []byte, last uint32, code http2.ErrCode, reason string) []byte {
	b = appendFrame(b, http2.FrameGoAway, 0, 0, 8+len(reason))
	b = binary.BigEndian.AppendUint32(b, last)
	return append(binary.BigEndian.AppendUint32(b, uint32(code)), reason...)
}
