package contract

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/keyward/keyward/core/fault"
)

// Decoder reads the bodies of one operation into one Go type and lets through only what fits the contract. It checks while it reads, in
// one pass; only a body that this pass does not take, be it bad or merely unusual, is checked in full. It may be shared.
type Decoder struct {
	op    *Operation
	into  reflect.Type
	quick *reader // nil: every body is checked in full
	pool  sync.Pool
}

// Misfit is a body that does not fit the contract. Operation.CheckBody says what is wrong with it.
type Misfit struct {
	Found  []fault.FieldError // nil: Broken says it
	Broken error
}

// Error implements error.
func (m *Misfit) Error() string {
	if m.Broken != nil {
		return m.Broken.Error()
	}
	return fmt.Sprintf("the body does not fit the contract: %v", m.Found)
}

// Unwrap returns Broken.
func (m *Misfit) Unwrap() error { return m.Broken }

// NewDecoder returns a decoder of the operation's bodies into values of the type of prototype, a struct. The operation must take a body.
func NewDecoder(op *Operation, prototype any) (*Decoder, error) {
	if op == nil || op.body == nil {
		return nil, errors.New("contract: the operation takes no body")
	}
	d := &Decoder{op: op, into: reflect.TypeOf(prototype)}
	if op.body.shape != nil {
		d.quick = newReader(op.body.shape, d.into)
	}
	d.pool.New = func() any { return new(source) }
	return d, nil
}

// OnePass reports whether bodies are checked while they are read, unless one is unusual; it serves tests.
func (d *Decoder) OnePass() bool { return d.quick != nil }

// Decode reads body into a pointer to the decoder's type, whose value must be zero. It returns a *Misfit for a body that does not fit;
// the value then means nothing.
func (d *Decoder) Decode(body []byte, into any) error {
	value := reflect.ValueOf(into).Elem()
	if d.quickly(body, value) {
		return nil
	}
	value.SetZero()
	found, err := d.op.CheckBody(body)
	if err != nil || len(found) > 0 {
		return &Misfit{Found: found, Broken: err}
	}
	return json.Unmarshal(body, into)
}

// source reads from memory; with a bytes.Buffer the tokenizer makes no copy.
type source struct {
	buffer  bytes.Buffer
	decoder jsontext.Decoder
}

func (d *Decoder) quickly(body []byte, into reflect.Value) bool {
	if d.quick == nil || bytes.Contains(body, []byte(`\u0000`)) || !surelyShallow(body) {
		return false
	}
	s := d.pool.Get().(*source)
	defer func() {
		s.buffer = bytes.Buffer{}
		d.pool.Put(s)
	}()
	s.buffer = *bytes.NewBuffer(body)
	s.decoder.Reset(&s.buffer)
	if !d.quick.read(&s.decoder, into) {
		return false
	}
	_, err := s.decoder.ReadToken()
	return errors.Is(err, io.EOF)
}

// reader is a shape with the Go type that its values are read into.
type reader struct {
	*shape
	into     reflect.Type // without the pointer
	pointer  bool
	raw      bool // an object that is kept as it came: others know its members
	members  map[string]member
	required uint64 // one bit for each required member
	item     *reader
}

type member struct {
	*reader
	field int
	bit   uint64 // 0: optional
}

// newReader returns nil if the type cannot hold every value of the shape.
func newReader(s *shape, into reflect.Type) *reader {
	r := &reader{shape: s, into: into}
	if into.Kind() == reflect.Pointer {
		r.pointer, r.into = true, into.Elem()
	}
	switch kind := r.into.Kind(); s.kind {
	case kindObject:
		if r.raw = r.into == reflect.TypeFor[stdjson.RawMessage]() && len(s.properties) == 0; r.raw {
			return r
		}
		return r.withMembers()
	case kindArray:
		if kind != reflect.Slice {
			return nil
		}
		if r.item = newReader(s.items, r.into.Elem()); r.item == nil {
			return nil
		}
	case kindText:
		if kind != reflect.String {
			return nil
		}
	case kindBoolean:
		if kind != reflect.Bool {
			return nil
		}
	case kindInteger:
		if kind != reflect.Int64 && (kind != reflect.Int32 || s.bits != 32) {
			return nil
		}
	case kindNumber:
		if kind != reflect.Float64 {
			return nil
		}
	}
	return r
}

// withMembers pairs the properties with the fields of a struct, by their names in JSON, and returns nil if one of either is left over.
func (r *reader) withMembers() *reader {
	if r.into.Kind() != reflect.Struct || r.into.NumField() != len(r.properties) || len(r.shape.required) > 64 {
		return nil
	}
	r.members = make(map[string]member, len(r.properties))
	for i := range r.into.NumField() {
		field := r.into.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := r.properties[name]
		if property == nil || !field.IsExported() {
			return nil
		}
		inner := newReader(property, field.Type)
		if inner == nil {
			return nil
		}
		r.members[name] = member{reader: inner, field: i}
	}
	for i, name := range r.shape.required {
		m := r.members[name]
		m.bit = 1 << i
		r.members[name] = m
		r.required |= m.bit
	}
	return r
}

// read reads one value. It reports false for one that does not fit, and for what it would rather not judge.
func (r *reader) read(from *jsontext.Decoder, into reflect.Value) bool {
	if r.pointer {
		value := reflect.New(r.into)
		into.Set(value)
		into = value.Elem()
	}
	switch r.kind {
	case kindObject:
		if r.raw {
			return readRaw(from, into)
		}
		return r.readObject(from, into)
	case kindArray:
		return r.readArray(from, into)
	}
	raw, err := from.ReadValue()
	if err != nil {
		return false
	}
	switch r.kind {
	case kindText:
		return r.readText(raw, into)
	case kindBoolean:
		into.SetBool(raw[0] == 't')
		return raw[0] == 't' || raw[0] == 'f'
	case kindNumber:
		f, err := strconv.ParseFloat(string(raw), 64)
		into.SetFloat(f)
		return err == nil && plainNumber(raw)
	default:
		n, err := strconv.ParseInt(string(raw), 10, r.bits)
		into.SetInt(n)
		return err == nil && r.takesInteger(n)
	}
}

// readRaw keeps a copy: what the tokenizer returns is good until it is asked for more.
func readRaw(from *jsontext.Decoder, into reflect.Value) bool {
	if from.PeekKind() != '{' {
		return false
	}
	raw, err := from.ReadValue()
	into.SetBytes(bytes.Clone(raw))
	return err == nil
}

func (r *reader) readObject(from *jsontext.Decoder, into reflect.Value) bool {
	if begin, err := from.ReadToken(); err != nil || begin.Kind() != '{' {
		return false
	}
	seen := uint64(0)
	for from.PeekKind() == '"' {
		// Broken syntax, text that is not UTF-8 and names that come twice are found here.
		name, err := from.ReadValue()
		if err != nil {
			return false
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			return false
		}
		m, known := r.members[string(name[1:len(name)-1])]
		if !known {
			if unknown, err := from.ReadValue(); err != nil || !plainNumbers(unknown) {
				return false
			}
			continue
		}
		if r.nulls && from.PeekKind() == 'n' {
			if _, err := from.ReadToken(); err != nil {
				return false
			}
			continue
		}
		seen |= m.bit
		if !m.read(from, into.Field(m.field)) {
			return false
		}
	}
	_, err := from.ReadToken()
	return err == nil && seen == r.required
}

func (r *reader) readArray(from *jsontext.Decoder, into reflect.Value) bool {
	if begin, err := from.ReadToken(); err != nil || begin.Kind() != '[' {
		return false
	}
	list := reflect.MakeSlice(r.into, 0, 0)
	for kind := from.PeekKind(); kind != ']' && kind != 0; kind = from.PeekKind() {
		item := reflect.New(r.into.Elem()).Elem()
		if !r.item.read(from, item) {
			return false
		}
		list = reflect.Append(list, item)
	}
	into.Set(list)
	_, err := from.ReadToken()
	return err == nil && list.Len() >= r.minItems && (r.maxItems < 0 || list.Len() <= r.maxItems)
}

func (r *reader) readText(raw []byte, into reflect.Value) bool {
	if raw[0] != '"' {
		return false
	}
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		var err error
		if text, err = jsontext.AppendUnquote(nil, raw); err != nil {
			return false
		}
	}
	if r.enum != nil {
		value, ok := r.enum[string(text)]
		into.SetString(value)
		return ok && r.takesText(text, value)
	}
	said := string(text)
	into.SetString(said)
	return r.takesText(text, said)
}
