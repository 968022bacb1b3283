package contract

import (
	"encoding/json"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// quick is a schema compiled for one purpose: to say yes to a good body without building it up in memory. It knows the part of JSON Schema that the
// contract uses; for a schema with anything else quicken returns nil, and the full validator is always asked. It never says yes where the full
// validator says no, save for faults that any strict decoder finds (see Operation.Accepts).
type quick struct {
	root   *shape
	parser fastjson.ParserPool
}

type shape struct {
	kind       fastjson.Type
	boolean    bool
	integer    bool
	bits       int // of integers: 32 or 64
	low, high  *int64
	minLength  int
	maxLength  int // -1: no limit
	pattern    *regexp.Regexp
	enum       map[string]struct{}
	properties map[string]member
	required   uint64 // one bit for each required member
	items      *shape
	maxItems   int // -1: no limit
}

type member struct {
	shape *shape
	bit   uint64 // 0: optional
}

// known are the keywords that quick understands or that say nothing about validity.
var known = []string{"type", "properties", "required", "items", "minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "format", "maxItems",
	"description", "examples", "default", "deprecated", "title", "x-message"}

func quicken(d *Document, pointer string) *quick {
	root := d.shape(pointer, 0)
	if root == nil {
		return nil
	}
	return &quick{root: root}
}

func (d *Document) shape(pointer string, depth int) *shape {
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
	s := &shape{maxLength: -1, maxItems: -1}
	switch object["type"] {
	case "object":
		return s.object(d, pointer, object, depth)
	case "array":
		s.kind, s.maxItems = fastjson.TypeArray, number(object["maxItems"], -1)
		s.items = d.shape(pointer+"/items", depth+1)
		if s.items == nil {
			return nil
		}
		return s
	case "string":
		return s.text(object)
	case "boolean":
		s.boolean = true
		return s
	case "integer":
		return s.whole(object)
	}
	return nil
}

func (s *shape) object(d *Document, pointer string, object map[string]any, depth int) *shape {
	s.kind, s.properties = fastjson.TypeObject, map[string]member{}
	properties, _ := object["properties"].(map[string]any)
	for name := range properties {
		inner := d.shape(pointer+"/properties/"+escape(name), depth+1)
		if inner == nil {
			return nil
		}
		s.properties[name] = member{shape: inner}
	}
	required, _ := object["required"].([]any)
	for i, r := range required {
		name, _ := r.(string)
		m, ok := s.properties[name]
		if !ok || i >= 64 {
			return nil
		}
		m.bit = 1 << i
		s.properties[name] = m
		s.required |= m.bit
	}
	return s
}

func (s *shape) text(object map[string]any) *shape {
	s.kind, s.minLength, s.maxLength = fastjson.TypeString, number(object["minLength"], 0), number(object["maxLength"], -1)
	if pattern, ok := object["pattern"].(string); ok {
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return nil
		}
		s.pattern = compiled
	}
	if values, ok := object["enum"].([]any); ok {
		s.enum = map[string]struct{}{}
		for _, v := range values {
			text, _ := v.(string)
			s.enum[text] = struct{}{}
		}
	}
	if object["format"] != nil {
		return nil
	}
	return s
}

func (s *shape) whole(object map[string]any) *shape {
	s.kind, s.integer = fastjson.TypeNumber, true
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

func (q *quick) accepts(body []byte) bool {
	p := q.parser.Get()
	defer q.parser.Put(p)
	value, err := p.ParseBytes(body)
	return err == nil && q.root.accepts(value)
}

func (s *shape) accepts(v *fastjson.Value) bool {
	kind := v.Type()
	switch {
	case s.boolean:
		return kind == fastjson.TypeTrue || kind == fastjson.TypeFalse
	case kind != s.kind:
		return false
	case s.integer:
		return s.acceptsInteger(v)
	case kind == fastjson.TypeString:
		return s.acceptsText(v)
	case kind == fastjson.TypeArray:
		return s.acceptsArray(v)
	}
	return s.acceptsObject(v)
}

func (s *shape) acceptsInteger(v *fastjson.Value) bool {
	n, err := v.Int64()
	if err != nil || (s.bits == 32 && n != int64(int32(n))) {
		return false
	}
	return (s.low == nil || n >= *s.low) && (s.high == nil || n <= *s.high)
}

func (s *shape) acceptsText(v *fastjson.Value) bool {
	text := v.GetStringBytes()
	if s.enum != nil {
		if _, ok := s.enum[string(text)]; !ok {
			return false
		}
	}
	// A character is at least one byte, so most texts need not be counted.
	if s.minLength > 0 && utf8.RuneCount(text) < s.minLength {
		return false
	}
	if s.maxLength >= 0 && len(text) > s.maxLength && utf8.RuneCount(text) > s.maxLength {
		return false
	}
	return s.pattern == nil || s.pattern.Match(text)
}

func (s *shape) acceptsArray(v *fastjson.Value) bool {
	items := v.GetArray()
	if s.maxItems >= 0 && len(items) > s.maxItems {
		return false
	}
	for _, item := range items {
		if !s.items.accepts(item) {
			return false
		}
	}
	return true
}

func (s *shape) acceptsObject(v *fastjson.Value) bool {
	seen, good := uint64(0), true
	v.GetObject().Visit(func(key []byte, value *fastjson.Value) {
		m, ok := s.properties[string(key)]
		if !ok || !good {
			return
		}
		seen |= m.bit
		good = m.shape.accepts(value)
	})
	return good && seen == s.required
}
