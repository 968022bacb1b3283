// Package contract reads the OpenAPI document and answers, for each operation, whether a request fits it. An OpenAPI 3.1 schema is a JSON
// Schema (draft 2020-12), so the document itself is what requests are checked against: nothing is written twice. It is pure: bytes in,
// field errors out.
package contract

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/yamljson"
	"github.com/keyward/keyward/services/gateway/internal/contract/internal/format"
	"github.com/keyward/keyward/services/gateway/internal/scope"
)

// resource names the document for the schema compiler; nothing is fetched from it.
const resource = "openapi.json"

// Document is a compiled OpenAPI document. It does not change after Parse and may be shared.
type Document struct {
	// Operations in the order of the document.
	Operations []*Operation

	yaml, json []byte
	root       any
}

// Operation is one method of one path.
type Operation struct {
	ID     string // operationId
	Method string // upper case
	Path   string // with the server's prefix and parameters in braces, for example /v2/users/{userID}
	// Permission is what an API key must have to call it, x-permission in the document; empty if the operation is public.
	Permission string
	// Role is the least that an operator must have to call it, x-role in the document; empty of an operation that is not for operators.
	Role     operator.Role
	Projects scope.Scope // what it is to an operator who is limited to some projects: x-projects in the document
	// Public operations ask for no credentials: the document gives them an empty security.
	Public bool
	// Session operations are for users with a session, and process operations for whoever has the token of a process: security schemes
	// sessionAuth and processID.
	Session, Process bool
	// NoContent operations answer success with 204, and no body.
	NoContent bool
	// Counts says what a call of a visitor is counted as beside being a call: "process" or "user", which it leaves behind, "lookup" of an
	// identifier, or nothing; x-counts of the document.
	Counts string
	// Told operations say which values there are instead of another that is sent, and which is meant perhaps: those of operators, and those
	// with x-values of the document. What is wrong with others is said as it is published.
	Told bool
	// BodyLimit is how many bytes of a body are read at most: x-body-limit of the document, else defaultBodyLimit.
	BodyLimit int
	body      *body // nil: takes none
	path      []parameter
	query     []parameter
	header    []parameter
	// responses holds, by status or "default", what JSON bodies must look like.
	responses map[string]*jsonschema.Schema
	doc       *Document
}

type parameter struct {
	name     string
	required bool
	kind     string // JSON Schema type of the value, or of the items if list is true
	list     bool
	schema   *jsonschema.Schema
}

// defaultBodyLimit is the bound of bodies for which the document has none: twice what the largest of them may need.
const defaultBodyLimit = 64 << 10

// methods in the order that an OpenAPI path item is read.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// Parse compiles document, which is OpenAPI 3.1 in YAML. An error says which schema does not compile.
func Parse(document []byte) (*Document, error) {
	asJSON, err := yamljson.ToJSON(document)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	d := &Document{yaml: document, json: asJSON, root: root}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	format.Register(c)
	c.AssertFormat()
	if err := c.AddResource(resource, root); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	return d, d.readPaths(c)
}

// YAML returns the document as it was written.
func (d *Document) YAML() []byte { return d.yaml }

// JSON returns the document as JSON, members in the order they were written.
func (d *Document) JSON() []byte { return d.json }

// Operation returns the operation with that ID, or nil.
func (d *Document) Operation(id string) *Operation {
	for _, op := range d.Operations {
		if op.ID == id {
			return op
		}
	}
	return nil
}

// Permissions returns every permission that an operation needs, each once, sorted.
func (d *Document) Permissions() []string {
	var all []string
	for _, op := range d.Operations {
		if op.Permission != "" {
			all = append(all, op.Permission)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// LargestBody returns how many bytes the largest body may have that an operation takes, 0 if none takes any.
func (d *Document) LargestBody() int {
	largest := 0
	for _, op := range d.Operations {
		if op.TakesBody() {
			largest = max(largest, op.BodyLimit)
		}
	}
	return largest
}

func (d *Document) readPaths(c *jsonschema.Compiler) error {
	paths, _ := d.at("/paths").(map[string]any)
	for _, path := range sortedKeys(paths) {
		item, _ := paths[path].(map[string]any)
		prefix, ok := d.at("/paths/" + escape(path) + "/servers/0/url").(string)
		if !ok {
			prefix, _ = d.at("/servers/0/url").(string)
		}
		for _, method := range methods {
			if _, ok := item[method]; !ok {
				continue
			}
			op := &Operation{Method: strings.ToUpper(method), Path: strings.TrimSuffix(prefix, "/") + path, doc: d}
			at := "/paths/" + escape(path)
			if err := op.read(c, at, at+"/"+method); err != nil {
				return fmt.Errorf("%s %s: %w", op.Method, op.Path, err)
			}
			d.Operations = append(d.Operations, op)
		}
	}
	if len(d.Operations) == 0 {
		return fmt.Errorf("the OpenAPI document has no operation")
	}
	return nil
}

func (op *Operation) read(c *jsonschema.Compiler, item, at string) error {
	op.ID, _ = op.doc.at(at + "/operationId").(string)
	op.Permission, _ = op.doc.at(at + "/x-permission").(string)
	op.Counts, _ = op.doc.at(at + "/x-counts").(string)
	role, _ := op.doc.at(at + "/x-role").(string)
	op.Role = operator.Role(role)
	op.Projects = scope.Of(op.doc.at(at + "/x-projects"))
	told, _ := op.doc.at(at + "/x-values").(bool)
	op.Told = told || role != ""
	op.BodyLimit = number(op.doc.at(at+"/x-body-limit"), defaultBodyLimit)
	schemes, said := op.schemes(at)
	if !said {
		return fmt.Errorf("operation %s must either name its x-permission or have an empty security", op.ID)
	}
	op.Public, op.Session, op.Process = len(schemes) == 0, schemes["sessionAuth"], schemes["processID"]
	if (op.Permission != "") != schemes["basicAuth"] {
		return fmt.Errorf("operation %s must name its x-permission if its security is basicAuth, and only then", op.ID)
	}
	if op.Role.Known() != schemes["operatorToken"] || role != "" && !op.Role.Known() {
		return fmt.Errorf("operation %s must name its x-role, one that there is, if its security is operatorToken, and only then", op.ID)
	}
	for _, list := range []string{item + "/parameters", at + "/parameters"} {
		entries, _ := op.doc.at(list).([]any)
		for i := range entries {
			if err := op.readParameter(c, op.doc.resolve(list+"/"+strconv.Itoa(i))); err != nil {
				return err
			}
		}
	}
	if err := op.readBody(c, op.doc.resolve(at+"/requestBody")); err != nil {
		return err
	}
	if err := op.Projects.Check(op.Role.Known(), op.PathParameters(), op.QueryParameters()); err != nil {
		return fmt.Errorf("operation %s %w", op.ID, err)
	}
	return op.readResponses(c, at+"/responses")
}

// PathParameters returns the names of the parameters in the path.
func (op *Operation) PathParameters() []string { return namesOf(op.path) }

// QueryParameters returns the names of the parameters in the query, required or not.
func (op *Operation) QueryParameters() []string { return namesOf(op.query) }

func namesOf(parameters []parameter) []string {
	names := make([]string, len(parameters))
	for i, p := range parameters {
		names[i] = p.name
	}
	return names
}

// schemes returns the security schemes of which the operation takes any: its own, else those of the document. said is false if neither
// has a word about it.
func (op *Operation) schemes(at string) (names map[string]bool, said bool) {
	security, said := op.doc.at(at + "/security").([]any)
	if !said {
		security, said = op.doc.at("/security").([]any)
	}
	names = map[string]bool{}
	for _, alternative := range security {
		scheme, _ := alternative.(map[string]any)
		for name := range scheme {
			names[name] = true
		}
	}
	return names, said
}

func (op *Operation) readParameter(c *jsonschema.Compiler, at string) error {
	name, _ := op.doc.at(at + "/name").(string)
	schema, err := c.Compile(resource + "#" + fragment(at+"/schema"))
	if err != nil {
		return fmt.Errorf("parameter %s: %w", name, err)
	}
	p := parameter{name: name, schema: schema}
	p.required, _ = op.doc.at(at + "/required").(bool)
	described := op.doc.resolve(at + "/schema")
	p.kind, _ = op.doc.at(described + "/type").(string)
	if p.kind == "array" {
		p.list = true
		p.kind, _ = op.doc.at(op.doc.resolve(described+"/items") + "/type").(string)
	}
	switch in, _ := op.doc.at(at + "/in").(string); in {
	case "path":
		op.path = append(op.path, p)
	case "query":
		op.query = append(op.query, p)
	case "header":
		op.header = append(op.header, p)
	default:
		return fmt.Errorf("parameter %s: parameters in %q are not supported", name, in)
	}
	return nil
}

func (op *Operation) readBody(c *jsonschema.Compiler, at string) error {
	at += "/content/application~1json/schema"
	if op.doc.at(at) == nil {
		return nil
	}
	schema, err := c.Compile(resource + "#" + fragment(at))
	if err != nil {
		return fmt.Errorf("request body: %w", err)
	}
	op.body = &body{at: at, schema: schema, shape: op.doc.shape(at, 0, false)}
	return nil
}

func (op *Operation) readResponses(c *jsonschema.Compiler, at string) error {
	op.responses = map[string]*jsonschema.Schema{}
	responses, _ := op.doc.at(at).(map[string]any)
	_, op.NoContent = responses["204"]
	for status := range responses {
		where := op.doc.resolve(at+"/"+status) + "/content/application~1json/schema"
		if op.doc.at(where) == nil {
			continue
		}
		schema, err := c.Compile(resource + "#" + fragment(where))
		if err != nil {
			return fmt.Errorf("response %s: %w", status, err)
		}
		op.responses[status] = schema
	}
	return nil
}

// at returns what the JSON pointer (RFC 6901) names, or nil.
func (d *Document) at(pointer string) any {
	value := d.root
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		token = unescape(token)
		switch v := value.(type) {
		case map[string]any:
			value = v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// resolve follows $ref from pointer to where it leads.
func (d *Document) resolve(pointer string) string {
	for range 16 { // the contract's references are one or two steps long; a circle of them ends here
		object, _ := d.at(pointer).(map[string]any)
		ref, ok := object["$ref"].(string)
		if !ok {
			break
		}
		pointer = strings.TrimPrefix(ref, "#")
	}
	return pointer
}

// escape and unescape are of RFC 6901 §3 and §4; in this order, ~01 is ~1 and not a slash. A start comes here thousands of times.
func escape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// fragment writes a JSON pointer as a URI fragment.
func fragment(pointer string) string {
	tokens := strings.Split(pointer, "/")
	for i := range tokens {
		tokens[i] = url.PathEscape(tokens[i])
	}
	return strings.Join(tokens, "/")
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var braces = regexp.MustCompile(`\{([^}]+)\}`)

// RouterPath returns the path with its parameters as the router writes them, for example /v2/users/:userID.
func (op *Operation) RouterPath() string { return braces.ReplaceAllString(op.Path, ":$1") }
