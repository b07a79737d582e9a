package shelf

import (
	"encoding/binary"
	"time"
)

// kind says what an entry holds.
type kind uint8

const (
	unread kind = iota // a name only: announced by Expect
	p256               // the key is a P-256 scalar of 32 bytes
	pkcs8              // the key is PKCS #8
)

// entry is the packed form of a certificate, or of a name that is expected. It lies in a chunk and is a view of it: whoever reads one
// holds its shard's lock, and copies what is to outlive that.
//
// A header of fixed size is followed by the name, the notes (issuer, signed by, adopted), the key and the leaf.
type entry []byte

// Where the fields of the header are, little-endian.
const (
	atSize      = 0  // uint32, of the whole entry
	atHash      = 4  // uint32
	atVersion   = 8  // uint64
	atNotBefore = 16 // int64, seconds since 1970; of an unread entry: not to be read before
	atNotAfter  = 24 // int64
	atTail      = 32 // uint32
	atLeaf      = 36 // uint32, length
	atKey       = 40 // uint16, length
	atNames     = 42 // uint16
	atKind      = 44 // uint8
	atName      = 45 // uint8, length, as the next three
	atIssuer    = 46
	atSignedBy  = 47
	atAdopted   = 48
	headerSize  = 49
)

// sizeOf is the size of the entry that write makes.
func (c *content) sizeOf() int {
	return headerSize + len(c.name) + len(c.issuer) + len(c.signedBy) + len(c.adopted) + len(c.key) + len(c.leaf)
}

// write fills an entry of the right size.
func (c *content) write(e entry, hash uint32, version uint64) {
	le := binary.LittleEndian
	le.PutUint32(e[atSize:], uint32(len(e)))
	le.PutUint32(e[atHash:], hash)
	le.PutUint64(e[atVersion:], version)
	le.PutUint64(e[atNotBefore:], uint64(c.notBefore))
	le.PutUint64(e[atNotAfter:], uint64(c.notAfter))
	le.PutUint32(e[atTail:], c.tail)
	le.PutUint32(e[atLeaf:], uint32(len(c.leaf)))
	le.PutUint16(e[atKey:], uint16(len(c.key)))
	le.PutUint16(e[atNames:], c.names)
	e[atKind], e[atName] = byte(c.kind), byte(len(c.name))
	e[atIssuer], e[atSignedBy], e[atAdopted] = byte(len(c.issuer)), byte(len(c.signedBy)), byte(len(c.adopted))
	n := headerSize
	n += copy(e[n:], c.name)
	for _, note := range [...]string{c.issuer, c.signedBy, c.adopted} {
		n += copy(e[n:], note)
	}
	n += copy(e[n:], c.key)
	copy(e[n:], c.leaf)
}

// entryAt is the entry that begins a stretch of memory.
func entryAt(memory []byte) entry { return memory[:binary.LittleEndian.Uint32(memory[atSize:])] }

func (e entry) hash() uint32     { return binary.LittleEndian.Uint32(e[atHash:]) }
func (e entry) version() uint64  { return binary.LittleEndian.Uint64(e[atVersion:]) }
func (e entry) notBefore() int64 { return int64(binary.LittleEndian.Uint64(e[atNotBefore:])) }
func (e entry) notAfter() int64  { return int64(binary.LittleEndian.Uint64(e[atNotAfter:])) }
func (e entry) tail() uint32     { return binary.LittleEndian.Uint32(e[atTail:]) }
func (e entry) kind() kind       { return kind(e[atKind]) }
func (e entry) name() []byte     { return e[headerSize:][:e[atName]] }

func (e entry) leaf() []byte { return e[len(e)-int(binary.LittleEndian.Uint32(e[atLeaf:])):] }

func (e entry) key() []byte {
	end := len(e) - len(e.leaf())
	return e[end-int(binary.LittleEndian.Uint16(e[atKey:])) : end]
}

// setVersion and postpone change an entry in place.
func (e entry) setVersion(v uint64) { binary.LittleEndian.PutUint64(e[atVersion:], v) }
func (e entry) postpone(to int64)   { binary.LittleEndian.PutUint64(e[atNotBefore:], uint64(to)) }

func (e entry) info() Info {
	notes := e[headerSize+int(e[atName]):]
	next := func(length byte) (note string) {
		note, notes = string(notes[:length]), notes[length:]
		return note
	}
	return Info{
		NotBefore: time.Unix(e.notBefore(), 0).UTC(),
		NotAfter:  time.Unix(e.notAfter(), 0).UTC(),
		Issuer:    next(e[atIssuer]),
		SignedBy:  next(e[atSignedBy]),
		Adopted:   next(e[atAdopted]),
		Names:     int(binary.LittleEndian.Uint16(e[atNames:])),
	}
}
