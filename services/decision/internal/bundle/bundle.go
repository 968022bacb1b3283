// Package bundle turns the files of a Rego bundle into something that answers. It reads the files it is given and nothing else.
//
// A Bundle is immutable and safe for concurrent use. What Load returns has been compiled strictly, type-checked against the bundle's own
// input schemas, holds every entrypoint that it must, calls no builtin that could answer differently tomorrow, and has passed its own
// tests.
package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/declared"
	"github.com/keyward/keyward/services/decision/internal/limits"
)

const (
	parametersSchema = "parameters"
	shownErrors      = 10
)

// Error is one reason to refuse a bundle, with its place.
type Error = bundlefile.Error

// ErrExhausted is what an Error is that another check of the same files may not have.
var ErrExhausted = bundlefile.ErrExhausted

// Bundle is a loaded revision of the policy.
type Bundle struct {
	Revision string         // of the manifest, otherwise a hash of the content
	Hash     string         // of the content
	Data     map[string]any // the bundle's data documents, as json.Number and the like; read only
	Defaults []Default      // of the parameters that the bundle does not give, in their order by name
	Tests    int            // of its own that it passed; 0 if they were not run

	files    bundlefile.Files
	modules  map[string]*ast.Module // by file, as written; without tests
	schema   *jsonschema.Schema     // of the parameters
	terms    ast.Object             // Data as rules read it
	compiler *ast.Compiler
	queries  map[string]query
	store    storage.Store
	reading  storage.Transaction
}

// Entrypoints are the documents that are asked for, as references like data.keyward.login.decision.
type Entrypoints struct {
	Required []string
	Optional []string // whose package a bundle may lack

	// Admitted says that the very same files have passed their tests already, elsewhere: they are not run again.
	Admitted bool
}

// in returns those that the modules have to define: an optional one if there is a module of its package.
func (e Entrypoints) in(modules []bundle.ModuleFile) []string {
	wanted := slices.Clone(e.Required)
	for _, entrypoint := range e.Optional {
		ref := ast.MustParseRef(entrypoint)
		if slices.ContainsFunc(modules, func(m bundle.ModuleFile) bool { return m.Parsed.Package.Path.Equal(ref[:len(ref)-1]) }) {
			wanted = append(wanted, entrypoint)
		}
	}
	return wanted
}

// Load reads, checks and tests the bundle in fsys and prepares the entrypoints. Every error that concerns a place in the bundle is or wraps
// an *Error. The deadline of ctx is one for all tests of the bundle.
func Load(ctx context.Context, fsys fs.FS, wanted Entrypoints) (*Bundle, error) {
	content, err := bundlefile.Read(fsys)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(content.CheckJSON(), content.CheckSchemas(), content.CheckProviders()); err != nil {
		return nil, err
	}
	capabilities := limits.Capabilities()
	parsed, err := parse(content, capabilities)
	if err != nil {
		return nil, refuseParsed(content, capabilities, err)
	}
	b := &Bundle{Revision: parsed.Manifest.Revision, Hash: content.Hash(), Data: parsed.Data, files: content, modules: written(parsed.Modules)}
	if b.Revision == "" {
		b.Revision = b.Hash
	}
	entrypoints := wanted.in(parsed.Modules)
	if err := errors.Join(missing(parsed.Modules, entrypoints), checkCalls(parsed.Modules)); err != nil {
		return nil, err
	}
	names := declared.In(b.space())
	schemas, err := schemasIn(content, entrypoints, names)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(b.checkParameters(), b.checkTables(), b.checkNames(names)); err != nil {
		return nil, err
	}
	return b, b.prepare(ctx, &parsed, capabilities, schemas, entrypoints, wanted.Admitted)
}

// written returns the rules as they are written, by file, without tests. A compiler works on copies.
func written(modules []bundle.ModuleFile) map[string]*ast.Module {
	byFile := make(map[string]*ast.Module, len(modules))
	for _, module := range modules {
		if name := tidy(module.Path); !strings.HasSuffix(name, "_test.rego") {
			module.Parsed.Package.Location.File = name
			byFile[name] = module.Parsed
		}
	}
	return byFile
}

// missing names the tables that are not there, before all the tests that fail without them.
func missing(modules []bundle.ModuleFile, entrypoints []string) error {
	var refused []error
	for _, entrypoint := range entrypoints {
		ref := ast.MustParseRef(entrypoint)
		name := ast.Var(ref[len(ref)-1].Value.(ast.String))
		found := slices.ContainsFunc(modules, func(m bundle.ModuleFile) bool {
			return m.Parsed.Package.Path.Equal(ref[:len(ref)-1]) &&
				slices.ContainsFunc(m.Parsed.Rules, func(r *ast.Rule) bool { return r.Head.Ref()[0].Value.Compare(name) == 0 })
		})
		if !found {
			refused = append(refused, &Error{Message: "there is no rule " + entrypoint, Advice: adviseEntrypoint(entrypoint)})
		}
	}
	return errors.Join(refused...)
}

// Defines reports whether the bundle answers an entrypoint. It does every one that Load required.
func (b *Bundle) Defines(entrypoint string) bool {
	_, ok := b.queries[entrypoint]
	return ok
}

// AtRule returns an Error for the rule that answers an entrypoint.
func (b *Bundle) AtRule(entrypoint, message, advice string) *Error {
	e := &Error{Message: message, Advice: advice}
	for _, rule := range b.compiler.GetRules(ast.MustParseRef(entrypoint)) {
		if place := rule.Location; place != nil && (e.Line == 0 || place.Row < e.Line) {
			e.File, e.Line = tidy(place.File), place.Row
		}
	}
	return e
}

// At returns an Error for a place in the bundle's data, given as keys from the root.
func (b *Bundle) At(keys []string, message, advice string) *Error {
	if content, ok := b.files[bundlefile.ProvidersFile]; ok && len(keys) > 1 && keys[0] == spaceKey && keys[1] == "aaguids" {
		return &Error{File: bundlefile.ProvidersFile, Line: bundlefile.Locate(content, keys), Message: message, Advice: advice}
	}
	for _, name := range b.files.Names() {
		if path.Base(name) != "data.json" {
			continue
		}
		rest := keys
		if dir := path.Dir(name); dir != "." {
			parts := strings.Split(dir, "/")
			if len(parts) > len(keys) || strings.Join(keys[:len(parts)], "/") != dir {
				continue
			}
			rest = keys[len(parts):]
		}
		return &Error{File: name, Line: bundlefile.Locate(b.files[name], rest), Message: message, Advice: advice}
	}
	return &Error{Message: message, Advice: advice}
}

func (b *Bundle) prepare(
	ctx context.Context, parsed *bundle.Bundle, capabilities *ast.Capabilities, schemas *ast.SchemaSet, entrypoints []string, admitted bool,
) (err error) {
	if err := b.open(ctx); err != nil {
		return err
	}
	compiler := limits.Guarded(ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities).WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).WithDefaultRegoVersion(ast.RegoV1))
	modules := make(map[string]*ast.Module, len(parsed.Modules))
	for _, module := range parsed.Modules {
		modules[module.Path] = module.Parsed
	}
	if admitted {
		compiler.Compile(modules)
	} else if b.Tests, err = test(ctx, compiler, modules, b.store, b.reading); err != nil {
		return err
	}
	if compiler.Failed() {
		return refuse(compiler.Errors)
	}
	b.compiler = compiler
	b.queries = make(map[string]query, len(entrypoints))
	for _, entrypoint := range entrypoints {
		query, err := compileQuery(compiler, entrypoint)
		if err != nil {
			return refuse(err)
		}
		b.queries[entrypoint] = query
	}
	return nil
}

// test compiles the modules and runs the tests among them, all before ctx ends. It returns how many there were.
func test(
	ctx context.Context, compiler *ast.Compiler, modules map[string]*ast.Module, store storage.Store, reading storage.Transaction,
) (ran int, _ error) {
	results, err := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		SetTimeout(remaining(ctx)).CapturePrintOutput(false).RunTests(ctx, reading)
	if err != nil {
		return 0, refuse(err)
	}
	var failures []error
	for result := range results {
		ran++
		if result.Pass() || result.Skip {
			continue
		}
		if ctx.Err() != nil {
			refused := failed(result)
			refused.Message, refused.Advice = "the bundle's tests did not end in time; "+result.Name+" was running", AdviseTime
			refused.Exhausted = true
			failures = append(failures[:0], refused)
			for range results { // whoever runs them waits for a reader
			}
			break
		}
		failures = append(failures, failed(result))
	}
	if len(failures) == 0 && ctx.Err() != nil {
		return ran, &Error{Message: "the bundle's tests did not end in time", Advice: AdviseTime, Exhausted: true}
	}
	return ran, join(failures)
}

// remaining is how long a test may take: the tests have one deadline, since how long each takes is a matter of how busy the machine is.
func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Hour
	}
	return time.Until(deadline)
}

func failed(result *tester.Result) *Error {
	e := &Error{Message: "test " + result.Name + " failed", Advice: adviseTest}
	place := result.Location
	if result.FailedAt != nil && result.FailedAt.Location != nil {
		place = result.FailedAt.Location
	}
	if place != nil {
		e.File, e.Line = tidy(place.File), place.Row
	}
	if result.Error != nil {
		e.Message += ": " + result.Error.Error()
	}
	return e
}

// schemasIn collects schemas/<name>.jsonschema as schema.<name>. Every entrypoint's package needs one.
func schemasIn(f bundlefile.Files, entrypoints []string, names declared.Names) (*ast.SchemaSet, error) {
	set := ast.NewSchemaSet()
	for file, content := range f {
		name, ok := bundlefile.SchemaName(file)
		if !ok {
			continue
		}
		var schema any
		if err := json.Unmarshal(content, &schema); err != nil {
			return nil, &Error{File: file, Message: err.Error()}
		}
		names.Narrow(schema, f.Schema)
		ref := ast.Ref{ast.SchemaRootDocument}
		for part := range strings.SplitSeq(name, "/") {
			ref = ref.Append(ast.StringTerm(part))
		}
		set.Put(ref, schema)
	}
	for _, entrypoint := range entrypoints {
		parts := strings.Split(entrypoint, ".")
		if file, content := f.Schema(parts[len(parts)-2]); content == nil {
			return nil, &Error{File: file, Message: "the schema of the input is missing", Advice: adviseSchema}
		}
	}
	return set, nil
}

// parse lets OPA read the files.
func parse(f bundlefile.Files, capabilities *ast.Capabilities) (bundle.Bundle, error) {
	return bundle.NewCustomReader(f.Loader()).WithCapabilities(capabilities).WithProcessAnnotations(true).
		WithSkipBundleVerification(true).WithRegoVersion(ast.RegoV1).Read()
}

// refuseParsed is refuse for what parse reports. OPA does not say when the manifest is to blame: it is if the files can be parsed without
// it.
func refuseParsed(f bundlefile.Files, capabilities *ast.Capabilities, err error) error {
	var several ast.Errors
	if errors.As(err, &several) {
		return refuse(err)
	}
	bare := maps.Clone(f)
	delete(bare, bundlefile.ManifestFile)
	if _, still := parse(bare, capabilities); still != nil {
		return refuse(err)
	}
	return &Error{File: bundlefile.ManifestFile, Message: err.Error(), Advice: adviseManifest}
}

// refuse turns what OPA reports into errors with a place.
func refuse(err error) error {
	var several ast.Errors
	if !errors.As(err, &several) {
		return fmt.Errorf("load bundle: %w", err)
	}
	refused := make([]error, 0, len(several))
	for _, one := range several {
		e := &Error{Message: one.Code + ": " + one.Message, Advice: adviseCompiler(one)}
		if one.Location != nil {
			e.File, e.Line = tidy(one.Location.File), one.Location.Row
		}
		refused = append(refused, e)
	}
	return join(refused)
}

func tidy(file string) string { return strings.TrimPrefix(file, "/") }

// join keeps the first few errors: a misspelt name can produce one for each use.
func join(all []error) error {
	if len(all) > shownErrors {
		all = append(all[:shownErrors], fmt.Errorf("and %d more", len(all)-shownErrors))
	}
	return errors.Join(all...)
}
