package userapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/core/fault"
)

func newValidator() (protovalidate.Validator, error) {
	return protovalidate.New(protovalidate.WithDisableLazy(), protovalidate.WithMessages(
		&userv2.RegisterPasskeyRequest{}, &userv2.VerifyPasskeyRegistrationRequest{}, &userv2.CreatePasskeyRegistrationLinkRequest{},
		&userv2.ListPasskeysRequest{}, &userv2.RemovePasskeyRequest{},
	))
}

// validate checks a message against the rules of its proto. The first field at fault is told, in the words that existing clients know.
func (a *API) validate(message proto.Message) error {
	err := a.validator.Validate(message)
	var found *protovalidate.ValidationError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &found) || len(found.Violations) == 0:
		return fault.Internal(fmt.Errorf("validate: %w", err))
	}
	first := slices.MinFunc(found.Violations, func(a, b *protovalidate.Violation) int {
		return slices.CompareFunc(a.Proto.GetField().GetElements(), b.Proto.GetField().GetElements(), func(x, y *validate.FieldPathElement) int {
			return cmp.Compare(x.GetFieldNumber(), y.GetFieldNumber())
		})
	})
	return invalid(violated(message.ProtoReflect().Descriptor(), first))
}

// invalid is the fault of a message that breaks a rule of its proto.
func invalid(text string) *fault.Fault {
	return &fault.Fault{Type: fault.TypeValidationError, Status: http.StatusBadRequest, Details: text}
}

// violated says which field breaks which rule: invalid <Message>.<Field>: <reason>, with one such for every message on the way.
func violated(message protoreflect.MessageDescriptor, v *protovalidate.Violation) string {
	var b strings.Builder
	elements := v.Proto.GetField().GetElements()
	for i, element := range elements {
		field := message.Fields().ByNumber(protoreflect.FieldNumber(element.GetFieldNumber()))
		if field == nil {
			break
		}
		fmt.Fprintf(&b, "invalid %s.%s: ", message.Name(), goName(field.Name()))
		if i == len(elements)-1 {
			return b.String() + reason(field, v)
		}
		b.WriteString("embedded message failed validation | caused by: ")
		message = field.Message()
	}
	return b.String() + v.Proto.GetMessage()
}

func reason(field protoreflect.FieldDescriptor, v *protovalidate.Violation) string {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	switch id := v.Proto.GetRuleId(); id {
	case "required":
		return "value is required"
	case "string.min_len", "string.max_len":
		return fmt.Sprintf("value length must be between %d and %d runes, inclusive", rules.GetString().GetMinLen(), rules.GetString().GetMaxLen())
	}
	return v.Proto.GetMessage()
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
