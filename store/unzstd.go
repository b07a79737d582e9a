package store

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// The driver holds what snappy and zlib unpack to the size that the message says. It does not with zstd, in which a message of 17 MB may
// become hundreds of GB. So those messages are unpacked here, and the driver gets them plain.

// newUnzstd makes a decoder that unpacks no more than it is given room for. It may be used at once, and holds no goroutine.
func newUnzstd() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxReply))
}

// uncompressed returns an OP_COMPRESSED message that can be given to the driver: with zstd it is the message that was compressed.
// (https://github.com/mongodb/specifications/blob/master/source/compression/OP_COMPRESSED.md)
func (g *guarded) uncompressed(message []byte) ([]byte, error) {
	_, id, to, _, body, _ := wiremessage.ReadHeader(message)
	code, body, _ := wiremessage.ReadCompressedOriginalOpCode(body)
	size, body, _ := wiremessage.ReadCompressedUncompressedSize(body)
	compressor, body, _ := wiremessage.ReadCompressedCompressorID(body)
	switch {
	case len(message) < headerSize+4+4+1 || size < 0 || size > maxReply-headerSize:
		return nil, errReplyCompressed
	case compressor != wiremessage.CompressorZstd:
		return message, nil
	case g.unzstd == nil:
		return nil, errReplyCompressed
	}
	plain := make([]byte, headerSize+size)
	unpacked, err := g.unzstd.DecodeAll(body, plain[headerSize:headerSize])
	if err != nil || len(unpacked) != int(size) {
		return nil, errReplyCompressed
	}
	copy(plain[headerSize:], unpacked) // where it is already, if it has not been moved
	binary.LittleEndian.PutUint32(plain[0:], uint32(len(plain)))
	binary.LittleEndian.PutUint32(plain[4:], uint32(id))
	binary.LittleEndian.PutUint32(plain[8:], uint32(to))
	binary.LittleEndian.PutUint32(plain[12:], uint32(code))
	return plain, nil
}
