// Package protocodec reads and writes the messages of calls. It promises that what its errors say repeats neither what was sent nor the
// names of Go types. It touches nothing.
package protocodec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// UnmarshalJSON reads a message as ProtoJSON and ignores unknown fields. Its errors say what is wrong and where, and repeat nothing of the
// text.
func UnmarshalJSON(raw []byte, into proto.Message) error {
	err := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if value := json.RawMessage(nil); errors.As(json.Unmarshal(raw, &value), &syntax) {
		return fmt.Errorf("the body is not valid JSON (byte %d)", syntax.Offset)
	}
	return fmt.Errorf("the body does not fit %s%s", into.ProtoReflect().Descriptor().Name(), position(err))
}

// WithoutMark leaves out a byte order mark, which nobody may put before JSON and readers may ignore (RFC 8259 section 8.1).
func WithoutMark(raw []byte) []byte { return bytes.TrimPrefix(raw, []byte("\ufeff")) }

// position returns where protojson found a value that does not fit. It writes that before anything that it repeats.
func position(err error) string {
	if at := regexp.MustCompile(`\(line (\d+):(\d+)\)`).FindStringSubmatch(err.Error()); at != nil {
		return fmt.Sprintf(" (line %s, column %s)", at[1], at[2])
	}
	return ""
}

// codec reads and writes the messages of Connect, gRPC-web and gRPC.
type codec struct {
	name      string // as a content type has it
	marshal   func(proto.Message) ([]byte, error)
	unmarshal func([]byte, proto.Message) error
}

// All are the codecs of Connect, gRPC-web and gRPC: the library's, but that their errors repeat neither what was sent nor the names of Go
// types.
func All() []connect.Codec {
	binary := func(raw []byte, into proto.Message) error {
		if err := proto.Unmarshal(raw, into); err != nil {
			return fmt.Errorf("the message is not a well-formed %s", into.ProtoReflect().Descriptor().Name())
		}
		return nil
	}
	text := func(raw []byte, into proto.Message) error {
		if raw = WithoutMark(raw); len(raw) == 0 {
			return errors.New("the body is empty; an empty message is {}")
		}
		return UnmarshalJSON(raw, into)
	}
	return []connect.Codec{
		codec{"proto", proto.Marshal, binary},
		codec{"json", protojson.Marshal, text},
		codec{"json; charset=utf-8", protojson.Marshal, text},
	}
}

// Name implements connect.Codec.
func (c codec) Name() string { return c.name }

// Marshal implements connect.Codec.
func (c codec) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", message)
	}
	return c.marshal(m)
}

// Unmarshal implements connect.Codec.
func (c codec) Unmarshal(raw []byte, into any) error {
	m, ok := into.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", into)
	}
	return c.unmarshal(raw, m)
}
