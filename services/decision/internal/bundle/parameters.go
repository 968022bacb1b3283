package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/keyward/keyward/core/ident"
)

// Where a bundle keeps its parameters, and what projects override of them: keyward.projects.<project ID>.parameters.
const (
	spaceKey      = "keyward"
	parametersKey = "parameters"
	projectsKey   = "projects"
	listsKey      = "lists"
)

// Place says where parameters come from, so that an error can tell.
type Place struct{ at []string }

// BaseParameters are those that every project has unless it overrides them.
var BaseParameters = Place{at: []string{spaceKey, parametersKey}}

// NoPlace is for parameters that come from outside the bundle.
var NoPlace = Place{}

// ProjectParameters are the overrides of a project.
func ProjectParameters(id ident.ProjectID) Place {
	return Place{at: []string{spaceKey, projectsKey, string(id), parametersKey}}
}

// complain makes an error of what is wrong with a parameter, given as keys from the root of the parameters.
func (b *Bundle) complain(place Place, path []string, message, advice string) *Error {
	if place.at == nil {
		return &Error{Message: message, Advice: advice}
	}
	if place.at[1] == projectsKey {
		message = "project " + place.at[2] + ": " + message
	}
	return b.At(slices.Concat(place.at, path), message, advice)
}

// Misfit returns an Error for a document that cannot be used, given as keys from the root of the data. If it is a parameter, it is looked
// for in the place.
func (b *Bundle) Misfit(place Place, keys []string, message string) *Error {
	if len(keys) >= 2 && keys[1] == parametersKey {
		return b.complain(place, keys[2:], message, b.adviseValue(keys[2:]))
	}
	return b.At(keys, message, "")
}

// checkParameters holds data.keyward.parameters against their schema and names each parameter at fault.
func (b *Bundle) checkParameters() error {
	name, content := b.files.Schema(parametersSchema)
	if content == nil {
		return &Error{File: name, Message: "the schema of the parameters is missing", Advice: adviseSchema}
	}
	schema, err := compileSchema(name, content)
	if err != nil {
		return &Error{File: name, Message: err.Error(), Advice: "make it a JSON Schema again"}
	}
	b.schema = schema
	parameters, ok := b.space()[parametersKey]
	if !ok {
		return b.At(BaseParameters.at, strings.Join(BaseParameters.at, ".")+" is missing", b.adviseParameter())
	}
	plain, err := replain(parameters)
	if err != nil {
		return fmt.Errorf("read parameters: %w", err)
	}
	if err := b.complete(plain, content); err != nil {
		return &Error{File: name, Message: err.Error(), Advice: adviseSchema}
	}
	return b.validate(plain, BaseParameters)
}

func (b *Bundle) space() map[string]any {
	space, _ := b.Data[spaceKey].(map[string]any)
	return space
}

// Projects returns the bundle as each project that overrides parameters sees it, by project ID. An error tells file and line.
func (b *Bundle) Projects(ctx context.Context) (map[ident.ProjectID]*Bundle, error) {
	value, ok := b.space()[projectsKey]
	if !ok {
		return nil, nil
	}
	projects, ok := value.(map[string]any)
	if !ok {
		return nil, b.At(
			[]string{spaceKey, projectsKey}, "keyward.projects must be an object", "give it a member for each project ID that overrides parameters",
		)
	}
	views := make(map[ident.ProjectID]*Bundle, len(projects))
	var refused []error
	for _, id := range slices.Sorted(maps.Keys(projects)) {
		view, err := b.project(ctx, id, projects[id])
		if err != nil {
			refused = append(refused, err)
			continue
		}
		views[ident.ProjectID(id)] = view
	}
	return views, join(refused)
}

func (b *Bundle) project(ctx context.Context, id string, value any) (*Bundle, error) {
	place := ProjectParameters(ident.ProjectID(id))
	at := place.at[:3]
	if _, err := ident.ParseProjectID(id); err != nil {
		return nil, b.At(at, fmt.Sprintf("project ID %q %s", id, err), "copy it from `keyward project list`")
	}
	settings, ok := value.(map[string]any)
	if !ok {
		return nil, b.At(at, "project "+id+" must be an object", "give it the one member parameters")
	}
	for name := range settings {
		if name != parametersKey {
			return nil, b.At(
				slices.Concat(at, []string{name}), fmt.Sprintf("project %s has the unknown member %q", id, name),
				"a project overrides parameters only: put it below parameters or remove it",
			)
		}
	}
	overrides, ok := settings[parametersKey].(map[string]any)
	if !ok {
		return nil, b.At(place.at, "parameters of project "+id+" must be an object", "name each parameter that is different and its value")
	}
	return b.Override(ctx, place, overrides)
}

// Override returns the same compiled rules over the same data with some parameters overridden by name; objects are merged key by key. The
// overrides are values as encoding/json or YAML make them. What does not fit the schema of the parameters is an error that names the
// parameter and, if it is in the bundle, its place.
func (b *Bundle) Override(ctx context.Context, place Place, overrides map[string]any) (*Bundle, error) {
	if len(overrides) == 0 {
		return b, nil
	}
	base, err := replainObject(b.space()[parametersKey])
	if err != nil {
		return nil, fmt.Errorf("read parameters: %w", err)
	}
	changes, err := replainObject(overrides)
	if err != nil {
		return nil, fmt.Errorf("read overrides of parameters: %w", err)
	}
	parameters := Merge(base, changes)
	if err := b.validate(parameters, place); err != nil {
		return nil, err
	}
	space := maps.Clone(b.space())
	space[parametersKey] = parameters
	view := *b
	view.Data = maps.Clone(b.Data)
	view.Data[spaceKey] = space
	return &view, view.share(ctx, b, parameters)
}

// Listing returns the same compiled rules over the same data with other lists beside the bundle's, by name, as they would stand there.
func (b *Bundle) Listing(ctx context.Context, more map[string]any) (*Bundle, error) {
	listed, err := replainObject(b.space()[listsKey])
	if err != nil {
		return nil, fmt.Errorf("read lists: %w", err)
	}
	changes, err := replainObject(more)
	if err != nil {
		return nil, fmt.Errorf("read further lists: %w", err)
	}
	all := maps.Clone(listed)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, changes)
	space := maps.Clone(b.space())
	space[listsKey] = all
	view := *b
	view.Data = maps.Clone(b.Data)
	view.Data[spaceKey] = space
	return &view, view.open(ctx)
}

// Merge returns base with the changes: objects key by key, everything else as a whole.
func Merge(base, changes map[string]any) map[string]any {
	merged := make(map[string]any, len(base)+len(changes))
	maps.Copy(merged, base)
	for name, value := range changes {
		below, wasObject := merged[name].(map[string]any)
		inner, isObject := value.(map[string]any)
		if wasObject && isObject {
			merged[name] = Merge(below, inner)
			continue
		}
		merged[name] = value
	}
	return merged
}

// open makes the store that rules read.
func (b *Bundle) open(ctx context.Context) error {
	value, err := ast.InterfaceToValue(b.Data)
	if err != nil {
		return fmt.Errorf("read policy data: %w", err)
	}
	data, ok := value.(ast.Object)
	if !ok {
		return errors.New("read policy data: not an object")
	}
	return b.attach(ctx, data)
}

// share makes the store of a view: only the parameters are its own, everything else is the base's.
func (b *Bundle) share(ctx context.Context, base *Bundle, parameters map[string]any) error {
	value, err := ast.InterfaceToValue(parameters)
	if err != nil {
		return fmt.Errorf("read overrides of parameters: %w", err)
	}
	return b.attach(ctx, replaced(base.terms, ast.NewTerm(value), spaceKey, parametersKey))
}

// replaced returns a copy of the object with another term at the path. What is not on the path is shared.
func replaced(object ast.Object, term *ast.Term, path ...string) ast.Object {
	changed := ast.NewObject()
	object.Foreach(func(key, value *ast.Term) {
		if key.Value.Compare(ast.String(path[0])) != 0 {
			changed.Insert(key, value)
			return
		}
		inner, ok := value.Value.(ast.Object)
		if len(path) == 1 || !ok {
			changed.Insert(key, term)
			return
		}
		changed.Insert(key, ast.NewTerm(replaced(inner, term, path[1:]...)))
	})
	return changed
}

// attach opens the store. Nothing ever writes to it, so one transaction serves every reader for as long as the bundle lives.
func (b *Bundle) attach(ctx context.Context, data ast.Object) error {
	b.terms, b.store = data, inmem.NewFromASTObject(data)
	reading, err := b.store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("open policy data: %w", err)
	}
	b.reading = reading
	return nil
}

func compileSchema(name string, content []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	// No loader: a schema refers to nothing outside itself.
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// replain brings values from YAML or JSON into the one form that the validator knows.
func replain(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(raw))
}

func replainObject(value any) (map[string]any, error) {
	plain, err := replain(value)
	if err != nil {
		return nil, err
	}
	object, ok := plain.(map[string]any)
	if !ok && plain != nil {
		return nil, errors.New("not an object")
	}
	return object, nil
}

// validate holds parameters in the validator's form against the bundle's schema.
func (b *Bundle) validate(parameters any, place Place) error {
	var invalid *jsonschema.ValidationError
	if err := b.schema.Validate(parameters); errors.As(err, &invalid) {
		return join(b.explain(invalid, parameters, place))
	} else if err != nil {
		return fmt.Errorf("validate parameters: %w", err)
	}
	return nil
}

// explain says of each leaf of a validation error what is wrong with which parameter.
func (b *Bundle) explain(invalid *jsonschema.ValidationError, validated any, place Place) []error {
	var all []error
	for _, leaf := range leaves(invalid, validated) {
		switch what := leaf.what.(type) {
		case *kind.AdditionalProperties:
			all = append(all, b.each(leaf.at, what.Properties, "unknown parameter", b.adviseUnknown, place)...)
		case *kind.Required:
			all = append(all, b.each(leaf.at, what.Missing, "missing parameter", b.adviseMissing, place)...)
		default:
			all = append(all, b.complain(place, leaf.at, "parameter "+strings.Join(leaf.at, ".")+": "+text(what), b.adviseValue(leaf.at)))
		}
	}
	return all
}

func (b *Bundle) each(parent, names []string, complaint string, advise func([]string) string, place Place) []error {
	all := make([]error, 0, len(names))
	for _, name := range names {
		path := slices.Concat(parent, []string{name})
		all = append(all, b.complain(place, path, complaint+" "+strings.Join(path, "."), advise(path)))
	}
	return all
}
