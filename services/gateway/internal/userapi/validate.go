package userapi

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/core/fault"
)

// rules are the buf.validate rules of a message's fields, in the order of their numbers. The protos say them; this file reads the kinds
// that they use (required, and how long a string is) and refuses others, since the library that knows all brings a language with it.
type rules []fieldRules

type fieldRules struct {
	field    protoreflect.FieldDescriptor
	required bool
	length   *validate.StringRules // nil: any
	inside   rules                 // of the message that the field holds
}

// validator holds the rules of every message that is validated.
type validator map[protoreflect.FullName]rules

func newValidator() (validator, error) {
	v := validator{}
	for _, message := range []proto.Message{
		&userv2.RegisterPasskeyRequest{}, &userv2.VerifyPasskeyRegistrationRequest{}, &userv2.CreatePasskeyRegistrationLinkRequest{},
		&userv2.ListPasskeysRequest{}, &userv2.RemovePasskeyRequest{},
	} {
		descriptor := message.ProtoReflect().Descriptor()
		found, err := rulesOf(descriptor)
		if err != nil {
			return nil, err
		}
		v[descriptor.FullName()] = found
	}
	return v, nil
}

// rulesOf reads the rules of a message. Messages of protobuf itself have none, and hold one another.
func rulesOf(message protoreflect.MessageDescriptor) (rules, error) {
	if message.ParentFile().Package() == "google.protobuf" {
		return nil, nil
	}
	if proto.HasExtension(message.Options(), validate.E_Message) {
		return nil, fmt.Errorf("%s has a rule of its own, which is not known", message.FullName())
	}
	for i := range message.Oneofs().Len() {
		if oneof := message.Oneofs().Get(i); proto.HasExtension(oneof.Options(), validate.E_Oneof) {
			return nil, fmt.Errorf("%s has a rule, which is not known", oneof.FullName())
		}
	}
	var found rules
	for i := range message.Fields().Len() {
		one, err := rulesOfField(message.Fields().Get(i))
		if err != nil {
			return nil, err
		}
		if one.required || one.length != nil || len(one.inside) > 0 {
			found = append(found, one)
		}
	}
	return found, nil
}

func rulesOfField(field protoreflect.FieldDescriptor) (fieldRules, error) {
	said, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	known := &validate.FieldRules{}
	if said.HasRequired() {
		known.SetRequired(said.GetRequired())
	}
	if s := said.GetString(); s != nil {
		known.SetString(validate.StringRules_builder{MinLen: s.MinLen, MaxLen: s.MaxLen}.Build())
	}
	if said != nil && !proto.Equal(said, known) {
		return fieldRules{}, fmt.Errorf("%s has a rule that is not known: %v", field.FullName(), said)
	}
	one := fieldRules{field: field, required: said.GetRequired(), length: said.GetString()}
	if field.Message() == nil {
		return one, nil
	}
	inside, err := rulesOf(field.Message())
	if err == nil && len(inside) > 0 && field.Cardinality() == protoreflect.Repeated {
		err = fmt.Errorf("%s repeats a message with rules, which is not known", field.FullName())
	}
	one.inside = inside
	return one, err
}

// validate checks a message against the rules of its proto. The first field at fault is told, in the words that existing clients know.
func (a *API) validate(message proto.Message) error {
	reflected := message.ProtoReflect()
	known, ok := a.validator[reflected.Descriptor().FullName()]
	if !ok {
		return fault.Internal(fmt.Errorf("validate: no rules of %s are known", reflected.Descriptor().FullName()))
	}
	if text := known.broken(reflected); text != "" {
		return invalid(text)
	}
	return nil
}

// invalid is the fault of a message that breaks a rule of its proto.
func invalid(text string) *fault.Fault {
	return &fault.Fault{Type: fault.TypeValidationError, Status: http.StatusBadRequest, Details: text}
}

// broken says which field of a message breaks which rule: invalid <Message>.<Field>: <reason>, with one such for every message on the way.
// It is empty if none does.
func (r rules) broken(message protoreflect.Message) string {
	for _, one := range r {
		if reason := one.broken(message); reason != "" {
			return fmt.Sprintf("invalid %s.%s: %s", message.Descriptor().Name(), goName(one.field.Name()), reason)
		}
	}
	return ""
}

func (r fieldRules) broken(message protoreflect.Message) string {
	if !message.Has(r.field) {
		switch {
		case r.required:
			return "value is required"
		case r.field.HasPresence():
			return ""
		}
	}
	if r.length != nil {
		n := uint64(utf8.RuneCountInString(message.Get(r.field).String()))
		if n < r.length.GetMinLen() || r.length.HasMaxLen() && n > r.length.GetMaxLen() {
			return fmt.Sprintf("value length must be between %d and %d runes, inclusive", r.length.GetMinLen(), r.length.GetMaxLen())
		}
	}
	if len(r.inside) > 0 {
		if reason := r.inside.broken(message.Get(r.field).Message()); reason != "" {
			return "embedded message failed validation | caused by: " + reason
		}
	}
	return ""
}

// goName returns a field's name as Go writes it: UserId of user_id.
func goName(field protoreflect.Name) string {
	words := strings.Split(string(field), "_")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
}
