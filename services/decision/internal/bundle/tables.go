package bundle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/keyward/keyward/services/decision/internal/declared"
)

// checkTables holds the tables of data.keyward that Keyward reads against the schemas that the bundle has for them, and names each member
// at fault. Bundles of before have none.
func (b *Bundle) checkTables() error {
	var refused []error
	for _, table := range [...]string{"agents", "aaguids", "reasons", "actions", "velocity", listsKey} {
		file, content := b.files.Schema(table)
		value, given := b.space()[table]
		if content == nil || !given {
			continue
		}
		schema, err := compileSchema(file, content)
		if err != nil {
			refused = append(refused, &Error{File: file, Message: err.Error(), Advice: "make it a JSON Schema again"})
			continue
		}
		plain, err := replain(value)
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		var invalid *jsonschema.ValidationError
		if err := schema.Validate(plain); errors.As(err, &invalid) {
			refused = append(refused, b.misfits(invalid, plain, []string{spaceKey, table}, file)...)
		} else if err != nil {
			return fmt.Errorf("validate %s: %w", table, err)
		}
	}
	return join(refused)
}

// checkNames refuses rules that read names which nothing declares.
func (b *Bundle) checkNames(names declared.Names) error {
	var refused []error
	for _, one := range names.Undeclared(b.modules) {
		refused = append(refused, &Error{File: one.File, Line: one.Line, Message: one.Message, Advice: one.Advice})
	}
	return join(refused)
}

// misfits lists the leaves of a validation error, each at its place in what was validated.
func (b *Bundle) misfits(invalid *jsonschema.ValidationError, validated any, table []string, schema string) []error {
	var all []error
	for _, leaf := range leaves(invalid, validated) {
		at := slices.Concat(table, leaf.at)
		all = append(all, b.At(at, strings.Join(at, ".")+": "+text(leaf.what), schema+" says what may stand there"))
	}
	return all
}

// leaf is something that does not fit a schema.
type leaf struct {
	at   []string // keys from the root of what was validated
	what jsonschema.ErrorKind
}

func leaves(invalid *jsonschema.ValidationError, validated any) []leaf {
	misnamed, isName := invalid.ErrorKind.(*kind.PropertyNames)
	switch {
	case isName && len(invalid.Causes) > 0:
		at := holder(validated, len(invalid.InstanceLocation), misnamed.Property)
		return []leaf{{append(at, misnamed.Property), invalid.Causes[0].ErrorKind}}
	case len(invalid.Causes) == 0:
		return []leaf{{invalid.InstanceLocation, invalid.ErrorKind}}
	}
	var all []leaf
	for _, cause := range invalid.Causes {
		all = append(all, leaves(cause, validated)...)
	}
	return all
}

// holder returns where an object has the key, so deep below the root; nil if none does. The validator gives the place of a misnamed key in
// memory that it uses again, so of it only the depth can be believed.
func holder(value any, depth int, key string) []string {
	object, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	if depth == 0 {
		if _, has := object[key]; has {
			return []string{}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if below := holder(object[name], depth-1, key); below != nil {
			return append([]string{name}, below...)
		}
	}
	return nil
}

func text(what jsonschema.ErrorKind) string {
	return what.LocalizedString(message.NewPrinter(language.English))
}
