package mongod

import (
	"net"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// offersZstd reports whether a greeting names zstd among the compressors that its sender knows.
func offersZstd(greeting bsoncore.Document) bool {
	offered, ok := greeting.Lookup("compression").ArrayOK()
	if !ok {
		return false
	}
	names, _ := offered.Values()
	for _, name := range names {
		if name, ok := name.StringValueOK(); ok && name == "zstd" {
			return true
		}
	}
	return false
}

// decompress reads an OP_COMPRESSED (https://github.com/mongodb/specifications/blob/master/source/compression/OP_COMPRESSED.md).
func decompress(body []byte) (wiremessage.OpCode, []byte, error) {
	code, body, _ := wiremessage.ReadCompressedOriginalOpCode(body)
	size, body, _ := wiremessage.ReadCompressedUncompressedSize(body)
	compressor, body, ok := wiremessage.ReadCompressedCompressorID(body)
	if !ok || compressor != wiremessage.CompressorZstd || size > maxMessage {
		return 0, nil, errMessage
	}
	body, err := driver.DecompressPayload(body, driver.CompressionOpts{Compressor: compressor, UncompressedSize: size})
	return code, body, err
}

func (m *message) writeCompressed(conn net.Conn, answer bsoncore.Document) error {
	plain := wiremessage.AppendMsgFlags(nil, 0)
	plain = wiremessage.AppendMsgSectionType(plain, wiremessage.SingleDocument)
	plain = append(plain, answer...)
	packed, err := driver.CompressPayload(plain, driver.CompressionOpts{Compressor: wiremessage.CompressorZstd, ZstdLevel: wiremessage.DefaultZstdLevel})
	if err != nil {
		return err
	}
	start, out := wiremessage.AppendHeaderStart(nil, 0, m.id, wiremessage.OpCompressed)
	out = wiremessage.AppendCompressedOriginalOpCode(out, wiremessage.OpMsg)
	out = wiremessage.AppendCompressedUncompressedSize(out, int32(len(plain)))
	out = wiremessage.AppendCompressedCompressorID(out, wiremessage.CompressorZstd)
	out = append(out, packed...)
	_, err = conn.Write(bsoncore.UpdateLength(out, start, int32(len(out))))
	return err
}
