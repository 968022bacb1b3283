package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/core/yamljson"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// samples makes of a document the smallest request that fits an operation, and the smallest value that fits a schema, so that an operation
// needs no row in a test's table.
type samples struct{ root map[string]any }

var (
	backendSamples  = sync.OnceValue(func() samples { return samplesOf(api.OpenAPI) })
	frontendSamples = sync.OnceValue(func() samples { return samplesOf(api.Frontend) })
	operatorSamples = sync.OnceValue(func() samples { return samplesOf(api.Operator) })
)

func samplesOf(document []byte) samples {
	asJSON, err := yamljson.ToJSON(document)
	if err != nil {
		panic(err)
	}
	var s samples
	if err := json.Unmarshal(asJSON, &s.root); err != nil {
		panic(err)
	}
	return s
}

// request is for op, all that is required filled in and nothing else.
func (s samples) request(t testing.TB, op *contract.Operation, item, method map[string]any) example {
	t.Helper()
	path, query := op.Path, url.Values{}
	for _, p := range append(list(item["parameters"]), list(method["parameters"])...) {
		parameter := s.resolve(p)
		if parameter["required"] != true {
			continue
		}
		name, value := parameter["name"].(string), fmt.Sprint(s.value(parameter["schema"]))
		switch parameter["in"] {
		case "path":
			path = strings.Replace(path, "{"+name+"}", url.PathEscape(value), 1)
		case "query":
			query.Set(name, value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	content := object(object(s.resolve(method["requestBody"])["content"])["application/json"])
	if content == nil {
		return example{path, ""}
	}
	body, err := json.Marshal(s.value(content["schema"]))
	if err != nil {
		t.Fatal(err)
	}
	return example{path, string(body)}
}

// operation is what the document says of op, and of its path.
func (s samples) operation(op *contract.Operation) (item, method map[string]any) {
	for path, item := range object(s.root["paths"]) {
		for _, method := range object(item) {
			if object(method)["operationId"] == op.ID && (op.Path == path || op.Path == "/v2"+path || op.Path == "/operator/v1"+path) {
				return object(item), object(method)
			}
		}
	}
	return nil, nil
}

// schema is the component that a Go type is generated from: it has its name, but for the case of letters.
func (s samples) schema(name string) (any, bool) {
	for candidate, schema := range object(object(s.root["components"])["schemas"]) {
		if strings.EqualFold(candidate, name) {
			return schema, true
		}
	}
	return nil, false
}

// value is the smallest that fits schema.
func (s samples) value(schema any) any {
	described := s.resolve(schema)
	if constant, ok := described["const"]; ok {
		return constant
	}
	for _, shown := range []string{"examples", "enum"} {
		if values := list(described[shown]); len(values) > 0 {
			return values[0]
		}
	}
	if shown, ok := described["example"]; ok {
		return shown
	}
	for _, choice := range []string{"oneOf", "anyOf"} {
		if choices := list(described[choice]); len(choices) > 0 && described["properties"] == nil {
			return s.value(choices[0])
		}
	}
	if parts := list(described["allOf"]); len(parts) > 0 {
		return s.all(described, parts)
	}
	return s.ofType(described)
}

// all is a value that fits each of parts, and what described says beside them.
func (s samples) all(described map[string]any, parts []any) any {
	if len(parts) == 1 && described["properties"] == nil {
		return s.value(parts[0])
	}
	whole := s.members(described)
	for _, part := range parts {
		maps.Copy(whole, object(s.value(part)))
	}
	return whole
}

func (s samples) ofType(described map[string]any) any {
	kind, _ := described["type"].(string)
	if kinds := list(described["type"]); len(kinds) > 0 {
		kind, _ = kinds[0].(string)
	}
	switch kind {
	case "array":
		return slices.Repeat([]any{s.value(described["items"])}, count(described["minItems"]))
	case "string":
		return text(described)
	case "integer", "number":
		return count(described["minimum"])
	case "boolean":
		return false
	default:
		return s.members(described)
	}
}

// members are those that are required.
func (s samples) members(described map[string]any) map[string]any {
	properties, whole := object(described["properties"]), map[string]any{}
	for _, name := range list(described["required"]) {
		whole[name.(string)] = s.value(properties[name.(string)])
	}
	return whole
}

func text(described map[string]any) string {
	switch described["format"] {
	case "date-time":
		return "2026-11-22T12:00:00Z"
	case "uri":
		return "https://example.com"
	case "client-address":
		return "203.0.113.7"
	case "byte":
		return "AAAA"
	case "email":
		return "ada@example.com"
	}
	if pattern, ok := described["pattern"].(string); ok {
		return rapid.StringMatching(pattern).Example(1)
	}
	return strings.Repeat("a", max(1, count(described["minLength"])))
}

func (s samples) resolve(schema any) map[string]any {
	described := object(schema)
	reference, ok := described["$ref"].(string)
	if !ok {
		return described
	}
	var at any = s.root
	for step := range strings.SplitSeq(strings.TrimPrefix(reference, "#/"), "/") {
		at = object(at)[step]
	}
	return s.resolve(at)
}

func object(v any) map[string]any { o, _ := v.(map[string]any); return o }

func list(v any) []any { l, _ := v.([]any); return l }

func count(v any) int { n, _ := v.(float64); return int(n) }

// sampled is what a service answers that no test has told what to: the smallest value that fits the schema its type is generated from.
func sampled(answer reflect.Type) any {
	value := reflect.New(answer).Elem()
	body := value
	for body.Kind() == reflect.Struct && body.FieldByName("Body").IsValid() {
		body = body.FieldByName("Body")
	}
	for _, s := range []samples{backendSamples(), frontendSamples(), operatorSamples()} {
		schema, found := s.schema(body.Type().Name())
		if !found {
			continue
		}
		asJSON, err := json.Marshal(s.value(schema))
		if err == nil {
			err = json.Unmarshal(asJSON, body.Addr().Interface())
		}
		if err != nil {
			panic(fmt.Sprintf("no sample of %s: %v", answer, err))
		}
		break
	}
	return value.Interface()
}
