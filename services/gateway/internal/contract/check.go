package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/core/fault"
)

// maxDepth bounds the nesting of objects and arrays in a body; the contract itself needs 4.
const maxDepth = 32

// NotJSON reports a body that is not one JSON value that may be read: broken syntax, text that is not UTF-8, a member name given twice, too
// deep a nesting, or a number that costs more than its bytes.
type NotJSON struct {
	Reason string // for the caller
	Field  string // with dots; empty if none can be named
}

// Error implements error.
func (e *NotJSON) Error() string { return "not JSON: " + e.Reason }

type body struct {
	at     string // pointer to the schema
	schema *jsonschema.Schema
	shape  *shape // nil: the schema uses what shapes do not know
}

// TakesBody reports whether the operation has a request body.
func (op *Operation) TakesBody() bool { return op.body != nil }

// CheckBody returns every field of body that does not fit the contract, nothing if it fits, or a *NotJSON. Members that the contract does
// not know are ignored.
func (op *Operation) CheckBody(body []byte) ([]fault.FieldError, error) {
	if op.body == nil {
		return nil, nil
	}
	if err := checkSyntax(body); err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, &NotJSON{Reason: "the body cannot be read"}
	}
	op.doc.dropNulls(value, op.body.at, false)
	found := op.explain(op.body.schema.Validate(value), nil, "body")
	return tidy(append(nulFields(value, nil, nil), found...)), nil
}

// CheckPath checks the path parameters, which raw returns as they are in the URL (percent-encoded).
func (op *Operation) CheckPath(raw func(name string) string) []fault.FieldError {
	var found []fault.FieldError
	for _, p := range op.path {
		value, err := url.PathUnescape(raw(p.name))
		if err != nil || !utf8.ValidString(value) {
			found = append(found, fault.FieldError{Field: p.name, Message: "must be valid UTF-8, percent-encoded"})
			continue
		}
		found = append(found, op.explain(p.schema.Validate(convert(p.kind, value)), []string{p.name}, "")...)
	}
	return tidy(found)
}

// CheckQuery checks the query parameters in raw, the part of the URL after the question mark. A name that the operation does not know is
// refused, also where it knows none: a filter that is left out for its spelling, or since there is none, would answer with everything.
func (op *Operation) CheckQuery(raw string) []fault.FieldError {
	if raw == "" {
		return nil
	}
	values, err := Query(raw)
	if err != nil {
		return []fault.FieldError{{Field: "query", Message: "must be percent-encoded name=value pairs joined by &"}}
	}
	found := op.unknownParameters(values)
	for _, p := range op.query {
		found = append(found, op.checkQueryParameter(p, values[p.name])...)
	}
	return tidy(found)
}

func (op *Operation) unknownParameters(values url.Values) []fault.FieldError {
	names := op.QueryParameters()
	known := cmp.Or(strings.Join(names, ", "), "none")
	var found []fault.FieldError
	for _, sent := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(names, sent) {
			name := clip(strings.ToValidUTF8(sent, "\ufffd"))
			found = append(found, fault.FieldError{Field: name, Message: "is no parameter of this operation; it takes " + known})
		}
	}
	return found
}

// indexed is the name of a list with numbers in its brackets, or more brackets behind them, as PHP's http_build_query and the qs of Node
// write it.
var indexed = regexp.MustCompile(`^([A-Za-z]+)\[[0-9]{0,4}\](\[[0-9]{0,4}\])?$`)

// Query reads the part of a URL after the question mark. Lists are called name[], however they were written: name[0]=, name[][]= or
// name[][0]=.
func Query(raw string) (url.Values, error) {
	sent, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	values := make(url.Values, len(sent))
	for _, name := range slices.SortedFunc(maps.Keys(sent), byLength) {
		list := name
		if parts := indexed.FindStringSubmatch(name); parts != nil {
			list = parts[1] + "[]"
		}
		values[list] = append(values[list], sent[name]...)
	}
	return values, nil
}

// byLength sorts x[9] before x[10].
func byLength(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// TakesHeader reports whether the operation knows a header of that name, as the document spells it.
func (op *Operation) TakesHeader(name string) bool {
	return slices.ContainsFunc(op.header, func(p parameter) bool { return p.name == name })
}

// CheckHeaders checks the header parameters. value returns what was sent, and false if nothing was.
func (op *Operation) CheckHeaders(value func(name string) (string, bool)) []fault.FieldError {
	var found []fault.FieldError
	for _, p := range op.header {
		text, sent := value(p.name)
		switch {
		case !sent && p.required:
			found = append(found, fault.FieldError{Field: p.name, Message: blank})
		case sent:
			found = append(found, op.checkQueryParameter(p, []string{text})...)
		}
	}
	return tidy(found)
}

func (op *Operation) checkQueryParameter(p parameter, values []string) []fault.FieldError {
	switch {
	case len(values) == 0 && p.required:
		return []fault.FieldError{{Field: p.name, Message: blank}}
	case len(values) == 0:
		return nil
	case len(values) > 1 && !p.list:
		return []fault.FieldError{{Field: p.name, Message: "must be given once"}}
	}
	for _, v := range values {
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return []fault.FieldError{{Field: p.name, Message: "must be valid UTF-8 without NUL characters"}}
		}
	}
	var value any = convert(p.kind, values[0])
	if p.list {
		items := make([]any, len(values))
		for i, v := range values {
			items[i] = convert(p.kind, v)
		}
		value = items
	}
	found := op.explain(p.schema.Validate(value), []string{p.name}, "")
	for i := range found {
		found[i].Field = p.name // an item of a list is named by its list
	}
	return found
}

// AnswersJSON reports whether answers with that status have a JSON body.
func (op *Operation) AnswersJSON(status string) bool { return op.responses[status] != nil }

// CheckResponse returns how body differs from what the contract says of answers with that status ("200" or "default"); it serves tests.
func (op *Operation) CheckResponse(status string, body []byte) error {
	schema := op.responses[status]
	if schema == nil {
		return fmt.Errorf("%s has no JSON response for %s", op.ID, status)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,18})$`)

// convert reads a parameter's text as the type it should have; text that does not read so stays text, which the schema then refuses.
func convert(kind, text string) any {
	switch {
	case kind == "integer" && decimal.MatchString(text):
		return json.Number(text)
	case kind == "boolean" && (text == "true" || text == "false"):
		return text == "true"
	}
	return text
}

func checkSyntax(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return &NotJSON{Reason: "the body is empty"}
	}
	if depth(body) > maxDepth {
		return &NotJSON{Reason: fmt.Sprintf("objects and arrays are nested more than %d deep", maxDepth)}
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	_, err := dec.ReadValue()
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return checkNumbers(body)
		}
		return &NotJSON{Reason: "something follows the JSON value"}
	}
	var at *jsontext.SyntacticError
	if !errors.As(err, &at) {
		return &NotJSON{Reason: "the body ends too early"}
	}
	field := fieldAt(at.JSONPointer)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &NotJSON{Reason: "a name is given twice", Field: clip(field)}
	case !utf8.Valid(body) || readsOn(body, at.ByteOffset):
		return &NotJSON{Reason: "the text is not valid Unicode", Field: clip(field)}
	}
	return &NotJSON{Reason: fmt.Sprintf("broken syntax at byte %d", at.ByteOffset), Field: clip(field)}
}

// readsOn reports whether a decoder that does not mind broken Unicode reads on where the strict one stopped.
func readsOn(body []byte, stopped int64) bool {
	_, err := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowInvalidUTF8(true)).ReadValue()
	var at *jsontext.SyntacticError
	return !errors.As(err, &at) || at.ByteOffset > stopped
}

// clip keeps a field name that the caller made up from filling an answer, and from making it invalid UTF-8.
func clip(field string) string {
	const most = 200
	field = strings.ToValidUTF8(field, "\uFFFD")
	if len(field) <= most {
		return field
	}
	return strings.ToValidUTF8(field[:most], "")
}

// surelyShallow reports at the cost of two passes of the vector unit that body cannot be nested deeper than maxDepth.
func surelyShallow(body []byte) bool {
	return bytes.Count(body, []byte{'{'})+bytes.Count(body, []byte{'['}) <= maxDepth
}

// depth returns how deep objects and arrays are nested, whatever else is wrong with body.
func depth(body []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// nulFields names the strings that hold a NUL character, which no store and no log can be trusted with.
func nulFields(value any, at []string, found []fault.FieldError) []fault.FieldError {
	switch v := value.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			found = append(found, fault.FieldError{Field: name(at, "body"), Message: "must not contain a NUL character"})
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			found = nulFields(v[key], append(at, key), found)
		}
	case []any:
		for i := range v {
			found = nulFields(v[i], append(at, fmt.Sprint(i)), found)
		}
	}
	return found
}
