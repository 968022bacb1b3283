package contract

import (
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/contract/internal/format"
	"github.com/keyward/keyward/services/gateway/internal/contract/internal/oneof"
)

const blank = "cannot be blank"

// explain turns what the schema validator found into field errors. Field names start with prefix; whole stands for the value as a whole.
func (op *Operation) explain(err error, prefix []string, whole string) []fault.FieldError {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	var found []fault.FieldError
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			walk(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		at := append(slices.Clone(prefix), e.InstanceLocation...)
		if missing, ok := e.ErrorKind.(*kind.Required); ok {
			for _, property := range missing.Missing {
				found = append(found, fault.FieldError{Field: name(append(slices.Clone(at), property), whole), Message: blank})
			}
			return
		}
		if more, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
			for _, property := range more.Properties {
				unknown := name(append(slices.Clone(at), strings.ToValidUTF8(property, "\ufffd")), whole)
				found = append(found, fault.FieldError{Field: unknown, Message: "is no member that there is"})
			}
			return
		}
		found = append(found, fault.FieldError{Field: name(at, whole), Message: op.message(e)})
	}
	walk(invalid)
	return found
}

// message says in the words of the API what is wrong with one value; a schema may have words of its own for its length and its pattern.
func (op *Operation) message(e *jsonschema.ValidationError) string {
	switch e.ErrorKind.(type) {
	case *kind.MinLength, *kind.MaxLength:
		if own, ok := op.ownMessage(e.SchemaURL); ok {
			return own
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		if k.Got == "null" {
			return blank
		}
		return "must be " + article(k.Want[0])
	case *kind.MinLength:
		if k.Got == 0 {
			return blank
		}
		return fmt.Sprintf("must be at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must be at most %d characters", k.Want)
	case *kind.Enum:
		if k.Got == "" {
			return blank
		}
		if op.Told {
			return oneof.Say(k.Got, k.Want)
		}
		return "must be a valid value" // as published: clients compare it; the contract has the values
	case *kind.Pattern:
		if own, ok := op.ownMessage(e.SchemaURL); ok {
			return own
		}
		return "has the wrong form"
	case *kind.Format:
		if own, ok := op.ownMessage(e.SchemaURL); ok {
			return own
		}
		if k.Want == format.Bytes {
			return "must be base64"
		}
		return "must be an integer"
	case *kind.Minimum:
		return "must be at least " + limit(k.Want)
	case *kind.Maximum:
		return "must be at most " + limit(k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d entries", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d entries", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d entries", k.Want)
	}
	return "is not valid"
}

// ownMessage returns the x-message of a schema.
func (op *Operation) ownMessage(schemaURL string) (string, bool) {
	_, pointer, _ := strings.Cut(schemaURL, "#")
	unescaped, err := url.PathUnescape(pointer)
	if err != nil {
		return "", false
	}
	text, ok := op.doc.at(unescaped + "/x-message").(string)
	return text, ok
}

func article(kind string) string {
	switch kind {
	case "integer", "object", "array":
		return "an " + kind
	}
	return "a " + kind
}

func name(tokens []string, whole string) string {
	if len(tokens) == 0 {
		return whole
	}
	return clip(strings.Join(tokens, "."))
}

// tidy keeps the first message about each field and sorts by field, so that one request always gets one answer.
func tidy(found []fault.FieldError) []fault.FieldError {
	slices.SortStableFunc(found, func(a, b fault.FieldError) int {
		if c := strings.Compare(a.Field, b.Field); c != 0 {
			return c
		}
		return strings.Compare(a.Message, b.Message)
	})
	return slices.CompactFunc(found, func(a, b fault.FieldError) bool { return a.Field == b.Field })
}

// limit is a number as the document writes it.
func limit(n *big.Rat) string {
	const digits = 9
	if n.IsInt() {
		return n.RatString()
	}
	return strings.TrimRight(n.FloatString(digits), "0")
}
