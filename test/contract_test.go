package test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/core/yamljson"
)

// apiContract is what the OpenAPI document says of answers.
type apiContract struct {
	operations []operation
	failure    *jsonschema.Schema
}

type operation struct {
	id, method, path string // path with its parameters in braces
	form             *regexp.Regexp
	success          *jsonschema.Schema // nil: no JSON
	paged            bool               // takes page and pageSize
}

var readContract = sync.OnceValues(parseContract)

func contract(t *testing.T) *apiContract {
	t.Helper()
	c, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const openAPI = "https://keyward.invalid/openapi.json"

// parseContract reads the document for itself, not as the server does: a fault in how the server reads it must not hide itself.
func parseContract() (*apiContract, error) {
	asJSON, err := yamljson.ToJSON(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(openAPI, document); err != nil {
		return nil, err
	}
	c := &apiContract{}
	if c.failure, err = compiler.Compile(openAPI + "#/components/schemas/ErrorRsp"); err != nil {
		return nil, err
	}
	for path, item := range document.(map[string]any)["paths"].(map[string]any) {
		for method, described := range item.(map[string]any) {
			if method == "parameters" || method == "servers" {
				continue
			}
			op, err := readOperation(compiler, path, method, item.(map[string]any), described.(map[string]any))
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			c.operations = append(c.operations, op)
		}
	}
	return c, nil
}

func readOperation(compiler *jsonschema.Compiler, path, method string, item, described map[string]any) (operation, error) {
	op := operation{id: described["operationId"].(string), method: strings.ToUpper(method), path: "/v2" + path}
	if item["servers"] != nil {
		op.path = path
	}
	op.form = regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]+\\\}`).ReplaceAllString(regexp.QuoteMeta(op.path), "[^/]+") + "$")
	op.paged = strings.Contains(fmt.Sprint(described["parameters"]), "parameters/pageSize")
	at := "#/paths/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(path)) + "/" + method + "/responses/200"
	success := described["responses"].(map[string]any)["200"].(map[string]any)
	if ref, ok := success["$ref"].(string); ok {
		if ref != "#/components/responses/Generic" {
			return op, fmt.Errorf("the reference %s is not known", ref)
		}
		at, success = ref, map[string]any{"content": map[string]any{"application/json": nil}}
	}
	if _, ok := success["content"].(map[string]any)["application/json"]; !ok {
		return op, nil
	}
	var err error
	op.success, err = compiler.Compile(openAPI + at + "/content/application~1json/schema")
	return op, err
}

// operation finds what a call is, or nil if the document does not know it.
func (c *apiContract) operation(method, target string) *operation {
	path, _, _ := strings.Cut(target, "?")
	for i, op := range c.operations {
		if op.method == method && op.form.MatchString(path) {
			return &c.operations[i]
		}
	}
	return nil
}

// fits says how an answer differs from what the document says.
func (c *apiContract) fits(method, target string, a answer) error {
	op, schema := c.operation(method, target), c.failure
	if a.status == http.StatusOK {
		switch {
		case op == nil && strings.HasPrefix(target, "/v2/"):
			return errors.New("the document does not know the operation")
		case op == nil || op.success == nil:
			return nil // the API page, or a stream
		}
		schema = op.success
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("an answer with status %d came as %q", a.status, got)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
	if err != nil {
		return err
	}
	for _, name := range []string{"X-Request-ID", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
		if a.header.Get(name) == "" {
			return fmt.Errorf("the answer lacks the header %s", name)
		}
	}
	return schema.Validate(value)
}
