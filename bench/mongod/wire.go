package mongod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// maxMessage is the longest message that MongoDB takes, in bytes.
const maxMessage = 48_000_000

const headerSize = 16

// opQuery is the message that was before OP_MSG, in which drivers still send their first greeting.
const opQuery wiremessage.OpCode = 2004

// message is a command as it came.
type message struct {
	id         int32
	legacy     bool // OP_QUERY, with which drivers greet
	compressed bool // by zstd, and so is the answer
	unanswered bool
	command    bsoncore.Document
}

var errMessage = errors.New("not a message of MongoDB's wire protocol")

// readMessage reads an OP_MSG or OP_QUERY.
func readMessage(r io.Reader) (m message, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return message{}, err
	}
	length, id, _, code, _, _ := wiremessage.ReadHeader(header[:])
	if length < headerSize || length > maxMessage {
		return message{}, errMessage
	}
	body := make([]byte, length-headerSize)
	if _, err := io.ReadFull(r, body); err != nil {
		return message{}, err
	}
	m.id = id
	if code == wiremessage.OpCompressed {
		m.compressed = true
		if code, body, err = decompress(body); err != nil {
			return message{}, err
		}
	}
	switch code {
	case wiremessage.OpMsg:
		return m, m.parse(body)
	case opQuery:
		m.legacy = true
		return m, m.parseQuery(body)
	}
	return message{}, fmt.Errorf("%w: %s", errMessage, code)
}

// parse reads the sections of an OP_MSG (https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md).
func (m *message) parse(body []byte) error {
	flags, body, ok := wiremessage.ReadMsgFlags(body)
	if !ok {
		return errMessage
	}
	m.unanswered = flags&wiremessage.MoreToCome != 0
	if flags&wiremessage.ChecksumPresent != 0 {
		if len(body) < 4 {
			return errMessage
		}
		body = body[:len(body)-4]
	}
	sequences := map[string][]bsoncore.Document{}
	for len(body) > 0 {
		var kind wiremessage.SectionType
		kind, body, _ = wiremessage.ReadMsgSectionType(body)
		switch kind {
		case wiremessage.SingleDocument:
			m.command, body, ok = wiremessage.ReadMsgSectionSingleDocument(body)
		case wiremessage.DocumentSequence:
			var name string
			var documents []bsoncore.Document
			name, documents, body, ok = wiremessage.ReadMsgSectionDocumentSequence(body)
			sequences[name] = documents
		default:
			return errMessage
		}
		if !ok {
			return errMessage
		}
	}
	if err := m.command.Validate(); err != nil {
		return err
	}
	for name, documents := range sequences {
		m.command = with(m.command, name, documents)
	}
	return nil
}

// parseQuery finds the command behind flags, the name of a collection, and two numbers.
func (m *message) parseQuery(body []byte) error {
	if len(body) < 4 {
		return errMessage
	}
	_, body, ok := bytes.Cut(body[4:], []byte{0})
	if !ok || len(body) < 8 {
		return errMessage
	}
	if m.command, _, ok = bsoncore.ReadDocument(body[8:]); !ok {
		return errMessage
	}
	return m.command.Validate()
}

// with returns a command with one more field, an array of documents.
func with(command bsoncore.Document, name string, documents []bsoncore.Document) bsoncore.Document {
	values := make([]bsoncore.Value, len(documents))
	for i, document := range documents {
		values[i] = bsoncore.Value{Type: bsoncore.TypeEmbeddedDocument, Data: document}
	}
	elements := command[4 : len(command)-1]
	return bsoncore.BuildDocument(nil, elements, bsoncore.AppendArrayElement(nil, name, bsoncore.BuildArray(nil, values...)))
}

// write sends the answer. It may be shared between connections and is not copied.
func (m *message) write(conn net.Conn, answer bsoncore.Document) error {
	if m.compressed {
		return m.writeCompressed(conn, answer)
	}
	var head []byte
	if m.legacy {
		_, head = wiremessage.AppendHeaderStart(nil, 0, m.id, wiremessage.OpReply)
		head = wiremessage.AppendReplyFlags(head, 0)
		head = wiremessage.AppendReplyCursorID(head, 0)
		head = wiremessage.AppendReplyStartingFrom(head, 0)
		head = wiremessage.AppendReplyNumberReturned(head, 1)
	} else {
		_, head = wiremessage.AppendHeaderStart(nil, 0, m.id, wiremessage.OpMsg)
		head = wiremessage.AppendMsgFlags(head, 0)
		head = wiremessage.AppendMsgSectionType(head, wiremessage.SingleDocument)
	}
	binary.LittleEndian.PutUint32(head, uint32(len(head)+len(answer)))
	buffers := net.Buffers{head, answer}
	_, err := buffers.WriteTo(conn)
	return err
}

// garble sends something that is no reply to m: n chooses what.
func garble(conn net.Conn, m message, n uint32) error {
	broken := bsoncore.BuildDocument(nil, bsoncore.AppendInt32Element(nil, "ok", 1))
	switch n % 5 {
	case 0: // another protocol
		if _, err := io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); err != nil {
			return err
		}
		return io.EOF
	case 1: // a length that nobody can hold
		header := wiremessage.AppendHeader(nil, 1<<31-1, 0, m.id, wiremessage.OpMsg)
		_, err := conn.Write(header)
		return err
	case 2: // a length that the driver takes, and nothing behind it
		_, err := conn.Write(wiremessage.AppendHeader(nil, maxMessage-1, 0, m.id, wiremessage.OpMsg))
		return err
	case 3: // a document that says it is longer than its message
		binary.LittleEndian.PutUint32(broken, 1<<30)
	case 4: // an answer to what nobody asked, with a broken element
		m.id += 1000
		broken[4] = 0x7e
	}
	return m.write(conn, broken)
}
