package contract

import (
	"encoding/json"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/services/gateway/internal/contract/internal/format"
)

// shape is a schema compiled for one purpose: to say yes to a good value while it is being decoded. It knows the part of JSON Schema that
// the contract uses; of a schema with anything else there is no shape, and the full validator is always asked. A shape never says yes
// where the full validator says no.
type shape struct {
	kind       valueKind
	bits       int // of integers: 32 or 64
	low, high  *int64
	minLength  int
	maxLength  int // -1: no limit
	pattern    *pattern
	address    bool              // of a client
	enum       map[string]string // to itself, so that a value need not be copied
	properties map[string]*shape
	required   []string
	nulls      bool // a member that is null is as one that is absent
	items      *shape
	minItems   int
	maxItems   int // -1: no limit
}

type valueKind int

const (
	kindObject valueKind = iota
	kindArray
	kindText
	kindBoolean
	kindInteger
	kindNumber
)

// known are the keywords that a shape understands or that say nothing about validity.
var known = []string{
	"type", "properties", "required", "items", "minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "format", "minItems",
	"maxItems", "description", "examples", "default", "deprecated", "title", "x-message", nullsKeyword,
}

// shape compiles a schema, or returns nil. nulls says whether a schema around it takes null for absent.
func (d *Document) shape(pointer string, depth int, nulls bool) *shape {
	object, ok := d.at(d.resolve(pointer)).(map[string]any)
	if !ok || depth > maxDepth {
		return nil
	}
	pointer = d.resolve(pointer)
	for keyword := range object {
		if !slices.Contains(known, keyword) {
			return nil
		}
	}
	s := &shape{maxLength: -1, maxItems: -1, nulls: nulls || nullsAbsent(object)}
	switch object["type"] {
	case "object":
		return s.object(d, pointer, object, depth)
	case "array":
		s.kind, s.minItems, s.maxItems = kindArray, number(object["minItems"], 0), number(object["maxItems"], -1)
		s.items = d.shape(pointer+"/items", depth+1, s.nulls)
		if s.items == nil {
			return nil
		}
		return s
	case "string":
		return s.text(object)
	case "boolean":
		s.kind = kindBoolean
		return s
	case "integer":
		return s.whole(object)
	case "number":
		s.kind = kindNumber
		if object["format"] != "double" || object["minimum"] != nil || object["maximum"] != nil {
			return nil
		}
		return s
	}
	return nil
}

func (s *shape) object(d *Document, pointer string, object map[string]any, depth int) *shape {
	s.kind, s.properties = kindObject, map[string]*shape{}
	properties, _ := object["properties"].(map[string]any)
	for name := range properties {
		inner := d.shape(pointer+"/properties/"+escape(name), depth+1, s.nulls)
		if inner == nil {
			return nil
		}
		s.properties[name] = inner
	}
	required, _ := object["required"].([]any)
	for _, r := range required {
		name, _ := r.(string)
		if s.properties[name] == nil {
			return nil
		}
		s.required = append(s.required, name)
	}
	return s
}

func (s *shape) text(object map[string]any) *shape {
	s.kind, s.minLength, s.maxLength = kindText, number(object["minLength"], 0), number(object["maxLength"], -1)
	if expression, ok := object["pattern"].(string); ok {
		if s.pattern = compilePattern(expression); s.pattern == nil {
			return nil
		}
	}
	if values, ok := object["enum"].([]any); ok {
		s.enum = map[string]string{}
		for _, v := range values {
			text, _ := v.(string)
			s.enum[text] = text
		}
	}
	switch object["format"] {
	case nil:
	case format.Address:
		s.address = true
	default:
		return nil
	}
	return s
}

func (s *shape) whole(object map[string]any) *shape {
	s.kind = kindInteger
	switch object["format"] {
	case "int32":
		s.bits = 32
	case "int64":
		s.bits = 64
	default:
		return nil
	}
	for keyword, limit := range map[string]**int64{"minimum": &s.low, "maximum": &s.high} {
		if object[keyword] == nil {
			continue
		}
		n, err := object[keyword].(json.Number).Int64()
		if err != nil {
			return nil
		}
		*limit = &n
	}
	return s
}

func number(v any, otherwise int) int {
	if n, ok := v.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return int(i)
		}
	}
	return otherwise
}

// takesText reports whether text, which is UTF-8 and both of the same, fits but for the enumeration.
func (s *shape) takesText(text []byte, said string) bool {
	// A character is at least one byte, so most texts need not be counted.
	if s.minLength > 0 && utf8.RuneCount(text) < s.minLength {
		return false
	}
	if s.maxLength >= 0 && len(text) > s.maxLength && utf8.RuneCount(text) > s.maxLength {
		return false
	}
	if s.address {
		if _, ok := address.Client(said); !ok {
			return false
		}
	}
	return s.pattern == nil || s.pattern.match(text)
}

func (s *shape) takesInteger(n int64) bool {
	return (s.low == nil || n >= *s.low) && (s.high == nil || n <= *s.high)
}

// pattern is a regular expression. The form that IDs have, ^prefix[0-9]{low,high}$, is matched without the machine.
type pattern struct {
	expression *regexp.Regexp
	prefix     string
	low, high  int // digits; high 0: another form
}

var idForm = regexp.MustCompile(`^\^([a-z]+-)\[0-9\]\{(\d{1,2}),(\d{1,2})\}\$$`)

// compilePattern returns nil for what is no regular expression.
func compilePattern(expression string) *pattern {
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return nil
	}
	p := &pattern{expression: compiled}
	if parts := idForm.FindStringSubmatch(expression); parts != nil {
		p.prefix, p.low, p.high = parts[1], number(json.Number(parts[2]), 0), number(json.Number(parts[3]), 0)
	}
	return p
}

func (p *pattern) match(text []byte) bool {
	if p.high == 0 {
		return p.expression.Match(text)
	}
	if len(text) < len(p.prefix) || string(text[:len(p.prefix)]) != p.prefix {
		return false
	}
	digits := text[len(p.prefix):]
	if len(digits) < p.low || len(digits) > p.high {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
